//! Alternatives: `{any: [...]}`, `{all: [...]}`, nested, in disjunctive normal form and in the author's order.

use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Located, Node, Value, suggestion, values};

/// More alternatives than any API has; imported data has up to 73.
const MOST_ALTERNATIVES: usize = 1000;

/// What a list without `any` or `all` means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BareList {
    /// All of them.
    All,
    /// It could be read either way, so it must be said.
    MustSay,
}

/// Reads alternatives; `leaf` makes the value of one name, or reports and gives none. None where anything was reported.
pub(super) fn alternatives<T: Clone + PartialEq>(
    node: &Node,
    bare: BareList,
    leaf: &mut dyn FnMut(Located<&str>, &mut Findings<'_>) -> Option<T>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Vec<T>>> {
    match &node.value {
        Value::Plain(_) | Value::Quoted(_) => Some(vec![vec![leaf(values::text(node, findings)?, findings)?]]),
        Value::List(items) if bare == BareList::All => all(node, items, bare, leaf, findings),
        Value::List(_) => {
            findings.add(
                code::WRONG_KIND.at(node.span, "a list could mean all of these scopes or any of them").help("write `{all: [...]}` or `{any: [...]}`"),
            );
            None
        }
        Value::Map(entries) => match entries.as_slice() {
            [entry] if entry.key.value == "all" => all(node, values::items(&entry.value, findings)?, bare, leaf, findings),
            [entry] if entry.key.value == "any" => any(node, values::items(&entry.value, findings)?, bare, leaf, findings),
            [entry] => {
                let help = suggestion(&entry.key.value, ["all", "any"]);
                findings.add(code::UNKNOWN_KEY.at(entry.key.span, format!("`{}` is neither `all` nor `any`", entry.key.value)).maybe_help(help));
                None
            }
            [] => empty(node, findings),
            [_, second, ..] => {
                findings.add(
                    code::CONFLICT
                        .at(second.key.span, "a requirement has one key")
                        .help("nest one in the other, such as `{any: [a, {all: [b, c]}]}`"),
                );
                None
            }
        },
        Value::Refused => None,
    }
}

fn all<T: Clone + PartialEq>(
    node: &Node,
    items: &[Node],
    bare: BareList,
    leaf: &mut dyn FnMut(Located<&str>, &mut Findings<'_>) -> Option<T>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Vec<T>>> {
    let parts = parts(node, items, bare, leaf, findings)?;
    let mut product: Vec<Vec<T>> = vec![Vec::new()];
    for part in parts {
        if product.len().saturating_mul(part.len()) > MOST_ALTERNATIVES {
            return too_many(node, findings);
        }
        product = product.iter().flat_map(|left| part.iter().map(|right| both(left, right))).collect();
    }
    Some(distinct(product))
}

fn any<T: Clone + PartialEq>(
    node: &Node,
    items: &[Node],
    bare: BareList,
    leaf: &mut dyn FnMut(Located<&str>, &mut Findings<'_>) -> Option<T>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Vec<T>>> {
    let sum: Vec<Vec<T>> = parts(node, items, bare, leaf, findings)?.into_iter().flatten().collect();
    if sum.len() > MOST_ALTERNATIVES { too_many(node, findings) } else { Some(distinct(sum)) }
}

/// All parts; each is read, so that every mistake comes out.
fn parts<T: Clone + PartialEq>(
    node: &Node,
    items: &[Node],
    bare: BareList,
    leaf: &mut dyn FnMut(Located<&str>, &mut Findings<'_>) -> Option<T>,
    findings: &mut Findings<'_>,
) -> Option<Vec<Vec<Vec<T>>>> {
    if items.is_empty() {
        return empty(node, findings);
    }
    let read: Vec<Option<Vec<Vec<T>>>> = items.iter().map(|item| alternatives(item, bare, leaf, findings)).collect();
    read.into_iter().collect()
}

fn both<T: Clone + PartialEq>(left: &[T], right: &[T]) -> Vec<T> {
    let mut union = left.to_vec();
    union.extend(right.iter().filter(|one| !left.contains(one)).cloned());
    union
}

/// Without alternatives that hold the same names as an earlier one.
fn distinct<T: PartialEq>(all: Vec<Vec<T>>) -> Vec<Vec<T>> {
    let mut kept: Vec<Vec<T>> = Vec::new();
    for one in all {
        if !kept.iter().any(|other| other.len() == one.len() && one.iter().all(|name| other.contains(name))) {
            kept.push(one);
        }
    }
    kept
}

fn empty<T>(node: &Node, findings: &mut Findings<'_>) -> Option<T> {
    findings.add(code::EMPTY.at(node.span, "nothing stands in this list").help("name what is needed, or write `none`"));
    None
}

fn too_many<T>(node: &Node, findings: &mut Findings<'_>) -> Option<T> {
    findings.add(code::TOO_MANY_ALTERNATIVES.at(node.span, format!("this comes to more than {MOST_ALTERNATIVES} alternatives")));
    None
}

/// One text or a list of them, at least one.
pub(super) fn filled_list<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Option<Vec<Located<&'n str>>> {
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        return empty(node, findings);
    }
    Some(values::texts(node, findings)).filter(|all| !all.is_empty())
}
