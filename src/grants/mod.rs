//! Grants: how credentials are obtained, kept fresh, used and ended.
//!
//! The rules of a grant's life are [`scopegate_core::refresh`], those of the protocol
//! [`scopegate_core::oauth`]; here they meet store, vault, clock and network.
//!
//! **Invariants.** No token without a permit: [`Grants::open`] consumes one, and only the
//! [`Admission`] that comes of it writes a credential. A refresh token is spent once: one flight
//! per grant, an intent durable before the call, the rotated token durable before anybody gets
//! the new access token.

mod admission;
mod assertion;
mod bring;
mod ending;
mod flight;
mod import;
mod install;
mod lives;
mod onboarding;
mod opened;
mod outage;
mod provider;
mod schedule;
mod sealing;
mod seat;
#[cfg(test)]
mod tests;

pub use admission::{Admission, After401, Replayable};
pub use bring::{BringError, Brought, BroughtCredential, VariableFault};
pub use ending::{AtProvider, NotForgotten, NotRevoked};
pub use import::Usable;
pub use onboarding::{
    AskedScope, BeginError, Begun, CallbackError, ConfirmError, ConsentPage, Finished, LinkError, Outcome, OutcomeFault, Warning, Wish,
};

use crate::clock::Clock;
use crate::directory::Directory;
use crate::http_client::HttpClient;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::tasks::Tasks;
use crate::vault::Vault;
use lives::Lives;
use opened::OpenedGrants;
use provider::Provider;
use schedule::Schedule;
use scopegate_core::account::ConnectedAccount;
use scopegate_core::connector::Connector;
use scopegate_core::id::ConnectorId;
use scopegate_core::oauth::ClientRegistration;
use scopegate_core::policy::{Permit, PolicySet};
use scopegate_core::refresh::{Ask, Why};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// Our registrations, by connector.
pub type Clients = BTreeMap<ConnectorId, ClientRegistration>;

/// Gives the policies in force at the moment of the call.
pub type PoliciesInForce = Arc<dyn Fn() -> Arc<PolicySet> + Send + Sync>;

/// What [`Grants`] are made of.
pub struct GrantsParts {
    /// Accounts and facts of grants.
    pub directory: Directory,
    /// Leases and authorizations.
    pub store: Arc<dyn Store>,
    /// Seals and opens token sets.
    pub vault: Vault,
    /// Calls providers.
    pub http: HttpClient,
    /// The time.
    pub clock: Clock,
    /// Runs flights and what goes on in the background.
    pub tasks: Tasks,
    /// Counts refreshes and calls.
    pub metrics: Metrics,
    /// For what no request brings along: background refreshes, onboarding.
    pub policies: PoliciesInForce,
    /// Our registrations.
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
pub struct Grants(Arc<Shared>);

/// What all clones share.
struct Shared {
    directory: Directory,
    store: Arc<dyn Store>,
    vault: Vault,
    clock: Clock,
    tasks: Tasks,
    metrics: Metrics,
    policies: PoliciesInForce,
    public_url: Url,
    return_to: Vec<Url>,
    provider: Provider,
    lives: Lives,
    opened: OpenedGrants,
    schedule: Schedule,
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NoToken {
    /// Nobody has connected the account.
    #[error("the account is not connected")]
    ConsentRequired,
    /// The grant has ended, or there is nothing to refresh it with.
    #[error("the grant has ended")]
    ReauthorizationRequired,
    /// The provider gives none at present.
    #[error("the provider gives no token at present")]
    Unavailable {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Store or vault cannot take, or give, what must be kept.
    #[error("what must be kept cannot be written or read")]
    Store,
}

impl From<Why> for NoToken {
    fn from(why: Why) -> Self {
        match why {
            Why::Ended => Self::ReauthorizationRequired,
            Why::Gone => Self::ConsentRequired,
            Why::Unavailable { retry_after } => Self::Unavailable { retry_after },
            Why::Store => Self::Store,
        }
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Grants")
    }
}

impl Grants {
    /// All grants that the directory knows. Nothing goes on in the background before [`Grants::start`].
    #[must_use]
    pub fn new(parts: GrantsParts) -> Self {
        let GrantsParts { directory, store, vault, http, clock, tasks, metrics, policies, clients, public_url, return_to, open_grants } = parts;
        let provider = Provider::new(http, clients, clock.clone(), metrics.clone());
        Self(Arc::new(Shared {
            directory,
            store,
            vault,
            clock,
            tasks,
            metrics,
            policies,
            public_url,
            return_to,
            provider,
            lives: Lives::default(),
            opened: OpenedGrants::new(open_grants),
            schedule: Schedule::default(),
        }))
    }

    /// Starts what runs in the background: refresh ahead, and revocations that a provider has not confirmed.
    pub fn start(&self) {
        self.0.start_schedule();
        self.0.resume_revocations();
        self.0.see_to_unconfirmed();
    }

    /// Opens the grant behind `permit`, refreshing its token at most once however many requests wait. A token counts as over
    /// 10 s, or 5 % of its lifetime, before its `expires_in` (seconds, RFC 6749 section 5.1) runs out; a rotated refresh token is
    /// durable before this returns (RFC 9700 section 4.14.2). Dropping the future does not stop a refresh that others wait for.
    /// # Errors
    /// [`NoToken`]; only `Unavailable` and `Store` go away by themselves.
    pub async fn open(&self, policies: &Arc<PolicySet>, permit: Permit) -> Result<Admission, NoToken> {
        let account = Arc::clone(permit.account());
        // A permit comes of a set that has the connector; another set opens nothing.
        let connector = policies.connector(account.connector.as_str()).ok_or(NoToken::Store)?;
        let grant = account.grant.clone().ok_or(NoToken::ConsentRequired)?;
        let token = self.0.token(&grant, connector, Ask::Request).await?;
        Ok(Admission::new(Arc::clone(&self.0), Arc::clone(connector), account, token))
    }

    /// How many opened token sets are in memory.
    #[must_use]
    pub fn count_open(&self) -> usize {
        self.0.opened.count()
    }

    /// Refreshes the grant of `account` now, whatever stands against it.
    /// # Errors
    /// [`NoToken`]; without a refresh token `ReauthorizationRequired`, which does not end the grant.
    pub async fn refresh_now(&self, account: &ConnectedAccount) -> Result<(), NoToken> {
        let policies = (self.0.policies)();
        let connector = policies.connector(account.record.connector.as_str()).ok_or(NoToken::ReauthorizationRequired)?;
        let account = self.0.directory.by_id(&account.record.id).ok_or(NoToken::ConsentRequired)?;
        let grant = account.record.grant.clone().ok_or(NoToken::ConsentRequired)?;
        self.0.token(&grant, connector, Ask::Operator).await.map(drop)
    }
}

impl Shared {
    fn connector(&self, id: &ConnectorId) -> Option<Arc<Connector>> {
        (self.policies)().connector(id.as_str()).cloned()
    }
}
