//! Values of the kinds that the language knows. Each reader reports what is wrong and then gives none.

use super::nearest::nearest;
use super::node::{Entry, Located, Node, Value};
use crate::inspect::Pointer;
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// A text. A plain number or boolean counts as the text that the author wrote.
pub fn text<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Option<Located<&'n str>> {
    match node.as_text() {
        Some(value) => Some(Located { value, span: node.span }),
        None => wrong_kind(node, "a text", findings),
    }
}

/// A text that holds something.
pub fn filled<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Option<Located<&'n str>> {
    let found = text(node, findings)?;
    if found.value.trim().is_empty() {
        findings.add(code::EMPTY.at(found.span, "this text is empty"));
        return None;
    }
    Some(found)
}

/// A name of the kind `T`.
pub fn name<T: FromStr<Err: Display>>(node: &Node, findings: &mut Findings<'_>) -> Option<Located<T>> {
    let found = text(node, findings)?;
    parsed(found, findings).map(|value| Located { value, span: found.span })
}

/// The name of the kind `T` that a text is.
pub fn parsed<T: FromStr<Err: Display>>(found: Located<&str>, findings: &mut Findings<'_>) -> Option<T> {
    match found.value.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            findings.add(code::INVALID_NAME.at(found.span, format!("`{}` is {}", found.value, sentence_after_is(&error))));
            None
        }
    }
}

/// Errors of names read "not a valid X: rule"; those of scopes are sentences of their own.
fn sentence_after_is(error: &impl Display) -> String {
    let text = error.to_string();
    if text.starts_with("not ") { text } else { format!("not valid: {text}") }
}

/// `true` or `false`.
pub fn flag(node: &Node, findings: &mut Findings<'_>) -> Option<bool> {
    match &node.value {
        Value::Plain(text) if text == "true" => Some(true),
        Value::Plain(text) if text == "false" => Some(false),
        Value::Refused => None,
        Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Map(_) => {
            findings.add(code::WRONG_KIND.at(node.span, "this is `true` or `false`, without quotes"));
            None
        }
    }
}

/// One of a few words.
pub fn word<T: Clone>(node: &Node, words: &[(&str, T)], findings: &mut Findings<'_>) -> Option<T> {
    let found = text(node, findings)?;
    let meant = words.iter().find(|(word, _)| *word == found.value);
    if meant.is_none() {
        let message = match words {
            [(only, _)] => format!("`{}` is not `{only}`, the only word that may stand here", found.value),
            _ => format!("`{}` is not one of {}", found.value, words.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>().join(", ")),
        };
        let meant = nearest(found.value, words.iter().map(|(word, _)| *word)).map(|word| format!("did you mean `{word}`?"));
        findings.add(code::UNKNOWN_WORD.at(found.span, message).maybe_help(meant));
    }
    meant.map(|(_, value)| value.clone())
}

/// The items of a list.
pub fn items<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Option<&'n [Node]> {
    match &node.value {
        Value::List(items) => Some(items),
        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) | Value::Refused => wrong_kind(node, "a list", findings),
    }
}

/// The entries of a mapping whose keys are the author's own names.
pub fn entries<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Refused => wrong_kind(node, "a mapping", findings),
    }
}

/// One text, or a list of texts.
pub fn texts<'n>(node: &'n Node, findings: &mut Findings<'_>) -> Vec<Located<&'n str>> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|item| text(item, findings)).collect(),
        Value::Plain(_) | Value::Quoted(_) => text(node, findings).into_iter().collect(),
        Value::Map(_) | Value::Refused => wrong_kind(node, "a text or a list of texts", findings).unwrap_or_default(),
    }
}

/// Seconds, or a text such as `30d`, `2h`, `15m`, `10s`, `250ms`.
pub fn duration(node: &Node, findings: &mut Findings<'_>) -> Option<Duration> {
    let found = text(node, findings)?;
    let read = read_duration(found.value);
    if read.is_none() {
        let message = format!("`{}` is no duration", found.value);
        findings.add(
            code::INVALID_NUMBER.at(found.span, message).help("write seconds, or a whole number with `ms`, `s`, `m`, `h` or `d`, such as `15m`"),
        );
    }
    read
}

fn read_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// A JSON pointer (RFC 6901).
pub fn pointer(node: &Node, findings: &mut Findings<'_>) -> Option<Pointer> {
    pointer_text(text(node, findings)?, findings)
}

/// The JSON pointer that a text is.
pub fn pointer_text(found: Located<&str>, findings: &mut Findings<'_>) -> Option<Pointer> {
    let read = found.value.parse().ok();
    if read.is_none() {
        let help = "a pointer such as `/data/id` begins with `/`; `~` stands as `~0`, and `/` in a name as `~1`";
        findings.add(code::INVALID_POINTER.at(found.span, format!("`{}` is no JSON pointer", found.value)).help(help));
    }
    read
}

fn wrong_kind<T>(node: &Node, expected: &str, findings: &mut Findings<'_>) -> Option<T> {
    if !matches!(node.value, Value::Refused) {
        findings.add(code::WRONG_KIND.at(node.span, format!("here stands {} instead of {expected}", node.kind())));
    }
    None
}
