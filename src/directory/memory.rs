//! The maps that requests read.

use super::index::Index;
use crate::store::{News, Snapshot};
use papaya::{Equivalent, HashMap};
use scopegate_core::account::{AccountRecord, ConnectedAccount, GrantFacts, HandleDigest, HandleRecord, HandleTarget};
use scopegate_core::id::{AccountId, ConnectorId, GrantId, HandleId, Identifier};
use scopegate_core::time::Timestamp;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Everything. Only the store's follower changes it, one batch after the other; anybody reads.
#[derive(Debug, Default)]
pub(super) struct Memory {
    by_name: HashMap<Named, Arc<AccountRecord>>,
    accounts: HashMap<AccountId, Arc<AccountRecord>>,
    grants: HashMap<GrantId, Arc<GrantFacts>>,
    handles: HashMap<HandleDigest, Arc<HandleRecord>>,
    /// What administrators ask for; requests do not need it.
    index: RwLock<Index>,
    /// Batches that were taken over.
    batches: AtomicU64,
}

/// An account by what an agent names it by. Names do not change, so that any version of its record will do.
#[derive(Debug)]
struct Named(Arc<AccountRecord>);

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

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Name::of(&self.0).hash(state);
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        Name::of(&self.0) == Name::of(&other.0)
    }
}

impl Eq for Named {}

impl Equivalent<Named> for Name<'_> {
    fn equivalent(&self, named: &Named) -> bool {
        *self == Name::of(&named.0)
    }
}

impl Memory {
    pub(super) fn account_named(&self, connector: &ConnectorId, identifier: &Identifier) -> Option<Arc<AccountRecord>> {
        self.by_name.pin().get(&Name { connector, identifier }).cloned()
    }

    pub(super) fn account(&self, id: &AccountId) -> Option<Arc<AccountRecord>> {
        self.accounts.pin().get(id).cloned()
    }

    pub(super) fn grant(&self, id: &GrantId) -> Option<Arc<GrantFacts>> {
        self.grants.pin().get(id).cloned()
    }

    pub(super) fn handle(&self, digest: &HandleDigest) -> Option<Arc<HandleRecord>> {
        self.handles.pin().get(digest).cloned()
    }

    /// Each account, as it stands at this moment.
    pub(super) fn each_account(&self, mut visit: impl FnMut(ConnectedAccount)) {
        let accounts = self.accounts.pin();
        for record in accounts.values() {
            let grant = record.grant.as_ref().and_then(|id| self.grant(id));
            visit(ConnectedAccount { record: Arc::clone(record), grant });
        }
    }

    pub(super) fn each_grant(&self, visit: impl FnMut(&Arc<GrantFacts>)) {
        self.grants.pin().values().for_each(visit);
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
                News::GrantGone(id) => {
                    self.grants.pin().remove(&id);
                }
            }
        }
        self.batches.fetch_add(1, Ordering::Release);
    }

    fn replace(&self, snapshot: Snapshot) {
        let accounts: HashSet<&AccountId> = snapshot.accounts.iter().map(|record| &record.id).collect();
        let gone: Vec<AccountId> = self.accounts.pin().keys().filter(|id| !accounts.contains(id)).cloned().collect();
        let grants: HashSet<&GrantId> = snapshot.grants.iter().map(|facts| &facts.id).collect();
        let ended: Vec<GrantId> = self.grants.pin().keys().filter(|id| !grants.contains(id)).cloned().collect();
        let handles: HashSet<&HandleDigest> = snapshot.handles.iter().map(|record| &record.digest).collect();
        let lost: Vec<HandleId> =
            self.handles.pin().values().filter(|handle| !handles.contains(&handle.digest)).map(|handle| handle.id.clone()).collect();

        snapshot.grants.into_iter().for_each(|facts| self.put_grant(facts));
        snapshot.accounts.into_iter().for_each(|record| self.put_account(record));
        snapshot.handles.into_iter().for_each(|record| self.put_handle(record));
        gone.iter().for_each(|id| self.remove_account(id));
        lost.iter().for_each(|id| self.remove_handle(id));
        ended.iter().for_each(|id| _ = self.grants.pin().remove(id));
    }

    fn put_grant(&self, mut facts: GrantFacts) {
        let mut index = self.index_mut();
        index.share_names(&mut facts.connector, &mut facts.customer);
        index.share_scopes(&mut facts.granted);
        drop(index);
        self.grants.pin().insert(facts.id.clone(), Arc::new(facts));
    }

    fn put_account(&self, mut record: AccountRecord) {
        let mut index = self.index_mut();
        index.share_names(&mut record.connector, &mut record.customer);
        index.share_role(&mut record.role);
        let record = Arc::new(record);
        self.by_name.pin().insert(Named(Arc::clone(&record)), Arc::clone(&record));
        self.accounts.pin().insert(record.id.clone(), Arc::clone(&record));
        index.put(record);
    }

    fn put_handle(&self, record: HandleRecord) {
        self.index_mut().put_handle(record.id.clone(), record.digest);
        self.handles.pin().insert(record.digest, Arc::new(record));
    }

    fn remove_account(&self, id: &AccountId) {
        let accounts = self.accounts.pin();
        let Some(record) = accounts.remove(id) else { return };
        let names = self.by_name.pin();
        let name = Name::of(record);
        // The name may have been given to another account in the same batch.
        if names.get(&name).is_some_and(|named| named.id == *id) {
            names.remove(&name);
        }
        self.index_mut().remove(record);
    }

    fn remove_handle(&self, id: &HandleId) {
        if let Some(digest) = self.index_mut().remove_handle(id) {
            self.handles.pin().remove(&digest);
        }
    }
}
