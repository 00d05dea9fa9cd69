//! The beginning of an authorization: a link for the customer's browser.

use super::LINK;
use crate::chance;
use crate::grants::Grants;
use crate::store::{Applied, AuthorizationPhase, AuthorizationRecord, Change, Confirmation};
use scopegate_core::account::ConnectedAccount;
use scopegate_core::connector::Connector;
use scopegate_core::connector::oauth::OAuth;
use scopegate_core::connector::variables::{Variables, effective};
use scopegate_core::id::AuthorizationId;
use scopegate_core::oauth::{AuthorizationRequest, NoCall};
use scopegate_core::scope::{ProviderScope, Scope};
use scopegate_core::secret::Proof;
use scopegate_core::time::Timestamp;
use std::error::Error;
use thiserror::Error;
use url::{Position, Url};

/// What an authorization is to be like.
#[derive(Clone, Debug)]
pub struct Wish {
    /// A part of the role's scopes; none: all of them.
    pub scopes: Option<Vec<Scope>>,
    /// Where the browser goes in the end.
    pub return_to: Option<String>,
    /// Whether the application has the last word.
    pub confirmation: Confirmation,
}

/// An authorization that a customer can begin.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Its name in the admin API.
    pub id: AuthorizationId,
    /// For the customer's browser, and for nobody else: whoever has it can connect the account.
    pub authorization_url: Url,
    /// When the link ends.
    pub expires_at: Timestamp,
    /// What the provider will be asked for.
    pub requested_scopes: Vec<ProviderScope>,
}

/// Why there is no link.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum BeginError {
    /// No policy has the account's connector.
    #[error("no policy has the account's connector")]
    UnknownConnector,
    /// Credentials of this connector are only brought.
    #[error("credentials of this connector are only brought")]
    NoOAuth,
    /// The settings have no registration for it.
    #[error("the settings have no client for this connector")]
    NoClient,
    /// Scopes that the role does not allow.
    #[error("the role does not allow all of these scopes")]
    BeyondRole(Vec<Scope>),
    /// Not an address of an allowed origin.
    #[error("`return_to` leads to no origin of `admin.return_to`")]
    ReturnTo,
    /// A variable that the provider's address needs has no value.
    #[error("the variable `{0}` has no value")]
    Variable(String),
    /// The store did not take it.
    #[error("the authorization could not be kept")]
    Store,
}

impl Grants {
    /// Begins an authorization of `account`: a link that works once.
    /// # Errors
    /// [`BeginError`]; only `Store` goes away by itself.
    pub async fn begin(&self, account: &ConnectedAccount, wish: Wish) -> Result<Begun, BeginError> {
        let record = &account.record;
        let policies = (self.0.policies)();
        let connector = policies.connector(record.connector.as_str()).ok_or(BeginError::UnknownConnector)?;
        let oauth = connector.oauth.as_ref().ok_or(BeginError::NoOAuth)?;
        let allowed = policies.role_scopes(&record.role, &connector.id);
        let beyond: Vec<Scope> = wish.scopes.iter().flatten().filter(|scope| !allowed.contains(scope)).cloned().collect();
        if !beyond.is_empty() {
            return Err(BeginError::BeyondRole(beyond));
        }
        let return_to = wish.return_to.map(|text| self.return_to(&text)).transpose()?;
        let requested = policies.provider_scopes_for(&connector.id, wish.scopes.as_deref().unwrap_or(&allowed));
        self.rehearse(connector, oauth, &record.variables)?;

        let (link, digest) = self.0.vault.mint_proof();
        let now = self.0.clock.timestamp();
        let authorization = AuthorizationRecord {
            id: AuthorizationId::from_bytes(chance::bytes()),
            version: 1,
            account: record.id.clone(),
            connector: record.connector.clone(),
            customer: record.customer.clone(),
            link: digest,
            browser: None,
            scopes: wish.scopes,
            requested: requested.clone(),
            return_to,
            confirmation: wish.confirmation,
            created_at: now,
            expires_at: now.plus(LINK),
            phase: AuthorizationPhase::Begun,
        };
        let begun = Begun {
            id: authorization.id.clone(),
            authorization_url: self.link_url(&link)?,
            expires_at: authorization.expires_at,
            requested_scopes: requested,
        };
        match self.0.directory.apply(vec![Change::PutAuthorization { record: authorization, expected: None }]).await {
            Ok(Applied::Done) => Ok(begun),
            Ok(Applied::Conflict) => Err(BeginError::Store),
            Err(error) => {
                tracing::error!(account = %record.id, error = &error as &dyn Error, "an authorization could not be kept");
                Err(BeginError::Store)
            }
        }
    }

    /// Whether the customer could be sent to the provider, so that a link that leads nowhere is never given out.
    fn rehearse(&self, connector: &Connector, oauth: &OAuth, account: &Variables) -> Result<(), BeginError> {
        let page = oauth.authorization_url.as_ref().ok_or(BeginError::NoOAuth)?;
        let client = self.0.provider.registration(connector).ok_or(BeginError::NoClient)?;
        let variables = effective(&connector.variables, account, &Variables::new(), self.0.provider.plain_http());
        let request = AuthorizationRequest {
            client_id: &client.client_id,
            redirect_uri: &self.0.redirect_uri(&connector.id),
            scopes: &[],
            state: &Proof::new(String::new()),
            challenge: None,
        };
        let url = request.url(page, oauth, &variables);
        url.map(drop).map_err(|fault| match fault {
            NoCall::Unfilled(unfilled) => BeginError::Variable(unfilled.0),
            NoCall::NoUrl(_) => BeginError::NoOAuth,
        })
    }

    fn link_url(&self, link: &Proof) -> Result<Url, BeginError> {
        // The settings have checked that the origin is one.
        self.0.public_url.join(&format!("/connect/{}", link.reveal())).map_err(|_| BeginError::Store)
    }

    /// An address of an allowed origin, as it is parsed: what a browser would make of it.
    fn return_to(&self, text: &str) -> Result<String, BeginError> {
        let url = Url::parse(text).map_err(|_| BeginError::ReturnTo)?;
        let web = matches!(url.scheme(), "https" | "http");
        // Without a user part the origin's text is followed by the path at once.
        let bare = url[..Position::BeforePath] == url.origin().ascii_serialization();
        let allowed = self.0.return_to.iter().any(|origin| origin.origin() == url.origin());
        if web && bare && allowed { Ok(url.into()) } else { Err(BeginError::ReturnTo) }
    }
}
