//! What is stored, besides the records of [`scopegate_core::account`].

use super::Sealed;
use scopegate_core::account::{AccountRecord, GrantFacts, HandleRecord};
use scopegate_core::id::{AccountId, AuthorizationId, ConnectorId, CustomerId, GrantId, SessionId};
use scopegate_core::scope::{ProviderScope, Scope};
use scopegate_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A grant with its secrets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct GrantRecord {
    /// What is known without opening it.
    pub facts: GrantFacts,
    /// The token set or the credential; bound to the facts' connector, customer, id and version.
    pub sealed: Sealed,
    /// Whether a refresh call is under way.
    pub intent: Option<Intent>,
}

/// A refresh call may be under way, or may have got lost with its process.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Intent {
    /// The version whose refresh token is spent.
    pub version: u64,
    /// When the call was about to begin.
    pub at: Timestamp,
}

/// The keyed hash of what a browser or a provider has to show: a link's secret, a `state`, a cookie.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct ProofDigest(pub [u8; 32]);

/// One attempt of a customer to authorize an account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuthorizationRecord {
    /// Its name in the admin API.
    pub id: AuthorizationId,
    /// Counts changes, from 1.
    pub version: u64,
    /// The account that is to be connected.
    pub account: AccountId,
    /// The API that it belongs to.
    pub connector: ConnectorId,
    /// Whose data it is.
    pub customer: CustomerId,
    /// The digest of the secret in the link.
    pub link: ProofDigest,
    /// The digest of the cookie of the browser that opened the page last.
    pub browser: Option<ProofDigest>,
    /// The gateway scopes asked for; none: all that the role allows.
    pub scopes: Option<Vec<Scope>>,
    /// The provider scopes asked for.
    pub requested: Vec<ProviderScope>,
    /// Where the browser goes in the end; checked against the allow-list when it was given.
    pub return_to: Option<String>,
    /// Whether the application has the last word.
    pub confirmation: Confirmation,
    /// When the link was made.
    pub created_at: Timestamp,
    /// When it ends, whatever its phase.
    pub expires_at: Timestamp,
    /// How far it is.
    pub phase: AuthorizationPhase,
}

/// Whether the application has to confirm a finished authorization.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confirmation {
    /// The customer's word is enough.
    NotNeeded,
    /// The account stays `pending` until the application confirms.
    Needed,
}

/// How far an authorization is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationPhase {
    /// The page can be opened, its form was not sent.
    Begun,
    /// The form was sent: the browser is at the provider.
    Submitted {
        /// The digest of the `state` that the provider brings back.
        state: ProofDigest,
        /// The PKCE verifier (RFC 7636 section 4.1), bound to this authorization.
        verifier: Option<Sealed>,
    },
    /// A callback came, or the link was taken back. Nothing more happens.
    Spent,
    /// All went well; the application has not confirmed it.
    AwaitingConfirmation {
        /// What becomes the account's grant.
        grant: Box<GrantRecord>,
    },
}

impl AuthorizationPhase {
    /// What is sealed in it.
    #[must_use]
    pub fn sealed(&self) -> Option<&Sealed> {
        match self {
            Self::Submitted { verifier, .. } => verifier.as_ref(),
            Self::AwaitingConfirmation { grant } => Some(&grant.sealed),
            Self::Begun | Self::Spent => None,
        }
    }

    /// The same with another ciphertext in the place of the one that is sealed in it.
    #[must_use]
    pub fn with_sealed(self, sealed: Sealed) -> Self {
        match self {
            Self::Submitted { state, verifier: Some(_) } => Self::Submitted { state, verifier: Some(sealed) },
            Self::AwaitingConfirmation { grant } => Self::AwaitingConfirmation { grant: Box::new(GrantRecord { sealed, ..*grant }) },
            nothing @ (Self::Submitted { verifier: None, .. } | Self::Begun | Self::Spent) => nothing,
        }
    }

    /// The digest of the `state` that is waited for.
    #[must_use]
    pub fn state(&self) -> Option<&ProofDigest> {
        match self {
            Self::Submitted { state, .. } => Some(state),
            Self::Begun | Self::Spent | Self::AwaitingConfirmation { .. } => None,
        }
    }
}

/// What a session is bound to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SessionRecord {
    /// Its name.
    pub id: SessionId,
    /// Whose it is.
    pub customer: CustomerId,
    /// When it was bound.
    pub started_at: Timestamp,
    /// When it was used last, as of a minute.
    pub last_used: Timestamp,
}

/// Names a data key. 16 random bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DataKeyId(pub(crate) [u8; 16]);

/// Names a wrapping key without telling it: a hash of it. 16 hex digits.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct KekId(pub(crate) String);

impl std::fmt::Display for KekId {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str(&self.0)
    }
}

/// What a data key is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DataKeyPurpose {
    /// Sealing. There may be many; the newest seals.
    Seal,
    /// Digests of handles and proofs. There is exactly one, for ever.
    Digest,
}

/// A key that the vault uses, wrapped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataKeyRecord {
    /// Its name.
    pub id: DataKeyId,
    /// What it is for.
    pub purpose: DataKeyPurpose,
    /// The key that it is wrapped with.
    pub kek: KekId,
    /// The key that wrapped when it was made: what it seals is to be sealed anew once another one wraps.
    pub made_with: KekId,
    /// Nonce and ciphertext.
    pub wrapped: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A record with something sealed in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SealedRecord {
    /// Its token set.
    Grant(GrantRecord),
    /// Its PKCE verifier, or the grant that waits to be confirmed.
    Authorization(AuthorizationRecord),
}

/// Names a [`SealedRecord`]; grants come before authorizations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SealedId {
    /// A grant.
    Grant(GrantId),
    /// An authorization.
    Authorization(AuthorizationId),
}

impl SealedRecord {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> SealedId {
        match self {
            Self::Grant(record) => SealedId::Grant(record.facts.id.clone()),
            Self::Authorization(record) => SealedId::Authorization(record.id.clone()),
        }
    }
}

/// For logs.
impl std::fmt::Display for SealedId {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Grant(id) => write!(to, "grant {id}"),
            Self::Authorization(id) => write!(to, "authorization {id}"),
        }
    }
}

/// Everything that memory holds, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All accounts.
    pub accounts: Vec<AccountRecord>,
    /// What is known of all grants without opening them.
    pub grants: Vec<GrantFacts>,
    /// All handles, ended ones included.
    pub handles: Vec<HandleRecord>,
}
