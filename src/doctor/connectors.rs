//! Policies, and the connectors that they use: whether we are registered with their providers, and may go there at all.

use super::Check;
use crate::settings::Settings;
use scopegate_core::connector::oauth::ClientAuth;
use scopegate_core::connector::variables::Rule;
use scopegate_core::connector::{Connector, OAuth, Template, variables};
use scopegate_core::oauth::ClientRegistration;
use scopegate_core::policy::{PolicySet, Severity, Source, compile};
use std::sync::Arc;
use url::Url;

const POLICIES: &str = "policies";
const CLIENTS: &str = "clients";
const ENDPOINTS: &str = "endpoints";

/// Compiles the policies as `serve` would; none where they have errors.
pub(super) fn policies(settings: &Settings) -> (Vec<Check>, Option<PolicySet>) {
    let help = "`scopegate policy check` shows all findings";
    let places = settings.policy_places();
    let own = match crate::gateway::read_sources(&places.paths) {
        Ok(own) => own,
        Err(unreadable) => {
            return (vec![Check::fail(POLICIES, super::told(&unreadable), "give files and folders that can be read as `policies`")], None);
        }
    };
    let files = own.len();
    let sources: Vec<Source> = places.catalog.iter().cloned().chain(own).collect();
    let compiled = compile(&sources, &places.overrides);
    let count = |severity| compiled.diagnostics.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let summary = compiled.summary;
    let check = match (errors, warnings) {
        (0, 0) if files == 0 => Check::warn(POLICIES, "there are none, so everything is refused", "`scopegate init` shows what one looks like"),
        (0, 0) => Check::ok(
            POLICIES,
            format!("{files} files: {} connectors, {} operations, {} roles", summary.connectors, summary.operations, summary.roles),
        ),
        (0, warnings) => Check::warn(POLICIES, format!("{files} files with {warnings} warnings"), help),
        (errors, _) => Check::fail(POLICIES, format!("{errors} errors"), help),
    };
    (vec![check], compiled.policies)
}

/// Connectors that a role may use, or that we are registered with.
pub(super) fn in_use<'p>(settings: &Settings, policies: &'p PolicySet) -> Vec<&'p Arc<Connector>> {
    let allowed = |connector: &Connector| policies.roles().any(|role| !policies.role_scopes(role, &connector.id).is_empty());
    policies.connectors().filter(|connector| allowed(connector) || settings.clients.contains_key(&connector.id)).collect()
}

/// Whether the providers of these connectors know us, and egress lets us there.
pub(super) fn clients(settings: &Settings, policies: &PolicySet) -> Vec<Check> {
    let egress = settings.egress.rules();
    let mut checks = Vec::new();
    for connector in in_use(settings, policies) {
        checks.extend(connector.oauth.as_ref().map(|oauth| registration(connector, oauth, settings.clients.get(&connector.id))));
        for (what, url) in addresses(connector) {
            if let Err(denied) = egress.judge_origin(&url) {
                checks.push(Check::fail(ENDPOINTS, format!("{}: {what} {url} is never called: {denied}", connector.id), "look at `egress`"));
            }
        }
    }
    let stray = settings.clients.keys().filter(|id| policies.connector(id.as_str()).is_none());
    checks.extend(stray.map(|id| Check::warn(CLIENTS, format!("no policy has the connector {id}"), format!("correct or remove `clients.{id}`"))));
    checks
}

fn registration(connector: &Connector, oauth: &OAuth, client: Option<&ClientRegistration>) -> Check {
    let id = &connector.id;
    let Some(client) = client else {
        let message = format!("{id}: no registration, so customers cannot connect, and tokens that were brought are not refreshed");
        return Check::warn(CLIENTS, message, format!("register with {} and set `clients.{id}`", connector.provider));
    };
    let lacks = match oauth.client_auth {
        ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost if client.secrets.is_empty() => Some("client_secret"),
        ClientAuth::PrivateKeyJwt if client.key.is_none() => Some("private_key"),
        ClientAuth::ClientSecretBasic | ClientAuth::ClientSecretPost | ClientAuth::PrivateKeyJwt | ClientAuth::None => None,
    };
    match lacks {
        Some(key) => Check::fail(CLIENTS, format!("{id}: the provider asks for a `{key}`"), format!("set `clients.{id}.{key}`")),
        None => Check::ok(CLIENTS, format!("{id}: registered")),
    }
}

/// The addresses of a connector that do not differ by account, or have a usual value: which, and where.
pub(super) fn addresses(connector: &Connector) -> Vec<(&'static str, Url)> {
    let usual = |(name, variable): (&String, &variables::Variable)| {
        let fixed = match &variable.rule {
            Rule::OneOf(values) => values.first().cloned(),
            Rule::OriginOf(hosts) => hosts.iter().find(|host| !host.contains('*')).map(|host| format!("https://{host}")),
            Rule::Label => None,
        };
        Some((name.clone(), variable.default.clone().or(fixed)?))
    };
    let values: variables::Variables = connector.variables.iter().filter_map(usual).collect();
    let filled = |(what, template): (&'static str, &Template)| Some((what, Url::parse(&template.fill(&values).ok()?).ok()?));
    let oauth = connector.oauth.iter().flat_map(|oauth| {
        let optional =
            [("authorization_url", &oauth.authorization_url), ("refresh_url", &oauth.refresh_url), ("revocation_url", &oauth.revocation_url)];
        let optional = optional.into_iter().filter_map(|(what, template)| Some((what, template.as_ref()?)));
        std::iter::once(("token_url", &oauth.token_url)).chain(optional)
    });
    let hosts = connector.hosts.values().map(|host| ("host", &**host));
    std::iter::once(("upstream", &*connector.upstream)).chain(hosts).chain(oauth).filter_map(filled).collect()
}
