//! Keys of `paths` -> path templates, and what else they ask for.

use crate::import::names;
use crate::policy::PathTemplate;
use std::collections::BTreeMap;
use url::form_urlencoded;

/// A path as the language writes it.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Path {
    pub(super) template: String,
    /// Query parameters that the key asks for.
    pub(super) query: BTreeMap<String, String>,
}

/// A key that no template can say, and why.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct NoPath(pub(super) String);

/// What of a key was not taken as it stands there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Odd {
    /// A `#` and what stands behind it.
    Fragment,
    /// A query parameter that may have any value.
    AnyValue,
}

/// Reads a key.
pub(super) fn read(key: &str) -> Result<(Path, Vec<Odd>), NoPath> {
    let mut odd = Vec::new();
    let key = without_query_groups(key);
    let (key, fragment) = key.split_once('#').map_or((key.as_str(), None), |(key, fragment)| (key, Some(fragment)));
    if fragment.is_some() {
        odd.push(Odd::Fragment);
    }
    let (path, asked) = key.split_once('?').unwrap_or((key, ""));
    let mut query = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(asked.as_bytes()) {
        if name.contains('{') || value.contains('{') {
            odd.push(Odd::AnyValue);
        } else {
            query.insert(name.into_owned(), value.into_owned());
        }
    }
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let template = template(&path);
    match PathTemplate::parse(&template) {
        Ok(_) => Ok((Path { template, query }, odd)),
        Err(fault) => Err(NoPath(fault.sentence.to_owned())),
    }
}

/// Without `{?a,b}` and `{&c}` (RFC 6570), which only say that there may be a query.
fn without_query_groups(key: &str) -> String {
    let mut made = String::new();
    let mut rest = key;
    while let Some((before, behind)) = rest.split_once('{') {
        made.push_str(before);
        match behind.split_once('}') {
            Some((group, after)) if group.starts_with(['?', '&']) => rest = after,
            Some((group, after)) => {
                made.push_str(&format!("{{{group}}}"));
                rest = after;
            }
            None => {
                made.push('{');
                rest = behind;
            }
        }
    }
    made + rest
}

/// The segments of a path that are no parameter, and hold none.
pub(super) fn literals(template: &str) -> Vec<&str> {
    template.split('/').filter(|segment| !segment.is_empty() && !segment.contains('{')).collect()
}

enum Token<'k> {
    Literal(&'k str),
    Parameter { name: String, spans: bool },
}

/// Parameters get names of the language, literals the form in which paths come.
fn template(path: &str) -> String {
    let mut made = String::new();
    let mut taken: Vec<String> = Vec::new();
    let mut spanned = false;
    for token in tokens(path) {
        match token {
            Token::Literal(text) => text.chars().for_each(|character| push_literal(character, &mut made)),
            Token::Parameter { name, spans } => {
                let name = names::parameter(&name, |known| taken.iter().any(|one| one == known));
                let spans = spans && !spanned && made.ends_with('/');
                spanned |= spans;
                made.push_str(&format!("{{{}{name}}}", if spans { "+" } else { "" }));
                taken.push(name);
            }
        }
    }
    made
}

/// Parameters side by side are one: nothing says where the first ends.
fn tokens(path: &str) -> Vec<Token<'_>> {
    let mut made: Vec<Token<'_>> = Vec::new();
    let mut rest = path;
    while let Some((before, (name, after))) = rest.split_once('{').and_then(|(before, behind)| Some((before, behind.split_once('}')?))) {
        if !before.is_empty() {
            made.push(Token::Literal(before));
        }
        let spans = name.starts_with('+') || name.ends_with('*');
        let name = name.trim_start_matches('+').trim_end_matches(['*', '=']);
        match made.last_mut() {
            Some(Token::Parameter { name: known, .. }) => *known = format!("{known}_{name}"),
            Some(Token::Literal(_)) | None => made.push(Token::Parameter { name: name.to_owned(), spans }),
        }
        rest = after;
    }
    if !rest.is_empty() {
        made.push(Token::Literal(rest));
    }
    made
}

fn push_literal(character: char, made: &mut String) {
    if matches!(character, '{' | '}' | '"' | '<' | '>' | '^' | '`' | '|' | ' ') || !character.is_ascii() {
        let mut bytes = [0; 4];
        character.encode_utf8(&mut bytes).bytes().for_each(|byte| made.push_str(&format!("%{byte:02X}")));
    } else {
        made.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_templates_of_the_language() {
        for (key, template, query, odd) in [
            ("/pets/{petId}", "/pets/{petId}", &[][..], &[][..]),
            ("/pets/{pet-id}/", "/pets/{pet_id}/", &[], &[]),
            ("pets", "/pets", &[], &[]),
            ("/a/{id}/b/{id}", "/a/{id}/b/{id_2}", &[], &[]),
            ("/a/{x}{y}", "/a/{x_y}", &[], &[]),
            ("/a/{id}.json", "/a/{id}.json", &[], &[]),
            ("/a/{+rest}", "/a/{+rest}", &[], &[]),
            ("/a/{rest*}/{more*}", "/a/{+rest}/{more}", &[], &[]),
            ("/a/{name=**}", "/a/{+name}", &[], &[]),
            ("/a{?page,size}", "/a", &[], &[]),
            ("/a?type=user&kind", "/a", &[("kind", ""), ("type", "user")], &[]),
            ("/a?type={type}", "/a", &[], &[Odd::AnyValue]),
            ("/a#add", "/a", &[], &[Odd::Fragment]),
            ("/a?x=1#add", "/a", &[("x", "1")], &[Odd::Fragment]),
            ("/a b/é", "/a%20b/%C3%A9", &[], &[]),
            ("/a/{open", "/a/%7Bopen", &[], &[]),
        ] {
            let query: BTreeMap<String, String> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(read(key), Ok((Path { template: template.to_owned(), query }, odd.to_vec())), "{key}");
        }
    }

    #[test]
    fn what_no_request_can_have_is_told() {
        for key in ["/a//b", "/a/../b", "/a/*", "/a;b", "/a%2Fb", "/a%", &"/x".repeat(101)] {
            assert!(read(key).is_err(), "{key}");
        }
    }
}
