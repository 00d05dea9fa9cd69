//! One compiled function decides: random requests come out alike through the proxy, a dry run, `policy explain` and `policy test`.

use crate::raw;
use crate::recorder::Recorder;
use crate::stage::{BINARY, Script, Stage, run};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

/// Of everything that decides a little.
pub(crate) const POLICY: &str = r#"version: 1
connectors:
  crm:
    upstream: http://127.0.0.1:1
    oauth: {authorization_url: http://127.0.0.1:1/authorize, token_url: http://127.0.0.1:1/token, revocation_url: http://127.0.0.1:1/revoke}
    names: {kind: {Left: left, Right: right}}
    refuse_headers: [x-refused]
    request_headers: [x-known]
    scopes:
      left:read: {provider_scopes: [api]}
      right:read: {provider_scopes: [write], implies: [left:read]}
      write: {provider_scopes: [api, write]}
      other: {provider_scopes: [never]}
    operations:
      - {id: kind, match: "GET /v1/{kind}/{id}", require: "{kind}:read", allow_encoded: {id: "/"}}
      - {id: rest, match: "GET /v1/{+path}", require: {any: [other, {all: [left:read, write]}]}}
      - {id: mine, match: GET /v1/Left/mine, require: write}
      - {id: cross.left, match: "GET /x/{a}/b", require: left:read}
      - {id: cross.right, match: "GET /x/a/{b}", require: right:read}
      - {id: search, match: GET /search, require: left:read, allow_query: [code]}
      - {id: search.deep, match: GET /search, where: {query: {deep: "1"}}, require: right:read}
      - {id: note, match: POST /notes, require: write}
      - {id: note.public, match: POST /notes, where: {json: {/kind: public}}, require: left:read}
      - {id: gone, match: "DELETE /v1/{kind}/{id}", deny: people do this}
      - {id: odd, match: PUT /odd, require: unknown}
      - {id: key, match: POST /keys, require: left:read, risk: capability}
      - {id: ping, match: GET /ping, require: none}
      - {id: query, match: GET /query, soql: {query: q, objects: {"{kind}": "{kind}:read", Free: none}, relationships: {Lefts: Left}}}
      - {id: graphql, match: [POST /graphql, GET /graphql], graphql: {query: {left: left:read, right: right:read}, mutation: {"*": write}, batched: 2}}
      - {id: batch, match: POST /batch, batch: {requests: /requests, method: /method, url: /url, body: /body, max_parts: 3}}
roles:
  left: {allow: {crm: ["left:*"]}}
  right: {allow: {crm: [right:read]}, deny: {crm: [mine]}}
  all: {allow: {crm: [right:read, write, other]}}
  shadow: {mode: shadow, allow: {crm: [left:read]}}
  nothing: {allow: {crm: []}}
"#;

pub(crate) const ROLES: [&str; 5] = ["left", "right", "all", "shadow", "nothing"];
/// What the customer granted of whom: everything, or a part.
const GRANTS: [&str; 2] = ["api write", "api"];
const REQUESTS: usize = 400;
const EXPLAINED: usize = 25;

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) role: usize,
    grant: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

/// What came of it, as far as every door tells it.
#[derive(Debug, Eq, PartialEq)]
struct Came {
    verdict: String,
    reason: Option<String>,
    operation: Option<String>,
    missing: Vec<String>,
}

fn one_of(all: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(all).prop_map(str::to_owned)
}

fn targets() -> impl Strategy<Value = String> {
    let segment = || one_of(&["v1", "Left", "Right", "mine", "x", "a", "b", "7", "%41", "a%2Fb", "a%2fb", "..", "left", "a;b", "%61"]);
    let path = prop::collection::vec(segment(), 1..4).prop_map(|segments| format!("/{}", segments.join("/")));
    let known = one_of(&["/v1/Left/7", "/v1/Right/7", "/v1/Left/a%2Fb", "/v1/Left/mine", "/x/a/b", "/search", "/ping", "/odd", "/notes", "/keys"]);
    let query = one_of(&["", "", "", "?deep=1", "?Deep=1", "?deep=1&deep=2", "?code=1", "?token=1", "?_method=PUT", "?a=1;access_token=2", "?a=%zz"]);
    (prop_oneof![3 => known, 1 => path], query).prop_map(|(path, query)| path + &query)
}

fn soql() -> impl Strategy<Value = String> {
    let from = one_of(&["Left", "left l", "Right", "Free", "Free, Free.Right r", "Hidden", "Left; x"]);
    let field = one_of(&["Id", "Right.Name", "l.Id", "(SELECT Id FROM Lefts)", "Hidden.Id", "COUNT()"]);
    let filter = one_of(&["", " WHERE Id IN (SELECT X FROM Right)", " WHERE Name = 'FROM Right' LIMIT 5", " WHERE", " -- x"]);
    let query = (field, from, filter).prop_map(|(field, from, filter)| format!("SELECT {field} FROM {from}{filter}"));
    query.prop_map(|query| query.bytes().map(|byte| format!("%{byte:02X}")).collect())
}

fn graphql() -> impl Strategy<Value = String> {
    let text = one_of(&[
        "{ left }",
        "{ right: left { x } }",
        "{ left: right }",
        "mutation { anything }",
        "query A { left } mutation B { b }",
        "{ ...F } fragment F on Query { right }",
        "{ hidden }",
        "subscription { left }",
        "{ left",
        "{ __typename }",
        "{ __schema { x } }",
    ]);
    let call = (text, one_of(&["", r#","operationName":"A""#, r#","operationName":"B""#, r#","variables":{"a":1}"#, r#","id":7"#]));
    let call = call.prop_map(|(text, more)| format!(r#"{{"query":{}{more}}}"#, Value::from(text))).boxed();
    prop_oneof![4 => call.clone(), 1 => prop::collection::vec(call, 0..4).prop_map(|calls| format!("[{}]", calls.join(",")))]
}

fn bodies() -> impl Strategy<Value = String> {
    let note =
        || one_of(&[r#"{"kind":"public"}"#, r#"{"kind":"private"}"#, r#"{"Kind":"public"}"#, r#"{"kind":"public","kind":"x"}"#, "{", "[]", ""]);
    let part = (
        one_of(&["GET", "POST", "DELETE", "get", "PATCH"]),
        prop_oneof![targets(), soql().prop_map(|query| format!("/query?q={query}")), Just("/batch".to_owned()), Just("/graphql".to_owned())],
        prop_oneof![note(), graphql()],
    );
    let part = part.prop_map(|(method, url, body)| {
        let body = if method == "GET" || serde_json::from_str::<Value>(&body).is_err() { String::new() } else { format!(r#","body":{body}"#) };
        format!(r#"{{"method":"{method}","url":"{url}"{body}}}"#)
    });
    let batch = prop::collection::vec(part, 0..4).prop_map(|parts| format!(r#"{{"requests":[{}]}}"#, parts.join(",")));
    prop_oneof![note(), graphql(), batch]
}

pub(crate) fn requests() -> impl Strategy<Value = Sent> {
    let plain = (one_of(&["GET", "GET", "GET", "OPTIONS", "DELETE", "PUT", "POST"]), targets(), Just(None));
    let query = (Just("GET".to_owned()), soql().prop_map(|query| format!("/query?q={query}")), Just(None));
    let with_body =
        (Just("POST".to_owned()), one_of(&["/notes", "/graphql", "/batch", "/keys", "/batch", "/graphql?query=x"]), bodies().prop_map(Some));
    let header =
        prop::sample::select(vec![("X-Known", "1"), ("X-Refused", "1"), ("X-Dropped", "1"), ("X-HTTP-Method-Override", "PUT"), ("Accept", "a/b")]);
    let headers = prop::collection::vec(header, 0..2).prop_filter("no second header that decides", |headers| headers.len() < 2);
    (0..ROLES.len(), 0..GRANTS.len(), prop_oneof![1 => plain, 1 => query, 2 => with_body], headers, 0_usize..8).prop_map(
        |(role, grant, (method, target, body), headers, odd)| {
            let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if body.is_some() {
                headers.push(("Content-Type".to_owned(), if odd == 0 { "text/plain" } else { "application/json" }.to_owned()));
            }
            Sent { role, grant, method, target, headers, body }
        },
    )
}

/// What surely comes to an allowance, or to each of the reasons.
fn one_of_each() -> Vec<Sent> {
    let sent = |role: &str, grant, request: &str, body: Option<&str>| {
        let (method, target) = request.split_once(' ').unwrap();
        let headers = body.map(|_| ("Content-Type".to_owned(), "application/json".to_owned())).into_iter().collect();
        let role = ROLES.iter().position(|known| *known == role).unwrap();
        Sent { role, grant, method: method.to_owned(), target: target.to_owned(), headers, body: body.map(str::to_owned) }
    };
    vec![
        sent("left", 0, "GET /v1/Left/7", None),
        sent("shadow", 0, "GET /v1/Right/7", None),
        sent("right", 0, "GET /query?q=SELECT+Left.Id+FROM+Right", None),
        sent("all", 0, "POST /graphql", Some(r#"{"query":"mutation { x: y }"}"#)),
        sent("right", 0, "POST /batch", Some(r#"{"requests":[{"method":"GET","url":"/v1/Left/7"},{"method":"GET","url":"/ping"}]}"#)),
        sent("left", 0, "GET /v1/Left/a;b", None),
        sent("left", 0, "PATCH /v1/Left/7", None),
        sent("left", 0, "DELETE /v1/Left/7", None),
        sent("left", 0, "GET /v1/Right/7", None),
        sent("right", 1, "GET /v1/Right/7", None),
    ]
}

fn account(sent: &Sent) -> String {
    format!("{}_{}", ROLES[sent.role], sent.grant)
}

/// What a decision's JSON says.
fn of_json(decision: &Value) -> Came {
    let text = |name: &str| decision[name].as_str().map(str::to_owned);
    let verdict = text("decision").unwrap();
    // What shadow mode lets through lacks something, which the proxy tells the audit alone.
    let lacks = if verdict == "deny" { decision["missing"].as_array().unwrap().as_slice() } else { &[] };
    let mut missing: Vec<String> = lacks.iter().map(|scope| scope.as_str().unwrap().to_owned()).collect();
    missing.sort();
    Came { verdict, reason: text("reason"), operation: text("operation"), missing }
}

async fn by_proxy(stage: &Stage, sent: &Sent) -> Came {
    let mut head = format!(
        "{} /crm{} HTTP/1.1\r\nHost: {}\r\nScopegate-Account: {}\r\nConnection: close\r\n",
        sent.method,
        sent.target,
        stage.gateway,
        account(sent)
    );
    sent.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    if let Some(body) = &sent.body {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    let bytes = format!("{head}\r\n{}", sent.body.as_deref().unwrap_or_default());
    let answers = raw::exchange(stage.gateway, bytes.as_bytes()).await;
    let decision = answers[0].header("scopegate-decision").unwrap().to_owned();
    let problem: Value = serde_json::from_slice(&answers[0].body).unwrap_or_default();
    let piece = |lead: &str| decision.split(';').find_map(|part| part.strip_prefix(lead)).map(|text| text.trim_matches('"').to_owned());
    let mut missing: Vec<String> =
        problem["missing_scopes"].as_array().into_iter().flatten().map(|scope| scope.as_str().unwrap().to_owned()).collect();
    missing.sort();
    Came {
        verdict: decision.split(';').next().unwrap().to_owned(),
        reason: piece("reason="),
        operation: piece("op=").map(|operation| operation.trim_start_matches("crm.").to_owned()),
        missing,
    }
}

async fn by_dry_run(stage: &Stage, sent: &Sent) -> Came {
    let headers: serde_json::Map<String, Value> = sent.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let mut body = json!({"connector": "crm", "account": account(sent), "method": sent.method, "target": sent.target, "headers": headers});
    if let Some(text) = &sent.body {
        body["body"] = text.clone().into();
    }
    of_json(&stage.must(Method::POST, "/v1/decisions", body).await)
}

fn by_explain(stage: &Stage, sent: &Sent) -> Came {
    let mut command = Command::new(BINARY);
    command.current_dir(stage.folder.path()).args([
        "policy",
        "explain",
        &sent.method,
        &sent.target,
        "--connector",
        "crm",
        "--policies",
        "policies",
        "-o",
        "json",
    ]);
    command.args(["--role", ROLES[sent.role], "--granted", &GRANTS[sent.grant].replace(' ', ",")]);
    for (name, value) in &sent.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    if let Some(body) = &sent.body {
        std::fs::write(stage.path("body"), body).unwrap();
        command.args(["--body", "body"]);
    }
    let made = command.output().unwrap();
    let came = of_json(&serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}")));
    assert_eq!(made.status.code(), Some(i32::from(came.verdict == "deny")), "{made:?}");
    came
}

/// The request as a test of a document, which expects what came of it.
fn as_test(sent: &Sent, came: &Came) -> Value {
    let expect = match came.verdict.as_str() {
        "allow" => format!("allow {}", came.operation.as_deref().unwrap()),
        _ => format!("deny {} {}", came.reason.as_deref().unwrap(), came.missing.join(" ")).trim_end().to_owned(),
    };
    let headers: serde_json::Map<String, Value> = sent.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let mut request = json!({"connector": "crm", "method": sent.method, "target": sent.target, "headers": headers, "expect": expect});
    if let Some(body) = &sent.body {
        request["body"] = body.clone().into();
    }
    let granted: Vec<&str> = GRANTS[sent.grant].split(' ').collect();
    json!({"name": "as the proxy", "role": ROLES[sent.role], "granted": granted, "requests": [request]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_requests_come_out_alike_through_every_door() {
    let recorder = Recorder::start().await;
    let script = Script { upstream: Some(format!("http://{}", recorder.address)), policy: POLICY.to_owned(), ..Script::default() };
    let stage = Stage::with(script).await;
    for role in ROLES {
        for (number, grant) in GRANTS.iter().enumerate() {
            stage.account_at("crm", "acme", &format!("{role}_{number}"), role, grant).await;
        }
    }
    let mut runner = TestRunner::default();
    let random = std::iter::repeat_with(|| requests().new_tree(&mut runner).unwrap().current()).take(REQUESTS);
    let (mut allowed, mut reasons, mut tests) = (0, BTreeSet::new(), Vec::new());
    for (number, sent) in one_of_each().into_iter().chain(random).enumerate() {
        let proxy = by_proxy(&stage, &sent).await;
        let dry = by_dry_run(&stage, &sent).await;
        // The operation of a request that is refused for its reading is told where it is known already.
        let is_ambiguous = proxy.reason.as_deref() == Some("ambiguous_request");
        let told = |came: &Came| (came.verdict.clone(), came.reason.clone(), came.operation.clone().filter(|_| !is_ambiguous), came.missing.clone());
        assert_eq!(told(&proxy), told(&dry), "{sent:?}");
        if number < EXPLAINED {
            assert_eq!(told(&by_explain(&stage, &sent)), told(&dry), "{sent:?}");
        }
        allowed += usize::from(proxy.verdict == "allow");
        reasons.extend(proxy.reason.clone());
        tests.push(as_test(&sent, &proxy));
    }
    assert!(allowed >= 5 && reasons.len() == 5, "{allowed} {reasons:?}");
    assert_eq!(recorder.requests().len(), allowed, "what was allowed went out, and nothing else");
    std::fs::write(stage.path("policies/random.cases.yaml"), json!({"version": 1, "tests": tests}).to_string()).unwrap();
    let made = run(stage.folder.path(), &["policy", "test", "policies"]);
    assert!(made.status.success(), "{}{}", String::from_utf8_lossy(&made.stdout), String::from_utf8_lossy(&made.stderr));
}
