//! Public API descriptions -> connector documents: operations, scopes and requirements, and no prose.
//!
//! A description is read within limits and in one reading only; what it leaves open is asked of whoever
//! imports, and what it does not say is `require: unknown`. The document does not depend on the order of
//! the file, and alone it is clean for `policy check`.
//!
//! **Invariant: nothing is allowed that the description does not say.** An operation whose need is missing,
//! or cannot be read, is always refused.

mod draft;
mod fault;
mod google_discovery;
mod json;
mod msgraph_permissions;
mod names;
mod notes;
mod openapi;
mod paths;
mod text;
mod tree;
mod yaml;

pub use fault::Refusal;

use crate::id::ConnectorId;
use crate::policy::{Origin, Severity, Source, compile};
use draft::Draft;
use fault::Fault;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// More operations than any API has.
const MOST_OPERATIONS: usize = 100_000;

/// More alternatives than the language takes.
const MOST_ALTERNATIVES: usize = 1000;

/// What whoever imports says besides the description.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The connector's name.
    pub connector: ConnectorId,
    /// Origin of the API, perhaps with a path, instead of the description's first server.
    pub upstream: Option<String>,
    /// What several scopes in one list mean.
    pub array: Option<Array>,
    /// Security schemes that carry scopes although they are not OAuth 2.
    pub schemes: Vec<String>,
    /// The key of operations under which their scopes stand.
    pub extension: Option<String>,
    /// Only schemes that issue tokens of this kind carry scopes.
    pub kind: Option<Kind>,
}

/// What several scopes in one list mean.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Array {
    /// One of them is enough.
    Any,
    /// All of them are needed.
    All,
}

/// For whom a token speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// For a person who consented.
    Delegated,
    /// For the application itself.
    Application,
}

/// What came of a description.
#[derive(Clone, Debug)]
pub struct Imported {
    /// A whole policy document.
    pub document: String,
    /// What whoever imports should know, a sentence each.
    pub notes: Vec<String>,
    /// How many operations there are.
    pub operations: usize,
    /// Those of them whose need nobody knows.
    pub unknown: usize,
    /// How many scopes there are.
    pub scopes: usize,
}

/// Reads an OpenAPI description, version 3 or 2, as JSON or YAML, perhaps packed with gzip.
/// # Errors
/// What the description does not say and a flag would, or why it is refused.
pub fn openapi(file: &[u8], wishes: &Wishes) -> Result<Imported, Refusal> {
    let text = text::of(file)?;
    let read = tree::read(&text).and_then(|tree| openapi::read(tree.root(), wishes));
    finished(file, "openapi", read.map_err(|fault| fault.in_text(&text))?, wishes)
}

/// Reads a description in Google's Discovery format, perhaps packed with gzip.
/// # Errors
/// As for [`openapi`].
pub fn google_discovery(file: &[u8], wishes: &Wishes) -> Result<Imported, Refusal> {
    let text = text::of(file)?;
    let said = tree::read(&text).and_then(|tree| google_discovery::in_openapi(tree.root())).map_err(|fault| fault.in_text(&text))?;
    let read = tree::read(&said).and_then(|tree| openapi::read(tree.root(), wishes));
    finished(file, "google-discovery", read.map_err(Fault::without_place)?, wishes)
}

/// Reads Microsoft Graph's list of permissions, perhaps packed with gzip: for tokens of people, unless `wishes.kind` says otherwise.
/// # Errors
/// As for [`openapi`].
pub fn msgraph_permissions(file: &[u8], wishes: &Wishes) -> Result<Imported, Refusal> {
    let text = text::of(file)?;
    let read = tree::read(&text).and_then(|tree| msgraph_permissions::read(tree.root(), wishes));
    finished(file, "msgraph-permissions", read.map_err(|fault| fault.in_text(&text))?, wishes)
}

fn finished(file: &[u8], kind: &'static str, (mut draft, notes): (Draft, Vec<String>), wishes: &Wishes) -> Result<Imported, Refusal> {
    draft.source.kind = kind;
    draft.source.sha256 = Sha256::digest(file).iter().map(|byte| format!("{byte:02x}")).collect();
    let document = draft.to_yaml();
    clean(&wishes.connector, &document)?;
    let unknown = draft.operations.iter().filter(|operation| operation.need == draft::Need::Unknown).count();
    Ok(Imported { document, notes, operations: draft.operations.len(), unknown, scopes: draft.scopes.len() })
}

/// The last word has the compiler: what has a mistake is not handed over.
fn clean(connector: &ConnectorId, document: &str) -> Result<(), Refusal> {
    let source = Source { name: format!("{connector}.yaml"), text: document.to_owned(), origin: Origin::Own };
    let compiled = compile(&[source], &BTreeMap::new());
    match compiled.diagnostics.into_iter().find(|finding| finding.severity == Severity::Error) {
        None => Ok(()),
        Some(finding) => Err(Refusal::refused(format!("no clean document comes of it: {}", finding.message))),
    }
}
