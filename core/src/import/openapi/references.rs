//! `$ref`: inside of the file they are followed, out of it they are refused.

use crate::import::fault::Fault;
use crate::import::tree::{Id, Item};
use std::collections::{BTreeMap, HashSet};

/// References that lead to each other before something else stands there.
const LONGEST_CHAIN: usize = 100;

/// The references of a description, each followed once.
pub(super) struct References<'t> {
    root: Item<'t>,
    known: BTreeMap<&'t str, Item<'t>>,
}

impl<'t> References<'t> {
    pub(super) fn new(root: Item<'t>) -> Self {
        Self { root, known: BTreeMap::new() }
    }

    /// The node itself, or what its `$ref` leads to.
    pub(super) fn follow(&mut self, item: Item<'t>) -> Result<Item<'t>, Fault> {
        let mut here = item;
        for _ in 0..LONGEST_CHAIN {
            let Some(reference) = here.get("$ref") else { return Ok(here) };
            let Some(text) = reference.text() else { return Err(Fault::at(reference.at(), "a `$ref` is a text")) };
            here = match self.known.get(text) {
                Some(found) => *found,
                None => {
                    let found = self.find(text).ok_or_else(|| Fault::at(reference.at(), format!("the reference `{text}` leads to nothing")))?;
                    self.known.insert(text, found);
                    found
                }
            };
        }
        Err(Fault::at(item.at(), "this reference leads back to itself"))
    }

    /// By `#` and a JSON pointer, percent-encoded (RFC 6901 section 6).
    fn find(&self, text: &str) -> Option<Item<'t>> {
        let pointer = decoded(text.strip_prefix('#')?)?;
        let mut here = self.root;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            here = match here.get(&token) {
                Some(found) => found,
                None => here.items()?.nth(token.parse().ok()?)?,
            };
        }
        Some(here)
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut made = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        made.push(u8::from_str_radix(digits, 16).ok()?);
        made.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(made).ok()
}

/// Where the API itself is described, in either version.
const DESCRIBED: [&str; 6] = ["paths", "components", "parameters", "responses", "definitions", "securityDefinitions"];

/// Keys below which anything may stand, also what looks like a reference.
const DATA: [&str; 6] = ["description", "example", "examples", "default", "enum", "const"];

/// Refuses references out of the file, wherever the API is described: nobody knows what would be read there.
pub(super) fn refuse_foreign(root: Item<'_>) -> Result<(), Fault> {
    let mut seen: HashSet<Id> = HashSet::new();
    let mut open: Vec<Item<'_>> = DESCRIBED.into_iter().filter_map(|key| root.get(key)).collect();
    let mut foreign: Option<(usize, &str)> = None;
    while let Some(item) = open.pop() {
        if !seen.insert(item.id()) {
            continue;
        }
        let leads_out = item.get("$ref").and_then(|reference| Some((reference.at(), reference.text()?))).filter(|(_, text)| !text.starts_with('#'));
        foreign = foreign.into_iter().chain(leads_out).min();
        open.extend(item.entries().filter(|(key, _)| !key.starts_with("x-") && !DATA.contains(key)).map(|(_, value)| value));
        open.extend(item.items().into_iter().flatten());
    }
    match foreign {
        Some((at, text)) => Err(Fault::at(at, format!("the reference `{text}` leads out of the file: put all into one file first"))),
        None => Ok(()),
    }
}
