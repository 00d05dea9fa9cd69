//! Credentials of many accounts at once: all are checked before any is sealed, and whoever stores the accounts stores the grants with them.

use super::Grants;
use super::bring::{BringError, Brought};
use super::install::{Fresh, log};
use super::lives::{habits, known_of};
use crate::store::GrantRecord;
use scopegate_core::account::{AccountRecord, GrantFacts};
use scopegate_core::connector::Connector;
use scopegate_core::refresh::first_wake;
use std::error::Error;

/// A credential that requests of its connector can carry. It is not stored yet.
pub struct Usable(Fresh);

impl Grants {
    /// Checks a credential for an account of `connector`; changes nothing.
    /// # Errors
    /// What [`Grants::bring`] would say.
    pub fn check(&self, connector: &Connector, brought: Brought) -> Result<Usable, BringError> {
        self.0.fresh(connector, brought).map(Usable)
    }

    /// The first grant of `account`, sealed for it and nobody else.
    /// # Errors
    /// [`BringError::Store`] where the vault cannot do it.
    pub async fn first_grant(&self, account: &AccountRecord, credential: &Usable) -> Result<GrantRecord, BringError> {
        let facts = credential.0.facts(account, None, self.0.clock.timestamp());
        let sealed = self.0.seal(&facts, &credential.0.credential).await.map_err(|error| {
            tracing::error!(account = %account.id, error = &error as &dyn Error, "a credential that was brought could not be sealed");
            BringError::Store
        })?;
        Ok(GrantRecord { facts, sealed, intent: None })
    }

    /// Begins to keep a grant fresh that somebody else has stored.
    pub fn keep_fresh(&self, facts: &GrantFacts) {
        log(facts, "connected");
        let habits = habits(self.0.connector(&facts.connector).as_deref());
        let wake = first_wake(&known_of(facts, None), facts.used_at, &habits, self.0.moment());
        if let Some(at) = wake {
            self.0.schedule.begin(&facts.id, at);
        }
    }
}
