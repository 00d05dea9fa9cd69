//! Answers of the token endpoint (RFC 6749 section 5), read as providers really write them.

use super::Told;
use crate::account::fits_a_header;
use crate::connector::PlainHttp;
use crate::connector::oauth::OAuth;
use crate::connector::variables::{Source, Variable};
use crate::scope::ProviderScope;
use crate::secret::{AccessToken, RefreshToken};
use crate::time::Timestamp;
use indexmap::IndexMap;
use serde_json::Value;
use std::time::Duration;
use url::form_urlencoded;

/// A whole answer, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Its status.
    pub status: u16,
    /// Its `Retry-After`.
    pub retry_after: Option<&'a str>,
    /// Its `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
}

/// What a provider issued.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// A header may carry it as it is.
    pub access: AccessToken,
    /// None: keep the one that is there.
    pub refresh: Option<RefreshToken>,
    /// Capped at 10 years; none where the answer says nothing usable.
    pub expires_in: Option<Duration>,
    /// None: as requested, or as before (RFC 6749 section 5.1).
    pub scope: Option<Vec<ProviderScope>>,
    /// What it says of the variables that are `from: token`.
    pub told: Told,
}

/// Why there are no tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenFault {
    /// `invalid_grant`: the refresh token or the code is worth nothing there.
    #[error("the provider does not honour the grant")]
    NotHonoured,
    /// `invalid_client` and its like, and whatever comes with 401: it does not take us for who we are, and no grant is to blame.
    /// It may do so with another secret.
    #[error("the provider refuses our registration ({code})")]
    ClientRefused {
        /// One of a closed list.
        code: &'static str,
    },
    /// `invalid_request` and its like: it takes nobody's request of this kind, and no grant is to blame.
    #[error("the provider refuses the way in which it is asked ({code})")]
    RequestRefused {
        /// One of a closed list.
        code: &'static str,
    },
    /// An answer that says no without saying why, or that says later. Nothing was spent.
    #[error("the provider gives no token at present (status {status})")]
    Declined {
        /// Of the answer.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// An error of the provider's own, which may have come after it had done what it was asked to do.
    #[error("the provider failed (status {status})")]
    Failed {
        /// Of the answer.
        status: u16,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// An answer that may once have held tokens.
    #[error("the provider's answer holds no usable token")]
    Garbage,
}

/// RFC 6749 section 5.2, and the words of GitHub, Slack and Zoho.
const NOT_HONOURED: [&str; 5] = ["invalid_grant", "bad_refresh_token", "invalid_refresh_token", "token_revoked", "invalid_code"];

/// RFC 6749 section 5.2, and the words of GitHub and Slack.
const CLIENT_REFUSED: [&str; 5] = ["invalid_client", "unauthorized_client", "incorrect_client_credentials", "invalid_client_id", "bad_client_secret"];

/// RFC 6749 section 5.2.
const REQUEST_REFUSED: [&str; 3] = ["invalid_request", "invalid_scope", "unsupported_grant_type"];

const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

/// Reads an answer of the token endpoint.
/// # Errors
/// [`TokenFault`]; a status of 5xx, 429 or 401 never tells that a grant is not honoured.
pub fn read_tokens(
    oauth: &OAuth,
    declared: &IndexMap<String, Variable>,
    reply: Reply<'_>,
    now: Timestamp,
    plain_http: PlainHttp,
) -> Result<Tokens, TokenFault> {
    let document = document(reply);
    let (status, retry_after) = (reply.status, reply.retry_after.and_then(|text| wait(text, now)));
    let declined = || TokenFault::Declined { status, retry_after };
    match (status, document) {
        (200..=299, None) => Err(TokenFault::Garbage),
        (200..=299, Some(document)) => match code_of(oauth, &document) {
            Some(code) => Err(told_apart(code).unwrap_or_else(declined)),
            None => tokens(oauth, declared, &document, plain_http).ok_or(TokenFault::Garbage),
        },
        (408 | 425 | 429, _) => Err(declined()),
        // RFC 6749 section 5.2 keeps this one for clients that are not known; of a grant that is not honoured it would speak with 400.
        (401, document) => {
            let code = document.as_ref().and_then(|document| code_of(oauth, document));
            Err(TokenFault::ClientRefused { code: code.and_then(|code| one_of(&CLIENT_REFUSED, code)).unwrap_or("401") })
        }
        (400..=499, document) => {
            let known = document.as_ref().and_then(|document| code_of(oauth, document)).and_then(told_apart);
            Err(known.unwrap_or_else(declined))
        }
        // Overload that says for how long was told at the door; other errors may come from behind a rotation.
        (503, _) if retry_after.is_some() => Err(declined()),
        (500..=599, _) => Err(TokenFault::Failed { status, retry_after }),
        _ => Err(declined()),
    }
}

/// JSON, or a form where the answer says that it is one: so GitHub speaks to whom it does not know to read JSON.
fn document(reply: Reply<'_>) -> Option<Value> {
    let is_form = |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    if reply.content_type.is_some_and(is_form) {
        let fields = form_urlencoded::parse(reply.body).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        Some(Value::Object(fields.collect()))
    } else {
        serde_json::from_slice(reply.body).ok()
    }
}

/// The error code of an answer, at the connector's pointer or where RFC 6749 puts it.
fn code_of<'a>(oauth: &OAuth, document: &'a Value) -> Option<&'a str> {
    let at = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).filter(|code| !code.is_empty());
    oauth.error_pointer.as_deref().and_then(at).or_else(|| at("/error"))
}

fn told_apart(code: &str) -> Option<TokenFault> {
    let not_honoured = one_of(&NOT_HONOURED, code).map(|_| TokenFault::NotHonoured);
    let client = || one_of(&CLIENT_REFUSED, code).map(|code| TokenFault::ClientRefused { code });
    let request = || one_of(&REQUEST_REFUSED, code).map(|code| TokenFault::RequestRefused { code });
    not_honoured.or_else(client).or_else(request)
}

fn one_of(known: &[&'static str], code: &str) -> Option<&'static str> {
    known.iter().find(|known| **known == code).copied()
}

fn tokens(oauth: &OAuth, declared: &IndexMap<String, Variable>, document: &Value, plain_http: PlainHttp) -> Option<Tokens> {
    let set = match &oauth.token_pointer {
        Some(pointer) => document.pointer(pointer)?,
        None => document,
    };
    let text = |name: &str| set.get(name).and_then(Value::as_str);
    let kind = text("token_type").unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") && oauth.token_type.as_deref() != Some(kind) {
        return None;
    }
    let access = text("access_token").filter(|token| fits_a_header(token))?;
    let refresh = match text("refresh_token") {
        None | Some("") => None,
        // RFC 6749 appendix A.17.
        Some(token) if token.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) => Some(RefreshToken::new(token.into())),
        Some(_) => return None,
    };
    Some(Tokens {
        access: AccessToken::new(access.into()),
        refresh,
        expires_in: set.get("expires_in").and_then(lifetime),
        scope: set.get("scope").and_then(scopes),
        told: Told::in_document(document, declared, plain_http, |from| match from {
            Source::Token { pointer } => Some(pointer),
            Source::Callback { .. } | Source::Lookup { .. } | Source::Account => None,
        }),
    })
}

/// A number, or a text that is one, of at least 1.
fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse::<f64>().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let seconds = seconds.filter(|seconds| *seconds >= 1.0)?;
    Some(Duration::try_from_secs_f64(seconds).map_or(LONGEST, |lifetime| lifetime.min(LONGEST)))
}

fn scopes(value: &Value) -> Option<Vec<ProviderScope>> {
    match value {
        Value::String(text) => Some(read_scopes(text)),
        Value::Array(list) => Some(list.iter().filter_map(Value::as_str).flat_map(read_scopes).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// The scopes in a text, separated by blanks or commas, each once. What is no scope is left out.
#[must_use]
pub fn read_scopes(text: &str) -> Vec<ProviderScope> {
    let mut scopes: Vec<ProviderScope> = Vec::new();
    for scope in text.split([' ', ',', '\t', '\n', '\r']).filter_map(|part| part.parse().ok()) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

/// `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3).
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(date.timestamp().as_millisecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::oauth;
    use super::*;
    use crate::connector::variables::Rule;
    use serde_json::json;

    fn read(oauth: &OAuth, status: u16, body: &str) -> Result<Tokens, TokenFault> {
        let reply = Reply { status, retry_after: Some("7"), content_type: Some("application/json"), body: body.as_bytes() };
        read_tokens(oauth, &IndexMap::new(), reply, Timestamp::default(), PlainHttp::Refused)
    }

    fn good(more: Value) -> Result<Tokens, TokenFault> {
        let mut document = json!({"access_token": "at", "token_type": "Bearer", "refresh_token": "rt"});
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read(&oauth(), 200, &document.to_string())
    }

    #[test]
    fn a_lifetime_is_a_number_of_at_least_one_or_nothing() {
        let ten_years = Some(10 * 366 * 24 * 60 * 60);
        for (value, seconds) in [
            (json!(3600), Some(3600)),
            (json!("3600"), Some(3600)),
            (json!(7200.5), Some(7200)),
            (json!(1), Some(1)),
            (json!(10_u64.pow(12)), ten_years),
            (json!(1e300), ten_years),
            (json!("1e400"), ten_years),
            (json!(0), None),
            (json!(0.5), None),
            (json!(-1), None),
            (json!("soon"), None),
            (json!("NaN"), None),
            (json!(""), None),
            (json!([3600]), None),
            (json!(true), None),
            (json!(null), None),
        ] {
            let tokens = good(json!({ "expires_in": value })).unwrap();
            assert_eq!(tokens.expires_in.map(|lifetime| lifetime.as_secs()), seconds, "{value}");
        }
        assert_eq!(good(json!({})).unwrap().expires_in, None);
    }

    #[test]
    fn scopes_come_with_blanks_or_commas_or_as_a_list() {
        for (value, scopes) in [
            (json!("api write"), Some(vec!["api", "write"])),
            (json!("api,write"), Some(vec!["api", "write"])),
            (json!("api, write  api"), Some(vec!["api", "write"])),
            (json!(["api", "write"]), Some(vec!["api", "write"])),
            (json!(""), Some(vec![])),
            (json!(null), None),
            (json!(7), None),
        ] {
            let tokens = good(json!({ "scope": value })).unwrap();
            let came = tokens.scope.as_ref().map(|list| list.iter().map(ProviderScope::as_str).collect());
            assert_eq!(came, scopes, "{value}");
        }
    }

    #[test]
    fn a_token_that_no_header_may_carry_is_garbage() {
        for more in [
            json!({"token_type": "DPoP"}),
            json!({"token_type": "mac"}),
            json!({"token_type": "user"}),
            json!({"access_token": "at-x\r\nX-Evil: 1"}),
            json!({"access_token": "at x"}),
            json!({"access_token": ""}),
            json!({"access_token": 7}),
            json!({"access_token": "at-é"}),
            json!({"refresh_token": "rt\n"}),
        ] {
            assert_eq!(good(more.clone()).unwrap_err(), TokenFault::Garbage, "{more}");
        }
        for more in [json!({"token_type": "bearer"}), json!({"token_type": "BEARER"}), json!({"token_type": null}), json!({"refresh_token": null})] {
            assert!(good(more.clone()).is_ok(), "{more}");
        }
    }

    #[test]
    fn errors_are_told_apart() {
        let wait = Some(Duration::from_secs(7));
        let declined = |status| TokenFault::Declined { status, retry_after: wait };
        let failed = |status| TokenFault::Failed { status, retry_after: wait };
        let refused = |code| TokenFault::ClientRefused { code };
        for (status, body, fault) in [
            (400, r#"{"error":"invalid_grant"}"#, TokenFault::NotHonoured),
            (401, r#"{"error":"invalid_grant"}"#, refused("401")),
            (401, r#"{"error":"invalid_request"}"#, refused("401")),
            (400, r#"{"error":"invalid_request"}"#, TokenFault::RequestRefused { code: "invalid_request" }),
            (400, r#"{"error":"invalid_scope"}"#, TokenFault::RequestRefused { code: "invalid_scope" }),
            (200, r#"{"error":"unsupported_grant_type"}"#, TokenFault::RequestRefused { code: "unsupported_grant_type" }),
            (200, r#"{"error":"bad_client_secret"}"#, refused("bad_client_secret")),
            (200, r#"{"error":"bad_refresh_token"}"#, TokenFault::NotHonoured),
            (400, r#"{"error":"invalid_client"}"#, refused("invalid_client")),
            (401, r#"{"error":"invalid_client"}"#, refused("invalid_client")),
            (401, "<html>", refused("401")),
            (400, r#"{"error":"unauthorized_client"}"#, refused("unauthorized_client")),
            (400, r#"{"error":"something"}"#, declined(400)),
            (400, "", declined(400)),
            (403, "<html>", declined(403)),
            (429, r#"{"error":"invalid_grant"}"#, declined(429)),
            (500, r#"{"error":"invalid_grant"}"#, failed(500)),
            (502, "<html>bad gateway", failed(502)),
            (503, "", declined(503)),
            (504, "", failed(504)),
            (307, "", declined(307)),
            (200, r#"{"ok":false,"error":"token_expired"}"#, declined(200)),
            (200, "\0<html>maintenance", TokenFault::Garbage),
            (200, r#"{"access_token": "half"#, TokenFault::Garbage),
            (200, "[]", TokenFault::Garbage),
            (200, "{}", TokenFault::Garbage),
        ] {
            assert_eq!(read(&oauth(), status, body).unwrap_err(), fault, "{status} {body}");
        }
    }

    #[test]
    fn overload_that_does_not_say_for_how_long_may_have_come_after_the_rotation() {
        let reply = Reply { status: 503, retry_after: None, content_type: None, body: b"" };
        let fault = read_tokens(&oauth(), &IndexMap::new(), reply, Timestamp::default(), PlainHttp::Refused).unwrap_err();
        assert_eq!(fault, TokenFault::Failed { status: 503, retry_after: None });
    }

    #[test]
    fn an_answer_may_be_a_form_where_it_says_so() {
        let read = |status, content_type, body: &str| {
            let reply = Reply { status, retry_after: None, content_type, body: body.as_bytes() };
            read_tokens(&oauth(), &IndexMap::new(), reply, Timestamp::default(), PlainHttp::Refused)
        };
        let good = "access_token=gho_16C7e42F&scope=repo%2Cuser+gist&token_type=bearer&expires_in=28800&refresh_token=ghr_1B4a";
        for kind in ["application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-Urlencoded"] {
            let tokens = read(200, Some(kind), good).unwrap();
            assert_eq!((tokens.access.reveal(), tokens.expires_in.unwrap().as_secs(), tokens.scope.unwrap().len()), ("gho_16C7e42F", 28_800, 3));
            assert_eq!(tokens.refresh.unwrap().reveal(), "ghr_1B4a");
            for (status, body, fault) in [
                (200, "error=bad_refresh_token&error_description=x", TokenFault::NotHonoured),
                (400, "error=invalid_grant", TokenFault::NotHonoured),
                (200, "access_token=a%0d%0aX-Evil%3a1&token_type=bearer", TokenFault::Garbage),
                (200, "", TokenFault::Garbage),
            ] {
                assert_eq!(read(status, Some(kind), body).unwrap_err(), fault, "{body}");
            }
        }
        for kind in [None, Some("text/html")] {
            assert_eq!(read(200, kind, good).unwrap_err(), TokenFault::Garbage, "{kind:?}");
        }
    }

    #[test]
    fn a_connector_may_point_at_token_set_and_error() {
        let slack = OAuth {
            token_pointer: Some("/authed_user".into()),
            token_type: Some("user".into()),
            error_pointer: Some("/error/code".into()),
            ..oauth()
        };
        let body = r#"{"ok":true,"access_token":"bot","authed_user":{"access_token":"user","token_type":"user","scope":"a,b","expires_in":43200}}"#;
        let tokens = read(&slack, 200, body).unwrap();
        assert_eq!((tokens.access.reveal(), tokens.scope.unwrap().len(), tokens.expires_in.unwrap().as_secs()), ("user", 2, 43200));
        assert_eq!(read(&slack, 200, r#"{"access_token":"bot"}"#).unwrap_err(), TokenFault::Garbage);
        assert_eq!(read(&slack, 200, r#"{"error":{"code":"token_revoked"}}"#).unwrap_err(), TokenFault::NotHonoured);
    }

    #[test]
    fn variables_are_taken_only_where_their_rule_allows_it() {
        let variable = |pointer: &str, rule| Variable { from: Source::Token { pointer: pointer.into() }, default: None, rule };
        let declared = IndexMap::from([
            ("instance".to_owned(), variable("/instance_url", Rule::OriginOf(vec!["*.force.example".into()]))),
            ("hub".to_owned(), variable("/hub_id", Rule::Label)),
            ("absent".to_owned(), variable("/absent", Rule::Label)),
        ]);
        for (instance, value, refused) in
            [("https://a.force.example", Some("https://a.force.example"), vec![]), ("https://evil.example", None, vec!["instance"])]
        {
            let body = json!({"access_token": "at", "instance_url": instance, "hub_id": 77}).to_string();
            let reply = Reply { status: 200, retry_after: None, content_type: None, body: body.as_bytes() };
            let told = read_tokens(&oauth(), &declared, reply, Timestamp::default(), PlainHttp::Refused).unwrap().told;
            assert_eq!((told.values.get("instance").map(String::as_str), told.values.get("hub").map(String::as_str)), (value, Some("77")));
            assert_eq!(told.refused.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), refused);
        }
    }

    #[test]
    fn a_wait_is_given_in_seconds_or_as_a_date() {
        let now = "2026-11-26T09:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("120", Some(120)),
            ("Thu, 26 Nov 2026 09:02:00 GMT", Some(120)),
            ("Thu, 26 Nov 2026 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(wait(text, now).map(|wait| wait.as_secs()), seconds, "{text}");
        }
    }
}
