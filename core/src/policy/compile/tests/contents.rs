//! `soql`, `graphql`, `batch`, `limits`, `names` and `mode`.

use super::{assert_clean, assert_found, model_of, own};
use crate::inspect::{BatchFormat, PartShape};
use crate::policy::content::{Content, QueryPlace};
use crate::policy::limits::Rate;
use crate::policy::model::{Mode, Model};
use crate::policy::operation::{Need, Operation};
use std::collections::BTreeMap;
use std::time::Duration;

/// A connector with these keys of its own, whose one operation has these.
fn with(connector: &str, keys: &str) -> String {
    format!(
        "version: 1\nconnectors:\n  crm:\n    upstream: https://crm.example\n    scopes: {{a:read: , b:read: , b:write: }}\n{connector}    operations:\n      - {{id: x, {keys}}}\n"
    )
}

fn model(connector: &str, keys: &str) -> Model {
    model_of(&[own("p.yaml", &with(connector, keys))], &BTreeMap::new())
}

fn operations(connector: &str, keys: &str) -> Vec<Operation> {
    model(connector, keys).connectors.remove(0).operations
}

#[test]
fn soql_names_objects_and_where_relationships_lead() {
    let made = operations(
        "",
        "match: GET /q, soql: {query: q, objects: {Account: a:read, Contact: {any: [a:read, b:read]}, User: none}, relationships: {Contacts: Contact, Account.Owner: [User, contact]}}",
    );
    let Some(Content::Soql(soql)) = made[0].content.as_deref() else { panic!("{made:?}") };
    assert_eq!(made[0].need, Need::Scopes(vec![vec![]]));
    assert_eq!(soql.place, QueryPlace::Parameter("q".into()));
    assert_eq!(soql.objects.keys().collect::<Vec<_>>(), ["Account", "Contact", "User"]);
    assert_eq!((soql.objects["Contact"].len(), soql.objects["User"].as_slice()), (2, &[vec![]][..]));
    assert_eq!(soql.relationships, [("Contacts".to_owned(), vec![1]), ("Account.Owner".to_owned(), vec![2, 1])]);
    for (keys, expected) in [
        ("soql: «{objects: {A: a:read}}»", &[("SG0102", "does not say where the query stands")][..]),
        ("soql: {query: q, «json»: /q, objects: {A: a:read}}", &[("SG0106", "two")]),
        ("soql: {json: «q», objects: {A: a:read}}", &[("SG0211", "JSON pointer")]),
        ("soql: «{query: q}»", &[("SG0102", "no `objects`")]),
        ("soql: {query: q, objects: «{}»}", &[("SG0108", "every query is refused")]),
        ("soql: {query: q, objects: {A: «a:raed»}}", &[("SG0301", "did you mean `a:read`?")]),
        ("soql: {query: q, objects: {A: a:read, «a»: b:read}}", &[("SG0106", "without case")]),
        ("soql: {query: q, objects: {«A.B»: a:read}}", &[("SG0107", "`A.B`")]),
        ("soql: {query: q, objects: {Acc: a:read}, relationships: {R: «Ac»}}", &[("SG0414", "did you mean `Acc`?")]),
        ("soql: {query: q, objects: {A: a:read}, relationships: {«B.R»: A}}", &[("SG0414", "`B`")]),
        ("soql: {query: q, objects: {A: a:read}, relationships: {R: A, «r»: A}}", &[("SG0106", "already")]),
        ("soql: {query: q, objects: {A: a:read}, relationships: {R: «[]»}}", &[("SG0108", "nothing stands")]),
        ("soql: {query: q, objects: {A: a:read}, «relations»: {R: A}}", &[("SG0101", "`relations`")]),
        ("soql: {query: q, objects: {A: a:read}}, «graphql»: {query: {a: a:read}}", &[("SG0106", "in one way")]),
    ] {
        assert_found(&with("", &format!("match: POST /q, {keys}")), expected);
    }
    assert_found(&with("", "match: GET /q, «soql»: {json: /q, objects: {A: a:read}}"), &[("SG0411", "never holds")]);
    assert_clean(&with("", "match: GET /q, body: true, soql: {json: /q, objects: {A: a:read}}, require: b:read"));
}

#[test]
fn graphql_names_root_fields_by_kind() {
    let made = operations(
        "",
        "match: POST /g, graphql: {query: {a: a:read, __schema: none, '*': b:read}, mutation: {c: b:write}, subscription: {}, batched: 5, depth: 7, tokens: 900}",
    );
    let Some(Content::Graphql(graphql)) = made[0].content.as_deref() else { panic!("{made:?}") };
    assert_eq!(graphql.query.keys().collect::<Vec<_>>(), ["a", "__schema", "*"]);
    assert_eq!((graphql.mutation.len(), graphql.subscription.len(), graphql.batched, graphql.limits.depth, graphql.limits.tokens), (1, 0, 5, 7, 900));
    for (keys, expected) in [
        ("graphql: «{}»", &[("SG0108", "every request is refused")][..]),
        ("graphql: {«querry»: {a: a:read}}", &[("SG0101", "did you mean `query`?")]),
        ("graphql: {query: {«a b»: a:read}}", &[("SG0107", "name of a field")]),
        ("graphql: {query: {a: «a:raed»}}", &[("SG0301", "`a:raed`")]),
        ("graphql: {query: {a: a:read}, depth: «61»}", &[("SG0110", "from 1 to 60")]),
        ("graphql: {query: {a: a:read}, batched: «0»}", &[("SG0110", "from 1 to 100")]),
        ("graphql: {query: {a: a:read}, tokens: «many»}", &[("SG0110", "no whole number")]),
    ] {
        assert_found(&with("", &format!("match: POST /g, {keys}")), expected);
    }
}

#[test]
fn batch_says_where_parts_stand_and_what_they_are() {
    let made = operations(
        "",
        "match: \"POST /v/{version}/composite\", batch: {requests: /compositeRequest, method: /method, url: /url, body: /body, prefix: \"/v/{version}\", members: [referenceId], max_parts: 25}",
    );
    let Some(Content::Batch(shape)) = made[0].content.as_deref() else { panic!("{made:?}") };
    let BatchFormat::Json(json) = &shape.format else { panic!("{shape:?}") };
    assert_eq!((shape.max_parts, json.requests.as_str(), json.members.as_deref()), (25, "/compositeRequest", Some(&["referenceId".to_owned()][..])));
    assert!(matches!(&json.part, PartShape::Named { method, url } if method.as_str() == "/method" && url.as_str() == "/url"));
    let made = operations("", "match: POST /batch, batch: {format: multipart}");
    assert!(matches!(made[0].content.as_deref(), Some(Content::Batch(shape)) if shape.format == BatchFormat::Multipart && shape.max_parts == 100));
    assert_clean(&with(
        "",
        "match: \"POST /v/{version}/tree\", batch: {requests: /records, as: \"POST /v/{version}/sobjects/{/attributes/type}\", body: \"\", nested: /*/records}",
    ));
    for (keys, expected) in [
        ("«{method: /m, url: /u}»", &[("SG0102", "no `requests`")][..]),
        ("«{requests: /r, url: /u}»", &[("SG0102", "no `method`")]),
        ("{requests: «r», method: /m, url: /u}", &[("SG0211", "JSON pointer")]),
        ("{requests: /r, method: «POST», url: /u}", &[("SG0211", "JSON pointer")]),
        ("{requests: /r, method: /m, url: /u, max_parts: «1001»}", &[("SG0110", "from 1 to 1000")]),
        ("{requests: /r, method: /m, url: /u, prefix: «v1»}", &[("SG0404", "does not begin with `/`")]),
        ("{requests: /r, method: /m, url: /u, prefix: «/v1/»}", &[("SG0404", "ends in one")]),
        ("{requests: /r, method: /m, url: /u, prefix: «\"/{/id}\"»}", &[("SG0211", "the same for all")]),
        ("{requests: /r, method: /m, url: /u, prefix: «\"/{version}\"»}", &[("SG0410", "`version` is no segment")]),
        ("{requests: /r, method: /m, url: /u, «nested»: /n}", &[("SG0106", "no further parts")]),
        ("{requests: /r, as: «GET»}", &[("SG0401", "not a method and a path")]),
        ("{requests: /r, as: «get /x»}", &[("SG0402", "`get` is no method")]),
        ("{requests: /r, as: «GET x»}", &[("SG0404", "begins with `/`")]),
        ("{requests: /r, as: «\"GET /{id}\"»}", &[("SG0410", "`id`")]),
        ("{requests: /r, as: «\"GET /{/id\"»}", &[("SG0203", "brace")]),
        ("{requests: /r, as: GET /x, «method»: /m}", &[("SG0106", "means nothing")]),
        ("{format: multipart, «requests»: /r}", &[("SG0106", "means nothing")]),
        ("{format: «soap», requests: /r, method: /m, url: /u}", &[("SG0104", "`soap`")]),
    ] {
        assert_found(&with("", &format!("match: POST /b, batch: {keys}")), expected);
    }
    assert_found(&with("", "match: GET /b, «batch»: {requests: /r, method: /m, url: /u}"), &[("SG0411", "never holds")]);
}

#[test]
fn limits_are_those_of_the_settings_for_one_operation() {
    let limits =
        operations("", "match: POST /x, require: none, limits: {body: 50MiB, requests_per_account: 5/m, upstream: {head: 5m, idle: 600}}")[0].limits;
    assert_eq!(
        (limits.body, limits.connect, limits.head, limits.idle),
        (Some(50 << 20), None, Some(Duration::from_secs(300)), Some(Duration::from_secs(600)))
    );
    assert_eq!(limits.requests_per_account, Some(Rate { count: 5.try_into().unwrap(), per: Duration::from_secs(60) }));
    for (keys, expected) in [
        ("«fast»", &[("SG0103", "a mapping")][..]),
        ("{body: «50MB»}", &[("SG0110", "`MiB`")]),
        ("{requests_per_account: «5»}", &[("SG0110", "`/s`")]),
        ("{requests_per_account: «0/s»}", &[("SG0110", "at least 1")]),
        ("{«requests»: 1/s}", &[("SG0101", "")]),
        ("{upstream: {head: «0»}}", &[("SG0110", "in no time")]),
        ("{upstream: {«total»: 5s}}", &[("SG0101", "`total`")]),
    ] {
        assert_found(&with("", &format!("match: POST /x, require: none, limits: {keys}")), expected);
    }
}

#[test]
fn a_requirement_may_name_what_stands_in_the_path() {
    let shown = |operations: Vec<Operation>| -> Vec<String> {
        let need = |need: &Need| match need {
            Need::Scopes(all) => {
                all.iter().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(" | ")
            }
            Need::Unknown | Need::Denied(_) => "denied".to_owned(),
        };
        operations.iter().map(|operation| format!("{} {}: {}", operation.method, operation.template, need(&operation.need))).collect()
    };
    let names = "    names: {object: {Apple: a, Banana: b}, kind: [read, write]}\n";
    assert_eq!(
        shown(operations(names, "match: [\"GET /o/{object}/{id}\", \"HEAD /o/{object}\"], require: \"{object}:read\"")),
        ["GET /o/Apple/{id}: a:read", "HEAD /o/Apple: a:read", "GET /o/Banana/{id}: b:read", "HEAD /o/Banana: b:read"]
    );
    assert_eq!(
        shown(operations(names, "match: \"GET /{kind}/{object}\", names: {object: {Banana: b}}, require: {all: [\"{object}:{kind}\", a:read]}")),
        ["GET /read/Banana: b:read a:read", "GET /write/Banana: b:write a:read"]
    );
    assert_eq!(shown(operations(names, "match: \"GET /o/{object}\", require: a:read")), ["GET /o/{object}: a:read"]);
    let soql = operations(names, "match: GET /q, soql: {query: q, objects: {\"{object}\": \"{object}:read\", User: none}}");
    let Some(Content::Soql(soql)) = soql[0].content.as_deref() else { panic!("{soql:?}") };
    assert_eq!(soql.objects.keys().collect::<Vec<_>>(), ["Apple", "Banana", "User"]);
    let many: Vec<String> = (0..1001).map(|number| format!("n{number}")).collect();
    for (connector, keys, expected) in [
        (names, "match: \"GET /o/{object}\", require: «\"{object}:write\"»", &[("SG0301", "`a:write`")][..]),
        (names, "match: \"GET /o/{objekt}\", require: «\"{objekt}:read\"»", &[("SG0415", "did you mean `object`?")]),
        (names, "match: GET /o, require: «\"{object}:read\"»", &[("SG0410", "no parameter of the path /o")]),
        ("", "match: \"GET /o/{object}\", require: «\"{object}:read\"»", &[("SG0415", "under `names`")]),
        ("    names: {object: «{}»}\n", "match: GET /o, require: none", &[("SG0108", "no value")]),
        ("    names: {object: «[]»}\n", "match: GET /o, require: none", &[("SG0108", "")]),
        ("    names: {object: {A: «''»}}\n", "match: GET /o, require: none", &[("SG0108", "empty")]),
        ("    names: {object: {a/..: a}}\n", "match: «\"GET /o/{object}\"», require: \"{object}:read\"", &[("SG0404", "/o/a/..")]),
        (&format!("    names: {{n: [{}]}}\n", many.join(",")), "match: \"GET /{n}\", require: «\"{n}\"»", &[("SG0416", "more than 1000")]),
    ] {
        assert_found(&with(connector, keys), expected);
    }
}

#[test]
fn connectors_and_roles_have_a_mode() {
    let made = model_of(
        &[own(
            "p.yaml",
            &(with("    mode: shadow\n", "match: GET /x, require: none") + "roles: {a: {mode: shadow}, b: {extends: a}, c: {mode: enforce}}\n"),
        )],
        &BTreeMap::new(),
    );
    assert_eq!(made.connectors[0].mode, Mode::Shadow);
    assert_eq!(made.roles.iter().map(|role| role.mode).collect::<Vec<_>>(), [Mode::Shadow, Mode::Enforce, Mode::Enforce]);
}
