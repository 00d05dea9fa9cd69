//! The name that somebody probably meant.

use std::cell::Cell;

/// The name among `known` that is nearest to `wrong`, if one is near enough: a third of its letters may differ.
/// Among equally near ones the first in the alphabet.
#[must_use]
pub fn nearest<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    search(wrong, known, &Patience::default())
}

/// How much may still be looked for: whoever misspells everything is told all mistakes, and what was meant by the first of them.
#[derive(Debug)]
pub struct Patience(Cell<usize>);

/// Names that are looked at, and how many of these a comparison is worth.
const MOST_LOOKED_AT: usize = 2_000_000;
const COMPARED: usize = 20;

impl Default for Patience {
    fn default() -> Self {
        Self(Cell::new(MOST_LOOKED_AT))
    }
}

impl Patience {
    /// Whether there is some left, after `more` of it is gone.
    fn spend(&self, more: usize) -> bool {
        let left = self.0.get().saturating_sub(more);
        self.0.set(left);
        left > 0
    }
}

fn search<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str>, patience: &Patience) -> Option<&'k str> {
    let length = wrong.chars().count();
    let bearable = length.div_ceil(3).max(1);
    let wrong = wrong.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for name in known {
        if !patience.spend(1) {
            return None;
        }
        // The distance is at least the difference in length: most names are out before any is compared.
        let letters = name.chars().count();
        if letters.abs_diff(length) > bearable {
            continue;
        }
        patience.spend(COMPARED);
        let distance = strsim::osa_distance(&wrong, &name.to_lowercase());
        if distance <= bearable && distance < letters {
            best = best.into_iter().chain([(distance, name)]).min();
        }
    }
    best.map(|(_, name)| name)
}

/// "did you mean `x`?", or else a list of what there is, where that is short.
#[must_use]
pub fn suggestion<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Option<String> {
    suggestion_within(wrong, known, &Patience::default())
}

/// The same, as far as patience goes.
#[must_use]
pub fn suggestion_within<'k>(wrong: &str, known: impl IntoIterator<Item = &'k str> + Clone, patience: &Patience) -> Option<String> {
    if let Some(name) = search(wrong, known.clone(), patience) {
        return Some(format!("did you mean `{name}`?"));
    }
    let all: Vec<String> = known.into_iter().take(9).map(|name| format!("`{name}`")).collect();
    match all.as_slice() {
        [] => None,
        [only] => Some(format!("there is only {only}")),
        many if many.len() < 9 => Some(format!("there are {}", many.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_name_and_anything_else_none() {
        let known = ["opportunities:read", "opportunities:write", "accounts:read", "require", "deny", "id"];
        for (wrong, meant) in [
            ("oportunities:read", Some("opportunities:read")),
            ("opportunities:raed", Some("opportunities:read")),
            ("Accounts:Read", Some("accounts:read")),
            ("requires", Some("require")),
            ("dney", Some("deny")),
            ("di", Some("id")),
            ("x", None),
            ("files:read", None),
            ("something:else", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, known), meant, "{wrong}");
        }
    }

    #[test]
    fn a_short_list_is_shown_where_no_name_is_near() {
        assert_eq!(suggestion("xyz", ["alpha", "beta"]).unwrap(), "there are `alpha`, `beta`");
        assert_eq!(suggestion("xyz", ["alpha"]).unwrap(), "there is only `alpha`");
        assert_eq!(suggestion("xyz", []), None);
    }
}
