//! Onboarding: a customer's browser goes from a link over the consent page to the provider and back.
//!
//! ```text
//! begin -> page (any number of times) -> submit -> provider -> callback -> [confirm]
//! ```
//!
//! Link, `state` and cookie are 256 random bits each and stored as digests; the PKCE verifier is sealed.
//!
//! **Invariant: who starts must be who finishes, and each step happens once.** Any callback spends its
//! state before anything else is done with it. A working account stays as it is until another
//! credential is durable in its place.

mod begin;
mod callback;
mod confirm;
mod page;
mod unconfirmed;

pub use begin::{BeginError, Begun, Wish};
pub use callback::{CallbackError, Finished, Outcome, OutcomeFault, Warning};
pub use confirm::ConfirmError;
pub use page::{AskedScope, ConsentPage, LinkError};

use super::Shared;
use crate::store::{Applied, AuthorizationKey, AuthorizationRecord, Change, StoreError};
use scopegate_core::connector::Connector;
use scopegate_core::id::ConnectorId;
use std::time::Duration;

/// How long a link can be opened.
const LINK: Duration = Duration::from_secs(10 * 60);
/// How long the customer may take at the provider.
const STATE: Duration = Duration::from_secs(10 * 60);
/// How long a finished authorization waits for the application's word.
const CONFIRMATION: Duration = Duration::from_secs(24 * 60 * 60);

impl Shared {
    /// Where the provider sends the browser back; exactly as it is registered there.
    fn redirect_uri(&self, connector: &ConnectorId) -> String {
        format!("{}/oauth/callback/{connector}", self.public_url.origin().ascii_serialization())
    }

    /// An authorization that has not ended.
    async fn authorization(&self, key: AuthorizationKey<'_>) -> Result<Option<AuthorizationRecord>, StoreError> {
        let now = self.clock.timestamp();
        Ok(self.store.authorization(key).await?.filter(|record| now < record.expires_at))
    }

    /// Writes the next version of an authorization.
    async fn put_authorization(&self, mut record: AuthorizationRecord) -> Result<(Applied, AuthorizationRecord), StoreError> {
        let expected = record.version;
        record.version = expected.saturating_add(1);
        let applied = self.directory.apply(vec![Change::PutAuthorization { record: record.clone(), expected: Some(expected) }]).await?;
        Ok((applied, record))
    }

    /// What the page says and the result page leaves out, of these scopes of a connector.
    fn asked<'a>(connector: &'a Connector, chosen: impl Fn(&scopegate_core::scope::Scope) -> bool + 'a) -> Vec<AskedScope> {
        let of = |(scope, facts): (&scopegate_core::scope::Scope, &scopegate_core::connector::ScopeFacts)| AskedScope {
            scope: scope.clone(),
            consent: facts.consent.clone(),
            risk: facts.risk,
        };
        connector.scopes.iter().filter(|(scope, _)| chosen(scope)).map(of).collect()
    }
}
