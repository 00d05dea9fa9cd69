//! What happens to a grant, and what is to be done about it.

use crate::time::{Instant, Timestamp};
use std::time::Duration;

/// What a record says of a grant, as far as its life goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// Of the sealed record.
    pub version: u64,
    /// Whether it can still be used.
    pub standing: Standing,
    /// Whether there is a refresh token.
    pub refreshable: bool,
    /// When its access token was issued, by our clock.
    pub issued_at: Timestamp,
    /// When its access token ends; none: not known.
    pub expires_at: Option<Timestamp>,
    /// When the refresh token of this version may have been sent.
    pub intent: Option<Timestamp>,
}

/// Whether a grant can still be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// As far as we know.
    Live,
    /// Not honoured any more, or revoked.
    Ended,
    /// There is no record of it any more.
    Gone,
}

/// What happens to a grant.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// Memory shows a record: connected again, brought, revoked, or refreshed by somebody else. An older one than
    /// what is known changes nothing.
    Learned(Known),
    /// Somebody needs a token.
    Asked(Ask),
    /// The API answered 401 to a request that was sent once more with this version: so much for healing.
    Unhealed {
        /// Of the token that it used.
        version: u64,
    },
    /// The API answered something other than 401.
    Honoured,
    /// The moment that [`Wake::At`] named has come.
    Due {
        /// When a request last used the grant.
        used_at: Timestamp,
    },
    /// The result of the last [`Deed`].
    Done(Step),
    /// Whoever flew is gone without a result.
    Aborted,
}

/// Who needs a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ask {
    /// A request.
    Request,
    /// An operator, who wants a new one whatever stands against it.
    Operator,
    /// A request whose token of this version the API answered with 401.
    Unauthorized {
        /// Of the token that it used.
        version: u64,
    },
}

/// What whoever asked gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The current token.
    Use {
        /// Of the record that holds it.
        version: u64,
    },
    /// What the flight brings.
    Wait,
    /// Nothing: 401s mean nothing at present.
    Pass,
    /// No token.
    Refuse(Why),
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The grant has ended, or there is nothing to refresh it with.
    Ended,
    /// There is no such grant.
    Gone,
    /// The provider gives none at present.
    Unavailable {
        /// When to ask again.
        retry_after: Duration,
    },
    /// The store cannot take what must be durable first.
    Store,
}

/// What one who flies does next; its result comes back as [`Event::Done`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Deed {
    /// Take a place at the token endpoint and the grant's lease.
    Lease,
    /// Read the record.
    Read,
    /// Make durable that the refresh token of this version is about to be sent, if the lease is still held.
    Intend {
        /// Of the record.
        version: u64,
    },
    /// Send the refresh token, once.
    Spend {
        /// Of the record that was read last; it holds the token.
        version: u64,
    },
    /// Make durable that the refresh token of this version was not spent after all, if the lease is still held.
    Recant {
        /// Of the record.
        version: u64,
    },
    /// Make the new tokens durable in place of this version, if the lease is still held.
    Save {
        /// The one that they replace.
        version: u64,
    },
    /// Make durable that the grant is not honoured, in place of this version, if the lease is still held.
    End {
        /// The one that it replaces.
        version: u64,
    },
}

/// What a [`Deed`] led to.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Of [`Deed::Lease`].
    Leased(Leased),
    /// Of [`Deed::Read`]; none: there is no such record.
    Read(Option<Known>),
    /// Of [`Deed::Intend`], [`Deed::Recant`], [`Deed::Save`] and [`Deed::End`].
    Wrote(Wrote),
    /// Of [`Deed::Spend`].
    Spent(Spent),
    /// The store could not do it, or did it and could not say so.
    StoreFailed,
}

/// What became of the lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leased {
    /// It is held here.
    Taken,
    /// Somebody else holds it, and refreshes.
    Elsewhere,
    /// Too many others wait for the token endpoint.
    Crowded,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wrote {
    /// It is durable.
    Done,
    /// The record has another version, or the lease was lost.
    Conflict,
}

/// What a provider made of a refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spent {
    /// New tokens, not durable yet.
    Tokens {
        /// Of the access token; none: not known.
        expires_in: Option<Duration>,
    },
    /// `invalid_grant`.
    NotHonoured,
    /// No tokens, and the refresh token was not spent: an error, or no connection.
    Declined {
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
    /// No usable answer; the refresh token may have been spent.
    Lost {
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
    },
}

/// How a flight ended, for all who wait for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Landing {
    /// There is a token to use.
    Fresh,
    /// There is none.
    Refused(Why),
}

/// What is to be done about an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effects {
    /// For whoever asked.
    pub verdict: Option<Verdict>,
    /// For whoever flies: what to do, after how long. None after [`Event::Done`]: the flight is over.
    pub next: Option<(Deed, Duration)>,
    /// For all who wait.
    pub tell: Option<Landing>,
    /// When [`Event::Due`] is to come.
    pub wake: Wake,
}

/// When [`Event::Due`] is to come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Wake {
    /// As it was.
    #[default]
    Unchanged,
    /// Then, and not before.
    At(Instant),
    /// Not at all.
    Never,
}
