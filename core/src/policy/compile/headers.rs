//! Headers that a connector names: added, let through, refused, or where its credential goes.

use super::urls;
use super::variables::Variables;
use crate::connector::inject::BasicSide;
use crate::connector::{Inject, Template};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Fields, Located, Node, values};
use crate::request::HeaderPattern;

/// Headers that frame the request, hold for one hop or belong to the gateway: no connector sets them.
const NEVER_SET: [&str; 16] = [
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-encoding",
    "content-type",
    "expect",
    "cookie",
    "accept-encoding",
];

/// Headers that a connector adds are no credentials: those are injected.
const NEVER_ADDED: [&str; 2] = ["authorization", "set-cookie"];

/// The lower-case name of a header that a connector may set; `more` may not be set either.
fn settable(found: Located<&str>, more: &[&str], findings: &mut Findings<'_>) -> Option<String> {
    let name = header_name(found, findings)?;
    if NEVER_SET.contains(&name.as_str()) || more.contains(&name.as_str()) || name.starts_with("scopegate-") {
        findings.add(code::FORBIDDEN_HEADER.at(found.span, format!("no connector sets `{name}`")));
        return None;
    }
    Some(name)
}

fn header_name(found: Located<&str>, findings: &mut Findings<'_>) -> Option<String> {
    if let Ok(name) = http::HeaderName::try_from(found.value) {
        return Some(name.as_str().to_owned());
    }
    findings.add(code::INVALID_NAME.at(found.span, format!("`{}` is no name of a header", found.value)));
    None
}

/// Reads `headers:`. None of them is where the credential goes.
pub(super) fn added(node: &Node, inject: &Inject, variables: &Variables, findings: &mut Findings<'_>) -> Vec<(String, Template)> {
    let mut never = NEVER_ADDED.to_vec();
    if let Inject::Header { name, .. } = inject {
        never.push(name);
    }
    let mut made: Vec<(String, Template)> = Vec::new();
    for entry in values::entries(node, findings).unwrap_or_default() {
        let name = settable(Located { value: entry.key.value.as_str(), span: entry.key.span }, &never, findings);
        let value = values::filled(&entry.value, findings).and_then(|text| header_value(text, findings));
        let value = value.and_then(|text| urls::template(text, variables, findings));
        if let (Some(name), Some(value)) = (name, value) {
            if made.iter().any(|(known, _)| *known == name) {
                findings.add(code::KEY_TWICE.at(entry.key.span, format!("the header `{name}` stands twice")).help("keep one of them"));
            }
            made.push((name, value));
        }
    }
    made
}

fn header_value<'t>(found: Located<&'t str>, findings: &mut Findings<'_>) -> Option<Located<&'t str>> {
    let legal = found.value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) && found.value.trim() == found.value;
    if !legal {
        findings.add(code::FORBIDDEN_HEADER.at(found.span, "a header's value is printable ASCII without blanks at its ends"));
    }
    legal.then_some(found)
}

/// Reads `request_headers:`.
pub(super) fn passing(node: &Node, findings: &mut Findings<'_>) -> Vec<HeaderPattern> {
    let mut made = Vec::new();
    for found in values::texts(node, findings) {
        match found.value.parse() {
            Ok(pattern) => made.push(pattern),
            Err(error) => findings.add(code::FORBIDDEN_HEADER.at(found.span, format!("`{}` cannot be let through: {error}", found.value))),
        }
    }
    made
}

/// Reads `refuse_headers:`.
pub(super) fn refused(node: &Node, findings: &mut Findings<'_>) -> Vec<String> {
    values::texts(node, findings).into_iter().filter_map(|found| header_name(found, findings)).collect()
}

/// Reads `inject:`.
pub(super) fn inject(node: &Node, findings: &mut Findings<'_>) -> Option<Inject> {
    let mut fields = Fields::open(node, "`inject`", findings)?;
    let header = fields.take("header");
    let query = fields.take("query");
    let basic = fields.take("basic");
    let scheme = fields.take("scheme");
    let span = fields.span();
    fields.close(findings);
    if let (None, Some(scheme)) = (header, scheme) {
        findings.add(code::CONFLICT.at(scheme.span, "`scheme` goes with `header`"));
    }
    match (header, query, basic) {
        (Some(header), None, None) => {
            let scheme = scheme.map(|node| values::filled(node, findings).and_then(|text| token(text, findings)));
            let name = values::filled(header, findings).and_then(|text| settable(text, &[], findings))?;
            Some(Inject::Header { name, scheme: scheme.map_or(Some(None), |read| read.map(Some))? })
        }
        (None, Some(query), None) => Some(Inject::Query { name: token(values::filled(query, findings)?, findings)? }),
        (None, None, Some(basic)) => {
            let sides = [("user", BasicSide::User), ("password", BasicSide::Password)];
            Some(Inject::Basic { side: values::word(basic, &sides, findings)? })
        }
        (None, None, None) => {
            findings.add(code::MISSING_KEY.at(span, "`inject` does not say where the credential goes").help("write `header`, `query` or `basic`"));
            None
        }
        _ => {
            findings.add(code::CONFLICT.at(span, "the credential goes to one place").help("keep one of `header`, `query` and `basic`"));
            None
        }
    }
}

/// A word that stands in a header or a query as it is (RFC 9110 section 5.6.2).
fn token(found: Located<&str>, findings: &mut Findings<'_>) -> Option<String> {
    let legal = found.value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if !legal {
        findings.add(code::INVALID_NAME.at(found.span, format!("`{}` is not one word of letters, digits and `-._~`", found.value)));
    }
    legal.then(|| found.value.to_owned())
}
