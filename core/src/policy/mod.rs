//! Policies: which scopes an operation needs, and whether an account holds them.
//!
//! Platform teams write documents; [`compile`] turns all of them into one
//! immutable [`PolicySet`]; [`judge`] answers one request from it. Nothing here
//! does I/O, reads a clock, or has heard of HTTP servers.
//!
//! **Invariant: silence denies.** A request that no operation names is refused.
//! Where two operations match and neither is more specific, both must hold.

mod case;
mod choice;
mod code;
mod compile;
mod content;
mod coverage;
mod decision;
mod diagnostic;
mod diff;
pub mod document;
mod examples;
mod explain;
#[cfg(test)]
mod fixture;
mod format;
mod judge;
mod limits;
mod machine;
mod matrix;
mod model;
mod narrow;
mod operation;
mod places;
mod probe;
mod render;
mod replay;
mod role;
mod router;
mod rules;
mod schema;
mod scopes;
mod set;
mod suggest;
mod template;

pub use case::{Case, CaseLine, CaseOutcome, Expectation, InvalidCase, run};
pub use code::Code;
pub use compile::{Compiled, Origin, Override, Source, Summary, compile, hash_of};
pub use content::{Alternatives, Content, Graphql, QueryPlace, Soql};
pub use coverage::{Coverage, Share, coverage};
pub use decision::{Allowance, Contained, Decision, Denial, DenialReason, DeniedBy, Lack, Operations, Permit, Ruling, Undeclared};
pub use diagnostic::{Diagnostic, Finding, Findings, Severity};
pub use diff::{Consent, Difference, Pair, diff};
pub use examples::{CodeCase, CodeExample, code_examples};
pub use explain::{Explanation, Nearest, Verdict, explain, explain_ambiguity};
pub use format::{Unformatted, format};
pub use limits::{InvalidRate, InvalidSize, Limits, Rate, Size};
pub use machine::{JunitCase, github, junit, junit_of_findings, sarif};
pub use matrix::{Matrix, Row, matrix};
pub use model::{ConnectorModel, Mode, Model, RoleModel};
pub use operation::{Narrow, Need, Operation};
pub use places::{Checked, Needs, Places};
pub use probe::{Answer, Probed};
pub use render::{Look, render};
pub use replay::{Again, Past, again};
pub use schema::{cases_schema, policy_schema};
pub use set::{PolicySet, decide, judge, largest_body, read};
pub use suggest::{Suggested, Suggestion, Use, suggest};
pub use template::{InvalidPathTemplate, Letters, PathTemplate};

/// The language of policy documents, as README, `scopegate man` and these pages show it.
///
#[doc = include_str!("reference.md")]
pub const REFERENCE: &str = include_str!("reference.md");
