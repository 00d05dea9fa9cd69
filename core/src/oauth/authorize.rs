//! The authorization request (RFC 6749 section 4.1.1): where a customer's browser is sent.

use super::token_request::{NoCall, filled};
use crate::connector::oauth::OAuth;
use crate::connector::template::Template;
use crate::connector::variables::Variables;
use crate::scope::ProviderScope;
use crate::secret::Proof;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

/// What a provider is asked for.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest<'a> {
    /// Our public name.
    pub client_id: &'a str,
    /// Exactly as it is registered, and as the token request repeats it.
    pub redirect_uri: &'a str,
    /// In the order in which they are asked for; none: no `scope` is sent.
    pub scopes: &'a [ProviderScope],
    /// Comes back with the callback.
    pub state: &'a Proof,
    /// See [`challenge`]; none where the provider refuses one.
    pub challenge: Option<&'a str>,
}

/// The S256 challenge of a verifier (RFC 7636 section 4.2).
#[must_use]
pub fn challenge(verifier: &Proof) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.reveal().as_bytes()))
}

impl AuthorizationRequest<'_> {
    /// The address with everything in its query. `authorize_params` of the connector never replace what stands here; where
    /// one of their values holds `{scopes}`, the scopes stand there and not in `scope` (Slack's `user_scope`).
    /// # Errors
    /// `to` is no address with these variables.
    pub fn url(&self, to: &Template, oauth: &OAuth, variables: &Variables) -> Result<Url, NoCall> {
        let mut url = filled(to, variables)?;
        let scopes = self.scopes.iter().map(ProviderScope::as_str).collect::<Vec<_>>().join(&oauth.scope_separator);
        let mut fields =
            vec![("response_type", "code"), ("client_id", self.client_id), ("redirect_uri", self.redirect_uri), ("state", self.state.reveal())];
        fields.extend(self.challenge.iter().flat_map(|challenge| [("code_challenge", *challenge), ("code_challenge_method", "S256")]));
        let elsewhere = oauth.authorize_params.iter().any(|(_, value)| value.contains(SCOPES));
        if !scopes.is_empty() && !elsewhere {
            fields.push(("scope", &scopes));
        }
        let more = oauth.authorize_params.iter().filter(|(name, _)| !fields.iter().any(|(taken, _)| taken == name));
        let more: Vec<_> = more.map(|(name, value)| (name.as_str(), value.replace(SCOPES, &scopes))).collect();
        url.query_pairs_mut().extend_pairs(&fields).extend_pairs(more);
        Ok(url)
    }
}

const SCOPES: &str = "{scopes}";

#[cfg(test)]
mod tests {
    use super::super::fixture::oauth;
    use super::*;

    fn asked(oauth: &OAuth, to: &str) -> String {
        let scopes = ["api".parse().unwrap(), "offline_access".parse().unwrap()];
        let state = Proof::new("st".into());
        let request =
            AuthorizationRequest { client_id: "me", redirect_uri: "https://g.example/cb", scopes: &scopes, state: &state, challenge: Some("ch") };
        request.url(&Template::parse(to).unwrap(), oauth, &Variables::new()).unwrap().to_string()
    }

    #[test]
    fn the_provider_is_asked_for_exactly_this() {
        let parameters = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
        let start = "response_type=code&client_id=me&redirect_uri=https%3A%2F%2Fg.example%2Fcb&state=st&code_challenge=ch&code_challenge_method=S256";
        for (oauth, to, query) in [
            (oauth(), "https://login.example/a", format!("https://login.example/a?{start}&scope=api+offline_access")),
            (oauth(), "https://login.example/a?tenant=1", format!("https://login.example/a?tenant=1&{start}&scope=api+offline_access")),
            (
                OAuth { scope_separator: ",".into(), authorize_params: parameters(&[("access_type", "offline"), ("state", "forged")]), ..oauth() },
                "https://login.example/a",
                format!("https://login.example/a?{start}&scope=api%2Coffline_access&access_type=offline"),
            ),
            (
                OAuth { authorize_params: parameters(&[("user_scope", "{scopes}")]), ..oauth() },
                "https://login.example/a",
                format!("https://login.example/a?{start}&user_scope=api+offline_access"),
            ),
        ] {
            assert_eq!(asked(&oauth, to), query);
        }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = Proof::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into());
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
