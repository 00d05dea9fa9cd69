//! Parameters that the description declares: headers that pass, and honest names in the query.

use super::security::Security;
use super::{Form, Reading};
use crate::import::fault::Fault;
use crate::import::tree::Item;
use crate::request::{HeaderPattern, Query, encoded, is_common};
use std::collections::BTreeSet;

/// What one operation declares.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    /// Headers that pass only where a connector names them, in lower case.
    pub(super) headers: BTreeSet<String>,
    /// Query parameters that are honest although their names look like a credential.
    pub(super) allow_query: BTreeSet<String>,
    /// Whether it has a body.
    pub(super) body: bool,
}

/// Names under which tokens themselves travel: who brings one in the query speaks for somebody else, whatever a description says.
const TOKENS: [&str; 7] = ["accesstoken", "authtoken", "authorization", "bearer", "bearertoken", "oauthtoken", "token"];

/// Reads the parameters of an operation and of its path.
pub(super) fn read<'t>(
    reading: &mut Reading<'t, '_>,
    security: &Security,
    path: Item<'t>,
    operation: Item<'t>,
    place: &str,
) -> Result<Declared, Fault> {
    let mut declared = Declared { body: reading.form == Form::Three && operation.get("requestBody").is_some(), ..Declared::default() };
    for list in [path, operation].into_iter().filter_map(|item| item.get("parameters")?.items()) {
        for parameter in list {
            let parameter = reading.references.follow(parameter)?;
            let says = |key| parameter.get(key).and_then(Item::text);
            match (says("in"), says("name")) {
                (Some("header"), Some(name)) if !security.has_header(name) => declared.header(name),
                (Some("query"), Some(name)) if !security.has_query(name) && !declared.query(name) => {
                    reading.notes.add(format!("the query parameter `{name}` looks like a token, and does not pass"), place);
                }
                (Some("body" | "formData"), _) => declared.body = true,
                _ => {}
            }
        }
    }
    Ok(declared)
}

impl Declared {
    fn header(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        if !name.contains('*') && !is_common(&name) && name.parse::<HeaderPattern>().is_ok() {
            self.headers.insert(name);
        }
    }

    /// Whether requests with it pass, or need not be helped to.
    fn query(&mut self, name: &str) -> bool {
        let Ok(query) = Query::parse(&format!("{}=x", encoded(name))) else { return true };
        let is_token = TOKENS.contains(&name.to_ascii_lowercase().replace(['-', '_'], "").as_str());
        let suspected = query.suspects().iter().any(|suspect| suspect.allowable);
        if suspected && !is_token {
            self.allow_query.insert(name.to_owned());
        }
        !(suspected && is_token)
    }
}
