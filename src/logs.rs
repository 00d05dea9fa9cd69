//! Logs of this process: lines on stderr, filtered by `SCOPEGATE_LOG`, else `RUST_LOG`.
//!
//! At no level does a line hold a token, a query value or a body: what could is never given to a log.

use crate::settings;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// What a server logs where nothing else is asked for.
pub const USUAL: &str = "warn,scopegate=info";

/// The same for verbs whose own lines say what happens, all but what an edit of the policies changes.
pub const QUIET: &str = "error,scopegate::gateway::change=info";

/// Begins to log; `by_default` is the filter where the environment names none. A second call does nothing.
pub fn begin(by_default: &str) {
    let filter = settings::log_filter().unwrap_or_default();
    let filter = EnvFilter::try_new(filter).ok().filter(|filter| !filter.to_string().is_empty()).unwrap_or_else(|| EnvFilter::new(by_default));
    // a subscriber that is there already, as in tests, stays
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true)
        .try_init();
}
