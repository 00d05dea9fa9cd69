//! The consent page and its one form.

use super::STATE;
use crate::grants::{Grants, Shared};
use crate::store::{Applied, AuthorizationKey, AuthorizationPhase, AuthorizationRecord, StoreError};
use crate::vault::{Binding, VaultError};
use scopegate_core::account::ConnectedAccount;
use scopegate_core::connector::oauth::Pkce;
use scopegate_core::connector::variables::{Variables, effective};
use scopegate_core::connector::{Connector, Risk};
use scopegate_core::oauth::{AuthorizationRequest, challenge};
use scopegate_core::scope::Scope;
use scopegate_core::secret::Proof;
use scopegate_core::time::Timestamp;
use std::error::Error;
use std::sync::Arc;
use thiserror::Error;
use url::Url;

const TRIES: usize = 4;

/// What the customer reads.
#[derive(Debug)]
pub struct ConsentPage {
    /// Who asks.
    pub account: ConnectedAccount,
    /// Of the API.
    pub title: String,
    /// What becomes possible: of the role's scopes those that the requested provider scopes cover.
    pub asked: Vec<AskedScope>,
    /// What stays impossible.
    pub impossible: Vec<AskedScope>,
    /// When the link ends.
    pub expires_at: Timestamp,
    /// The cookie's value, to be set in the browser: form and callback have to bring it back.
    pub browser: Proof,
}

/// One scope, as the customer reads of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AskedScope {
    /// Its name.
    pub scope: Scope,
    /// The policy author's words.
    pub consent: Option<String>,
    /// How much harm it can do.
    pub risk: Risk,
}

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LinkError {
    /// It never was one, was used, or has ended.
    #[error("the link is unknown, used or over")]
    Unknown,
    /// Another browser opened it last.
    #[error("another browser opened the link last")]
    OtherBrowser,
    /// Policies or settings do not know the API, or its address any more.
    #[error("the API is not set up")]
    Misconfigured,
    /// The store did not take it.
    #[error("the authorization could not be read or kept")]
    Store,
}

impl From<StoreError> for LinkError {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn Error, "an authorization could not be read or kept");
        Self::Store
    }
}

impl From<VaultError> for LinkError {
    fn from(error: VaultError) -> Self {
        tracing::error!(error = &error as &dyn Error, "an authorization could not be sealed");
        Self::Store
    }
}

impl Grants {
    /// The page behind a link. Opening it spends nothing; from now on only this browser can send the form.
    /// # Errors
    /// [`LinkError`], never `OtherBrowser`.
    pub async fn page(&self, link: &Proof, browser: Option<&Proof>) -> Result<ConsentPage, LinkError> {
        let (browser, digest) = match browser {
            Some(known) => (known.clone(), self.0.vault.proof_digest(known)),
            None => self.0.vault.mint_proof(),
        };
        for _ in 0..TRIES {
            let (record, account, connector) = self.0.begun(link).await?;
            let page = self.0.consent_page(&record, account, &connector, browser.clone());
            if record.browser == Some(digest) {
                return Ok(page);
            }
            let (applied, _) = self.0.put_authorization(AuthorizationRecord { browser: Some(digest), ..record }).await?;
            if applied == Applied::Done {
                return Ok(page);
            }
        }
        Err(LinkError::Store)
    }

    /// The form was sent: where the browser goes. The link is used up.
    /// # Errors
    /// [`LinkError`]; only after `Store` and `Misconfigured` the link may still work.
    pub async fn submit(&self, link: &Proof, browser: Option<&Proof>) -> Result<Url, LinkError> {
        let (record, account, connector) = self.0.begun(link).await?;
        let digest = browser.map(|browser| self.0.vault.proof_digest(browser));
        if digest.is_none() || digest != record.browser {
            return Err(LinkError::OtherBrowser);
        }
        let oauth = connector.oauth.as_ref().ok_or(LinkError::Misconfigured)?;
        let page = oauth.authorization_url.as_ref().ok_or(LinkError::Misconfigured)?;
        let client = self.0.provider.registration(&connector).ok_or(LinkError::Misconfigured)?;
        let (state, state_digest) = self.0.vault.mint_proof();
        let (verifier, _) = self.0.vault.mint_proof();
        let challenge = match oauth.pkce {
            Pkce::S256 => Some(challenge(&verifier)),
            Pkce::None => None,
        };
        let variables = effective(&connector.variables, &account.record.variables, &Variables::new(), self.0.provider.plain_http());
        let request = AuthorizationRequest {
            client_id: &client.client_id,
            redirect_uri: &self.0.redirect_uri(&connector.id),
            scopes: &record.requested,
            state: &state,
            challenge: challenge.as_deref(),
        };
        let url = request.url(page, oauth, &variables).map_err(|_| LinkError::Misconfigured)?;
        let sealed = match oauth.pkce {
            Pkce::S256 => {
                let binding = Binding::authorization(&record.connector, &record.customer, &record.id);
                Some(self.0.vault.seal(verifier.reveal().as_bytes(), &binding).await?)
            }
            Pkce::None => None,
        };
        let phase = AuthorizationPhase::Submitted { state: state_digest, verifier: sealed };
        let expires_at = self.0.clock.timestamp().plus(STATE);
        match self.0.put_authorization(AuthorizationRecord { phase, expires_at, ..record }).await? {
            (Applied::Done, _) => Ok(url),
            // Sent twice, or opened elsewhere meanwhile.
            (Applied::Conflict, _) => Err(LinkError::Unknown),
        }
    }
}

impl Shared {
    /// What is behind a link that was not used.
    async fn begun(&self, link: &Proof) -> Result<(AuthorizationRecord, ConnectedAccount, Arc<Connector>), LinkError> {
        let digest = self.vault.proof_digest(link);
        let record = self.authorization(AuthorizationKey::Link(&digest)).await?;
        let record = record.filter(|record| matches!(record.phase, AuthorizationPhase::Begun)).ok_or(LinkError::Unknown)?;
        let account = self.directory.by_id(&record.account).ok_or(LinkError::Unknown)?;
        let connector = self.connector(&record.connector).ok_or(LinkError::Misconfigured)?;
        Ok((record, account, connector))
    }

    fn consent_page(&self, record: &AuthorizationRecord, account: ConnectedAccount, connector: &Connector, browser: Proof) -> ConsentPage {
        let possible = self.possible(record, &account);
        ConsentPage {
            title: connector.title.clone(),
            asked: Self::asked(connector, |scope| possible.contains(scope)),
            impossible: Self::asked(connector, |scope| !possible.contains(scope)),
            expires_at: record.expires_at,
            account,
            browser,
        }
    }

    /// Of the role's scopes those that the requested provider scopes cover.
    pub(super) fn possible(&self, record: &AuthorizationRecord, account: &ConnectedAccount) -> Vec<Scope> {
        let policies = (self.policies)();
        let covered = policies.covered_by(&record.connector, &record.requested.iter().cloned().collect());
        let mut possible = policies.role_scopes(&account.record.role, &record.connector);
        possible.retain(|scope| covered.contains(scope));
        possible
    }
}
