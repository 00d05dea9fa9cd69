//! Batches in JSON.

use super::pattern::Absence;
use super::{BatchFault, HEADERS, Line, MEMBER, NO_PARTS, PART, Part, Pattern, Reader, Written};
use crate::inspect::json::is_alike;
use crate::inspect::{Json, Pointer};
use crate::request::{Ambiguity, Method, is_override};
use bytes::Bytes;

/// Where the parts of a batch stand in JSON, and what they say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JsonShape {
    /// The lists of parts.
    pub requests: Pattern,
    /// What a part is.
    pub part: PartShape,
    /// The body of a part, in the part; none where parts have none.
    pub body: Option<Pointer>,
    /// The headers of a part, in the part: an object of texts.
    pub headers: Option<Pointer>,
    /// Lists of more parts in a part.
    pub nested: Option<Pattern>,
    /// Other members that a part may have; none: any.
    pub members: Option<Vec<String>>,
}

/// What a part is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PartShape {
    /// It says so itself.
    Named {
        /// Where its method stands.
        method: Pointer,
        /// Where its URL stands.
        url: Pointer,
    },
    /// The policy says so.
    As {
        /// Its method.
        method: Method,
        /// Its path and query.
        target: Line,
    },
}

/// Members under which servers could look for a body or for headers that nobody read.
const UNREAD: [&str; 6] = ["body", "headers", "header", "httpheaders", "http_headers", "requestheaders"];

type Visitor<'v> = dyn FnMut(&mut Json) -> Result<(), BatchFault> + 'v;

impl JsonShape {
    pub(super) fn read(&self, json: &mut Json, segments: &[&str], reader: &mut Reader) -> Result<(), BatchFault> {
        self.each(json, &mut |part| {
            let number = reader.next()?;
            self.part(part, segments, reader).map_err(|ambiguity| BatchFault { part: Some(number), ambiguity })
        })
    }

    /// The document with the URL of each part as it was judged.
    pub(super) fn write(&self, mut json: Json, parts: &[Part]) -> Json {
        let PartShape::Named { url, .. } = &self.part else { return json };
        let mut urls = parts.iter().map(Part::url);
        let written = self.each(&mut json, &mut |part| {
            if let (Some(place), Some(Some(url))) = (part.at_mut(url), urls.next()) {
                *place = Json::Text(url);
            }
            Ok(())
        });
        debug_assert!(written.is_ok(), "it was read by the same shape");
        json
    }

    /// Visits each part, nested ones behind the part that they are in.
    fn each(&self, json: &mut Json, visitor: &mut Visitor<'_>) -> Result<(), BatchFault> {
        self.requests.visit(json, (Absence::Fault, NO_PARTS), &mut |list| self.each_of(list, visitor))
    }

    fn each_of(&self, list: &mut Json, visitor: &mut Visitor<'_>) -> Result<(), BatchFault> {
        let Json::List(items) = list else { return Err(NO_PARTS.into()) };
        for item in items {
            visitor(item)?;
            if let Some(nested) = &self.nested {
                nested.visit(item, (Absence::Skipped, NO_PARTS), &mut |list| self.each_of(list, visitor))?;
            }
        }
        Ok(())
    }

    fn part(&self, part: &Json, segments: &[&str], reader: &mut Reader) -> Result<(), Ambiguity> {
        let Json::Object(members) = part else { return Err(PART) };
        if members.iter().any(|(key, _)| !self.may_hold(key)) {
            return Err(MEMBER);
        }
        let body = self.body.as_ref().map(|body| part.at(body)).transpose()?.flatten().filter(|body| **body != Json::Null);
        let mut headers = self.headers.as_ref().map(|headers| part.at(headers)).transpose()?.flatten().map_or(Ok(Vec::new()), read_headers)?;
        let is_json = body.is_some_and(|body| body.as_text().is_none());
        let has_type = |headers: &[(String, String)]| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if is_json && !has_type(&headers) {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        } else if !is_json {
            // What a text stands for, such as base64, is nothing that a policy reads.
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        }
        let text = body.map(|body| body.as_text().map_or_else(|| body.to_string(), str::to_owned));
        let has_references = text.as_ref().is_some_and(|text| text.contains("@{"));
        let body = text.map(Bytes::from);
        match &self.part {
            PartShape::Named { method, url } => {
                let text = |pointer| part.at(pointer)?.and_then(Json::as_text).ok_or(PART);
                reader.take(Written { method: text(method)?, url: text(url)?, headers, body, has_references })
            }
            PartShape::As { method, target } => {
                let target = target.fill(segments, Some(part)).ok_or(PART)?;
                reader.take_as(Written { method: method.as_str(), url: &target, headers, body, has_references })
            }
        }
    }

    /// Whether a part may have a member of this name.
    fn may_hold(&self, key: &str) -> bool {
        let named = match &self.part {
            PartShape::Named { method, url } => vec![method, url],
            PartShape::As { .. } => Vec::new(),
        };
        let mut read = named.into_iter().chain(&self.body).chain(&self.headers).filter_map(|pointer| pointer.tokens().next());
        match &self.members {
            _ if self.body.as_ref().is_some_and(|body| body.as_str().is_empty()) && self.members.is_none() => true,
            Some(others) => read.any(|name| name == key) || others.iter().any(|name| name == key),
            None => read.any(|name| is_alike(name, key)) || !(is_override(key) || UNREAD.iter().any(|name| is_alike(name, key))),
        }
    }
}

fn read_headers(headers: &Json) -> Result<Vec<(String, String)>, Ambiguity> {
    let Json::Object(members) = headers else { return Err(HEADERS) };
    let read = |(name, value): &(String, Json)| {
        let value = value.as_text().filter(|value| value.trim() == *value)?;
        Some((name.clone(), value.to_owned()))
    };
    members.iter().map(read).collect::<Option<_>>().ok_or(HEADERS)
}
