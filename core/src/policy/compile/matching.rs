//! `match: METHOD /path/{template}`, one or a list.

use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Located, Node, Span, nearest};
use crate::policy::template::PathTemplate;
use crate::request::Method;

/// One match.
#[derive(Clone, Debug)]
pub(super) struct Match {
    pub(super) method: Method,
    pub(super) template: PathTemplate,
    pub(super) span: Span,
}

/// Methods that APIs have (RFC 9110, 5789, 4918, 3253, 5323, and the query method); others pass with a warning where they look like a slip.
const USUAL: [&str; 16] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "QUERY",
    "MKCOL",
    "COPY",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "REPORT",
    "SEARCH",
    "LOCK",
];

/// Reads `match:`. The same match twice is a finding.
pub(super) fn read(node: &Node, findings: &mut Findings<'_>) -> Vec<Match> {
    let mut made: Vec<Match> = Vec::new();
    let all = super::requirement::filled_list(node, findings).unwrap_or_default();
    for found in all.into_iter().filter_map(|text| one(text, findings)).collect::<Vec<_>>() {
        if made.iter().any(|known| known.method == found.method && known.template == found.template) {
            findings.add(code::SAME_OPERATION.at(found.span, "this match stands twice in the operation").help("leave one out"));
        } else {
            made.push(found);
        }
    }
    made
}

fn one(found: Located<&str>, findings: &mut Findings<'_>) -> Option<Match> {
    // A text in YAML's own block form ends with its line.
    let text = found.value.trim_end();
    let word = text.split(' ').next().unwrap_or_default();
    if text.starts_with('/') || word.contains('/') {
        let message = format!("`{text}` has no method");
        findings.add(code::NO_METHOD.at(found.span, message).help(format!("write `GET {text}`, or whichever method it is")));
        return None;
    }
    let path = text.get(word.len()..).unwrap_or_default();
    let blanks = path.len() - path.trim_start_matches(' ').len();
    let method = method(Located { value: word, span: findings.inside(found.span, text, 0, word.len()) }, findings);
    let offset = word.len() + blanks;
    let path = path.trim_start_matches(' ');
    if path.is_empty() {
        findings.add(code::INVALID_PATH.at(found.span, format!("`{text}` has no path")).help(format!("write `{text} /path/{{parameter}}`")));
        return None;
    }
    let template = match PathTemplate::parse(path) {
        Ok(template) => template,
        Err(error) => {
            let length = path.get(error.offset..).unwrap_or_default().split('/').next().unwrap_or_default().len().max(1);
            let span = findings.inside(found.span, text, offset + error.offset, length);
            findings.add(code::INVALID_PATH.at(span, error.sentence).maybe_help(error.help.map(str::to_owned)));
            return None;
        }
    };
    Some(Match { method: method?, template, span: found.span })
}

fn method(found: Located<&str>, findings: &mut Findings<'_>) -> Option<Method> {
    match found.value.parse::<Method>() {
        Ok(method) => {
            let near = nearest(found.value, USUAL).filter(|_| !USUAL.contains(&found.value));
            if let Some(near) = near {
                let message = format!("`{}` is an unusual method", found.value);
                findings.add(code::ODD_METHOD.at(found.span, message).help(format!("did you mean `{near}`?")));
            }
            Some(method)
        }
        Err(ambiguity) => {
            let upper = found.value.to_ascii_uppercase();
            let help = USUAL.contains(&upper.as_str()).then(|| format!("write `{upper}`"));
            findings.add(code::INVALID_METHOD.at(found.span, format!("`{}` is no method: {}", found.value, ambiguity.sentence)).maybe_help(help));
            None
        }
    }
}
