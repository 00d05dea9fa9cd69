//! OpenAPI 3 and 2: where servers, operations, needs and parameters stand.

mod extension;
mod operation;
mod parameters;
mod references;
mod security;
mod servers;

#[cfg(test)]
mod tests;

use super::Wishes;
use super::draft::{Draft, Need, Source};
use super::fault::Fault;
use super::names::{self, Called};
use super::notes::{self, Notes};
use super::tree::Item;
use operation::Operation;
use references::References;
use security::Security;
pub(super) use security::least;
use servers::Servers;
use std::collections::{BTreeMap, BTreeSet};

/// Which of the two forms a description has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// `openapi: 3.x`
    Three,
    /// `swagger: "2.0"`
    Two,
}

/// What is read everywhere.
pub(super) struct Reading<'t, 'w> {
    form: Form,
    root: Item<'t>,
    wishes: &'w Wishes,
    references: References<'t>,
    notes: Notes,
}

/// Reads a description; `kind` and `sha256` of its source are still to be said.
pub(super) fn read(root: Item<'_>, wishes: &Wishes) -> Result<(Draft, Vec<String>), Fault> {
    let form = form(root)?;
    references::refuse_foreign(root)?;
    let mut reading = Reading { form, root, wishes, references: References::new(root), notes: Notes::default() };
    let security = Security::read(&mut reading)?;
    let servers = Servers::read(&mut reading)?;
    let mut operations = operation::read_all(&mut reading, &security)?;
    security.refuse_what_only_others_list(&operations)?;
    ask_for_arrays(&operations, wishes)?;
    operations.sort_by(|left, right| left.key().cmp(&right.key()));
    tell_same_shapes(&operations, &mut reading.notes);
    let settled = servers.settle(&operations, &mut reading.notes)?;
    let oauth = security.oauth(settled.origin(), &mut reading.notes);
    let request_headers = operations.iter().flat_map(|operation| operation.headers.iter().cloned()).collect();
    let scopes = names::scopes(&operations.iter().flat_map(Operation::provider_scopes).cloned().collect());
    let ids = ids(&operations);
    let named = operations.into_iter().zip(ids);
    let drafts = named.filter_map(|(operation, id)| operation.into_draft(id, &scopes, &settled, &mut reading.notes)).collect();
    let draft = Draft {
        connector: wishes.connector.clone(),
        upstream: settled.upstream,
        hosts: settled.hosts,
        variables: settled.variables,
        oauth,
        case_insensitive_paths: false,
        request_headers,
        source: source(root),
        scopes: scopes.into_iter().map(|(provider, name)| (name, provider)).collect(),
        operations: drafts,
    };
    Ok((draft, reading.notes.sentences()))
}

fn form(root: Item<'_>) -> Result<Form, Fault> {
    let says = |key| root.get(key).and_then(Item::text);
    match (says("openapi"), says("swagger")) {
        (Some(version), _) if version.starts_with("3.") => Ok(Form::Three),
        (None, Some(version)) if version == "2.0" || version == "2" => Ok(Form::Two),
        (Some(version), _) | (None, Some(version)) => {
            Err(Fault::whole(format!("the description is of OpenAPI {version}, and only 3 and 2 are read")))
        }
        (None, None) => Err(Fault::whole("this is no OpenAPI description: neither `openapi: 3.x` nor `swagger: \"2.0\"` stands at its top")),
    }
}

/// A flag is asked for only where some list's meaning is open.
fn ask_for_arrays(operations: &[Operation], wishes: &Wishes) -> Result<(), Fault> {
    let open = operations.iter().filter(|_| wishes.array.is_none()).find_map(|operation| Some((operation, operation.open_list.as_ref()?)));
    let Some((operation, scopes)) = open else { return Ok(()) };
    let listed = scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(", ");
    Err(Fault::unsaid(format!(
        "`{}` lists {listed} together, and the description does not say whether one of them is enough: say `--array any` or `--array all`",
        operation.name()
    )))
}

/// Operations of one shape are both meant: both have to be allowed.
fn tell_same_shapes(operations: &[Operation], notes: &mut Notes) {
    let mut seen: BTreeSet<_> = BTreeSet::new();
    for operation in operations {
        if !seen.insert(operation.shape()) {
            notes.add(notes::SAME_SHAPE, operation.name());
        }
    }
}

fn ids(operations: &[Operation]) -> Vec<String> {
    let literals: Vec<Vec<&str>> = operations.iter().map(Operation::literals).collect();
    let called = operations.iter().zip(&literals).map(|(operation, literals)| Called {
        id: operation.id.as_deref(),
        method: operation.method,
        literals: literals.as_slice(),
    });
    names::operation_ids(&called.collect::<Vec<_>>())
}

fn source(root: Item<'_>) -> Source {
    let info = root.get("info");
    let short = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect::<String>();
    let says = |item: Option<Item<'_>>| item.and_then(Item::text).map(short).filter(|text| !text.is_empty());
    let licence = info.and_then(|info| info.get("license"));
    Source {
        kind: "",
        title: says(info.and_then(|info| info.get("title"))),
        version: says(info.and_then(|info| info.get("version"))),
        licence: says(licence.and_then(|licence| licence.get("identifier"))).or_else(|| says(licence.and_then(|licence| licence.get("name")))),
        sha256: String::new(),
    }
}

/// What an operation needs, in provider scopes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Asked {
    Nothing,
    Unknown,
    /// One of these sets wholly; none is empty, and none holds another.
    Any(BTreeSet<BTreeSet<String>>),
}

impl Asked {
    fn into_need(self, names: &BTreeMap<String, String>) -> Need {
        let named = |set: BTreeSet<String>| set.iter().filter_map(|scope| names.get(scope).cloned()).collect();
        match self {
            Self::Nothing => Need::Nothing,
            Self::Unknown => Need::Unknown,
            Self::Any(sets) => Need::Any(sets.into_iter().map(named).collect()),
        }
    }
}
