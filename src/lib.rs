//! Scopegate: everything that touches the world. What decides is in [`scopegate_core`].
//!
//! A module imports only from the rows above its own; `tests/architecture.rs` reads the sources and says so.
//!
//! ```text
//! the world's basics   clock chance process new_file tasks egress metrics
//! doors                http_client certificates store audit catalog
//! what holds secrets   vault directory caller limits
//! what acts            grants gateway
//! edges                proxy (the only one that names pingora) admin practice
//! everything together  settings logs app doctor dev cli
//! ```
//!
//! # Invariants, and what proves each
//!
//! 1. **Silence denies.** No document, no operation, no scope list, no role: refused.
//!    `policy::judge` in core; `tests/e2e/refuses_what_no_policy_names.rs`.
//! 2. **What is decided is what is forwarded.** The upstream request is written from the canonical request; raw bytes of the
//!    target never go out. `tests/e2e/forwards_exactly_what_it_decided.rs`.
//! 3. **Ambiguity is refused, never repaired.** `request` in core; `tests/e2e/reads_every_split_alike.rs`.
//! 4. **No token without a permit.** Only `decide` makes a `Permit`; [`grants::Grants::open`] consumes it, and only the
//!    [`grants::Admission`] that comes of it writes a credential. `tests/e2e/injects_the_right_customer.rs`.
//! 5. **Deciding cannot fail and does no I/O.** Everything fallible happened in `compile`; core has no way to do I/O (`tests/architecture.rs`).
//! 6. **The store never sees plaintext.** A sealed record is bound to connector, customer, grant and version, so that a row moved to
//!    another customer does not open. `vault`; `tests/e2e/never_tells_secrets.rs`.
//! 7. **One request, one policy set, one audit event**, whatever happens, cancellation included. `tests/e2e/one_event_per_request.rs`.
//! 8. **Reload is all or nothing.** A broken document keeps the whole old set. `admin::tests::plane`.
//! 9. **Doors.** Only `proxy` names pingora, only `cli` and `main` print, only `settings` reads the environment, only `clock` and
//!    `chance` ask time and chance, only `tasks` spawns, only `core::request` parses what came from the network. `tests/architecture.rs`.
//! 10. **A refresh token is spent once.** Single flight per grant; the rotated token is durable before any waiter gets the new access
//!     token. `core::refresh` with its simulation; `tests/e2e/refreshes_once_for_many.rs`,
//!     `loses_nothing_when_it_is_killed.rs`, `keeps_what_the_store_does_not_take.rs`.

pub mod admin;
pub mod app;
pub mod audit;
pub mod caller;
pub mod catalog;
pub mod certificates;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod dev;
pub mod directory;
pub mod doctor;
pub mod egress;
pub mod gateway;
pub mod grants;
pub mod http_client;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod new_file;
pub mod practice;
pub mod process;
pub mod proxy;
pub mod settings;
pub mod store;
pub mod tasks;
pub mod vault;
