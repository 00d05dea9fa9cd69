//! Reads JSON bodies and queries of the admin API strictly: an unknown field, a field twice or a value of another kind is
//! refused with the field's name.
//!
//! **Invariant: no value of a body is ever repeated**, for it may be a token in the wrong place. serde's own errors do
//! repeat values, so this module reads with an error type of its own.

use indexmap::IndexMap;
use serde::de::value::{SeqDeserializer, StringDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// What is wrong with a body or query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// It is no JSON, or a name stands twice in one object.
    NoJson,
    /// A field, or the whole where it has no name, is not as it must be.
    Field {
        /// Its name, with dots where it lies deeper.
        name: Option<String>,
        /// What it must be or why it is wrong; goes on after the name.
        sentence: String,
    },
}

/// Reads a body; an empty one counts as an empty object.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let node = if body.is_empty() { Node::Object(IndexMap::new()) } else { serde_json::from_slice(body).map_err(|_| Fault::NoJson)? };
    T::deserialize(node)
}

/// Reads the pairs of a query; each name may stand once.
pub(super) fn pairs<T: DeserializeOwned>(pairs: impl Iterator<Item = (String, String)>) -> Result<T, Fault> {
    let mut object = IndexMap::new();
    for (name, value) in pairs {
        if object.contains_key(&name) {
            return Err(Fault::field(&shortened(&name), "stands twice"));
        }
        object.insert(name, Node::Text(value));
    }
    T::deserialize(Node::Object(object))
}

/// A JSON value, read once; the names of an object are all different.
#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    Whole(i64),
    Natural(u64),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    Object(IndexMap<String, Node>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Whole(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Natural(value))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Fraction(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.into()))
    }
    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut object = IndexMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Node>()? {
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a name stands twice"));
            }
        }
        Ok(Node::Object(object))
    }
}

impl IntoDeserializer<'_, Fault> for Node {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Whole(value) => visitor.visit_i64(value),
            Self::Natural(value) => visitor.visit_u64(value),
            Self::Fraction(value) => visitor.visit_f64(value),
            Self::Text(value) => visitor.visit_string(value),
            Self::List(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter())),
            Self::Object(entries) => visitor.visit_map(Entries { rest: entries.into_iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if matches!(self, Self::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// Without this, serde would take a list for a struct, field by field.
    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        if matches!(self, Self::Object(_)) { self.deserialize_any(visitor) } else { Err(Fault::must_be("an object")) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, name: &'static str, variants: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        let Self::Text(text) = self else { return Err(Fault::must_be(&one_of(variants))) };
        StringDeserializer::new(text).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

/// The entries of an object; a fault in a value is told with the entry's name.
struct Entries {
    rest: indexmap::map::IntoIter<String, Node>,
    value: Option<(String, Node)>,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        let key = seed.deserialize(StringDeserializer::new(name.clone()))?;
        self.value = Some((name, value));
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((name, value)) = self.value.take() else { return Err(Fault::NoJson) };
        seed.deserialize(value).map_err(|fault| fault.within(&name))
    }
}

impl Fault {
    /// The named field is wrong in a way that the caller knows; the sentence goes on after the name.
    pub(super) fn field(name: &str, sentence: impl fmt::Display) -> Self {
        Self::Field { name: Some(name.into()), sentence: sentence.to_string() }
    }

    fn must_be(expected: &str) -> Self {
        Self::Field { name: None, sentence: format!("must be {expected}") }
    }

    /// The same of a field below `outer`.
    pub(super) fn within(self, outer: &str) -> Self {
        match self {
            Self::NoJson => self,
            Self::Field { name, sentence } => {
                let outer = shortened(outer);
                let name = name.map_or_else(|| outer.clone(), |inner| format!("{outer}.{inner}"));
                Self::Field { name: Some(name), sentence }
            }
        }
    }
}

impl de::Error for Fault {
    /// What our own parsers say; they never repeat what they were given.
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Field { name: None, sentence: format!("is {message}") }
    }
    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::must_be(&expected.to_string())
    }
    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::must_be(&expected.to_string())
    }
    fn invalid_length(_: usize, expected: &dyn de::Expected) -> Self {
        Self::must_be(&expected.to_string())
    }
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::must_be(&one_of(expected))
    }
    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::field(&shortened(field), format_args!("is not known here; there is {}", one_of(expected)))
    }
    fn missing_field(field: &'static str) -> Self {
        Self::field(field, "is missing")
    }
    fn duplicate_field(field: &'static str) -> Self {
        Self::field(field, "stands twice")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJson => to.write_str("the body is not JSON, or a name stands twice in it"),
            Self::Field { name: Some(name), sentence } => write!(to, "`{name}` {sentence}"),
            Self::Field { name: None, sentence } => write!(to, "the body {sentence}"),
        }
    }
}

impl std::error::Error for Fault {}

fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        None => "nothing".into(),
        Some((only, [])) => format!("`{only}`"),
        Some((last, others)) => format!("{} or `{last}`", others.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
    }
}

/// A name that the client chose, short enough to stand in an answer.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        role: String,
        count: Option<u64>,
        inner: Option<Inner>,
        more: Option<BTreeMap<String, String>>,
        word: Option<Word>,
    }

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        name: scopegate_core::id::Identifier,
    }

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        One,
        Two,
    }

    #[test]
    fn what_is_wrong_is_told_with_its_name_and_without_its_value() {
        for (body, told) in [
            (r#"{"role": "a", "rolle": "canary"}"#, "`rolle` is not known here; there is `role`, `count`, `inner`, `more` or `word`"),
            (r#"{"count": 1}"#, "`role` is missing"),
            (r#"{"role": 12345}"#, "`role` must be a string"),
            (r#"{"role": "a", "count": "canary"}"#, "`count` must be u64"),
            (r#"{"role": "a", "count": -1}"#, "`count` must be u64"),
            (r#"{"role": "a", "inner": {"name": "b", "nam": 1}}"#, "`inner.nam` is not known here; there is `name`"),
            (r#"{"role": "a", "inner": ["b"]}"#, "`inner` must be an object"),
            (r#"{"role": "a", "more": {"x": 7}}"#, "`more.x` must be a string"),
            (r#"{"role": "a", "word": "canary"}"#, "`word` must be `one` or `two`"),
            (r#"["a"]"#, "the body must be an object"),
            (r#"{"role": "a", "role": "b"}"#, "the body is not JSON, or a name stands twice in it"),
            (r#"{"role": "#, "the body is not JSON, or a name stands twice in it"),
        ] {
            let fault = json::<Outer>(body.as_bytes()).unwrap_err().to_string();
            assert_eq!(fault, told, "{body}");
        }
        let fault = json::<Outer>(br#"{"role": "a", "inner": {"name": "can ary"}}"#).unwrap_err().to_string();
        assert!(fault.starts_with("`inner.name` is not a valid identifier: 1 to 128"), "{fault}");
    }

    #[test]
    fn what_is_right_is_read() {
        let read = json::<Outer>(br#"{"role": "a", "count": 3, "inner": {"name": "b"}, "more": {"x": "y"}, "word": "two"}"#).unwrap();
        let more = BTreeMap::from([("x".to_owned(), "y".to_owned())]);
        let inner = Inner { name: "b".parse().unwrap() };
        assert_eq!(read, Outer { role: "a".into(), count: Some(3), inner: Some(inner), more: Some(more), word: Some(Word::Two) });
        assert_eq!(json::<BTreeMap<String, String>>(b"").unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_parameter_of_a_query_that_stands_twice_or_is_unknown_is_refused() {
        let read = |text: &[(&str, &str)]| pairs::<Outer>(text.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        assert_eq!(read(&[("role", "a"), ("role", "b")]).unwrap_err().to_string(), "`role` stands twice");
        assert!(read(&[("role", "a"), ("limt", "b")]).unwrap_err().to_string().starts_with("`limt` is not known here"));
        assert_eq!(read(&[("role", "a")]).unwrap().role, "a");
    }
}
