//! The admin API, as verbs use it.

use super::Outcome;
use super::output::{Format, say, say_json, table, tell};
use crate::certificates;
use crate::settings::{self, AdminDoor};
use anyhow::{Context, bail};
use reqwest::Method;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Where the admin API is that verbs ask.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Door {
    #[command(flatten)]
    settings: super::SettingsFile,
    /// The admin API's address instead of that of the settings, such as http://127.0.0.1:4101.
    #[arg(long, value_name = "URL", global = true)]
    admin_url: Option<String>,
}

/// One call of the admin API.
pub(super) struct Call {
    method: Method,
    path: String,
    body: Body,
}

enum Body {
    Nothing,
    Json(Value),
    Lines(Vec<u8>),
}

impl Call {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self { method, path, body: Body::Nothing }
    }

    pub(super) fn with(self, body: Value) -> Self {
        Self { body: Body::Json(body), ..self }
    }

    pub(super) fn with_lines(self, lines: Vec<u8>) -> Self {
        Self { body: Body::Lines(lines), ..self }
    }
}

/// Asks one call after the other; each makes the next from the answer before.
pub(super) struct Api {
    door: AdminDoor,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// An answer of the admin API.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Door {
    /// Opens the door that the settings, or the flag, name.
    pub(super) fn open(&self) -> anyhow::Result<Api> {
        let mut door = settings::admin_door(&self.settings.config)?;
        if let Some(url) = &self.admin_url {
            door.url.clone_from(url);
        }
        Api::new(door)
    }
}

impl Api {
    /// The admin API of the settings file `config`.
    pub(super) fn of(config: &Path) -> anyhow::Result<Self> {
        Self::new(settings::admin_door(config)?)
    }

    fn new(door: AdminDoor) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(60));
        if let Some(cert_file) = &door.cert_file {
            client = client.tls_backend_preconfigured(certificates::recognising(cert_file)?);
        }
        let client = client.build()?;
        Ok(Self { door, client, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? })
    }

    /// Makes a call.
    pub(super) fn ask(&self, call: Call) -> anyhow::Result<Answer> {
        self.runtime.block_on(self.answer(call))
    }

    /// Waits before asking again.
    pub(super) fn pause(&self, pause: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(pause).await });
    }

    async fn answer(&self, call: Call) -> anyhow::Result<Answer> {
        let base = self.door.url.trim_end_matches('/');
        let request = self.client.request(call.method, format!("{base}{}", call.path)).bearer_auth(self.door.token.reveal());
        let request = match call.body {
            Body::Nothing => request,
            Body::Json(body) => request.json(&body),
            Body::Lines(lines) => request.header("content-type", "application/jsonl").body(lines),
        };
        let answer = request.send().await.with_context(|| format!("asking the admin API at {base}"))?;
        let status = answer.status().as_u16();
        let text = answer.text().await.with_context(|| format!("reading the answer of {base}"))?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).with_context(|| format!("{base} answered {status} without JSON"))?
        };
        Ok(Answer { status, body })
    }
}

impl Answer {
    /// Whether the API did it; a refusal is told on stderr, or as JSON.
    /// # Errors
    /// The API could not tell: the token is wrong, or it failed.
    pub(super) fn accepted(&self, format: Format) -> anyhow::Result<Outcome> {
        if self.status < 400 {
            return Ok(Outcome::Yes);
        }
        if self.status == 401 || self.status >= 500 {
            self.must()?;
        }
        match format {
            Format::Human => tell(&format!("{}\n{}", self.text("title"), self.text("detail"))),
            Format::Json => say_json(&self.body)?,
        }
        Ok(Outcome::No)
    }

    /// Takes no answer but a success.
    /// # Errors
    /// What the API said instead.
    pub(super) fn must(&self) -> anyhow::Result<()> {
        if self.status < 400 {
            return Ok(());
        }
        bail!("the admin API answered {}: {} {}", self.status, self.text("title"), self.text("detail"));
    }

    fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether asking again later may help: the gateway is there and cannot tell just now.
    pub(super) fn is_passing(&self) -> bool {
        self.status >= 500
    }

    /// Shows what the API answered.
    /// # Errors
    /// As for [`accepted`](Self::accepted).
    pub(super) fn show(&self, format: Format) -> anyhow::Result<Outcome> {
        let outcome = self.accepted(format)?;
        if outcome == Outcome::Yes {
            match format {
                Format::Json => say_json(&self.body)?,
                Format::Human => say(&human(&self.body)),
            }
        }
        Ok(outcome)
    }
}

/// One path segment, encoded.
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// An answer as people read it.
pub(super) fn human(answer: &Value) -> String {
    const COLUMNS: [&str; 6] = ["connector", "identifier", "customer", "role", "status", "expires_at"];
    if let Some(accounts) = answer.get("accounts").and_then(Value::as_array) {
        let head = vec![COLUMNS.iter().map(|name| name.to_uppercase()).collect()];
        let rows = accounts.iter().map(|account| COLUMNS.iter().map(|name| account.get(name).map_or_else(String::new, plain)).collect());
        return table(&head.into_iter().chain(rows).collect::<Vec<Vec<String>>>());
    }
    match answer {
        Value::Object(members) => table(&members.iter().map(|(name, value)| vec![name.clone(), plain(value)]).collect::<Vec<_>>()),
        Value::Null => "done".into(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => plain(other),
    }
}

pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
