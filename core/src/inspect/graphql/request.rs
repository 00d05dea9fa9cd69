//! GraphQL over HTTP: where the document stands in a request.

use super::{Asked, BY_GET, GraphqlKind, GraphqlLimits, LIST, NO_TEXT, PERSISTED, SHAPE, TWINS};
use crate::inspect::Json;
use crate::request::{Ambiguity, Query};
use sha2::{Digest, Sha256};

/// One operation that a request asks for: the document, and the name of the operation in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    text: String,
    name: Option<String>,
}

/// The members of a request. Whatever else stands there could name a document of its own.
const MEMBERS: [&str; 4] = ["query", "operationName", "variables", "extensions"];

/// Names under which servers look for a document that they keep.
const KEPT: [&str; 5] = ["id", "documentId", "doc_id", "queryId", "hash"];

impl Call {
    /// All calls of a JSON body: an object, or a list of at most `most` of them. `query` is the query of the target.
    /// # Errors
    /// A shape that is none of GraphQL over HTTP, a document that is not there, or parts that stand in the query too.
    pub fn in_body(body: &Json, query: &Query, most: usize) -> Result<Vec<Self>, Ambiguity> {
        if query.parameters().iter().any(|parameter| MEMBERS.iter().chain(&KEPT).any(|name| parameter.could_be(name))) {
            return Err(TWINS);
        }
        match body {
            Json::List(calls) if calls.is_empty() || calls.len() > most => Err(LIST),
            Json::List(calls) => calls.iter().map(Self::of).collect(),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::Object(_) => Self::of(body).map(|call| vec![call]),
        }
    }

    /// The call of a query: parameters instead of members.
    /// # Errors
    /// As for a body; and a parameter that stands twice, or is none of the four.
    pub fn in_query(query: &Query) -> Result<Self, Ambiguity> {
        let mut members: Vec<(String, Json)> = Vec::new();
        for parameter in query.parameters() {
            let name = MEMBERS.iter().find(|name| parameter.could_be(name));
            match name {
                Some(name) if *name == parameter.name && !members.iter().any(|(known, _)| known == name) => {
                    let is_text = matches!(*name, "query" | "operationName");
                    let value = if is_text { Json::Text(parameter.value.clone()) } else { Json::read(parameter.value.as_bytes())? };
                    members.push(((*name).to_owned(), value));
                }
                Some(_) | None => return Err(SHAPE),
            }
        }
        Self::of(&Json::Object(members))
    }

    /// What it asks for.
    /// # Errors
    /// See [`Asked::read`].
    pub fn asked(&self, limits: GraphqlLimits) -> Result<Asked, Ambiguity> {
        Asked::read(&self.text, self.name.as_deref(), limits)
    }

    /// What it asks for by GET, where servers execute queries alone.
    /// # Errors
    /// See [`Asked::read`]; and any other operation than a query.
    pub fn asked_by_get(&self, limits: GraphqlLimits) -> Result<Asked, Ambiguity> {
        let asked = self.asked(limits)?;
        if asked.kind == GraphqlKind::Query { Ok(asked) } else { Err(BY_GET) }
    }

    fn of(object: &Json) -> Result<Self, Ambiguity> {
        let Json::Object(members) = object else { return Err(SHAPE) };
        if members.iter().any(|(key, _)| !MEMBERS.contains(&key.as_str())) {
            return Err(SHAPE);
        }
        let member = |key: &str| members.iter().find(|(known, _)| known == key).map(|(_, value)| value).filter(|value| **value != Json::Null);
        let text = match member("query") {
            Some(Json::Text(text)) if !text.trim().is_empty() => text.clone(),
            Some(Json::Text(_)) | None => return Err(NO_TEXT),
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_)) => return Err(SHAPE),
        };
        let name = match member("operationName") {
            None => None,
            Some(Json::Text(name)) => Some(name.clone()).filter(|name| !name.is_empty()),
            Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_)) => return Err(SHAPE),
        };
        if !matches!(member("variables"), None | Some(Json::Object(_))) {
            return Err(SHAPE);
        }
        check_extensions(member("extensions"), &text)?;
        Ok(Self { text, name })
    }
}

/// A persisted query may be named by the hash of the very document that is sent along.
fn check_extensions(extensions: Option<&Json>, text: &str) -> Result<(), Ambiguity> {
    let Some(extensions) = extensions else { return Ok(()) };
    if !matches!(extensions, Json::Object(_)) {
        return Err(SHAPE);
    }
    let Some(persisted) = extensions.member("persistedQuery")? else { return Ok(()) };
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let named = persisted.member("sha256Hash")?.and_then(Json::as_text);
    if named.is_some_and(|named| named.eq_ignore_ascii_case(&hash)) { Ok(()) } else { Err(PERSISTED) }
}
