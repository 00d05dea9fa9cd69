//! Refusals: normal answers of the gateway, each with exactly one reason.
//!
//! A [`Refusal`] carries all that the answer and the audit need; one exhaustive
//! match maps it to the contract's table. Sentences are built from ids and the
//! policy author's words, never from the request or a provider's answer.

mod problem;
mod reason;
mod shape;

pub use problem::{Context, Problem, SafeMethod};
pub use reason::{NextStep, Reason, Retryable};
pub use shape::shaped;

use crate::policy::{Denial, DeniedBy, Lack, Operations};
use crate::request::Ambiguity;
use std::time::Duration;

/// Why a request was not served, or not to its end.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// Nobody vouches for whoever opened the connection.
    CallerUnauthenticated(Unauthenticated),
    /// The caller's own entry excludes this connector.
    CallerNotAllowed,
    /// Nothing names an account.
    MissingIdentifier,
    /// Two sources name an account.
    AmbiguousIdentifier,
    /// No account that this caller may use.
    UnknownAccount,
    /// No policy names this connector.
    UnknownConnector,
    /// The session belongs to another customer.
    SessionCustomerMismatch,
    /// The request has more than one reading.
    Ambiguous(Ambiguity),
    /// The rules say no.
    Denied(Denial),
    /// The body is larger than allowed.
    BodyTooLarge {
        /// In bytes.
        limit: u64,
    },
    /// The head is larger than allowed.
    HeaderTooLarge {
        /// In bytes.
        limit: usize,
    },
    /// The client took too long to send its request.
    TooSlow,
    /// The account made too many requests.
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// The account has as many requests under way as it may have.
    Crowded {
        /// So many.
        limit: usize,
    },
    /// The grant ended while the request was under way.
    GrantEnded(Operations),
    /// The account lost its connection while the request was under way.
    NotConnected(Operations),
    /// The token endpoint gives no token at present.
    TokenUnavailable {
        /// Which operations.
        operations: Operations,
        /// How long to wait.
        retry_after: Duration,
    },
    /// The API could not be reached.
    UpstreamUnreachable(Operations),
    /// The API took too long.
    UpstreamTimeout(Operations),
    /// The API's address lies in a network that must not be dialled.
    EgressDenied(Operations),
    /// No usable policies.
    PolicyUnavailable,
    /// Store or audit cannot take what must be kept.
    StoreUnavailable,
}

/// Why nobody vouches for a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unauthenticated {
    /// No rule takes a caller without credential from there.
    NoCredential,
    /// The credential that was given is not one that a rule accepts.
    WrongCredential,
    /// From loopback, but through a proxy: forwarding headers are there.
    Forwarded,
    /// From loopback, but for a host that is neither loopback nor configured.
    ForeignHost,
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Ambiguous(ambiguity) => Self::Ambiguous(ambiguity),
            Denial::UnknownOperation
            | Denial::Undeclared { .. }
            | Denial::InBatch { .. }
            | Denial::OperationDenied { .. }
            | Denial::RoleLacksScope { .. }
            | Denial::ConsentRequired { .. }
            | Denial::ReauthorizationRequired { .. } => Self::Denied(denial),
        }
    }
}

impl Refusal {
    /// The one reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::CallerUnauthenticated(_) => Reason::CallerUnauthenticated,
            Self::CallerNotAllowed => Reason::CallerNotAllowed,
            Self::MissingIdentifier => Reason::MissingIdentifier,
            Self::AmbiguousIdentifier => Reason::AmbiguousIdentifier,
            Self::UnknownAccount => Reason::UnknownAccount,
            Self::UnknownConnector => Reason::UnknownConnector,
            Self::SessionCustomerMismatch => Reason::SessionCustomerMismatch,
            Self::Ambiguous(_) | Self::TooSlow => Reason::AmbiguousRequest,
            Self::Denied(denial) => of_denial(denial),
            Self::BodyTooLarge { .. } => Reason::BodyTooLarge,
            Self::HeaderTooLarge { .. } => Reason::HeaderTooLarge,
            Self::RateLimited { .. } | Self::Crowded { .. } => Reason::RateLimited,
            Self::GrantEnded(_) => Reason::ReauthorizationRequired,
            Self::NotConnected(_) => Reason::ConsentRequired,
            Self::TokenUnavailable { .. } => Reason::TokenUnavailable,
            Self::UpstreamUnreachable(_) => Reason::UpstreamUnreachable,
            Self::UpstreamTimeout(_) => Reason::UpstreamTimeout,
            Self::EgressDenied(_) => Reason::EgressDenied,
            Self::PolicyUnavailable => Reason::PolicyUnavailable,
            Self::StoreUnavailable => Reason::StoreUnavailable,
        }
    }

    /// The status of the answer: the reason's, but 408 for a client that was too slow.
    #[must_use]
    pub fn status(&self) -> u16 {
        if matches!(self, Self::TooSlow) { 408 } else { self.reason().status() }
    }

    /// Which operations it is about, as far as they are known.
    #[must_use]
    pub fn operations(&self) -> Option<&Operations> {
        match self {
            Self::Denied(denial) => denial.operations(),
            Self::GrantEnded(operations)
            | Self::NotConnected(operations)
            | Self::TokenUnavailable { operations, .. }
            | Self::UpstreamUnreachable(operations)
            | Self::UpstreamTimeout(operations)
            | Self::EgressDenied(operations) => Some(operations),
            Self::CallerUnauthenticated(_)
            | Self::CallerNotAllowed
            | Self::MissingIdentifier
            | Self::AmbiguousIdentifier
            | Self::UnknownAccount
            | Self::UnknownConnector
            | Self::SessionCustomerMismatch
            | Self::Ambiguous(_)
            | Self::BodyTooLarge { .. }
            | Self::HeaderTooLarge { .. }
            | Self::TooSlow
            | Self::RateLimited { .. }
            | Self::Crowded { .. }
            | Self::PolicyUnavailable
            | Self::StoreUnavailable => None,
        }
    }

    /// What lacks, for denials of scope.
    #[must_use]
    pub fn lack(&self) -> Option<&Lack> {
        if let Self::Denied(denial) = self { denial.lack() } else { None }
    }

    /// In how many whole seconds to try again, where waiting helps.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        let wait = if let Self::RateLimited { retry_after } | Self::TokenUnavailable { retry_after, .. } = self {
            *retry_after
        } else if matches!(self, Self::Crowded { .. } | Self::PolicyUnavailable | Self::StoreUnavailable) {
            Duration::from_secs(1)
        } else {
            return None;
        };
        Some(wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX))
    }
}

fn of_denial(denial: &Denial) -> Reason {
    match denial {
        Denial::Ambiguous(_) => Reason::AmbiguousRequest,
        Denial::UnknownOperation | Denial::Undeclared { .. } => Reason::UnknownOperation,
        Denial::InBatch { denial, .. } => of_denial(denial),
        Denial::OperationDenied { by: DeniedBy::Role | DeniedBy::Author(_) | DeniedBy::UnknownNeed, .. } => Reason::OperationDenied,
        Denial::RoleLacksScope { .. } => Reason::RoleLacksScope,
        Denial::ConsentRequired { .. } => Reason::ConsentRequired,
        Denial::ReauthorizationRequired { .. } => Reason::ReauthorizationRequired,
    }
}
