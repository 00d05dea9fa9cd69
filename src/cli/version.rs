//! `scopegate version`.

use super::Outcome;
use super::output::{Format, say, say_json};

/// Tells the version.
pub(super) fn run(format: Format) -> anyhow::Result<Outcome> {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        Format::Human => say(&format!("scopegate {version}")),
        Format::Json => say_json(&serde_json::json!({"name": "scopegate", "version": version}))?,
    }
    Ok(Outcome::Yes)
}
