//! Deciding takes no memory: what is allowed costs the same however busy the allocator is.

#![expect(clippy::unwrap_used, reason = "these are tests, also where a function is none")]

use scopegate_core::account::{GrantStanding, Granted, Standing};
use scopegate_core::policy::{Origin, PolicySet, Ruling, Source, compile, judge};
use scopegate_core::request::Request;
use std::collections::BTreeMap;

const POLICY: &str = r#"
version: 1
connectors:
  crm:
    upstream: https://crm.example
    scopes:
      notes:read: {provider_scopes: [notes]}
      notes:write: {provider_scopes: [notes.write], implies: [notes:read]}
      files:read: {provider_scopes: [files]}
    operations:
      - {id: note.list, match: "GET /v1/notes", require: notes:read}
      - {id: note.get, match: "GET /v1/notes/{id}", require: notes:read}
      - {id: note.search, match: "GET /v1/notes/search", where: {query: {kind: own}}, require: {any: [files:read, notes:read]}}
      - {id: file.get, match: "GET /v1/files/{+path}", require: {all: [notes:read, files:read]}}
      - {id: note.update, match: "PATCH /v1/notes/{id}", require: notes:write}
roles:
  writer: {allow: {crm: [notes:write, files:read]}}
"#;

fn policies() -> PolicySet {
    let compiled = compile(&[Source { name: "crm.yaml".into(), text: POLICY.into(), origin: Origin::Own }], &BTreeMap::new());
    compiled.policies.ok_or(compiled.diagnostics).unwrap()
}

#[test]
fn nothing_is_allocated_from_the_request_to_the_permission() {
    let (policies, connector, role) = (policies(), "crm".parse().unwrap(), "writer".parse().unwrap());
    let scopes = ["notes.write", "files", "profile"].map(|scope| scope.parse().unwrap());
    for granted in [Granted::Assumed, Granted::of(scopes)] {
        let standing = Standing { role: &role, grant: GrantStanding::Live(&granted) };
        for (method, target) in [
            ("GET", "/v1/notes?limit=50&fields=name,owner"),
            ("GET", "/v1/notes/7"),
            ("GET", "/v1/notes/search?kind=own"),
            ("GET", "/v1/files/a/b/c/d/e.txt"),
            ("PATCH", "/v1/notes/7"),
        ] {
            let request = Request::read(method, target, &[("content-type".into(), "application/json".into())], None).unwrap();
            let mut allowed = false;
            let counted = allocation_counter::measure(|| allowed = matches!(judge(&policies, &connector, &standing, &request), Ruling::Allow(_)));
            assert!(allowed, "{method} {target}");
            assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "{method} {target}");
        }
    }
}
