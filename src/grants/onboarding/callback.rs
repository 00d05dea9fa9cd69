//! The provider sent the browser back.

use super::{AskedScope, CONFIRMATION};
use crate::grants::bring::missing;
use crate::grants::flight::lifetime;
use crate::grants::install::{Fresh, InstallError};
use crate::grants::provider::{ProviderFault, Urgency};
use crate::grants::sealing::KeepError;
use crate::grants::{Grants, Shared};
use crate::store::{Applied, AuthorizationKey, AuthorizationPhase, AuthorizationRecord, Confirmation, GrantRecord, StoreError};
use crate::vault::Binding;
use scopegate_core::account::{ConnectedAccount, Credential, GrantFacts, Granted, TokenSet};
use scopegate_core::connector::Connector;
use scopegate_core::connector::oauth::OAuth;
use scopegate_core::connector::variables::{Variables, effective};
use scopegate_core::id::ConnectorId;
use scopegate_core::oauth::{Callback, CallbackAnswer, TokenFault, Tokens, Told};
use scopegate_core::scope::Scope;
use scopegate_core::secret::Proof;
use std::error::Error;
use std::sync::Arc;
use thiserror::Error;
use url::Url;

/// How an authorization ended; its state is spent.
#[derive(Debug)]
pub struct Finished {
    /// The account, as it stands after it.
    pub account: ConnectedAccount,
    /// Of the API.
    pub title: String,
    /// Where the application wants the browser.
    pub return_to: Option<Url>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an authorization.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The account is connected.
    Connected {
        /// What was asked and not granted.
        missing: Vec<AskedScope>,
        /// What somebody should know.
        warnings: Vec<Warning>,
    },
    /// All went well; the application has to confirm.
    AwaitsConfirmation,
    /// The customer said no.
    Declined,
    /// The customer agreed to nothing that was asked.
    NothingGranted,
    /// It failed; the account is as it was.
    Failed(OutcomeFault),
}

/// What somebody should know about a new grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Warning {
    /// It ends with its access token: the provider issued no refresh token.
    NoRefreshToken,
}

/// Why an authorization failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OutcomeFault {
    /// The provider did not give a usable answer.
    Provider,
    /// The provider does not take us, or policies and settings do not have what is needed.
    Misconfigured,
    /// What came with the answer has no legal value for this variable.
    Variable(String),
}

/// Why a callback is not taken.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum CallbackError {
    /// Its state never was one, was spent, or has ended.
    #[error("the state is unknown, spent or over")]
    Unknown,
    /// Another browser began it.
    #[error("another browser began the authorization")]
    OtherBrowser,
    /// The store did not take it.
    #[error("the authorization could not be read or kept")]
    Store,
}

impl From<StoreError> for CallbackError {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn Error, "an authorization could not be read or kept");
        Self::Store
    }
}

impl From<KeepError> for CallbackError {
    fn from(error: KeepError) -> Self {
        tracing::error!(error = &error as &dyn Error, "a new grant could not be kept");
        Self::Store
    }
}

/// An authorization whose state was spent just now.
struct Spent {
    record: AuthorizationRecord,
    account: ConnectedAccount,
    connector: Arc<Connector>,
    verifier: Option<Proof>,
}

impl Grants {
    /// Takes a callback, once. The code is exchanged to the end even if the browser leaves.
    /// # Errors
    /// [`CallbackError`]; whatever it is, a state that was known is spent.
    pub async fn callback(&self, connector: &ConnectorId, query: &str, browser: Option<&Proof>) -> Result<Finished, CallbackError> {
        let callback = Callback::read(query);
        let (shared, connector, browser) = (Arc::clone(&self.0), connector.clone(), browser.cloned());
        let finishing = self.0.tasks.spawn("callback", async move {
            let spent = shared.spend(&connector, &callback, browser.as_ref()).await?;
            let outcome = shared.finish(&spent, &callback).await?;
            let account = shared.directory.by_id(&spent.account.record.id).unwrap_or(spent.account);
            let return_to = spent.record.return_to.as_deref().and_then(|text| Url::parse(text).ok());
            tracing::info!(
                connector = %connector, customer = %account.record.customer, account = %account.record.id,
                authorization = %spent.record.id, outcome = outcome.word(), "an authorization ended"
            );
            Ok(Finished { account, title: spent.connector.title.clone(), return_to, outcome })
        });
        finishing.await.unwrap_or(Err(CallbackError::Store))
    }
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::AwaitsConfirmation => "awaits_confirmation",
            Self::Declined => "declined",
            Self::NothingGranted => "nothing_granted",
            Self::Failed(OutcomeFault::Provider) => "provider_failed",
            Self::Failed(OutcomeFault::Misconfigured) => "misconfigured",
            Self::Failed(OutcomeFault::Variable(_)) => "variable_refused",
        }
    }
}

impl Shared {
    /// Spends the state, before anything else is made of the callback.
    async fn spend(&self, connector: &ConnectorId, callback: &Callback, browser: Option<&Proof>) -> Result<Spent, CallbackError> {
        let state = callback.state.as_ref().map(|state| self.vault.proof_digest(state)).ok_or(CallbackError::Unknown)?;
        let record = self.authorization(AuthorizationKey::State(&state)).await?.ok_or(CallbackError::Unknown)?;
        let AuthorizationPhase::Submitted { verifier, .. } = &record.phase else { return Err(CallbackError::Unknown) };
        let verifier = verifier.clone();
        let (applied, record) = self.put_authorization(AuthorizationRecord { phase: AuthorizationPhase::Spent, ..record }).await?;
        if applied == Applied::Conflict || record.connector != *connector {
            return Err(CallbackError::Unknown);
        }
        let cookie = browser.map(|browser| self.vault.proof_digest(browser));
        if cookie.is_none() || cookie != record.browser {
            return Err(CallbackError::OtherBrowser);
        }
        let account = self.directory.by_id(&record.account).ok_or(CallbackError::Unknown)?;
        let connector = self.connector(connector).ok_or(CallbackError::Unknown)?;
        let verifier = match verifier {
            Some(sealed) => {
                let binding = Binding::authorization(&record.connector, &record.customer, &record.id);
                let plain = self.vault.unseal(&sealed, &binding).await.map_err(|error| {
                    tracing::error!(authorization = %record.id, error = &error as &dyn Error, "a verifier could not be opened");
                    CallbackError::Store
                })?;
                Some(Proof::new(String::from_utf8_lossy(&plain).into_owned()))
            }
            None => None,
        };
        Ok(Spent { record, account, connector, verifier })
    }

    async fn finish(self: &Arc<Self>, spent: &Spent, callback: &Callback) -> Result<Outcome, CallbackError> {
        let Some(oauth) = &spent.connector.oauth else { return Ok(Outcome::Failed(OutcomeFault::Misconfigured)) };
        let variables = effective(&spent.connector.variables, &spent.account.record.variables, &Variables::new(), self.provider.plain_http());
        if let Err(fault) = callback.judge_issuer(oauth, &variables) {
            tracing::error!(connector = %spent.connector.id, authorization = %spent.record.id, error = &fault as &dyn Error, "a callback was refused");
            return Ok(Outcome::Failed(OutcomeFault::Provider));
        }
        let code = match &callback.answer {
            CallbackAnswer::Code(code) => code,
            CallbackAnswer::Declined => return Ok(Outcome::Declined),
            CallbackAnswer::Failed | CallbackAnswer::Unreadable => return Ok(Outcome::Failed(OutcomeFault::Provider)),
        };
        let Some(_place) = self.provider.place(&spent.connector, Urgency::Now).await else {
            return Ok(Outcome::Failed(OutcomeFault::Provider));
        };
        let sent_at = self.clock.timestamp();
        let redirect_uri = self.redirect_uri(&spent.connector.id);
        let tokens = match self.provider.exchange(&spent.connector, oauth, &variables, (code, spent.verifier.as_ref()), &redirect_uri).await {
            Ok(tokens) => tokens,
            Err(fault) => return Ok(Outcome::Failed(blamed(&fault))),
        };
        let set = TokenSet { access: tokens.access.clone(), refresh: tokens.refresh.clone() };
        let variables = match self.learn(spent, oauth, callback, &tokens, &set).await {
            Ok(variables) => variables,
            Err(fault) => return Ok(self.thrown_away(spent, set, Outcome::Failed(fault))),
        };
        let asked = spent.record.requested.clone();
        let granted = tokens.scope.clone().unwrap_or_else(|| asked.clone());
        let nothing = granted.is_empty() && !asked.is_empty();
        let granted = Granted::of(granted);
        if nothing || self.is_useless(spent, &granted) {
            return Ok(self.thrown_away(spent, set, Outcome::NothingGranted));
        }
        let lifetime = lifetime(oauth, &tokens);
        let credential = Credential::Tokens(set.clone());
        let fresh = Fresh { credential, granted, issued_at: sent_at, lifetime, variables };
        match spent.record.confirmation {
            Confirmation::Needed => self.put_aside(spent, &fresh).await,
            Confirmation::NotNeeded => self.connect(spent, fresh, set).await,
        }
    }

    /// What token answer, callback and lookup say of the connector's variables; all that have no default must be told.
    async fn learn(&self, spent: &Spent, oauth: &OAuth, callback: &Callback, tokens: &Tokens, set: &TokenSet) -> Result<Variables, OutcomeFault> {
        let (connector, plain_http) = (&spent.connector, self.provider.plain_http());
        let mut values = accepted(connector, &tokens.told)?;
        values.extend(accepted(connector, &callback.variables(&connector.variables, plain_http))?);
        let known = effective(&connector.variables, &spent.account.record.variables, &values, plain_http);
        let looked_up = self.provider.look_up(connector, oauth, &known, &Credential::Tokens(set.clone())).await.map_err(|fault| {
            tracing::warn!(connector = %connector.id, error = &fault as &dyn Error, "the lookup after consent failed");
            OutcomeFault::Provider
        })?;
        values.extend(accepted(connector, &looked_up)?);
        match missing(connector, &values) {
            Some(name) => Err(OutcomeFault::Variable(name.clone())),
            None => Ok(values),
        }
    }

    /// Tokens that nobody gets are not left alive at the provider, unless the account works: it might end with them.
    fn thrown_away(self: &Arc<Self>, spent: &Spent, tokens: TokenSet, outcome: Outcome) -> Outcome {
        if self.works(&spent.account.record.id) {
            return outcome;
        }
        let fresh = Fresh {
            credential: Credential::Tokens(tokens.clone()),
            granted: Granted::Assumed,
            issued_at: self.clock.timestamp(),
            lifetime: None,
            variables: spent.account.record.variables.clone(),
        };
        self.revoke_in_background(fresh.facts(&spent.account.record, None, fresh.issued_at), tokens);
        outcome
    }

    async fn connect(self: &Arc<Self>, spent: &Spent, fresh: Fresh, tokens: TokenSet) -> Result<Outcome, CallbackError> {
        let mut warnings = Vec::new();
        if tokens.refresh.is_none() && fresh.lifetime.is_some() {
            tracing::warn!(
                connector = %spent.connector.id, account = %spent.account.record.id,
                "the provider issued no refresh token: the account ends with its access token (offline access may have to be asked for)"
            );
            warnings.push(Warning::NoRefreshToken);
        }
        let missing = self.missing(spent, &fresh.granted);
        match self.install(&spent.account.record.id, fresh, None).await {
            Ok(_) => Ok(Outcome::Connected { missing, warnings }),
            Err(InstallError::Keep(error)) => Err(error.into()),
            Err(InstallError::Gone { .. }) => {
                self.thrown_away(spent, tokens, Outcome::Declined);
                Err(CallbackError::Unknown)
            }
            Err(error @ InstallError::Restless { .. }) => {
                tracing::error!(error = &error as &dyn Error, "a new grant could not be kept");
                self.thrown_away(spent, tokens, Outcome::Declined);
                Err(CallbackError::Store)
            }
        }
    }

    /// What was asked and not granted.
    fn missing(&self, spent: &Spent, granted: &Granted) -> Vec<AskedScope> {
        let lacking = self.lacking(spent, granted);
        Self::asked(&spent.connector, |scope| lacking.contains(scope))
    }

    /// Whether the role can use nothing of what was granted, though it could have used what was asked: such as where a provider gives
    /// `openid` to whomever it asked, whatever the customer said.
    fn is_useless(&self, spent: &Spent, granted: &Granted) -> bool {
        let possible = self.possible(&spent.record, &spent.account);
        !possible.is_empty() && self.lacking(spent, granted).len() == possible.len()
    }

    /// The scopes that the role could use with all that was asked, and cannot use with what was granted.
    fn lacking(&self, spent: &Spent, granted: &Granted) -> Vec<Scope> {
        let Granted::Scopes(granted) = granted else { return Vec::new() };
        let covered = (self.policies)().covered_by(&spent.connector.id, granted);
        let mut lacking = self.possible(&spent.record, &spent.account);
        lacking.retain(|scope| !covered.contains(scope));
        lacking
    }

    async fn put_aside(&self, spent: &Spent, fresh: &Fresh) -> Result<Outcome, CallbackError> {
        let now = self.clock.timestamp();
        // A grant of its own until it is confirmed: sealed for what it is, and sealed anew for what it becomes.
        let facts: GrantFacts = fresh.facts(&spent.account.record, None, now);
        let sealed = self.seal(&facts, &fresh.credential).await?;
        let grant = Box::new(GrantRecord { facts, sealed, intent: None });
        let phase = AuthorizationPhase::AwaitingConfirmation { grant };
        let record = AuthorizationRecord { phase, expires_at: now.plus(CONFIRMATION), ..spent.record.clone() };
        match self.put_authorization(record).await? {
            (Applied::Done, _) => Ok(Outcome::AwaitsConfirmation),
            (Applied::Conflict, _) => Err(CallbackError::Unknown),
        }
    }
}

/// The values that came and are allowed; one that is needed and not allowed fails the attempt.
fn accepted(connector: &Connector, told: &Told) -> Result<Variables, OutcomeFault> {
    match told.refused.iter().find(|(name, _)| connector.uses(name)) {
        Some((name, fault)) => {
            tracing::warn!(variable = %name, error = fault as &dyn Error, "a value that came with an authorization is not allowed");
            Err(OutcomeFault::Variable(name.clone()))
        }
        None => Ok(told.values.clone()),
    }
}

/// Whose fault it is that a code brought no tokens.
fn blamed(fault: &ProviderFault) -> OutcomeFault {
    match fault {
        ProviderFault::Said(TokenFault::ClientRefused { .. } | TokenFault::RequestRefused { .. })
        | ProviderFault::NoCall(_)
        | ProviderFault::NoEvidence(_)
        | ProviderFault::Key(_) => OutcomeFault::Misconfigured,
        ProviderFault::Said(TokenFault::NotHonoured | TokenFault::Declined { .. } | TokenFault::Failed { .. } | TokenFault::Garbage)
        | ProviderFault::NotSent(_)
        | ProviderFault::Lost(_) => OutcomeFault::Provider,
    }
}
