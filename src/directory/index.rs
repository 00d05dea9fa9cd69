//! What administrators ask for: lists in order, accounts of a customer, handles by id.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate_core::account::{AccountRecord, ConnectedAccount, Granted, GrantedScopes, HandleDigest};
use scopegate_core::id::{ConnectorId, CustomerId, GrantId, HandleId, Identifier, RoleName};
use scopegate_core::scope::ProviderScope;
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

/// Names beyond so many are not shared any more: what comes in ever new kinds would only fill memory.
const SHARED: usize = 10_000;

/// Accounts in the order of lists, and names that many records share. A tree of pointers takes some 14 bytes an account.
#[derive(Debug, Default)]
pub(super) struct Index {
    listed: BTreeSet<Listed>,
    using: BTreeSet<Using>,
    digests: HashMap<HandleId, HandleDigest>,
    connectors: BTreeSet<ConnectorId>,
    customers: BTreeSet<CustomerId>,
    roles: BTreeSet<RoleName>,
    scopes: BTreeSet<ProviderScope>,
    granted: BTreeSet<GrantedScopes>,
}

/// What a tree of accounts is ordered by, and looked up by.
type Key<'a> = [&'a [u8]; 3];

trait Keyed {
    fn key(&self) -> Key<'_>;
}

impl Keyed for Key<'_> {
    fn key(&self) -> Key<'_> {
        *self
    }
}

/// By customer, connector and identifier.
#[derive(Debug)]
struct Listed(Arc<AccountRecord>);

impl Keyed for Listed {
    fn key(&self) -> Key<'_> {
        let AccountRecord { customer, connector, identifier, .. } = &*self.0;
        [customer.as_str().as_bytes(), connector.as_str().as_bytes(), identifier.as_str().as_bytes()]
    }
}

/// By the grant that it uses.
#[derive(Debug)]
struct Using(Arc<AccountRecord>);

impl Keyed for Using {
    fn key(&self) -> Key<'_> {
        [self.0.grant.as_ref().map_or(&[], |grant| grant.as_bytes()), self.0.id.as_bytes(), &[]]
    }
}

macro_rules! ordered_by_key {
    ($($name:ty),+) => {$(
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key() == other.key()
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.key().cmp(&other.key())
            }
        }
    )+};
}
ordered_by_key!(Listed, Using, dyn Keyed + '_);

impl<'a> Borrow<dyn Keyed + 'a> for Listed {
    fn borrow(&self) -> &(dyn Keyed + 'a) {
        self
    }
}

impl<'a> Borrow<dyn Keyed + 'a> for Using {
    fn borrow(&self) -> &(dyn Keyed + 'a) {
        self
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

    fn key(&self) -> Key<'_> {
        [self.customer.as_str().as_bytes(), self.connector.as_str().as_bytes(), self.identifier.as_str().as_bytes()]
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
        // Within a customer, a connector's accounts stand side by side.
        let within = customer.and(connector);
        let first = [customer.map_or("", CustomerId::as_str), within.map_or("", ConnectorId::as_str), ""].map(str::as_bytes);
        let seen = cursor.map(AccountCursor::key).filter(|seen| *seen >= first);
        let from = seen.as_ref().map_or(Bound::Included(&first as &dyn Keyed), |seen| Bound::Excluded(seen));
        let (customer, within, connector) = (customer.cloned(), within.cloned(), connector.cloned());
        self.listed
            .range::<dyn Keyed, _>((from, Bound::Unbounded))
            .map(|Listed(record)| record)
            .take_while(move |record| {
                customer.as_ref().is_none_or(|customer| record.customer == *customer)
                    && within.as_ref().is_none_or(|connector| record.connector == *connector)
            })
            .filter(move |record| connector.as_ref().is_none_or(|connector| record.connector == *connector))
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
        share(&mut self.connectors, connector, usize::MAX);
        share(&mut self.customers, customer, usize::MAX);
    }

    pub(super) fn share_role(&mut self, role: &mut RoleName) {
        share(&mut self.roles, role, SHARED);
    }

    pub(super) fn share_scopes(&mut self, granted: &mut Granted) {
        let Granted::Scopes(scopes) = granted else { return };
        if !self.granted.contains(scopes) {
            let shared = scopes.iter().cloned().map(|mut scope| {
                share(&mut self.scopes, &mut scope, SHARED);
                scope
            });
            *scopes = shared.collect();
        }
        share(&mut self.granted, scopes, SHARED);
    }

    /// Puts an account in, or another version of one that is there.
    pub(super) fn put(&mut self, record: Arc<AccountRecord>) {
        if let Some(Listed(old)) = self.listed.replace(Listed(Arc::clone(&record))) {
            self.using.remove(&Using(old));
        }
        if record.grant.is_some() {
            self.using.insert(Using(record));
        }
    }

    pub(super) fn remove(&mut self, record: &Arc<AccountRecord>) {
        self.using.remove(&Using(Arc::clone(record)));
        let place = Listed(Arc::clone(record));
        // The place may have been given to another account in the same batch.
        if self.listed.get(&place).is_some_and(|Listed(found)| found.id == record.id) {
            self.listed.remove(&place);
        }
        if self.after(None, Some(&record.customer), None).next().is_none() {
            self.customers.remove(&record.customer);
        }
    }

    /// The accounts that use a grant, in no order.
    pub(super) fn sharers(&self, grant: &GrantId) -> impl Iterator<Item = &Arc<AccountRecord>> {
        let first: Key<'_> = [grant.as_bytes(), &[], &[]];
        let from = Bound::Included(&first as &dyn Keyed);
        let using = self.using.range::<dyn Keyed, _>((from, Bound::Unbounded)).map(|Using(record)| record);
        using.take_while(move |record| record.grant.as_ref() == Some(grant))
    }

    pub(super) fn put_handle(&mut self, id: HandleId, digest: HandleDigest) {
        self.digests.insert(id, digest);
    }

    pub(super) fn remove_handle(&mut self, id: &HandleId) -> Option<HandleDigest> {
        self.digests.remove(id)
    }
}

fn share<T: Clone + Ord>(known: &mut BTreeSet<T>, name: &mut T, most: usize) {
    match known.get(name) {
        Some(same) => *name = same.clone(),
        None if known.len() < most => _ = known.insert(name.clone()),
        None => {}
    }
}
