//! `scopegate doctor`.

use super::output::{Format, say, say_json, table};
use super::{Outcome, SettingsFile};
use crate::clock::Clock;
use crate::doctor::{Check, Reach, Status, examine};
use crate::settings::{Settings, SettingsError};
use anyhow::Context;
use serde_json::json;

const SETTINGS: &str = "settings";

/// Looks for whatever may be wrong with a deployment, and says what to do about it.
#[derive(Debug, clap::Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    settings: SettingsFile,
    /// Calls each endpoint of the connectors in use once, without a credential.
    #[arg(long)]
    online: bool,
}

impl Doctor {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let file = self.settings.config.display();
        let checks = match Settings::read(&self.settings.config) {
            Ok(settings) => {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("starting the threads")?;
                let reach = if self.online { Reach::Online } else { Reach::Offline };
                let sound = Check::ok(SETTINGS, format!("{file} is in order"));
                std::iter::once(sound).chain(runtime.block_on(examine(&settings, &Clock::system(), reach))).collect()
            }
            Err(error @ SettingsError::Faulty { .. }) => {
                vec![Check::fail(SETTINGS, error.to_string(), "`scopegate serve --check` shows all findings")]
            }
            Err(error @ SettingsError::Unreadable { .. }) => return Err(error.into()),
        };
        tell(&checks, format)
    }
}

fn tell(checks: &[Check], format: Format) -> anyhow::Result<Outcome> {
    let healthy = checks.iter().all(|check| check.status != Status::Fail);
    match format {
        Format::Json => say_json(&json!({"ok": healthy, "checks": checks}))?,
        Format::Human => {
            let row = |check: &Check| {
                let help = check.help.as_ref().map_or(String::new(), |help| format!(" -> {help}"));
                vec![check.status.as_str().to_owned(), check.check.to_owned(), format!("{}{help}", check.message)]
            };
            say(&table(&checks.iter().map(row).collect::<Vec<_>>()));
        }
    }
    Ok(if healthy { Outcome::Yes } else { Outcome::No })
}
