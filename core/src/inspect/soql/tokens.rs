//! The words of SOQL.

use super::{LARGE, MOST_TOKENS, SYNTAX};
use crate::request::Ambiguity;

/// One word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token<'t> {
    /// Names joined with dots: a keyword, a field, a path.
    Name(&'t str),
    /// A number, a date or a time.
    Number,
    /// A text in single quotes.
    Text,
    /// Punctuation, or what compares.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 13] = ["!=", "<>", "<=", ">=", "=", "<", ">", "(", ")", ",", ":", "-", "+"];

pub(super) fn read(text: &str) -> Result<Vec<Token<'_>>, Ambiguity> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let Some(first) = rest.bytes().next() else { return Ok(tokens) };
        let (token, length) = match first {
            b'a'..=b'z' | b'A'..=b'Z' => name(rest)?,
            b'0'..=b'9' => number(rest)?,
            b'\'' => (Token::Text, text_length(rest)?),
            _ => sign(rest)?,
        };
        if tokens.len() == MOST_TOKENS {
            return Err(LARGE);
        }
        tokens.push(token);
        rest = rest.get(length..).ok_or(SYNTAX)?;
    }
}

fn name(rest: &str) -> Result<(Token<'_>, usize), Ambiguity> {
    let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')).count();
    let name = rest.get(..length).ok_or(SYNTAX)?;
    let is_name = |part: &str| part.starts_with(|first: char| first.is_ascii_alphabetic());
    if name.split('.').all(is_name) { Ok((Token::Name(name), length)) } else { Err(SYNTAX) }
}

fn number(rest: &str) -> Result<(Token<'_>, usize), Ambiguity> {
    let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'+' | b'-' | b'_')).count();
    let text = rest.get(..length).ok_or(SYNTAX)?;
    if is_number(text) || is_time(text) { Ok((Token::Number, length)) } else { Err(SYNTAX) }
}

fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// `2026-01-31`, `2026-01-31T10:00:00Z`, `2026-01-31T10:00:00.000+01:00`, `10:00:00Z`: digits and what stands between them.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    let (date, time) = match shape.strip_prefix("0000-00-00") {
        Some("") => return true,
        Some(rest) => (true, rest.strip_prefix(['T', 't']).unwrap_or_default()),
        None => (false, shape.as_str()),
    };
    let Some(rest) = time.strip_prefix("00:00:00") else { return false };
    let rest = rest.strip_prefix('.').map_or(rest, |fraction| fraction.trim_start_matches('0'));
    matches!(rest, "Z" | "z" | "+00:00" | "-00:00" | "+0000" | "-0000") || (date && rest.is_empty())
}

/// How long the text is that begins here, quotes included.
fn text_length(rest: &str) -> Result<usize, Ambiguity> {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' => return Ok(at + 1),
            '\\' => escaped(&mut characters)?,
            control if control.is_control() => return Err(SYNTAX),
            _ => {}
        }
    }
    Err(SYNTAX)
}

fn escaped(characters: &mut impl Iterator<Item = (usize, char)>) -> Result<(), Ambiguity> {
    match characters.next().map(|(_, character)| character) {
        Some('n' | 'N' | 'r' | 'R' | 't' | 'T' | 'b' | 'B' | 'f' | 'F' | '"' | '\'' | '\\' | '_' | '%') => Ok(()),
        Some('u') if characters.take(4).filter(|(_, digit)| digit.is_ascii_hexdigit()).count() == 4 => Ok(()),
        _ => Err(SYNTAX),
    }
}

fn sign(rest: &str) -> Result<(Token<'_>, usize), Ambiguity> {
    SIGNS.iter().find(|sign| rest.starts_with(**sign)).map(|sign| (Token::Sign(sign), sign.len())).ok_or(SYNTAX)
}
