//! What memory holds of accounts, grants and handles, always equal to the store.
//!
//! Readers take no lock and do no I/O. Every change goes to the store first; memory follows in
//! the order of commits and before the writer is answered.
//!
//! **Invariant: whoever was told that a change is done finds it here.**

mod index;
mod memory;
mod sessions;
mod sweep;

pub use index::{AccountCursor, InvalidCursor};
pub use sessions::{Bound, Sessions};

use crate::store::{Applied, Change, GrantRecord, Store, StoreError};
use memory::Memory;
use scopegate_core::account::{AccountRecord, ConnectedAccount, GrantFacts, HandleDigest, HandleRecord, HandleTarget, Status};
use scopegate_core::id::{AccountId, ConnectorId, CustomerId, GrantId, HandleId, Identifier, RoleName};
use scopegate_core::time::Timestamp;
use std::sync::Arc;

/// What memory holds of accounts. Clones share it.
#[derive(Clone, Debug)]
pub struct Directory {
    store: Arc<dyn Store>,
    memory: Arc<Memory>,
}

/// Which accounts to list; what is none does not narrow.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Of this API.
    pub connector: Option<ConnectorId>,
    /// Of this customer.
    pub customer: Option<CustomerId>,
    /// With this role.
    pub role: Option<RoleName>,
    /// With this status.
    pub status: Option<Status>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct AccountPage {
    /// By customer, connector and identifier.
    pub accounts: Vec<ConnectedAccount>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<AccountCursor>,
}

impl Directory {
    /// Loads everything from the store, and follows it from then on.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let memory = Arc::new(Memory::default());
        let following = Arc::clone(&memory);
        store.follow(Box::new(move |news| following.take_over(news))).await?;
        Ok(Self { store, memory })
    }

    /// Another number after each change, so that whoever asked before it can look again.
    #[must_use]
    pub fn age(&self) -> u64 {
        self.memory.age()
    }

    /// Waits until something has changed since it was of this age.
    pub async fn changed_since(&self, age: u64) {
        self.memory.changed_since(age).await;
    }

    /// An account by its name, as of this moment.
    #[must_use]
    pub fn find(&self, connector: &ConnectorId, identifier: &Identifier) -> Option<ConnectedAccount> {
        self.memory.named(connector, identifier)
    }

    /// An account by its id.
    #[must_use]
    pub fn by_id(&self, id: &AccountId) -> Option<ConnectedAccount> {
        self.memory.with_grant(|memory| memory.account(id))
    }

    /// What is known of a grant without opening it.
    #[must_use]
    pub fn grant(&self, id: &GrantId) -> Option<Arc<GrantFacts>> {
        self.memory.grant(id)
    }

    /// The handle with this digest, unless it has ended.
    #[must_use]
    pub fn handle(&self, digest: &HandleDigest, now: Timestamp) -> Option<Arc<HandleRecord>> {
        self.memory.handle(digest).filter(|handle| handle.expires_at.is_none_or(|end| now < end))
    }

    /// The handle of this id, ended or not.
    #[must_use]
    pub fn handle_by_id(&self, id: &HandleId) -> Option<Arc<HandleRecord>> {
        let digest = self.memory.index().digest(id)?;
        self.memory.handle(&digest)
    }

    /// The handles that stand for exactly this, ended ones included. In no order; looks at all handles.
    #[must_use]
    pub fn handles(&self, target: &HandleTarget) -> Vec<Arc<HandleRecord>> {
        self.memory.handles_for(target)
    }

    /// Accounts by customer, connector and identifier, at most `limit`, after `cursor`.
    #[must_use]
    pub fn list(&self, filter: &AccountFilter, cursor: Option<&AccountCursor>, limit: usize) -> AccountPage {
        let (mut accounts, mut next) = (Vec::new(), None);
        let index = self.memory.index();
        for record in index.after(filter.connector.as_ref(), filter.customer.as_ref(), cursor) {
            let Some(account) = self.memory.with_grant(|_| Some(Arc::clone(record))) else { continue };
            if !filter.lets_through(&account) {
                continue;
            }
            if accounts.len() == limit {
                next = accounts.last().map(AccountCursor::of);
                break;
            }
            accounts.push(account);
        }
        AccountPage { accounts, next }
    }

    /// How many accounts stand how. Looks at all of them.
    #[must_use]
    pub fn by_status(&self) -> [(Status, usize); 5] {
        let mut counts =
            [Status::Pending, Status::Active, Status::ReauthorizationRequired, Status::Disabled, Status::Revoked].map(|status| (status, 0));
        self.memory.each_account(|account| {
            let status = account.status();
            counts.iter_mut().filter(|(one, _)| *one == status).for_each(|(_, count)| *count += 1);
        });
        counts
    }

    /// All accounts that use this grant, by identifier; all are its customer's and its connector's.
    #[must_use]
    pub fn sharers(&self, grant: &GrantId) -> Vec<Arc<AccountRecord>> {
        let mut sharers: Vec<_> = self.memory.index().sharers(grant).cloned().collect();
        sharers.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        sharers
    }

    /// All accounts of a customer at a connector, by identifier.
    #[must_use]
    pub fn holders(&self, customer: &CustomerId, connector: &ConnectorId) -> Vec<Arc<AccountRecord>> {
        self.memory.index().after(Some(connector), Some(customer), None).cloned().collect()
    }

    /// All accounts of that identifier, at any connector and of any customer.
    #[must_use]
    pub fn named(&self, identifier: &Identifier) -> Vec<Arc<AccountRecord>> {
        let connectors = self.memory.index().connectors();
        connectors.iter().filter_map(|connector| self.memory.account_named(connector, identifier)).collect()
    }

    /// All grants, for what has to be done ahead of time. In no order.
    pub fn each_grant(&self, visit: impl FnMut(&Arc<GrantFacts>)) {
        self.memory.each_grant(visit);
    }

    /// The store's [`apply`](Store::apply); readers here see the change before this returns.
    ///
    /// # Errors
    /// The store could not do it; whether it is durable is all or nothing, but not known.
    pub async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        self.store.apply(changes).await
    }

    /// A grant with its sealed token set as it stands in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn sealed(&self, grant: &GrantId) -> Result<Option<GrantRecord>, StoreError> {
        self.store.grant(grant).await
    }
}

impl AccountFilter {
    fn lets_through(&self, account: &ConnectedAccount) -> bool {
        let record = &account.record;
        self.connector.as_ref().is_none_or(|connector| *connector == record.connector)
            && self.customer.as_ref().is_none_or(|customer| *customer == record.customer)
            && self.role.as_ref().is_none_or(|role| *role == record.role)
            && self.status.is_none_or(|status| status == account.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::{News, Sealed, Snapshot, SqliteStore};
    use scopegate_core::account::{GrantState, Granted, HandleTarget, Switch};
    use std::path::Path;

    fn store(folder: &Path) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(folder, Clock::system()).unwrap())
    }

    fn account(number: u8, connector: &str, identifier: &str, customer: &str) -> AccountRecord {
        AccountRecord {
            id: AccountId::from_bytes([number; 16]),
            connector: connector.parse().unwrap(),
            identifier: identifier.parse().unwrap(),
            customer: customer.parse().unwrap(),
            role: "researcher".parse().unwrap(),
            switch: Switch::On,
            grant: None,
            variables: scopegate_core::connector::variables::Variables::new(),
            created_at: Timestamp::from_millis(1),
            updated_at: Timestamp::from_millis(1),
            version: 1,
        }
    }

    fn grant(number: u8, customer: &str, version: u64) -> GrantRecord {
        let facts = GrantFacts {
            id: GrantId::from_bytes([number; 16]),
            connector: "crm".parse().unwrap(),
            customer: customer.parse().unwrap(),
            version,
            state: GrantState::Live,
            granted: Granted::Assumed,
            expires_at: None,
            issued_at: Timestamp::from_millis(1),
            refreshable: true,
            variables: scopegate_core::connector::variables::Variables::new(),
            used_at: Timestamp::from_millis(1),
            created_at: Timestamp::from_millis(1),
        };
        GrantRecord { facts, sealed: Sealed::from_bytes(vec![1, 2, 3]), intent: None }
    }

    fn handle(number: u8, target: HandleTarget, expires_at: Option<Timestamp>) -> HandleRecord {
        HandleRecord {
            id: HandleId::from_bytes([number; 16]),
            digest: HandleDigest([number; 32]),
            customer: "acme".parse().unwrap(),
            target,
            created_at: Timestamp::from_millis(1),
            expires_at,
        }
    }

    /// Three customers' accounts at two connectors.
    async fn crowded(folder: &Path) -> Directory {
        let directory = Directory::open(store(folder)).await.unwrap();
        let accounts = [("crm", "b", "acme"), ("crm", "a", "acme"), ("desk", "a", "acme"), ("crm", "c", "globex"), ("desk", "d", "initech")];
        let changes = accounts
            .iter()
            .zip(1..)
            .map(|((connector, identifier, customer), number)| Change::InsertAccount(account(number, connector, identifier, customer)));
        assert_eq!(directory.apply(changes.collect()).await.unwrap(), Applied::Done);
        directory
    }

    fn names(accounts: &[ConnectedAccount]) -> Vec<String> {
        accounts.iter().map(|account| format!("{}/{}/{}", account.record.customer, account.record.connector, account.record.identifier)).collect()
    }

    #[tokio::test]
    async fn readers_see_a_change_when_its_writer_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(store(folder.path())).await.unwrap();
        let (connector, identifier) = ("crm".parse().unwrap(), "a".parse().unwrap());
        assert!(directory.find(&connector, &identifier).is_none());

        let (mut record, token) = (account(1, "crm", "a", "acme"), grant(7, "acme", 1));
        let _ = directory.apply(vec![Change::InsertAccount(record.clone())]).await.unwrap();
        assert_eq!(directory.find(&connector, &identifier).unwrap().status(), Status::Pending);

        (record.grant, record.version) = (Some(token.facts.id.clone()), 2);
        let _ = directory.apply(vec![Change::UpdateAccount(record.clone()), Change::PutGrant { record: token, expected: None }]).await.unwrap();
        assert_eq!(directory.find(&connector, &identifier).unwrap().status(), Status::Active);
        assert_eq!(directory.by_id(&record.id).unwrap().record.version, 2);

        let _ = directory.apply(vec![Change::DeleteAccount(record.id.clone())]).await.unwrap();
        assert!(directory.find(&connector, &identifier).is_none() && directory.by_id(&record.id).is_none());
    }

    #[tokio::test]
    async fn a_conflict_changes_neither_store_nor_memory() {
        let folder = tempfile::tempdir().unwrap();
        let directory = crowded(folder.path()).await;
        let stale = AccountRecord { version: 7, ..account(1, "crm", "b", "acme") };
        let fresh = account(9, "crm", "z", "acme");
        let changes = vec![Change::InsertAccount(fresh.clone()), Change::UpdateAccount(stale)];
        assert_eq!(directory.apply(changes).await.unwrap(), Applied::Conflict);
        assert!(directory.by_id(&fresh.id).is_none());
        assert!(Directory::open(store(folder.path())).await.unwrap().by_id(&fresh.id).is_none());
    }

    #[tokio::test]
    async fn what_another_process_wrote_arrives_without_being_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (store(folder.path()), Directory::open(store(folder.path())).await.unwrap());
        let (sender, mut arrived) = tokio::sync::mpsc::unbounded_channel();
        here.follow(Box::new(move |news| news.into_iter().for_each(|news| _ = sender.send(news)))).await.unwrap();
        let mut next = async || arrived.recv().await.unwrap();
        let record = account(1, "crm", "a", "acme");
        let _ = there.apply(vec![Change::InsertAccount(record.clone())]).await.unwrap();
        assert!(matches!(next().await, News::Account(told) if told == record));
        let _ = there.apply(vec![Change::DeleteAccount(record.id.clone())]).await.unwrap();
        assert!(matches!(next().await, News::AccountGone(id) if id == record.id));
    }

    #[tokio::test]
    async fn whoever_missed_too_much_holds_what_there_is_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let directory = crowded(folder.path()).await;
        let (kept, fresh) = (account(1, "crm", "b", "acme"), account(9, "crm", "z", "acme"));
        let (shown, token) = (handle(1, HandleTarget::Account(kept.id.clone()), None), grant(7, "acme", 1));
        let _ = directory.apply(vec![Change::PutGrant { record: token.clone(), expected: None }, Change::InsertHandle(shown.clone())]).await.unwrap();
        let snapshot = Snapshot { accounts: vec![kept, fresh], ..Snapshot::default() };
        directory.memory.take_over(vec![News::Everything(snapshot)]);
        assert_eq!(names(&directory.list(&AccountFilter::default(), None, 100).accounts), ["acme/crm/b", "acme/crm/z"]);
        assert!(directory.find(&"desk".parse().unwrap(), &"a".parse().unwrap()).is_none());
        assert!(directory.handle_by_id(&shown.id).is_none() && directory.grant(&token.facts.id).is_none());
    }

    #[tokio::test]
    async fn lists_are_ordered_narrowed_and_paged() {
        let folder = tempfile::tempdir().unwrap();
        let directory = crowded(folder.path()).await;
        let of = |connector: Option<&str>, customer: Option<&str>| AccountFilter {
            connector: connector.map(|name| name.parse().unwrap()),
            customer: customer.map(|name| name.parse().unwrap()),
            ..AccountFilter::default()
        };
        let all = ["acme/crm/a", "acme/crm/b", "acme/desk/a", "globex/crm/c", "initech/desk/d"];
        for (filter, expected) in [
            (of(None, None), &all[..]),
            (of(Some("crm"), None), &[all[0], all[1], all[3]]),
            (of(Some("desk"), None), &[all[2], all[4]]),
            (of(None, Some("acme")), &all[..3]),
            (of(Some("crm"), Some("acme")), &all[..2]),
            (of(Some("desk"), Some("globex")), &[]),
            (AccountFilter { status: Some(Status::Active), ..AccountFilter::default() }, &[]),
        ] {
            assert_eq!(names(&directory.list(&filter, None, 100).accounts), expected, "{filter:?}");
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let page = directory.list(&filter, cursor.as_ref(), 1);
                seen.extend(names(&page.accounts));
                let Some(next) = page.next else { break };
                cursor = Some(next.to_string().parse::<AccountCursor>().unwrap());
            }
            assert_eq!(seen, expected, "{filter:?}, one by one");
        }
    }

    #[tokio::test]
    async fn accounts_are_found_by_identifier_grant_and_customer() {
        let folder = tempfile::tempdir().unwrap();
        let directory = crowded(folder.path()).await;
        let shared = grant(7, "acme", 1);
        let mut changes = vec![Change::PutGrant { record: shared.clone(), expected: None }];
        for (number, identifier) in [(1, "b"), (2, "a")] {
            let record = account(number, "crm", identifier, "acme");
            changes.push(Change::UpdateAccount(AccountRecord { grant: Some(shared.facts.id.clone()), version: 2, ..record }));
        }
        let _ = directory.apply(changes).await.unwrap();
        let identifiers = |records: Vec<Arc<AccountRecord>>| records.iter().map(|record| record.identifier.to_string()).collect::<Vec<_>>();
        assert_eq!(identifiers(directory.sharers(&shared.facts.id)), ["a", "b"]);
        let another = grant(8, "acme", 1);
        let moved = AccountRecord { grant: Some(another.facts.id.clone()), version: 3, ..account(1, "crm", "b", "acme") };
        let changes = vec![Change::PutGrant { record: another.clone(), expected: None }, Change::UpdateAccount(moved.clone())];
        let _ = directory.apply(changes).await.unwrap();
        for grant in [&shared, &another] {
            let reopened = Directory::open(store(folder.path())).await.unwrap();
            for directory in [&directory, &reopened] {
                assert_eq!(directory.sharers(&grant.facts.id).len(), 1, "{}", grant.facts.id);
            }
        }
        let _ = directory.apply(vec![Change::DeleteAccount(moved.id)]).await.unwrap();
        assert!(directory.sharers(&another.facts.id).is_empty());
        assert_eq!(identifiers(directory.holders(&"acme".parse().unwrap(), &"desk".parse().unwrap())), ["a"]);
        assert_eq!(directory.named(&"a".parse().unwrap()).len(), 2);
    }

    #[tokio::test]
    async fn all_who_share_a_grant_find_it_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let directory = crowded(folder.path()).await;
        let (shared, another) = (grant(7, "acme", 1), grant(8, "acme", 5));
        let of = |number, identifier, grant: &GrantRecord, version| {
            News::Account(AccountRecord { grant: Some(grant.facts.id.clone()), version, ..account(number, "crm", identifier, "acme") })
        };
        let versions = || {
            let connector = "crm".parse().unwrap();
            let found = ["a", "b"].map(|identifier| directory.find(&connector, &identifier.parse().unwrap()).unwrap());
            found.map(|account| account.grant.map(|facts| facts.version))
        };
        directory.memory.take_over(vec![of(1, "b", &shared, 2), News::Grant(shared.facts.clone()), of(2, "a", &shared, 2)]);
        assert_eq!(versions(), [Some(1), Some(1)]);
        directory.memory.take_over(vec![News::Grant(grant(7, "acme", 2).facts)]);
        assert_eq!(versions(), [Some(2), Some(2)]);
        directory.memory.take_over(vec![of(1, "b", &another, 3), News::Grant(another.facts.clone())]);
        directory.memory.take_over(vec![News::Grant(grant(7, "acme", 3).facts)]);
        assert_eq!(versions(), [Some(3), Some(5)]);
        directory.memory.take_over(vec![News::GrantGone(shared.facts.id)]);
        assert_eq!(versions(), [None, Some(5)]);
    }

    #[tokio::test]
    async fn a_handle_ends_with_its_time_its_account_or_its_deletion() {
        let folder = tempfile::tempdir().unwrap();
        let directory = crowded(folder.path()).await;
        let account = AccountId::from_bytes([1; 16]);
        let soon = Timestamp::from_millis(1_000);
        let wide = HandleTarget::Identifier("a".parse().unwrap());
        let handles = [handle(1, HandleTarget::Account(account.clone()), None), handle(2, wide.clone(), Some(soon)), handle(3, wide.clone(), None)];
        let _ = directory.apply(handles.iter().cloned().map(Change::InsertHandle).collect()).await.unwrap();
        let alive = |now| [1, 2, 3].map(|number| directory.handle(&HandleDigest([number; 32]), Timestamp::from_millis(now)).is_some());
        assert_eq!((alive(999), alive(1_000)), ([true, true, true], [true, false, true]));
        let _ = directory.apply(vec![Change::DeleteAccount(account), Change::DeleteHandle(HandleId::from_bytes([3; 16]))]).await.unwrap();
        assert_eq!(alive(999), [false, true, false]);
        assert!(directory.handle_by_id(&HandleId::from_bytes([2; 16])).is_some());
        assert_eq!(directory.apply(vec![Change::DeleteHandle(HandleId::from_bytes([3; 16]))]).await.unwrap(), Applied::Conflict);
    }
}
