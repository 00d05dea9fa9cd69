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
mod rotation;
#[cfg(test)]
mod tests;

pub use binding::Binding;
pub use keyring::Keyring;
pub use rotation::{KeyFiles, KeyRoom, KeyStatus, KeyUse, NotRotated};

use crate::chance;
use crate::clock::Clock;
use crate::store::{Applied, Change, DataKeyId, DataKeyPurpose, DataKeyRecord, KekId, ProofDigest, Sealed, SealedParts, Store, StoreError};
use arc_swap::{ArcSwap, ArcSwapOption};
use cipher::Cipher;
use digests::Digests;
use scopegate_core::account::HandleDigest;
use scopegate_core::secret::{HandleText, Proof};
use scopegate_core::time::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
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
    /// Another one takes its place only under `renewal`.
    keyring: ArcSwap<Keyring>,
    store: Arc<dyn Store>,
    clock: Clock,
    digests: Digests,
    /// All data keys that were needed so far.
    keys: papaya::HashMap<DataKeyId, Arc<Cipher>>,
    /// The one that seals; none until something is sealed.
    sealing: ArcSwapOption<Sealing>,
    /// Held by whoever makes the next one.
    renewal: Mutex<()>,
    /// Told when another keyring has taken its place.
    turned: Notify,
}

/// The data key that seals at present.
#[derive(Debug)]
struct Sealing {
    id: DataKeyId,
    made_with: KekId,
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
        fits(&keyring, &records)?;
        let digest = records.iter().find(|record| record.purpose == DataKeyPurpose::Digest).ok_or(VaultError::KeyLost)?;
        let digests = Digests::new(&*keyring.unwrap(digest).ok_or(VaultError::KeyLost)?);
        let inner = Inner {
            keyring: ArcSwap::from_pointee(keyring),
            store,
            clock,
            digests,
            keys: papaya::HashMap::new(),
            sealing: ArcSwapOption::empty(),
            renewal: Mutex::new(()),
            turned: Notify::new(),
        };
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
    /// Takes data keys over, and seals with the newest that was made with the current wrapping key.
    fn learn(&self, records: &[DataKeyRecord]) -> Result<(), VaultError> {
        let (keys, keyring) = (self.keys.pin(), self.keyring.load());
        let of_seals = || records.iter().filter(|record| record.purpose == DataKeyPurpose::Seal);
        for record in of_seals() {
            if !keys.contains_key(&record.id) {
                fits(&keyring, std::slice::from_ref(record))?;
                let key = keyring.unwrap(record).ok_or(VaultError::KeyLost)?;
                keys.insert(record.id, Arc::new(Cipher::new(&key).ok_or(VaultError::KeyLost)?));
            }
        }
        let newest = of_seals().filter(|record| record.made_with == *keyring.current()).max_by_key(|record| record.created_at);
        if let Some(newest) = newest
            && let Some(cipher) = keys.get(&newest.id)
            && self.sealing.load().as_ref().is_none_or(|sealing| sealing.made_with != newest.made_with || sealing.since < newest.created_at)
        {
            self.sealing.store(Some(Arc::new(Sealing::of(newest, Arc::clone(cipher)))));
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
        let (cipher, record) = new_key(&self.keyring.load(), DataKeyPurpose::Seal, &self.clock)?;
        let storing = |cause| VaultError::Store { deed: "store a new data key", cause };
        match self.store.apply(vec![Change::InsertDataKey(record.clone())]).await.map_err(storing)? {
            Applied::Done => {}
            Applied::Conflict => return Err(VaultError::KeyLost),
        }
        let cipher = Arc::new(cipher);
        self.keys.pin().insert(record.id, Arc::clone(&cipher));
        let sealing = Arc::new(Sealing::of(&record, cipher));
        sealing.seals.store(1, Ordering::Relaxed);
        self.sealing.store(Some(Arc::clone(&sealing)));
        Ok(sealing)
    }

    fn fresh(&self) -> Option<Arc<Sealing>> {
        let sealing = self.sealing.load_full()?;
        let young = self.clock.timestamp().since(sealing.since) < LIFETIME;
        let current = sealing.made_with == *self.keyring.load().current();
        (young && current && sealing.seals.fetch_add(1, Ordering::Relaxed) < SEALS).then_some(sealing)
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

impl Sealing {
    fn of(record: &DataKeyRecord, cipher: Arc<Cipher>) -> Self {
        Self { id: record.id, made_with: record.made_with.clone(), cipher, since: record.created_at, seals: AtomicU64::new(0) }
    }
}

/// Whether the keyring has all keys that these are wrapped with.
fn fits(keyring: &Keyring, records: &[DataKeyRecord]) -> Result<(), VaultError> {
    let Some(needed) = keyring.lacks(records) else { return Ok(()) };
    Err(VaultError::WrongKey { needed, known: keyring.keys().map(|key| (key.path.clone(), key.id.clone())).collect() })
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
    #[error(
        "the store was sealed with key {needed}, and {}: name the file of key {needed} in `encryption.key_file`, or in `encryption.older_key_files` beside a newer one",
        holdings(known)
    )]
    WrongKey {
        /// The key that is needed.
        needed: KekId,
        /// The key files that were read, and what they hold.
        known: Vec<(PathBuf, KekId)>,
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

fn holdings(known: &[(PathBuf, KekId)]) -> String {
    let each: Vec<String> = known.iter().map(|(path, id)| format!("key file {} holds key {id}", path.display())).collect();
    each.join(", ")
}
