//! From a tree and its comments to lines.

use super::comments::Comments;
use crate::policy::document::{Entry, Node, Span, Value};

/// Blanks of a level.
const STEP: usize = 2;

pub(super) struct Printer<'t> {
    text: &'t str,
    comments: Comments<'t>,
    made: String,
    /// Whether a block has just begun: no blank line stands there.
    at_beginning: bool,
    /// Whether the lines of a scalar stand above: a comment as deep as they are would be one of them.
    below_lines: bool,
}

impl<'t> Printer<'t> {
    pub(super) fn new(text: &'t str, comments: Comments<'t>) -> Self {
        Self { text, comments, made: String::new(), at_beginning: true, below_lines: false }
    }

    pub(super) fn print(mut self, root: &Node) -> String {
        if self.is_block(root) {
            self.block(root, 0);
        } else {
            self.above(root.span, 0);
            let inline = self.inline(root, 0);
            self.made.push_str(&inline);
            self.end_line(root.span.end);
        }
        while let Some(comment) = self.comments.before(usize::MAX) {
            self.blank_line(comment.at);
            let deeper = comment.alone.is_some_and(|alone| alone > 0) && !self.below_lines;
            self.line(if deeper { STEP } else { 0 }, comment.text);
        }
        self.made
    }

    /// The entries or items of a block.
    fn block(&mut self, node: &Node, indent: usize) {
        match &node.value {
            Value::Map(entries) => {
                for (number, entry) in entries.iter().enumerate() {
                    let is_first = number == 0;
                    self.entry(entry, indent, if is_first && !self.is_line_empty() { Begun::Yes } else { Begun::No });
                }
            }
            Value::List(items) => {
                for (number, item) in items.iter().enumerate() {
                    let is_first = number == 0;
                    self.item(item, indent, if is_first && !self.is_line_empty() { Begun::Yes } else { Begun::No });
                }
            }
            Value::Plain(_) | Value::Quoted(_) | Value::Refused => {}
        }
    }

    fn entry(&mut self, entry: &Entry, indent: usize, begun: Begun) {
        let Entry { key, value } = entry;
        if begun == Begun::No {
            self.above(key.span, indent);
            self.indent(indent);
        }
        self.made.push_str(self.source(key.span));
        self.made.push(':');
        if value.span == key.span {
            // A text without lines is one all the same.
            self.made.push_str(if matches!(value.value, Value::Quoted(_)) { " \"\"" } else { "" });
            self.end_line(key.span.end);
        } else if self.is_block(value) {
            self.end_line(key.span.end);
            self.at_beginning = true;
            self.block(value, indent + STEP);
        } else if let Some(lines) = self.lines(value, indent) {
            self.made.push_str(&lines);
        } else {
            let shift = indent.cast_signed() - key.span.column.saturating_sub(1).cast_signed();
            let inline = self.inline(value, shift);
            self.made.push(' ');
            self.made.push_str(&inline);
            self.end_line(value.span.end);
        }
    }

    fn item(&mut self, item: &Node, indent: usize, begun: Begun) {
        if begun == Begun::No {
            self.above(self.dash(item), indent);
            self.indent(indent);
        }
        self.made.push('-');
        if self.is_block(item) {
            self.made.push(' ');
            self.block(item, indent + STEP);
        } else if let Some(lines) = self.lines(item, indent) {
            self.made.push_str(&lines);
        } else {
            let shift = (indent + STEP).cast_signed() - item.span.column.saturating_sub(1).cast_signed();
            let inline = self.inline(item, shift);
            if !inline.is_empty() {
                self.made.push(' ');
                self.made.push_str(&inline);
            }
            self.end_line(item.span.end);
        }
    }

    /// A scalar as it was written, or brackets; what goes over several lines is moved by `shift` columns.
    fn inline(&mut self, node: &Node, shift: isize) -> String {
        let Span { start, end, .. } = node.span;
        let source = self.source(node.span);
        let is_scalar = !matches!(node.value, Value::List(_) | Value::Map(_));
        if !source.contains('\n') && (is_scalar || !self.comments.any_within(start, end)) {
            return self.flow(node);
        }
        self.comments.skip(start, end);
        moved(source.trim_end(), shift)
    }

    /// A scalar of `|` or `>` with all its lines, below `indent`.
    fn lines(&mut self, node: &Node, indent: usize) -> Option<String> {
        let Value::Quoted(value) = &node.value else { return None };
        let head = self.head(node)?;
        let source = self.source(node.span);
        let mut made = format!(" {}", head.word);
        if let Some(comment) = head.comment {
            made.push_str(&format!("  {}", self.text.get(comment..head.end).unwrap_or_default()));
            self.comments.skip(comment, comment + 1);
        }
        made.push('\n');
        let content =
            if source.starts_with(['|', '>']) && value.trim().is_empty() { "" } else { self.text.get(head.end..node.span.end)?.split_once('\n')?.1 };
        let step = head.word.bytes().find(u8::is_ascii_digit).map_or(STEP, |digit| usize::from(digit - b'0'));
        let blanks = |text: &str| text.lines().find(|line| !line.trim().is_empty()).map_or(0, |line| line.len() - line.trim_start_matches(' ').len());
        let own = blanks(content).saturating_sub(blanks(value));
        // Behind the last line may stand blanks of the next one.
        let content = content.rfind('\n').map_or(content, |end| content.get(..=end).unwrap_or(content));
        let kept = if head.word.contains('+') { content } else { content.trim_end_matches(['\n', ' ']) };
        for line in kept.lines() {
            if line.len() > own {
                made.extend(std::iter::repeat_n(' ', indent + step));
                made.push_str(line.get(own..)?);
            }
            made.push('\n');
        }
        self.at_beginning = false;
        self.below_lines = true;
        Some(made)
    }

    /// What stands before the lines of a scalar of `|` or `>`.
    fn head(&self, node: &Node) -> Option<Head<'t>> {
        let source = self.source(node.span);
        let before = self.text.get(..node.span.start)?.trim_end_matches([' ', '\n']);
        let (end, line) = match self.text.get(before.len()..node.span.start)?.contains('\n') {
            true => (before.len(), before),
            // One without lines is its head.
            false => (node.span.start + source.trim_end().len(), self.text.get(..node.span.start + source.trim_end().len())?),
        };
        let comment = self.comments.ending(end).map(|comment| comment.at);
        let line = comment.map_or(Some(line), |at| line.get(..at))?.trim_end();
        let word = line.rsplit([' ', '\n']).next()?;
        let mut characters = word.chars();
        let is_head = matches!(characters.next(), Some('|' | '>')) && characters.all(|character| matches!(character, '+' | '-' | '1'..='9'));
        is_head.then_some(Head { word, end, comment })
    }

    /// Where an item's dash stands.
    fn dash(&self, item: &Node) -> Span {
        let begin = self.head(item).map_or(item.span.start, |head| head.comment.unwrap_or(head.end) - head.word.len());
        let before = self.text.get(..begin).unwrap_or_default();
        let Some(at) = before.rfind('-') else { return item.span };
        let line = before.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        Span { start: at, column: at - line + 1, ..item.span }
    }

    /// Brackets in one line.
    fn flow(&self, node: &Node) -> String {
        match &node.value {
            Value::Quoted(_) if node.span.start == node.span.end => "\"\"".to_owned(),
            Value::Plain(_) | Value::Quoted(_) | Value::Refused => self.source(node.span).trim().to_owned(),
            Value::List(items) => format!("[{}]", items.iter().map(|item| self.flow(item)).collect::<Vec<_>>().join(", ")),
            Value::Map(entries) => {
                let pairs = entries.iter().map(|entry| self.pair(entry)).collect::<Vec<_>>().join(", ");
                // A pair in a list needs no braces: `[a: b]`.
                if self.source(node.span).starts_with('{') { format!("{{{pairs}}}") } else { pairs }
            }
        }
    }

    fn pair(&self, entry: &Entry) -> String {
        let value = if entry.value.span == entry.key.span { String::new() } else { self.flow(&entry.value) };
        format!("{}: {value}", self.source(entry.key.span))
    }

    /// Whether it is a list or mapping without brackets.
    fn is_block(&self, node: &Node) -> bool {
        let is_collection =
            matches!(&node.value, Value::List(items) if !items.is_empty()) || matches!(&node.value, Value::Map(entries) if !entries.is_empty());
        is_collection && !self.text.get(node.span.start..).unwrap_or_default().starts_with(['{', '['])
    }

    /// Comments and a blank line above what begins at `span`.
    fn above(&mut self, span: Span, indent: usize) {
        let column = span.column.saturating_sub(1);
        while let Some(comment) = self.comments.before(span.start) {
            self.blank_line(comment.at);
            // What stands deeper belongs to what was before.
            let deeper = comment.alone.is_some_and(|alone| alone > column) && !self.at_beginning && !self.below_lines;
            self.line(if deeper { indent + STEP } else { indent }, comment.text);
        }
        self.blank_line(span.start);
    }

    /// A blank line, where one stands above the line of `at`.
    fn blank_line(&mut self, at: usize) {
        let mut above = self.text.get(..at).unwrap_or_default().rsplit('\n').skip(1);
        if !std::mem::take(&mut self.at_beginning) && above.next().is_some_and(|line| line.trim().is_empty()) && !self.made.ends_with("\n\n") {
            self.made.push('\n');
        }
    }

    /// The end of a line, with the comment behind `at`.
    fn end_line(&mut self, at: usize) {
        if let Some(comment) = self.comments.behind(at, self.text) {
            let written = self.made.rsplit('\n').next().unwrap_or_default().chars().count();
            // Comments that stand in a column of their own stay there.
            self.indent(comment.column.map_or(2, |column| column.saturating_sub(written).max(2)));
            self.made.push_str(comment.text);
        }
        self.made.push('\n');
        self.at_beginning = false;
        self.below_lines = false;
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.indent(indent);
        self.made.push_str(text);
        self.made.push('\n');
        self.at_beginning = false;
    }

    fn indent(&mut self, indent: usize) {
        self.made.extend(std::iter::repeat_n(' ', indent));
    }

    fn is_line_empty(&self) -> bool {
        self.made.is_empty() || self.made.ends_with('\n')
    }

    fn source(&self, span: Span) -> &'t str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }
}

/// The head of a scalar of `|` or `>`.
struct Head<'t> {
    word: &'t str,
    /// Where it ends, its comment included.
    end: usize,
    /// Where its comment begins.
    comment: Option<usize>,
}

/// Whether the line of an entry has begun, behind a `- `.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Begun {
    Yes,
    No,
}

/// Lines behind the first, so many columns to the right, without blanks at their ends.
fn moved(source: &str, shift: isize) -> String {
    let mut lines = source.split('\n');
    let mut made = lines.next().unwrap_or_default().trim_end().to_owned();
    for line in lines {
        made.push('\n');
        let bare = line.trim_start_matches(' ');
        if !bare.trim().is_empty() {
            let blanks = (line.len() - bare.len()).saturating_add_signed(shift);
            made.extend(std::iter::repeat_n(' ', blanks));
            made.push_str(bare.trim_end());
        }
    }
    made
}
