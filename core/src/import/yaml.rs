//! YAML into a tree: one document, aliases as sharing, no merge keys.

use super::fault::Fault;
use super::tree::{Begin, Builder, DEEPEST, Id, Tree};
use granit_parser::{Event, Parser, ScalarStyle};
use std::collections::HashMap;

/// Uses of aliases in one file.
const MOST_ALIASES: usize = 10_000;

pub(super) fn read(text: &str) -> Result<Tree, Fault> {
    // One level more than is read, so that ours is the sentence about depth.
    let mut options = granit_parser::options! { flow_nesting_limit: DEEPEST + 1, block_nesting_limit: DEEPEST + 1 };
    options.set_emit_comments(false);
    let mut reader = Reader::default();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => reader.take(event, span.start.byte_offset().unwrap_or_default())?,
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
                return Err(Fault::at(at, format!("this is no YAML: {}", error.info())));
            }
        }
    }
    reader.builder.finish().ok_or_else(|| Fault::at(0, "nothing stands in the file"))
}

#[derive(Default)]
struct Reader {
    builder: Builder,
    anchored: HashMap<usize, Id>,
    /// The anchors of collections that are open; 0: none.
    open: Vec<usize>,
    aliases: usize,
    documents: usize,
}

impl Reader {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's own enum, which may grow: what is not named here is presentation")]
    fn take(&mut self, event: Event<'_>, at: usize) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(..) => self.document(at),
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, at),
            Event::SequenceStart(_, anchor, _) => self.begin(Begin::List, anchor, at),
            Event::MappingStart(_, anchor, _) => self.begin(Begin::Map, anchor, at),
            Event::SequenceEnd | Event::MappingEnd => {
                let anchor = self.open.pop().unwrap_or_default();
                let made = self.builder.end()?;
                self.anchor(anchor, made);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            _ => Ok(()),
        }
    }

    fn document(&mut self, at: usize) -> Result<(), Fault> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Fault::at(at, "a second document begins here, and a description is one"));
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, at: usize) -> Result<(), Fault> {
        let plain = style == ScalarStyle::Plain;
        if self.builder.awaits_key() {
            if plain && text == "<<" {
                return Err(Fault::at(at, "a merge key (`<<`) can be read in more than one way: write its keys out"));
            }
            self.builder.key(text, at);
            return Ok(());
        }
        let null = plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let made = if null { self.builder.null(at) } else { self.builder.text(text, at) };
        self.anchor(anchor, Some(made));
        Ok(())
    }

    fn begin(&mut self, what: Begin, anchor: usize, at: usize) -> Result<(), Fault> {
        if self.builder.awaits_key() {
            return Err(Fault::at(at, "a key is a text"));
        }
        self.open.push(anchor);
        self.builder.begin(what, at)
    }

    fn alias(&mut self, anchor: usize, at: usize) -> Result<(), Fault> {
        self.aliases += 1;
        if self.aliases > MOST_ALIASES {
            return Err(Fault::at(at, format!("aliases are used more than {MOST_ALIASES} times")));
        }
        let Some(id) = self.anchored.get(&anchor).copied() else {
            return Err(Fault::at(at, "this alias stands inside of what it names"));
        };
        if !self.builder.awaits_key() {
            return self.builder.again(id, at);
        }
        let Some(text) = self.builder.text_of(id).map(str::to_owned) else { return Err(Fault::at(at, "a key is a text")) };
        self.builder.key(&text, at);
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, made: Option<Id>) {
        if let Some(id) = made.filter(|_| anchor > 0) {
            self.anchored.insert(anchor, id);
        }
    }
}
