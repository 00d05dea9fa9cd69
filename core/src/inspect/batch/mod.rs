//! Batches: many requests in the body of one.
//!
//! Each part is read as strictly as a request of its own; how a provider writes its
//! parts down is data ([`BatchShape`]). A batch that is forwarded is written anew from
//! the parts that were read.

mod json;
mod line;
mod multipart;
mod pattern;

pub use json::{JsonShape, PartShape};
pub use line::{InvalidLine, Line, Piece};
pub use pattern::Pattern;

use super::Json;
use crate::request::{Ambiguity, Headers, Request, Target};
use bytes::Bytes;

/// How a provider writes batches down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BatchShape {
    /// What stands before the URL of each part.
    pub prefix: Line,
    /// The most parts.
    pub max_parts: usize,
    /// Where parts stand.
    pub format: BatchFormat,
}

/// Where parts stand in a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BatchFormat {
    /// In lists of a JSON document.
    Json(Box<JsonShape>),
    /// `multipart/mixed`, each part `application/http`.
    Multipart,
}

/// A batch that has been read.
#[derive(Debug)]
pub struct Batch {
    /// Its parts in order; at least one.
    pub parts: Vec<Part>,
    envelope: Envelope,
}

#[derive(Debug)]
enum Envelope {
    Json(Json),
    Multipart(multipart::Envelope),
}

/// One part.
#[derive(Clone, Debug)]
pub struct Part {
    /// As a request of its own.
    pub request: Request,
    /// Whether something in its body stands for a value that the provider puts there later.
    pub has_references: bool,
    /// How many bytes of its path are the prefix; they do not stand in its URL.
    prefix: usize,
    url: UrlForm,
}

/// How the URL of a part is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum UrlForm {
    /// With a slash before it.
    Rooted,
    /// Without one.
    Bare,
    /// Not at all.
    None,
}

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchFault {
    /// The part, from 0; none where it is the batch itself.
    pub part: Option<usize>,
    /// What is wrong.
    pub ambiguity: Ambiguity,
}

const NO_PARTS: Ambiguity = Ambiguity::new("batch-no-parts", "policy reads the batch, and there are no parts where it expects them");
const TOO_MANY: Ambiguity = Ambiguity::new("batch-too-many", "the batch has more parts than the policy allows");
const PART: Ambiguity = Ambiguity::new("batch-part", "a part of the batch does not say its method and URL where the policy reads them");
const MEMBER: Ambiguity = Ambiguity::new("batch-member", "a part of the batch holds something that the policy does not read there");
const HEADERS: Ambiguity = Ambiguity::new("batch-headers", "the headers of a part of the batch are no object of texts");
const SUBSTITUTION: Ambiguity =
    Ambiguity::new("batch-substitution", "the URL of a part of the batch holds a value that the provider puts there later");
const MULTIPART: Ambiguity = Ambiguity::new("batch-multipart", "policy reads the batch, and it is no multipart/mixed body with one reading");

impl From<Ambiguity> for BatchFault {
    fn from(ambiguity: Ambiguity) -> Self {
        Self { part: None, ambiguity }
    }
}

impl Batch {
    /// Reads the body of `request`, of which `segments` are the segments of its path.
    /// # Errors
    /// What has two readings, and in which part.
    pub fn read(shape: &BatchShape, headers: &Headers, segments: &[&str], body: &[u8]) -> Result<Self, BatchFault> {
        let mut reader = Reader { prefix: shape.prefix.fill(segments, None).ok_or(PART)?, most: shape.max_parts, parts: Vec::new() };
        let envelope = match &shape.format {
            BatchFormat::Json(layout) => {
                let mut json = Json::of_body(headers, body)?;
                layout.read(&mut json, segments, &mut reader)?;
                Envelope::Json(json)
            }
            BatchFormat::Multipart => Envelope::Multipart(multipart::read(headers, body, &mut reader)?),
        };
        if reader.parts.is_empty() { Err(NO_PARTS.into()) } else { Ok(Self { parts: reader.parts, envelope }) }
    }

    /// The body anew: what was read, and nothing else.
    /// # Errors
    /// Parts that would run together.
    pub fn write(&self, shape: &BatchShape) -> Result<Bytes, Ambiguity> {
        match (&self.envelope, &shape.format) {
            (Envelope::Json(json), BatchFormat::Json(layout)) => Ok(layout.write(json.clone(), &self.parts).to_string().into()),
            (Envelope::Multipart(envelope), _) => envelope.write(&self.parts),
            (Envelope::Json(json), BatchFormat::Multipart) => Ok(json.to_string().into()),
        }
    }
}

impl Part {
    /// Its URL in canonical form; none where none is written.
    fn url(&self) -> Option<String> {
        let path = self.request.path.as_str().get(self.prefix..).unwrap_or_default();
        let path = match self.url {
            UrlForm::Rooted => path,
            UrlForm::Bare => path.strip_prefix('/').unwrap_or(path),
            UrlForm::None => return None,
        };
        Some(match self.request.query.as_str() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        })
    }
}

/// Takes parts one after the other.
struct Reader {
    prefix: String,
    most: usize,
    parts: Vec<Part>,
}

/// A part as it is written.
struct Written<'a> {
    method: &'a str,
    url: &'a str,
    headers: Vec<(String, String)>,
    body: Option<Bytes>,
    has_references: bool,
}

impl Reader {
    /// The number of the next part; an error where there are too many.
    fn next(&self) -> Result<usize, BatchFault> {
        if self.parts.len() == self.most { Err(TOO_MANY.into()) } else { Ok(self.parts.len()) }
    }

    /// A part that says its URL.
    fn take(&mut self, written: Written<'_>) -> Result<(), Ambiguity> {
        if readings(written.url).any(|url| url.contains("@{")) {
            return Err(SUBSTITUTION);
        }
        let url = form(written.url).ok_or(PART)?;
        let slash = if url == UrlForm::Bare { "/" } else { "" };
        let target: Target = format!("{}{slash}{}", self.prefix, written.url).parse()?;
        // The canonical form of the prefix is as long as it was where it is canonical already.
        let prefix = if target.path.as_str().starts_with(&self.prefix) { self.prefix.len() } else { return Err(PART) };
        self.add(written, &target, prefix, url)
    }

    /// A part whose target the policy says.
    fn take_as(&mut self, written: Written<'_>) -> Result<(), Ambiguity> {
        let target: Target = written.url.parse()?;
        self.add(written, &target, 0, UrlForm::None)
    }

    fn add(&mut self, written: Written<'_>, target: &Target, prefix: usize, url: UrlForm) -> Result<(), Ambiguity> {
        let Written { method, headers, body, has_references, .. } = written;
        let request = Request::part(method, target.clone(), &headers, body)?;
        self.parts.push(Part { request, has_references, prefix, url });
        Ok(())
    }
}

/// How a URL is written; none where a server could take it for something else than a path: another origin, a query or a scheme alone.
fn form(url: &str) -> Option<UrlForm> {
    if url.starts_with('/') {
        return Some(UrlForm::Rooted);
    }
    let first = url.split(['/', '?', '#']).next().unwrap_or_default();
    let is_segment = first.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '$') && !first.contains(':');
    is_segment.then_some(UrlForm::Bare)
}

/// A text, and what decoding it once and twice makes of it.
fn readings(text: &str) -> impl Iterator<Item = String> {
    std::iter::successors(Some(text.to_owned()), |text| text.contains('%').then(|| crate::request::decoded_leniently(text))).take(3)
}

#[cfg(test)]
mod tests;
