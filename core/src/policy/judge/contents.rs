//! What content needs: queries, root fields, parts of batches; and what shadow mode lets through.

use crate::account::{GrantStanding, Granted, Standing};
use crate::policy::fixture::{granted, said};
use crate::policy::{Contained, Explanation, Origin, PolicySet, Ruling, Source, compile, explain, judge};
use crate::request::{Body, Request};
use bytes::Bytes;
use std::collections::BTreeMap;

const FORCE: &str = r#"
version: 1
connectors:
  force:
    upstream: https://force.example
    hosts: {files: https://files.example}
    request_headers: [x-force-*]
    refuse_headers: [x-impersonate]
    names: {object: {Account: accounts, Opportunity: opportunities}}
    scopes:
      accounts:read: {provider_scopes: [a]}
      accounts:write: {provider_scopes: [aw], implies: [accounts:read]}
      opportunities:read: {provider_scopes: [o]}
      opportunities:write: {provider_scopes: [ow], implies: [opportunities:read]}
      query: {provider_scopes: [q]}
      keys:export: {provider_scopes: [k], risk: capability}
    operations:
      - {id: record.get, match: "GET /data/{version}/sobjects/{object}/{id}", require: "{object}:read"}
      - {id: record.make, match: "POST /data/{version}/sobjects/{object}", require: "{object}:write"}
      - {id: record.put, match: "PATCH /data/{version}/sobjects/{object}/{id}", require: "{object}:write"}
      - {id: note, match: POST /notes, require: accounts:read}
      - {id: note.secret, match: POST /notes, where: {json: {/kind: secret}}, require: accounts:write}
      - {id: person, match: DELETE /person, deny: people do this}
      - {id: file, match: GET /file, require: none, host: files}
      - {id: key, match: POST /keys, require: accounts:read, risk: capability}
      - {id: key.scope, match: POST /keys/export, require: keys:export}
      - id: query
        match: "GET /data/{version}/query"
        soql: {query: q, objects: {"{object}": "{object}:read"}, relationships: {Opportunities: Opportunity}}
      - id: query.also
        match: "GET /data/{version}/queryAll"
        require: query
        soql: {query: q, objects: {"{object}": "{object}:read"}}
      - {id: jobs, match: POST /jobs, soql: {json: /query, objects: {"{object}": "{object}:read"}}}
      - id: graphql
        match: [POST /graphql, GET /graphql]
        graphql: {query: {account: accounts:read, opportunity: opportunities:read, free: none}, mutation: {close: opportunities:write, "*": accounts:write}, batched: 2}
      - {id: graphql.search, match: GET /search, body: true, graphql: {query: {account: accounts:read, opportunity: opportunities:read}}}
      - id: composite
        match: "POST /data/{version}/composite"
        batch: {requests: /compositeRequest, method: /method, url: /url, body: /body, headers: /httpHeaders, max_parts: 3}
      - id: tree
        match: "POST /data/{version}/tree"
        batch: {requests: /records, as: "POST /data/{version}/sobjects/{/attributes/type}", body: "", nested: /*/records}
      - {id: mixed, match: POST /batch, batch: {format: multipart}}
  watched:
    upstream: https://force.example
    mode: shadow
    scopes: {a: , b: , secret: {risk: capability}, all: {implies: [a, most]}, most: {implies: [all, secret]}}
    operations:
      - {id: a, match: GET /a, require: a}
      - {id: ab, match: GET /ab, require: {all: [a, b]}}
      - {id: secret, match: GET /secret, require: secret}
      - {id: all, match: GET /all, require: all}
      - {id: token, match: GET /token, require: b, risk: capability}
      - {id: never, match: GET /never, require: b, deny: people do this}
      - {id: list, match: POST /list, batch: {requests: "", method: /m, url: /u}}
roles:
  analyst: {allow: {force: [accounts:read]}}
  seller: {allow: {force: [accounts:read, opportunities:write, query]}}
  globber: {allow: {force: ["accounts:*"]}}
  nothing: {allow: {force: []}}
  careful: {allow: {force: [accounts:write]}, deny: {force: [record.put]}}
  tried: {mode: shadow, allow: {force: [accounts:read], watched: [a]}}
  plain: {allow: {watched: [a]}}
  elsewhere: {allow: {force: []}}
"#;

fn policies() -> PolicySet {
    let compiled = compile(&[Source { name: "p.yaml".into(), text: FORCE.into(), origin: Origin::Own }], &BTreeMap::new());
    compiled.policies.unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics))
}

/// A request to `force`: method and target, and a body with its type.
fn request(text: &str, body: Option<(&str, &str)>) -> Request {
    let (method, target) = text.split_once(' ').unwrap();
    let headers: Vec<_> = body.iter().map(|(content_type, _)| ("content-type".to_owned(), (*content_type).to_owned())).collect();
    Request::read(method, target, &headers, body.map(|(_, body)| Bytes::from(body.to_owned()))).unwrap()
}

fn json(text: &str, body: &str) -> Request {
    request(text, Some(("application/json", body)))
}

fn ruling(policies: &PolicySet, connector: &str, role: &str, grant: &Granted, request: &Request) -> Ruling {
    let role = role.parse().unwrap();
    judge(policies, &connector.parse().unwrap(), &Standing { role: &role, grant: GrantStanding::Live(grant) }, request)
}

fn came(policies: &PolicySet, role: &str, request: &Request) -> String {
    said(&ruling(policies, "force", role, &granted(None), request))
}

fn explained(policies: &PolicySet, connector: &str, role: &str, request: &Request) -> Explanation {
    let (role, grant) = (role.parse().unwrap(), granted(None));
    explain(policies, &connector.parse().unwrap(), &Standing { role: &role, grant: GrantStanding::Live(&grant) }, request)
}

fn query(text: &str) -> Request {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    request(&format!("GET /data/v1/query?q={encoded}"), None)
}

#[test]
fn every_object_of_a_query_is_needed() {
    let policies = policies();
    for (role, text, expected) in [
        ("analyst", "SELECT Id FROM Account", "allow query"),
        ("analyst", "SELECT Id FROM Opportunity", "deny role_lacks_scope opportunities:read"),
        ("analyst", "SELECT Id, (SELECT Id FROM Opportunities) FROM Account", "deny role_lacks_scope opportunities:read"),
        ("seller", "SELECT Id, (SELECT Id FROM Opportunities) FROM Account", "allow query"),
        ("nothing", "SELECT Id FROM Account WHERE Id IN (SELECT X FROM Opportunity)", "deny role_lacks_scope accounts:read opportunities:read"),
        ("seller", "SELECT Id FROM Contract", "deny unknown_operation"),
        ("seller", "SELECT Id FROM Account;", "deny ambiguous_request"),
        ("seller", "", "deny ambiguous_request"),
        ("nobody", "SELECT Id FROM Account", "deny role_lacks_scope"),
    ] {
        assert_eq!(came(&policies, role, &query(text)), expected, "{role} {text}");
    }
    for target in ["", "?q=SELECT+Id+FROM+Account&q=x", "?Q=SELECT+Id+FROM+Account", "?q[]=SELECT+Id+FROM+Account"] {
        assert_eq!(came(&policies, "seller", &request(&format!("GET /data/v1/query{target}"), None)), "deny ambiguous_request", "{target}");
    }
    let both = |role| came(&policies, role, &request("GET /data/v1/queryAll?q=SELECT+Id+FROM+Account", None));
    assert_eq!((both("seller"), both("analyst")), ("allow query.also".to_owned(), "deny role_lacks_scope query".to_owned()));
    let consent = ruling(&policies, "force", "seller", &granted(Some("a")), &query("SELECT Id FROM Account, Account.Opportunities"));
    assert_eq!(said(&consent), "deny consent_required opportunities:read");
}

#[test]
fn a_query_in_the_body_is_read_where_it_stands() {
    let policies = policies();
    for (role, body, expected) in [
        ("analyst", r#"{"operation":"query","query":"SELECT Id FROM Account"}"#, "allow jobs"),
        ("analyst", r#"{"query":"SELECT Id FROM Opportunity"}"#, "deny role_lacks_scope opportunities:read"),
        ("analyst", r#"{"query":"SELECT Id FROM Account","Query":"SELECT Id FROM Opportunity"}"#, "deny ambiguous_request"),
        ("analyst", r#"{"query":["SELECT Id FROM Account"]}"#, "deny ambiguous_request"),
        ("analyst", "{}", "deny ambiguous_request"),
        ("analyst", "", "deny ambiguous_request"),
        ("nothing", r#"{"query":"SELECT Id FROM Account"}"#, "deny role_lacks_scope accounts:read"),
    ] {
        assert_eq!(came(&policies, role, &json("POST /jobs", body)), expected, "{role} {body}");
    }
    assert_eq!(came(&policies, "analyst", &request("POST /jobs", None)), "deny ambiguous_request");
}

#[test]
fn every_root_field_is_needed() {
    let policies = policies();
    for (role, body, expected) in [
        ("analyst", r#"{"query":"{ opportunity: account { close } }"}"#, "allow graphql"),
        ("analyst", r#"{"query":"{ account: opportunity { name } }"}"#, "deny role_lacks_scope opportunities:read"),
        ("analyst", r#"{"query":"mutation { close }"}"#, "deny role_lacks_scope opportunities:write"),
        ("analyst", r#"{"query":"mutation { whatever }"}"#, "deny role_lacks_scope accounts:write"),
        ("careful", r#"{"query":"mutation { whatever }"}"#, "allow graphql"),
        ("careful", r#"{"query":"mutation { __whatever }"}"#, "deny unknown_operation"),
        ("nothing", r#"{"query":"{ free __typename }"}"#, "allow graphql"),
        ("seller", r#"{"query":"{ __schema { x } }"}"#, "deny unknown_operation"),
        ("seller", r#"{"query":"{ secrets }"}"#, "deny unknown_operation"),
        ("seller", r#"{"query":"subscription { account }"}"#, "deny unknown_operation"),
        ("seller", r#"{"query":"{ account"}"#, "deny ambiguous_request"),
        ("seller", r#"[{"query":"{ account }"},{"query":"mutation { close }"}]"#, "allow graphql"),
        ("analyst", r#"[{"query":"{ account }"},{"query":"mutation { close }"}]"#, "deny role_lacks_scope opportunities:write"),
        ("seller", r#"[{"query":"{account}"},{"query":"{account}"},{"query":"{account}"}]"#, "deny ambiguous_request"),
    ] {
        assert_eq!(came(&policies, role, &json("POST /graphql", body)), expected, "{role} {body}");
    }
    for (role, target, expected) in [
        ("analyst", "?query=%7Baccount%7D", "allow graphql"),
        ("analyst", "?query=%7Bopportunity%7D", "deny role_lacks_scope opportunities:read"),
        ("seller", "?query=mutation%7Bclose%7D", "deny ambiguous_request"),
        ("seller", "", "deny ambiguous_request"),
    ] {
        assert_eq!(came(&policies, role, &request(&format!("GET /graphql{target}"), None)), expected, "{role} {target}");
    }
    let beside = request("GET /search?query=%7Baccount%7D", Some(("application/json", r#"{"query":"{opportunity}"}"#)));
    assert_eq!(came(&policies, "seller", &beside), "deny ambiguous_request");
    assert_eq!(came(&policies, "seller", &request("GET /search?query=%7Baccount%7D", None)), "allow graphql.search");
}

fn composite(parts: &str) -> Request {
    json("POST /data/v1/composite", &format!(r#"{{"allOrNone":true,"compositeRequest":[{parts}]}}"#))
}

const READ: &str = r#"{"method":"GET","url":"/data/v1/sobjects/Account/1"}"#;
const WRITE: &str = r#"{"method":"PATCH","url":"/data/v1/sobjects/Opportunity/6","body":{"a":1}}"#;

#[test]
fn every_part_of_a_batch_is_decided_and_one_refusal_refuses_all() {
    let policies = policies();
    for (role, parts, expected, part) in [
        ("analyst", READ.to_owned(), "allow composite", None),
        ("seller", format!("{READ},{WRITE}"), "allow composite", None),
        ("analyst", format!("{READ},{WRITE}"), "deny role_lacks_scope opportunities:write", Some(2)),
        ("nothing", format!("{WRITE},{READ}"), "deny role_lacks_scope opportunities:write accounts:read", Some(1)),
        ("careful", format!("{READ},{}", WRITE.replace("Opportunity", "Account")), "deny operation_denied", Some(2)),
        ("seller", r#"{"method":"DELETE","url":"/person"}"#.to_owned(), "deny operation_denied", Some(1)),
        ("seller", format!(r#"{READ},{{"method":"DELETE","url":"/data/v1/sobjects/Account/1"}}"#), "deny unknown_operation", Some(2)),
        ("seller", r#"{"method":"DELETE","url":"/x"},{"method":"GET","url":"/a/../b"}"#.to_owned(), "deny ambiguous_request", Some(2)),
        ("seller", r#"{"method":"GET","url":"/data/v1/sobjects/Account/1?access_token=x"}"#.to_owned(), "deny ambiguous_request", Some(1)),
        ("seller", r#"{"method":"GET","url":"/data/v1/sobjects/Account/a%2Fb"}"#.to_owned(), "deny ambiguous_request", Some(1)),
        ("seller", r#"{"method":"GET","url":"/data/v1/sobjects/Account/1","body":{}}"#.to_owned(), "deny ambiguous_request", Some(1)),
        (
            "seller",
            format!(r#"{{"method":"POST","url":"/data/v1/composite","body":{{"compositeRequest":[{READ}]}}}}"#),
            "deny ambiguous_request",
            Some(1),
        ),
        ("seller", r#"{"method":"GET","url":"/file"}"#.to_owned(), "deny ambiguous_request", Some(1)),
        ("seller", r#"{"method":"GET","url":"/data/v1/query?q=SELECT+Id+FROM+Opportunity"}"#.to_owned(), "allow composite", None),
        (
            "analyst",
            r#"{"method":"GET","url":"/data/v1/query?q=SELECT+Id+FROM+Opportunity"}"#.to_owned(),
            "deny role_lacks_scope opportunities:read",
            Some(1),
        ),
        ("analyst", r#"{"method":"GET","url":"/data/v1/query?q=SELECT+Id+FROM+Contract"}"#.to_owned(), "deny unknown_operation", Some(1)),
        ("analyst", r#"{"method":"POST","url":"/graphql","body":{"query":"{account}"}}"#.to_owned(), "allow composite", None),
        (
            "analyst",
            r#"{"method":"POST","url":"/graphql","body":{"query":"{opportunity}"}}"#.to_owned(),
            "deny role_lacks_scope opportunities:read",
            Some(1),
        ),
        ("analyst", r#"{"method":"POST","url":"/graphql","body":"{\"query\":\"{account}\"}"}"#.to_owned(), "deny ambiguous_request", Some(1)),
        ("analyst", r#"{"method":"POST","url":"/notes","body":{"kind":"plain"}}"#.to_owned(), "allow composite", None),
        ("analyst", r#"{"method":"POST","url":"/notes","body":{"kind":"secret"}}"#.to_owned(), "deny role_lacks_scope accounts:write", Some(1)),
        ("analyst", r#"{"method":"POST","url":"/notes","body":{"kind":"@{a.kind}"}}"#.to_owned(), "deny ambiguous_request", Some(1)),
        ("analyst", r#"{"method":"POST","url":"/notes"}"#.to_owned(), "allow composite", None),
        ("globber", r#"{"method":"POST","url":"/keys"}"#.to_owned(), "deny role_lacks_scope accounts:read", Some(1)),
        ("analyst", r#"{"method":"POST","url":"/keys"}"#.to_owned(), "allow composite", None),
        ("analyst", READ.replace('}', r#","httpHeaders":{"If-Match":"x","X-Force-A":"y"}}"#), "allow composite", None),
        ("analyst", READ.replace('}', r#","httpHeaders":{"Authorization":"x"}}"#), "deny ambiguous_request", Some(1)),
        ("analyst", READ.replace('}', r#","httpHeaders":{"Host":"x"}}"#), "deny ambiguous_request", Some(1)),
        ("analyst", READ.replace('}', r#","httpHeaders":{"X-Impersonate":"x"}}"#), "deny ambiguous_request", Some(1)),
        ("analyst", READ.replace('}', r#","httpHeaders":{"X-Other":"x"}}"#), "deny ambiguous_request", Some(1)),
        ("analyst", [READ; 4].join(","), "deny ambiguous_request", None),
        ("analyst", String::new(), "deny ambiguous_request", None),
        ("nobody", READ.to_owned(), "deny role_lacks_scope", None),
    ] {
        let request = composite(&parts);
        assert_eq!(
            (came(&policies, role, &request).as_str(), explained(&policies, "force", role, &request).part),
            (expected, part),
            "{role} {parts}"
        );
    }
    let consent = ruling(&policies, "force", "seller", &granted(Some("a")), &composite(&format!("{READ},{WRITE}")));
    assert_eq!(said(&consent), "deny consent_required opportunities:write");
}

#[test]
fn what_a_batch_needs_is_the_product_of_its_parts_and_its_body_is_written_anew() {
    let policies = policies();
    let Ruling::Allow(allowance) = ruling(&policies, "force", "seller", &granted(None), &composite(&format!("{READ}, {WRITE}, {READ}"))) else {
        panic!("it is allowed")
    };
    let required: Vec<_> = allowance.operations.required().iter().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>()).collect();
    assert_eq!(required, [["accounts:read", "opportunities:write"]]);
    assert_eq!(allowance.operations.parts().map(ToString::to_string).collect::<Vec<_>>(), ["record.get", "record.put", "record.get"]);
    assert_eq!(allowance.operations.to_string(), "composite");
    assert_eq!(allowance.body.unwrap(), format!(r#"{{"allOrNone":true,"compositeRequest":[{READ},{WRITE},{READ}]}}"#));
    let tree =
        json("POST /data/v7/tree", r#"{"records":[{"attributes":{"type":"Account"},"Deals":{"records":[{"attributes":{"type":"Opportunity"}}]}}]}"#);
    assert_eq!(came(&policies, "seller", &tree), "deny role_lacks_scope accounts:write");
    assert_eq!(came(&policies, "careful", &tree), "deny role_lacks_scope opportunities:write");
    let mixed = "--b\r\nContent-Type: application/http\r\n\r\nGET /data/v1/sobjects/Account/1\r\n\r\n--b--";
    assert_eq!(came(&policies, "analyst", &request("POST /batch", Some(("multipart/mixed; boundary=b", mixed)))), "allow mixed");
}

#[test]
fn a_body_is_read_only_where_something_in_it_could_be_allowed() {
    let policies = policies();
    let unread = |text: &str| Request { body: Body::Unread, ..request(text, None) };
    let none = granted(Some(""));
    for (role, text, expected) in [
        ("analyst", "POST /graphql", "read graphql"),
        ("nothing", "POST /graphql", "read graphql"),
        ("nothing", "POST /jobs", "deny role_lacks_scope accounts:read"),
        ("analyst", "POST /jobs", "read jobs"),
        ("analyst", "POST /data/v1/composite", "read composite"),
        ("nobody", "POST /data/v1/composite", "deny role_lacks_scope"),
        ("analyst", "POST /data/v1/sobjects/Account", "deny role_lacks_scope accounts:write"),
    ] {
        assert_eq!(came(&policies, role, &unread(text)), expected, "{role} {text}");
    }
    assert_eq!(said(&ruling(&policies, "force", "analyst", &none, &unread("POST /jobs"))), "deny consent_required accounts:read");
    let came = explained(&policies, "force", "analyst", &unread("POST /graphql"));
    assert_eq!(came.explanation[0], "this is `graphql`, which reads the body by `graphql`, and there is none to read");
}

#[test]
fn shadow_mode_lets_through_what_a_role_lacks_and_nothing_else() {
    let policies = policies();
    let rule =
        |connector: &str, role: &str, grant: Option<&str>, request: &Request| match ruling(&policies, connector, role, &granted(grant), request) {
            Ruling::Allow(allowance) => {
                let lack = allowance.shadow.map(|lack| lack.missing_scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
                format!("allow {}{}", allowance.operations, lack.map(|lack| format!(" although {lack}")).unwrap_or_default())
            }
            other @ (Ruling::Deny(_) | Ruling::ReadBody(_)) => said(&other),
        };
    for (connector, role, text, grant, expected) in [
        ("watched", "plain", "GET /a", None, "allow a"),
        ("watched", "plain", "GET /ab", None, "allow ab although b"),
        ("watched", "elsewhere", "GET /ab", None, "allow ab although a b"),
        ("watched", "nobody", "GET /ab", None, "deny role_lacks_scope a b"),
        ("watched", "plain", "GET /ab", Some("a"), "deny consent_required b"),
        ("watched", "plain", "GET /ab", Some("a b"), "allow ab although b"),
        ("watched", "plain", "GET /secret", None, "deny role_lacks_scope secret"),
        ("watched", "plain", "GET /all", None, "deny role_lacks_scope all"),
        ("watched", "plain", "GET /token", None, "deny role_lacks_scope b"),
        ("watched", "plain", "GET /never", None, "deny operation_denied"),
        ("watched", "plain", "GET /nothing", None, "deny unknown_operation"),
        ("force", "tried", "GET /data/v1/sobjects/Opportunity/1", None, "allow record.get although opportunities:read"),
        ("force", "analyst", "GET /data/v1/sobjects/Opportunity/1", None, "deny role_lacks_scope opportunities:read"),
    ] {
        assert_eq!(rule(connector, role, grant, &request(text, None)), expected, "{connector} {role} {text}");
    }
    let list = |second: &str| json("POST /list", &format!(r#"[{{"m":"GET","u":"/a"}},{{"m":"GET","u":"{second}"}}]"#));
    assert_eq!(rule("watched", "plain", None, &list("/ab")), "allow list although b");
    assert_eq!(rule("watched", "plain", None, &list("/token")), "deny role_lacks_scope b");
    let came = explained(&policies, "watched", "plain", &request("GET /ab", None));
    assert_eq!((came.would_deny.map(|reason| reason.as_str()), came.missing.len()), (Some("role_lacks_scope"), 1));
    assert!(came.explanation.contains(&"shadow mode lets it through, and the audit says `would_deny` (role_lacks_scope)".to_owned()));
}

#[test]
fn an_explanation_tells_what_was_read_by_the_policys_names() {
    let policies = policies();
    for (role, request, sentences) in [
        ("analyst", query("select id from aCCount"), vec!["its query reads `Account`", "it needs `accounts:read`", "allowed"]),
        (
            "analyst",
            query("SELECT Id FROM Secret__c"),
            vec!["its query reads an object or a relationship that the policy does not name", "denied: unknown_operation"],
        ),
        ("analyst", json("POST /graphql", r#"{"query":"{x: account}"}"#), vec!["it asks for the root field of queries `account`"]),
        ("careful", json("POST /graphql", r#"{"query":"mutation{ hidden }"}"#), vec!["it asks for the root field of mutations `*`"]),
        (
            "seller",
            composite(&format!("{READ},{WRITE}")),
            vec!["part 1 is `record.get`", "part 2 is `record.put`", "it needs `accounts:read` and `opportunities:write`"],
        ),
        (
            "analyst",
            composite(&format!("{READ},{WRITE}")),
            vec!["part 2 is `record.put`", "the role `analyst` does not hold `opportunities:write`", "part 2 is refused, and with it the batch"],
        ),
        ("analyst", composite(r#"{"method":"GET","url":"/hidden"}"#), vec!["part 1 is no operation of `force`, and silence denies"]),
        ("seller", composite(r#"{"method":"DELETE","url":"/person"}"#), vec!["the document refuses it: people do this"]),
    ] {
        let came = explained(&policies, "force", role, &request);
        for sentence in sentences {
            assert!(came.explanation.contains(&sentence.to_owned()), "{sentence}: {:#?}", came.explanation);
        }
        assert!(!came.explanation.iter().any(|sentence| sentence.contains("hidden") || sentence.contains("Secret")), "{:?}", came.explanation);
    }
    let Ruling::Allow(allowance) = ruling(&policies, "force", "analyst", &granted(None), &query("SELECT Id FROM account")) else { panic!("allowed") };
    assert!(matches!(allowance.operations.contained(), [Contained::Object(name)] if name == "Account"));
}

#[test]
fn headers_that_a_connector_refuses_refuse_the_request() {
    let policies = policies();
    for (name, expected) in [("X-Impersonate", "deny ambiguous_request"), ("x_impersonate", "deny ambiguous_request"), ("X-Other", "allow note")] {
        let request = Request::read("POST", "/notes", &[(name.to_owned(), "x".to_owned())], None).unwrap();
        assert_eq!(came(&policies, "analyst", &request), expected, "{name}");
        assert_eq!(crate::policy::read(&policies, Some(&"force".parse().unwrap()), &request).is_err(), expected.starts_with("deny"), "{name}");
    }
}
