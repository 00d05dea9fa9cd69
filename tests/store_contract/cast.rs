//! Who appears in these tests.

use scopegate::clock::{Clock, Hands};
use scopegate::store::{
    Applied, AuthorizationPhase, AuthorizationRecord, Change, Confirmation, GrantRecord, News, ProofDigest, Sealed, Snapshot, SqliteStore, Store,
};
use scopegate_core::account::{AccountRecord, GrantFacts, GrantState, Granted, HandleDigest, HandleRecord, HandleTarget, Switch};
use scopegate_core::connector::variables::Variables;
use scopegate_core::id::{AccountId, AuthorizationId, GrantId, HandleId};
use scopegate_core::time::Timestamp;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// Where one store lives. Each opening is another process's view of it.
pub(crate) trait Home {
    fn new() -> Self;
    fn open(&self) -> Arc<dyn Store>;
    fn now(&self) -> Timestamp;
    fn later(&self, by: Duration);
}

pub(crate) struct Embedded {
    folder: TempDir,
    clock: Clock,
    hands: Hands,
}

impl Embedded {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Home for Embedded {
    fn new() -> Self {
        let (clock, hands) = Clock::manual(Timestamp::from_millis(1_000_000_000));
        Self { folder: tempfile::tempdir().unwrap(), clock, hands }
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.folder(), self.clock.clone()).unwrap())
    }

    fn now(&self) -> Timestamp {
        self.clock.timestamp()
    }

    fn later(&self, by: Duration) {
        self.hands.advance(by);
    }
}

pub(crate) async fn done(store: &Arc<dyn Store>, changes: impl IntoIterator<Item = Change>) {
    assert_eq!(store.apply(changes.into_iter().collect()).await.unwrap(), Applied::Done);
}

pub(crate) async fn conflict(store: &Arc<dyn Store>, changes: impl IntoIterator<Item = Change>) {
    assert_eq!(store.apply(changes.into_iter().collect()).await.unwrap(), Applied::Conflict);
}

/// Everything that memory is told at first.
pub(crate) async fn everything(store: &Arc<dyn Store>) -> Snapshot {
    let told = Arc::new(Mutex::new(Snapshot::default()));
    let telling = Arc::clone(&told);
    let follower = move |news: Vec<News>| {
        let mut told = telling.lock().unwrap();
        for news in news {
            match news {
                News::Account(record) => told.accounts.push(record),
                News::Grant(facts) => told.grants.push(facts),
                News::Handle(record) => told.handles.push(record),
                other => panic!("{other:?}"),
            }
        }
    };
    store.follow(Box::new(follower)).await.unwrap();
    // Changes that come later are not told to this one.
    store.follow(Box::new(|_| ())).await.unwrap();
    Arc::into_inner(told).unwrap().into_inner().unwrap()
}

pub(crate) fn account(number: u8) -> AccountRecord {
    AccountRecord {
        id: AccountId::from_bytes([number; 16]),
        connector: "crm".parse().unwrap(),
        identifier: format!("user_{number}").parse().unwrap(),
        customer: "acme".parse().unwrap(),
        role: "researcher".parse().unwrap(),
        switch: Switch::On,
        grant: None,
        variables: Variables::from([("login_host".into(), "login.example".into())]),
        created_at: Timestamp::from_millis(1),
        updated_at: Timestamp::from_millis(1),
        version: 1,
    }
}

/// The next version of an account, in another role.
pub(crate) fn promoted(account: &AccountRecord) -> AccountRecord {
    AccountRecord { role: "publisher".parse().unwrap(), version: account.version + 1, ..account.clone() }
}

pub(crate) fn grant(number: u8, version: u64) -> GrantRecord {
    let facts = GrantFacts {
        id: GrantId::from_bytes([number; 16]),
        connector: "crm".parse().unwrap(),
        customer: "acme".parse().unwrap(),
        version,
        state: GrantState::Live,
        granted: Granted::of(["api".parse().unwrap()]),
        expires_at: Some(Timestamp::from_millis(7_200_000)),
        issued_at: Timestamp::from_millis(1),
        refreshable: true,
        variables: Variables::new(),
        used_at: Timestamp::from_millis(1),
        created_at: Timestamp::from_millis(1),
    };
    GrantRecord { facts, sealed: Sealed::from_bytes(vec![number; 400]), intent: None }
}

pub(crate) fn new_grant(record: &GrantRecord) -> Change {
    Change::PutGrant { record: record.clone(), expected: None }
}

pub(crate) fn handle(number: u8, target: HandleTarget) -> HandleRecord {
    HandleRecord {
        id: HandleId::from_bytes([number; 16]),
        digest: HandleDigest([number; 32]),
        customer: "acme".parse().unwrap(),
        target,
        created_at: Timestamp::from_millis(1),
        expires_at: None,
    }
}

pub(crate) fn authorization(number: u8, account: &AccountRecord, phase: AuthorizationPhase) -> AuthorizationRecord {
    AuthorizationRecord {
        id: AuthorizationId::from_bytes([number; 16]),
        version: 1,
        account: account.id.clone(),
        connector: account.connector.clone(),
        customer: account.customer.clone(),
        link: ProofDigest([number; 32]),
        browser: None,
        scopes: Some(vec!["accounts:read".parse().unwrap()]),
        requested: vec!["api".parse().unwrap()],
        return_to: Some("https://app.example/done".into()),
        confirmation: Confirmation::NotNeeded,
        created_at: Timestamp::from_millis(1),
        expires_at: Timestamp::from_millis(600_000),
        phase,
    }
}
