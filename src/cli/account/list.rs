//! `scopegate account list`: all of them, however many pages they are.

use crate::cli::Outcome;
use crate::cli::api::{Api, Call, human};
use crate::cli::output::{Format, say, say_json, tell};
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

/// How many accounts one page has at most.
const PAGE: usize = 1000;

/// Which accounts; what is left out does not narrow.
#[derive(Debug, clap::Args)]
pub(super) struct List {
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
    /// How many at most; without it all.
    #[arg(long)]
    limit: Option<usize>,
}

impl List {
    pub(super) fn run(self, api: &Api, format: Format) -> anyhow::Result<Outcome> {
        let limit = self.limit.unwrap_or(usize::MAX);
        let (mut accounts, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
        loop {
            let wanted = limit.saturating_sub(accounts.len()).clamp(1, PAGE);
            let answer = api.ask(self.page(wanted, cursor.as_deref()))?;
            if answer.accepted(format)? == Outcome::No {
                return Ok(Outcome::No);
            }
            let page = answer.body.get("accounts").and_then(Value::as_array).context("the admin API answered without `accounts`")?;
            accounts.extend(page.iter().cloned());
            cursor = answer.body.get("cursor").and_then(Value::as_str).map(str::to_owned);
            if accounts.len() >= limit || cursor.is_none() {
                break;
            }
        }
        accounts.truncate(limit);
        if cursor.is_some() {
            tell(&format!("scopegate: these are the first {limit}, and there are more: without `--limit` all are listed"));
        }
        let all = json!({"accounts": accounts, "cursor": cursor});
        match format {
            Format::Json => say_json(&all)?,
            Format::Human => say(&human(&all)),
        }
        Ok(Outcome::Yes)
    }

    fn page(&self, limit: usize, cursor: Option<&str>) -> Call {
        let filters = [("connector", &self.connector), ("customer", &self.customer), ("role", &self.role), ("status", &self.status)];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in filters {
            query.extend_pairs(value.iter().map(|value| (name, value)));
        }
        query.append_pair("limit", &limit.to_string());
        query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        Call::new(Method::GET, format!("/v1/accounts?{}", query.finish()))
    }
}
