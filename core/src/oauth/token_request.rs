//! Calls of the token endpoint (RFC 6749 section 3.2), as values.

use super::client::{Client, Evidence};
use crate::connector::oauth::{OAuth, TokenRequestFormat};
use crate::connector::template::{Template, Unfilled};
use crate::connector::variables::Variables;
use crate::secret::{Proof, RefreshToken};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// One POST to a provider. Its `Debug` shows the address alone.
pub struct Call {
    /// Where it goes.
    pub url: Url,
    /// Header names, in lower case, and values.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// What it carries.
    pub body: Zeroizing<String>,
}

impl fmt::Debug for Call {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Call").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Why a call cannot be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoCall {
    /// A variable of the address has no value.
    #[error("the endpoint's address cannot be filled")]
    Unfilled(#[source] Unfilled),
    /// With its variables filled the address is none.
    #[error("the endpoint's address is no URL")]
    NoUrl(#[source] url::ParseError),
}

/// Buys tokens for an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
/// # Errors
/// The endpoint has no address with these variables.
pub fn exchange_call(
    oauth: &OAuth,
    client: &Client<'_>,
    variables: &Variables,
    code: &Proof,
    verifier: Option<&Proof>,
    redirect_uri: &str,
) -> Result<Call, NoCall> {
    let mut fields = vec![("grant_type", "authorization_code"), ("code", code.reveal()), ("redirect_uri", redirect_uri)];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier.reveal())));
    call(&oauth.token_url, variables, oauth.token_request, client, fields)
}

/// Buys the next access token (RFC 6749 section 6). No scope is sent, so none is given up.
/// # Errors
/// The endpoint has no address with these variables.
pub fn refresh_call(oauth: &OAuth, client: &Client<'_>, variables: &Variables, token: &RefreshToken) -> Result<Call, NoCall> {
    let url = oauth.refresh_url.as_ref().unwrap_or(&oauth.token_url);
    call(url, variables, oauth.token_request, client, vec![("grant_type", "refresh_token"), ("refresh_token", token.reveal())])
}

/// A call with `fields` and what shows that it is us.
pub(super) fn call<'a>(
    to: &Template,
    variables: &Variables,
    format: TokenRequestFormat,
    client: &Client<'a>,
    mut fields: Vec<(&'a str, &'a str)>,
) -> Result<Call, NoCall> {
    let url = filled(to, variables)?;
    let mut headers = Vec::new();
    match client.evidence {
        Evidence::BasicSecret(secret) => headers.push(("authorization", basic(client.id, secret.reveal()))),
        Evidence::PostSecret(secret) => fields.extend([("client_id", client.id), ("client_secret", secret.reveal())]),
        Evidence::Nothing => fields.push(("client_id", client.id)),
        Evidence::Assertion(assertion) => fields.extend([
            ("client_id", client.id),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ]),
    }
    let (media_type, body) = match format {
        TokenRequestFormat::Form => ("application/x-www-form-urlencoded", form(&fields)),
        TokenRequestFormat::Json => ("application/json", json(&fields)),
    };
    headers.push(("content-type", Zeroizing::new(media_type.to_owned())));
    Ok(Call { url, headers, body })
}

pub(super) fn filled(template: &Template, variables: &Variables) -> Result<Url, NoCall> {
    Url::parse(&template.fill(variables).map_err(NoCall::Unfilled)?).map_err(NoCall::NoUrl)
}

/// Both sides are form-encoded before they are joined (RFC 6749 section 2.3.1).
fn basic(id: &str, secret: &str) -> Zeroizing<String> {
    let encoded = |text: &str| Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let pair = Zeroizing::new(format!("{}:{}", *encoded(id), *encoded(secret)));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    Zeroizing::new(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

fn json(fields: &[(&str, &str)]) -> Zeroizing<String> {
    let object: serde_json::Map<_, _> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    Zeroizing::new(serde_json::Value::Object(object).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::oauth;
    use super::*;
    use crate::secret::ClientSecret;

    fn header<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
        call.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_secret_stands_where_the_connector_wants_it() {
        let secret = ClientSecret::new("s e+c&r:t".into());
        let made = |evidence| refresh_call(&oauth(), &Client { id: "id:1", evidence }, &Variables::new(), &RefreshToken::new("r/1".into())).unwrap();
        let body = "grant_type=refresh_token&refresh_token=r%2F1";
        let call = made(Evidence::BasicSecret(&secret));
        assert_eq!((header(&call, "authorization"), call.body.as_str()), (Some("Basic aWQlM0ExOnMrZSUyQmMlMjZyJTNBdA=="), body));
        for (evidence, rest) in [
            (Evidence::PostSecret(&secret), "&client_id=id%3A1&client_secret=s+e%2Bc%26r%3At"),
            (Evidence::Nothing, "&client_id=id%3A1"),
            (
                Evidence::Assertion("a.b.c"),
                "&client_id=id%3A1&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c",
            ),
        ] {
            let call = made(evidence);
            assert_eq!((header(&call, "authorization"), call.body.as_str()), (None, format!("{body}{rest}").as_str()));
            assert_eq!(header(&call, "content-type"), Some("application/x-www-form-urlencoded"));
        }
    }

    #[test]
    fn a_code_goes_with_its_verifier_and_the_exact_address() {
        let client = Client { id: "me", evidence: Evidence::Nothing };
        let (code, verifier) = (Proof::new("c".into()), Proof::new("v".into()));
        let address = "https://gate.example/oauth/callback/crm";
        let made = exchange_call(&oauth(), &client, &Variables::new(), &code, Some(&verifier), address).unwrap();
        assert_eq!(made.url.as_str(), "https://login.example/token");
        assert_eq!(
            *made.body,
            "grant_type=authorization_code&code=c&redirect_uri=https%3A%2F%2Fgate.example%2Foauth%2Fcallback%2Fcrm&code_verifier=v&client_id=me"
        );
        let made = exchange_call(&OAuth { token_request: TokenRequestFormat::Json, ..oauth() }, &client, &Variables::new(), &code, None, address);
        let body: serde_json::Value = serde_json::from_str(&made.unwrap().body).unwrap();
        assert_eq!(body, serde_json::json!({"grant_type": "authorization_code", "code": "c", "redirect_uri": address, "client_id": "me"}));
    }

    #[test]
    fn refreshes_have_an_address_of_their_own_where_the_connector_says_so() {
        let oauth = OAuth { refresh_url: Some(Template::parse("https://{host}/renew").unwrap()), ..oauth() };
        let client = Client { id: "me", evidence: Evidence::Nothing };
        let made = |variables: &Variables| refresh_call(&oauth, &client, variables, &RefreshToken::new("r".into())).map(|call| call.url.to_string());
        assert_eq!(made(&Variables::from([("host".into(), "eu.example".into())])), Ok("https://eu.example/renew".into()));
        assert_eq!(made(&Variables::new()), Err(NoCall::Unfilled(Unfilled("host".into()))));
    }

    #[test]
    fn debug_shows_where_a_call_goes_and_nothing_that_it_carries() {
        let secret = ClientSecret::new("canary".into());
        let client = Client { id: "me", evidence: Evidence::PostSecret(&secret) };
        let call = refresh_call(&oauth(), &client, &Variables::new(), &RefreshToken::new("canary".into())).unwrap();
        assert!(!format!("{call:?} {client:?}").contains("canary"));
    }
}
