//! Texts that are filled from the request: `/{version}`, `/services/data/{version}/sobjects/{/attributes/type}`.

use super::super::{Json, Pointer};
use crate::request::encoded;

/// A text with places to fill.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Line(Vec<Piece>);

/// A piece of such a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// A text that stands there.
    Literal(String),
    /// A segment of the batch's own path, from 0.
    Segment(usize),
    /// A text in the part, as one segment.
    Pointer(Pointer),
}

/// A text whose braces do not enclose something to fill them with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InvalidLine {
    /// A brace that is not closed, or closes nothing.
    Braces,
    /// A name that is no parameter of the path, or not a whole segment of it.
    Parameter(String),
    /// A pointer that is none, or that may not stand there.
    Pointer(String),
}

impl Line {
    /// Reads a text; `segment` finds the segment that a parameter takes.
    /// # Errors
    /// The first place that cannot be filled.
    pub fn parse(text: &str, segment: impl Fn(&str) -> Option<usize>) -> Result<Self, InvalidLine> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (inside, after) = behind.split_once('}').ok_or(InvalidLine::Braces)?;
            if before.contains('}') || inside.contains('{') {
                return Err(InvalidLine::Braces);
            }
            pieces.push(Piece::Literal(before.to_owned()));
            pieces.push(if inside.starts_with('/') {
                Piece::Pointer(inside.parse().map_err(|_| InvalidLine::Pointer(inside.to_owned()))?)
            } else {
                Piece::Segment(segment(inside).ok_or_else(|| InvalidLine::Parameter(inside.to_owned()))?)
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err(InvalidLine::Braces);
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Literal(String::new()));
        Ok(Self(pieces))
    }

    /// What it is filled from.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The text; none where a piece is not there, is no text, or stands there in other letters too.
    pub(super) fn fill(&self, segments: &[&str], part: Option<&Json>) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Segment(at) => text.push_str(segments.get(*at)?),
                Piece::Pointer(pointer) => {
                    let found = part?.at(pointer).ok().flatten()?.as_text()?;
                    text.push_str(&encoded(Some(found).filter(|found| !found.is_empty())?));
                }
            }
        }
        Some(text)
    }
}
