//! Which account a request names: by identifier, or by a handle wherever a tool puts its token.

use arcstr::ArcStr;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use scopegate_core::connector::{Connector, Inject};
use scopegate_core::id::Identifier;
use scopegate_core::refusal::Refusal;
use scopegate_core::request::Headers;
use scopegate_core::secret::HandleText;
use std::borrow::Cow;

/// What a request says of its account.
#[derive(Clone, Debug)]
pub enum Named {
    /// By an identifier.
    Identifier(Identifier),
    /// By a handle.
    Handle(HandleText),
    /// By a text that is neither.
    Nonsense(Nonsense),
}

/// A text that names no account.
#[derive(Clone, Debug)]
pub struct Nonsense(ArcStr);

impl Nonsense {
    /// No identifier is longer; what was to be one is known by its beginning.
    const MOST: usize = 128;

    fn of(value: &[u8]) -> Self {
        let text = String::from_utf8_lossy(value);
        Self(text.chars().take(Self::MOST).collect::<String>().into())
    }

    /// As it was given, for the audit; none where a handle may be in it, such as behind a scheme that has no place here.
    #[must_use]
    pub fn as_given(&self) -> Option<&ArcStr> {
        (!self.0.to_ascii_lowercase().contains("sgh_")).then_some(&self.0)
    }
}

/// Where identifiers and handles are taken from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Lower-case names of the headers that name the account.
    pub headers: Vec<String>,
    /// Whether a handle is also taken where a tool puts its API token.
    pub token_slot: TokenSlot,
}

/// Whether a handle is also taken where a tool puts its API token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenSlot {
    /// It is.
    Taken,
    /// It is not.
    Ignored,
}

impl Sources {
    /// Every value that names an account.
    #[must_use]
    pub fn found<'a>(&'a self, headers: &'a Headers, connector: Option<&'a Connector>) -> Found<'a> {
        let mut found: Vec<_> = self.headers.iter().flat_map(|name| headers.all(name)).map(|value| Cow::Borrowed(value.as_ref())).collect();
        if self.token_slot == TokenSlot::Taken {
            found.extend(headers.all("authorization").flat_map(|value| handles_in(value)).map(Cow::Owned));
            if let Some(Inject::Header { name, scheme }) = connector.map(|connector| connector.inject.as_ref())
                && name != "authorization"
            {
                found.extend(headers.all(name).filter_map(|value| own_header(value, scheme.as_deref())).map(Cow::Borrowed));
            }
        }
        Found(found)
    }
}

/// Every value of a request that names an account.
#[derive(Debug)]
pub struct Found<'a>(Vec<Cow<'a, [u8]>>);

impl Found<'_> {
    /// What the request says of its account.
    /// # Errors
    /// [`Refusal::MissingIdentifier`], or [`Refusal::AmbiguousIdentifier`] where more than one source names one.
    pub fn named(&self) -> Result<Named, Refusal> {
        match self.0.as_slice() {
            [] => Err(Refusal::MissingIdentifier),
            [only] => Ok(read(only)),
            [_, ..] => Err(Refusal::AmbiguousIdentifier),
        }
    }

    /// Whether a handle is among them, be it ambiguous.
    #[must_use]
    pub fn has_handle(&self) -> bool {
        self.0.iter().any(|value| value.starts_with(b"sgh_"))
    }
}

/// A handle alone, or behind the connector's scheme.
fn own_header<'a>(value: &'a [u8], scheme: Option<&str>) -> Option<&'a [u8]> {
    let text = std::str::from_utf8(value).ok()?;
    let bare = match (text.split_once(' '), scheme) {
        (Some((word, rest)), Some(scheme)) if word.eq_ignore_ascii_case(scheme) => rest,
        _ => text,
    };
    bare.starts_with("sgh_").then_some(bare.as_bytes())
}

/// Handles in an `Authorization` header: `Bearer H`, `token H`, Basic with a handle on either side.
fn handles_in(value: &[u8]) -> Vec<Vec<u8>> {
    let Some((scheme, rest)) = std::str::from_utf8(value).ok().and_then(|text| text.split_once(' ')) else { return Vec::new() };
    let rest = rest.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        return Vec::from_iter(rest.starts_with("sgh_").then(|| rest.as_bytes().to_vec()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Vec::new();
    }
    let Some(pair) = STANDARD.decode(rest).ok().and_then(|bytes| String::from_utf8(bytes).ok()) else { return Vec::new() };
    let (user, password) = pair.split_once(':').unwrap_or((&pair, ""));
    [user, password].into_iter().filter(|side| side.starts_with("sgh_")).map(|side| side.as_bytes().to_vec()).collect()
}

fn read(value: &[u8]) -> Named {
    match std::str::from_utf8(value) {
        Ok(text) if text.starts_with("sgh_") => Named::Handle(HandleText::new(text.to_owned())),
        Ok(text) => text.parse().map_or_else(|_| Named::Nonsense(Nonsense::of(value)), Named::Identifier),
        Err(_) => Named::Nonsense(Nonsense::of(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scopegate_core::request::Request;

    fn said(pairs: &[(&str, &str)], token_slot: TokenSlot) -> String {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let headers = Request::read("GET", "/", &pairs, None).unwrap().headers;
        let sources = Sources { headers: vec!["scopegate-account".into()], token_slot };
        match sources.found(&headers, None).named() {
            Ok(Named::Identifier(identifier)) => identifier.to_string(),
            Ok(Named::Handle(handle)) => handle.reveal().to_owned(),
            Ok(Named::Nonsense(nonsense)) => format!("nonsense: {}", nonsense.as_given().map_or("-", ArcStr::as_str)),
            Err(refusal) => refusal.reason().to_string(),
        }
    }

    #[test]
    fn exactly_one_source_names_the_account() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (pairs, came) in [
            (vec![("scopegate-account", "user_1".to_owned())], "user_1"),
            (vec![("scopegate-account", "sgh_x".to_owned())], "sgh_x"),
            (vec![("scopegate-account", "a b".to_owned())], "nonsense: a b"),
            (vec![("scopegate-account", "u/\u{e9}".to_owned())], "nonsense: u/\u{e9}"),
            (vec![("scopegate-account", "Bearer sgh_x".to_owned())], "nonsense: -"),
            (vec![("scopegate-account", "SGH_x y".to_owned())], "nonsense: -"),
            (vec![("scopegate-account", "x".repeat(30_000))], &format!("nonsense: {}", "x".repeat(128))),
            (vec![], "missing_identifier"),
            (vec![("scopegate-account", "a".to_owned()), ("scopegate-account", "a".to_owned())], "ambiguous_identifier"),
            (vec![("authorization", "Bearer sgh_x".to_owned())], "sgh_x"),
            (vec![("authorization", "token sgh_x".to_owned())], "sgh_x"),
            (vec![("authorization", "Bearer other".to_owned())], "missing_identifier"),
            (vec![("authorization", basic("sgh_x:"))], "sgh_x"),
            (vec![("authorization", basic("any:sgh_x"))], "sgh_x"),
            (vec![("authorization", basic("sgh_x:sgh_x"))], "ambiguous_identifier"),
            (vec![("authorization", "Bearer sgh_x".to_owned()), ("scopegate-account", "sgh_x".to_owned())], "ambiguous_identifier"),
            (vec![("authorization", "Bearer other".to_owned()), ("scopegate-account", "user_1".to_owned())], "user_1"),
        ] {
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(said(&pairs, TokenSlot::Taken), came, "{pairs:?}");
        }
        assert_eq!(said(&[("authorization", "Bearer sgh_x")], TokenSlot::Ignored), "missing_identifier");
    }
}
