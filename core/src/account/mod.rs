//! Connected accounts: what an agent names by an identifier.

mod credential;
mod grant;
mod handle;
mod injection;
mod standing;

use crate::connector::variables::Variables;
use crate::id::{AccountId, ConnectorId, CustomerId, GrantId, Identifier, RoleName};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use credential::{Credential, TokenSet, fits_a_header};
pub use grant::{Ended, GrantFacts, GrantState, Granted, GrantedScopes};
pub use handle::{HandleDigest, HandleRecord, HandleTarget};
pub use injection::Uninjectable;
pub use standing::{GrantStanding, Standing};

/// What is stored of a connected account. Holds no secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccountRecord {
    /// Never given again.
    pub id: AccountId,
    /// The API that it belongs to.
    pub connector: ConnectorId,
    /// Its name; unique within the connector.
    pub identifier: Identifier,
    /// Whose data it is.
    pub customer: CustomerId,
    /// The ceiling of its scopes.
    pub role: RoleName,
    /// Whether an operator switched it off.
    pub switch: Switch,
    /// Its grant; several accounts of one customer may share one.
    pub grant: Option<GrantId>,
    /// Values of the variables that are `from: account`.
    pub variables: Variables,
    /// When it was made.
    pub created_at: Timestamp,
    /// When role, switch, grant or variables changed last.
    pub updated_at: Timestamp,
    /// Counts changes, from 1.
    pub version: u64,
}

/// Whether an operator switched an account off.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// It may be used.
    On,
    /// To agents it does not exist.
    Off,
}

/// An account together with its grant, as it stands at one moment.
#[derive(Clone, Debug)]
pub struct ConnectedAccount {
    /// The account.
    pub record: Arc<AccountRecord>,
    /// Its grant; none until a customer connected it.
    pub grant: Option<Arc<GrantFacts>>,
}

/// The `status` of the admin API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not connected yet.
    Pending,
    /// Connected.
    Active,
    /// The provider no longer honours the grant.
    ReauthorizationRequired,
    /// Switched off by an operator.
    Disabled,
    /// The grant was revoked here.
    Revoked,
}

impl Status {
    /// The word of the admin API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::ReauthorizationRequired => "reauthorization_required",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

impl ConnectedAccount {
    /// Where the account stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match (self.record.switch, self.grant.as_ref().map(|grant| &grant.state)) {
            (Switch::Off, _) => Status::Disabled,
            (Switch::On, None) => Status::Pending,
            (Switch::On, Some(GrantState::Live)) => Status::Active,
            (Switch::On, Some(GrantState::Ended(Ended::NotHonoured))) => Status::ReauthorizationRequired,
            (Switch::On, Some(GrantState::Ended(Ended::Revoked))) => Status::Revoked,
        }
    }

    /// What the rules need of it.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        let grant = match self.grant.as_deref() {
            None => GrantStanding::Missing,
            Some(GrantFacts { state: GrantState::Ended(_), .. }) => GrantStanding::Ended,
            Some(GrantFacts { state: GrantState::Live, granted, .. }) => GrantStanding::Live(granted),
        };
        Standing { role: &self.record.role, grant }
    }
}
