//! The vault on a real store.

mod rotation;

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
async fn another_key_than_the_stores_is_refused_with_the_file_its_key_and_the_key_that_is_needed() {
    let room = Room::new();
    room.vault("kek-1", &[]).await.unwrap();
    let ids = ["kek-1", "kek-2", "kek-3"].map(|name| Keyring::read(&room.key(name), &[]).unwrap().current().to_string());
    let fault = room.vault("kek-2", &["kek-3"]).await.unwrap_err().to_string();
    for told in [format!("sealed with key {}", ids[0]), format!("kek-2 holds key {}", ids[1]), format!("kek-3 holds key {}", ids[2])] {
        assert!(fault.contains(&told), "{told}: {fault}");
    }
    assert!(fault.contains("encryption.older_key_files"), "{fault}");
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
