//! From a value to its text: no blanks, and nothing escaped that need not be.

use super::Json;
use std::fmt::{self, Write};

impl fmt::Display for Json {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => to.write_str("null"),
            Self::Bool(value) => write!(to, "{value}"),
            Self::Number(text) => to.write_str(text),
            Self::Text(text) => quoted(text, to),
            Self::List(items) => {
                to.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    write!(to, "{}{item}", if at == 0 { "" } else { "," })?;
                }
                to.write_char(']')
            }
            Self::Object(members) => {
                to.write_char('{')?;
                for (at, (key, value)) in members.iter().enumerate() {
                    to.write_str(if at == 0 { "" } else { "," })?;
                    quoted(key, to)?;
                    write!(to, ":{value}")?;
                }
                to.write_char('}')
            }
        }
    }
}

fn quoted(text: &str, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    to.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => to.write_str("\\\"")?,
            '\\' => to.write_str("\\\\")?,
            control @ '\0'..='\x1f' => write!(to, "\\u{:04x}", u32::from(control))?,
            plain => to.write_char(plain)?,
        }
    }
    to.write_char('"')
}
