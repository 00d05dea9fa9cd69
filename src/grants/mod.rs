//! Grants: how credentials are obtained, kept fresh, used and ended.
//!
//! The rules of a grant's life are [`scopegate_core::refresh`], those of the protocol
//! [`scopegate_core::oauth`]; here they meet store, vault, clock and network.
//!
//! **Invariants.** No token without a permit: [`Grants::open`] consumes one, and only the
//! [`Admission`] that comes of it writes a credential. A refresh token is spent once: one flight
//! per grant, an intent durable before the call, the rotated token durable before anybody gets
//! the new access token.

use crate::clock::Clock;
use crate::directory::Directory;
use crate::http_client::HttpClient;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::tasks::Tasks;
use crate::vault::Vault;
use scopegate_core::account::{AccountRecord, ConnectedAccount};
use scopegate_core::connector::Risk;
use scopegate_core::connector::variables::{NotAllowed, Variables};
use scopegate_core::id::{AccountId, AuthorizationId, ConnectorId};
use scopegate_core::oauth::ClientRegistration;
use scopegate_core::policy::{Permit, PolicySet};
use scopegate_core::request::OutgoingHead;
use scopegate_core::scope::{ProviderScope, Scope};
use scopegate_core::secret::{AccessToken, ApiKey, Proof, RefreshToken};
use scopegate_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Our registrations, by connector.
pub type Clients = BTreeMap<ConnectorId, ClientRegistration>;

/// Gives the policies in force at the moment of the call.
pub type PoliciesInForce = Arc<dyn Fn() -> Arc<PolicySet> + Send + Sync>;

/// What [`Grants`] are made of.
pub struct GrantsParts {
    pub directory: Directory,
    pub store: Arc<dyn Store>,
    pub vault: Vault,
    pub http: HttpClient,
    pub clock: Clock,
    pub tasks: Tasks,
    pub metrics: Metrics,
    pub policies: PoliciesInForce,
    pub clients: Clients,
    /// The origin that customers' browsers reach: `admin.public_url`.
    pub public_url: Url,
    /// Origins that `return_to` may lead to: `admin.return_to`.
    pub return_to: Vec<Url>,
    /// How many opened token sets are held at most: `limits.open_grants`.
    pub open_grants: usize,
}

/// All grants. Clones share them.
#[derive(Clone)]
pub struct Grants;

/// Why there is no token.
pub enum NoToken {
    /// Nobody has connected the account.
    ConsentRequired,
    /// The grant has ended.
    ReauthorizationRequired,
    /// The provider gives none at present.
    Unavailable { retry_after: Duration },
    /// Store or vault cannot take, or give, what must be kept.
    Store,
}

/// A credential for the one request whose permit opened it.
pub struct Admission;

/// What a 401 of the API is answered with.
pub enum After401 {
    /// Send it once more; the admission holds the new token.
    Replay,
    /// Pass the 401.
    Answer,
    /// Refuse it instead, for this reason.
    Refuse(NoToken),
}

/// Whether the request can be sent once more: its body is at hand, and its method is
/// idempotent or the connector (or operation) says that a 401 means not executed.
pub enum Replayable { Yes, No }

impl Grants {
    pub fn new(parts: GrantsParts) -> Self { todo!() }
    /// Starts what runs in the background: refresh ahead, open intents, revocations that a provider has not confirmed.
    pub fn start(&self) { todo!() }
    pub async fn open(&self, policies: &Arc<PolicySet>, permit: Permit) -> Result<Admission, NoToken> { todo!() }
    pub async fn bring(&self, account: &AccountRecord, brought: Brought) -> Result<ConnectedAccount, BringError> { todo!() }
    pub async fn refresh_now(&self, account: &ConnectedAccount) -> Result<(), NoToken> { todo!() }
    pub async fn revoke(&self, account: &ConnectedAccount) -> Result<AtProvider, NotRevoked> { todo!() }
    /// Deletes the account; its grant ends with the last account that shares it.
    pub async fn forget(&self, account: &ConnectedAccount) -> Result<(), NotForgotten> { todo!() }

    pub async fn begin(&self, account: &ConnectedAccount, wish: Wish) -> Result<Begun, BeginError> { todo!() }
    /// Opening the page spends nothing. The answer's cookie must be set in the browser.
    pub async fn page(&self, link: &Proof, browser: Option<&Proof>) -> Result<ConsentPage, LinkError> { todo!() }
    /// The form was sent: where the browser goes.
    pub async fn submit(&self, link: &Proof, browser: Option<&Proof>) -> Result<Url, LinkError> { todo!() }
    /// The provider sent the browser back.
    pub async fn callback(&self, connector: &ConnectorId, query: &str, browser: Option<&Proof>) -> Result<Finished, CallbackError> { todo!() }
    /// The application's word on a finished authorization that waits for it.
    pub async fn confirm(&self, account: &AccountId, id: &AuthorizationId) -> Result<ConnectedAccount, ConfirmError> { todo!() }
}

impl Admission {
    /// All values that templates of the connector may be filled with, for this account.
    pub fn variables(&self) -> &Variables { todo!() }
    /// Writes the credential.
    pub fn authorize(&self, head: &mut OutgoingHead) { todo!() }
    /// What no answer may show.
    pub fn needle(&self) -> &str { todo!() }
    /// The API answered 401.
    pub async fn after_401(&mut self, replayable: Replayable) -> After401 { todo!() }
    /// The API answered something else.
    pub fn not_401(&self) { todo!() }
}

/// An existing credential.
pub struct Brought { pub credential: BroughtCredential, pub variables: Variables }
pub enum BroughtCredential {
    Tokens { access: AccessToken, refresh: Option<RefreshToken>, expires_in: Option<Duration>, scope: Option<String> },
    Key(ApiKey),
    Basic { user: String, password: ApiKey },
}
pub enum BringError { UnknownConnector, Unusable { field: &'static str }, Variable { name: String, fault: VariableFault }, Store }
pub enum VariableFault { Unknown, Missing, NotAllowed(NotAllowed) }

/// What the provider said to a revocation.
pub enum AtProvider { Confirmed, NotYet, NoEndpoint }
pub enum NotRevoked { NotConnected, Store }
pub enum NotForgotten { Store }

pub struct Wish { pub scopes: Option<Vec<Scope>>, pub return_to: Option<String>, pub confirmation: crate::store::Confirmation }
pub struct Begun { pub id: AuthorizationId, pub authorization_url: Url, pub expires_at: Timestamp, pub requested_scopes: Vec<ProviderScope> }
pub enum BeginError { UnknownConnector, NoOAuth, NoClient, BeyondRole(Vec<Scope>), ReturnTo, Variable(String), Store }

pub struct ConsentPage {
    pub account: ConnectedAccount,
    pub title: String,
    pub asked: Vec<AskedScope>,
    pub impossible: Vec<AskedScope>,
    pub expires_at: Timestamp,
    /// The cookie's value, to be set in the browser.
    pub browser: Proof,
}
pub struct AskedScope { pub scope: Scope, pub consent: Option<String>, pub risk: Risk }

/// 400 for `Unknown`, 403 for `OtherBrowser`, 503 for `Store`.
pub enum LinkError { Unknown, OtherBrowser, Misconfigured, Store }
pub enum CallbackError { Unknown, OtherBrowser, Store }

/// How an authorization ended; the state is spent in each case.
pub struct Finished { pub account: ConnectedAccount, pub title: String, pub return_to: Option<Url>, pub outcome: Outcome }
pub enum Outcome {
    Connected { missing: Vec<AskedScope>, warnings: Vec<Warning> },
    AwaitsConfirmation,
    /// The customer said no, or granted nothing: 200.
    Declined,
    NothingGranted,
    /// The provider did not give a usable answer.
    Failed(OutcomeFault),
}
pub enum Warning { NoRefreshToken }
pub enum OutcomeFault { Provider, Misconfigured, Variable(String) }
pub enum ConfirmError { NothingWaits, Store }
