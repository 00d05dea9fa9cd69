//! Links of the upstream's own origin lead back through the gateway.

use crate::connector::{Inject, Origin, Upstream};
use crate::id::ConnectorId;
use crate::request::is_named;
use std::sync::Arc;
use url::Url;

/// How the client reached the connector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Door {
    /// By the first segment of the path.
    Path {
        /// That segment.
        connector: ConnectorId,
        /// `gateway.external_url` without a final slash, where it is set.
        external_url: Option<Arc<str>>,
    },
    /// By host: paths are the upstream's own.
    Host,
}

/// Turns links of one answer.
#[derive(Clone, Debug)]
pub struct Links {
    door: Door,
    upstream: Arc<Upstream>,
    path_and_query: String,
    injected: Option<String>,
}

/// Where a link leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Link {
    /// Back through the gateway.
    Own(String),
    /// To another origin, or to a part of this one that the connector does not reach.
    Elsewhere,
    /// Nobody can tell.
    Unreadable,
}

impl Links {
    /// `path_and_query` is the upstream request's, before the credential was written; `inject` says which parameter of it must never come back.
    #[must_use]
    pub fn new(door: Door, upstream: Arc<Upstream>, path_and_query: String, inject: &Inject) -> Self {
        let injected = match inject {
            Inject::Query { name } => Some(name.clone()),
            Inject::Header { .. } | Inject::Basic { .. } => None,
        };
        Self { door, upstream, path_and_query, injected }
    }

    /// Where `reference`, an absolute or a relative URL of the answer, leads (RFC 3986 section 5, as browsers read it).
    pub(super) fn turn(&self, reference: &str) -> Link {
        let base = format!("{}{}", self.upstream.origin, self.path_and_query);
        let Ok(url) = Url::parse(&base).and_then(|base| base.join(reference)) else { return Link::Unreadable };
        if !is_at(&url, &self.upstream.origin) {
            return Link::Elsewhere;
        }
        let Some(path) = url.path().strip_prefix(self.upstream.prefix()).filter(|path| path.starts_with('/')) else { return Link::Elsewhere };
        let mut link = match &self.door {
            Door::Path { connector, external_url } => format!("{}/{connector}{path}", external_url.as_deref().unwrap_or_default()),
            // Two slashes in front would name a host.
            Door::Host if path.starts_with("//") => return Link::Elsewhere,
            Door::Host => path.to_owned(),
        };
        if let Some(query) = url.query().and_then(|query| self.without_injected(query)) {
            link.push('?');
            link.push_str(&query);
        }
        if let Some(fragment) = url.fragment() {
            link.push('#');
            link.push_str(fragment);
        }
        Link::Own(link)
    }

    /// Turns every `<reference>` of a Link header (RFC 8288) whose reference leads back; the others, and whatever is no Link, stay.
    pub(super) fn turn_all(&self, value: &str) -> String {
        let mut made = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, behind)) = split_outside_quotes(rest, '<') {
            made.push_str(before);
            made.push('<');
            let Some((reference, after)) = behind.split_once('>') else {
                rest = behind;
                break;
            };
            match self.turn(reference) {
                Link::Own(link) => made.push_str(&link),
                Link::Elsewhere | Link::Unreadable => made.push_str(reference),
            }
            made.push('>');
            rest = after;
        }
        made.push_str(rest);
        made
    }

    /// The query without the parameter that carries the credential; none where nothing is left of it.
    fn without_injected(&self, query: &str) -> Option<String> {
        let Some(name) = &self.injected else { return Some(query.to_owned()) };
        if !query.split('&').any(|piece| is_named(piece, name)) {
            return Some(query.to_owned());
        }
        let left: Vec<&str> = query.split('&').filter(|piece| !is_named(piece, name)).collect();
        (!left.is_empty()).then(|| left.join("&"))
    }
}

fn is_at(url: &Url, origin: &Origin) -> bool {
    url.username().is_empty()
        && url.password().is_none()
        && url.scheme() == origin.scheme().as_str()
        && url.port_or_known_default() == Some(origin.port())
        && url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(origin.host()))
}

/// What stands before and behind the first `wanted` that is in no quoted string.
fn split_outside_quotes(text: &str, wanted: char) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            found if found == wanted && !quoted => return Some((text.get(..at)?, text.get(at + wanted.len_utf8()..)?)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(external_url: Option<&str>) -> Door {
        Door::Path { connector: "crm".parse().unwrap(), external_url: external_url.map(Into::into) }
    }

    fn links(door: Door, upstream: &str, inject: &Inject) -> Links {
        let upstream: Upstream = upstream.parse().unwrap();
        let path_and_query = format!("{}/v1/files/x?a=1", upstream.prefix());
        Links::new(door, upstream.into(), path_and_query, inject)
    }

    #[test]
    fn links_of_the_upstreams_own_origin_lead_back() {
        let api = "https://api.example";
        let prefixed = "https://api.example/ex/7";
        let gate = || path(Some("https://gate.example"));
        for (door, upstream, reference, expected) in [
            (gate(), api, "https://api.example/v1/accounts/9", "https://gate.example/crm/v1/accounts/9"),
            (gate(), api, "HTTPS://API.example:443/v1/a?page=2#x", "https://gate.example/crm/v1/a?page=2#x"),
            (gate(), api, "/v1/accounts/9", "https://gate.example/crm/v1/accounts/9"),
            (path(None), api, "/v1/accounts/9", "/crm/v1/accounts/9"),
            (path(None), api, "https://api.example", "/crm/"),
            (path(None), api, "y?b=2", "/crm/v1/files/y?b=2"),
            (path(None), api, "../accounts", "/crm/v1/accounts"),
            (path(None), api, "../../../../accounts", "/crm/accounts"),
            (path(None), api, "?page=2", "/crm/v1/files/x?page=2"),
            (path(None), api, "#x", "/crm/v1/files/x?a=1#x"),
            (path(None), api, "//api.example/v1", "/crm/v1"),
            (path(None), prefixed, "https://api.example/ex/7/v1/accounts", "/crm/v1/accounts"),
            (path(None), prefixed, "y", "/crm/v1/files/y"),
            (Door::Host, api, "https://api.example/v1/accounts/9?b", "/v1/accounts/9?b"),
            (Door::Host, prefixed, "/ex/7/v1/accounts/9", "/v1/accounts/9"),
            (path(None), "http://127.0.0.1:9000", "http://127.0.0.1:9000/v1/accounts/9", "/crm/v1/accounts/9"),
        ] {
            assert_eq!(links(door, upstream, &Inject::default()).turn(reference), Link::Own(expected.into()), "{upstream} {reference}");
        }
    }

    #[test]
    fn other_origins_and_other_paths_are_elsewhere() {
        for (upstream, reference) in [
            ("https://api.example", "http://elsewhere.example/steal"),
            ("https://api.example", "//elsewhere.example/steal"),
            ("https://api.example", "\\\\elsewhere.example/steal"),
            ("https://api.example", "/\\elsewhere.example/steal"),
            ("https://api.example", "http://api.example/v1"),
            ("https://api.example", "https://api.example:8443/v1"),
            ("https://api.example", "https://api.example.evil.example/v1"),
            ("https://api.example", "https://user@api.example/v1"),
            ("https://api.example", "https://api.example@evil.example/v1"),
            ("https://api.example", "javascript:alert(1)"),
            ("https://api.example", "data:text/plain,x"),
            ("https://api.example/ex/7", "/ex/70/v1"),
            ("https://api.example/ex/7", "/ex/8/v1"),
            ("https://api.example/ex/7", "../../../../v1"),
        ] {
            assert_eq!(links(path(None), upstream, &Inject::default()).turn(reference), Link::Elsewhere, "{upstream} {reference}");
        }
        assert_eq!(links(Door::Host, "https://api.example", &Inject::default()).turn("https://api.example//evil.example/"), Link::Elsewhere);
        for reference in ["https://", "https://[::1", "http://a b/"] {
            assert_eq!(links(path(None), "https://api.example", &Inject::default()).turn(reference), Link::Unreadable, "{reference}");
        }
    }

    #[test]
    fn the_parameter_that_carries_the_credential_does_not_come_back() {
        let inject = Inject::Query { name: "api_key".into() };
        for (reference, expected) in
            [("/v1?page=2&api_key=secret&x=%20", "/crm/v1?page=2&x=%20"), ("/v1?api%5Fkey=secret", "/crm/v1"), ("/v1?page=2&&x", "/crm/v1?page=2&&x")]
        {
            assert_eq!(links(path(None), "https://api.example", &inject).turn(reference), Link::Own(expected.into()), "{reference}");
        }
    }

    #[test]
    fn each_reference_of_a_link_header_is_turned_by_itself() {
        let links = links(path(Some("https://gate.example")), "https://api.example", &Inject::default());
        for (value, expected) in [
            ("<https://api.example/v1?page=2>; rel=\"next\"", "<https://gate.example/crm/v1?page=2>; rel=\"next\""),
            (
                "</a>; rel=x, <https://other.example/>; rel=y,<b>",
                "<https://gate.example/crm/a>; rel=x, <https://other.example/>; rel=y,<https://gate.example/crm/v1/files/b>",
            ),
            ("</a>; title=\"<b> \\\"<c>\"; rel=x, </d>", "<https://gate.example/crm/a>; title=\"<b> \\\"<c>\"; rel=x, <https://gate.example/crm/d>"),
            ("no link", "no link"),
            ("<unclosed", "<unclosed"),
            ("", ""),
        ] {
            assert_eq!(links.turn_all(value), expected, "{value}");
        }
    }
}
