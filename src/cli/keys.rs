//! `scopegate keys`.

use super::Outcome;
use super::output::{Format, say, say_json, tell};
use crate::vault::key_file;
use std::path::PathBuf;

/// Makes wrapping keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Keys {
    /// Writes a new wrapping key with mode 0600; never over a file that is there.
    Generate {
        /// Where to.
        #[arg(default_value = "keys/kek-1")]
        file: PathBuf,
    },
}

impl Keys {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let Self::Generate { file } = self;
        match key_file::generate(&file) {
            Ok(()) => {
                match format {
                    Format::Human => say(&format!("wrote a new wrapping key to {}", file.display())),
                    Format::Json => say_json(&serde_json::json!({"file": file}))?,
                }
                Ok(Outcome::Yes)
            }
            Err(key_file::KeyFileError::Exists { .. }) => {
                tell(&format!("scopegate: {} is there already and stays as it is", file.display()));
                Ok(Outcome::No)
            }
            Err(other) => Err(other.into()),
        }
    }
}
