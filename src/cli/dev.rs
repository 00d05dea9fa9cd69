//! `scopegate dev`.

use super::Outcome;
use super::output::{Format, say, say_json, tell};
use super::policy::report::look;
use crate::app::StartError;
use crate::dev::{self, Options, Promise, Telling, WorldError};
use crate::logs;
use anyhow::Context;
use scopegate_core::policy::{Look, render};
use std::path::PathBuf;

/// Everything on loopback from nothing: practice provider and API, gateway, admin, two customers.
#[derive(Debug, clap::Args)]
pub(super) struct Dev {
    /// Where settings, policies, keys and data of it are kept.
    #[arg(default_value = "scopegate-dev")]
    folder: PathBuf,
    /// The gateway's port; the admin plane takes the next one. 0: any two that are free.
    #[arg(long, default_value_t = 4100)]
    port: u16,
    /// Plays the whole scenario, prints it, and ends: 0 if all of it held, else 1.
    #[arg(long)]
    once: bool,
    /// Lets the practice side break one promise of the scenario, which must then be noticed.
    #[arg(long, hide = true, requires = "once", value_name = "PROMISE")]
    sabotage: Option<Promise>,
}

impl Dev {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        logs::begin_quietly();
        let telling = match format {
            Format::Human => Telling::Lines,
            Format::Json => Telling::Json,
        };
        let options = Options { folder: self.folder, port: self.port, look: look(), telling };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the threads")?;
        if !self.once {
            runtime.block_on(dev::live(&options, say)).map_err(|error| told(error, options.port))?;
            return Ok(Outcome::Yes);
        }
        let show = match format {
            Format::Human => say,
            Format::Json => tell,
        };
        let played = runtime.block_on(dev::once(&options, self.sabotage, show)).map_err(|error| told(error, options.port))?;
        if format == Format::Json {
            say_json(&played)?;
        }
        Ok(if played.all_kept() { Outcome::Yes } else { Outcome::No })
    }
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
