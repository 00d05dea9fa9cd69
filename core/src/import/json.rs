//! JSON (RFC 8259) into a tree, without recursion.

use super::fault::Fault;
use super::tree::{Begin, Builder, Tree};

/// Why a text makes no tree.
#[derive(Debug)]
pub(super) enum Broken {
    /// It is no JSON.
    Syntax(Fault),
    /// It is JSON, and refused.
    Refused(Fault),
}

pub(super) fn read(text: &str) -> Result<Tree, Broken> {
    let mut reader = Reader { text, at: 0, builder: Builder::default() };
    reader.blanks();
    loop {
        reader.value()?;
        if !reader.behind()? {
            break;
        }
    }
    if reader.at < text.len() {
        return Err(reader.syntax("something stands behind the end"));
    }
    let nothing = Broken::Syntax(Fault::at(0, "nothing stands in the file"));
    reader.builder.finish().ok_or(nothing)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    builder: Builder,
}

impl Reader<'_> {
    /// The beginning of a value, with the key before it where it has one; empty collections end at once.
    fn value(&mut self) -> Result<(), Broken> {
        loop {
            if self.builder.awaits_key() {
                let at = self.at;
                let key = self.string()?;
                self.builder.key(&key, at);
                self.blanks();
                self.must(b':')?;
                self.blanks();
            }
            let at = self.at;
            let (what, closing) = match self.peek() {
                Some(b'{') => (Begin::Map, b'}'),
                Some(b'[') => (Begin::List, b']'),
                Some(b'"') => {
                    let text = self.string()?;
                    self.builder.text(&text, at);
                    return Ok(());
                }
                Some(b'-' | b'0'..=b'9') => return self.number(),
                Some(_) => return self.word(),
                None => return Err(self.syntax("it ends too early")),
            };
            self.at += 1;
            self.builder.begin(what, at).map_err(Broken::Refused)?;
            self.blanks();
            if self.takes(closing) {
                return self.end();
            }
        }
    }

    /// What stands behind a value: ends of collections, then a comma; false at the end of the text.
    fn behind(&mut self) -> Result<bool, Broken> {
        loop {
            self.blanks();
            let closing = match self.builder.innermost() {
                None => return Ok(false),
                Some(Begin::Map) => b'}',
                Some(Begin::List) => b']',
            };
            if self.takes(b',') {
                self.blanks();
                return Ok(true);
            }
            self.must(closing)?;
            self.end()?;
        }
    }

    fn end(&mut self) -> Result<(), Broken> {
        self.builder.end().map(drop).map_err(Broken::Refused)
    }

    fn string(&mut self) -> Result<String, Broken> {
        self.must(b'"')?;
        let mut made = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(rest.len());
            made.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(made);
                }
                Some(b'\\') => made.push(self.escaped()?),
                Some(_) => return Err(self.syntax("a control character stands in a text")),
                None => return Err(self.syntax("a text does not end")),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Broken> {
        self.at += 1;
        let escape = self.peek();
        self.at += 1;
        Ok(match escape {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(_) | None => return Err(self.syntax("this escape is none of JSON's")),
        })
    }

    /// Behind `\u`. Half of a surrogate pair is no character.
    fn unicode(&mut self) -> Result<char, Broken> {
        let first = self.four_digits()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            self.must(b'\\')?;
            self.must(b'u')?;
            let low = self.four_digits()?.checked_sub(0xdc00).filter(|low| *low < 0x400);
            low.map(|low| 0x1_0000 + ((first - 0xd800) << 10) + low)
        } else {
            Some(first)
        };
        code.and_then(char::from_u32).ok_or_else(|| self.syntax("half of a surrogate pair is no character"))
    }

    fn four_digits(&mut self) -> Result<u32, Broken> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.syntax("`\\u` stands before four hex digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<(), Broken> {
        let from = self.at;
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits()?;
        }
        self.builder.text(self.text.get(from..self.at).unwrap_or_default(), from);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Broken> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return Err(self.syntax("a digit is missing"));
        }
        self.at += count;
        Ok(())
    }

    fn word(&mut self) -> Result<(), Broken> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word));
        let word = word.ok_or_else(|| self.syntax("no value begins so"))?;
        if word == "null" {
            self.builder.null(self.at);
        } else {
            self.builder.text(word, self.at);
        }
        self.at += word.len();
        Ok(())
    }

    fn blanks(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn must(&mut self, byte: u8) -> Result<(), Broken> {
        if self.takes(byte) { Ok(()) } else { Err(self.syntax(&format!("here should stand `{}`", char::from(byte)))) }
    }

    fn syntax(&self, what: &str) -> Broken {
        Broken::Syntax(Fault::at(self.at.min(self.text.len()), format!("this is no JSON: {what}")))
    }
}
