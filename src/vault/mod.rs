//! Envelope encryption: what is secret is sealed under data keys, and those under the key file.
//!
//! AES-256-GCM with random nonces. A sealed text is bound to what it belongs to
//! ([`Binding`]): moved to another connector, customer, grant or version it does not open.
//!
//! **Invariant: the store never sees plaintext**, and no plaintext is kept here.

mod binding;
mod cipher;
mod digests;
pub mod key_file;
mod keyring;
mod opens;

pub use binding::Binding;
pub use keyring::Keyring;

use crate::chance;
use crate::clock::Clock;
use crate::store::{Applied, Change, DataKeyId, DataKeyPurpose, DataKeyRecord, ProofDigest, Sealed, SealedParts, Store, StoreError};
use arc_swap::ArcSwapOption;
use cipher::Cipher;
use digests::Digests;
use scopegate_core::account::HandleDigest;
use scopegate_core::secret::{HandleText, Proof};
use scopegate_core::time::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// A data key seals at most so often in one process, and no longer than so, so that even thousands
/// of processes and restarts stay far below the 2^32 random nonces that NIST SP 800-38D allows.
const SEALS: u64 = 1 << 20;
const LIFETIME: Duration = Duration::from_hours(30 * 24);

/// Seals and opens. Clones share the keys.
#[derive(Clone, Debug)]
pub struct Vault(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    keyring: Keyring,
    store: Arc<dyn Store>,
    clock: Clock,
    digests: Digests,
    /// All data keys that were needed so far.
    keys: papaya::HashMap<DataKeyId, Arc<Cipher>>,
    /// The one that seals; none until something is sealed.
    sealing: ArcSwapOption<Sealing>,
    /// Held by whoever makes the next one.
    renewal: Mutex<()>,
}

/// The data key that seals at present.
#[derive(Debug)]
struct Sealing {
    id: DataKeyId,
    cipher: Arc<Cipher>,
    since: Timestamp,
    seals: AtomicU64,
}

impl Vault {
    /// Opens the store's keys with the keyring, and makes the first one in a new store.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`] where the keyring lacks a key that the store was sealed with.
    pub async fn open(keyring: Keyring, store: Arc<dyn Store>, clock: Clock) -> Result<Self, VaultError> {
        let reading = |cause| VaultError::Store { deed: "read its keys", cause };
        let mut records = store.data_keys().await.map_err(reading)?;
        if records.is_empty() {
            let (_, first) = new_key(&keyring, DataKeyPurpose::Digest, &clock)?;
            // Where another process was quicker, its key is the one.
            let _: Applied = store.apply(vec![Change::InsertDataKey(first)]).await.map_err(reading)?;
            records = store.data_keys().await.map_err(reading)?;
        }
        if !records.iter().all(|record| keyring.knows(&record.kek)) {
            return Err(VaultError::WrongKey { path: keyring.path().into() });
        }
        let digest = records.iter().find(|record| record.purpose == DataKeyPurpose::Digest).ok_or(VaultError::KeyLost)?;
        let digests = Digests::new(&*keyring.unwrap(digest).ok_or(VaultError::KeyLost)?);
        let inner = Inner { keyring, store, clock, digests, keys: papaya::HashMap::new(), sealing: ArcSwapOption::empty(), renewal: Mutex::new(()) };
        inner.learn(&records)?;
        Ok(Self(Arc::new(inner)))
    }

    /// Seals `plain` so that only the same binding opens it. The data key changes by itself after
    /// a bounded number of seals and a bounded time.
    ///
    /// # Errors
    /// A new data key was due and the store could not take it.
    pub async fn seal(&self, plain: &[u8], binding: &Binding<'_>) -> Result<Sealed, VaultError> {
        let sealing = self.0.sealing().await?;
        let encrypted = sealing.cipher.encrypt(plain, &binding.bytes()).ok_or_else(|| VaultError::DoesNotSeal { what: binding.to_string() })?;
        Ok(Sealed::of_parts(SealedParts { key: sealing.id, nonce: encrypted.nonce, ciphertext: &encrypted.ciphertext }))
    }

    /// Opens what was sealed with the same binding, by this process or another.
    ///
    /// # Errors
    /// [`VaultError::DoesNotOpen`] where it was changed, or belongs to something else.
    pub async fn unseal(&self, sealed: &Sealed, binding: &Binding<'_>) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let closed = || VaultError::DoesNotOpen { what: binding.to_string() };
        let parts = sealed.parts().ok_or_else(closed)?;
        let cipher = self.0.key(parts.key).await?.ok_or_else(closed)?;
        cipher.decrypt(parts.nonce, parts.ciphertext, &binding.bytes()).ok_or_else(closed)
    }

    /// A new handle, to be shown once (`sgh_` and 43 base64url characters of 256 random bits), and
    /// what is stored of it.
    #[must_use]
    pub fn mint_handle(&self) -> (HandleText, HandleDigest) {
        let handle = digests::random_handle();
        let digest = self.handle_digest(&handle);
        (handle, digest)
    }

    /// The keyed hash of a handle: what it is looked up by.
    #[must_use]
    pub fn handle_digest(&self, handle: &HandleText) -> HandleDigest {
        self.0.digests.handle(handle)
    }

    /// A new secret of an authorization (link, `state`, cookie, verifier: 43 base64url characters
    /// of 256 random bits), and what is stored of it.
    #[must_use]
    pub fn mint_proof(&self) -> (Proof, ProofDigest) {
        let proof = digests::random_proof();
        let digest = self.proof_digest(&proof);
        (proof, digest)
    }

    /// The keyed hash of a link's secret, a `state` or a cookie.
    #[must_use]
    pub fn proof_digest(&self, proof: &Proof) -> ProofDigest {
        self.0.digests.proof(proof)
    }
}

impl Inner {
    /// Takes data keys over, and seals with the newest that is young enough.
    fn learn(&self, records: &[DataKeyRecord]) -> Result<(), VaultError> {
        let keys = self.keys.pin();
        for record in records.iter().filter(|record| record.purpose == DataKeyPurpose::Seal) {
            if keys.contains_key(&record.id) {
                continue;
            }
            let key = self.keyring.unwrap(record).ok_or(VaultError::KeyLost)?;
            let cipher = Arc::new(Cipher::new(&key).ok_or(VaultError::KeyLost)?);
            keys.insert(record.id, Arc::clone(&cipher));
            if self.sealing.load().as_ref().is_none_or(|sealing| sealing.since <= record.created_at) {
                self.sealing.store(Some(Arc::new(Sealing { id: record.id, cipher, since: record.created_at, seals: AtomicU64::new(0) })));
            }
        }
        Ok(())
    }

    /// The key that seals, counted; a new one where it was used often or long enough.
    async fn sealing(&self) -> Result<Arc<Sealing>, VaultError> {
        if let Some(sealing) = self.fresh() {
            return Ok(sealing);
        }
        let _one_makes_it = self.renewal.lock().await;
        if let Some(sealing) = self.fresh() {
            return Ok(sealing);
        }
        let (cipher, record) = new_key(&self.keyring, DataKeyPurpose::Seal, &self.clock)?;
        let storing = |cause| VaultError::Store { deed: "store a new data key", cause };
        match self.store.apply(vec![Change::InsertDataKey(record.clone())]).await.map_err(storing)? {
            Applied::Done => {}
            Applied::Conflict => return Err(VaultError::KeyLost),
        }
        let cipher = Arc::new(cipher);
        self.keys.pin().insert(record.id, Arc::clone(&cipher));
        let sealing = Arc::new(Sealing { id: record.id, cipher, since: record.created_at, seals: AtomicU64::new(1) });
        self.sealing.store(Some(Arc::clone(&sealing)));
        Ok(sealing)
    }

    fn fresh(&self) -> Option<Arc<Sealing>> {
        let sealing = self.sealing.load_full()?;
        let young = self.clock.timestamp().since(sealing.since) < LIFETIME;
        (young && sealing.seals.fetch_add(1, Ordering::Relaxed) < SEALS).then_some(sealing)
    }

    /// A data key by its id; one that another process made is read from the store.
    async fn key(&self, id: DataKeyId) -> Result<Option<Arc<Cipher>>, VaultError> {
        if let Some(cipher) = self.keys.pin().get(&id) {
            return Ok(Some(Arc::clone(cipher)));
        }
        let records = self.store.data_keys().await.map_err(|cause| VaultError::Store { deed: "read its keys", cause })?;
        self.learn(&records)?;
        Ok(self.keys.pin().get(&id).cloned())
    }
}

fn new_key(keyring: &Keyring, purpose: DataKeyPurpose, clock: &Clock) -> Result<(Cipher, DataKeyRecord), VaultError> {
    let key = Zeroizing::new(chance::bytes());
    let made = Cipher::new(&key).zip(keyring.wrap(DataKeyId(chance::bytes()), purpose, &key, clock.timestamp()));
    made.ok_or_else(|| VaultError::DoesNotSeal { what: "a data key".into() })
}

/// The vault could not do it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store was sealed with a key that is not in the keyring.
    #[error("the key in {} is not the one that the store was sealed with: give the key file that was used before", path.display())]
    WrongKey {
        /// The key file that was tried.
        path: PathBuf,
    },
    /// A wrapped key does not open with its own wrapping key.
    #[error("a data key in the store was changed or lost: restore the store from a backup")]
    KeyLost,
    /// Changed, torn, or bound to something else.
    #[error("the sealed record of {what} does not open: it was changed, or belongs to something else")]
    DoesNotOpen {
        /// Whose, without secrets.
        what: String,
    },
    /// Sealing itself failed.
    #[error("the record of {what} could not be sealed")]
    DoesNotSeal {
        /// Whose, without secrets.
        what: String,
    },
    /// The store could not give or take a data key.
    #[error("the vault could not {deed}")]
    Store {
        /// What it was to do.
        deed: &'static str,
        /// Why.
        #[source]
        cause: StoreError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hands;
    use crate::store::SqliteStore;
    use scopegate_core::id::{AuthorizationId, ConnectorId, CustomerId};
    use tempfile::TempDir;

    struct Room {
        folder: TempDir,
        store: Arc<dyn Store>,
        clock: Clock,
        hands: Hands,
    }

    impl Room {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (clock, hands) = Clock::manual(Timestamp::from_millis(1_000_000));
            let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), clock.clone()).unwrap());
            Self { folder, store, clock, hands }
        }

        fn key(&self, name: &str) -> PathBuf {
            let path = self.folder.path().join(name);
            if !path.exists() {
                key_file::generate(&path).unwrap();
            }
            path
        }

        async fn vault(&self, current: &str, older: &[&str]) -> Result<Vault, VaultError> {
            let older: Vec<PathBuf> = older.iter().map(|name| self.key(name)).collect();
            Vault::open(Keyring::read(&self.key(current), &older).unwrap(), Arc::clone(&self.store), self.clock.clone()).await
        }

        async fn keys(&self) -> usize {
            self.store.data_keys().await.unwrap().len()
        }
    }

    struct Owner {
        connector: ConnectorId,
        customer: CustomerId,
        id: AuthorizationId,
    }

    impl Owner {
        fn new(connector: &str, customer: &str, id: u8) -> Self {
            Self { connector: connector.parse().unwrap(), customer: customer.parse().unwrap(), id: AuthorizationId::from_bytes([id; 16]) }
        }

        fn binding(&self) -> Binding<'_> {
            Binding::authorization(&self.connector, &self.customer, &self.id)
        }
    }

    #[tokio::test]
    async fn what_was_sealed_opens_for_its_owner_alone() {
        let room = Room::new();
        let vault = room.vault("kek-1", &[]).await.unwrap();
        let owner = Owner::new("crm", "acme", 1);
        let sealed = vault.seal(b"canary", &owner.binding()).await.unwrap();
        assert_eq!(vault.unseal(&sealed, &owner.binding()).await.unwrap().as_slice(), b"canary");
        assert!(!sealed.as_bytes().windows(6).any(|bytes| bytes == b"canary"));
        for other in [Owner::new("desk", "acme", 1), Owner::new("crm", "globex", 1), Owner::new("crm", "acme", 2)] {
            assert!(matches!(vault.unseal(&sealed, &other.binding()).await, Err(VaultError::DoesNotOpen { .. })));
        }
    }

    #[tokio::test]
    async fn a_changed_byte_anywhere_keeps_it_shut() {
        let room = Room::new();
        let vault = room.vault("kek-1", &[]).await.unwrap();
        let owner = Owner::new("crm", "acme", 1);
        let sealed = vault.seal(b"canary", &owner.binding()).await.unwrap();
        for at in 0..sealed.as_bytes().len() {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[at] ^= 1;
            assert!(vault.unseal(&Sealed::from_bytes(bytes), &owner.binding()).await.is_err(), "byte {at}");
        }
        for length in 0..sealed.as_bytes().len() {
            assert!(vault.unseal(&Sealed::from_bytes(sealed.as_bytes()[..length].to_vec()), &owner.binding()).await.is_err(), "{length} bytes");
        }
    }

    #[tokio::test]
    async fn another_key_than_the_stores_is_refused_and_names_its_file() {
        let room = Room::new();
        room.vault("kek-1", &[]).await.unwrap();
        let fault = room.vault("kek-2", &[]).await.unwrap_err().to_string();
        assert!(fault.contains("kek-2") && fault.contains("key"), "{fault}");
        assert_eq!(room.keys().await, 1, "a refused key leaves nothing in the store");
    }

    #[tokio::test]
    async fn a_new_wrapping_key_opens_everything_with_the_older_one_beside_it() {
        let room = Room::new();
        let owner = Owner::new("crm", "acme", 1);
        let before = room.vault("kek-1", &[]).await.unwrap();
        let sealed = before.seal(b"old", &owner.binding()).await.unwrap();
        let (handle, digest) = before.mint_handle();
        let after = room.vault("kek-2", &["kek-1"]).await.unwrap();
        assert_eq!(after.unseal(&sealed, &owner.binding()).await.unwrap().as_slice(), b"old");
        assert_eq!(after.handle_digest(&handle), digest);
    }

    #[tokio::test]
    async fn two_vaults_of_one_store_open_what_the_other_sealed() {
        let room = Room::new();
        let owner = Owner::new("crm", "acme", 1);
        let (one, other) = (room.vault("kek-1", &[]).await.unwrap(), room.vault("kek-1", &[]).await.unwrap());
        for (from, to) in [(&one, &other), (&other, &one)] {
            let sealed = from.seal(b"shared", &owner.binding()).await.unwrap();
            assert_eq!(to.unseal(&sealed, &owner.binding()).await.unwrap().as_slice(), b"shared");
        }
    }

    #[tokio::test]
    async fn a_data_key_changes_after_so_many_seals_and_after_so_long() {
        let room = Room::new();
        let owner = Owner::new("crm", "acme", 1);
        let vault = room.vault("kek-1", &[]).await.unwrap();
        vault.seal(b"x", &owner.binding()).await.unwrap();
        assert_eq!(room.keys().await, 2, "one for digests and one that seals");
        vault.0.sealing.load().as_ref().unwrap().seals.store(SEALS, Ordering::Relaxed);
        let sealed = vault.seal(b"x", &owner.binding()).await.unwrap();
        assert_eq!(room.keys().await, 3);
        room.hands.advance(LIFETIME);
        vault.seal(b"x", &owner.binding()).await.unwrap();
        assert_eq!(room.keys().await, 4);
        assert!(vault.unseal(&sealed, &owner.binding()).await.is_ok());
    }

    #[tokio::test]
    async fn handles_are_long_and_different_and_their_digest_is_no_proofs() {
        let room = Room::new();
        let vault = room.vault("kek-1", &[]).await.unwrap();
        let ((one, digest), (other, _)) = (vault.mint_handle(), vault.mint_handle());
        assert!(one.reveal().len() == 47 && one.reveal().starts_with("sgh_") && one.reveal() != other.reveal());
        assert_ne!(vault.proof_digest(&Proof::new(one.reveal().into())).0, digest.0);
    }
}
