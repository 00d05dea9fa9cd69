//! Credentials on their way into the vault and out of it.

use super::Shared;
use super::opened::OpenedGrant;
use super::seat::Seat;
use crate::store::{GrantRecord, Sealed, StoreError};
use crate::vault::{Binding, VaultError};
use scopegate_core::account::{Credential, GrantFacts};
use scopegate_core::id::{AccountId, GrantId};
use std::error::Error;
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// A credential could not be kept or found.
#[derive(Debug, Error)]
pub(super) enum KeepError {
    /// The store's failure.
    #[error("the store could not serve grant {grant}")]
    Store {
        /// Which.
        grant: GrantId,
        /// Why.
        #[source]
        cause: StoreError,
    },
    /// The store's failure with an account.
    #[error("the store could not serve account {account}")]
    Account {
        /// Which.
        account: AccountId,
        /// Why.
        #[source]
        cause: StoreError,
    },
    /// The vault's failure.
    #[error("the vault could not serve grant {grant}")]
    Vault {
        /// Which.
        grant: GrantId,
        /// Why.
        #[source]
        cause: VaultError,
    },
    /// Others changed it at every try.
    #[error("grant {grant} changed at every try")]
    Restless {
        /// Which.
        grant: GrantId,
    },
    /// Others changed it at every try.
    #[error("account {account} changed at every try")]
    Unsettled {
        /// Which.
        account: AccountId,
    },
    /// What was sealed is no credential.
    #[error("the record of grant {grant} holds no credential")]
    Shape {
        /// Which.
        grant: GrantId,
    },
}

impl Shared {
    /// Seals `credential` for exactly these facts.
    pub(super) async fn seal(&self, facts: &GrantFacts, credential: &Credential) -> Result<Sealed, KeepError> {
        let grant = || facts.id.clone();
        let plain = serde_json::to_vec(credential).map(Zeroizing::new).map_err(|_| KeepError::Shape { grant: grant() })?;
        self.vault.seal(&plain, &Binding::grant(facts)).await.map_err(|cause| KeepError::Vault { grant: grant(), cause })
    }

    /// Seals nothing: what a grant keeps whose secrets are worth nothing any more.
    pub(super) async fn seal_nothing(&self, facts: &GrantFacts) -> Result<Sealed, KeepError> {
        self.vault.seal(b"", &Binding::grant(facts)).await.map_err(|cause| KeepError::Vault { grant: facts.id.clone(), cause })
    }

    /// Opens a record; none where nothing was sealed.
    pub(super) async fn unseal(&self, record: &GrantRecord) -> Result<Option<Credential>, KeepError> {
        let grant = || record.facts.id.clone();
        let plain = self.vault.unseal(&record.sealed, &Binding::grant(&record.facts)).await;
        let plain = plain.map_err(|cause| KeepError::Vault { grant: grant(), cause })?;
        if plain.is_empty() {
            return Ok(None);
        }
        serde_json::from_slice(&plain).map(Some).map_err(|_| KeepError::Shape { grant: grant() })
    }

    /// Opens a record whose grant ends; none also where it does not open: what nobody can use nobody can revoke at the provider
    /// either, and it keeps nothing from ending here.
    pub(super) async fn unseal_the_last_time(&self, record: &GrantRecord) -> Result<Option<Credential>, KeepError> {
        match self.unseal(record).await {
            Err(error @ (KeepError::Shape { .. } | KeepError::Vault { cause: VaultError::DoesNotOpen { .. }, .. })) => {
                tracing::error!(
                    connector = %record.facts.connector, grant = %record.facts.id, error = &error as &dyn Error,
                    "a grant ends whose credential cannot be opened: the provider is not told, and may still honour it"
                );
                Ok(None)
            }
            other => other,
        }
    }

    /// The record of a grant as it stands in the store.
    pub(super) async fn record(&self, grant: &GrantId) -> Result<Option<GrantRecord>, KeepError> {
        self.directory.sealed(grant).await.map_err(|cause| KeepError::Store { grant: grant.clone(), cause })
    }

    /// Opens the token set of exactly this version, and keeps it; none where the record has another by now.
    pub(super) async fn open(&self, grant: &GrantId, seat: &Arc<Seat>, version: u64) -> Result<Option<Arc<OpenedGrant>>, KeepError> {
        let Some(record) = self.record(grant).await?.filter(|record| record.facts.version == version) else { return Ok(None) };
        let Some(credential) = self.unseal(&record).await? else { return Ok(None) };
        let opened = OpenedGrant::new(self.shared_facts(record.facts), credential);
        self.opened.put(seat, &opened);
        Ok(Some(opened))
    }

    /// The same facts, as the directory has them where it has them.
    pub(super) fn shared_facts(&self, facts: GrantFacts) -> Arc<GrantFacts> {
        self.directory.grant(&facts.id).filter(|known| known.version == facts.version).unwrap_or_else(|| Arc::new(facts))
    }
}
