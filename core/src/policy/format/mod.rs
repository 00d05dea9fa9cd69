//! One way to lay a document out: two blanks a level, one blank behind `:` and `,`, one blank line at most.
//!
//! Scalars stay as their author wrote them, and so do brackets over several lines, and comments. **Invariant: the document
//! stays the same.** What comes out is read again and compared, piece by piece, before anybody gets it.

mod comments;
mod printer;

use super::compile::{Origin, Source};
use super::diagnostic::{Diagnostic, Findings};
use super::document::{self, Node, Value};
use comments::Comments;
use printer::Printer;

/// Passes until nothing changes any more; comments may need a second one to find their place.
const PASSES: usize = 4;

/// Why a text is not laid out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unformatted {
    /// It has mistakes in its YAML.
    Faulty(Vec<Diagnostic>),
    /// Its layout is of a kind that would not survive.
    Unsafe,
}

/// The text of the policy document `name`, laid out.
/// # Errors
/// The text is no YAML, or would not say the same afterwards.
pub fn format(name: &str, text: &str) -> Result<String, Unformatted> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let Some(before) = read(name, &text)? else { return Ok(comments_alone(&text)) };
    let mut made = pass(&before, &text);
    for _ in 1..PASSES {
        let Ok(Some(root)) = read(name, &made) else { return Err(Unformatted::Unsafe) };
        let again = pass(&root, &made);
        if again == made {
            break;
        }
        made = again;
    }
    let Ok(Some(after)) = read(name, &made) else { return Err(Unformatted::Unsafe) };
    let is_same = same(&before, &after) && Comments::of(&before, &text).texts() == Comments::of(&after, &made).texts();
    if is_same { Ok(made) } else { Err(Unformatted::Unsafe) }
}

fn pass(root: &Node, text: &str) -> String {
    Printer::new(text, Comments::of(root, text)).print(root)
}

fn read(name: &str, text: &str) -> Result<Option<Node>, Unformatted> {
    let source = Source { name: name.to_owned(), text: text.to_owned(), origin: Origin::Own };
    let mut findings = Findings::new([&source]);
    let root = document::read(0, text, &mut findings);
    let found = findings.into_diagnostics();
    if found.is_empty() { Ok(root) } else { Err(Unformatted::Faulty(found)) }
}

/// A file that holds nothing else.
fn comments_alone(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let kept = lines.join("\n");
    let kept = kept.trim_matches('\n');
    if kept.is_empty() { String::new() } else { format!("{kept}\n") }
}

/// Whether both say the same: kinds, texts and order.
fn same(left: &Node, right: &Node) -> bool {
    match (&left.value, &right.value) {
        (Value::Plain(left), Value::Plain(right)) | (Value::Quoted(left), Value::Quoted(right)) => left == right,
        (Value::List(left), Value::List(right)) => left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right)),
        (Value::Map(left), Value::Map(right)) => {
            let pairs = left.iter().zip(right);
            left.len() == right.len() && pairs.into_iter().all(|(left, right)| left.key.value == right.key.value && same(&left.value, &right.value))
        }
        (Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Map(_) | Value::Refused, _) => false,
    }
}

#[cfg(test)]
mod tests;
