//! Logs of this process: lines on stderr, filtered by `SCOPEGATE_LOG`, else `RUST_LOG`.
//!
//! At no level does a line hold a token, a query value or a body: what could is never given to a log. Of what libraries would
//! do so nothing is known, and one of them tells whole paths of requests where it looks for mistakes: whatever the filter
//! says, they are heard at `info` at most.

use crate::settings;
use std::io::IsTerminal as _;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

/// What a server logs where nothing else is asked for.
pub const USUAL: &str = "warn,scopegate=info";

/// The same for verbs whose own lines say what happens, all but what an edit of the policies changes.
pub const QUIET: &str = "error,scopegate::gateway::change=info";

/// Begins to log; `by_default` is the filter where the environment names none. A second call does nothing.
pub fn begin(by_default: &str) {
    let filter = settings::log_filter().unwrap_or_default();
    let filter = EnvFilter::try_new(filter).ok().filter(|filter| !filter.to_string().is_empty()).unwrap_or_else(|| EnvFilter::new(by_default));
    // a subscriber that is there already, as in tests, stays
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).with_target(true);
    let _ = heard(filter).with(lines).try_init();
}

/// What the filter asks for, as far as it may be heard.
fn heard(filter: EnvFilter) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync {
    registry().with(filter).with(filter_fn(may_be_heard))
}

/// Whether nobody's secret can be in it, whatever the filter asks for.
fn may_be_heard(line: &Metadata<'_>) -> bool {
    // the more is told, the greater the level
    *line.level() <= Level::INFO || matches!(line.target().split("::").next(), Some("scopegate" | "scopegate_core"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn libraries_are_heard_at_info_at_most_whatever_the_filter_says() {
        for filter in ["trace", "h2=trace,scopegatekeeper=trace,scopegate=trace", "info,h2::server=debug,scopegate=trace"] {
            let kept = Kept::default();
            let writer = kept.clone();
            let lines = fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
            tracing::subscriber::with_default(heard(EnvFilter::new(filter)).with(lines), || {
                let _span = tracing::debug_span!(target: "h2::codec", "frame", path = "theirs-in-a-span").entered();
                tracing::trace!(target: "h2", "theirs-at-trace");
                tracing::debug!(target: "h2::server", "theirs-at-debug");
                tracing::debug!(target: "scopegatekeeper", "theirs-by-another-name");
                tracing::info!(target: "h2::server", "theirs-at-info");
                tracing::trace!(target: "scopegate::grants", "ours-at-trace");
                tracing::trace!("ours-by-its-place");
            });
            let told = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            let holds = |text: &str| told.contains(text);
            assert!(["theirs-at-info", "ours-at-trace", "ours-by-its-place"].into_iter().all(holds), "{filter}: {told}");
            assert!(!["in-a-span", "theirs-at-trace", "theirs-at-debug", "another-name"].into_iter().any(holds), "{filter}: {told}");
        }
    }
}
