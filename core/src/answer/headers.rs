//! Which headers of an answer pass.

use super::links::Links;
use super::mask::Needle;
use super::unpack::Packing;
use crate::id::ConnectorId;
use crate::request::Method;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};

/// Whether a `Location` to another origin passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Redirects {
    /// It is dropped.
    Stay,
    /// It passes (`redirect: pass` of the operation).
    Pass,
}

/// What is known of the request when its answer's head comes.
#[derive(Debug)]
pub struct AnswerRules<'a> {
    /// The connector that answers.
    pub connector: &'a ConnectorId,
    /// The request's method.
    pub method: &'a Method,
    /// How links of the upstream lead back.
    pub links: &'a Links,
    /// What of redirects passes.
    pub redirects: Redirects,
    /// What must not be in the answer; empty where answers are not searched, which leaves packed ones packed.
    pub needles: &'a [Needle],
}

/// What of an answer's head passes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AnswerHeaders {
    /// In order.
    pub headers: Vec<(HeaderName, Bytes)>,
    /// How the body has to be unpacked before it is searched and passed on.
    pub packing: Option<Packing>,
    /// How often a needle was found in headers and overwritten.
    pub hits: u64,
}

impl AnswerHeaders {
    /// Lets `headers` of an answer with `status` pass by `rules`.
    #[must_use]
    pub fn pass(_status: StatusCode, _headers: &HeaderMap, _rules: &AnswerRules<'_>) -> Self {
        todo!()
    }
}
