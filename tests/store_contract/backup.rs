//! Backups of the embedded store, and a store that is older than what was seen of it.

use super::cast::{account, authorization, done, everything, grant, new_grant, promoted};
use super::embedded::child;
use scopegate::clock::Clock;
use scopegate::store::{
    Applied, AuthorizationPhase, Change, CopyError, GrantRecord, Intent, Notes, Rollback, RolledBack, SqliteStore, Store, StoreError, back_up,
    restore,
};
use scopegate_core::account::{AccountRecord, Ended, GrantFacts, GrantState};
use scopegate_core::id::GrantId;
use scopegate_core::time::Timestamp;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A store's folder, a mark that is not in it, and backups.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn notes(&self) -> Notes {
        Notes { file: self.at("log/mark"), also_in: Some(self.at("keys")) }
    }

    fn open(&self, rollback: Rollback) -> Result<Arc<dyn Store>, StoreError> {
        let store = SqliteStore::open_marked(&self.folder(), Clock::system(), &self.notes(), rollback)?;
        Ok(Arc::new(store))
    }

    fn opened(&self) -> Arc<dyn Store> {
        self.open(Rollback::Refused).unwrap()
    }

    /// How a store is found to have been rolled back.
    fn refused(&self) -> (RolledBack, String) {
        match self.open(Rollback::Refused).unwrap_err() {
            fault @ StoreError::RolledBack { how, .. } => (how, fault.to_string()),
            other => panic!("{other:?}"),
        }
    }

    fn back_up(&self, name: &str) -> PathBuf {
        back_up(&self.folder(), &self.at(name), now()).unwrap();
        self.at(name)
    }

    fn restore(&self, name: &str) -> Option<PathBuf> {
        restore(&self.folder(), &self.at(name), now()).unwrap()
    }
}

fn now() -> Timestamp {
    "2026-11-26T09:00:00.123Z".parse().unwrap()
}

async fn accounts(store: &Arc<dyn Store>) -> usize {
    everything(store).await.accounts.len()
}

#[tokio::test]
async fn a_backup_of_a_store_in_use_is_of_one_moment_and_its_owners_alone() {
    let place = Place::new();
    fs::create_dir(place.folder()).unwrap();
    let mut writer = child("write", &place.folder());
    let mut answered = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok).filter(|line| line.starts_with("answered"));
    for number in 1..=3 {
        answered.by_ref().nth(10).unwrap();
        place.back_up(&format!("backup-{number}"));
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
    let mut before = 0;
    for number in 1..=3 {
        let name = format!("backup-{number}");
        assert_eq!(fs::metadata(place.at(&name)).unwrap().permissions().mode() & 0o777, 0o600);
        let copy = Place::new();
        restore(&copy.folder(), &place.at(&name), now()).unwrap();
        let store = copy.open(Rollback::Accepted).unwrap();
        let there = everything(&store).await;
        for account in &there.accounts {
            let id = GrantId::from_bytes(*account.id.as_bytes());
            assert!(store.grant(&id).await.unwrap().is_some(), "an account without its grant");
        }
        assert!(there.accounts.len() >= before + 10, "{} after {before}", there.accounts.len());
        before = there.accounts.len();
    }
}

#[tokio::test]
async fn a_backup_is_never_written_over_anything_nor_left_half_done() {
    let place = Place::new();
    drop(place.opened());
    fs::write(place.at("taken"), "mine").unwrap();
    assert!(matches!(back_up(&place.folder(), &place.at("taken"), now()), Err(CopyError::Exists { .. })));
    assert_eq!(fs::read_to_string(place.at("taken")).unwrap(), "mine");
    for (folder, to) in [(place.at("nowhere"), place.at("copy")), (place.folder(), place.at("no/folder"))] {
        let fault = back_up(&folder, &to, now()).unwrap_err().to_string();
        assert!(fault.contains("scopegate.db") || fault.contains("no/folder"), "{fault}");
        assert!(!to.exists());
    }
    let names: Vec<String> = fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 3, "the folder, the log's folder and what was there: {names:?}");
}

#[tokio::test]
async fn only_an_intact_backup_takes_the_place_of_a_store_that_nobody_uses() {
    let place = Place::new();
    let store = place.opened();
    done(&store, [Change::InsertAccount(account(1))]).await;
    place.back_up("backup");
    done(&store, [Change::InsertAccount(account(2))]).await;
    assert!(matches!(restore(&place.folder(), &place.at("backup"), now()), Err(CopyError::InUse { .. })));
    drop(store);

    let whole = fs::read(place.at("backup")).unwrap();
    let mut torn = whole.clone();
    torn.truncate(whole.len() / 2);
    let mut spoilt = whole.clone();
    spoilt[4096..8192].fill(0xff);
    fs::write(place.at("torn"), torn).unwrap();
    fs::write(place.at("spoilt"), spoilt).unwrap();
    fs::write(place.at("text"), "no database, whatever its name says").unwrap();
    fs::write(place.at("empty"), "").unwrap();
    rusqlite::Connection::open(place.at("other")).unwrap().execute_batch("CREATE TABLE accounts (x)").unwrap();
    fs::write(place.at("newer"), &whole).unwrap();
    rusqlite::Connection::open(place.at("newer")).unwrap().pragma_update(None, "user_version", 999).unwrap();
    for name in ["torn", "spoilt", "text", "empty", "other", "newer"] {
        let fault = restore(&place.folder(), &place.at(name), now()).unwrap_err();
        assert!(matches!(fault, CopyError::NoBackup { .. }), "{name}: {fault:?}");
    }
    assert!(matches!(restore(&place.folder(), &place.at("gone"), now()), Err(CopyError::Read { .. })));
    assert_eq!(accounts(&place.opened()).await, 2, "what is refused changes nothing");

    let replaced = place.restore("backup").unwrap();
    assert_eq!(fs::metadata(place.folder().join("scopegate.db")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(accounts(&place.open(Rollback::Accepted).unwrap()).await, 1);
    fs::copy(replaced, place.at("before")).unwrap();
    let before = Place::new();
    restore(&before.folder(), &place.at("before"), now()).unwrap();
    assert_eq!(accounts(&before.opened()).await, 2, "what was there before is kept");
}

#[tokio::test]
async fn a_killed_stores_log_is_not_mixed_with_a_backup() {
    let place = Place::new();
    drop(place.opened());
    place.back_up("empty-one");
    let mut writer = child("write", &place.folder());
    let mut answered = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok).filter(|line| line.starts_with("answered"));
    answered.by_ref().nth(20).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(fs::metadata(place.folder().join("scopegate.db-wal")).unwrap().len() > 0, "it was killed with changes in its log");
    let replaced = place.restore("empty-one").unwrap();
    assert_eq!(accounts(&place.open(Rollback::Accepted).unwrap()).await, 0);
    let kept = rusqlite::Connection::open(replaced).unwrap();
    let count: i64 = kept.query_row("SELECT count(*) FROM accounts", [], |row| row.get(0)).unwrap();
    assert!(count > 20, "{count}: the log went with its own store");
}

#[tokio::test]
async fn a_store_that_lacks_what_was_seen_is_refused_and_one_that_lacks_nothing_is_not() {
    let place = Place::new();
    {
        let store = place.opened();
        done(&store, [Change::InsertAccount(account(1))]).await;
        place.back_up("backup");
    }
    place.restore("backup");
    assert_eq!(accounts(&place.opened()).await, 1, "nothing happened since");
    assert_eq!(accounts(&place.opened()).await, 1, "and it is no copy any more");

    fs::copy(place.folder().join("scopegate.db"), place.at("plain-copy")).unwrap();
    {
        let store = place.opened();
        for number in 2..=4 {
            done(&store, [Change::InsertAccount(account(number))]).await;
        }
    }
    for name in ["plain-copy", "backup"] {
        place.restore(name);
        let (how, told) = place.refused();
        assert_eq!(how, RolledBack::Behind(3), "{name}");
        assert!(told.contains("lacks the last 3 changes") && told.contains("--accept-rollback") && told.contains("scopegate.db"), "{told}");
    }
    assert_eq!(accounts(&place.open(Rollback::Accepted).unwrap()).await, 1);
    done(&place.opened(), [Change::InsertAccount(account(5))]).await;
    // What was taken back is older than what came of it, however few changes that were.
    place.restore("backup");
    assert!(matches!(place.refused().0, RolledBack::Behind(_)));
}

#[tokio::test]
async fn a_backup_on_another_machine_and_another_store_are_refused_too() {
    let place = Place::new();
    done(&place.opened(), [Change::InsertAccount(account(1))]).await;
    let backup = place.back_up("backup");

    let elsewhere = Place::new();
    restore(&elsewhere.folder(), &backup, now()).unwrap();
    let (how, told) = elsewhere.refused();
    assert_eq!(how, RolledBack::Copy(now()));
    assert!(told.contains("is a backup of 2026-11-26T09:00:00.123Z"), "{told}");
    assert_eq!(accounts(&elsewhere.open(Rollback::Accepted).unwrap()).await, 1);
    assert_eq!(accounts(&elsewhere.opened()).await, 1);

    fs::remove_dir_all(place.folder()).unwrap();
    assert_eq!(place.refused().0, RolledBack::Other, "a store that is gone is not silently made anew");
    assert_eq!(place.refused().0, RolledBack::Other, "and neither at the next try");
    drop(place.open(Rollback::Accepted).unwrap());
    drop(place.opened());

    fs::write(place.at("log/mark"), "{}").unwrap();
    let fault = place.open(Rollback::Refused).unwrap_err();
    assert!(fault.to_string().contains("mark"), "{fault}");
}

#[tokio::test]
async fn a_folder_that_is_put_back_with_its_own_note_in_it_is_refused_for_the_note_beside_the_key() {
    let place = Place::new();
    fs::create_dir(place.at("keys")).unwrap();
    let notes = Notes { file: place.folder().join("mark"), also_in: Some(place.at("keys")) };
    let open = |rollback| SqliteStore::open_marked(&place.folder(), Clock::system(), &notes, rollback).map(|store| Arc::new(store) as Arc<dyn Store>);
    let copy = |from: PathBuf, to: PathBuf| {
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    done(&open(Rollback::Refused).unwrap(), [Change::InsertAccount(account(1))]).await;
    copy(place.folder(), place.at("snapshot"));
    for number in 2..=4 {
        done(&open(Rollback::Refused).unwrap(), [Change::InsertAccount(account(number))]).await;
    }
    fs::remove_dir_all(place.folder()).unwrap();
    copy(place.at("snapshot"), place.folder());
    for _ in 0..2 {
        let fault = open(Rollback::Refused).unwrap_err();
        assert!(matches!(fault, StoreError::RolledBack { how: RolledBack::Behind(3), .. }), "{fault:?}");
    }
    assert_eq!(accounts(&open(Rollback::Accepted).unwrap()).await, 1);
    assert_eq!(accounts(&open(Rollback::Refused).unwrap()).await, 1, "once is enough, for both notes");

    // Another store's note in the same folder says nothing of this one, and one that is spoilt says nothing at all.
    let other = Notes { file: place.at("other/mark"), ..notes.clone() };
    drop(SqliteStore::open_marked(&place.at("other"), Clock::system(), &other, Rollback::Refused).unwrap());
    let copies: Vec<PathBuf> = fs::read_dir(place.at("keys")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(copies.len(), 2, "{copies:?}");
    for copy in &copies {
        assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(copy, "{").unwrap();
    }
    assert_eq!(accounts(&open(Rollback::Refused).unwrap()).await, 1);
    // A folder that cannot be written is no error.
    fs::remove_dir_all(place.at("keys")).unwrap();
    assert_eq!(accounts(&open(Rollback::Refused).unwrap()).await, 1);
    assert!(!place.at("keys").exists());
}

#[tokio::test]
async fn what_may_be_spent_in_a_store_that_is_taken_is_noted_as_if_its_process_had_been_killed() {
    let place = Place::new();
    let earlier = Intent { version: 1, at: Timestamp::from_millis(7) };
    let facts = |number, change: fn(&mut GrantFacts)| {
        let mut record = grant(number, 1);
        change(&mut record.facts);
        record
    };
    let all = [
        (facts(1, |_| ()), Some(Intent { version: 1, at: Timestamp::from_millis(1) })),
        (facts(2, |facts| facts.refreshable = false), None),
        (facts(3, |facts| facts.state = GrantState::Ended(Ended::Revoked)), None),
        (facts(4, |facts| facts.state = GrantState::Ended(Ended::NotHonoured)), None),
        (GrantRecord { intent: Some(earlier), ..facts(5, |_| ()) }, Some(earlier)),
    ];
    {
        let store = place.opened();
        for (record, _) in &all {
            done(&store, [new_grant(record)]).await;
        }
        place.back_up("backup");
        done(&store, [Change::InsertAccount(account(1))]).await;
    }
    place.restore("backup");
    let store = place.open(Rollback::Accepted).unwrap();
    for (record, intent) in &all {
        let stands = store.grant(&record.facts.id).await.unwrap().unwrap();
        assert_eq!((&stands.facts, stands.intent), (&record.facts, *intent));
    }
}

#[tokio::test]
async fn no_kill_and_no_neighbour_makes_a_store_look_rolled_back() {
    let place = Place::new();
    for round in 1..=5 {
        let mut writer = child("mark", place.0.path());
        let mut answered = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok).filter(|line| line.starts_with("answered"));
        answered.by_ref().nth(round * 15).unwrap();
        // Another process on the same store, which comes and goes.
        drop(place.opened());
        writer.kill().unwrap();
        writer.wait().unwrap();
        drop(place.opened());
    }
    // What a process said when it ended is all that there was.
    let noted = |place: &Place| serde_json::from_slice::<serde_json::Value>(&fs::read(place.at("log/mark")).unwrap()).unwrap()["commits"].as_u64();
    let before = noted(&place).unwrap();
    let store = place.opened();
    let mut last = AccountRecord { identifier: "last".parse().unwrap(), ..account(200) };
    done(&store, [Change::InsertAccount(last.clone())]).await;
    for _ in 0..9 {
        last = promoted(&last);
        done(&store, [Change::UpdateAccount(last.clone())]).await;
    }
    let begun = authorization(200, &last, AuthorizationPhase::Begun);
    assert_eq!(store.apply(vec![Change::PutAuthorization { record: begun, expected: None }]).await.unwrap(), Applied::Done);
    drop(store);
    assert_eq!(noted(&place).unwrap(), before + 11);
}
