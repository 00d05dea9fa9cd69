//! From bytes to a value, by RFC 8259 and not a byte beyond it.

use super::Json;
use crate::request::Ambiguity;
use std::collections::HashSet;

pub(super) const DEEPEST: usize = 64;
pub(super) const MOST_VALUES: usize = 100_000;

pub(super) const SYNTAX: Ambiguity = Ambiguity::new("body-not-json", "policy reads the body, and it is not JSON");
pub(super) const TWICE: Ambiguity = Ambiguity::new("body-duplicate-key", "policy reads the body, and an object in it has the same key twice");
pub(super) const DEEP: Ambiguity = Ambiguity::new("body-too-deep", "policy reads the body, and it is nested more than 64 deep");
pub(super) const LARGE: Ambiguity = Ambiguity::new("body-too-many-values", "policy reads the body, and it holds more than 100,000 values");

/// Reads one value and nothing behind it.
pub(super) fn read(body: &[u8]) -> Result<Json, Ambiguity> {
    let text = std::str::from_utf8(body).map_err(|_| SYNTAX)?;
    let mut reader = Reader { rest: text, left: MOST_VALUES };
    let value = reader.value(0)?;
    reader.blanks();
    if reader.rest.is_empty() { Ok(value) } else { Err(SYNTAX) }
}

struct Reader<'t> {
    rest: &'t str,
    /// How many more values there may be.
    left: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<Json, Ambiguity> {
        self.left = self.left.checked_sub(1).ok_or(LARGE)?;
        self.blanks();
        match self.rest.as_bytes().first().ok_or(SYNTAX)? {
            b'{' | b'[' if depth == DEEPEST => Err(DEEP),
            b'{' => self.object(depth + 1),
            b'[' => self.list(depth + 1),
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => Err(SYNTAX),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Ambiguity> {
        let mut members = Vec::new();
        self.takes('{');
        self.blanks();
        if !self.takes('}') {
            loop {
                self.blanks();
                let key = self.text()?;
                self.blanks();
                self.must(':')?;
                members.push((key, self.value(depth)?));
                if self.ends('}')? {
                    break;
                }
            }
        }
        let keys: HashSet<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
        if keys.len() < members.len() { Err(TWICE) } else { Ok(Json::Object(members)) }
    }

    fn list(&mut self, depth: usize) -> Result<Json, Ambiguity> {
        let mut items = Vec::new();
        self.takes('[');
        self.blanks();
        if !self.takes(']') {
            loop {
                items.push(self.value(depth)?);
                if self.ends(']')? {
                    break;
                }
            }
        }
        Ok(Json::List(items))
    }

    /// Whether `end` comes next, and not a comma.
    fn ends(&mut self, end: char) -> Result<bool, Ambiguity> {
        self.blanks();
        if self.takes(end) {
            return Ok(true);
        }
        self.must(',')?;
        Ok(false)
    }

    fn text(&mut self) -> Result<String, Ambiguity> {
        self.must('"')?;
        let mut made = String::new();
        loop {
            let plain = self.rest.bytes().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            made.push_str(self.take(plain)?);
            match self.next()? {
                '"' => return Ok(made),
                '\\' => made.push(self.escaped()?),
                _ => return Err(SYNTAX),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Ambiguity> {
        Ok(match self.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            plain @ ('"' | '\\' | '/') => plain,
            _ => return Err(SYNTAX),
        })
    }

    /// Behind `\u`; half of a surrogate pair is no character.
    fn unicode(&mut self) -> Result<char, Ambiguity> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(SYNTAX);
        }
        self.must('\\')?;
        self.must('u')?;
        let second = self.four_digits()?;
        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(SYNTAX)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low).ok_or(SYNTAX)
    }

    fn four_digits(&mut self) -> Result<u32, Ambiguity> {
        let digits = self.take(4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(SYNTAX);
        }
        u32::from_str_radix(digits, 16).map_err(|_| SYNTAX)
    }

    /// One that is worth more than a double can hold is infinite to some servers.
    fn number(&mut self) -> Result<Json, Ambiguity> {
        let all = self.rest;
        self.takes('-');
        if !self.takes('0') {
            self.digits()?;
        }
        if self.takes('.') {
            self.digits()?;
        }
        if self.takes('e') || self.takes('E') {
            let _ = self.takes('+') || self.takes('-');
            self.digits()?;
        }
        let text = all.get(..all.len() - self.rest.len()).ok_or(SYNTAX)?;
        if text.parse::<f64>().is_ok_and(f64::is_finite) { Ok(Json::Number(text.into())) } else { Err(SYNTAX) }
    }

    /// At least one.
    fn digits(&mut self) -> Result<(), Ambiguity> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return Err(SYNTAX);
        }
        self.take(count).map(drop)
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, Ambiguity> {
        self.rest = self.rest.strip_prefix(word).ok_or(SYNTAX)?;
        Ok(value)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn takes(&mut self, character: char) -> bool {
        let behind = self.rest.strip_prefix(character);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn must(&mut self, character: char) -> Result<(), Ambiguity> {
        if self.takes(character) { Ok(()) } else { Err(SYNTAX) }
    }

    fn next(&mut self) -> Result<char, Ambiguity> {
        let mut characters = self.rest.chars();
        let next = characters.next().ok_or(SYNTAX)?;
        self.rest = characters.as_str();
        Ok(next)
    }

    fn take(&mut self, bytes: usize) -> Result<&'t str, Ambiguity> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(SYNTAX)?;
        self.rest = rest;
        Ok(taken)
    }
}
