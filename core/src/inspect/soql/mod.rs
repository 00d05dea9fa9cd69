//! SOQL: what a query reads.
//!
//! The reader knows the whole grammar of queries (SOQL and SOSL reference, "SOQL SELECT
//! syntax") and nothing beside it: no comments, no bind variables, no second statement.
//! What it gives are names as they stand in the text; what they mean is the policy's.

mod parser;
mod tokens;

use crate::request::Ambiguity;
use parser::Parser;

const SYNTAX: Ambiguity = Ambiguity::new("soql-syntax", "policy reads the query, and it is no SOQL query that could be judged");
const LARGE: Ambiguity = Ambiguity::new("soql-too-large", "policy reads the query, and it is longer or deeper than any that is judged");

/// Nested selections and parentheses.
const DEEPEST: usize = 20;
const MOST_TOKENS: usize = 20_000;

/// One `SELECT`, and those in it. A path is a list of names: relationships, then a field.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Select<'t> {
    /// Behind `FROM`; at least one.
    pub from: Vec<Source<'t>>,
    /// Paths through relationships, from wherever they stand; plain fields are none.
    pub paths: Vec<Vec<&'t str>>,
    /// `TYPEOF ... END`.
    pub by_type: Vec<ByType<'t>>,
    /// Selections in the list of fields: each reads a relationship of this one.
    pub children: Vec<Select<'t>>,
    /// Selections that a condition compares with: each reads an object of its own.
    pub joined: Vec<Select<'t>>,
}

/// An object, or a path of relationships that leads to one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Source<'t> {
    /// The object's name, or names of relationships.
    pub path: Vec<&'t str>,
    /// How the query calls it.
    pub alias: Option<&'t str>,
}

/// `TYPEOF relationship WHEN Type THEN fields ... ELSE fields END`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ByType<'t> {
    /// Names of relationships.
    pub path: Vec<&'t str>,
    /// The object of each `WHEN`, and paths that begin at it.
    pub when: Vec<(&'t str, Vec<Vec<&'t str>>)>,
}

impl<'t> Select<'t> {
    /// Reads a query.
    /// # Errors
    /// A text that is no query, or one that is too large.
    pub fn read(text: &'t str) -> Result<Self, Ambiguity> {
        Parser::new(tokens::read(text)?).query()
    }
}

#[cfg(test)]
mod tests;
