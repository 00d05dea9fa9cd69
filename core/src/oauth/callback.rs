//! The callback (RFC 6749 section 4.1.2): what a provider sends back with the browser.

use super::Told;
use super::token_request::filled;
use crate::connector::PlainHttp;
use crate::connector::oauth::OAuth;
use crate::connector::variables::{Source, Variable, Variables};
use crate::secret::Proof;
use indexmap::IndexMap;
use std::collections::BTreeMap;
use url::{Url, form_urlencoded};

/// A callback as it was read. Its state is spent whatever else it says.
#[derive(Debug)]
pub struct Callback {
    /// What it says to belong to; none where it says nothing, or more than one thing.
    pub state: Option<Proof>,
    /// What it brings.
    pub answer: CallbackAnswer,
    issuer: Option<String>,
    parameters: BTreeMap<String, String>,
}

/// What a callback brings.
#[derive(Debug)]
pub enum CallbackAnswer {
    /// What tokens are bought with, once.
    Code(Proof),
    /// The customer said no.
    Declined,
    /// The provider could not or would not.
    Failed,
    /// Neither code nor error, both, or one of them twice.
    Unreadable,
}

/// The callback names another issuer than the connector's (RFC 9207): a mix-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the callback names an issuer that is not the connector's provider")]
pub struct WrongIssuer;

/// Providers' words for a customer's no.
const DECLINED: [&str; 4] = ["access_denied", "user_denied", "user_cancelled_login", "user_cancelled_authorize"];

impl Callback {
    /// Reads the query of a callback.
    #[must_use]
    pub fn read(query: &str) -> Self {
        let mut parameters = BTreeMap::new();
        let mut twice = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.to_string(), value.to_string()).is_some() {
                twice.push(name.to_string());
            }
        }
        let mut take = |name: &str| parameters.remove(name).filter(|value| !value.is_empty());
        let (state, code, error, issuer) = (take("state"), take("code"), take("error"), take("iss"));
        let torn = ["state", "code", "error", "iss"].iter().any(|name| twice.iter().any(|known| known == name));
        let answer = match (code, error) {
            _ if torn => CallbackAnswer::Unreadable,
            (Some(code), None) => CallbackAnswer::Code(Proof::new(code)),
            (None, Some(error)) if DECLINED.contains(&error.as_str()) => CallbackAnswer::Declined,
            (None, Some(_)) => CallbackAnswer::Failed,
            (Some(_), Some(_)) | (None, None) => CallbackAnswer::Unreadable,
        };
        let state = state.filter(|_| !twice.iter().any(|name| name == "state")).map(Proof::new);
        parameters.retain(|name, _| !twice.contains(name));
        Self { state, answer, issuer, parameters }
    }

    /// Checks the issuer where one is named: it must have the origin of the authorization or the token endpoint, for an
    /// issuer's metadata name them and providers keep them together.
    /// # Errors
    /// It has another.
    pub fn judge_issuer(&self, oauth: &OAuth, variables: &Variables) -> Result<(), WrongIssuer> {
        let Some(issuer) = &self.issuer else { return Ok(()) };
        let issuer = Url::parse(issuer).map_err(|_| WrongIssuer)?.origin();
        let ours = oauth.authorization_url.iter().chain([&oauth.token_url]).filter_map(|template| filled(template, variables).ok());
        if issuer.is_tuple() && ours.into_iter().any(|url| url.origin() == issuer) { Ok(()) } else { Err(WrongIssuer) }
    }

    /// What it says of the variables that are `from: callback`. A parameter that stands twice says nothing.
    #[must_use]
    pub fn variables(&self, declared: &IndexMap<String, Variable>, plain_http: PlainHttp) -> Told {
        let mut told = Told::default();
        for (name, variable) in declared {
            if let Source::Callback { parameter } = &variable.from
                && let Some(value) = self.parameters.get(parameter)
            {
                told.take(name, &variable.rule, value, plain_http);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::oauth;
    use super::*;
    use crate::connector::template::Template;
    use crate::connector::variables::Rule;

    #[test]
    fn a_callback_brings_one_code_or_one_error() {
        for (query, state, answer) in [
            ("code=c%2F1&state=s", Some("s"), "code c/1"),
            ("error=access_denied&state=s", Some("s"), "declined"),
            ("error=server_error&error_description=x&state=s", Some("s"), "failed"),
            ("state=s", Some("s"), "unreadable"),
            ("code=&state=s", Some("s"), "unreadable"),
            ("code=c&error=access_denied&state=s", Some("s"), "unreadable"),
            ("code=c&code=d&state=s", Some("s"), "unreadable"),
            ("code=c&state=s&state=s", None, "unreadable"),
            ("code=c", None, "code c"),
            ("", None, "unreadable"),
        ] {
            let read = Callback::read(query);
            let told = match &read.answer {
                CallbackAnswer::Code(code) => format!("code {}", code.reveal()),
                CallbackAnswer::Declined => "declined".into(),
                CallbackAnswer::Failed => "failed".into(),
                CallbackAnswer::Unreadable => "unreadable".into(),
            };
            assert_eq!((read.state.as_ref().map(Proof::reveal), told.as_str()), (state, answer), "{query}");
        }
    }

    #[test]
    fn an_issuer_that_is_named_must_be_the_connectors() {
        let oauth = OAuth { authorization_url: Some(Template::parse("https://accounts.example/auth").unwrap()), ..oauth() };
        for (issuer, good) in [
            ("", true),
            ("&iss=https%3A%2F%2Faccounts.example", true),
            ("&iss=https%3A%2F%2Faccounts.example%2Ftenant%2Fv2.0", true),
            ("&iss=https%3A%2F%2Flogin.example", true),
            ("&iss=http%3A%2F%2Faccounts.example", false),
            ("&iss=https%3A%2F%2Faccounts.example.evil.example", false),
            ("&iss=https%3A%2F%2Faccounts.example%3A8443", false),
            ("&iss=accounts.example", false),
            ("&iss=data%3Ax", false),
        ] {
            let judged = Callback::read(&format!("code=c&state=s{issuer}")).judge_issuer(&oauth, &Variables::new());
            assert_eq!(judged.is_ok(), good, "{issuer}");
        }
    }

    #[test]
    fn variables_come_from_the_callbacks_own_parameters_alone() {
        let realm = Variable { from: Source::Callback { parameter: "realmId".into() }, default: None, rule: Rule::Label };
        let stolen = Variable { from: Source::Callback { parameter: "code".into() }, default: None, rule: Rule::Label };
        let declared = IndexMap::from([("realm".to_owned(), realm), ("stolen".to_owned(), stolen)]);
        for (query, value, refused) in
            [("realmId=123", Some("123"), 0), ("realmId=a%2Fb", None, 1), ("realmId=1&realmId=2", None, 0), ("realmid=123", None, 0)]
        {
            let told = Callback::read(&format!("code=c&state=s&{query}")).variables(&declared, PlainHttp::Refused);
            assert_eq!(
                (told.values.get("realm").map(String::as_str), told.values.get("stolen"), told.refused.len()),
                (value, None, refused),
                "{query}"
            );
        }
    }
}
