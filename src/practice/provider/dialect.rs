//! The ways in which real providers answer: the same facts in other clothes.

use super::ledger::Issued;
use serde_json::{Value, json};

/// How a token answer looks. Below `/{dialect}` the provider speaks like the one of that name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// RFC 6749 to the letter; refresh tokens rotate.
    Plain,
    /// No `expires_in`; `instance_url` says where the customer's own API is; a refresh answers without a refresh token.
    Salesforce,
    /// `ok: true`, a token type of its own, commas between scopes; errors come with status 200.
    Slack,
    /// A refresh answers without a refresh token.
    Google,
    /// Tokens that never expire and cannot be refreshed; commas between scopes; errors come with status 200.
    Github,
    /// As plain.
    Pagerduty,
}

impl Dialect {
    /// The dialect below `/{name}`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "salesforce" => Some(Self::Salesforce),
            "slack" => Some(Self::Slack),
            "google-gmail" => Some(Self::Google),
            "github" => Some(Self::Github),
            "pagerduty" => Some(Self::Pagerduty),
            _ => None,
        }
    }

    /// Whether each refresh replaces the refresh token.
    pub(super) const fn rotates(self) -> bool {
        matches!(self, Self::Plain | Self::Slack | Self::Pagerduty)
    }

    /// The token answer.
    pub(super) fn answer(self, issued: &Issued) -> Value {
        let mut answer = json!({
            "access_token": issued.access, "token_type": "Bearer", "expires_in": issued.lifetime.as_secs(), "scope": issued.scope,
        });
        match self {
            Self::Plain | Self::Google | Self::Pagerduty => set(&mut answer, "refresh_token", json!(issued.refresh)),
            Self::Salesforce => {
                unset(&mut answer, "expires_in");
                set(&mut answer, "refresh_token", json!(issued.refresh));
                set(&mut answer, "instance_url", json!(format!("https://{}.my.salesforce.com", issued.label.customer())));
            }
            Self::Slack => {
                set(&mut answer, "ok", json!(true));
                set(&mut answer, "token_type", json!("bot"));
                set(&mut answer, "scope", json!(issued.scope.replace(' ', ",")));
                set(&mut answer, "refresh_token", json!(issued.refresh));
                set(&mut answer, "team", json!({"id": "T0PRACTICE", "name": issued.label.customer().as_str()}));
            }
            Self::Github => {
                unset(&mut answer, "expires_in");
                set(&mut answer, "token_type", json!("bearer"));
                set(&mut answer, "scope", json!(issued.scope.replace(' ', ",")));
            }
        }
        answer
    }

    /// Whether an error comes with status 200.
    pub(super) const fn errs_in_200(self) -> bool {
        matches!(self, Self::Slack | Self::Github)
    }
}

fn set(answer: &mut Value, name: &str, value: Value) {
    if let (Some(members), false) = (answer.as_object_mut(), value.is_null()) {
        members.insert(name.to_owned(), value);
    }
}

fn unset(answer: &mut Value, name: &str) {
    if let Some(members) = answer.as_object_mut() {
        members.remove(name);
    }
}
