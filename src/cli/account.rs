//! `scopegate account`: the admin API from the command line.

use super::output::{Format, say, say_json, table, tell};
use super::{Outcome, SettingsFile};
use crate::settings;
use anyhow::{Context, bail};
use reqwest::Method;
use scopegate_core::secret::BearerSecret;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// Works on connected accounts through the admin API that the settings name.
#[derive(Debug, clap::Args)]
pub(super) struct Account {
    #[command(flatten)]
    settings: SettingsFile,
    /// The admin API's address instead of that of the settings, such as http://127.0.0.1:4101.
    #[arg(long, value_name = "URL", global = true)]
    admin_url: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

/// Names one account.
#[derive(Clone, Debug, clap::Args)]
struct Name {
    /// The connector, such as salesforce.
    connector: String,
    /// The identifier, such as user_123_researcher.
    identifier: String,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Gets or makes an account.
    Ensure {
        #[command(flatten)]
        name: Name,
        /// Whose data it is.
        #[arg(long)]
        customer: String,
        /// The ceiling of its scopes.
        #[arg(long)]
        role: String,
        /// An account of the same customer whose grant it shares.
        #[arg(long, value_name = "IDENTIFIER")]
        shared_with: Option<String>,
        /// A variable of the connector; repeatable.
        #[arg(long = "variable", value_name = "NAME=VALUE")]
        variables: Vec<String>,
    },
    /// Lists accounts.
    List {
        /// Only those of this connector.
        #[arg(long)]
        connector: Option<String>,
        /// Only those of this customer.
        #[arg(long)]
        customer: Option<String>,
        /// Only those of this role.
        #[arg(long)]
        role: Option<String>,
        /// Only those that stand so.
        #[arg(long)]
        status: Option<String>,
    },
    /// Shows an account.
    Show(Name),
    /// Makes a link where the customer connects the account.
    Link {
        #[command(flatten)]
        name: Name,
        /// A gateway scope to ask for, of those of the role; repeatable. Without it: all of the role's.
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// Where the customer goes afterwards; its origin must be in `admin.return_to`.
        #[arg(long, value_name = "URL")]
        return_to: Option<String>,
    },
    /// Brings an existing credential: JSON such as {"access_token": ..., "refresh_token": ...} or {"api_key": ...}.
    Credentials {
        #[command(flatten)]
        name: Name,
        /// The file that holds it; `-` reads standard input, so that it never stands in a command line.
        #[arg(long, default_value = "-")]
        file: PathBuf,
    },
    /// Mints a handle, or takes one away.
    Handle {
        #[command(flatten)]
        name: Name,
        /// How long it lives: seconds, or a text such as 15m.
        #[arg(long)]
        ttl: Option<String>,
        /// Takes the handle of this id away instead.
        #[arg(long, value_name = "HANDLE-ID", conflicts_with = "ttl")]
        revoke: Option<String>,
    },
    /// Refreshes the token now.
    Refresh(Name),
    /// Revokes the grant at the provider and here.
    Revoke(Name),
    /// Deletes the account with its tokens.
    Delete(Name),
}

/// Asks the running gateway what it would decide for an account; `body` is that of `POST /v1/decisions`.
pub(super) fn explain(config: &std::path::Path, body: &Value, format: Format) -> anyhow::Result<Outcome> {
    let door = settings::admin_door(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let call = Call::new(Method::POST, "/v1/decisions".into()).with(body.clone());
    let (status, answer) = runtime.block_on(ask(&door.url, &door.token, call))?;
    let shown = show(status, &answer, format)?;
    let allowed = answer.get("decision").and_then(Value::as_str) == Some("allow");
    Ok(if shown == Outcome::Yes && allowed { Outcome::Yes } else { Outcome::No })
}

/// One call of the admin API.
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Call {
    fn new(method: Method, path: String) -> Self {
        Self { method, path, body: None }
    }

    fn with(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }
}

impl Account {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let door = settings::admin_door(&self.settings.config)?;
        let base = self.admin_url.unwrap_or(door.url);
        let call = self.verb.call()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, answer) = runtime.block_on(ask(&base, &door.token, call))?;
        show(status, &answer, format)
    }
}

impl Verb {
    fn call(self) -> anyhow::Result<Call> {
        Ok(match self {
            Self::Ensure { name, customer, role, shared_with, variables } => {
                let mut body = json!({"customer": customer, "role": role});
                if let Some(other) = shared_with {
                    body["grant"] = json!({"shared_with": other});
                }
                if !variables.is_empty() {
                    body["variables"] = pairs(&variables)?.into();
                }
                Call::new(Method::PUT, name.path("")).with(body)
            }
            Self::List { connector, customer, role, status } => {
                let filters = [("connector", connector), ("customer", customer), ("role", role), ("status", status)];
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                filters.iter().for_each(|(name, value)| {
                    query.extend_pairs(value.iter().map(|value| (name, value)));
                });
                Call::new(Method::GET, format!("/v1/accounts?{}", query.finish()))
            }
            Self::Show(name) => Call::new(Method::GET, name.path("")),
            Self::Link { name, scopes, return_to } => {
                let mut body = Map::new();
                if !scopes.is_empty() {
                    body.insert("scopes".into(), scopes.into());
                }
                if let Some(address) = return_to {
                    body.insert("return_to".into(), address.into());
                }
                Call::new(Method::POST, name.path("/authorizations")).with(body.into())
            }
            Self::Credentials { name, file } => Call::new(Method::PUT, name.path("/credentials")).with(credentials(&file)?),
            Self::Handle { name, revoke: Some(id), .. } => Call::new(Method::DELETE, name.path(&format!("/handles/{}", segment(&id)))),
            Self::Handle { name, ttl, revoke: None } => {
                let body = ttl.map_or_else(|| json!({}), |ttl| json!({"ttl": ttl.parse::<u64>().map_or(Value::String(ttl), Value::from)}));
                Call::new(Method::POST, name.path("/handles")).with(body)
            }
            Self::Refresh(name) => Call::new(Method::POST, name.path("/refresh")),
            Self::Revoke(name) => Call::new(Method::POST, name.path("/revoke")),
            Self::Delete(name) => Call::new(Method::DELETE, name.path("")),
        })
    }
}

impl Name {
    fn path(&self, rest: &str) -> String {
        format!("/v1/connectors/{}/accounts/{}{rest}", segment(&self.connector), segment(&self.identifier))
    }
}

/// One path segment, encoded.
fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

fn pairs(variables: &[String]) -> anyhow::Result<Map<String, Value>> {
    variables
        .iter()
        .map(|pair| {
            let (name, value) = pair.split_once('=').with_context(|| format!("`{pair}` is not NAME=VALUE"))?;
            Ok((name.to_owned(), Value::from(value)))
        })
        .collect()
}

fn credentials(file: &std::path::Path) -> anyhow::Result<Value> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("reading the credential from standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    }
    // the parser's own message would repeat pieces of the credential
    serde_json::from_str(&text).map_err(|error| anyhow::anyhow!("the credential is no JSON (line {}, column {})", error.line(), error.column()))
}

async fn ask(base: &str, token: &BearerSecret, call: Call) -> anyhow::Result<(u16, Value)> {
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(Duration::from_secs(60)).build()?;
    let address = format!("{}{}", base.trim_end_matches('/'), call.path);
    let mut request = client.request(call.method, &address).bearer_auth(token.reveal());
    if let Some(body) = &call.body {
        request = request.json(body);
    }
    let answer = request.send().await.with_context(|| format!("asking the admin API at {base}"))?;
    let status = answer.status().as_u16();
    let text = answer.text().await.with_context(|| format!("reading the answer of {base}"))?;
    let value =
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).with_context(|| format!("{base} answered {status} without JSON"))? };
    Ok((status, value))
}

fn show(status: u16, answer: &Value, format: Format) -> anyhow::Result<Outcome> {
    if status >= 400 {
        let title = answer.get("title").and_then(Value::as_str).unwrap_or("no reason given");
        let detail = answer.get("detail").and_then(Value::as_str).unwrap_or_default();
        if status == 401 || status >= 500 {
            bail!("the admin API answered {status}: {title} {detail}");
        }
        match format {
            Format::Human => tell(&format!("{title}\n{detail}")),
            Format::Json => say_json(answer)?,
        }
        return Ok(Outcome::No);
    }
    match format {
        Format::Json => say_json(answer)?,
        Format::Human => say(&human(answer)),
    }
    Ok(Outcome::Yes)
}

fn human(answer: &Value) -> String {
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

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}
