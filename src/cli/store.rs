//! `scopegate store`: backups of the embedded store.

use super::output::{Format, decline, say, say_json};
use super::{Outcome, SettingsFile};
use crate::clock::Clock;
use crate::settings;
use crate::store::{CopyError, back_up, restore};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Backs the embedded store up, also while the gateway runs, and puts a backup in its place.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Store {
    /// Copies the store as it is at this moment, also while the gateway runs. Secrets in the copy stay sealed: keep the key files apart.
    Backup {
        /// Where to; never over a file that is there.
        file: PathBuf,
        #[command(flatten)]
        settings: SettingsFile,
    },
    /// Puts a backup in the place of the store, which no gateway may be running on; the store that was there is kept beside it.
    Restore {
        /// The backup.
        file: PathBuf,
        #[command(flatten)]
        settings: SettingsFile,
    },
}

impl Store {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let now = Clock::system().timestamp();
        let (done, text) = match self {
            Self::Backup { file, settings } => {
                let folder = settings::store_folder(&settings.config)?;
                let made = back_up(&folder, &file, now).map(|()| json!({"file": file}));
                (made, format!("copied the store to {}", file.display()))
            }
            Self::Restore { file, settings } => {
                let folder = settings::store_folder(&settings.config)?;
                let put = restore(&folder, &file, now).map(|replaced| json!({"file": file, "replaced": replaced}));
                (put, format!("{} is the store from now on: `scopegate serve` tells whether anything is missing in it", file.display()))
            }
        };
        tell_of(done, &text, format)
    }
}

fn tell_of(done: Result<Value, CopyError>, text: &str, format: Format) -> anyhow::Result<Outcome> {
    match done {
        Ok(facts) => {
            match format {
                Format::Json => say_json(&facts)?,
                Format::Human => say(&facts
                    .get("replaced")
                    .and_then(Value::as_str)
                    .map_or_else(|| text.to_owned(), |replaced| format!("{text}\nthe store that was there before is {replaced}"))),
            }
            Ok(Outcome::Yes)
        }
        Err(refused @ (CopyError::Exists { .. } | CopyError::NoBackup { .. } | CopyError::InUse { .. })) => decline(&refused.to_string(), format),
        Err(failed @ (CopyError::Read { .. } | CopyError::Write { .. })) => Err(failed.into()),
    }
}
