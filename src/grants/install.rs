//! Another credential takes the place of what an account had, for all that share it.

use super::Shared;
use super::opened::OpenedGrant;
use super::sealing::KeepError;
use crate::chance;
use crate::store::{Applied, AuthorizationRecord, Change, GrantRecord};
use scopegate_core::account::{AccountRecord, ConnectedAccount, Credential, GrantFacts, GrantState, Granted};
use scopegate_core::connector::variables::Variables;
use scopegate_core::id::{AccountId, GrantId};
use scopegate_core::refresh::Event;
use scopegate_core::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// How often a swap is tried again because somebody else changed account or grant meanwhile.
const TRIES: usize = 8;

/// A credential that is to take effect.
pub(super) struct Fresh {
    pub(super) credential: Credential,
    pub(super) granted: Granted,
    pub(super) issued_at: Timestamp,
    pub(super) lifetime: Option<Duration>,
    pub(super) variables: Variables,
}

/// A credential did not take effect.
#[derive(Debug, Error)]
pub(super) enum InstallError {
    /// Store or vault.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The account was deleted meanwhile.
    #[error("account {account} is gone")]
    Gone {
        /// Which.
        account: AccountId,
    },
    /// Others changed it at every try, or the authorization was used elsewhere.
    #[error("account {account} changed at every try")]
    Restless {
        /// Which.
        account: AccountId,
    },
}

impl Fresh {
    /// The facts of the grant that it becomes: a first one, or the next version of the one that is there.
    pub(super) fn facts(&self, account: &AccountRecord, old: Option<&GrantFacts>, now: Timestamp) -> GrantFacts {
        GrantFacts {
            id: old.map_or_else(|| GrantId::from_bytes(chance::bytes()), |old| old.id.clone()),
            connector: account.connector.clone(),
            customer: account.customer.clone(),
            version: old.map_or(1, |old| old.version.saturating_add(1)),
            state: GrantState::Live,
            granted: self.granted.clone(),
            expires_at: self.lifetime.map(|lifetime| self.issued_at.plus(lifetime)),
            issued_at: self.issued_at,
            refreshable: self.credential.refresh().is_some(),
            variables: self.variables.clone(),
            used_at: now,
            created_at: now,
        }
    }
}

/// One line for each change of a grant's state.
pub(super) fn log(facts: &GrantFacts, change: &'static str) {
    tracing::info!(connector = %facts.connector, customer = %facts.customer, grant = %facts.id, version = facts.version, "{change}");
}

impl Shared {
    /// Swaps, all or nothing: the old credential works until the new one is durable. `authorization` is written along with it.
    pub(super) async fn install(
        self: &Arc<Self>,
        account: &AccountId,
        fresh: Fresh,
        authorization: Option<(AuthorizationRecord, u64)>,
    ) -> Result<ConnectedAccount, InstallError> {
        let gone = || InstallError::Gone { account: account.clone() };
        for _ in 0..TRIES {
            let current = self.directory.by_id(account).ok_or_else(gone)?;
            let now = self.clock.timestamp();
            let facts = fresh.facts(&current.record, current.grant.as_deref(), now);
            let sealed = self.seal(&facts, &fresh.credential).await?;
            let record = GrantRecord { facts: facts.clone(), sealed, intent: None };
            let expected = current.grant.as_ref().map(|grant| grant.version);
            let connected = AccountRecord {
                grant: Some(facts.id.clone()),
                updated_at: now,
                version: current.record.version.saturating_add(1),
                ..AccountRecord::clone(&current.record)
            };
            let mut changes = vec![Change::PutGrant { record, expected }, Change::UpdateAccount(connected)];
            changes.extend(authorization.clone().map(|(record, expected)| Change::PutAuthorization { record, expected: Some(expected) }));
            match self.directory.apply(changes).await.map_err(|cause| KeepError::Store { grant: facts.id.clone(), cause })? {
                Applied::Done => {
                    log(&facts, "connected");
                    let seat = self.step(&facts, Event::Learned(super::lives::known_of(&facts, None)));
                    self.opened.put(&seat, &OpenedGrant::new(self.shared_facts(facts), fresh.credential));
                    return self.directory.by_id(account).ok_or_else(gone);
                }
                Applied::Conflict => {}
            }
        }
        Err(InstallError::Restless { account: account.clone() })
    }
}
