//! Values of variables.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Values of variables by name, sorted. Memory holds two of these for each account, most with one
/// value or none: a row takes a fifth of what a tree would.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Variables(Box<[(String, String)]>);

impl Variables {
    /// No values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&String> {
        self.position(name).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// Whether there is a value of that name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a value, in the place of one that is there.
    pub fn insert(&mut self, name: String, value: String) {
        match self.position(&name) {
            Ok(at) => self.0.get_mut(at).into_iter().for_each(|(_, old)| old.clone_from(&value)),
            Err(at) => {
                let mut row = std::mem::take(&mut self.0).into_vec();
                row.insert(at, (name, value));
                self.0 = row.into_boxed_slice();
            }
        }
    }

    /// Each name and value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Each name, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }
}

impl Extend<(String, String)> for Variables {
    fn extend<I: IntoIterator<Item = (String, String)>>(&mut self, values: I) {
        values.into_iter().for_each(|(name, value)| self.insert(name, value));
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(values: I) -> Self {
        let mut variables = Self::new();
        variables.extend(values);
        variables
    }
}

impl<const N: usize> From<[(String, String); N]> for Variables {
    fn from(values: [(String, String); N]) -> Self {
        values.into_iter().collect()
    }
}

impl IntoIterator for Variables {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<'a> IntoIterator for &'a Variables {
    type Item = (&'a String, &'a String);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (String, String)>, fn(&'a (String, String)) -> (&'a String, &'a String)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl Serialize for Variables {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = Variables;
            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Variables, A::Error> {
                let mut variables = Variables::new();
                while let Some((name, value)) = map.next_entry()? {
                    variables.insert(name, value);
                }
                Ok(variables)
            }
        }
        from.deserialize_map(Values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn values_are_sorted_and_the_last_of_a_name_holds() {
        let variables = Variables::from([pair("b", "1"), pair("a", "2"), pair("b", "3")]);
        assert_eq!(variables.into_iter().collect::<Vec<_>>(), [pair("a", "2"), pair("b", "3")]);
    }

    #[test]
    fn as_json_they_are_an_object() {
        let json = r#"{"a":"2","b":"3"}"#;
        let variables: Variables = serde_json::from_str(json).unwrap();
        assert_eq!((variables.get("b").map(String::as_str), variables.contains_key("c")), (Some("3"), false));
        assert_eq!(serde_json::to_string(&variables).unwrap(), json);
    }
}
