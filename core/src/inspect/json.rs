//! JSON bodies with one reading: declared as JSON, in UTF-8, no key twice in one object.

use crate::request::{Ambiguity, Headers};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

/// A JSON body with one reading.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonBody(Value);

/// A pointer into JSON, RFC 6901.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer {
    text: Box<str>,
    tokens: Vec<Box<str>>,
}

/// A text that is no pointer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a JSON pointer is empty or begins with `/`, and `~` stands only in `~0` and `~1`")]
pub struct InvalidPointer;

const DEEPEST: usize = 64;
const MOST_VALUES: usize = 100_000;

const NOT_DECLARED: Ambiguity = Ambiguity::new("body-not-declared-json", "policy reads the body, and its content-type is not JSON");
const CHARSET: Ambiguity = Ambiguity::new("body-charset", "policy reads the body, and its charset is not UTF-8");
const PACKED: Ambiguity = Ambiguity::new("body-content-encoding", "policy reads the body, and it comes with a content-encoding");
const SYNTAX: Ambiguity = Ambiguity::new("body-not-json", "policy reads the body, and it is not JSON");
const TWICE: Ambiguity = Ambiguity::new("body-duplicate-key", "policy reads the body, and an object in it has the same key twice");
const DEEP: Ambiguity = Ambiguity::new("body-too-deep", "policy reads the body, and it is nested more than 64 deep");
const LARGE: Ambiguity = Ambiguity::new("body-too-many-values", "policy reads the body, and it holds more than 100,000 values");
const TWIN: Ambiguity = Ambiguity::new("body-twin-key", "policy reads a key of the body that also stands there in other letters");

impl JsonBody {
    /// Reads a body that is not empty.
    /// # Errors
    /// A content type that is not JSON, another charset, a content coding, a syntax error, a key twice, more than 64
    /// levels or 100,000 values.
    pub fn read(headers: &Headers, body: &[u8]) -> Result<Self, Ambiguity> {
        declared(headers)?;
        let reading = Reading { fault: Cell::new(SYNTAX), left: Cell::new(MOST_VALUES) };
        let mut from = serde_json::Deserializer::from_slice(body);
        let read = Level { reading: &reading, depth: 0 }.deserialize(&mut from).and_then(|value| from.end().map(|()| value));
        read.map(Self).map_err(|_| reading.fault.get())
    }

    /// Whether `value` stands at `pointer`. Numbers compare by what they are worth: `1`, `1.0` and `1e0` are equal.
    /// # Errors
    /// A key on the way that only differs in the case of its letters, where it matters: some servers take it for the same.
    pub fn holds(&self, pointer: &Pointer, value: &Value) -> Result<bool, Ambiguity> {
        let (mut at, mut exact) = (&self.0, true);
        for token in &pointer.tokens {
            let next = match at {
                Value::Object(members) => {
                    let mut alike = members.iter().filter(|(key, _)| key.eq_ignore_ascii_case(token));
                    match (alike.next(), alike.next()) {
                        (Some(_), Some(_)) => return Err(TWIN),
                        (Some((key, found)), None) => {
                            exact &= **key == **token;
                            Some(found)
                        }
                        (None, _) => None,
                    }
                }
                Value::Array(items) => index(token).and_then(|index| items.get(index)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            match next {
                Some(found) => at = found,
                None => return Ok(false),
            }
        }
        match (equal(at, value), exact) {
            (true, false) => Err(TWIN),
            (found, _) => Ok(found),
        }
    }
}

impl Pointer {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pointer {
    type Err = InvalidPointer;
    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        let unescape = |token: &str| {
            let legal = token.split('~').skip(1).all(|behind| behind.starts_with(['0', '1']));
            legal.then(|| token.replace("~1", "/").replace("~0", "~").into_boxed_str())
        };
        let tokens: Option<Vec<_>> = match text.strip_prefix('/') {
            Some(behind) => behind.split('/').map(unescape).collect(),
            None => text.is_empty().then(Vec::new),
        };
        Ok(Self { text: text.into(), tokens: tokens.ok_or(InvalidPointer)? })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

/// Whether the head says that the body is plain JSON in UTF-8.
fn declared(headers: &Headers) -> Result<(), Ambiguity> {
    if headers.get("content-encoding").is_some() {
        return Err(PACKED);
    }
    let mut types = headers.all("content-type");
    let (Some(only), None) = (types.next(), types.next()) else { return Err(NOT_DECLARED) };
    let text = std::str::from_utf8(only).map_err(|_| NOT_DECLARED)?;
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let subtype = media_type.strip_prefix("application/").unwrap_or_default();
    if subtype != "json" && subtype.strip_suffix("+json").is_none_or(str::is_empty) {
        return Err(NOT_DECLARED);
    }
    let charsets = parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let mut charsets = charsets.map(|(_, value)| value.trim().trim_matches('"'));
    if charsets.all(|charset| charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")) { Ok(()) } else { Err(CHARSET) }
}

/// An array index as RFC 6901 section 4 writes it: digits without leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || (token.bytes().all(|byte| byte.is_ascii_digit()) && !token.starts_with('0'));
    plain.then(|| token.parse().ok()).flatten()
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => worth(left, right),
        (Value::Array(left), Value::Array(right)) => left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right)),
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right)))
        }
        _ => left == right,
    }
}

fn worth(left: &Number, right: &Number) -> bool {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => left == right,
        _ => left.as_f64() == right.as_f64(),
    }
}

/// What is known while a body is read.
struct Reading {
    /// What to say if reading fails.
    fault: Cell<Ambiguity>,
    /// How many more values it may hold.
    left: Cell<usize>,
}

impl Reading {
    fn fail<E: Error>(&self, fault: Ambiguity) -> E {
        self.fault.set(fault);
        E::custom(fault)
    }
}

/// Reads one value at its depth.
#[derive(Clone, Copy)]
struct Level<'a> {
    reading: &'a Reading,
    depth: usize,
}

impl<'a> Level<'a> {
    fn deeper<E: Error>(self) -> Result<Level<'a>, E> {
        if self.depth == DEEPEST {
            return Err(self.reading.fail(DEEP));
        }
        Ok(Level { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let left = self.reading.left.get().checked_sub(1).ok_or_else(|| self.reading.fail(LARGE))?;
        self.reading.left.set(left);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.reading.fail(SYNTAX))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            let value = from.next_value_seed(inner)?;
            if members.insert(key, value).is_some() {
                return Err(self.reading.fail(TWICE));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;
    use serde_json::json;

    fn read(content_type: &str, body: &[u8]) -> Result<JsonBody, Ambiguity> {
        let headers = [("content-type".to_owned(), content_type.to_owned())];
        JsonBody::read(&Request::read("POST", "/", &headers, None).unwrap().headers, body)
    }

    #[test]
    fn a_body_with_two_readings_is_refused() {
        for (body, fault) in [
            (&b"{\"a\":1,\"a\":1}"[..], TWICE),
            (b"[{\"a\":{\"b\":1,\"\\u0062\":2}}]", TWICE),
            (b"{a:1}", SYNTAX),
            (b"{\"a\":1} {}", SYNTAX),
            (b"{\"a\":01}", SYNTAX),
            (b"{\"a\":NaN}", SYNTAX),
            (b"{\"a\":1e999}", SYNTAX),
            (b"{\"a\":\"\\ud800\"}", SYNTAX),
            (b"{\"a\":\"\xff\"}", SYNTAX),
            (b"\xef\xbb\xbf{}", SYNTAX),
            (b"{\0\"\0a\0\"\0", SYNTAX),
            (b"// a\n{}", SYNTAX),
            (b"{\"a\":1,}", SYNTAX),
            (("[".repeat(65) + &"]".repeat(65)).as_bytes(), DEEP),
            (("[".repeat(5000) + &"]".repeat(5000)).as_bytes(), DEEP),
            (format!("[{}0]", "0,".repeat(100_000)).as_bytes(), LARGE),
        ] {
            assert_eq!(read("application/json", body), Err(fault), "{}", String::from_utf8_lossy(&body[..body.len().min(40)]));
        }
        assert!(read("application/json", ("[".repeat(64) + &"]".repeat(64)).as_bytes()).is_ok());
    }

    #[test]
    fn json_has_to_be_declared() {
        for (content_type, came) in [
            ("application/json", Ok(())),
            ("Application/JSON; charset=UTF-8", Ok(())),
            ("application/json;charset=\"utf-8\"; profile=x", Ok(())),
            ("application/vnd.api+json", Ok(())),
            ("application/json; charset=utf-16", Err(CHARSET)),
            ("application/json; charset=utf-8; charset=latin1", Err(CHARSET)),
            ("text/json", Err(NOT_DECLARED)),
            ("application/+json", Err(NOT_DECLARED)),
            ("application/x-www-form-urlencoded", Err(NOT_DECLARED)),
            ("application/jsonp", Err(NOT_DECLARED)),
        ] {
            assert_eq!(read(content_type, b"{}").map(|_| ()), came, "{content_type}");
        }
        for (headers, fault) in [
            (&[][..], NOT_DECLARED),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], PACKED),
            (&[("content-type", "application/json"), ("content-encoding", "identity")], PACKED),
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(JsonBody::read(&Request::read("POST", "/", &headers, None).unwrap().headers, b"{}"), Err(fault), "{headers:?}");
        }
    }

    #[test]
    fn a_pointer_finds_what_stands_there() {
        let body = json!({"kind": "x", "a/b": {"m~n": [1, 2.5, null]}, "n": 1, "big": 9_007_199_254_740_993_u64, "Twin": 1});
        for (pointer, value, found) in [
            ("/kind", json!("x"), Ok(true)),
            ("/kind", json!("y"), Ok(false)),
            ("/Kind", json!("x"), Err(TWIN)),
            ("/Kind", json!("y"), Ok(false)),
            ("/kind/0", json!("x"), Ok(false)),
            ("/a~1b/m~0n/0", json!(1), Ok(true)),
            ("/a~1b/m~0n/1", json!(2.5), Ok(true)),
            ("/a~1b/m~0n/2", json!(null), Ok(true)),
            ("/a~1b/m~0n/3", json!(null), Ok(false)),
            ("/a~1b/m~0n/00", json!(1), Ok(false)),
            ("/a~1b/m~0n/-", json!(1), Ok(false)),
            ("/a~1b", json!({"m~n": [1.0, 2.5, null]}), Ok(true)),
            ("/n", json!(1.0), Ok(true)),
            ("/n", json!("1"), Ok(false)),
            ("/big", json!(9_007_199_254_740_992_u64), Ok(false)),
            ("/twin", json!(1), Err(TWIN)),
        ] {
            assert_eq!(JsonBody(body.clone()).holds(&pointer.parse().unwrap(), &value), found, "{pointer} {value}");
        }
        let twins = JsonBody(json!({"kind": "x", "KIND": "y"}));
        assert_eq!(twins.holds(&"/kind".parse().unwrap(), &json!("z")), Err(TWIN));
        assert_eq!(JsonBody(json!(7)).holds(&"".parse().unwrap(), &json!(7)), Ok(true));
        for wrong in ["kind", "/a~", "/a~2", "#/a"] {
            assert_eq!(wrong.parse::<Pointer>(), Err(InvalidPointer), "{wrong}");
        }
    }
}
