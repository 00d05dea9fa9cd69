//! `scopegate dev`.

use super::Outcome;
use super::output::{Format, say, say_json, tell};
use crate::app::StartError;
use crate::dev::{self, Options, Promise, Telling, WorldError};
use crate::logs;
use anyhow::Context;
use scopegate_core::policy::{Look, render};
use std::io::IsTerminal as _;
use std::path::PathBuf;

/// Everything on loopback, from nothing: prints one allowed and one denied call to try, and then each decision.
#[derive(Debug, clap::Args)]
pub(super) struct Dev {
    /// Where settings, policies, keys and data are kept.
    #[arg(default_value = "scopegate-dev", value_name = "DIR")]
    folder: PathBuf,
    /// The gateway's port; the admin plane takes the next one.
    #[arg(long, default_value_t = 4100, value_name = "N")]
    port: u16,
    /// Plays the whole scenario, tells it, and exits 0 only if all of it held.
    #[arg(long)]
    once: bool,
    /// Has the practice side break a promise, to show that the scenario notices.
    #[arg(long, hide = true, requires = "once", value_name = "PROMISE")]
    sabotage: Option<Promise>,
}

impl Dev {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        logs::begin(logs::QUIET);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the threads")?;
        let look = if std::io::stdout().is_terminal() { Look::Coloured } else { Look::Plain };
        let telling = match format {
            Format::Human => Telling::Lines,
            Format::Json => Telling::Json,
        };
        let options = Options { folder: self.folder, port: self.port, look, telling };
        if self.once {
            return runtime.block_on(once(&options, self.sabotage, format));
        }
        runtime.block_on(dev::live(&options, say)).map_err(|error| told(error, options.port))?;
        Ok(Outcome::Yes)
    }
}

async fn once(options: &Options, sabotage: Option<Promise>, format: Format) -> anyhow::Result<Outcome> {
    let step = |text: &str| match format {
        Format::Human => say(text),
        Format::Json => (),
    };
    let played = dev::once(options, sabotage, step).await.map_err(|error| told(error, options.port))?;
    if format == Format::Json {
        say_json(&played)?;
    }
    Ok(if played.all_kept() { Outcome::Yes } else { Outcome::No })
}

/// Adds what somebody can do about it.
fn told(error: WorldError, port: u16) -> anyhow::Error {
    let taken = matches!(error, WorldError::Start(StartError::Address { .. }));
    if let WorldError::Start(StartError::Policies { diagnostics, sources }) = &error {
        tell(&render(diagnostics, sources, Look::Plain));
    }
    let error = anyhow::Error::from(error);
    if taken { error.context(format!("`--port N` chooses another port than {port} (the admin plane takes N + 1)")) } else { error }
}
