//! Variables of a connector, and the rules for their values.

use super::requirement::filled_list;
use crate::connector::variables::Rule;
use crate::connector::{PlainHttp, Source, Variable};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Fields, Node, Span, nearest, values};
use indexmap::IndexMap;

/// The variables of a connector.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Those without a mistake.
    pub(super) sound: IndexMap<String, Variable>,
    /// Those whose mistakes are reported already.
    faulty: Vec<String>,
}

impl Variables {
    /// Whether `name` is declared, faulty or not.
    pub(super) fn declares(&self, name: &str) -> bool {
        self.sound.contains_key(name) || self.faulty.iter().any(|known| known == name)
    }

    /// The declared name that `wrong` probably means.
    pub(super) fn nearest(&self, wrong: &str) -> Option<&str> {
        nearest(wrong, self.sound.keys().chain(&self.faulty).map(String::as_str))
    }
}

/// Reads `variables:`. Values that a lookup finds are looked for below `lookup`, the pointer of `oauth.lookup`; none: there is no lookup.
pub(super) fn read(node: Option<&Node>, lookup: Option<&str>, findings: &mut Findings<'_>) -> Variables {
    let mut made = Variables::default();
    for entry in node.and_then(|node| values::entries(node, findings)).unwrap_or_default() {
        let name = entry.key.value.clone();
        match variable(entry, lookup, findings) {
            Some(variable) => drop(made.sound.insert(name, variable)),
            None => made.faulty.push(name),
        }
    }
    made
}

fn variable(entry: &Entry, lookup: Option<&str>, findings: &mut Findings<'_>) -> Option<Variable> {
    let Entry { key, value } = entry;
    let legal = |(at, byte): (usize, u8)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit());
    let is_name = !key.value.is_empty() && key.value.bytes().enumerate().all(legal);
    if !is_name {
        let message = format!("`{}` is no name of a variable", key.value);
        findings.add(code::INVALID_NAME.at(key.span, message).help("a name is a letter or `_`, then letters, digits or `_`"));
    }
    let mut fields = Fields::open(value, "a variable", findings)?.named_at(key.span);
    let from = source(&mut fields, lookup, findings);
    let rule = rule(&mut fields, &key.value, findings);
    let default = fields.take("default").and_then(|node| values::text(node, findings));
    fields.close(findings);
    let rule = rule?;
    let default = match default {
        Some(default) => match rule.admit(default.value, PlainHttp::Allowed) {
            Ok(_) => Some(default.value.to_owned()),
            Err(error) => {
                findings.add(code::RULE_UNMET.at(default.span, format!("the default of `{}` breaks its own rule: {error}", key.value)));
                return None;
            }
        },
        None => None,
    };
    is_name.then_some(Variable { from: from?, default, rule })
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum From {
    Token,
    Callback,
    Lookup,
    Account,
}

fn source(fields: &mut Fields<'_>, lookup: Option<&str>, findings: &mut Findings<'_>) -> Option<Source> {
    let words = [("token", From::Token), ("callback", From::Callback), ("lookup", From::Lookup), ("account", From::Account)];
    let from_node = fields.require("from", findings);
    let from = from_node.and_then(|node| values::word(node, &words, findings));
    let pointer = fields.take("pointer");
    let parameter = fields.take("parameter");
    let span = fields.span();
    let from = from?;
    let wants_pointer = matches!(from, From::Token | From::Lookup);
    if let Some(node) = pointer.filter(|_| !wants_pointer) {
        findings.add(code::CONFLICT.at(node.span, "`pointer` goes with `from: token` and `from: lookup`"));
    }
    if let Some(node) = parameter.filter(|_| from != From::Callback) {
        findings.add(code::CONFLICT.at(node.span, "`parameter` goes with `from: callback`"));
    }
    match from {
        From::Token => Some(Source::Token { pointer: values::pointer(present(pointer, "pointer", span, findings)?, findings)?.to_string() }),
        From::Callback => {
            let parameter = values::filled(present(parameter, "parameter", span, findings)?, findings)?;
            Some(Source::Callback { parameter: parameter.value.to_owned() })
        }
        From::Lookup => {
            let Some(below) = lookup else {
                let place = from_node.map_or(span, |node| node.span);
                findings
                    .add(code::VARIABLE_LATE.at(place, "nothing looks this variable up").help("say where with `lookup: {url: ...}` under `oauth`"));
                return None;
            };
            let own = pointer.map_or(Some(String::new()), |node| values::pointer(node, findings).map(|own| own.to_string()))?;
            Some(Source::Lookup { pointer: format!("{below}{own}") })
        }
        From::Account => Some(Source::Account),
    }
}

fn present<'n>(node: Option<&'n Node>, key: &str, span: Span, findings: &mut Findings<'_>) -> Option<&'n Node> {
    if node.is_none() {
        findings.add(code::MISSING_KEY.at(span, format!("this variable has no `{key}`, so nobody knows where its value stands")));
    }
    node
}

fn rule(fields: &mut Fields<'_>, name: &str, findings: &mut Findings<'_>) -> Option<Rule> {
    let said: Vec<(&str, &Node)> = ["origin_of", "one_of", "is"].into_iter().filter_map(|key| Some((key, fields.take(key)?))).collect();
    match said.as_slice() {
        [] => {
            let message = format!("nothing says what values `{name}` may have");
            let help = "add `one_of: [...]`, `origin_of: [\"*.example.com\"]`, or `is: label` for one host label or path segment";
            findings.add(code::NO_RULE.at(fields.span(), message).help(help));
            None
        }
        [("origin_of", node)] => origin_of(node, findings),
        [("one_of", node)] => Some(Rule::OneOf(filled_list(node, findings)?.into_iter().map(|one| one.value.to_owned()).collect())),
        [(_, node)] => values::word(node, &[("label", Rule::Label)], findings),
        [(first, _), (second, node), ..] => {
            findings.add(code::CONFLICT.at(node.span, format!("`{first}` and `{second}` exclude each other")).help("keep one of them"));
            None
        }
    }
}

fn origin_of(node: &Node, findings: &mut Findings<'_>) -> Option<Rule> {
    let patterns = filled_list(node, findings)?;
    let mut sound = Vec::new();
    for pattern in &patterns {
        match host_pattern(pattern.value) {
            Ok(()) => sound.push(pattern.value.to_owned()),
            Err(help) => findings
                .add(code::RULE_UNMET.at(pattern.span, format!("`{}` is no pattern of hosts that one owner can hold", pattern.value)).help(help)),
        }
    }
    (sound.len() == patterns.len()).then_some(Rule::OriginOf(sound))
}

/// A host, `*.` and a domain of at least two labels, each perhaps with a port.
fn host_pattern(text: &str) -> Result<(), &'static str> {
    const SHAPE: &str = "write a host such as `login.example.com`, `*.example.com` or `127.0.0.1:8080`, without scheme and path";
    let (starred, authority) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(legal) {
        return Err(SHAPE);
    }
    let url = url::Url::parse(&format!("https://{authority}")).map_err(|_| SHAPE)?;
    match url.host() {
        Some(url::Host::Domain(domain)) if starred && !domain.contains('.') => {
            Err("a star needs a domain of at least two labels behind it: anybody can have a name below the last one")
        }
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) if starred => Err(SHAPE),
        Some(_) => Ok(()),
        None => Err(SHAPE),
    }
}
