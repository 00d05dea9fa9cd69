//! The maps that requests read.

use super::index::Index;
use crate::store::{News, Snapshot};
use arc_swap::{ArcSwap, ArcSwapOption};
use foldhash::fast::RandomState;
use papaya::{Equivalent, HashMap};
use scopegate_core::account::{AccountRecord, ConnectedAccount, GrantFacts, HandleDigest, HandleRecord, HandleTarget};
use scopegate_core::id::{AccountId, ConnectorId, GrantId, HandleId, Identifier};
use scopegate_core::time::Timestamp;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::Notify;

/// Everything. What names are kept is the administrators' doing, and ids are of chance: a quick hash does. Only the store's follower changes it, one batch after the other; anybody reads.
#[derive(Debug, Default)]
pub(super) struct Memory {
    by_name: HashMap<Named, (), RandomState>,
    accounts: HashMap<Account, (), RandomState>,
    grants: HashMap<Grant, (), RandomState>,
    handles: HashMap<HandleDigest, Arc<HandleRecord>>,
    /// What administrators ask for; requests do not need it.
    index: RwLock<Index>,
    /// Batches that were taken over.
    batches: AtomicU64,
    /// Told after each of them.
    changed: Notify,
}

/// An account as it stands, found by what an agent names it by. That is the same in every version of its record; so the record is exchanged
/// in its place, and the place is all that the map keeps.
#[derive(Debug)]
struct Named {
    record: ArcSwap<AccountRecord>,
    /// Its grant, at hand, so that a request need not look for it. For a moment it is not the one of the record.
    grant: ArcSwapOption<GrantFacts>,
}

/// The same, found by its id.
#[derive(Debug)]
struct Account(ArcSwap<AccountRecord>);

/// A grant as it stands, found by its id.
#[derive(Debug)]
struct Grant(ArcSwap<GrantFacts>);

/// A name to look up by. Hashes as [`Named`].
#[derive(Eq, Hash, PartialEq)]
struct Name<'a> {
    connector: &'a ConnectorId,
    identifier: &'a Identifier,
}

impl<'a> Name<'a> {
    fn of(record: &'a AccountRecord) -> Self {
        Self { connector: &record.connector, identifier: &record.identifier }
    }
}

impl Equivalent<Named> for Name<'_> {
    fn equivalent(&self, named: &Named) -> bool {
        *self == Name::of(&named.record.load())
    }
}

macro_rules! found_by {
    ($($place:ident.$held:tt, $key:expr;)+) => {$(
        impl Hash for $place {
            fn hash<H: Hasher>(&self, state: &mut H) {
                ($key)(&self.$held.load()).hash(state);
            }
        }

        impl PartialEq for $place {
            fn eq(&self, other: &Self) -> bool {
                ($key)(&self.$held.load()) == ($key)(&other.$held.load())
            }
        }

        impl Eq for $place {}
    )+};
}
found_by! {
    Named.record, Name::of;
    Account.0, |record: &Arc<AccountRecord>| record.id.clone();
    Grant.0, |facts: &Arc<GrantFacts>| facts.id.clone();
}

impl Equivalent<Account> for AccountId {
    fn equivalent(&self, account: &Account) -> bool {
        *self == account.0.load().id
    }
}

impl Equivalent<Grant> for GrantId {
    fn equivalent(&self, grant: &Grant) -> bool {
        *self == grant.0.load().id
    }
}

impl Memory {
    pub(super) fn account_named(&self, connector: &ConnectorId, identifier: &Identifier) -> Option<Arc<AccountRecord>> {
        self.by_name.pin().get_key_value(&Name { connector, identifier }).map(|(named, ())| named.record.load_full())
    }

    /// The account of that name with its grant.
    pub(super) fn named(&self, connector: &ConnectorId, identifier: &Identifier) -> Option<ConnectedAccount> {
        let (record, grant) = {
            let names = self.by_name.pin();
            let (named, ()) = names.get_key_value(&Name { connector, identifier })?;
            (named.record.load_full(), named.grant.load_full())
        };
        if grant.as_ref().map(|facts| &facts.id) == record.grant.as_ref() {
            return Some(ConnectedAccount { record, grant });
        }
        self.with_grant(|memory| memory.account_named(connector, identifier))
    }

    pub(super) fn account(&self, id: &AccountId) -> Option<Arc<AccountRecord>> {
        self.accounts.pin().get_key_value(id).map(|(account, ())| account.0.load_full())
    }

    pub(super) fn grant(&self, id: &GrantId) -> Option<Arc<GrantFacts>> {
        self.grants.pin().get_key_value(id).map(|(grant, ())| grant.0.load_full())
    }

    pub(super) fn handle(&self, digest: &HandleDigest) -> Option<Arc<HandleRecord>> {
        self.handles.pin().get(digest).cloned()
    }

    /// Each account, as it stands at this moment.
    pub(super) fn each_account(&self, mut visit: impl FnMut(ConnectedAccount)) {
        let accounts = self.accounts.pin();
        for account in accounts.keys() {
            let record = account.0.load_full();
            let grant = record.grant.as_ref().and_then(|id| self.grant(id));
            visit(ConnectedAccount { record, grant });
        }
    }

    pub(super) fn each_grant(&self, mut visit: impl FnMut(&Arc<GrantFacts>)) {
        self.grants.pin().keys().for_each(|grant| visit(&grant.0.load()));
    }

    pub(super) fn handles_for(&self, target: &HandleTarget) -> Vec<Arc<HandleRecord>> {
        self.handles.pin().values().filter(|handle| handle.target == *target).cloned().collect()
    }

    pub(super) fn ended_handles(&self, now: Timestamp) -> Vec<HandleId> {
        let ended = |handle: &&Arc<HandleRecord>| handle.expires_at.is_some_and(|end| end <= now);
        self.handles.pin().values().filter(ended).map(|handle| handle.id.clone()).collect()
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account that `find` finds, with its grant.
    pub(super) fn with_grant(&self, find: impl Fn(&Self) -> Option<Arc<AccountRecord>>) -> Option<ConnectedAccount> {
        let mut record = find(self)?;
        loop {
            let grant = record.grant.as_ref().and_then(|id| self.grant(id));
            if grant.is_none() && record.grant.is_some() {
                // Its grant went away since the account was found: the account may have another one.
                let again = find(self)?;
                if !Arc::ptr_eq(&again, &record) {
                    record = again;
                    continue;
                }
            }
            return Some(ConnectedAccount { record, grant });
        }
    }

    /// Another number after each change.
    pub(super) fn age(&self) -> u64 {
        self.batches.load(Ordering::Acquire)
    }

    /// Waits until the age is another one than this.
    pub(super) async fn changed_since(&self, age: u64) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on it hears, also of what happens before it waits.
            changed.as_mut().enable();
            if self.age() != age {
                return;
            }
            changed.await;
        }
    }

    /// Takes one committed batch over. Grants come before accounts that use them, and go after.
    pub(super) fn take_over(&self, mut news: Vec<News>) {
        news.sort_by_key(|news| match news {
            News::Everything(_) => 0,
            News::Grant(_) => 1,
            News::Account(_) | News::Handle(_) => 2,
            News::AccountGone(_) | News::HandleGone(_) => 3,
            News::GrantGone(_) => 4,
        });
        for news in news {
            match news {
                News::Everything(snapshot) => self.replace(snapshot),
                News::Grant(facts) => self.put_grant(facts),
                News::Account(record) => self.put_account(record),
                News::Handle(record) => self.put_handle(record),
                News::AccountGone(id) => self.remove_account(&id),
                News::HandleGone(id) => self.remove_handle(&id),
                News::GrantGone(id) => self.remove_grant(&id),
            }
        }
        self.batches.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
    }

    fn replace(&self, snapshot: Snapshot) {
        let accounts: HashSet<&AccountId> = snapshot.accounts.iter().map(|record| &record.id).collect();
        let gone: Vec<AccountId> =
            self.accounts.pin().keys().map(|account| account.0.load().id.clone()).filter(|id| !accounts.contains(id)).collect();
        let grants: HashSet<&GrantId> = snapshot.grants.iter().map(|facts| &facts.id).collect();
        let ended: Vec<GrantId> = self.grants.pin().keys().map(|grant| grant.0.load().id.clone()).filter(|id| !grants.contains(id)).collect();
        let handles: HashSet<&HandleDigest> = snapshot.handles.iter().map(|record| &record.digest).collect();
        let lost: Vec<HandleId> =
            self.handles.pin().values().filter(|handle| !handles.contains(&handle.digest)).map(|handle| handle.id.clone()).collect();

        snapshot.grants.into_iter().for_each(|facts| self.put_grant(facts));
        snapshot.accounts.into_iter().for_each(|record| self.put_account(record));
        snapshot.handles.into_iter().for_each(|record| self.put_handle(record));
        gone.iter().for_each(|id| self.remove_account(id));
        lost.iter().for_each(|id| self.remove_handle(id));
        ended.iter().for_each(|id| self.remove_grant(id));
    }

    fn put_grant(&self, mut facts: GrantFacts) {
        let mut index = self.index_mut();
        index.share_names(&mut facts.connector, &mut facts.customer);
        index.share_scopes(&mut facts.granted);
        drop(index);
        let facts = Arc::new(facts);
        self.place_with_sharers(&facts.id, Some(&facts));
        let grants = self.grants.pin();
        match grants.get_key_value(&facts.id) {
            Some((grant, ())) => grant.0.store(facts),
            None => drop(grants.insert(Grant(ArcSwap::new(facts)), ())),
        }
    }

    fn put_account(&self, mut record: AccountRecord) {
        let mut index = self.index_mut();
        index.share_names(&mut record.connector, &mut record.customer);
        index.share_role(&mut record.role);
        let grant = record.grant.as_ref().and_then(|id| self.grant(id));
        let record = Arc::new(record);
        let (names, accounts) = (self.by_name.pin(), self.accounts.pin());
        match names.get_key_value(&Name::of(&record)) {
            Some((named, ())) => {
                named.record.store(Arc::clone(&record));
                named.grant.store(grant);
            }
            None => drop(names.insert(Named { record: ArcSwap::new(Arc::clone(&record)), grant: ArcSwapOption::new(grant) }, ())),
        }
        match accounts.get_key_value(&record.id) {
            Some((account, ())) => account.0.store(Arc::clone(&record)),
            None => drop(accounts.insert(Account(ArcSwap::new(Arc::clone(&record))), ())),
        }
        index.put(record);
    }

    /// Leaves the facts of a grant, or nothing, with all accounts that use it.
    fn place_with_sharers(&self, grant: &GrantId, facts: Option<&Arc<GrantFacts>>) {
        let index = self.index();
        let names = self.by_name.pin();
        for record in index.sharers(grant) {
            if let Some((named, ())) = names.get_key_value(&Name::of(record)) {
                named.grant.store(facts.cloned());
            }
        }
    }

    fn remove_grant(&self, id: &GrantId) {
        self.place_with_sharers(id, None);
        self.grants.pin().remove(id);
    }

    fn put_handle(&self, record: HandleRecord) {
        self.index_mut().put_handle(record.id.clone(), record.digest);
        self.handles.pin().insert(record.digest, Arc::new(record));
    }

    fn remove_account(&self, id: &AccountId) {
        let accounts = self.accounts.pin();
        let Some(record) = accounts.remove_entry(id).map(|(account, ())| account.0.load_full()) else { return };
        let names = self.by_name.pin();
        let name = Name::of(&record);
        // The name may have been given to another account in the same batch.
        if names.get_key_value(&name).is_some_and(|(named, ())| named.record.load().id == *id) {
            names.remove(&name);
        }
        self.index_mut().remove(&record);
    }

    fn remove_handle(&self, id: &HandleId) {
        if let Some(digest) = self.index_mut().remove_handle(id) {
            self.handles.pin().remove(&digest);
        }
    }
}
