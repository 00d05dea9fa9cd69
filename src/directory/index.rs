//! What administrators ask for: lists in order, accounts of a customer, handles by id.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate_core::account::{AccountRecord, ConnectedAccount, Granted, HandleDigest};
use scopegate_core::id::{AccountId, ConnectorId, CustomerId, GrantId, HandleId, Identifier, RoleName};
use scopegate_core::scope::ProviderScope;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

/// Accounts in the order of lists, and names that many records share.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Each customer's accounts, by connector and identifier. A row of pointers is a tenth of the size of a tree.
    customers: BTreeMap<CustomerId, Vec<Arc<AccountRecord>>>,
    sharers: HashMap<GrantId, Sharers>,
    digests: HashMap<HandleId, HandleDigest>,
    connectors: BTreeSet<ConnectorId>,
    roles: BTreeSet<RoleName>,
    scopes: BTreeSet<ProviderScope>,
}

/// The accounts that use a grant: mostly one.
#[derive(Debug)]
enum Sharers {
    One(AccountId),
    More(Vec<AccountId>),
}

impl Sharers {
    fn ids(&self) -> &[AccountId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::More(ids) => ids,
        }
    }
}

/// Where a list goes on: after this account, which may be gone meanwhile. Its text is opaque and needs no escaping in a URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountCursor {
    customer: CustomerId,
    connector: ConnectorId,
    identifier: Identifier,
}

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a cursor of a list of accounts")]
pub struct InvalidCursor;

impl AccountCursor {
    pub(super) fn of(account: &ConnectedAccount) -> Self {
        let record = &account.record;
        Self { customer: record.customer.clone(), connector: record.connector.clone(), identifier: record.identifier.clone() }
    }
}

impl fmt::Display for AccountCursor {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { customer, connector, identifier } = self;
        to.write_str(&URL_SAFE_NO_PAD.encode(format!("{customer}/{connector}/{identifier}")))
    }
}

impl FromStr for AccountCursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let mut names = text.splitn(3, '/');
        let mut next = || names.next().ok_or(InvalidCursor);
        Ok(Self {
            customer: next()?.parse().map_err(|_| InvalidCursor)?,
            connector: next()?.parse().map_err(|_| InvalidCursor)?,
            identifier: next()?.parse().map_err(|_| InvalidCursor)?,
        })
    }
}

impl Index {
    /// Accounts by customer, connector and identifier, of this connector and customer alone where they are given.
    pub(super) fn after(
        &self,
        connector: Option<&ConnectorId>,
        customer: Option<&CustomerId>,
        cursor: Option<&AccountCursor>,
    ) -> impl Iterator<Item = &Arc<AccountRecord>> {
        let from = customer.or(cursor.map(|cursor| &cursor.customer)).map_or(Bound::Unbounded, Bound::Included);
        let to = customer.map_or(Bound::Unbounded, Bound::Included);
        self.customers.range::<CustomerId, _>((from, to)).flat_map(move |(owner, row)| {
            let seen = match cursor.map(|cursor| (cursor, cursor.customer.cmp(owner))) {
                Some((cursor, Ordering::Equal)) => {
                    row.partition_point(|record| (&record.connector, &record.identifier) <= (&cursor.connector, &cursor.identifier))
                }
                Some((_, Ordering::Greater)) => row.len(),
                Some((_, Ordering::Less)) | None => 0,
            };
            let begin = connector.map_or(0, |connector| row.partition_point(|record| record.connector < *connector)).max(seen);
            row.iter().skip(begin).take_while(move |record| connector.is_none_or(|connector| record.connector == *connector))
        })
    }

    /// All connectors that have, or had, an account.
    pub(super) fn connectors(&self) -> Vec<ConnectorId> {
        self.connectors.iter().cloned().collect()
    }

    pub(super) fn digest(&self, id: &HandleId) -> Option<HandleDigest> {
        self.digests.get(id).copied()
    }

    /// Makes a record share the text of names that are known here.
    pub(super) fn share_names(&mut self, connector: &mut ConnectorId, customer: &mut CustomerId) {
        share(&mut self.connectors, connector);
        if let Some((known, _)) = self.customers.get_key_value(customer) {
            *customer = known.clone();
        }
    }

    pub(super) fn share_role(&mut self, role: &mut RoleName) {
        share(&mut self.roles, role);
    }

    pub(super) fn share_scopes(&mut self, granted: &mut Granted) {
        match granted {
            Granted::Scopes(scopes) => scopes.iter_mut().for_each(|scope| share(&mut self.scopes, scope)),
            Granted::Assumed => {}
        }
    }

    /// Puts an account in, or another version of one that is there.
    pub(super) fn put(&mut self, record: Arc<AccountRecord>) {
        let row = self.customers.entry(record.customer.clone()).or_default();
        let old = match position(row, &record) {
            Ok(at) => row.get_mut(at).map(|old| std::mem::replace(old, Arc::clone(&record))),
            Err(at) => {
                row.insert(at, Arc::clone(&record));
                None
            }
        };
        old.into_iter().for_each(|old| self.unlink(&old));
        self.link(&record);
    }

    pub(super) fn remove(&mut self, record: &AccountRecord) {
        self.unlink(record);
        let Some(row) = self.customers.get_mut(&record.customer) else { return };
        if let Ok(at) = position(row, record)
            && row.get(at).is_some_and(|found| found.id == record.id)
        {
            row.remove(at);
        }
        if row.is_empty() {
            self.customers.remove(&record.customer);
        }
    }

    /// The accounts that use a grant, in no order.
    pub(super) fn sharers(&self, grant: &GrantId) -> &[AccountId] {
        self.sharers.get(grant).map_or(&[], Sharers::ids)
    }

    fn link(&mut self, record: &AccountRecord) {
        let Some(grant) = &record.grant else { return };
        let mut ids = self.sharers.remove(grant).map_or_else(Vec::new, |sharers| sharers.ids().to_vec());
        ids.push(record.id.clone());
        self.set_sharers(grant, ids);
    }

    fn unlink(&mut self, record: &AccountRecord) {
        let Some(grant) = &record.grant else { return };
        let Some(sharers) = self.sharers.remove(grant) else { return };
        self.set_sharers(grant, sharers.ids().iter().filter(|id| **id != record.id).cloned().collect());
    }

    fn set_sharers(&mut self, grant: &GrantId, mut ids: Vec<AccountId>) {
        let sharers = match ids.len() {
            0 => return,
            1 => ids.pop().map(Sharers::One),
            _ => Some(Sharers::More(ids)),
        };
        self.sharers.extend(sharers.map(|sharers| (grant.clone(), sharers)));
    }

    pub(super) fn put_handle(&mut self, id: HandleId, digest: HandleDigest) {
        self.digests.insert(id, digest);
    }

    pub(super) fn remove_handle(&mut self, id: &HandleId) -> Option<HandleDigest> {
        self.digests.remove(id)
    }
}

fn position(row: &[Arc<AccountRecord>], record: &AccountRecord) -> Result<usize, usize> {
    row.binary_search_by(|other| (&other.connector, &other.identifier).cmp(&(&record.connector, &record.identifier)))
}

fn share<T: Clone + Ord>(known: &mut BTreeSet<T>, name: &mut T) {
    match known.get(name) {
        Some(same) => *name = same.clone(),
        None => _ = known.insert(name.clone()),
    }
}
