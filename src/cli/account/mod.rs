//! `scopegate account`: the admin API from the command line.

mod import;
mod list;

use super::Outcome;
use super::api::{Call, Door, segment};
use super::output::Format;
use anyhow::Context;
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::PathBuf;

/// Works on connected accounts through the admin API that the settings name.
#[derive(Debug, clap::Args)]
pub(super) struct Account {
    #[command(flatten)]
    door: Door,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    #[command(flatten)]
    OneCall(OneCall),
    /// Lists accounts, all of them.
    List(list::List),
    /// Brings many accounts with their credentials; run again, it goes on where it was cut off.
    Import(import::Import),
}

/// Names one account.
#[derive(Clone, Debug, clap::Args)]
struct Name {
    /// The connector, such as salesforce.
    connector: String,
    /// The identifier, such as user_123_researcher.
    identifier: String,
}

/// Verbs that are one call of the admin API.
#[derive(Debug, clap::Subcommand)]
enum OneCall {
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

impl Account {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        let api = self.door.open()?;
        match self.verb {
            Verb::OneCall(verb) => api.ask(verb.call()?)?.show(format),
            Verb::List(verb) => verb.run(&api, format),
            Verb::Import(verb) => verb.run(&api, format),
        }
    }
}

impl OneCall {
    fn call(self) -> anyhow::Result<Call> {
        Ok(match self {
            Self::Ensure { name, customer, role, shared_with, variables } => {
                let mut body = Map::from_iter([("customer".to_owned(), customer.into()), ("role".to_owned(), role.into())]);
                if let Some(other) = shared_with {
                    body.insert("grant".into(), json!({"shared_with": other}));
                }
                if !variables.is_empty() {
                    body.insert("variables".into(), pairs(&variables)?.into());
                }
                Call::new(Method::PUT, name.path("")).with(body.into())
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
