//! Another wrapping key takes over.

use super::*;
use crate::store::{AuthorizationKey, AuthorizationPhase, AuthorizationRecord, Confirmation, GrantRecord, KekId};
use crate::tasks::Tasks;
use crate::vault::rotation::{Left, Turn};
use scopegate_core::account::{GrantFacts, GrantState, Granted};
use scopegate_core::connector::variables::Variables;
use scopegate_core::id::{AccountId, GrantId};
use tokio::runtime::Handle;

/// More than three batches.
const GRANTS: u8 = 200;

impl Room {
    fn keyring(&self, current: &str, older: &[&str]) -> Keyring {
        let older: Vec<PathBuf> = older.iter().map(|name| self.key(name)).collect();
        Keyring::read(&self.key(current), &older).unwrap()
    }

    fn id(&self, name: &str) -> KekId {
        self.keyring(name, &[]).current().clone()
    }

    /// Grants, one that waits to be confirmed, and a verifier, all sealed with this vault.
    async fn fill(&self, vault: &Vault) {
        let mut changes = Vec::new();
        for number in 0..GRANTS {
            changes.push(Change::PutGrant { record: sealed_grant(vault, number).await, expected: None });
        }
        let grant = Box::new(sealed_grant(vault, GRANTS).await);
        let verifier = vault.seal(b"verifier", &Owner::new("crm", "acme", 2).binding()).await.unwrap();
        for (number, phase) in [
            (1, AuthorizationPhase::AwaitingConfirmation { grant }),
            (2, AuthorizationPhase::Submitted { state: ProofDigest([2; 32]), verifier: Some(verifier) }),
            (3, AuthorizationPhase::Begun),
        ] {
            changes.push(Change::PutAuthorization { record: authorization(number, phase), expected: None });
        }
        assert_eq!(self.store.apply(changes).await.unwrap(), Applied::Done);
    }

    /// Opens everything that was filled in.
    async fn assert_whole(&self, vault: &Vault) {
        for number in 0..GRANTS {
            let record = self.store.grant(&GrantId::from_bytes([number; 16])).await.unwrap().unwrap();
            assert_eq!(vault.unseal(&record.sealed, &Binding::grant(&record.facts)).await.unwrap().as_slice(), [number]);
        }
        for number in [1, 2] {
            let record = self.store.authorization(AuthorizationKey::Id(&AuthorizationId::from_bytes([number; 16]))).await.unwrap().unwrap();
            match &record.phase {
                AuthorizationPhase::AwaitingConfirmation { grant } => {
                    assert_eq!(vault.unseal(&grant.sealed, &Binding::grant(&grant.facts)).await.unwrap().as_slice(), [GRANTS]);
                }
                AuthorizationPhase::Submitted { verifier: Some(verifier), .. } => {
                    let owner = Owner::new("crm", "acme", 2);
                    assert_eq!(vault.unseal(verifier, &owner.binding()).await.unwrap().as_slice(), b"verifier");
                }
                other @ (AuthorizationPhase::Begun | AuthorizationPhase::Submitted { .. } | AuthorizationPhase::Spent) => panic!("{other:?}"),
            }
        }
    }
}

async fn sealed_grant(vault: &Vault, number: u8) -> GrantRecord {
    let facts = GrantFacts {
        id: GrantId::from_bytes([number; 16]),
        connector: "crm".parse().unwrap(),
        customer: "acme".parse().unwrap(),
        version: 1,
        state: GrantState::Live,
        granted: Granted::Assumed,
        expires_at: None,
        issued_at: Timestamp::default(),
        refreshable: false,
        variables: Variables::new(),
        used_at: Timestamp::default(),
        created_at: Timestamp::default(),
    };
    let sealed = vault.seal(&[number], &Binding::grant(&facts)).await.unwrap();
    GrantRecord { facts, sealed, intent: None }
}

fn authorization(number: u8, phase: AuthorizationPhase) -> AuthorizationRecord {
    AuthorizationRecord {
        id: AuthorizationId::from_bytes([number; 16]),
        version: 1,
        account: AccountId::from_bytes([number; 16]),
        connector: "crm".parse().unwrap(),
        customer: "acme".parse().unwrap(),
        link: ProofDigest([number; 32]),
        browser: None,
        scopes: None,
        requested: Vec::new(),
        return_to: None,
        confirmation: Confirmation::NotNeeded,
        created_at: Timestamp::default(),
        expires_at: Timestamp::from_millis(i64::MAX / 2),
        phase,
    }
}

/// What each key is used for: its id, data keys, records.
async fn uses(vault: &Vault) -> Vec<(KekId, u64, u64)> {
    vault.key_status().await.unwrap().keys.into_iter().map(|key| (key.id, key.data_keys, key.records)).collect()
}

const ALL: u64 = GRANTS as u64 + 2;

#[tokio::test]
async fn a_rotation_that_is_cut_short_anywhere_is_taken_up_and_ends_with_the_older_key_free() {
    let room = Room::new();
    {
        let vault = room.vault("kek-1", &[]).await.unwrap();
        room.fill(&vault).await;
        assert_eq!(uses(&vault).await, [(room.id("kek-1"), 2, ALL)]);
    }
    let (mut rounds, mut left_before) = (0, u64::MAX);
    loop {
        // Each round is a process of its own, which ends after one step.
        let vault = room.vault("kek-2", &["kek-1"]).await.unwrap();
        let done = vault.turn(&mut Turn::default()).await.unwrap();
        room.assert_whole(&vault).await;
        let left = vault.key_status().await.unwrap().left();
        if done == Left::Nothing {
            assert_eq!(uses(&vault).await, [(room.id("kek-2"), 3, ALL), (room.id("kek-1"), 0, 0)]);
            break;
        }
        assert!(left < left_before, "{left} of {left_before}");
        (rounds, left_before) = (rounds + 1, left);
    }
    assert!(rounds > 3, "{rounds}");
    // Nothing needs the older key any more.
    std::fs::remove_file(room.key("kek-1")).unwrap();
    let vault = room.vault("kek-2", &[]).await.unwrap();
    room.assert_whole(&vault).await;
    assert_eq!(vault.key_status().await.unwrap().left(), 0);
}

#[tokio::test]
async fn the_older_key_opens_nothing_after_the_first_step_already() {
    let room = Room::new();
    let before = room.vault("kek-1", &[]).await.unwrap();
    room.fill(&before).await;
    before.use_keyring(room.keyring("kek-2", &["kek-1"])).await.unwrap();
    assert_eq!(before.turn(&mut Turn::default()).await.unwrap(), Left::More);
    assert_eq!(uses(&before).await, [(room.id("kek-2"), 2, 0), (room.id("kek-1"), 0, ALL)]);
    assert!(matches!(room.vault("kek-1", &[]).await, Err(VaultError::WrongKey { .. })));
    room.assert_whole(&room.vault("kek-2", &[]).await.unwrap()).await;
}

#[tokio::test]
async fn a_running_vault_takes_a_key_that_opens_the_store_and_keeps_its_own_otherwise() {
    let room = Room::new();
    let vault = room.vault("kek-1", &[]).await.unwrap();
    room.fill(&vault).await;
    let (handle, digest) = vault.mint_handle();
    assert!(matches!(vault.use_keyring(room.keyring("kek-2", &[])).await, Err(VaultError::WrongKey { .. })));
    assert_eq!(uses(&vault).await, [(room.id("kek-1"), 2, ALL)]);

    vault.use_keyring(room.keyring("kek-2", &["kek-1"])).await.unwrap();
    let owner = Owner::new("crm", "acme", 9);
    let sealed = vault.seal(b"new", &owner.binding()).await.unwrap();
    let made = room.store.data_keys().await.unwrap();
    let key = made.iter().find(|record| record.id == sealed.parts().unwrap().key).unwrap();
    assert_eq!((&key.kek, &key.made_with), (&room.id("kek-2"), &room.id("kek-2")), "what comes now is sealed under the new key at once");
    room.assert_whole(&vault).await;
    assert_eq!(vault.handle_digest(&handle), digest);
}

#[tokio::test]
async fn two_rotations_after_each_other_leave_only_the_last_key_in_use() {
    let room = Room::new();
    let vault = room.vault("kek-1", &[]).await.unwrap();
    room.fill(&vault).await;
    vault.use_keyring(room.keyring("kek-2", &["kek-1"])).await.unwrap();
    // The second one comes while the first is under way.
    let mut turn = Turn::default();
    for _ in 0..3 {
        assert_eq!(vault.turn(&mut turn).await.unwrap(), Left::More);
    }
    vault.use_keyring(room.keyring("kek-3", &["kek-2", "kek-1"])).await.unwrap();
    while vault.turn(&mut turn).await.unwrap() == Left::More {}
    let ids = ["kek-3", "kek-2", "kek-1"].map(|name| room.id(name));
    let used: Vec<(KekId, bool)> = vault.key_status().await.unwrap().keys.into_iter().map(|key| (key.id.clone(), key.is_free())).collect();
    assert_eq!(used, ids.into_iter().zip([false, true, true]).collect::<Vec<_>>());
    room.assert_whole(&room.vault("kek-3", &[]).await.unwrap()).await;
}

#[tokio::test]
async fn a_record_that_does_not_open_is_passed_by_and_still_counted() {
    let room = Room::new();
    let vault = room.vault("kek-1", &[]).await.unwrap();
    room.fill(&vault).await;
    let id = GrantId::from_bytes([7; 16]);
    let spoilt = room.store.grant(&id).await.unwrap().unwrap();
    let mut bytes = spoilt.sealed.as_bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let facts = GrantFacts { version: 2, ..spoilt.facts };
    let put = Change::PutGrant { record: GrantRecord { facts, sealed: Sealed::from_bytes(bytes), intent: None }, expected: Some(1) };
    assert_eq!(room.store.apply(vec![put]).await.unwrap(), Applied::Done);
    vault.use_keyring(room.keyring("kek-2", &["kek-1"])).await.unwrap();
    let mut turn = Turn::default();
    while vault.turn(&mut turn).await.unwrap() == Left::More {}
    assert_eq!(uses(&vault).await, [(room.id("kek-2"), 3, ALL - 1), (room.id("kek-1"), 0, 1)]);
}

#[tokio::test]
async fn what_is_written_while_it_is_sealed_anew_is_never_lost() {
    let room = Room::new();
    let vault = room.vault("kek-1", &[]).await.unwrap();
    room.fill(&vault).await;
    vault.use_keyring(room.keyring("kek-2", &["kek-1"])).await.unwrap();
    let tasks = Tasks::new(Handle::current());
    // A refresh of each grant, as it runs beside the rotation: its token has to be there afterwards, whichever came first.
    let (store, writer) = (Arc::clone(&room.store), vault.clone());
    let refreshes = tasks.spawn("refreshes", async move {
        for number in 0..GRANTS {
            let old = store.grant(&GrantId::from_bytes([number; 16])).await.unwrap().unwrap();
            let facts = GrantFacts { version: 2, ..old.facts };
            let sealed = writer.seal(&[number, 2], &Binding::grant(&facts)).await.unwrap();
            let put = Change::PutGrant { record: GrantRecord { facts, sealed, intent: None }, expected: Some(1) };
            assert_eq!(store.apply(vec![put]).await.unwrap(), Applied::Done, "sealing anew changes no version");
        }
    });
    let mut turn = Turn::default();
    while vault.turn(&mut turn).await.unwrap() == Left::More {}
    refreshes.await.unwrap();
    while vault.turn(&mut turn).await.unwrap() == Left::More {}
    let after = room.vault("kek-2", &[]).await.unwrap();
    for number in 0..GRANTS {
        let record = room.store.grant(&GrantId::from_bytes([number; 16])).await.unwrap().unwrap();
        assert_eq!(after.unseal(&record.sealed, &Binding::grant(&record.facts)).await.unwrap().as_slice(), [number, 2]);
    }
    assert_eq!(after.key_status().await.unwrap().left(), 0);
}

#[tokio::test]
async fn the_background_brings_everything_under_the_new_key_without_being_asked_twice() {
    let room = Room::new();
    let vault = room.vault("kek-1", &[]).await.unwrap();
    room.fill(&vault).await;
    let tasks = Tasks::new(Handle::current());
    let (one, two) = (room.key("kek-1"), room.key("kek-2"));
    let keys = KeyRoom::new(vault.clone(), Arc::new(move || Ok(Keyring::read(&two, std::slice::from_ref(&one))?)), tasks.clone());
    keys.keep_turning(&Clock::system());
    keys.rotate().await.unwrap();
    while keys.status().await.unwrap().left() > 0 {}
    assert_eq!(uses(&vault).await, [(room.id("kek-2"), 3, ALL), (room.id("kek-1"), 0, 0)]);
    // A key file that is gone leaves everything as it is.
    std::fs::remove_file(room.key("kek-2")).unwrap();
    let fault = keys.rotate().await.unwrap_err();
    assert!(matches!(fault, NotRotated::Files(_)), "{fault:?}");
    room.assert_whole(&vault).await;
    tasks.shutdown(Duration::from_secs(10)).await;
}
