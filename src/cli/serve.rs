//! `scopegate serve`.

use super::output::{Format, complain, say, say_json, tell};
use super::{Outcome, SettingsFile, policy::report};
use crate::app::{App, Signals, StartError};
use crate::settings::{Settings, SettingsError};
use crate::store::Rollback;
use crate::{app, logs};
use anyhow::Context;
use scopegate_core::policy::{Look, render};
use std::time::Duration;

/// How long what cannot be told to end is waited for when everything else has ended.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// Runs the gateway until it is told to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: SettingsFile,
    /// Reads settings, policies and key, reports what is wrong with them, and starts nothing.
    #[arg(long)]
    check: bool,
    /// Takes a store that is older than what was seen of it, such as a backup; the way to start once after putting one in place.
    #[arg(long)]
    accept_rollback: bool,
}

impl Serve {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let settings = match Settings::read(&self.settings.config) {
            Ok(settings) => settings,
            Err(SettingsError::Faulty { source_text, diagnostics }) => {
                if self.check {
                    report::say_findings(&diagnostics, &[source_text], format)?;
                    return Ok(Outcome::No);
                }
                tell(&render(&diagnostics, &[source_text], Look::Plain));
                anyhow::bail!("nothing was started");
            }
            Err(error @ SettingsError::Unreadable { .. }) => return Err(error.into()),
        };
        let rollback = if self.accept_rollback { Rollback::Accepted } else { Rollback::Refused };
        if self.check { check(&settings, format) } else { serve(settings, rollback) }
    }
}

/// Reports what would keep `serve` from starting, or is worth a look.
fn check(settings: &Settings, format: Format) -> anyhow::Result<Outcome> {
    let found = app::check(settings);
    match format {
        Format::Json => say_json(&found)?,
        Format::Human if found.is_clean() => say(&found.summary()),
        Format::Human => say(&found.text()),
    }
    Ok(if found.is_clean() { Outcome::Yes } else { Outcome::No })
}

fn serve(settings: Settings, rollback: Rollback) -> anyhow::Result<Outcome> {
    logs::begin(logs::USUAL);
    let threads = settings.gateway.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().context("starting the threads")?;
    let outcome = runtime.block_on(async {
        // First of all: whoever tells the process to stop while it starts is heard.
        let mut signals = Signals::listen().context("cannot wait for signals")?;
        let running = match App::start(settings, None, rollback).await {
            Ok(running) => running,
            Err(StartError::Policies { diagnostics, sources }) => {
                tell(&render(&diagnostics, &sources, Look::Plain));
                anyhow::bail!("the policies have errors; nothing was started");
            }
            Err(error) => return Err(error.into()),
        };
        tell(&format!("scopegate: gateway at {}, admin at {}", running.gateway_addresses(), running.admin_address()));
        signals.told_to_stop(&running).await;
        if let Err(error) = running.shutdown().await {
            complain(&error.into());
        }
        Ok(Outcome::Yes)
    });
    // A thread that asks the system for an address cannot be told to end.
    runtime.shutdown_timeout(LEFT_BEHIND);
    outcome
}
