//! Path templates: `/a/{id}`, `/a/{+rest}`, `/a/{id}:cancel`, `/a/**`.
//!
//! A template is read once into segments; literals stand in the canonical form in
//! which paths come, so that comparing bytes is enough. At most one parameter of a
//! template spans segments: which segments it takes is then never a choice, and
//! looking for matches needs no backtracking.

use crate::connector::Connector;
use std::fmt;

/// A path template of an operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathTemplate {
    text: Box<str>,
    before: Vec<Segment>,
    rest: Option<Rest>,
    parameters: Vec<Parameter>,
}

/// A text that is no path template.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{sentence}")]
pub struct InvalidPathTemplate {
    /// Where it is wrong, in bytes from 0.
    pub offset: usize,
    /// What is wrong: one lower-case sentence.
    pub sentence: &'static str,
    /// What to do about it.
    pub help: Option<&'static str>,
}

/// Whether upper and lower case are the same to a connector's paths.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Letters {
    /// Byte for byte.
    Exact,
    /// ASCII letters compare without regard to case.
    AnyCase,
}

/// One segment of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Segment {
    /// A fixed text, canonically encoded; empty behind a trailing slash.
    Literal(Box<str>),
    /// Fixed texts with parameters between them.
    Mixed(Mixed),
    /// `{name}`: one segment that is not empty.
    Parameter,
}

/// A segment in which literals and parameters share: between each two neighbours
/// stands a parameter of at least one byte; the first and the last may be empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Mixed(Vec<Box<str>>);

/// `{+name}` or `/**`, and what stands behind it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rest {
    /// How many whole segments it takes at least: none where its last one goes on with a literal (`{+name}:cancel`).
    pub(super) least: usize,
    /// The segments behind it.
    pub(super) behind: Vec<Segment>,
}

/// How much a template leaves open in one segment; more is greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Openness {
    /// A literal.
    Literal,
    /// Literals and parameters in one segment.
    Mixed,
    /// `{name}`.
    Parameter,
    /// `{+name}`.
    Rest,
}

/// A part of a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Before(usize),
    Rest,
    Behind(usize),
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Parameter {
    name: Box<str>,
    part: Part,
}

/// More segments than any API has.
const MOST_SEGMENTS: usize = 100;

impl PathTemplate {
    /// Reads a template.
    /// # Errors
    /// The first fault, where it stands, and what to do about it.
    pub fn parse(text: &str) -> Result<Self, InvalidPathTemplate> {
        if !text.starts_with('/') {
            return Err(fault(0, "a path template begins with `/`", None));
        }
        let mut reader = Reader { made: Self { text: text.into(), before: Vec::new(), rest: None, parameters: Vec::new() } };
        let mut offset = 1;
        let mut segments = text.get(1..).unwrap_or_default().split('/').peekable();
        while let Some(segment) = segments.next() {
            let place = if segments.peek().is_some() { Place::Inside } else { Place::Last };
            reader.segment(segment, offset, place)?;
            offset += segment.len() + 1;
        }
        if reader.made.before.len() + reader.made.rest.as_ref().map_or(0, |rest| rest.behind.len()) > MOST_SEGMENTS {
            return Err(fault(0, "a path template has at most 100 segments", None));
        }
        Ok(reader.made)
    }

    /// As the author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its parameters; `/**` has none.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let mut seen = None;
        self.parameters.iter().map(|parameter| &*parameter.name).filter(move |name| seen.replace(*name) != Some(*name))
    }

    /// What two templates have in common that match the same paths: equal where only names of parameters differ,
    /// and the case of literals where that means nothing.
    #[must_use]
    pub fn shape(&self, letters: Letters) -> String {
        let mut shape = String::new();
        self.before.iter().for_each(|segment| segment.write_shape("/", &mut shape));
        if let Some(rest) = &self.rest {
            shape.push_str("/{{");
            let mut between = if rest.least == 0 { "" } else { "/" };
            for segment in &rest.behind {
                segment.write_shape(between, &mut shape);
                between = "/";
            }
        }
        match letters {
            Letters::Exact => shape,
            Letters::AnyCase => shape.to_ascii_lowercase(),
        }
    }

    /// The segments before `{+name}`, or all of them.
    pub(super) fn before(&self) -> &[Segment] {
        &self.before
    }

    /// `{+name}`, and what stands behind it.
    pub(super) fn rest(&self) -> Option<&Rest> {
        self.rest.as_ref()
    }

    /// A path that it matches: `filler` for each parameter, and `spanned` whole segments of it for `{+name}`.
    pub(super) fn example(&self, filler: &str, spanned: usize) -> String {
        let mut path = String::new();
        let mut add = |segment: &Segment| {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Mixed(Mixed(literals)) => path.push_str(&literals.join(filler)),
                Segment::Parameter => path.push_str(filler),
            }
        };
        self.before.iter().for_each(&mut add);
        if let Some(rest) = &self.rest {
            (0..spanned.max(rest.least)).for_each(|_| add(&Segment::Parameter));
            rest.behind.iter().for_each(&mut add);
        }
        path
    }

    /// How much it leaves open at segment `at` of a path of `count` segments that it matches.
    pub(super) fn openness(&self, at: usize, count: usize) -> Openness {
        let segment = match self.part(at, count) {
            Part::Before(at) => self.before.get(at),
            Part::Behind(at) => self.rest.as_ref().and_then(|rest| rest.behind.get(at)),
            Part::Rest => None,
        };
        segment.map_or(Openness::Rest, Segment::openness)
    }

    /// The names of the parameters that take segment `at`, or a part of it, of a path of `count` segments that it matches.
    pub(super) fn parameters_at(&self, at: usize, count: usize) -> impl Iterator<Item = &str> {
        let part = self.part(at, count);
        self.parameters.iter().filter(move |parameter| parameter.part == part).map(|parameter| &*parameter.name)
    }

    /// The segment that a parameter takes alone, from 0; none where it shares one, or where more than one could be it.
    pub(super) fn segment_of(&self, name: &str) -> Option<usize> {
        let place = self.parameters.iter().find(|parameter| *parameter.name == *name)?.part;
        match place {
            Part::Before(at) if self.before.get(at) == Some(&Segment::Parameter) => Some(at),
            Part::Before(_) | Part::Rest | Part::Behind(_) => None,
        }
    }

    /// How many segments stand before and behind `{+name}`: elsewhere all paths look the same to it.
    pub(super) fn edges(&self) -> (usize, usize) {
        (self.before.len(), self.rest.as_ref().map_or(0, |rest| rest.behind.len()))
    }

    fn part(&self, at: usize, count: usize) -> Part {
        let (before, behind) = self.edges();
        let to_go = count.saturating_sub(at);
        if at < before {
            Part::Before(at)
        } else if to_go > behind {
            Part::Rest
        } else {
            Part::Behind(behind - to_go)
        }
    }
}

/// As the author wrote it.
impl fmt::Display for PathTemplate {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.text)
    }
}

impl Letters {
    /// How `connector` compares.
    #[must_use]
    pub fn of(connector: &Connector) -> Self {
        if connector.case_insensitive_paths { Self::AnyCase } else { Self::Exact }
    }

    pub(super) fn equal(self, left: &[u8], right: &[u8]) -> bool {
        match self {
            Self::Exact => left == right,
            Self::AnyCase => left.eq_ignore_ascii_case(right),
        }
    }
}

impl Segment {
    fn openness(&self) -> Openness {
        match self {
            Self::Literal(_) => Openness::Literal,
            Self::Mixed(_) => Openness::Mixed,
            Self::Parameter => Openness::Parameter,
        }
    }

    fn write_shape(&self, between: &str, shape: &mut String) {
        shape.push_str(between);
        match self {
            Self::Literal(text) => shape.push_str(text),
            Self::Mixed(Mixed(literals)) => shape.push_str(&literals.join("{")),
            Self::Parameter => shape.push('{'),
        }
    }
}

impl Mixed {
    /// Whether a segment in canonical form is these literals with at least one byte between each two of them.
    /// Leftmost places for the inner literals leave most room for what follows, so no other places need be tried.
    pub(super) fn matches(&self, segment: &str, letters: Letters) -> bool {
        let [first, inner @ .., last] = self.0.as_slice() else { return false };
        let text = segment.as_bytes();
        let Some(end) = text.len().checked_sub(last.len()).filter(|end| is_boundary(text, *end)) else { return false };
        let fits = |at: usize, literal: &str| text.get(at..at + literal.len()).is_some_and(|part| letters.equal(part, literal.as_bytes()));
        if !fits(0, first) || !fits(end, last) {
            return false;
        }
        let mut at = first.len();
        for literal in inner {
            let found = (at + 1..end).find(|at| is_boundary(text, *at) && fits(*at, literal));
            match found {
                Some(found) => at = found + literal.len(),
                None => return false,
            }
        }
        at < end
    }

    /// Whether `other` matches the same segments.
    pub(super) fn same(&self, other: &Self, letters: Letters) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(left, right)| letters.equal(left.as_bytes(), right.as_bytes()))
    }
}

/// Whether no percent triple of a canonical text is cut at `at`.
fn is_boundary(text: &[u8], at: usize) -> bool {
    let is_percent = |back: usize| at.checked_sub(back).and_then(|at| text.get(at)) == Some(&b'%');
    !is_percent(1) && !is_percent(2)
}

/// Where a segment stands in its template.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Place {
    Inside,
    Last,
}

struct Reader {
    made: PathTemplate,
}

/// A piece of one segment as the author wrote it.
enum Piece<'a> {
    Literal(&'a str),
    One(&'a str),
    Rest(&'a str),
}

impl Reader {
    fn segment(&mut self, segment: &str, offset: usize, place: Place) -> Result<(), InvalidPathTemplate> {
        if segment == "**" {
            return match place {
                Place::Last => self.open_rest(1, offset),
                Place::Inside => Err(fault(offset, "`**` stands only at the end of a path template", Some("write `{+name}` here"))),
            };
        }
        if segment.is_empty() && place == Place::Inside {
            return Err(fault(offset, "a path template has no empty segment", Some("write one `/`")));
        }
        if matches!(segment, "." | "..") {
            return Err(fault(offset, "a dot segment never stands in a path", None));
        }
        let mut literals: Vec<Box<str>> = Vec::new();
        let mut open: Option<Box<str>> = Some("".into());
        for (at, piece) in pieces(segment, offset)? {
            match piece {
                Piece::Literal(text) => open = Some(literal(text, at)?.into()),
                Piece::One(name) => {
                    let Some(before) = open.take() else {
                        let help = "put a literal between them, or make them one";
                        return Err(fault(at, "two parameters stand side by side, and nothing says where the first ends", Some(help)));
                    };
                    literals.push(before);
                    self.parameter(name, at)?;
                }
                Piece::Rest(name) if at == offset => {
                    let alone = segment.len() == name.len() + 3;
                    self.open_rest(usize::from(alone), at)?;
                    self.name(name, at, Part::Rest)?;
                    if alone {
                        return Ok(());
                    }
                    literals.extend(open.take());
                    let part = self.next_part();
                    self.made.parameters.push(Parameter { name: name.into(), part });
                }
                Piece::Rest(_) => return Err(fault(at, "a `{+name}` begins its segment", Some("put the `/` before it"))),
            }
        }
        self.close(literals, open);
        Ok(())
    }

    fn close(&mut self, mut literals: Vec<Box<str>>, open: Option<Box<str>>) {
        let last = open.unwrap_or_default();
        let made = match literals.as_slice() {
            [] => Segment::Literal(last),
            [only] if only.is_empty() && last.is_empty() => Segment::Parameter,
            [..] => {
                literals.push(last);
                Segment::Mixed(Mixed(literals))
            }
        };
        match &mut self.made.rest {
            Some(rest) => rest.behind.push(made),
            None => self.made.before.push(made),
        }
    }

    fn open_rest(&mut self, least: usize, at: usize) -> Result<(), InvalidPathTemplate> {
        if self.made.rest.is_some() {
            return Err(fault(at, "only one parameter of a path template spans segments", Some("write `{name}` for all others")));
        }
        self.made.rest = Some(Rest { least, behind: Vec::new() });
        Ok(())
    }

    fn parameter(&mut self, name: &str, at: usize) -> Result<(), InvalidPathTemplate> {
        let part = self.next_part();
        self.name(name, at, part)
    }

    fn name(&mut self, name: &str, at: usize, part: Part) -> Result<(), InvalidPathTemplate> {
        let legal = |(at, byte): (usize, u8)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit());
        if name.is_empty() || !name.bytes().enumerate().all(legal) {
            return Err(fault(at, "a parameter's name is a letter or `_` and then letters, digits or `_`", None));
        }
        if self.made.parameters.iter().any(|known| *known.name == *name) {
            return Err(fault(at, "two parameters of a path template have the same name", Some("rename one")));
        }
        self.made.parameters.push(Parameter { name: name.into(), part });
        Ok(())
    }

    /// The part that the segment at hand will be.
    fn next_part(&self) -> Part {
        match &self.made.rest {
            Some(rest) => Part::Behind(rest.behind.len()),
            None => Part::Before(self.made.before.len()),
        }
    }
}

const fn fault(offset: usize, sentence: &'static str, help: Option<&'static str>) -> InvalidPathTemplate {
    InvalidPathTemplate { offset, sentence, help }
}

fn pieces(segment: &str, offset: usize) -> Result<Vec<(usize, Piece<'_>)>, InvalidPathTemplate> {
    let mut pieces = Vec::new();
    let (mut rest, mut at) = (segment, offset);
    while let Some(opens) = rest.find('{') {
        let (before, behind) = rest.split_at(opens);
        let closes = behind.find('}').ok_or(fault(at + opens, "a `{` opens a parameter that no `}` closes in the same segment", None))?;
        if !before.is_empty() {
            pieces.push((at, Piece::Literal(before)));
        }
        let (parameter, after) = behind.split_at(closes + 1);
        let name = parameter.get(1..closes).unwrap_or_default();
        pieces.push((at + opens, name.strip_prefix('+').map_or(Piece::One(name), Piece::Rest)));
        at += opens + closes + 1;
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push((at, Piece::Literal(rest)));
    }
    Ok(pieces)
}

/// The literal in the form in which paths come: unreserved characters decoded, hex digits in upper case.
fn literal(text: &str, offset: usize) -> Result<String, InvalidPathTemplate> {
    let mut canonical = String::with_capacity(text.len());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = offset + text.len() - rest.len();
        let byte = if first == '%' {
            let digits = rest.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let byte = byte.ok_or(fault(at, "a `%` stands before two hex digits", Some("a percent sign itself can never stand in a path")))?;
            encoded(byte, at)?;
            if is_unreserved(byte) {
                canonical.push(char::from(byte))
            } else {
                canonical.push_str(&format!("%{byte:02X}"))
            }
            byte
        } else {
            canonical.push(first);
            plain(first, at)?
        };
        decoded.push(byte);
        rest = rest.get(if first == '%' { 3 } else { 1 }..).unwrap_or_default();
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(canonical),
        Err(_) => Err(fault(offset, "the encoded bytes are no UTF-8", None)),
    }
}

/// A character that stands in a path as it is.
fn plain(character: char, at: usize) -> Result<u8, InvalidPathTemplate> {
    match character {
        '?' => Err(fault(at, "a path template has no query", Some("narrow the operation with `where: {query: {NAME: VALUE}}`"))),
        '#' => Err(fault(at, "a path template has no fragment", None)),
        '}' => Err(fault(at, "a `}` closes no parameter", None)),
        '*' => {
            Err(fault(at, "a `*` stands for nothing in a path template", Some("write `{name}` for one segment, `/**` at the end for all the rest")))
        }
        ';' | '\\' => Err(fault(at, "a path never holds this character, so nothing would match", None)),
        '!' | '$' | '&' | '\'' | '(' | ')' | '+' | ',' | '=' | ':' | '@' => Ok(character as u8),
        _ if character.is_ascii() && is_unreserved(character as u8) => Ok(character as u8),
        _ => Err(fault(at, "this character stands percent-encoded in a path", Some("write it as the bytes of its UTF-8 form, such as `%C3%A9`"))),
    }
}

/// A byte that stands encoded in a literal, as far as a path may hold it.
fn encoded(byte: u8, at: usize) -> Result<(), InvalidPathTemplate> {
    match byte {
        b'/' | b'\\' | b';' | b'%' | b'?' | b'#' | 0..0x20 | 0x7f => {
            Err(fault(at, "a path never holds this character in a literal, encoded or not", Some("make it part of a parameter with `allow_encoded`")))
        }
        _ => Ok(()),
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(template: &str, path: &str) -> bool {
        let read = PathTemplate::parse(template).unwrap();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match read.before.as_slice() {
            [Segment::Mixed(mixed)] => mixed.matches(segments[0], Letters::Exact),
            _ => panic!("{template} is not one mixed segment"),
        }
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        for (text, offset, part) in [
            ("", 0, "begins with `/`"),
            ("a/b", 0, "begins with `/`"),
            ("/a//b", 3, "empty segment"),
            ("/a/../b", 3, "dot segment"),
            ("/a/{id", 3, "no `}` closes"),
            ("/a/{b/c}", 3, "no `}` closes"),
            ("/a/b}", 4, "closes no parameter"),
            ("/a/{}", 3, "a parameter's name"),
            ("/a/{1a}", 3, "a parameter's name"),
            ("/a/{a-b}", 3, "a parameter's name"),
            ("/a/{x}/{x}", 7, "the same name"),
            ("/a/{x}{y}", 6, "side by side"),
            ("/a/{+x}{y}", 7, "side by side"),
            ("/{+x}/{+y}", 6, "only one parameter"),
            ("/{+x}/**", 6, "only one parameter"),
            ("/a{+x}", 2, "begins its segment"),
            ("/**/a", 1, "only at the end"),
            ("/a/*/b", 3, "stands for nothing"),
            ("/a?b=c", 2, "no query"),
            ("/a#b", 2, "no fragment"),
            ("/a;b", 2, "never holds"),
            ("/a%2Fb", 2, "never holds"),
            ("/a%25b", 2, "never holds"),
            ("/a%zz", 2, "two hex digits"),
            ("/a%4", 2, "two hex digits"),
            ("/a b", 2, "percent-encoded"),
            ("/é", 1, "percent-encoded"),
            ("/a/b%C3", 3, "no UTF-8"),
        ] {
            let fault = PathTemplate::parse(text).expect_err(text);
            assert!(fault.offset == offset && fault.sentence.contains(part), "{text}: {fault:?}");
        }
    }

    #[test]
    fn parameters_are_named_in_order() {
        for (text, names) in
            [("/a/{b}/{c}:d", &["b", "c"][..]), ("/a/{+b}:c", &["b"]), ("/a/{b}...{c}/{+d}", &["b", "c", "d"]), ("/a/**", &[]), ("/", &[])]
        {
            assert_eq!(PathTemplate::parse(text).unwrap().parameters().collect::<Vec<_>>(), names, "{text}");
        }
    }

    #[test]
    fn shapes_are_equal_where_the_same_paths_match() {
        for (left, right, exact, any_case) in [
            ("/a/{x}", "/a/{y}", true, true),
            ("/a/{+x}", "/a/**", true, true),
            ("/a/{x}", "/a/{+x}", false, false),
            ("/a/{x}:c", "/a/{y}:c", true, true),
            ("/a/{+x}:c", "/a/{x}:c", false, false),
            ("/a/{+x}/c", "/a/{+x}:c", false, false),
            ("/A/{x}", "/a/{x}", false, true),
            ("/a", "/a/", false, false),
            ("/%7e%c3%a9", "/~%C3%A9", true, true),
            ("/a%3Ab", "/a:b", false, false),
            ("/a/{x}-{y}", "/a/{x}", false, false),
            ("/a/{x}+", "/a/**", false, false),
        ] {
            let [first, second] = [left, right].map(|text| PathTemplate::parse(text).unwrap());
            for (letters, same) in [(Letters::Exact, exact), (Letters::AnyCase, any_case)] {
                assert_eq!(first.shape(letters) == second.shape(letters), same, "{left} and {right}, {letters:?}");
            }
        }
    }

    #[test]
    fn a_parameter_in_a_mixed_segment_takes_at_least_one_byte() {
        for (template, path, matches) in [
            ("/{id}:cancel", "/7:cancel", true),
            ("/{id}:cancel", "/:cancel", false),
            ("/{id}:cancel", "/7:cancels", false),
            ("/{id}:cancel", "/a:cancel:cancel", true),
            ("/messages({id})", "/messages(42)", true),
            ("/messages({id})", "/messages()", false),
            ("/messages({id})", "/messages", false),
            ("/{a}...{b}", "/x...y", true),
            ("/{a}...{b}", "/x....", true),
            ("/{a}...{b}", "/......", true),
            ("/{a}...{b}", "/....", false),
            ("/{a}-{b}-{c}", "/1-2-3", true),
            ("/{a}-{b}-{c}", "/1-2", false),
            ("/{a}-{b}-{c}", "/----", false),
            ("/{a}-{b}-{c}", "/-----", true),
        ] {
            assert_eq!(fits(template, path), matches, "{template} on {path}");
        }
    }

    #[test]
    fn literals_never_match_inside_of_an_encoded_byte() {
        for (template, path, matches) in
            [("/{a}3{b}", "/%C3%A9", false), ("/{a}3{b}", "/%C3%A93x", true), ("/{a}9", "/%C3%A9", false), ("/{a}9", "/%C3%A99", true)]
        {
            assert_eq!(fits(template, path), matches, "{template} on {path}");
        }
    }

    #[test]
    fn openness_is_that_of_the_segment_at_hand() {
        use Openness::{Literal, Mixed, Parameter, Rest};
        for (template, count, openness) in [
            ("/a/{b}/c{d}", 3, &[Literal, Parameter, Mixed][..]),
            ("/a/{+b}", 4, &[Literal, Rest, Rest, Rest]),
            ("/a/{+b}/c/{d}", 5, &[Literal, Rest, Rest, Literal, Parameter]),
            ("/a/{+b}:c", 2, &[Literal, Mixed]),
            ("/a/{+b}:c", 3, &[Literal, Rest, Mixed]),
        ] {
            let read = PathTemplate::parse(template).unwrap();
            let came: Vec<_> = (0..count).map(|at| read.openness(at, count)).collect();
            assert_eq!(came, openness, "{template}");
        }
    }
}
