//! The tree of a YAML text.

/// A piece of a source: where it begins and ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Span {
    /// Which source, by its place in the list.
    pub source: usize,
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A value, and where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Located<T> {
    /// The value of `make` in the same place.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: make(self.value), span: self.span }
    }
}

/// A YAML node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a YAML node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// A plain scalar: its text decides whether it is null, a boolean, a number or a text.
    Plain(String),
    /// A quoted or block scalar: always a text.
    Quoted(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the author's order.
    Map(Vec<Entry>),
    /// Something that was reported already, such as an alias. Readers say nothing more about it.
    Refused,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Located<String>,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// A mapping without keys at the beginning of the first source.
    #[must_use]
    pub fn empty_mapping() -> Self {
        Self { span: Span { line: 1, column: 1, ..Span::default() }, value: Value::Map(Vec::new()) }
    }

    /// Whether it is null: nothing, `~` or `null` (YAML 1.2 section 10.3.2).
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar that is not null, as the author wrote it.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) if !self.is_null() => Some(text),
            Value::Quoted(text) => Some(text),
            Value::Plain(_) | Value::List(_) | Value::Map(_) | Value::Refused => None,
        }
    }

    /// The value of a key of a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key.value == key).map(|entry| &entry.value),
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Refused => None,
        }
    }

    /// What it is, for a sentence such as "this is a list".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Plain(_) if self.is_null() => "nothing",
            Value::Plain(_) | Value::Quoted(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Refused => "refused",
        }
    }

    /// The same as JSON, scalars by the core schema of YAML 1.2. None where a piece of it was refused.
    #[must_use]
    pub fn to_json(&self) -> Option<serde_json::Value> {
        match &self.value {
            Value::Plain(text) => Some(plain_json(text)),
            Value::Quoted(text) => Some(text.as_str().into()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|entry| Some((entry.key.value.clone(), entry.value.to_json()?))).collect(),
            Value::Refused => None,
        }
    }
}

/// Numbers that JSON cannot hold (`.inf`, `0x1f`) stay texts.
fn plain_json(text: &str) -> serde_json::Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => serde_json::Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        number => match serde_json::from_str::<serde_json::Number>(number.strip_prefix('+').unwrap_or(number)) {
            Ok(value) => value.into(),
            Err(_) => text.into(),
        },
    }
}
