//! Scopes: what an operation needs, what a role allows, what a customer granted.
//!
//! Gateway scopes are interned per connector, so that a set of them is a row of
//! bits and a requirement is a list of such rows in disjunctive normal form.

use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A text that is no scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidScope {
    /// Nothing at all.
    #[error("a scope has at least one character")]
    Empty,
    /// A byte outside of RFC 6749 section 3.3.
    #[error("a scope has no blank, quote, backslash or control at byte {offset}")]
    IllegalByte {
        /// Where, counted in bytes from 0.
        offset: usize,
    },
}

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        ///
        /// Grammar: `1*( %x21 / %x23-5B / %x5D-7E )`, RFC 6749 section 3.3.
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The scope as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidScope;
            fn from_str(text: &str) -> Result<Self, InvalidScope> {
                let legal = |byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
                match text.bytes().position(|byte| !legal(byte)) {
                    Some(offset) => Err(InvalidScope::IllegalByte { offset }),
                    None if text.is_empty() => Err(InvalidScope::Empty),
                    None => Ok(Self(text.into())),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

tokens! {
    /// A gateway scope of a connector, such as `opportunities:write`. Compared byte for byte.
    Scope;
    /// A provider scope, such as `files.read`. Compared byte for byte.
    ProviderScope;
}

/// The gateway scopes of one connector, each with a number. Numbers mean nothing outside of it.
#[derive(Clone, Debug, Default)]
pub struct ScopeTable {
    names: Vec<Scope>,
    /// Only documents add to it: nobody outside can make it uneven.
    numbers: HashMap<Scope, usize, FixedState>,
}

impl ScopeTable {
    /// The number of `scope`, which it gets here if it has none.
    pub fn intern(&mut self, scope: &Scope) -> usize {
        if let Some(number) = self.numbers.get(scope) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(scope.clone());
        self.numbers.insert(scope.clone(), number);
        number
    }

    /// The number of a scope that is there.
    #[must_use]
    pub fn number(&self, scope: &str) -> Option<usize> {
        self.numbers.get(scope).copied()
    }

    /// All scopes, by number.
    #[must_use]
    pub fn names(&self) -> &[Scope] {
        &self.names
    }

    /// The names of a set, in the order of the numbers.
    #[must_use]
    pub fn named(&self, set: &ScopeSet) -> Vec<Scope> {
        self.names.iter().enumerate().filter(|(number, _)| set.contains(*number)).map(|(_, name)| name.clone()).collect()
    }
}

/// A set of the scopes of one connector.
#[derive(Clone, Debug, Default)]
pub struct ScopeSet(Vec<u64>);

impl ScopeSet {
    /// Nothing.
    pub const EMPTY: Self = Self(Vec::new());

    /// Whether scope `number` is in it.
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// Puts scope `number` in.
    pub fn insert(&mut self, number: usize) {
        let word = number / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many scopes are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether all of this is in `other` too.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().enumerate().all(|(at, word)| word & !other.word(at) == 0)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().enumerate().map(|(at, word)| word & other.word(at)).collect())
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let length = self.0.len().max(other.0.len());
        Self((0..length).map(|at| self.word(at) | other.word(at)).collect())
    }

    /// What is in this and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.0.iter().enumerate().map(|(at, word)| word & !other.word(at)).collect())
    }

    /// The numbers in it, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let lowest = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                Some(at * 64 + lowest as usize)
            })
        })
    }

    fn word(&self, at: usize) -> u64 {
        self.0.get(at).copied().unwrap_or(0)
    }
}

impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        self.is_subset(other) && other.is_subset(self)
    }
}
impl Eq for ScopeSet {}

impl FromIterator<usize> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut set = Self::default();
        numbers.into_iter().for_each(|number| set.insert(number));
        set
    }
}

/// What an operation needs: at least one alternative wholly. An empty alternative needs nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirement(Vec<ScopeSet>);

impl Requirement {
    /// Needs nothing: `require: none`.
    #[must_use]
    pub fn none() -> Self {
        Self(vec![ScopeSet::default()])
    }

    /// Any of these alternatives, in the author's order. An empty list can never be met.
    #[must_use]
    pub fn any(alternatives: Vec<ScopeSet>) -> Self {
        Self(alternatives)
    }

    /// The alternatives, in the author's order.
    #[must_use]
    pub fn alternatives(&self) -> &[ScopeSet] {
        &self.0
    }

    /// Whether nothing is needed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self.0.as_slice(), [only] if only.is_empty())
    }

    /// Whether `held` has one alternative wholly.
    #[must_use]
    pub fn is_met_by(&self, held: &ScopeSet) -> bool {
        self.0.iter().any(|alternative| alternative.is_subset(held))
    }

    /// Both must hold: the product of the alternatives, without those that contain another.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut product: Vec<ScopeSet> = Vec::new();
        for left in &self.0 {
            for right in &other.0 {
                let both = left.union(right);
                if !product.iter().any(|kept| kept.is_subset(&both)) {
                    product.retain(|kept| !both.is_subset(kept));
                    product.push(both);
                }
            }
        }
        Self(product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: &[usize]) -> ScopeSet {
        numbers.iter().copied().collect()
    }

    #[test]
    fn a_requirement_is_met_when_one_alternative_is_held_wholly() {
        let either = Requirement::any(vec![set(&[0, 70]), set(&[3])]);
        for (held, met) in [(&[0][..], false), (&[0, 70], true), (&[3], true), (&[], false), (&[1, 2, 3], true)] {
            assert_eq!(either.is_met_by(&set(held)), met, "{held:?}");
        }
        assert!(Requirement::none().is_met_by(&set(&[])));
        assert!(!Requirement::any(vec![]).is_met_by(&set(&[0])));
    }

    #[test]
    fn both_requirements_are_the_product_without_what_another_alternative_contains() {
        let left = Requirement::any(vec![set(&[0]), set(&[1])]);
        let right = Requirement::any(vec![set(&[2])]);
        assert_eq!(left.and(&right), Requirement::any(vec![set(&[0, 2]), set(&[1, 2])]));
        assert_eq!(left.and(&left), Requirement::any(vec![set(&[0]), set(&[1])]));
        assert_eq!(Requirement::none().and(&right), right);
    }

    #[test]
    fn scope_grammar_is_that_of_rfc_6749() {
        for (text, fault) in
            [("", InvalidScope::Empty), ("a b", InvalidScope::IllegalByte { offset: 1 }), ("é", InvalidScope::IllegalByte { offset: 0 })]
        {
            assert_eq!(text.parse::<Scope>(), Err(fault), "{text}");
        }
        assert!("https://www.googleapis.com/auth/gmail.readonly".parse::<ProviderScope>().is_ok());
    }
}
