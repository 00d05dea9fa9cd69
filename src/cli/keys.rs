//! `scopegate keys`: wrapping keys, their use and their rotation.

use super::Outcome;
use super::api::{Answer, Api, Call, Door, plain};
use super::output::{Format, decline, say, say_json, table, tell};
use crate::vault::key_file;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often `rotate` looks how far it is.
const PAUSE: Duration = Duration::from_millis(500);

/// It tells so after so many looks.
const TOLD_EVERY: usize = 8;

/// Makes wrapping keys, and has the running gateway change to another one.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Keys {
    /// Writes a new wrapping key with mode 0600; never over a file that is there.
    Generate {
        /// Where to.
        #[arg(default_value = "keys/kek-1")]
        file: PathBuf,
    },
    /// Tells which key wraps, and what each key is used for. Exit status 1 as long as older keys are.
    Status {
        #[command(flatten)]
        door: Door,
    },
    /// Has the running gateway read the key files of the settings again and seal everything under `key_file`; waits until that is done.
    ///
    /// Before: `scopegate keys generate keys/kek-2`, and in the settings `encryption: {key_file: keys/kek-2, older_key_files: [keys/kek-1]}`.
    /// Interrupted, it goes on in the gateway, also after a restart; SIGHUP begins it as well. Where there is nothing to do it says so.
    Rotate {
        #[command(flatten)]
        door: Door,
        /// Does not wait.
        #[arg(long)]
        no_wait: bool,
    },
}

impl Keys {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        match self {
            Self::Generate { file } => generate(&file, format),
            Self::Status { door } => status(&door.open()?, format),
            Self::Rotate { door, no_wait } => rotate(&door.open()?, no_wait, format),
        }
    }
}

fn generate(file: &Path, format: Format) -> anyhow::Result<Outcome> {
    match key_file::generate(file) {
        Ok(id) => {
            match format {
                Format::Human => say(&format!("wrote wrapping key {id} to {}", file.display())),
                Format::Json => say_json(&json!({"file": file, "id": id.to_string()}))?,
            }
            Ok(Outcome::Yes)
        }
        Err(key_file::KeyFileError::Exists { .. }) => decline(&format!("{} is there already and stays as it is", file.display()), format),
        Err(other) => Err(other.into()),
    }
}

fn status(api: &Api, format: Format) -> anyhow::Result<Outcome> {
    let answer = api.ask(Call::new(Method::GET, "/v1/keys".into()))?;
    if answer.accepted(format)? == Outcome::No {
        return Ok(Outcome::No);
    }
    show(&answer, format)
}

fn rotate(api: &Api, no_wait: bool, format: Format) -> anyhow::Result<Outcome> {
    let before = current(&api.ask(Call::new(Method::GET, "/v1/keys".into()))?);
    let mut answer = api.ask(Call::new(Method::POST, "/v1/keys/rotate".into()))?;
    if answer.accepted(format)? == Outcome::No {
        return Ok(Outcome::No);
    }
    if finished(&answer) && current(&answer) == before {
        tell(
            "scopegate: nothing to do: everything is sealed under the key that the settings name; for another one, \
             name it in `encryption.key_file`, and this one in `older_key_files`",
        );
    }
    let mut looks = 0;
    while !no_wait && !finished(&answer) {
        if looks % TOLD_EVERY == 0 {
            tell(&format!("{} records and data keys are left under older keys", left(&answer)));
        }
        looks += 1;
        api.pause(PAUSE);
        answer = api.ask(Call::new(Method::GET, "/v1/keys".into()))?;
        if answer.accepted(format)? == Outcome::No {
            return Ok(Outcome::No);
        }
    }
    let outcome = show(&answer, format)?;
    Ok(if no_wait { Outcome::Yes } else { outcome })
}

/// Tells what the keys are used for, and whether older ones are.
fn show(answer: &Answer, format: Format) -> anyhow::Result<Outcome> {
    match format {
        Format::Json => say_json(&answer.body)?,
        Format::Human => say(&human(answer)),
    }
    Ok(if finished(answer) { Outcome::Yes } else { Outcome::No })
}

fn human(answer: &Answer) -> String {
    let head = ["KEY", "FILE", "DATA KEYS", "RECORDS", ""].map(str::to_owned).to_vec();
    let row = |key: &Value| {
        let is = |name: &str| key.get(name).and_then(Value::as_bool) == Some(true);
        let what = if is("current") {
            "wraps"
        } else if is("removable") {
            "can be removed from `older_key_files` and deleted"
        } else {
            "is still in use"
        };
        let cell = |name: &str| key.get(name).map_or_else(String::new, plain);
        vec![cell("id"), cell("file"), cell("data_keys"), cell("records"), what.to_owned()]
    };
    table(&std::iter::once(head).chain(keys(answer).iter().map(row)).collect::<Vec<_>>())
}

fn keys(answer: &Answer) -> &[Value] {
    answer.body.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn current(answer: &Answer) -> Option<String> {
    answer.body.get("current").and_then(Value::as_str).map(str::to_owned)
}

fn finished(answer: &Answer) -> bool {
    answer.body.get("finished").and_then(Value::as_bool) == Some(true)
}

/// What is sealed under older keys.
fn left(answer: &Answer) -> u64 {
    let count = |key: &Value, name: &str| key.get(name).and_then(Value::as_u64).unwrap_or(0);
    keys(answer).iter().skip(1).map(|key| count(key, "data_keys") + count(key, "records")).sum()
}
