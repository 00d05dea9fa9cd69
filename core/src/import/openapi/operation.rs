//! Operations as they stand in `paths`.

use super::security::{Listed, Security};
use super::servers::{Address, Servers, Settled};
use super::{Asked, Reading, extension, parameters};
use crate::import::MOST_OPERATIONS;
use crate::import::draft;
use crate::import::fault::Fault;
use crate::import::notes::Notes;
use crate::import::paths::{self, Odd, Path};
use crate::import::tree::Item;
use crate::policy::{Letters, PathTemplate};
use parameters::Declared;
use std::collections::{BTreeMap, BTreeSet};

/// The keys of a path that are methods, and how these stand in a request. TRACE is never forwarded.
const METHODS: [(&str, &str); 8] = [
    ("delete", "DELETE"),
    ("get", "GET"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
    ("patch", "PATCH"),
    ("post", "POST"),
    ("put", "PUT"),
    ("query", "QUERY"),
];

/// One operation of a description.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) id: Option<String>,
    pub(super) method: &'static str,
    /// Its key in `paths`.
    key: String,
    path: Path,
    pub(super) server: Option<Address>,
    asked: Asked,
    /// The first list of scopes whose meaning is open.
    pub(super) open_list: Option<Vec<String>>,
    /// Whether it lists scopes.
    pub(super) lists: bool,
    /// Schemes that list scopes and carry none.
    pub(super) others: BTreeSet<String>,
    pub(super) headers: BTreeSet<String>,
    allow_query: BTreeSet<String>,
    body: bool,
}

/// An operation where it stands.
struct Found<'t> {
    key: &'t str,
    method: &'static str,
    path: Item<'t>,
    operation: Item<'t>,
}

/// Reads all operations.
pub(super) fn read_all(reading: &mut Reading<'_, '_>, security: &Security) -> Result<Vec<Operation>, Fault> {
    let found = find_all(reading)?;
    if let (Some(first), true) = (found.first(), found.len() > MOST_OPERATIONS) {
        return Err(Fault::at(first.operation.at(), format!("the description has more than {MOST_OPERATIONS} operations")));
    }
    let extended = found.iter().any(|one| extension::find(one.operation, reading.wishes).is_some());
    if let (Some(key), false) = (&reading.wishes.extension, extended) {
        return Err(Fault::unsaid(format!("no operation has the key `{key}`, as `--extension` says")));
    }
    let source = if extended { NeedsStandIn::Extension } else { NeedsStandIn::Security };
    let mut made = Vec::with_capacity(found.len());
    for one in found {
        made.extend(one.read(reading, security, source)?);
    }
    if made.is_empty() {
        return Err(Fault::whole("the description has no operations"));
    }
    Ok(made)
}

/// Where the needs of a description stand: where a key of a vendor says some of them, `security` says none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum NeedsStandIn {
    Extension,
    Security,
}

fn find_all<'t>(reading: &mut Reading<'t, '_>) -> Result<Vec<Found<'t>>, Fault> {
    let Some(all) = reading.root.get("paths").filter(|paths| paths.is_map()) else { return Err(Fault::whole("the description has no `paths`")) };
    let mut made = Vec::new();
    for (key, own) in all.entries().filter(|(key, _)| !key.starts_with("x-")) {
        let path = reading.references.follow(own)?;
        for (word, method) in METHODS {
            let Some(operation) = own.get(word).or_else(|| path.get(word)) else { continue };
            let operation = reading.references.follow(operation)?;
            if operation.is_map() {
                made.push(Found { key, method, path, operation });
            }
        }
    }
    Ok(made)
}

impl<'t> Found<'t> {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.key)
    }

    /// None where no request could be meant by it.
    fn read(self, reading: &mut Reading<'t, '_>, security: &Security, source: NeedsStandIn) -> Result<Option<Operation>, Fault> {
        let name = self.name();
        let (path, odd) = match paths::read(self.key) {
            Ok(read) => read,
            Err(paths::NoPath(why)) => {
                reading.notes.add(format!("left out, for {why}"), name);
                return Ok(None);
            }
        };
        for one in odd {
            reading.notes.add(one.sentence(), name.clone());
        }
        let Ok(server) = Servers::of(self.path, self.operation, &mut reading.notes) else {
            reading.notes.add("left out, for none of its servers can be used", name);
            return Ok(None);
        };
        let Listed { alternatives, others } = self.listed(reading, security, source);
        let declared = parameters::read(reading, security, self.path, self.operation, &name)?;
        let Declared { headers, allow_query, body } = declared;
        if alternatives.is_illegal() {
            reading.notes.add("something that is listed as a scope is none, and is left out", name.clone());
        }
        let (open_list, lists) = (alternatives.open_list.clone(), alternatives.lists());
        Ok(Some(Operation {
            id: self.operation.get("operationId").and_then(Item::text).map(str::to_owned),
            method: self.method,
            key: self.key.to_owned(),
            path,
            server,
            asked: alternatives.asked(self.operation.at(), &name)?,
            open_list,
            lists,
            others,
            headers,
            allow_query,
            body: body && matches!(self.method, "GET" | "HEAD"),
        }))
    }

    /// What is said of its need; where nothing is, nothing is known.
    fn listed(&self, reading: &mut Reading<'t, '_>, security: &Security, source: NeedsStandIn) -> Listed {
        let array = reading.wishes.array;
        let listed = match source {
            NeedsStandIn::Extension => {
                let found = extension::find(self.operation, reading.wishes);
                found.map(|found| found.alternatives(array).map(|alternatives| Listed { alternatives, ..Listed::default() }))
            }
            NeedsStandIn::Security => {
                let own = self.operation.get("security").filter(|item| !item.is_null());
                let said = own.or_else(|| reading.root.get("security").filter(|item| !item.is_null()));
                said.map(|said| security.listed(Some(said), array))
            }
        };
        match listed {
            Some(None) => {
                reading.notes.add("what is said of its scopes has a form that is not known, so nobody knows what it needs", self.name());
                Listed::default()
            }
            Some(Some(listed)) => listed,
            None => Listed::default(),
        }
    }
}

impl Odd {
    fn sentence(self) -> &'static str {
        match self {
            Self::Fragment => {
                "what stands behind a `#` is no part of a path: it is taken for the path, and has to be allowed besides what else matches"
            }
            Self::AnyValue => "a query parameter of the path may have any value, and is not asked for",
        }
    }
}

impl Operation {
    /// As notes name it.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.key)
    }

    /// By template, and then by whatever else tells operations apart.
    pub(super) fn key(&self) -> (&Path, &str, &Option<Address>, &str) {
        (&self.path, self.method, &self.server, &self.key)
    }

    /// What operations have in common that match the same requests.
    pub(super) fn shape(&self) -> (&'static str, String, BTreeMap<String, String>, Option<Address>) {
        let template = PathTemplate::parse(&self.path.template).map_or_else(|_| self.path.template.clone(), |read| read.shape(Letters::Exact));
        (self.method, template, self.path.query.clone(), self.server.clone())
    }

    pub(super) fn literals(&self) -> Vec<&str> {
        paths::literals(&self.path.template)
    }

    pub(super) fn provider_scopes(&self) -> impl Iterator<Item = &String> {
        let sets = match &self.asked {
            Asked::Any(sets) => Some(sets),
            Asked::Nothing | Asked::Unknown => None,
        };
        sets.into_iter().flatten().flatten()
    }

    pub(super) fn into_draft(self, id: String, scopes: &BTreeMap<String, String>, settled: &Settled, notes: &mut Notes) -> Option<draft::Operation> {
        let place = settled.place(self.server.as_ref());
        let whole = format!("{}{}", place.base, self.path.template);
        let Ok((path, _)) = paths::read(&whole) else {
            notes.add("left out, for the path of its server makes no template", self.name());
            return None;
        };
        Some(draft::Operation {
            id,
            method: self.method,
            template: path.template,
            query: self.path.query,
            host: place.host,
            body: self.body,
            allow_query: self.allow_query,
            need: self.asked.into_need(scopes),
        })
    }
}
