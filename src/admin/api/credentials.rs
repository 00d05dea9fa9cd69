//! Credentials that exist already. They go in and never come out.

use super::accounts::Account;
use crate::admin::Plane;
use crate::admin::extract::{AccountParams, Body, Existing};
use crate::admin::problem::{Problem, Thing};
use crate::admin::strict::Fault;
use crate::grants::{BringError, Brought, BroughtCredential, VariableFault};
use axum::Json;
use axum::extract::State;
use scopegate_core::connector::variables::Variables;
use scopegate_core::secret::{AccessToken, ApiKey, RefreshToken};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;
use std::time::Duration;
use utoipa::ToSchema;

/// A credential: `access_token` with what belongs to it, or `api_key`, or `basic`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    #[schema(value_type = Option<String>, write_only)]
    access_token: Option<AccessToken>,
    #[schema(value_type = Option<String>, write_only)]
    refresh_token: Option<RefreshToken>,
    /// Seconds, as a number or as text; what is no number of at least 1 counts as not known.
    #[serde(default)]
    #[schema(value_type = Option<f64>)]
    expires_in: Lifetime,
    /// What the customer granted, blank-separated; left out: all that the role needs.
    scope: Option<String>,
    #[schema(value_type = Option<String>, write_only)]
    api_key: Option<ApiKey>,
    basic: Option<Basic>,
    /// Values of variables that otherwise come with the token answer.
    #[serde(default)]
    #[schema(value_type = HashMap<String, String>)]
    variables: Variables,
}

/// What Basic authentication takes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Basic {
    user: String,
    #[schema(value_type = String, write_only)]
    password: ApiKey,
}

/// How long an access token lives, as token answers say it (fine: text, fractions, nothing).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Lifetime(Option<Duration>);

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seconds;
        impl Visitor<'_> for Seconds {
            type Value = Lifetime;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a number of seconds")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Lifetime, E> {
                Ok(Lifetime(None))
            }
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Lifetime, E> {
                Ok(Lifetime((seconds >= 1).then(|| Duration::from_secs(seconds))))
            }
            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Lifetime, E> {
                Ok(Lifetime(None))
            }
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Lifetime, E> {
                Ok(Lifetime(Duration::try_from_secs_f64(seconds).ok().filter(|lifetime| *lifetime >= Duration::from_secs(1))))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Lifetime, E> {
                text.trim().parse::<f64>().map_or(Ok(Lifetime(None)), |seconds| self.visit_f64(seconds))
            }
        }
        from.deserialize_any(Seconds)
    }
}

/// Brings a credential; it replaces the grant that the account has, for all that share it.
#[utoipa::path(put, path = "/v1/connectors/{connector}/accounts/{identifier}/credentials", tag = "credentials", operation_id = "bring_credentials",
    params(AccountParams), request_body = Credential,
    responses((status = 200, body = Account), (status = 404, description = "Unknown connector or account"),
        (status = 422, description = "No credential, more than one, or one that no header may carry")))]
pub(super) async fn bring(State(plane): State<Plane>, Existing(account): Existing, Body(given): Body<Credential>) -> Result<Json<Account>, Problem> {
    let brought = read(given)?;
    let account = plane.grants.bring(&account.record, brought).await.map_err(not_brought)?;
    Ok(Json(Account::of(&account, &plane.policies.policies())))
}

/// The one credential that the body holds.
pub(super) fn read(given: Credential) -> Result<Brought, Fault> {
    let Credential { access_token, refresh_token, expires_in, scope, api_key, basic, variables } = given;
    let credential = match (access_token, api_key, basic) {
        (Some(access), None, None) => BroughtCredential::Tokens { access, refresh: refresh_token, expires_in: expires_in.0, scope },
        (None, key, basic) if refresh_token.is_some() || expires_in.0.is_some() || scope.is_some() => {
            let _ = (key, basic);
            return Err(Fault::field("access_token", "is missing, and `refresh_token`, `expires_in` and `scope` belong to one"));
        }
        (None, Some(key), None) => BroughtCredential::Key(key),
        (None, None, Some(Basic { user, password })) => BroughtCredential::Basic { user, password },
        (None, None, None) => return Err(Fault::field("access_token", "is missing: bring `access_token`, `api_key` or `basic`")),
        (_, _, _) => {
            return Err(Fault::field("access_token", "stands beside another credential: bring one of `access_token`, `api_key` and `basic`"));
        }
    };
    Ok(Brought { credential, variables })
}

fn not_brought(fault: BringError) -> Problem {
    match fault {
        BringError::UnknownConnector => Problem::Unknown(Thing::Connector),
        BringError::Unusable { field } => unusable(field).into(),
        BringError::Variable { name, fault } => unfit(&name, fault).into(),
        BringError::Store => Problem::unavailable(),
    }
}

/// A field that no request can carry.
pub(super) fn unusable(field: &str) -> Fault {
    Fault::field(field, "is not something that a request can carry: visible ASCII characters, and no blank")
}

/// A variable that cannot come with this credential.
pub(super) fn unfit(name: &str, fault: VariableFault) -> Fault {
    let field = format!("variables.{}", name.chars().take(64).collect::<String>());
    match fault {
        VariableFault::Unknown => Fault::field(&field, "is no variable of this connector that comes with a credential"),
        VariableFault::Missing => Fault::field(&field, "is missing, and the connector cannot be reached without it"),
        VariableFault::NotTold => Fault::field(&field, "is missing, and the API did not tell it when it was asked with this credential"),
        VariableFault::NotAllowed(fault) => Fault::field(&field, format_args!("is not allowed: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::strict;

    fn brought(body: &str) -> Result<Brought, String> {
        let given = strict::json::<Credential>(body.as_bytes()).map_err(|fault| fault.to_string())?;
        read(given).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_body_holds_exactly_one_credential() {
        for good in [
            r#"{"access_token": "a"}"#,
            r#"{"access_token": "a", "refresh_token": "b", "expires_in": 3600, "scope": "api write", "variables": {"x": "y"}}"#,
            r#"{"api_key": "k"}"#,
            r#"{"basic": {"user": "u", "password": "p"}}"#,
        ] {
            assert!(brought(good).is_ok(), "{good}");
        }
        for bad in [
            "{}",
            r#"{"refresh_token": "b"}"#,
            r#"{"api_key": "k", "scope": "api"}"#,
            r#"{"access_token": "a", "api_key": "k"}"#,
            r#"{"api_key": "k", "basic": {"user": "u", "password": "p"}}"#,
            r#"{"basic": {"user": "u"}}"#,
            r#"{"access_token": 7}"#,
        ] {
            assert!(brought(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_number_of_at_least_one_second_is_no_lifetime() {
        for (text, seconds) in [
            ("3600", Some(3600.0)),
            ("\"3600\"", Some(3600.0)),
            ("7200.5", Some(7200.5)),
            ("0", None),
            ("-1", None),
            ("\"soon\"", None),
            ("\"\"", None),
            ("null", None),
            ("\"nan\"", None),
            ("\"inf\"", None),
        ] {
            let given = strict::json::<Credential>(format!(r#"{{"access_token": "a", "expires_in": {text}}}"#).as_bytes()).unwrap();
            assert_eq!(given.expires_in.0.map(|lifetime| lifetime.as_secs_f64()), seconds, "{text}");
        }
    }

    #[test]
    fn a_faulty_body_never_shows_what_it_held() {
        for bad in [
            r#"{"access_token": "canary", "refreshtoken": "canary"}"#,
            r#"{"access_token": {"canary": "canary"}}"#,
            r#"{"basic": "canary"}"#,
            r#"{"access_token": "canary", "api_key": "canary"}"#,
        ] {
            let fault = brought(bad).err().unwrap();
            assert!(!fault.contains("canary"), "{fault}");
        }
    }
}
