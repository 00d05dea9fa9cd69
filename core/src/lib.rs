//! Words, nouns and rules of Scopegate: everything that decides, and nothing that touches the world.
//!
//! No sockets, no files, no clock, no chance: callers bring time and random bytes along. A module imports only from the rows above its own.
//!
//! ```text
//! words   id scope secret time json
//! nouns   request connector account answer inspect
//! rules   policy import refusal oauth refresh
//! ```
//!
//! # Invariants, and what proves each
//!
//! 1. **Silence denies.** No document, no operation, no scope list, no role: refused. `policy::judge`.
//! 2. **What is decided is what is forwarded.** [`request::OutgoingHead`] is written from the canonical [`request::Request`], and the
//!    body of a batch from its parts ([`inspect::Batch`]). `request::outgoing`, `inspect::batch`.
//! 3. **Ambiguity is refused, never repaired.** `request`, against slow reference readers.
//! 4. **No token without a permit.** [`policy::judge`] opens nothing; only [`policy::decide`] makes a [`policy::Permit`].
//! 5. **Deciding cannot fail and does no I/O.** Everything fallible happened in [`policy::compile`].
//! 6. **A refresh token is spent once.** [`refresh`], under a simulation of seeded histories.
//!
//! The rest of them are in the `scopegate` package, which has a world to keep them in.

pub mod account;
pub mod answer;
pub mod connector;
pub mod id;
pub mod import;
pub mod inspect;
pub mod json;
pub mod oauth;
pub mod policy;
pub mod refresh;
pub mod refusal;
pub mod request;
pub mod scope;
pub mod secret;
pub mod time;
