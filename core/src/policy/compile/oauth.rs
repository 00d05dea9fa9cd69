//! The OAuth facts of a connector.

use super::urls::{self, Purpose};
use super::variables::Variables;
use crate::connector::Template;
use crate::connector::oauth::{ClientAuth, OAuth, Pkce, RefreshMode, TokenRequestFormat};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Node, Span, values};
use crate::scope::ProviderScope;

const CLIENT_AUTH: [(&str, ClientAuth); 4] = [
    ("client_secret_basic", ClientAuth::ClientSecretBasic),
    ("client_secret_post", ClientAuth::ClientSecretPost),
    ("private_key_jwt", ClientAuth::PrivateKeyJwt),
    ("none", ClientAuth::None),
];

/// The pointer of `oauth.lookup`, before anything is checked: variables need it first. None where there is no lookup.
pub(super) fn lookup_pointer(connector: &Node) -> Option<&str> {
    let lookup = connector.get("oauth")?.get("lookup")?;
    Some(lookup.get("pointer").and_then(Node::as_text).unwrap_or_default())
}

/// Reads `oauth:`.
pub(super) fn read(node: &Node, key: Span, variables: &Variables, findings: &mut Findings<'_>) -> Option<OAuth> {
    let mut fields = Fields::open(node, "`oauth`", findings)?.named_at(key);
    let url = |fields: &mut Fields<'_>, key, purpose, findings: &mut Findings<'_>| -> Option<Template> {
        fields.take(key).and_then(|node| urls::read(node, purpose, variables, findings))
    };
    let authorization_url = url(&mut fields, "authorization_url", Purpose::Authorization, findings);
    let token_url = fields.require("token_url", findings).and_then(|node| urls::read(node, Purpose::Token, variables, findings));
    let refresh_url = url(&mut fields, "refresh_url", Purpose::Later, findings);
    let revocation_url = url(&mut fields, "revocation_url", Purpose::Later, findings);
    let lookup = fields.take("lookup").and_then(|node| lookup(node, variables, findings));
    let word = |node: Option<&Node>, findings: &mut Findings<'_>| {
        node.and_then(|node| values::word(node, &[("S256", Pkce::S256), ("none", Pkce::None)], findings))
    };
    let pkce = word(fields.take("pkce"), findings).unwrap_or(Pkce::S256);
    let client_auth = fields.take("client_auth").and_then(|node| values::word(node, &CLIENT_AUTH, findings)).unwrap_or(ClientAuth::ClientSecretBasic);
    let formats = [("form", TokenRequestFormat::Form), ("json", TokenRequestFormat::Json)];
    let token_request = fields.take("token_request").and_then(|node| values::word(node, &formats, findings)).unwrap_or(TokenRequestFormat::Form);
    let modes = [("on_use", RefreshMode::OnUse), ("ahead", RefreshMode::Ahead)];
    let refresh = fields.take("refresh").and_then(|node| values::word(node, &modes, findings)).unwrap_or(RefreshMode::Ahead);
    let scope_separator = fields.take("scope_separator").and_then(|node| separator(node, findings)).unwrap_or_else(|| " ".into());
    let always_request = fields.take("always_request").map(|node| provider_scopes(node, findings)).unwrap_or_default();
    let authorize_params = fields.take("authorize_params").map(|node| parameters(node, findings)).unwrap_or_default();
    let pointer =
        |fields: &mut Fields<'_>, key, findings: &mut Findings<'_>| values::pointer(fields.take(key)?, findings).map(|found| found.to_string());
    let duration = |fields: &mut Fields<'_>, key, findings: &mut Findings<'_>| fields.take(key).and_then(|node| values::duration(node, findings));
    let expires_in = duration(&mut fields, "expires_in", findings);
    let replay_window = duration(&mut fields, "replay_window", findings);
    let keep_alive = duration(&mut fields, "keep_alive", findings);
    let token_pointer = pointer(&mut fields, "token_pointer", findings);
    let token_type = fields.take("token_type").and_then(|node| values::filled(node, findings)).map(|found| found.value.to_owned());
    let error_pointer = pointer(&mut fields, "error_pointer", findings);
    let rotation = fields.take("rotation").and_then(|node| values::flag(node, findings));
    fields.close(findings);
    Some(OAuth {
        authorization_url,
        token_url: token_url?,
        refresh_url,
        revocation_url,
        pkce,
        client_auth,
        token_request,
        scope_separator,
        always_request,
        authorize_params,
        expires_in,
        token_pointer,
        token_type,
        error_pointer,
        rotation,
        replay_window,
        refresh,
        keep_alive,
        lookup,
    })
}

/// The pointer was taken by [`lookup_pointer`]; here it is only checked.
fn lookup(node: &Node, variables: &Variables, findings: &mut Findings<'_>) -> Option<Template> {
    let mut fields = Fields::open(node, "`lookup`", findings)?;
    let url = fields.require("url", findings).and_then(|node| urls::read(node, Purpose::Lookup, variables, findings));
    if let Some(node) = fields.take("pointer") {
        values::pointer(node, findings);
    }
    fields.close(findings);
    url
}

fn separator(node: &Node, findings: &mut Findings<'_>) -> Option<String> {
    let found = values::text(node, findings)?;
    if found.value.is_empty() {
        findings.add(code::EMPTY.at(found.span, "scopes that nothing separates run together").help("write `\" \"` or `\",\"`"));
        return None;
    }
    Some(found.value.to_owned())
}

fn provider_scopes(node: &Node, findings: &mut Findings<'_>) -> Vec<ProviderScope> {
    values::texts(node, findings).into_iter().filter_map(|name| values::parsed(name, findings)).collect()
}

/// Parameters that the gateway sets itself are not the document's to say.
fn parameters(node: &Node, findings: &mut Findings<'_>) -> Vec<(String, String)> {
    const OURS: [&str; 7] = ["response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"];
    let mut made = Vec::new();
    for entry in values::entries(node, findings).unwrap_or_default() {
        if OURS.contains(&entry.key.value.as_str()) {
            findings.add(code::CONFLICT.at(entry.key.span, format!("`{}` is set by the gateway itself", entry.key.value)).help("leave it out"));
        }
        if let Some(value) = values::text(&entry.value, findings) {
            made.push((entry.key.value.clone(), value.value.to_owned()));
        }
    }
    made
}
