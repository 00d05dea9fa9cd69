//! The command line: one file per verb. Results go to stdout, everything else to stderr.
//!
//! Exit status: 0 yes, clean, allowed; 1 no: findings, failed tests, denied; 2 could not tell.

mod account;
mod api;
mod audit;
mod dev;
mod doctor;
mod init;
mod keys;
mod manual;
mod output;
mod policy;
mod progress;
mod serve;
mod store;
mod version;

use crate::{limits, process};
use clap::{CommandFactory, Parser, Subcommand};
use output::Output;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsString;
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::process::ExitCode;

/// A reverse-proxy policy gateway: the right customer's token, held to the scopes of the role that calls.
#[derive(Debug, Parser)]
#[command(name = "scopegate", version, disable_help_subcommand = true)]
struct Arguments {
    /// How results are written.
    #[arg(short = 'o', long = "output", value_enum, global = true, default_value_t = Output::Human)]
    output: Output,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Everything on loopback from nothing: practice provider and API, gateway, admin, two customers.
    Dev(dev::Dev),
    /// Makes a new project folder: settings, a first policy with tests, keys, schemas for editors.
    Init(init::Init),
    /// Runs the gateway.
    Serve(serve::Serve),
    /// Checks, tests and explains policies.
    #[command(subcommand)]
    Policy(policy::Policy),
    /// Works on connected accounts through the admin API.
    Account(account::Account),
    /// Makes wrapping keys, tells their use, and changes to another one.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Backs the embedded store up, and puts a backup in its place.
    #[command(subcommand)]
    Store(store::Store),
    /// Says what happened, and whether anybody changed the record of it.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Looks for whatever may be wrong with a deployment, and says what to do about it.
    Doctor(doctor::Doctor),
    /// Writes the completion script of a shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Writes the manual.
    Man {
        /// Which page.
        #[arg(value_enum, default_value_t = manual::Page::default())]
        page: manual::Page,
    },
    /// Tells the version.
    Version,
}

/// Where the settings are.
#[derive(Clone, Debug, clap::Args)]
struct SettingsFile {
    /// The settings file.
    #[arg(short = 'c', long = "config", default_value = "scopegate.yaml", value_name = "FILE", global = true)]
    config: PathBuf,
}

/// How a verb ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// Yes, clean, allowed.
    Yes,
    /// No: findings, failed tests, denied, differences.
    No,
}

/// Where a panic happened. What it said could hold a secret, and is told nowhere.
fn mistake(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let trace = Backtrace::capture();
    let trace = if trace.status() == BacktraceStatus::Captured { format!("\n{trace}") } else { String::new() };
    format!("scopegate: a mistake of this program at {place}{trace}")
}

/// All verbs and their flags, for whoever describes them.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the verb that `arguments` name; the first is the program's name.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| output::tell(&mistake(panic))));
    if let Err(error) = process::leave_no_core() {
        output::complain(&anyhow::Error::from(error).context("a core dump could hold secrets, and cannot be prevented"));
        return ExitCode::from(2);
    }
    if let Err(error) = outlive_quotas() {
        output::complain(&error.context("a file that may not grow would end this process, and that cannot be prevented"));
        return ExitCode::from(2);
    }
    // Who reads the audit opens all of its files at once. Where the limit stays, that may be too many; all else goes on.
    let _ = limits::files::raise();
    let ended = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.verb.run(arguments.output),
        Err(error) if error.use_stderr() => {
            // Where stderr takes nothing there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(2);
        }
        Err(help) => {
            output::note(help.print());
            Ok(Outcome::Yes)
        }
    };
    let told = output::finish();
    if let Err(error) = &ended {
        output::complain(error);
    }
    if let Err(fault) = told {
        output::tell(&format!("scopegate: the result could not be written: {fault}"));
    }
    match (ended, told) {
        (Ok(Outcome::Yes), Ok(())) => ExitCode::SUCCESS,
        (Ok(Outcome::No), Ok(())) => ExitCode::from(1),
        (Err(_), _) | (_, Err(_)) => ExitCode::from(2),
    }
}

/// No full quota ends a verb: handlers of signals belong to the process, whatever runtime they were asked on.
fn outlive_quotas() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { process::outlive_quotas() })?;
    Ok(())
}

impl Verb {
    fn run(self, output: Output) -> anyhow::Result<Outcome> {
        let format = output.format();
        match self {
            Self::Dev(verb) => verb.run(format?),
            Self::Init(verb) => verb.run(format?),
            Self::Serve(verb) => verb.run(format?),
            Self::Policy(verb) => verb.run(output),
            Self::Account(verb) => verb.run(format?),
            Self::Keys(verb) => verb.run(format?),
            Self::Store(verb) => verb.run(format?),
            Self::Audit(verb) => verb.run(format?),
            Self::Doctor(verb) => verb.run(format?),
            Self::Completion { shell } => manual::completion(shell, format?),
            Self::Man { page } => manual::man(page, format?),
            Self::Version => version::run(format?),
        }
    }
}
