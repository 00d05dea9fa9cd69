//! Logs of this process: lines on stderr, filtered by `SCOPEGATE_LOG`, else `RUST_LOG`.
//!
//! At no level does a line hold a token, a query value or a body: what could is never given to a log.

use crate::settings;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What is logged where nothing else is asked for.
const BY_DEFAULT: &str = "warn,scopegate=info";

/// What `dev` logs where nothing else is asked for: its lines are the decisions.
const QUIETLY: &str = "error";

/// Begins to log. A second call does nothing.
pub fn begin() {
    start(BY_DEFAULT);
}

/// Begins to log for `dev`, whose output is read by people. A second call does nothing.
pub fn begin_quietly() {
    start(QUIETLY);
}

fn start(by_default: &str) {
    let asked = settings::log_filter().filter(|filter| !filter.is_empty());
    let filter = EnvFilter::try_new(asked.as_deref().unwrap_or(by_default)).unwrap_or_else(|_| EnvFilter::new(by_default));
    // a subscriber that is there already, as in tests, stays
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true)
        .try_init();
}
