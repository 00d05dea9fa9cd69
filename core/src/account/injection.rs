//! A credential is written into the place that its connector names for it.

use super::Credential;
use crate::connector::Inject;
use crate::connector::inject::BasicSide;
use crate::request::OutgoingHead;
use base64::prelude::{BASE64_STANDARD, Engine as _};

/// A credential that its connector's place cannot carry.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Uninjectable(&'static str);

const NO_HEADER: Uninjectable = Uninjectable("the credential holds characters that no header may carry");
const NO_PAIR: Uninjectable = Uninjectable("the connector takes a single token, no user and password");

impl Inject {
    /// Writes `credential` into `head`, instead of whatever stands in its place.
    /// # Errors
    /// Characters that no header may carry, or user and password where the connector wants a single token.
    pub fn write(&self, credential: &Credential, head: &mut OutgoingHead) -> Result<(), Uninjectable> {
        match (self.basic(credential), self) {
            (Some(pair), _) => head.set_header("authorization", format!("Basic {pair}").into_bytes()).map_err(|_| NO_HEADER),
            (None, Self::Header { name, scheme }) => {
                let Some(token) = single(credential) else { return Err(NO_PAIR) };
                let value = scheme.as_ref().map_or_else(|| token.to_owned(), |scheme| format!("{scheme} {token}"));
                head.set_header(name, value.into_bytes()).map_err(|_| NO_HEADER)
            }
            (None, Self::Query { name }) => {
                let Some(token) = single(credential) else { return Err(NO_PAIR) };
                head.add_parameter(name, token);
                Ok(())
            }
            (None, Self::Basic { .. }) => Err(NO_PAIR),
        }
    }

    /// What stands behind `Basic`, where that is how `credential` is sent: a user and a password also where the connector expects a token in
    /// `authorization`.
    #[must_use]
    pub fn basic(&self, credential: &Credential) -> Option<String> {
        let pair = match (self, credential) {
            (Self::Basic { .. }, Credential::Basic { user, password }) => format!("{user}:{}", password.reveal()),
            (Self::Header { name, .. }, Credential::Basic { user, password }) if name == "authorization" => format!("{user}:{}", password.reveal()),
            (Self::Basic { side: BasicSide::User }, Credential::Tokens(_) | Credential::Key(_)) => format!("{}:", credential.secret()),
            (Self::Basic { side: BasicSide::Password }, Credential::Tokens(_) | Credential::Key(_)) => format!(":{}", credential.secret()),
            (Self::Header { .. } | Self::Query { .. }, _) => return None,
        };
        Some(BASE64_STANDARD.encode(pair))
    }
}

/// The one token that a credential is; none where it is user and password.
fn single(credential: &Credential) -> Option<&str> {
    match credential {
        Credential::Tokens(_) | Credential::Key(_) => Some(credential.secret()),
        Credential::Basic { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::TokenSet;
    use crate::request::Request;
    use crate::secret::{AccessToken, ApiKey};
    use std::sync::Arc;

    fn head(target: &str, headers: &[(&str, &str)]) -> OutgoingHead {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request::read("GET", target, &headers, None).unwrap();
        OutgoingHead::bare(&request, Arc::new("https://api.example".parse().unwrap()))
    }

    fn tokens(access: &str) -> Credential {
        Credential::Tokens(TokenSet { access: AccessToken::new(access.into()), refresh: None })
    }

    fn header(name: &str, scheme: Option<&str>) -> Inject {
        Inject::Header { name: name.into(), scheme: scheme.map(str::to_owned) }
    }

    #[test]
    fn the_credential_goes_where_the_connector_says() {
        let basic = || Credential::Basic { user: "me".into(), password: ApiKey::new("pw".into()) };
        for (inject, credential, name, value) in [
            (Inject::default(), tokens("T"), "authorization", "Bearer T"),
            (Inject::default(), Credential::Key(ApiKey::new("K".into())), "authorization", "Bearer K"),
            (header("x-practice-token", None), tokens("T"), "x-practice-token", "T"),
            (header("x-practice-token", Some("Token")), tokens("T"), "x-practice-token", "Token T"),
            (Inject::Basic { side: BasicSide::User }, tokens("T"), "authorization", "Basic VDo="),
            (Inject::Basic { side: BasicSide::Password }, tokens("T"), "authorization", "Basic OlQ="),
            (Inject::Basic { side: BasicSide::User }, basic(), "authorization", "Basic bWU6cHc="),
            (Inject::default(), basic(), "authorization", "Basic bWU6cHc="),
        ] {
            let mut made = head("/a?b", &[]);
            inject.write(&credential, &mut made).unwrap();
            inject.write(&credential, &mut made).unwrap();
            let found: Vec<_> = made.headers.iter().filter(|(known, _)| known.as_str() == name).map(|(_, value)| value.as_ref()).collect();
            assert_eq!((found, made.path_and_query.as_str()), (vec![value.as_bytes()], "/a?b"), "{inject:?}");
        }
    }

    #[test]
    fn the_credential_can_go_into_the_query() {
        let inject = Inject::Query { name: "practice_token".into() };
        for (target, expected) in [
            ("/a?b=1&c=x%20y", "/a?b=1&c=x%20y&practice_token=T%2B%2F%3D"),
            ("/a", "/a?practice_token=T%2B%2F%3D"),
            ("/a?", "/a?practice_token=T%2B%2F%3D"),
            ("/a?practice_token=mine&b&practice%5Ftoken=mine", "/a?b&practice_token=T%2B%2F%3D"),
        ] {
            let mut made = head(target, &[]);
            inject.write(&tokens("T+/="), &mut made).unwrap();
            assert_eq!(made.path_and_query, expected, "{target}");
        }
    }

    #[test]
    fn what_the_place_cannot_carry_is_refused() {
        let basic = Credential::Basic { user: "me".into(), password: ApiKey::new("pw".into()) };
        for inject in [header("x-practice-token", None), Inject::Query { name: "key".into() }] {
            assert_eq!(inject.write(&basic, &mut head("/a", &[])), Err(NO_PAIR), "{inject:?}");
        }
        assert_eq!(Inject::default().write(&tokens("a\r\nb"), &mut head("/a", &[])), Err(NO_HEADER));
    }
}
