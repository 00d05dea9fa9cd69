//! Compare-and-set, atomic batches, and what is read back.

use super::cast::{Home, account, authorization, conflict, done, everything, grant, handle, new_grant, promoted};
use scopegate::clock::Clock;
use scopegate::store::{
    Applied, AuthorizationKey, AuthorizationPhase, AuthorizationRecord, Change, DataKeyPurpose, DataKeyRecord, GrantRecord, Intent, ProofDigest,
    Sealed, SealedRecord, Store, Unconfirmed,
};
use scopegate::tasks::Tasks;
use scopegate::vault::{Binding, Keyring, Vault, key_file};
use scopegate_core::account::{AccountRecord, GrantFacts, HandleTarget};
use scopegate_core::id::GrantId;
use scopegate_core::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

pub(crate) async fn an_account_is_inserted_once_and_updated_from_the_version_before(home: &impl Home) {
    let store = home.open();
    let first = account(1);
    done(&store, [Change::InsertAccount(first.clone())]).await;
    conflict(&store, [Change::InsertAccount(first.clone())]).await;
    let namesake = AccountRecord { identifier: first.identifier.clone(), ..account(2) };
    conflict(&store, [Change::InsertAccount(namesake.clone())]).await;
    let elsewhere = AccountRecord { connector: "desk".parse().unwrap(), ..namesake };
    done(&store, [Change::InsertAccount(elsewhere)]).await;

    let second = promoted(&first);
    done(&store, [Change::UpdateAccount(second.clone())]).await;
    for stale in [first.clone(), second.clone(), promoted(&promoted(&second))] {
        conflict(&store, [Change::UpdateAccount(stale)]).await;
    }
    conflict(&store, [Change::UpdateAccount(promoted(&account(9)))]).await;
    assert!(everything(&store).await.accounts.contains(&second));
    done(&store, [Change::DeleteAccount(first.id.clone())]).await;
    conflict(&store, [Change::DeleteAccount(first.id.clone())]).await;
    done(&store, [Change::InsertAccount(first)]).await;
}

pub(crate) async fn an_account_takes_its_own_handles_and_authorizations_along(home: &impl Home) {
    let store = home.open();
    let (one, other) = (account(1), account(2));
    let begun = authorization(1, &one, AuthorizationPhase::Begun);
    let wide = handle(3, HandleTarget::Identifier(one.identifier.clone()));
    done(
        &store,
        [
            Change::InsertAccount(one.clone()),
            Change::InsertAccount(other.clone()),
            Change::InsertHandle(handle(1, HandleTarget::Account(one.id.clone()))),
            Change::InsertHandle(handle(2, HandleTarget::Account(other.id.clone()))),
            Change::InsertHandle(wide),
            Change::PutAuthorization { record: begun.clone(), expected: None },
        ],
    )
    .await;
    done(&store, [Change::DeleteAccount(one.id.clone())]).await;
    let left: Vec<u8> = everything(&store).await.handles.iter().map(|handle| handle.digest.0[0]).collect();
    assert_eq!(left, [2, 3]);
    assert_eq!(store.authorization(AuthorizationKey::Id(&begun.id)).await.unwrap(), None);
    conflict(&store, [Change::InsertHandle(handle(4, HandleTarget::Account(one.id)))]).await;
    conflict(&store, [Change::InsertHandle(handle(2, HandleTarget::Account(other.id)))]).await;
}

pub(crate) async fn a_grant_is_written_by_compare_and_set(home: &impl Home) {
    let store = home.open();
    let first = grant(1, 1);
    done(&store, [new_grant(&first)]).await;
    conflict(&store, [new_grant(&first)]).await;
    for (version, expected, applied) in [
        (2, None, Applied::Conflict),
        (2, Some(2), Applied::Conflict),
        (1, Some(1), Applied::Conflict),
        (2, Some(7), Applied::Conflict),
        (2, Some(1), Applied::Done),
        (3, Some(1), Applied::Conflict),
        (3, Some(2), Applied::Done),
    ] {
        let changes = vec![Change::PutGrant { record: grant(1, version), expected }];
        assert_eq!(store.apply(changes).await.unwrap(), applied, "{version} expecting {expected:?}");
    }
    let sealed = Sealed::from_bytes((0..=255).collect());
    let last = GrantRecord { sealed, ..grant(1, 4) };
    done(&store, [Change::PutGrant { record: last.clone(), expected: Some(3) }]).await;
    assert_eq!(store.grant(&last.facts.id).await.unwrap(), Some(last.clone()));
    done(&store, [Change::DeleteGrant(last.facts.id.clone())]).await;
    conflict(&store, [Change::DeleteGrant(last.facts.id.clone())]).await;
    assert_eq!(store.grant(&last.facts.id).await.unwrap(), None);
}

pub(crate) async fn of_many_writers_of_one_version_one_wins(home: &impl Home) {
    let stores = [home.open(), home.open()];
    done(&stores[0], [new_grant(&grant(1, 1))]).await;
    let tasks = Tasks::new(Handle::current());
    for version in 1..20 {
        let writers = stores.iter().cycle().take(8).cloned().zip(0..).map(|(store, writer)| {
            let record = GrantRecord { sealed: Sealed::from_bytes(vec![writer]), ..grant(1, version + 1) };
            tasks.spawn("write", async move { (writer, store.apply(vec![Change::PutGrant { record, expected: Some(version) }]).await.unwrap()) })
        });
        let mut winners = Vec::new();
        for writer in writers.collect::<Vec<_>>() {
            let (writer, applied) = writer.await.unwrap();
            winners.extend((applied == Applied::Done).then_some(writer));
        }
        let stored = stores[1].grant(&GrantId::from_bytes([1; 16])).await.unwrap().unwrap();
        assert_eq!((stored.sealed.as_bytes(), stored.facts.version), (&winners[..], version + 1));
    }
}

pub(crate) async fn a_batch_leaves_all_of_it_or_nothing(home: &impl Home) {
    let store = home.open();
    let (first, second, token) = (account(1), account(2), grant(1, 1));
    done(&store, [Change::InsertAccount(first.clone())]).await;
    let batch = |last: Change| {
        let linked = AccountRecord { grant: Some(token.facts.id.clone()), ..promoted(&first) };
        vec![Change::InsertAccount(second.clone()), new_grant(&token), Change::UpdateAccount(linked), last]
    };
    conflict(&store, batch(Change::DeleteGrant(GrantId::from_bytes([9; 16])))).await;
    let before = everything(&store).await;
    assert_eq!((before.accounts, before.grants), (vec![first.clone()], vec![]));
    done(&store, batch(Change::SetIntent { grant: token.facts.id.clone(), version: 1, intent: None })).await;
    let after = everything(&store).await;
    assert_eq!((after.accounts.len(), after.grants), (2, vec![token.facts.clone()]));
}

pub(crate) async fn an_intent_stands_until_it_is_taken_back_or_the_grant_is_written(home: &impl Home) {
    let store = home.open();
    let (one, other) = (grant(1, 1), grant(2, 1));
    let intent = Intent { version: 1, at: home.now() };
    let set = |record: &GrantRecord, version, intent| [Change::SetIntent { grant: record.facts.id.clone(), version, intent }];
    done(&store, [new_grant(&one), new_grant(&other)]).await;
    conflict(&store, set(&one, 2, Some(intent))).await;
    conflict(&store, set(&grant(9, 1), 1, Some(intent))).await;
    done(&store, set(&one, 1, Some(intent))).await;
    done(&store, set(&other, 1, Some(intent))).await;
    assert_eq!(store.grant(&one.facts.id).await.unwrap().unwrap().intent, Some(intent));
    assert_eq!(home.open().intents().await.unwrap().len(), 2);
    done(&store, set(&other, 1, None)).await;
    assert_eq!(store.intents().await.unwrap(), [(one.facts.id.clone(), intent)]);
    done(&store, [Change::PutGrant { record: grant(1, 2), expected: Some(1) }]).await;
    assert_eq!(store.intents().await.unwrap(), []);
}

pub(crate) async fn the_use_of_a_grant_is_noted_and_never_goes_back(home: &impl Home) {
    let store = home.open();
    let record = grant(1, 3);
    done(&store, [new_grant(&record)]).await;
    for (touched, noted) in [(500, 500), (400, 500), (600, 600)] {
        done(&store, [Change::TouchGrant { grant: record.facts.id.clone(), used_at: Timestamp::from_millis(touched) }]).await;
        let facts = GrantFacts { used_at: Timestamp::from_millis(noted), ..record.facts.clone() };
        assert_eq!(store.grant(&record.facts.id).await.unwrap(), Some(GrantRecord { facts, ..record.clone() }));
    }
    done(&store, [Change::TouchGrant { grant: GrantId::from_bytes([9; 16]), used_at: home.now() }]).await;
}

pub(crate) async fn an_authorization_is_found_by_what_somebody_has_to_show(home: &impl Home) {
    let store = home.open();
    let owner = account(1);
    let (state, verifier) = (ProofDigest([42; 32]), Some(Sealed::from_bytes(vec![1, 2, 3])));
    let begun = authorization(1, &owner, AuthorizationPhase::Begun);
    done(&store, [Change::InsertAccount(owner.clone()), Change::PutAuthorization { record: begun.clone(), expected: None }]).await;
    let mut records = vec![begun.clone()];
    for phase in [
        AuthorizationPhase::Submitted { state, verifier },
        AuthorizationPhase::AwaitingConfirmation { grant: Box::new(grant(1, 1)) },
        AuthorizationPhase::Spent,
    ] {
        let version = records.last().unwrap().version + 1;
        records.push(AuthorizationRecord { version, phase, browser: Some(ProofDigest([7; 32])), ..begun.clone() });
    }
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            done(&store, [Change::PutAuthorization { record: record.clone(), expected: Some(record.version - 1) }]).await;
            conflict(&store, [Change::PutAuthorization { record: record.clone(), expected: Some(record.version - 1) }]).await;
        }
        for key in [AuthorizationKey::Id(&begun.id), AuthorizationKey::Link(&begun.link)] {
            assert_eq!(store.authorization(key).await.unwrap().as_ref(), Some(record), "{key:?}");
        }
        let by_state = store.authorization(AuthorizationKey::State(&state)).await.unwrap();
        assert_eq!(by_state.as_ref(), record.phase.state().map(|_| record));
    }
    conflict(&store, [Change::PutAuthorization { record: begun.clone(), expected: None }]).await;
    done(&store, [Change::DeleteAuthorization(begun.id.clone()), Change::DeleteAuthorization(begun.id.clone())]).await;
    assert_eq!(store.authorization(AuthorizationKey::Link(&begun.link)).await.unwrap(), None);
}

pub(crate) async fn a_session_belongs_to_whoever_was_first_until_it_is_over(home: &impl Home) {
    let store = home.open();
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
    let bind = |customer: &str, now| {
        let (id, customer) = ("run-1".parse().unwrap(), customer.parse().unwrap());
        vec![Change::BindSession { id, customer, now: at(now), over_before: at(now - 100) }]
    };
    for (customer, now, applied, started, used) in [
        ("acme", 1_000, Applied::Done, 1_000, 1_000),
        ("globex", 1_050, Applied::Conflict, 1_000, 1_000),
        ("acme", 1_060, Applied::Done, 1_000, 1_060),
        ("acme", 1_010, Applied::Done, 1_000, 1_060),
        ("globex", 1_160, Applied::Conflict, 1_000, 1_060),
        ("globex", 1_161, Applied::Done, 1_161, 1_161),
        ("globex", 1_300, Applied::Done, 1_300, 1_300),
    ] {
        assert_eq!(store.apply(bind(customer, now)).await.unwrap(), applied, "{customer} at {now}");
        let session = store.session(&"run-1".parse().unwrap()).await.unwrap().unwrap();
        assert_eq!((session.started_at, session.last_used), (at(started), at(used)), "{customer} at {now}");
    }
    assert_eq!(store.session(&"run-2".parse().unwrap()).await.unwrap(), None);
}

pub(crate) async fn there_is_one_digest_key(home: &impl Home) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("kek");
    key_file::generate(&key).unwrap();
    let (clock, _) = Clock::manual(home.now());
    let openings = (0..4).map(|_| Vault::open(Keyring::read(&key, &[]).unwrap(), home.open(), clock.clone()));
    let mut digests = Vec::new();
    let tasks = Tasks::new(Handle::current());
    for vault in openings.map(|opening| tasks.spawn("open", opening)).collect::<Vec<_>>() {
        digests.push(vault.await.unwrap().unwrap().handle_digest(&scopegate_core::secret::HandleText::new("sgh_x".into())));
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    assert_eq!(home.open().data_keys().await.unwrap().len(), 1);
}

pub(crate) async fn a_data_key_is_wrapped_anew_from_the_wrapping_that_was_read(home: &impl Home) {
    let folder = tempfile::tempdir().unwrap();
    let store = home.open();
    let one = vault(home, &store, &folder.path().join("one")).await;
    drop(one);
    let before = store.data_keys().await.unwrap().remove(0);
    let other = key_file::generate(&folder.path().join("other")).unwrap();
    let rewrapped = DataKeyRecord { kek: other.clone(), wrapped: vec![1; 60], ..before.clone() };
    let change = |expected| Change::RewrapDataKey { record: rewrapped.clone(), expected };
    conflict(&store, [change(other.clone())]).await;
    done(&store, [change(before.kek.clone())]).await;
    conflict(&store, [change(before.kek.clone())]).await;
    assert_eq!(store.data_keys().await.unwrap(), [DataKeyRecord { made_with: before.kek, ..rewrapped }]);
}

pub(crate) async fn what_a_data_key_seals_is_found_and_sealed_anew_without_a_new_version(home: &impl Home) {
    let folder = tempfile::tempdir().unwrap();
    let store = home.open();
    let vault = vault(home, &store, &folder.path().join("kek")).await;
    let seal = async |text: &[u8], facts: &GrantFacts| vault.seal(text, &Binding::grant(facts)).await.unwrap();
    let mut expected = Vec::new();
    for number in 1..=4 {
        let grant = grant(number, 1);
        let record = GrantRecord { sealed: seal(&[number], &grant.facts).await, ..grant };
        let intent = Some(Intent { version: 1, at: home.now() });
        done(&store, [new_grant(&record), Change::SetIntent { grant: record.facts.id.clone(), version: 1, intent }]).await;
        expected.push(SealedRecord::Grant(GrantRecord { intent, ..record }));
    }
    let (foreign, waiting) = (grant(5, 1), grant(6, 1));
    let waiting = Box::new(GrantRecord { sealed: seal(b"waiting", &waiting.facts).await, ..waiting });
    let verifier = Some(seal(b"verifier", &grant(7, 1).facts).await);
    done(&store, [new_grant(&foreign)]).await;
    for (number, phase) in [
        (1, AuthorizationPhase::AwaitingConfirmation { grant: waiting }),
        (2, AuthorizationPhase::Submitted { state: ProofDigest([2; 32]), verifier }),
        (3, AuthorizationPhase::Submitted { state: ProofDigest([3; 32]), verifier: None }),
        (4, AuthorizationPhase::Spent),
    ] {
        let record = authorization(number, &account(1), phase);
        done(&store, [Change::PutAuthorization { record: record.clone(), expected: None }]).await;
        expected.extend(record.phase.sealed().is_some().then_some(SealedRecord::Authorization(record)));
    }
    let key = store.data_keys().await.unwrap().into_iter().find(|key| key.purpose == DataKeyPurpose::Seal).unwrap().id;
    assert_eq!(store.sealed_counts().await.unwrap().into_iter().filter(|(of, _)| *of == key).collect::<Vec<_>>(), [(key, 6)]);
    for size in [1, 2, 3, 5, 6, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let batch = store.sealed_with(key, after, size).await.unwrap();
            assert!(batch.len() <= size);
            let Some(last) = batch.last() else { break };
            after = Some(last.id());
            found.extend(batch);
        }
        assert_eq!(found, expected, "{size} at a time");
    }

    let other = || Sealed::from_bytes(vec![9; 60]);
    let anew = |record: &SealedRecord| match record.clone() {
        SealedRecord::Grant(record) => SealedRecord::Grant(GrantRecord { sealed: other(), ..record }),
        SealedRecord::Authorization(record) => {
            SealedRecord::Authorization(AuthorizationRecord { phase: record.phase.clone().with_sealed(other()), ..record })
        }
    };
    // One grant and one authorization change after they were read: both stay as they are then.
    let (SealedRecord::Grant(changed), SealedRecord::Authorization(spent)) = (&expected[0], &expected[5]) else { panic!("{expected:?}") };
    let changed = GrantRecord { facts: GrantFacts { version: 2, ..changed.facts.clone() }, ..changed.clone() };
    let spent = AuthorizationRecord { phase: AuthorizationPhase::Spent, version: 2, ..spent.clone() };
    let put = Change::PutAuthorization { record: spent.clone(), expected: Some(1) };
    done(&store, [Change::PutGrant { record: changed.clone(), expected: Some(1) }, put]).await;
    done(&store, expected.iter().map(|record| Change::Reseal { record: record.clone(), sealed: other() })).await;
    for (at, record) in expected.iter().enumerate() {
        let stands = match record {
            SealedRecord::Grant(record) => SealedRecord::Grant(store.grant(&record.facts.id).await.unwrap().unwrap()),
            SealedRecord::Authorization(record) => {
                SealedRecord::Authorization(store.authorization(AuthorizationKey::Id(&record.id)).await.unwrap().unwrap())
            }
        };
        let as_it_should = match at {
            0 => SealedRecord::Grant(changed.clone()),
            5 => SealedRecord::Authorization(spent.clone()),
            _ => anew(record),
        };
        assert_eq!(stands, as_it_should, "record {at}");
    }
}

async fn vault(home: &impl Home, store: &Arc<dyn Store>, key: &Path) -> Vault {
    key_file::generate(key).unwrap();
    let (clock, _) = Clock::manual(home.now());
    Vault::open(Keyring::read(key, &[]).unwrap(), Arc::clone(store), clock).await.unwrap()
}

pub(crate) async fn what_was_answered_is_there_after_a_restart(home: &impl Home) {
    let (owner, token) = (account(1), grant(1, 1));
    let shown = handle(1, HandleTarget::Account(owner.id.clone()));
    {
        let store = home.open();
        done(&store, [Change::InsertAccount(owner.clone()), new_grant(&token), Change::InsertHandle(shown.clone())]).await;
    }
    let after = everything(&home.open()).await;
    assert_eq!((after.accounts, after.grants, after.handles), (vec![owner], vec![token.facts], vec![shown]));
}

pub(crate) async fn what_has_ended_is_forgotten_and_nothing_else(home: &impl Home) {
    let store = home.open();
    let owner = account(1);
    let (short, long) = (authorization(1, &owner, AuthorizationPhase::Begun), authorization(2, &owner, AuthorizationPhase::Begun));
    let long = AuthorizationRecord { expires_at: short.expires_at.plus(Duration::from_secs(1)), ..long };
    let bind =
        |id: &str, now| Change::BindSession { id: id.parse().unwrap(), customer: "acme".parse().unwrap(), now, over_before: Timestamp::default() };
    done(
        &store,
        [
            Change::InsertAccount(owner),
            Change::PutAuthorization { record: short.clone(), expected: None },
            Change::PutAuthorization { record: long.clone(), expected: None },
            bind("early", short.expires_at),
            bind("late", long.expires_at),
        ],
    )
    .await;
    store.sweep(long.expires_at).await.unwrap();
    assert_eq!(store.authorization(AuthorizationKey::Id(&short.id)).await.unwrap(), None);
    assert!(store.authorization(AuthorizationKey::Id(&long.id)).await.unwrap().is_some());
    assert_eq!(store.session(&"early".parse().unwrap()).await.unwrap(), None);
    assert!(store.session(&"late".parse().unwrap()).await.unwrap().is_some());
    store.ready().await.unwrap();
}

pub(crate) async fn what_waits_for_its_confirmation_is_found_and_stays(home: &impl Home) {
    let store = home.open();
    let (one, other) = (account(1), account(2));
    let waits = |number, owner| authorization(number, owner, AuthorizationPhase::AwaitingConfirmation { grant: Box::new(grant(number, 1)) });
    let (first, begun) = (waits(1, &one), authorization(2, &one, AuthorizationPhase::Begun));
    let later = AuthorizationRecord { expires_at: first.expires_at.plus(Duration::from_secs(1)), ..waits(3, &other) };
    let put = [&first, &begun, &later].map(|record| Change::PutAuthorization { record: record.clone(), expected: None });
    done(&store, [Change::InsertAccount(one.clone()), Change::InsertAccount(other.clone())].into_iter().chain(put)).await;
    store.sweep(later.expires_at.plus(Duration::from_secs(1))).await.unwrap();
    assert_eq!(store.authorization(AuthorizationKey::Id(&begun.id)).await.unwrap(), None);
    for (which, found) in [
        (Unconfirmed::Of(&one.id), vec![&first]),
        (Unconfirmed::Of(&other.id), vec![&later]),
        (Unconfirmed::OverBy(first.expires_at), vec![&first]),
        (Unconfirmed::OverBy(later.expires_at), vec![&first, &later]),
    ] {
        assert_eq!(store.unconfirmed(which).await.unwrap().iter().collect::<Vec<_>>(), found, "{which:?}");
    }
    done(&store, [Change::DeleteAuthorization(first.id.clone()), Change::DeleteAccount(other.id)]).await;
    assert!(store.unconfirmed(Unconfirmed::OverBy(later.expires_at)).await.unwrap().is_empty());
}
