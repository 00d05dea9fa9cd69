//! What a reload changed, as the log tells it: the pairs of role and operation that `policy diff` shows.

use super::policies::{InForce, Rejected};
use scopegate_core::policy::diff;

/// The most changes, and the most findings, of one reload that the log tells one by one.
const TOLD: usize = 50;

/// Why policies were read again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occasion {
    /// Their files changed.
    Edit,
    /// The process was sent SIGHUP.
    Signal,
    /// An operator asked the admin API.
    Api,
}

impl Occasion {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::Signal => "signal",
            Self::Api => "api",
        }
    }
}

/// Tells that `new` took the place of `old`, and what that means.
pub(super) fn tell(old: &InForce, new: &InForce, occasion: Occasion) {
    let difference = diff(&old.policies, &new.policies);
    let (hash, occasion) = (new.policies.hash(), occasion.as_str());
    tracing::info!(generation = new.generation, hash, occasion, warnings = new.warnings.len(), "policies reloaded: {}", difference.summary());
    let mut rows = difference.rows();
    for [word, role, connector, operation, request, change] in rows.by_ref().take(TOLD) {
        tracing::info!("{word}: {role} {connector} {operation} {request} {change}");
    }
    more(rows.count(), "changes; `scopegate policy diff` shows all");
}

/// Tells that the old set stays, and why.
pub(super) fn tell_rejected(rejected: &Rejected, occasion: Occasion) {
    let (errors, occasion) = (rejected.errors(), occasion.as_str());
    tracing::error!(errors, occasion, "the new policies have errors; the old ones stay in force");
    for finding in rejected.diagnostics.iter().take(TOLD) {
        let (file, line, column) = (&finding.file, finding.line, finding.column);
        tracing::error!("{file}:{line}:{column}: {} {}", finding.code, finding.message);
    }
    more(rejected.diagnostics.len().saturating_sub(TOLD), "findings; `scopegate policy check` shows all");
}

fn more(count: usize, words: &str) {
    if count > 0 {
        tracing::info!("and {count} more {words}");
    }
}
