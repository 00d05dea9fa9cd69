//! Microsoft Graph's list of permissions: each names the paths and methods that it opens, by kind of token.
//!
//! Turned around, an operation needs any one of the permissions that name it, with all that one says besides
//! (`AlsoRequires`). Paths compare without regard to case, and the version stands in the upstream.

use super::draft::{self, Draft, Need, OAuth, Source};
use super::fault::Fault;
use super::notes::{self, Notes};
use super::paths::{self, NoPath};
use super::tree::Item;
use super::{Kind, MOST_ALTERNATIVES, MOST_OPERATIONS, Wishes, names, openapi};
use crate::policy::{Letters, PathTemplate};
use crate::scope::ProviderScope;
use std::collections::{BTreeMap, BTreeSet};

const UPSTREAM: &str = "https://graph.microsoft.com/v1.0";

/// Where people of any organisation consent; the list does not say it.
const SIGN_IN: &str = "https://login.microsoftonline.com/common/oauth2/v2.0";

const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];

/// An operation by its path in lower case and its method.
type Key = (String, &'static str);

#[derive(Debug, Default)]
struct Operation {
    /// The path as the list writes it.
    path: String,
    alternatives: BTreeSet<BTreeSet<String>>,
}

/// Reads the list; `kind` and `sha256` of its source are still to be said.
pub(super) fn read(root: Item<'_>, wishes: &Wishes) -> Result<(Draft, Vec<String>), Fault> {
    let Some(permissions) = root.get("permissions").filter(|item| item.is_map()) else {
        return Err(Fault::whole("this is no list of Microsoft Graph's permissions: `permissions` does not stand at its top"));
    };
    let mut notes = Notes::default();
    let mut found = BTreeMap::new();
    for (permission, facts) in permissions.entries() {
        for set in facts.get("pathSets").and_then(Item::items).into_iter().flatten().filter(|set| is_of_kind(*set, wishes.kind)) {
            gather(permission, set, &mut found, &mut notes);
        }
    }
    if found.len() > MOST_OPERATIONS {
        return Err(Fault::whole(format!("there are more than {MOST_OPERATIONS} operations")));
    }
    drafted(found, wishes, notes)
}

/// Whether these paths are opened by tokens of the kind that is asked for.
fn is_of_kind(set: Item<'_>, kind: Option<Kind>) -> bool {
    let opens = |scheme: &str| match kind {
        Some(Kind::Application) => scheme == "Application",
        Some(Kind::Delegated) | None => scheme.starts_with("Delegated"),
    };
    texts(set.get("schemeKeys")).any(opens)
}

fn texts<'t>(list: Option<Item<'t>>) -> impl Iterator<Item = &'t str> {
    list.and_then(Item::items).into_iter().flatten().filter_map(Item::text)
}

/// The paths of one set, each with each of its methods.
fn gather(permission: &str, set: Item<'_>, found: &mut BTreeMap<Key, Operation>, notes: &mut Notes) {
    let methods: Vec<&'static str> = texts(set.get("methods")).filter_map(|word| METHODS.into_iter().find(|method| *method == word)).collect();
    for (path, says) in set.get("paths").into_iter().flat_map(Item::entries) {
        let needed: BTreeSet<String> = std::iter::once(permission).chain(besides(says)).map(str::to_owned).collect();
        if needed.len() > 2 {
            notes.add("several permissions are named besides another, and all of them are taken to be needed", path);
        }
        if needed.iter().any(|name| name.parse::<ProviderScope>().is_err()) {
            notes.add("something that is listed as a permission is none, and is left out", path);
            continue;
        }
        for method in &methods {
            let operation = found.entry((path.to_lowercase(), *method)).or_default();
            // Of several spellings the one with capitals, whatever the order of the file.
            if operation.path.is_empty() || path < operation.path.as_str() {
                path.clone_into(&mut operation.path);
            }
            operation.alternatives.insert(needed.clone());
        }
    }
}

/// `least=DelegatedWork;AlsoRequires=A,B`: what is needed besides.
fn besides<'t>(says: Item<'t>) -> impl Iterator<Item = &'t str> {
    let parts = says.text().unwrap_or_default().split(';').filter_map(|part| part.trim().split_once('='));
    let also = parts.filter(|(word, _)| word.eq_ignore_ascii_case("AlsoRequires"));
    also.flat_map(|(_, listed)| listed.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

/// An operation whose path is a template.
struct Ready {
    template: String,
    method: &'static str,
    operation: Operation,
}

fn drafted(found: BTreeMap<Key, Operation>, wishes: &Wishes, mut notes: Notes) -> Result<(Draft, Vec<String>), Fault> {
    let mut ready = Vec::new();
    let mut shapes = BTreeSet::new();
    for ((_, method), operation) in found {
        let name = format!("{method} {}", operation.path);
        match template(&operation.path) {
            Err(NoPath(why)) => notes.add(format!("left out, for {why}"), name),
            Ok(_) if operation.alternatives.len() > MOST_ALTERNATIVES => {
                return Err(Fault::whole(format!("`{name}` has more than {MOST_ALTERNATIVES} alternatives")));
            }
            Ok(template) => {
                let shape = PathTemplate::parse(&template).map_or_else(|_| template.clone(), |read| read.shape(Letters::AnyCase));
                if !shapes.insert((shape, method)) {
                    notes.add(notes::SAME_SHAPE, name);
                }
                ready.push(Ready { template, method, operation });
            }
        }
    }
    let provider: BTreeSet<String> = ready.iter().flat_map(|one| one.operation.alternatives.iter().flatten().cloned()).collect();
    let scopes = names::scopes(&provider);
    let ids = names::method_and_path(ready.iter().map(|one| (one.method, one.operation.path.as_str())));
    let operations = ready.into_iter().zip(ids).map(|(one, id)| one.into_draft(id, &scopes)).collect();
    let draft = Draft {
        connector: wishes.connector.clone(),
        upstream: wishes.upstream.clone().unwrap_or_else(|| UPSTREAM.to_owned()),
        hosts: BTreeMap::new(),
        variables: BTreeMap::new(),
        oauth: (wishes.kind != Some(Kind::Application)).then(sign_in),
        case_insensitive_paths: true,
        request_headers: BTreeSet::new(),
        source: Source { title: Some("Microsoft Graph".to_owned()), ..Source::default() },
        scopes: scopes.into_iter().map(|(provider, name)| (name, provider)).collect(),
        operations,
    };
    Ok((draft, notes.sentences()))
}

/// A path that asks for something in the query narrows another, and to what cannot be said.
fn template(path: &str) -> Result<String, NoPath> {
    if path.contains('?') {
        return Err(NoPath("its path has a query".to_owned()));
    }
    paths::read(path).map(|(read, _)| read.template)
}

fn sign_in() -> OAuth {
    OAuth { authorization_url: Some(format!("{SIGN_IN}/authorize")), token_url: format!("{SIGN_IN}/token"), refresh_url: None }
}

impl Ready {
    fn into_draft(self, id: String, scopes: &BTreeMap<String, String>) -> draft::Operation {
        let named = |set: BTreeSet<String>| set.iter().filter_map(|scope| scopes.get(scope).cloned()).collect();
        draft::Operation {
            id,
            method: self.method,
            template: self.template,
            query: BTreeMap::new(),
            host: None,
            body: false,
            allow_query: BTreeSet::new(),
            need: Need::Any(openapi::least(self.operation.alternatives).into_iter().map(named).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::import::{Kind, Refusal, Wishes, msgraph_permissions};
    use serde_json::json;

    fn wishes(kind: Option<Kind>) -> Wishes {
        Wishes { connector: "microsoft-graph".parse().unwrap(), upstream: None, array: None, schemes: Vec::new(), extension: None, kind }
    }

    fn list() -> String {
        let set = |schemes: &[&str], methods: &[&str], paths: serde_json::Value| json!({"schemeKeys": schemes, "methods": methods, "paths": paths});
        json!({"permissions": {
            "Mail.Read": {"schemes": {"DelegatedWork": {"adminDescription": "PROSE"}}, "pathSets": [
                set(&["DelegatedWork", "DelegatedPersonal"], &["GET"], json!({"/me/messages": "least=DelegatedWork", "/me/messages/{id}/attachments/{id}": ""})),
                set(&["Application"], &["GET"], json!({"/users/{id}/messages": "least=Application"})),
            ]},
            "Mail.ReadWrite": {"pathSets": [
                set(&["DelegatedWork"], &["GET", "DELETE", "TRACE"], json!({"/me/Messages": ""})),
                set(&["DelegatedPersonal"], &["POST"], json!({"/me/drive/root:/{item-path}:/copy(to={to}, as={as})": ""})),
            ]},
            "Rule.Write": {"pathSets": [set(&["DelegatedWork"], &["PATCH"], json!({"/me/rules/{id}": "least=DelegatedWork;AlsoRequires=Mail.Read,User.Read", "/me/rules?$filter=a eq '{id}'": ""}))]},
            "Rule.Own": {"pathSets": [set(&["DelegatedWork"], &["PATCH"], json!({"/me/rules/{rule-id}": "AlsoRequires=Mail.Read"}))]},
            "no scope": {"pathSets": [set(&["DelegatedWork"], &["GET"], json!({"/me/odd": ""}))]},
        }})
        .to_string()
    }

    #[test]
    fn an_operation_needs_any_permission_that_names_it_with_all_that_one_says_besides() {
        let made = msgraph_permissions(list().as_bytes(), &wishes(None)).unwrap();
        let operations = made.document.split_once("operations:\n").unwrap().1;
        let operations: Vec<String> =
            operations.split("      - id: ").skip(1).map(|one| one.lines().map(str::trim).collect::<Vec<_>>().join("; ")).collect();
        assert_eq!(
            operations,
            [
                "POST /me/drive/root:/{item-path}:/copy(to={to}, as={as}); match: POST /me/drive/root:/{item_path}:/copy(to={to},%20as={as}); require: Mail.ReadWrite",
                "DELETE /me/Messages; match: DELETE /me/Messages; require: Mail.ReadWrite",
                "GET /me/Messages; match: GET /me/Messages; require: {any: [Mail.Read, Mail.ReadWrite]}",
                "GET /me/messages/{id}/attachments/{id}; match: GET /me/messages/{id}/attachments/{id_2}; require: Mail.Read",
                "PATCH /me/rules/{id}; match: PATCH /me/rules/{id}; require: {all: [Mail.Read, Rule.Write, User.Read]}",
                "PATCH /me/rules/{rule-id}; match: PATCH /me/rules/{rule_id}; require: {all: [Mail.Read, Rule.Own]}",
            ]
        );
        assert!(
            made.document.contains("upstream: https://graph.microsoft.com/v1.0\n") && made.document.contains("case_insensitive_paths: true\n"),
            "{}",
            made.document
        );
        assert!(made.document.contains("source: {kind: msgraph-permissions, ") && !made.document.contains("PROSE"), "{}", made.document);
        for told in ["its path has a query", "is none, and is left out", "taken to be needed", "match the same requests"] {
            assert!(made.notes.iter().any(|note| note.contains(told)), "{told}: {:?}", made.notes);
        }
        let application = msgraph_permissions(list().as_bytes(), &wishes(Some(Kind::Application))).unwrap();
        assert!(application.operations == 1 && application.document.contains("GET /users/{id}/messages") && !application.document.contains("oauth:"));
    }

    #[test]
    fn what_is_no_list_of_permissions_is_refused() {
        for text in ["{}", "{\"permissions\": []}", "openapi: 3.0.0\n"] {
            let refusal = msgraph_permissions(text.as_bytes(), &wishes(None)).unwrap_err();
            assert!(
                matches!(&refusal, Refusal::Refused { sentence, .. } if sentence.contains("no list of Microsoft Graph's permissions")),
                "{refusal}"
            );
        }
    }
}
