//! Logs of this process: lines on stderr, filtered by `SCOPEGATE_LOG`, else `RUST_LOG`.
//!
//! At no level does a line hold a token, a query value or a body: what could is never given to a log.

use crate::settings;
use tracing_subscriber::EnvFilter;

/// What is logged where nothing else is asked for.
const BY_DEFAULT: &str = "warn,scopegate=info";

/// Begins to log. A second call does nothing.
pub fn begin() {
    let filter = settings::log_filter().unwrap_or_default();
    let filter = EnvFilter::try_new(filter).ok().filter(|filter| !filter.to_string().is_empty()).unwrap_or_else(|| EnvFilter::new(BY_DEFAULT));
    // a subscriber that is there already, as in tests, stays
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true).try_init();
}
