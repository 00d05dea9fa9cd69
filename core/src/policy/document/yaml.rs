//! YAML text -> [`Node`]: one document, no anchors, aliases, merge keys, tags or repeated keys.

use super::node::{Entry, Located, Node, Span, Value};
use crate::policy::code;
use crate::policy::diagnostic::Findings;
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StructureStyle};
use std::collections::HashMap;

/// Reads source number `source`. None where it is no YAML, or holds nothing.
pub fn read(source: usize, text: &str, findings: &mut Findings<'_>) -> Option<Node> {
    let mut options = granit_parser::options! { disallow_directives: true, emit_anchor_events: true, emit_unresolved_aliases: true };
    options.set_emit_comments(false);
    let mut builder = Builder { source, findings, open: Vec::new(), root: None, documents: 0 };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, builder.span(&span)),
            Err(error) => {
                builder.broken(&error, text);
                return None;
            }
        }
    }
    builder.root
}

struct Builder<'f, 's> {
    source: usize,
    findings: &'f mut Findings<'s>,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

/// A collection whose end has not come yet.
struct Open {
    span: Span,
    style: StructureStyle,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashMap<String, Span>, key: Option<Key> },
}

enum Key {
    Text(Located<String>),
    /// Reported already; its value is dropped.
    Faulty,
}

impl Builder<'_, '_> {
    fn span(&self, span: &granit_parser::Span) -> Span {
        let byte = |marker: &Marker| marker.byte_offset().unwrap_or_default();
        Span { source: self.source, start: byte(&span.start), end: byte(&span.end), line: span.start.line(), column: span.start.col() + 1 }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's own enum, which may grow: what is not named here is presentation")]
    fn take(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::DocumentStart(..) => self.document(span),
            Event::Scalar(text, style, _, tag) => {
                self.no_tag(tag.is_some(), span);
                let value = if style == ScalarStyle::Plain { Value::Plain(text.into()) } else { Value::Quoted(text.into()) };
                self.place(Node { span, value });
            }
            Event::SequenceStart(style, _, tag) => {
                self.no_tag(tag.is_some(), span);
                self.open.push(Open { span, style, content: Content::List(Vec::new()) });
            }
            Event::MappingStart(style, _, tag) => {
                self.no_tag(tag.is_some(), span);
                self.open.push(Open { span, style, content: Content::Map { entries: Vec::new(), seen: HashMap::new(), key: None } });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.findings.add(
                    code::ALIAS
                        .at(span, "a policy file has no aliases: what a name stands for must be read in its place")
                        .help("write the value out"),
                );
                self.place(Node { span, value: Value::Refused });
            }
            Event::Anchor(_, name) => {
                self.findings.add(code::ALIAS.at(span, format!("a policy file has no anchors, such as `&{name}`")).help("leave it out"));
            }
            _ => {}
        }
    }

    fn document(&mut self, span: Span) {
        self.documents += 1;
        if self.documents == 2 {
            self.findings
                .add(code::DOCUMENTS.at(span, "a second document begins here; a policy file holds one").help("put it into a file of its own"));
        }
    }

    fn no_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            self.findings.add(code::ALIAS.at(span, "a policy file has no YAML tags").help("leave it out"));
        }
    }

    fn close(&mut self, end: Span) {
        let Some(open) = self.open.pop() else { return };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.place(Node { span: Span { end: end.end.max(open.span.end), ..open.span }, value });
    }

    fn place(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            if self.documents == 1 {
                self.root = Some(node);
            }
            return;
        };
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, seen, key } => match key.take() {
                Some(Key::Text(key)) => {
                    // Where nothing stands there is nothing to point at but the key.
                    let span = if node.span.start == node.span.end { key.span } else { node.span };
                    entries.push(Entry { key, value: Node { span, ..node } });
                }
                Some(Key::Faulty) => {}
                None => *key = Some(legal_key(node, seen, self.findings)),
            },
        }
    }

    fn broken(&mut self, error: &ScanError, text: &str) {
        let mark = error.marker();
        let start = mark.byte_offset().unwrap_or(text.len()).min(text.len());
        let span = Span { source: self.source, start, end: start, line: mark.line().max(1), column: mark.col() + 1 };
        let flow = self.open.iter().rev().find(|open| open.style == StructureStyle::Flow);
        let help = flow.map(|open| {
            let bracket = if matches!(open.content, Content::List(_)) { '[' } else { '{' };
            let Span { line, column, .. } = open.span;
            format!("the `{bracket}` at {line}:{column} is open here; inside of it, quote texts that hold `{{`, `}}`, `[`, `]`, `,` or `: `")
        });
        self.findings.add(code::SYNTAX.at(span, format!("this is no YAML: {}", error.info())).maybe_help(help));
    }
}

fn legal_key(node: Node, seen: &mut HashMap<String, Span>, findings: &mut Findings<'_>) -> Key {
    let span = node.span;
    match node.value {
        Value::Plain(text) if text == "<<" => {
            findings.add(code::ALIAS.at(span, "a policy file has no merge keys").help("write the keys out"));
            Key::Faulty
        }
        Value::Plain(text) | Value::Quoted(text) => match seen.get(&text) {
            Some(first) => {
                findings.add(
                    code::KEY_TWICE.at(span, format!("`{text}` stands twice in this mapping, first in line {}", first.line)).help("keep one of them"),
                );
                Key::Faulty
            }
            None => {
                seen.insert(text.clone(), span);
                Key::Text(Located { value: text, span })
            }
        },
        Value::List(_) | Value::Map(_) => {
            findings.add(code::KEY_KIND.at(span, "a key is a text").help("quote it if it holds `{` or `[`"));
            Key::Faulty
        }
        Value::Refused => Key::Faulty,
    }
}
