//! The life of a grant: when its token is over, when it is refreshed, and what becomes of each way in which that can go wrong.
//!
//! [`Life::step`] takes an event and says what is to be done; whoever drives it does
//! that and brings the result back as the next event. Nothing here does I/O or asks
//! for time or chance: a [`Moment`] brings both.
//!
//! A refresh is a *flight*: take the lease, read the record, note the intent, spend
//! the refresh token, save what came of it. One flight per grant; everybody else waits
//! for it or, while the old token lives, does not even notice.
//!
//! **Invariants.** A refresh token is spent once: a token whose answer arrived is never
//! sent again; only a crash, a lost answer or a provider that said no without spending it
//! lets it be sent again. Nobody gets a token before the record that holds its refresh
//! token is durable. Only `invalid_grant`, or a token that is over and nothing to refresh it
//! with, ends a grant.

mod backoff;
mod event;
mod flight;
mod life;
mod lifetime;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod simulation;
mod strikes;

pub use event::{Ask, Deed, Effects, Event, Known, Landing, Leased, Spent, Standing, Step, Verdict, Wake, Why, Wrote};
pub use life::Life;
pub use lifetime::{Habits, Moment, Replay, first_wake};
