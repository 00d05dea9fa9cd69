//! Names that the language takes for what a description calls otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The longest id of an operation.
const LONGEST_ID: usize = 256;

/// What an operation is called, and what tells it from others of that name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Called<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) method: &'a str,
    /// Path segments without parameters.
    pub(super) literals: &'a [&'a str],
}

/// Ids of operations, unique, in the order in which they come: the source's; where it has none, method and literal
/// segments; where several have it, the method behind it, and then a number.
pub(super) fn operation_ids(called: &[Called<'_>]) -> Vec<String> {
    let plain: Vec<String> = called.iter().map(plain_id).collect();
    let first = counted(&plain);
    let with_method = plain.iter().zip(called).map(|(id, called)| {
        let twice = first.get(id.as_str()).is_some_and(|count| *count > 1);
        if twice { format!("{}-{}", shortened(id, called.method.len() + 1), called.method) } else { id.clone() }
    });
    let mut taken = Taken::default();
    with_method.map(|id| taken.take(&id)).collect()
}

/// Method and path as they stand in the source, as ids: unique, in the order in which they come.
pub(super) fn method_and_path<'a>(called: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let legal = |character: char| matches!(character, ' '..='~') && !matches!(character, '"' | '\\' | '+');
    let written =
        called.map(|(method, path)| format!("{method} {path}").trim().chars().map(|one| if legal(one) { one } else { '-' }).collect::<String>());
    let mut taken = Taken::default();
    written.map(|id| taken.take(shortened(&id, 0))).collect()
}

fn counted(ids: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    ids.iter().for_each(|id| *counts.entry(id.as_str()).or_default() += 1);
    counts
}

fn plain_id(called: &Called<'_>) -> String {
    let legal = |character: char| character.is_ascii_alphanumeric() || "._/:-".contains(character);
    let own = called.id.map(|id| id.trim().chars().map(|character| if legal(character) { character } else { '-' }).collect::<String>());
    let made = own.filter(|id| !id.is_empty()).unwrap_or_else(|| {
        let words = std::iter::once(called.method.to_lowercase()).chain(called.literals.iter().map(|word| (*word).to_owned()));
        words.collect::<Vec<_>>().join("-").chars().map(|character| if legal(character) { character } else { '-' }).collect()
    });
    shortened(&made, 0).to_owned()
}

/// So much of an id that `more` characters fit behind it.
fn shortened(id: &str, more: usize) -> &str {
    id.get(..LONGEST_ID.saturating_sub(more)).unwrap_or(id)
}

/// Names that are given, and how far each was counted.
#[derive(Default)]
struct Taken {
    names: HashSet<String>,
    counted: HashMap<String, usize>,
}

impl Taken {
    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The name itself, or with the first number behind it that makes it new.
    fn take(&mut self, name: &str) -> String {
        let mut made = name.to_owned();
        while !self.names.insert(made.clone()) {
            let number = self.counted.entry(name.to_owned()).or_insert(1);
            *number += 1;
            made = format!("{}-{number}", shortened(name, 8));
        }
        made
    }
}

/// Gateway scopes of provider scopes: their own names, and of URLs what stands behind `/auth/`, or the last segment, with so
/// many segments before it as tell it from others. `none` and `unknown` are words of the language.
pub(super) fn scopes(provider: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut taken = Taken { names: ["none", "unknown"].map(str::to_owned).into(), ..Taken::default() };
    let (urls, plain): (Vec<&String>, Vec<&String>) = provider.iter().partition(|name| is_url(name));
    let mut made: BTreeMap<String, String> = plain.into_iter().map(|name| (name.clone(), taken.take(name))).collect();
    let mut shared: HashMap<&str, usize> = HashMap::new();
    urls.iter().flat_map(|url| tails(url)).for_each(|tail| *shared.entry(tail).or_default() += 1);
    for url in &urls {
        let alone = |tail: &&str| !taken.has(tail) && shared.get(tail) == Some(&1);
        let name = tails(url).find(alone).unwrap_or(url);
        made.insert((*url).clone(), taken.take(name));
    }
    made
}

fn is_url(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

/// What a URL may be called: what stands behind `/auth/`; else its last segments, the fewest first.
fn tails(url: &str) -> impl Iterator<Item = &str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let scope = rest.split_once("/auth/").map(|(_, scope)| scope).filter(|scope| !scope.is_empty());
    let slashes = rest.rmatch_indices('/').map(move |(at, _)| rest.get(at + 1..).unwrap_or(rest));
    scope.into_iter().chain(slashes.filter(move |_| scope.is_none())).chain(std::iter::once(rest))
}

/// The name of a parameter or variable: a letter or `_`, then letters, digits or `_`; not among `taken`.
pub(super) fn parameter(name: &str, taken: impl Fn(&str) -> bool) -> String {
    // Some write `{id:[0-9]+}` or `{id=*}`.
    let name = name.split([':', '=']).next().unwrap_or_default();
    let mut made: String = name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect();
    if !made.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        made.insert(0, '_');
    }
    let first = made.clone();
    let mut number = 2;
    while taken(&made) {
        made = format!("{first}_{number}");
        number += 1;
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_sources_and_unique_whatever_it_says() {
        let called = |id, method, literals| Called { id, method, literals };
        let long = "x".repeat(300);
        let ids = operation_ids(&[
            called(Some("list pets+"), "GET", &[]),
            called(None, "GET", &["pets", "a b"]),
            called(Some("pet"), "GET", &[]),
            called(Some("pet"), "PUT", &[]),
            called(Some("pet"), "PUT", &[]),
            called(Some(" "), "DELETE", &[]),
            called(Some("users/list:all.v-1"), "GET", &[]),
            called(Some(&long), "GET", &[]),
        ]);
        assert_eq!(ids[..7], ["list-pets-", "get-pets-a-b", "pet-GET", "pet-PUT", "pet-PUT-2", "delete", "users/list:all.v-1"]);
        assert_eq!(ids[7].len(), 256);
    }

    #[test]
    fn scopes_keep_their_names_unless_they_are_urls() {
        let provider: BTreeSet<String> = [
            "https://www.googleapis.com/auth/gmail.modify",
            "https://mail.google.com/",
            "https://uri.paypal.com/services/payments/refund",
            "https://uri.paypal.com/services/invoicing/refund",
            "https://uri.paypal.com/services/read",
            "read",
            "none",
            "unknown",
            "openid",
        ]
        .map(str::to_owned)
        .into();
        let named = scopes(&provider);
        let names: Vec<(&str, &str)> = named.iter().map(|(provider, name)| (provider.as_str(), name.as_str())).collect();
        assert_eq!(
            names,
            [
                ("https://mail.google.com/", "mail.google.com"),
                ("https://uri.paypal.com/services/invoicing/refund", "invoicing/refund"),
                ("https://uri.paypal.com/services/payments/refund", "payments/refund"),
                ("https://uri.paypal.com/services/read", "services/read"),
                ("https://www.googleapis.com/auth/gmail.modify", "gmail.modify"),
                ("none", "none-2"),
                ("openid", "openid"),
                ("read", "read"),
                ("unknown", "unknown-2"),
            ]
        );
    }

    #[test]
    fn parameters_get_names_of_the_language() {
        for (name, made) in [("petId", "petId"), ("your-domain", "your_domain"), ("2fa", "_2fa"), ("id:[0-9]+", "id"), ("", "_"), ("id", "id_2")] {
            assert_eq!(parameter(name, |taken| taken == "id" && name == "id"), made, "{name}");
        }
    }
}
