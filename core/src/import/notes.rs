//! What whoever imports should know.

use indexmap::IndexSet;
use std::collections::BTreeMap;

/// Two operations whose shapes are one: the language has both hold.
pub(super) const SAME_SHAPE: &str = "several operations match the same requests, and each of them has to be allowed";

/// What whoever imports should know: each kind of thing once, with the places where it was found.
#[derive(Debug, Default)]
pub(super) struct Notes(BTreeMap<String, IndexSet<String>>);

/// So many places are named for one thing.
const NAMED: usize = 5;

impl Notes {
    /// `sentence` is about `place`, such as an operation.
    pub(super) fn add(&mut self, sentence: impl Into<String>, place: impl Into<String>) {
        self.0.entry(sentence.into()).or_default().insert(place.into());
    }

    /// One that is about the whole description.
    pub(super) fn whole(&mut self, sentence: impl Into<String>) {
        self.0.entry(sentence.into()).or_default();
    }

    pub(super) fn sentences(self) -> Vec<String> {
        self.0.into_iter().map(|(sentence, places)| told(&sentence, &places)).collect()
    }
}

fn told(sentence: &str, places: &IndexSet<String>) -> String {
    let named = places.iter().take(NAMED).map(|place| format!("`{place}`")).collect::<Vec<_>>().join(", ");
    match places.len() {
        0 => sentence.to_owned(),
        1..=NAMED => format!("{sentence}: {named}"),
        many => format!("{sentence}: {named} and {} more", many - NAMED),
    }
}
