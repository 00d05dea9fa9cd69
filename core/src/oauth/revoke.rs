//! Revocation at the provider (RFC 7009).

use super::client::Client;
use super::token_request::{Call, NoCall, call};
use crate::account::TokenSet;
use crate::connector::oauth::OAuth;
use crate::connector::template::Template;
use crate::connector::variables::Variables;

/// What came of a revocation at the provider.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revocation {
    /// The token is worth nothing there any more.
    Confirmed,
    /// It may still be.
    NotConfirmed,
}

/// Revokes what the whole grant hangs on: the refresh token, or the access token where there is none
/// (RFC 7009 section 2.1), at the connector's revocation endpoint `url`.
/// # Errors
/// The endpoint has no address with these variables.
pub fn revoke_call(oauth: &OAuth, url: &Template, client: &Client<'_>, variables: &Variables, tokens: &TokenSet) -> Result<Call, NoCall> {
    let (token, hint) = match &tokens.refresh {
        Some(refresh) => (refresh.reveal(), "refresh_token"),
        None => (tokens.access.reveal(), "access_token"),
    };
    call(url, variables, oauth.token_request, client, vec![("token", token), ("token_type_hint", hint)])
}

/// Reads the answer. A token that the provider does not know, or knows as ended, is as good as revoked.
#[must_use]
pub fn read_revocation(status: u16, body: &[u8]) -> Revocation {
    let known_as_ended = || {
        let document: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let code = document.as_ref().and_then(|document| document.get("error")).and_then(serde_json::Value::as_str);
        code.is_some_and(|code| ["invalid_token", "invalid_grant"].contains(&code))
    };
    match status {
        200..=299 => Revocation::Confirmed,
        400 if known_as_ended() => Revocation::Confirmed,
        _ => Revocation::NotConfirmed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Evidence;
    use super::super::fixture::oauth;
    use super::*;
    use crate::secret::{AccessToken, RefreshToken};

    #[test]
    fn the_refresh_token_is_revoked_or_the_access_token_where_there_is_none() {
        let url = Template::parse("https://login.example/revoke").unwrap();
        let client = Client { id: "me", evidence: Evidence::Nothing };
        for (refresh, body) in
            [(Some("r"), "token=r&token_type_hint=refresh_token&client_id=me"), (None, "token=a&token_type_hint=access_token&client_id=me")]
        {
            let tokens = TokenSet { access: AccessToken::new("a".into()), refresh: refresh.map(|text| RefreshToken::new(text.into())) };
            let call = revoke_call(&oauth(), &url, &client, &Variables::new(), &tokens).unwrap();
            assert_eq!(*call.body, body);
        }
    }

    #[test]
    fn only_a_clear_answer_confirms() {
        for (status, body, revocation) in [
            (200, "", Revocation::Confirmed),
            (204, "", Revocation::Confirmed),
            (400, r#"{"error":"invalid_token"}"#, Revocation::Confirmed),
            (400, r#"{"error":"unsupported_token_type"}"#, Revocation::NotConfirmed),
            (400, "no", Revocation::NotConfirmed),
            (302, "", Revocation::NotConfirmed),
            (503, "", Revocation::NotConfirmed),
        ] {
            assert_eq!(read_revocation(status, body.as_bytes()), revocation, "{status} {body}");
        }
    }
}
