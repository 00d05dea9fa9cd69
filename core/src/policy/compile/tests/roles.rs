//! Roles, and the tests of documents.

use super::*;
use crate::policy::RoleModel;

const CRM: &str = "version: 1\nconnectors:\n  crm:\n    upstream: https://api.example\n    scopes:\n      items:read: {}\n      items:write: {implies: [items:read]}\n      keys:list: {}\n      keys:export: {risk: capability}\n      keys:all: {implies: [keys:export]}\n    operations:\n      - {id: item.get, match: \"GET /items/{id}\", require: items:read}\n      - {id: item.copy, match: \"POST /items/{id}\", require: items:write}\n      - {id: ping, match: GET /ping, require: none}\n";

fn with_roles(lines: &str) -> String {
    let mut text = format!("{CRM}roles:\n");
    lines.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    text
}

fn role_of(lines: &str, name: &str) -> RoleModel {
    let model = model_of(&[own("p.yaml", &with_roles(lines))], &BTreeMap::new());
    model.roles.into_iter().find(|role| role.name.as_str() == name).unwrap()
}

/// What a role allows, spells out and denies of the one connector, sorted; none without an entry.
fn said(role: &RoleModel) -> [Option<Vec<String>>; 3] {
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    let scopes = |map: &indexmap::IndexMap<ConnectorId, Vec<crate::scope::Scope>>| {
        map.get("crm").map(|all| sorted(all.iter().map(ToString::to_string).collect()))
    };
    [scopes(&role.allow), scopes(&role.spelled_out), role.deny.get("crm").map(|all| sorted(all.iter().map(ToString::to_string).collect()))]
}

fn names(all: &[&str]) -> Option<Vec<String>> {
    Some(all.iter().map(|&one| one.to_owned()).collect())
}

#[test]
fn globs_reach_scopes_and_operations_but_never_a_capability() {
    for (role, wanted) in [
        ("{allow: {crm: [items:read]}}", [names(&["items:read"]), names(&["items:read"]), None]),
        ("{allow: {crm: items:*}}", [names(&["items:read", "items:write"]), names(&[]), None]),
        ("{allow: {crm: [\"keys:*\"]}}", [names(&["keys:list"]), names(&[]), None]),
        ("{allow: {crm: [\"*\", keys:export]}}", [names(&["items:read", "items:write", "keys:export", "keys:list"]), names(&["keys:export"]), None]),
        ("{allow: {crm: []}}", [names(&[]), names(&[]), None]),
        ("{}", [None, None, None]),
        ("{deny: {crm: [\"item.*\", ping]}}", [None, None, names(&["item.copy", "item.get", "ping"])]),
    ] {
        assert_eq!(said(&role_of(&format!("r: {role}"), "r")), wanted, "{role}");
    }
}

#[test]
fn a_role_has_what_its_ancestors_allow_and_deny() {
    let lines = "a: {allow: {crm: [items:read]}, deny: {crm: [ping]}}\nb: {extends: a, allow: {crm: [keys:list]}}\nc: {extends: [b, d]}\nd: {deny: {crm: [item.copy]}}";
    assert_eq!(said(&role_of(lines, "b")), [names(&["items:read", "keys:list"]), names(&["items:read", "keys:list"]), names(&["ping"])]);
    assert_eq!(said(&role_of(lines, "c")), [names(&["items:read", "keys:list"]), names(&["items:read", "keys:list"]), names(&["item.copy", "ping"])]);
}

#[test]
fn a_role_names_what_there_is() {
    for (lines, expected) in [
        ("r: {allow: {crm: [«items:raed»]}}", &[("SG0301", "did you mean `items:read`?")][..]),
        ("r: {allow: {«crn»: [items:read]}}", &[("SG0501", "no document has a connector `crn`")]),
        ("r: {allow: {crm: [«thing:*»]}}", &[("SG0505", "reaches no scope of `crm`")]),
        ("r: {allow: {crm: [«keys:e*»]}}", &[("SG0505", "name `keys:export`")]),
        ("r: {deny: {crm: [«item.gte»]}}", &[("SG0504", "did you mean `item.get`?")]),
        ("r: {deny: {crm: [«order.*»]}}", &[("SG0505", "reaches no operation")]),
        ("r: {extends: «s»}", &[("SG0502", "no document has a role `s`")]),
        ("r: {extends: [«reeder»]}\nreader: {}", &[("SG0502", "did you mean `reader`?")]),
        ("r: {extends: «r»}", &[("SG0503", "extends itself")]),
        ("a: {extends: «b»}\nb: {extends: c}\nc: {extends: a}", &[("SG0503", "`a` extends itself by way of")]),
        ("r: {«alow»: {crm: []}}", &[("SG0101", "did you mean `allow`?")]),
        ("r: «[crm]»", &[("SG0103", "a role is a mapping")]),
        ("r: {allow: «[crm]»}", &[("SG0103", "a mapping")]),
        ("«a b»: {}", &[("SG0107", "not a valid role")]),
        ("r: {mode: «shadwo»}", &[("SG0104", "did you mean `shadow`?")]),
    ] {
        assert_found(&with_roles(lines), expected);
    }
}

#[test]
fn a_mistake_in_a_scope_or_operation_is_not_told_again_where_it_is_named() {
    let text = CRM.replace("items:read: {}", "items:read: {risk: «hgih»}").replace("GET /items/{id}\"", "«GTE» /items/{id}\"")
        + "roles: {r: {allow: {crm: [items:read, \"items:r*\"]}, deny: {crm: [item.get]}}}\n";
    assert_found(&text, &[("SG0104", "did you mean `high`?"), ("SG0403", "did you mean `GET`?")]);
}

#[test]
fn two_roles_or_connectors_of_one_name_are_a_mistake_that_points_at_both() {
    let found =
        diagnostics(&[own("a.yaml", CRM), own("b.yaml", &format!("{CRM}roles: {{r: {{}}}}\n")), own("c.yaml", "version: 1\nroles: {r: {}}\n")]);
    let came: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.line, one.column, one.code, one.message.as_str())).collect();
    assert_eq!(
        came,
        [
            ("b.yaml", 3, 3, "SG0201", "the connector `crm` stands at a.yaml:3:3 already"),
            ("c.yaml", 2, 9, "SG0506", "the role `r` stands at b.yaml:15:9 already"),
        ]
    );
}

#[test]
fn what_stands_in_a_file_that_cannot_be_read_is_not_missed_elsewhere() {
    let roles = "version: 1\nroles:\n  r: {extends: lost, allow: {crm: [items:read]}}\ntests:\n  - {name: t, role: lost, requests: [crm GET /ping -> allow ping]}\n";
    for broken in
        [format!("{CRM}roles: {{lost: {{}}, [\n"), CRM.replace("  crm:", "  CRM:").replace("CRM:\n", "crm: [x]\n  other:\n") + "roles: {lost: [x]}\n"]
    {
        let found = diagnostics(&[own("a.yaml", &broken), own("b.yaml", roles)]);
        assert!(!found.is_empty() && found.iter().all(|one| one.file == "a.yaml"), "{found:#?}");
    }
}

#[test]
fn tests_are_handed_over_with_their_places() {
    let text = format!(
        "{CRM}roles: {{r: {{allow: {{crm: [items:read]}}}}}}\ntests:\n  - name: reading\n    role: r\n    granted: [items:read]\n    requests:\n      - crm GET /items/7 -> allow item.get\n      - {{connector: crm, method: POST, target: /items/7, headers: {{Content-Type: application/json}}, body: {{a: [1, x]}}, expect: deny role_lacks_scope items:write}}\n"
    );
    assert_clean(&text);
    let cases = cases_of(&text);
    let came: Vec<_> = cases
        .iter()
        .map(|case| (case.name.as_str(), case.method.as_str(), case.target.as_str(), case.expect.to_string(), case.place.line, case.place.column))
        .collect();
    assert_eq!(
        came,
        [
            ("reading", "GET", "/items/7", "allow item.get".to_owned(), 21, 29),
            ("reading", "POST", "/items/7", "deny role_lacks_scope items:write".to_owned(), 22, 128),
        ]
    );
    assert_eq!(
        (cases[1].headers.as_slice(), cases[1].body.as_deref()),
        (&[("Content-Type".to_owned(), "application/json".to_owned())][..], Some("{\"a\":[1,\"x\"]}"))
    );
}

#[test]
fn a_test_names_what_there_is_and_can_be_read() {
    for (test, expected) in [
        ("{name: t, role: «s», requests: [crm GET /ping -> allow ping]}", &[("SG0502", "no document has a role `s`")][..]),
        ("{name: t, role: r, requests: [«cmr» GET /ping -> allow ping]}", &[("SG0501", "connector `cmr`")]),
        ("{name: t, role: r, requests: [crm GET /ping -> allow «pong»]}", &[("SG0504", "did you mean `ping`?")]),
        ("{name: t, role: r, requests: [crm GET /ping -> deny role_lacks_scope «items:wriet»]}", &[("SG0301", "did you mean `items:write`?")]),
        ("{name: t, role: r, requests: [crm GET /ping -> deny «forbidden»]}", &[("SG0601", "no reason")]),
        ("{name: t, role: r, requests: [crm GET /ping -> «maybe» ping]}", &[("SG0601", "neither `allow` nor `deny`")]),
        ("{name: t, role: r, requests: [crm GET /a «b» -> allow ping]}", &[("SG0601", "a word too many")]),
        ("{name: t, role: r, requests: [5«»]}", &[("SG0601", "no `->`")]),
        ("{name: t, role: r, requests: [«{connector: crm, method: GET, target: /ping}»]}", &[("SG0102", "a request has no `expect`")]),
        (
            "{name: t, role: r, requests: [{connector: crm, method: GET, target: /ping, expect: allow ping, «boby»: x}]}",
            &[("SG0101", "did you mean `body`?")],
        ),
        ("{name: t, role: r, requests: [«[a]»]}", &[("SG0103", "a text")]),
        ("«{role: r, requests: []}»", &[("SG0102", "a test has no `name`")]),
        ("«{name: t, requests: []}»", &[("SG0102", "a test has no `role`")]),
        ("«{name: t, role: r}»", &[("SG0102", "a test has no `requests`")]),
        ("{name: t, role: r, requests: [], «grant»: []}", &[("SG0101", "did you mean `granted`?")]),
    ] {
        assert_found(&format!("{CRM}roles: {{r: {{allow: {{crm: [items:read]}}}}}}\ntests:\n  - {test}\n"), expected);
    }
}
