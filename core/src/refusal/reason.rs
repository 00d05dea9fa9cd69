//! The table of reasons: status, error, whether to retry, what to do next.

use std::fmt;

/// Whether trying the same request again can help.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retryable {
    /// It cannot.
    No,
    /// It can, after waiting.
    Yes,
    /// Only where the method is safe (RFC 9110 section 9.2.1): the request may have been executed.
    SafeMethods,
}

/// What whoever gets the refusal does next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextStep {
    /// Bring a caller's credential.
    Authenticate,
    /// Ask an administrator of the gateway.
    AskAdmin,
    /// Send another request.
    FixRequest,
    /// Give the step to an account that may do it.
    Delegate,
    /// Ask the customer to connect, or to grant more.
    AskCustomer,
    /// Wait and try again.
    Wait,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:literal, $error:literal, $retryable:ident, $next:ident;)+) => {
        /// Why a request was refused. The words are the contract's.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason, in the order of the contract's table.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in headers, problem documents and the audit.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// The OAuth error code (RFC 6749 section 4.1.2.1, RFC 6750 section 3.1).
            #[must_use]
            pub const fn error(self) -> &'static str {
                match self { $(Self::$name => $error,)+ }
            }

            /// Whether trying again can help.
            #[must_use]
            pub const fn retryable(self) -> Retryable {
                match self { $(Self::$name => Retryable::$retryable,)+ }
            }

            /// What to do next.
            #[must_use]
            pub const fn next_step(self) -> NextStep {
                match self { $(Self::$name => NextStep::$next,)+ }
            }

            /// The reason of that word.
            #[must_use]
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
            }
        }
    };
}

reasons! {
    /// Nobody vouches for the caller.
    CallerUnauthenticated = "caller_unauthenticated", 401, "invalid_token", No, Authenticate;
    /// The caller's entry excludes this connector.
    CallerNotAllowed = "caller_not_allowed", 403, "access_denied", No, AskAdmin;
    /// Nothing names an account.
    MissingIdentifier = "missing_identifier", 401, "invalid_request", No, FixRequest;
    /// Two sources name an account.
    AmbiguousIdentifier = "ambiguous_identifier", 400, "invalid_request", No, FixRequest;
    /// Unknown, disabled, deleted, or another customer's.
    UnknownAccount = "unknown_account", 401, "invalid_token", No, AskAdmin;
    /// No policy names the connector.
    UnknownConnector = "unknown_connector", 404, "invalid_request", No, FixRequest;
    /// No policy names the operation.
    UnknownOperation = "unknown_operation", 403, "access_denied", No, FixRequest;
    /// A role's `deny`, or the author's own sentence.
    OperationDenied = "operation_denied", 403, "access_denied", No, Delegate;
    /// The role does not hold the scopes.
    RoleLacksScope = "role_lacks_scope", 403, "insufficient_scope", No, Delegate;
    /// The customer has not granted the scopes.
    ConsentRequired = "consent_required", 403, "insufficient_scope", No, AskCustomer;
    /// The grant was revoked or expired at the provider.
    ReauthorizationRequired = "reauthorization_required", 403, "access_denied", No, AskCustomer;
    /// The session belongs to another customer.
    SessionCustomerMismatch = "session_customer_mismatch", 403, "access_denied", No, FixRequest;
    /// More than one reading.
    AmbiguousRequest = "ambiguous_request", 400, "invalid_request", No, FixRequest;
    /// The body is too large.
    BodyTooLarge = "body_too_large", 413, "invalid_request", No, FixRequest;
    /// The head is too large.
    HeaderTooLarge = "header_too_large", 431, "invalid_request", No, FixRequest;
    /// Too many requests of this account.
    RateLimited = "rate_limited", 429, "temporarily_unavailable", Yes, Wait;
    /// The token endpoint is down or slow.
    TokenUnavailable = "token_unavailable", 503, "temporarily_unavailable", Yes, Wait;
    /// The API cannot be reached.
    UpstreamUnreachable = "upstream_unreachable", 502, "temporarily_unavailable", SafeMethods, Wait;
    /// The API is too slow.
    UpstreamTimeout = "upstream_timeout", 504, "temporarily_unavailable", SafeMethods, Wait;
    /// The API's address must not be dialled.
    EgressDenied = "egress_denied", 502, "access_denied", No, AskAdmin;
    /// No usable policies.
    PolicyUnavailable = "policy_unavailable", 503, "temporarily_unavailable", Yes, Wait;
    /// Store or audit cannot take what must be kept.
    StoreUnavailable = "store_unavailable", 503, "temporarily_unavailable", Yes, Wait;
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.as_str())
    }
}

impl Reason {
    /// Whether the request was allowed all the same: the gateway forwarded it, and the API failed.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::UpstreamUnreachable | Self::UpstreamTimeout)
    }
}

impl NextStep {
    /// The word in problem documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::AskAdmin => "ask_admin",
            Self::FixRequest => "fix_request",
            Self::Delegate => "delegate",
            Self::AskCustomer => "ask_customer",
            Self::Wait => "wait",
        }
    }
}
