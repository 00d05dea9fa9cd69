//! OAuth 2.0 as values: what is sent to a provider, and what its answers mean.
//!
//! Calls are made here and sent elsewhere; answers are read here with all the
//! tolerance that real providers need and no more. What a provider says is never
//! repeated: errors are told apart by a closed list of codes.
//!
//! The types of the `oauth2` crate do not serve here: it draws its own random
//! numbers, and its answers are stricter than the providers (an `expires_in` that
//! is no number, scopes with commas, errors within a 200, tokens at a pointer).
//!
//! **Invariant: a token that no header may carry never gets in**, and a variable
//! that its rule does not allow never gets out.

mod authorize;
mod callback;
mod client;
#[cfg(test)]
mod fixture;
mod revoke;
mod token_answer;
mod token_request;

pub use authorize::{AuthorizationRequest, challenge};
pub use callback::{Callback, CallbackAnswer, WrongIssuer};
pub use client::{Client, ClientKey, ClientRegistration, Evidence};
pub use revoke::{Revocation, read_revocation, revoke_call};
pub use token_answer::{Reply, TokenFault, Tokens, read_scopes, read_tokens};
pub use token_request::{Call, NoCall, exchange_call, refresh_call};

use crate::connector::PlainHttp;
use crate::connector::variables::{NotAllowed, Rule, Source, Variable, Variables};
use indexmap::IndexMap;

/// What a provider said of the variables of a connector.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// Values that their rules allow, in the form in which templates take them.
    pub values: Variables,
    /// Variables whose value is not allowed, and why.
    pub refused: Vec<(String, NotAllowed)>,
}

impl Told {
    fn take(&mut self, name: &str, rule: &Rule, value: &str, plain_http: PlainHttp) {
        match rule.admit(value, plain_http) {
            Ok(value) => self.values.insert(name.to_owned(), value),
            Err(fault) => self.refused.push((name.to_owned(), fault)),
        }
    }

    /// What a JSON document says of the variables for which `pointer_of` has a pointer.
    fn in_document(
        document: &serde_json::Value,
        declared: &IndexMap<String, Variable>,
        plain_http: PlainHttp,
        pointer_of: impl Fn(&Source) -> Option<&str>,
    ) -> Self {
        let mut told = Self::default();
        for (name, variable) in declared {
            match pointer_of(&variable.from).and_then(|pointer| document.pointer(pointer)) {
                Some(serde_json::Value::String(value)) => told.take(name, &variable.rule, value, plain_http),
                Some(serde_json::Value::Number(value)) => told.take(name, &variable.rule, &value.to_string(), plain_http),
                Some(_) | None => {}
            }
        }
        told
    }
}

/// What the answer of the connector's `oauth.lookup` call says of the variables that come from there; none where it is no JSON.
#[must_use]
pub fn read_lookup(body: &[u8], declared: &IndexMap<String, Variable>, plain_http: PlainHttp) -> Option<Told> {
    let document = serde_json::from_slice(body).ok()?;
    Some(Told::in_document(&document, declared, plain_http, |from| match from {
        Source::Lookup { pointer } => Some(pointer),
        Source::Token { .. } | Source::Callback { .. } | Source::Account => None,
    }))
}
