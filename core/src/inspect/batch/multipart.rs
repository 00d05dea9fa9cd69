//! Batches of `application/http` parts in `multipart/mixed` (RFC 2046 section 5.1, RFC 9112 section 10.2).
//!
//! Lines end in CRLF, or all of them in LF as Python's mail library writes them. What is
//! forwarded has CRLF throughout.

use super::{BatchFault, MULTIPART, Part, Reader, SUBSTITUTION, Written};
use crate::inspect::json::PACKED;
use crate::request::{Ambiguity, Body, Headers};
use bytes::Bytes;
use memchr::memmem;

/// What surrounds the parts.
#[derive(Debug)]
pub(super) struct Envelope {
    delimiter: Vec<u8>,
    /// The `Content-ID` of each part.
    ids: Vec<Option<String>>,
}

/// Headers of a part that the gateway leaves out: it writes the part anew.
const LEFT_OUT: [&str; 4] = ["host", "content-length", "accept-encoding", "mime-version"];

pub(super) fn read(headers: &Headers, body: &[u8], reader: &mut Reader) -> Result<Envelope, BatchFault> {
    let delimiter = format!("--{}", boundary(headers)?).into_bytes();
    let mut envelope = Envelope { delimiter, ids: Vec::new() };
    for content in split(body, &envelope.delimiter)? {
        let number = reader.next()?;
        let id = part(&content, reader).map_err(|ambiguity| BatchFault { part: Some(number), ambiguity })?;
        envelope.ids.push(id);
    }
    Ok(envelope)
}

/// The boundary that the head declares; nothing else may be declared.
fn boundary(headers: &Headers) -> Result<String, Ambiguity> {
    if headers.get("content-encoding").is_some() {
        return Err(PACKED);
    }
    let mut types = headers.all("content-type");
    let (Some(only), None) = (types.next(), types.next()) else { return Err(MULTIPART) };
    let text = std::str::from_utf8(only).map_err(|_| MULTIPART)?;
    let (media_type, parameter) = text.split_once(';').ok_or(MULTIPART)?;
    let (name, value) = parameter.split_once('=').ok_or(MULTIPART)?;
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|open| open.strip_suffix('"')).unwrap_or(value);
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let is_sound = (1..=70).contains(&value.len()) && value.bytes().all(legal);
    let is_mixed = media_type.trim().eq_ignore_ascii_case("multipart/mixed") && name.trim().eq_ignore_ascii_case("boundary");
    if is_mixed && is_sound { Ok(value.to_owned()) } else { Err(MULTIPART) }
}

/// How the lines of the envelope end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LineEnd {
    CrLf,
    Lf,
}

impl LineEnd {
    fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }

    /// The first line, without its end, and what stands behind it; the whole where no line ends.
    fn split(self, text: &[u8]) -> Result<(&[u8], &[u8]), Ambiguity> {
        let (line, rest) = match memchr::memchr(b'\n', text) {
            Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default()),
            None => (text, &[][..]),
        };
        let ends = line.len() < text.len();
        let line = match self {
            Self::CrLf if ends => line.strip_suffix(b"\r").ok_or(MULTIPART)?,
            Self::CrLf | Self::Lf => line,
        };
        if line.contains(&b'\r') { Err(MULTIPART) } else { Ok((line, rest)) }
    }
}

/// What stands between two delimiters.
struct Content<'b> {
    text: &'b [u8],
    line_end: LineEnd,
}

/// The contents of all parts. The delimiter stands nowhere but where it delimits, nothing before the first and nothing behind the last.
fn split<'b>(body: &'b [u8], delimiter: &[u8]) -> Result<Vec<Content<'b>>, Ambiguity> {
    let body = body.strip_prefix(b"\r\n").unwrap_or(body);
    let mut rest = body.strip_prefix(delimiter).ok_or(MULTIPART)?;
    let line_end = if rest.starts_with(b"\r\n") { LineEnd::CrLf } else { LineEnd::Lf };
    let before: Vec<u8> = [line_end.as_bytes(), delimiter].concat();
    let mut contents = Vec::new();
    while let Some(behind) = rest.strip_prefix(line_end.as_bytes()) {
        // A part without headers and content begins right with the next delimiter; there is none such here.
        let end = memmem::find(behind, &before).ok_or(MULTIPART)?;
        contents.push(Content { text: behind.get(..end).unwrap_or_default(), line_end });
        rest = behind.get(end + before.len()..).unwrap_or_default();
    }
    let closing = rest.strip_prefix(b"--").ok_or(MULTIPART)?;
    let found = memmem::find_iter(body, delimiter).count();
    if (closing.is_empty() || closing == line_end.as_bytes()) && found == contents.len() + 1 { Ok(contents) } else { Err(MULTIPART) }
}

/// Reads one part; gives its `Content-ID`.
fn part(content: &Content<'_>, reader: &mut Reader) -> Result<Option<String>, Ambiguity> {
    let (outer, request) = headers(content.text, content.line_end)?;
    let mut id = None;
    let mut is_http = false;
    for (name, value) in outer {
        match name.as_str() {
            "content-type" if !is_http && is_request(&value) => is_http = true,
            "content-id" if id.is_none() && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => id = Some(value),
            "content-transfer-encoding" if value.eq_ignore_ascii_case("binary") => {}
            "content-length" if value.parse() == Ok(request.len()) => {}
            "mime-version" => {}
            _ => return Err(MULTIPART),
        }
    }
    if !is_http {
        return Err(MULTIPART);
    }
    let (line, rest) = content.line_end.split(request)?;
    let line = std::str::from_utf8(line).map_err(|_| MULTIPART)?;
    let mut words = line.split(' ');
    let (Some(method), Some(url), None | Some("HTTP/1.1"), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(MULTIPART);
    };
    if !url.starts_with('/') {
        return Err(if url.contains("@{") { SUBSTITUTION } else { MULTIPART });
    }
    let (mut headers, rest) = headers(rest, content.line_end)?;
    let body = body(&headers, rest, content.line_end)?;
    headers.retain(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
    reader.take(Written { method, url, headers, body, has_references: false })?;
    Ok(id)
}

fn is_request(media_type: &str) -> bool {
    let mut parts = media_type.split(';').map(str::trim);
    parts.next().is_some_and(|first| first.eq_ignore_ascii_case("application/http")) && parts.all(|one| one.eq_ignore_ascii_case("msgtype=request"))
}

/// Names in lower case, and values.
type HeaderLines = Vec<(String, String)>;

/// Lines up to an empty one or the end, names in lower case, and what stands behind them.
fn headers(mut text: &[u8], line_end: LineEnd) -> Result<(HeaderLines, &[u8]), Ambiguity> {
    let mut made = HeaderLines::new();
    loop {
        let (line, rest) = line_end.split(text)?;
        text = rest;
        if line.is_empty() {
            return Ok((made, text));
        }
        let line = std::str::from_utf8(line).map_err(|_| MULTIPART)?;
        let (name, value) = line.split_once(':').filter(|(name, _)| !name.is_empty() && !name.contains([' ', '\t'])).ok_or(MULTIPART)?;
        made.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
    }
}

/// The body of a part: as long as it says, or up to the end; one line end may stand behind it.
fn body(headers: &[(String, String)], rest: &[u8], line_end: LineEnd) -> Result<Option<Bytes>, Ambiguity> {
    let trimmed = rest.strip_suffix(line_end.as_bytes()).unwrap_or(rest);
    let mut lengths = headers.iter().filter(|(name, _)| name == "content-length").map(|(_, value)| value.parse::<usize>().ok());
    let body = match (lengths.next(), lengths.next()) {
        (None, _) if trimmed.is_empty() => trimmed,
        (None, _) => rest,
        (Some(Some(length)), None) if length == rest.len() => rest,
        (Some(Some(length)), None) if length == trimmed.len() => trimmed,
        _ => return Err(MULTIPART),
    };
    Ok((!body.is_empty()).then(|| Bytes::copy_from_slice(body)))
}

impl Envelope {
    /// All parts anew.
    /// # Errors
    /// A part that holds the delimiter, now that it stands in its canonical form.
    pub(super) fn write(&self, parts: &[Part]) -> Result<Bytes, Ambiguity> {
        let mut made = Vec::new();
        for (part, id) in parts.iter().zip(&self.ids) {
            made.extend_from_slice(&self.delimiter);
            made.extend_from_slice(b"\r\nContent-Type: application/http\r\n");
            if let Some(id) = id {
                made.extend_from_slice(format!("Content-ID: {id}\r\n").as_bytes());
            }
            let request = &part.request;
            made.extend_from_slice(format!("\r\n{} {} HTTP/1.1\r\n", request.method, part.url().unwrap_or_default()).as_bytes());
            for (name, value) in request.headers.iter() {
                made.extend_from_slice(format!("{name}: ").as_bytes());
                made.extend_from_slice(value);
                made.extend_from_slice(b"\r\n");
            }
            if let Body::Whole(body) = &request.body {
                made.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
                made.extend_from_slice(body);
                made.extend_from_slice(b"\r\n");
            } else {
                made.extend_from_slice(b"\r\n\r\n");
            }
        }
        made.extend_from_slice(&self.delimiter);
        made.extend_from_slice(b"--\r\n");
        let found = memmem::find_iter(&made, &self.delimiter).count();
        if found == parts.len() + 1 { Ok(made.into()) } else { Err(MULTIPART) }
    }
}
