//! Tests that stand in documents: read from their line form, and run as the proxy decides.

use super::decision::{DenialReason, Ruling};
use super::document::{Place, RawCase};
use super::set::PolicySet;
use crate::account::Granted;
use crate::id::{ConnectorId, OperationId, RoleName};
use crate::scope::Scope;

/// One request of a test, and what must come of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The test's name.
    pub name: String,
    /// Who asks.
    pub role: RoleName,
    /// What the customer granted.
    pub granted: Granted,
    /// The connector.
    pub connector: ConnectorId,
    /// The method, as it stands in a request line.
    pub method: String,
    /// Path and query as they stand in a request line, without the connector's segment.
    pub target: String,
    /// Headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// What must come of it.
    pub expect: Expectation,
    /// Where the expectation stands.
    pub place: Place,
}

/// What must come of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expectation {
    /// `allow`, `allow OPERATION`, `allow LEFT+RIGHT`: these operations, sorted; empty: any.
    Allow(Vec<OperationId>),
    /// `deny REASON`, `deny REASON SCOPE...`.
    Deny {
        /// Why.
        reason: DenialReason,
        /// Exactly these scopes lack, in any order; empty: any.
        missing: Vec<Scope>,
    },
}

/// A text that is no test.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{sentence}")]
pub struct InvalidCase {
    /// Where it is wrong, in bytes from 0.
    pub offset: usize,
    /// What is wrong: one lower-case sentence.
    pub sentence: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The pieces of the line form, `CONNECTOR METHOD TARGET -> EXPECTATION`, each with its offset in bytes from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaseLine<'a> {
    /// The connector.
    pub connector: (usize, &'a str),
    /// The method.
    pub method: (usize, &'a str),
    /// The target.
    pub target: (usize, &'a str),
    /// The expectation.
    pub expect: (usize, &'a str),
}

impl<'a> CaseLine<'a> {
    /// Takes the line form apart.
    /// # Errors
    /// The piece that lacks, or is too much.
    pub fn parse(_text: &'a str) -> Result<Self, InvalidCase> {
        todo!()
    }
}

impl Expectation {
    /// Reads `allow`, `allow OPERATION`, `deny REASON` or `deny REASON SCOPE...`.
    /// # Errors
    /// The word that is none of these, with the nearest one that is.
    pub fn parse(_text: &str) -> Result<Self, InvalidCase> {
        todo!()
    }
}

impl Case {
    /// The case that a document's text says.
    /// # Errors
    /// What is wrong; offsets count in the text of `expect`, or are 0.
    pub fn new(_raw: RawCase) -> Result<Self, InvalidCase> {
        todo!()
    }
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct CaseOutcome<'a> {
    /// The case.
    pub case: &'a Case,
    /// What was decided.
    pub ruling: Ruling,
}

/// Runs all cases, in order.
#[must_use]
pub fn run<'a>(_policies: &PolicySet, _cases: &'a [Case]) -> Vec<CaseOutcome<'a>> {
    todo!()
}
