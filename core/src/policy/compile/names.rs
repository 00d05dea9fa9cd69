//! `names:`: closed lists of values that a path parameter may have, each with the name that requirements know it by.
//!
//! An operation whose requirement says `{object}` is one operation for each value of `object`:
//! the value stands in the path, and its name in the requirement. Silence denies the others.

use super::requirement::filled_list;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use crate::policy::document::{Entry, Located, Node, Value, values};
use indexmap::IndexMap;

/// Lists by the name of their parameter.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(IndexMap<String, List>);

/// Values, and the name of each.
type List = IndexMap<String, String>;

/// So many operations come of one at most.
const MOST: usize = 1000;

/// One value for each of some parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen(Vec<(String, String, String)>);

impl Names {
    /// Reads `names:`.
    pub(super) fn read(node: &Node, findings: &mut Findings<'_>) -> Self {
        let mut names = Self::default();
        for Entry { key, value } in values::entries(node, findings).unwrap_or_default() {
            if let Some(list) = list(value, findings) {
                names.0.insert(key.value.clone(), list);
            }
        }
        names
    }

    /// These over the lists of `below`.
    pub(super) fn over(self, below: &Self) -> Self {
        let mut all = below.clone();
        all.0.extend(self.0);
        all
    }

    /// The list of a parameter; a finding where there is none.
    pub(super) fn list(&self, parameter: Located<&str>, findings: &mut Findings<'_>) -> Option<&List> {
        let found = self.0.get(parameter.value);
        if found.is_none() {
            let help =
                findings.suggestion(parameter.value, self.0.keys().map(String::as_str)).unwrap_or_else(|| "list its values under `names`".into());
            findings.add(code::UNKNOWN_NAMES.at(parameter.span, format!("nothing lists the values of `{}`", parameter.value)).help(help));
        }
        found
    }

    /// All choices of values for these parameters.
    pub(super) fn choices(&self, parameters: &[Located<String>], findings: &mut Findings<'_>) -> Option<Vec<Chosen>> {
        let mut all = vec![Chosen::default()];
        for parameter in parameters {
            let list = self.list(Located { value: parameter.value.as_str(), span: parameter.span }, findings)?;
            if all.len().saturating_mul(list.len()) > MOST {
                findings.add(code::TOO_MANY_NAMES.at(parameter.span, format!("this comes to more than {MOST} operations")));
                return None;
            }
            let with = |chosen: &Chosen, value: &String, name: &String| {
                Chosen([chosen.0.as_slice(), &[(parameter.value.clone(), value.clone(), name.clone())]].concat())
            };
            all = all.iter().flat_map(|chosen| list.iter().map(move |(value, name)| with(chosen, value, name))).collect();
        }
        Some(all)
    }
}

impl Chosen {
    /// A path template in which the values stand instead of the parameters.
    pub(super) fn in_path(&self, template: &str) -> String {
        self.0.iter().fold(template.to_owned(), |text, (parameter, value, _)| text.replace(&format!("{{{parameter}}}"), value))
    }

    /// A scope in which the names stand.
    pub(super) fn in_scope(&self, scope: &str) -> String {
        self.0.iter().fold(scope.to_owned(), |text, (parameter, _, name)| text.replace(&format!("{{{parameter}}}"), name))
    }
}

/// What stands in braces in a text, each once.
pub(super) fn parameters(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for inside in text.split('{').skip(1).filter_map(|behind| behind.split_once('}')).map(|(inside, _)| inside) {
        if !inside.is_empty() && !found.contains(&inside) {
            found.push(inside);
        }
    }
    found
}

fn list(node: &Node, findings: &mut Findings<'_>) -> Option<List> {
    if let Value::Map(entries) = &node.value {
        if entries.is_empty() {
            findings.add(code::EMPTY.at(node.span, "no value stands in this list").help("write `{VALUE: NAME}`"));
            return None;
        }
        let named = |entry: &Entry, findings: &mut Findings<'_>| {
            let name = values::filled(&entry.value, findings)?;
            Some((entry.key.value.clone(), name.value.to_owned()))
        };
        return Some(entries.iter().filter_map(|entry| named(entry, findings)).collect());
    }
    let all = filled_list(node, findings)?;
    Some(all.into_iter().map(|value| (value.value.to_owned(), value.value.to_owned())).collect())
}
