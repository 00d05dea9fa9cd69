//! The application's word on a finished authorization.

use crate::grants::Grants;
use crate::grants::install::{Fresh, InstallError};
use crate::store::{AuthorizationKey, AuthorizationPhase, AuthorizationRecord, GrantRecord};
use scopegate_core::account::ConnectedAccount;
use scopegate_core::id::{AccountId, AuthorizationId};
use std::error::Error;
use thiserror::Error;

/// Why nothing was confirmed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ConfirmError {
    /// No authorization of this account waits under this id.
    #[error("nothing waits to be confirmed")]
    NothingWaits,
    /// The store did not take it.
    #[error("the confirmation could not be kept")]
    Store,
}

impl Grants {
    /// Lets a finished authorization of `account` take effect, once.
    /// # Errors
    /// [`ConfirmError`]; after `Store` it still waits.
    pub async fn confirm(&self, account: &AccountId, id: &AuthorizationId) -> Result<ConnectedAccount, ConfirmError> {
        let record = self.0.authorization(AuthorizationKey::Id(id)).await.map_err(|error| unkept(id, &error))?;
        let record = record.filter(|record| record.account == *account).ok_or(ConfirmError::NothingWaits)?;
        let AuthorizationPhase::AwaitingConfirmation { grant } = &record.phase else { return Err(ConfirmError::NothingWaits) };
        let GrantRecord { facts, .. } = grant.as_ref();
        let credential = self.0.unseal(grant).await.map_err(|error| unkept(id, &error))?.ok_or(ConfirmError::NothingWaits)?;
        let fresh = Fresh {
            credential,
            granted: facts.granted.clone(),
            issued_at: facts.issued_at,
            lifetime: facts.expires_at.map(|end| end.since(facts.issued_at)),
            variables: facts.variables.clone(),
        };
        let version = record.version;
        let spent = AuthorizationRecord { phase: AuthorizationPhase::Spent, version: version.saturating_add(1), ..record };
        self.0.install(account, fresh, Some((spent, version))).await.map_err(|error| match error {
            InstallError::Keep(error) => unkept(id, &error),
            // Confirmed twice at once, or the account is gone.
            InstallError::Gone { .. } | InstallError::Restless { .. } => ConfirmError::NothingWaits,
        })
    }
}

fn unkept(id: &AuthorizationId, error: &(dyn Error + 'static)) -> ConfirmError {
    tracing::error!(authorization = %id, error, "a confirmation could not be kept");
    ConfirmError::Store
}
