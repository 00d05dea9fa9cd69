//! Which past requests a verb looks at.

use crate::audit::{Event, read_past};
use crate::cli::SettingsFile;
use crate::settings;
use anyhow::Context;
use scopegate_core::id::{ConnectorId, RoleName};
use scopegate_core::time::Timestamp;
use std::path::PathBuf;

/// Which past requests.
#[derive(Debug, clap::Args)]
pub(super) struct PastEvents {
    /// The audit's current file; older ones beside it are read too. Without it that of the settings.
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Only events at this time or later (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only events before this time (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "no time as in 2026-01-31T12:00:00Z".to_owned())
}

impl PastEvents {
    /// Hands over every event whose role and connector are known, the oldest first; how many others there are.
    pub(super) fn each(&self, settings: &SettingsFile, mut each: impl FnMut(&Event, &ConnectorId, &RoleName)) -> anyhow::Result<usize> {
        let file = match &self.audit {
            Some(file) => file.clone(),
            None => settings::audit_file(&settings.config).context("the settings would say where the audit is; or say `--audit FILE`")?,
        };
        let mut others = 0;
        read_past(&file, |recorded| {
            let event = recorded.event;
            let is_wanted = self.since.is_none_or(|since| since <= event.time) && self.until.is_none_or(|until| event.time < until);
            match (&event.connector, &event.role) {
                (Some(connector), Some(role)) if is_wanted => each(&event, connector, role),
                _ => others += usize::from(is_wanted),
            }
        })?;
        Ok(others)
    }
}
