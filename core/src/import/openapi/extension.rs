//! Keys of vendors under which the scopes of an operation stand.

use super::security::Alternatives;
use crate::import::tree::Item;
use crate::import::{Array, Wishes};

/// A key, and what several scopes in one list mean there, where its vendor says so.
type Known = (&'static str, Option<Array>);

/// Keys that are recognised by themselves.
const KNOWN: [Known; 7] = [
    ("x-atlassian-oauth2-scopes", Some(Array::All)),
    ("x-klaviyo-scopes", Some(Array::All)),
    ("x-permission", Some(Array::All)),
    ("x-pd-requires-scope", Some(Array::All)),
    ("x-required-scopes", None),
    ("x-authorization-privileges", None),
    ("x-app-permission", None),
];

/// What stands under such a key of an operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'t> {
    value: Item<'t>,
    list: Option<Array>,
}

/// The key of an operation that says its scopes: the one that was asked for, else one that is known.
pub(super) fn find<'t>(operation: Item<'t>, wishes: &Wishes) -> Option<Found<'t>> {
    match &wishes.extension {
        Some(key) => {
            let settled = KNOWN.iter().find(|(known, _)| known == key).and_then(|(_, list)| *list);
            Some(Found { value: operation.get(key)?, list: settled })
        }
        None => KNOWN.iter().find_map(|(key, list)| Some(Found { value: operation.get(key)?, list: *list })),
    }
}

impl Found<'_> {
    /// Its alternatives. None where it has no form that is known.
    ///
    /// A text holds scopes with blanks between them, all of which are needed. A list of mappings holds alternatives, each with its
    /// `scopes`. A mapping says by `operator` how its list is meant. In a list of texts the vendor has settled that, or a flag does.
    pub(super) fn alternatives(self, array: Option<Array>) -> Option<Alternatives> {
        let array = self.list.or(array);
        let value = self.value;
        if value.is_null() {
            return Some(Alternatives::nothing());
        }
        if let Some(text) = value.text() {
            return Some(Alternatives::of_list(std::iter::once(text), Some(Array::All)));
        }
        if value.is_map() {
            return by_operator(value, array);
        }
        let items: Vec<Item<'_>> = value.items()?.collect();
        if items.iter().all(|item| item.is_map()) && !items.is_empty() {
            let each: Option<Vec<Alternatives>> =
                items.iter().map(|item| texts(item.get("scopes")).map(|all| Alternatives::of_list(all.into_iter(), Some(Array::All)))).collect();
            return Some(Alternatives::one_of(each?));
        }
        Some(Alternatives::of_list(texts(Some(value))?.into_iter(), array))
    }
}

fn by_operator(value: Item<'_>, array: Option<Array>) -> Option<Alternatives> {
    let listed = texts(value.get("permissions").or_else(|| value.get("scopes")))?;
    let array = match value.get("operator").and_then(Item::text) {
        Some("OR" | "or") => Some(Array::Any),
        Some("AND" | "and") => Some(Array::All),
        Some("OPEN" | "open") if listed.is_empty() => Some(Array::All),
        Some(_) => return None,
        None => array,
    };
    Some(Alternatives::of_list(listed.into_iter(), array))
}

/// A list of texts; null, or nothing, is an empty one.
fn texts(item: Option<Item<'_>>) -> Option<Vec<&str>> {
    match item {
        Some(item) if !item.is_null() => item.items()?.map(Item::text).collect(),
        Some(_) | None => Some(Vec::new()),
    }
}
