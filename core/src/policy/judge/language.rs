//! What the language means: a small shop, and what must come of requests to it.

use crate::account::GrantStanding;
use crate::connector::Connector;
use crate::policy::fixture::{assemble, by_json, by_query, connector, granted, operation, request, role, ruled, scopes};
use crate::policy::model::RoleModel;
use crate::policy::operation::Operation;
use crate::policy::set::PolicySet;

const SCOPES: [&str; 8] = [
    "items:read: r",
    "items:write: w > items:read",
    "items:admin: a > items:write",
    "orders:read: ord | all_orders",
    "orders:tag: orders:tag",
    "device:use: ",
    "keys:list: r",
    "keys:export: r",
];

fn operations() -> Vec<Operation> {
    vec![
        operation("item.list", "GET /items", "items:read"),
        operation("item.get", "GET /items/{id}", "items:read"),
        operation("item.mine", "GET /items/mine", "items:write"),
        operation("item.cancel", "POST /items/{id}:cancel", "items:write"),
        operation("item.copy", "POST /items/{id}:copy", "items:read"),
        operation("dump", "GET /dump/{id}.json", "items:admin"),
        operation("message", "GET /messages({id})", "items:read"),
        operation("leaf", "GET /tree/{name}", "items:write"),
        operation("branch", "GET /tree/{+path}", "items:read"),
        operation("static", "GET /static/**", "items:read"),
        operation("find", "GET /search", "items:read"),
        Operation { narrow: vec![by_query("type", "order")], ..operation("find.order", "GET /search", "orders:read") },
        operation("note", "POST /notes", "items:admin"),
        Operation { narrow: vec![by_json("/kind", "public")], ..operation("note.public", "POST /notes", "items:write") },
        operation("order.tag", "POST /orders/{id}/tags", "orders:tag"),
        operation("left", "GET /r/{x}/c", "items:read"),
        operation("right", "GET /r/b/{y}", "orders:read"),
        operation("deep", "GET /deep", "items:read orders:read | items:admin orders:tag | items:admin device:use"),
        operation("many", "PUT /many/{id}", "items:write"),
        operation("many", "DELETE /many/{id}", "items:write"),
        operation("device", "GET /device", "device:use"),
        operation("keys", "GET /keys", "keys:list"),
        operation("keys.export", "POST /keys", "keys:export"),
        operation("ping", "GET /ping", "none"),
        operation("either", "GET /either", "items:write | orders:tag"),
    ]
}

fn roles() -> Vec<RoleModel> {
    let deny = |role: RoleModel, ids: &[&str]| {
        let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
        RoleModel { deny: [("shop".parse().unwrap(), ids)].into_iter().collect(), ..role }
    };
    vec![
        role("reader", &[("shop", "items:read"), ("loose", "things:read")]),
        role("writer", &[("shop", "items:write")]),
        role("boss", &[("shop", "items:admin orders:read device:use")]),
        role("keeper", &[("shop", "keys:list")]),
        role("exporter", &[("shop", "keys:export")]),
        role("tagger", &[("shop", "orders:tag")]),
        role("child", &[("shop", "items:read orders:read"), ("loose", "things:read")]),
        deny(role("blocked", &[("shop", "items:write")]), &["item.cancel", "item.copy", "note.public"]),
        role("stranger", &[("loose", "things:read")]),
        role("user", &[("shop", "device:use")]),
        role("empty", &[("shop", "")]),
    ]
}

fn shop(operations: Vec<Operation>) -> PolicySet {
    let loose = Connector { case_insensitive_paths: true, ..connector("loose", &["things:read: r"]) };
    let things = vec![operation("thing", "GET /Things/{id}", "things:read")];
    assemble(vec![(connector("shop", &SCOPES), operations), (loose, things)], roles())
}

const ALL: Option<&str> = Some("r w a ord orders:tag");

/// Role, request, what the customer granted, what must come of it.
type Row = (&'static str, &'static str, Option<&'static str>, &'static str);

const ROWS: [(&str, &[Row]); 19] = [
    (
        "silence denies",
        &[
            ("boss", "GET /nothing", ALL, "deny unknown_operation"),
            ("boss", "POST /items", ALL, "deny unknown_operation"),
            ("boss", "GET /items/7/parts", ALL, "deny unknown_operation"),
            ("reader", "POST /items/7:other", ALL, "deny unknown_operation"),
            ("writer", "PATCH /many/1", ALL, "deny unknown_operation"),
            ("reader", "HEAD /items", ALL, "deny unknown_operation"),
            ("reader", "OPTIONS /items", ALL, "deny unknown_operation"),
            ("nobody", "GET /items", ALL, "deny role_lacks_scope items:read"),
            ("nobody", "GET /ping", ALL, "deny role_lacks_scope"),
            ("stranger", "GET /items", ALL, "deny role_lacks_scope items:read"),
        ],
    ),
    (
        "a scope is held or not",
        &[
            ("reader", "GET /items/7", ALL, "allow item.get"),
            ("reader", "PUT /many/7", ALL, "deny role_lacks_scope items:write"),
            ("writer", "DELETE /many/7", ALL, "allow many"),
        ],
    ),
    (
        "implied scopes are held, through several steps",
        &[
            ("writer", "GET /items", ALL, "allow item.list"),
            ("boss", "GET /items", ALL, "allow item.list"),
            ("boss", "PUT /many/7", ALL, "allow many"),
            ("writer", "GET /dump/7.json", ALL, "deny role_lacks_scope items:admin"),
        ],
    ),
    (
        "implication works on the grant too",
        &[
            ("writer", "GET /items", Some("w"), "allow item.list"),
            ("boss", "GET /items", Some("a"), "allow item.list"),
            ("reader", "GET /items", Some("w"), "allow item.list"),
            ("reader", "PUT /many/7", Some("w"), "deny role_lacks_scope items:write"),
            ("writer", "PUT /many/7", Some("r"), "deny consent_required items:write"),
        ],
    ),
    (
        "the role is asked before the grant",
        &[
            ("reader", "PUT /many/7", Some(""), "deny role_lacks_scope items:write"),
            ("reader", "GET /items", Some(""), "deny consent_required items:read"),
        ],
    ),
    (
        "require none needs nothing but an entry of the role",
        &[
            ("reader", "GET /ping", Some(""), "allow ping"),
            ("empty", "GET /ping", Some(""), "allow ping"),
            ("empty", "GET /items", ALL, "deny role_lacks_scope items:read"),
            ("reader", "POST /ping", ALL, "deny unknown_operation"),
            ("stranger", "GET /ping", ALL, "deny role_lacks_scope"),
        ],
    ),
    (
        "provider scopes: any, none, and the scope's own name",
        &[
            ("child", "GET /search?type=order", Some("r ord"), "allow find.order"),
            ("child", "GET /search?type=order", Some("r all_orders"), "allow find.order"),
            ("child", "GET /search?type=order", Some("r"), "deny consent_required orders:read"),
            ("user", "GET /device", Some(""), "allow device"),
            ("tagger", "POST /orders/7/tags", Some("orders:tag"), "allow order.tag"),
            ("tagger", "POST /orders/7/tags", Some("r"), "deny consent_required orders:tag"),
        ],
    ),
    (
        "a literal beats a parameter",
        &[
            ("reader", "GET /items/mine", ALL, "deny role_lacks_scope items:write"),
            ("writer", "GET /items/mine", ALL, "allow item.mine"),
            ("reader", "GET /items/mine2", ALL, "allow item.get"),
        ],
    ),
    (
        "one segment beats many",
        &[
            ("reader", "GET /tree/a", ALL, "deny role_lacks_scope items:write"),
            ("reader", "GET /tree/a/b", ALL, "allow branch"),
            ("reader", "GET /tree/a/b/c.d", ALL, "allow branch"),
            ("reader", "GET /tree", ALL, "deny unknown_operation"),
        ],
    ),
    (
        "literal and parameter share a segment",
        &[
            ("reader", "POST /items/7:copy", ALL, "allow item.copy"),
            ("reader", "POST /items/7:cancel", ALL, "deny role_lacks_scope items:write"),
            ("writer", "POST /items/7:cancel", ALL, "allow item.cancel"),
            ("reader", "GET /messages(42)", ALL, "allow message"),
            ("reader", "GET /messages", ALL, "deny unknown_operation"),
            ("boss", "GET /dump/7.json", ALL, "allow dump"),
            ("boss", "GET /dump/7.xml", ALL, "deny unknown_operation"),
        ],
    ),
    (
        "two stars at the end take the rest",
        &[
            ("reader", "GET /static/a", ALL, "allow static"),
            ("reader", "GET /static/a/b/c", ALL, "allow static"),
            ("reader", "GET /static", ALL, "deny unknown_operation"),
            ("reader", "GET /static/", ALL, "deny unknown_operation"),
            ("reader", "GET /statics/a", ALL, "deny unknown_operation"),
        ],
    ),
    (
        "where neither is more specific both must hold",
        &[
            ("reader", "GET /r/a/c", ALL, "allow left"),
            ("tagger", "GET /r/b/d", ALL, "deny role_lacks_scope orders:read"),
            ("reader", "GET /r/b/c", ALL, "deny role_lacks_scope orders:read"),
            ("child", "GET /r/b/c", ALL, "allow left+right"),
            ("child", "GET /r/b/c", Some("r"), "deny consent_required orders:read"),
        ],
    ),
    (
        "alternatives nest",
        &[
            ("child", "GET /deep", ALL, "allow deep"),
            ("boss", "GET /deep", ALL, "allow deep"),
            ("boss", "GET /deep", Some("a"), "allow deep"),
            ("reader", "GET /deep", ALL, "deny role_lacks_scope orders:read"),
        ],
    ),
    (
        "one alternative must be held by role and grant together",
        &[
            ("tagger", "GET /either", Some("orders:tag"), "allow either"),
            ("tagger", "GET /either", Some("w"), "deny consent_required orders:tag"),
            ("writer", "GET /either", Some("orders:tag"), "deny consent_required items:write"),
        ],
    ),
    (
        "deny wins",
        &[
            ("blocked", "POST /items/7:cancel", ALL, "deny operation_denied"),
            ("blocked", "POST /items/7:copy", ALL, "deny operation_denied"),
            ("blocked", "GET /items/7", ALL, "allow item.get"),
            ("blocked", "GET /items/mine", ALL, "allow item.mine"),
        ],
    ),
    (
        "where narrows by query",
        &[
            ("reader", "GET /search", ALL, "allow find"),
            ("reader", "GET /search?type=item", ALL, "allow find"),
            ("reader", "GET /search?type=order", ALL, "deny role_lacks_scope orders:read"),
            ("reader", "GET /search?a=1&%74ype=o%72der", ALL, "deny role_lacks_scope orders:read"),
            ("reader", "GET /search?type=Order", ALL, "allow find"),
            ("reader", "GET /search?subtype=order", ALL, "allow find"),
        ],
    ),
    (
        "a parameter that tells operations apart has one reading",
        &[
            ("boss", "GET /search?type=order&type=item", ALL, "deny ambiguous_request"),
            ("boss", "GET /search?type=item&type=order", ALL, "deny ambiguous_request"),
            ("boss", "GET /search?type=order&type=order", ALL, "deny ambiguous_request"),
            ("boss", "GET /search?Type=order", ALL, "deny ambiguous_request"),
            ("boss", "GET /search?type[]=order", ALL, "deny ambiguous_request"),
            ("boss", "GET /search?type%5B0%5D=order", ALL, "deny ambiguous_request"),
            ("boss", "GET /search?type=item&type=part", ALL, "allow find"),
            ("boss", "GET /search?Type=item", ALL, "allow find"),
        ],
    ),
    (
        "letters and trailing slashes count",
        &[("reader", "GET /Items", ALL, "deny unknown_operation"), ("reader", "GET /items/", ALL, "deny unknown_operation")],
    ),
    (
        "what is granted counts as all that the role needs where nobody said",
        &[("boss", "GET /deep", None, "allow deep"), ("reader", "GET /deep", None, "deny role_lacks_scope orders:read")],
    ),
];

#[test]
fn every_row_is_decided_as_it_says() {
    let policies = shop(operations());
    for (topic, rows) in ROWS {
        for (role, text, grant, expected) in rows {
            let came = ruled(&policies, "shop", role, GrantStanding::Live(&granted(*grant)), &request(text, None));
            assert_eq!(came, *expected, "{topic}: {role} {text}");
        }
    }
}

#[test]
fn order_in_the_documents_never_matters() {
    let policies = shop(operations().into_iter().rev().collect());
    for (topic, rows) in ROWS {
        for (role, text, grant, expected) in rows {
            let came = ruled(&policies, "shop", role, GrantStanding::Live(&granted(*grant)), &request(text, None));
            assert_eq!(came, *expected, "{topic}: {role} {text}");
        }
    }
}

#[test]
fn letters_do_not_count_where_the_connector_says_so() {
    let policies = shop(operations());
    for (text, expected) in [("GET /things/7", "allow thing"), ("GET /THINGS/7", "allow thing"), ("GET /thing/7", "deny unknown_operation")] {
        let came = ruled(&policies, "loose", "reader", GrantStanding::Live(&granted(None)), &request(text, None));
        assert_eq!(came, expected, "{text}");
    }
}

#[test]
fn where_narrows_by_body() {
    let policies = shop(operations());
    let all = granted(ALL);
    for (role, body, expected) in [
        ("writer", Some(r#"{"kind":"public"}"#), "allow note.public"),
        ("writer", Some(r#"{"kind":"private"}"#), "deny role_lacks_scope items:admin"),
        ("writer", Some(r#"{"kind":"public","kind":"private"}"#), "deny ambiguous_request"),
        ("writer", Some(r#"{"Kind":"public"}"#), "deny ambiguous_request"),
        ("boss", Some("{\"\u{212a}ind\":\"public\"}"), "deny ambiguous_request"), // a Kelvin sign
        ("boss", Some("{\"k\u{131}nd\":\"public\"}"), "deny ambiguous_request"),  // a dotless i
        ("boss", Some("{\"\u{212a}inds\":\"public\"}"), "allow note"),
        ("writer", Some("kind=public"), "deny ambiguous_request"),
        ("writer", Some(""), "deny role_lacks_scope items:admin"),
        ("writer", None, "deny role_lacks_scope items:admin"),
        ("boss", Some(r#"{"kind":"public"}"#), "allow note.public"),
        ("boss", Some("{}"), "allow note"),
        ("boss", Some(""), "allow note"),
        ("boss", None, "allow note"),
        ("boss", Some("{"), "deny ambiguous_request"),
        ("blocked", Some(r#"{"kind":"public"}"#), "deny operation_denied"),
        ("blocked", Some(r#"{"kind":"private"}"#), "deny operation_denied"), // no body could be allowed, so nobody looks into it
        ("reader", Some("{"), "deny role_lacks_scope items:admin"),
    ] {
        let came = ruled(&policies, "shop", role, GrantStanding::Live(&all), &request("POST /notes", body));
        assert_eq!(came, expected, "{role} {body:?}");
    }
}

#[test]
fn a_body_is_read_only_where_some_reading_of_it_could_be_allowed() {
    let policies = shop(operations());
    let (all, read_only) = (granted(ALL), granted(Some("r")));
    for (role, grant, expected) in [
        ("boss", GrantStanding::Live(&all), "read note.public"),
        ("writer", GrantStanding::Live(&all), "read note.public"),
        ("writer", GrantStanding::Live(&read_only), "deny role_lacks_scope items:admin"),
        ("boss", GrantStanding::Live(&read_only), "deny consent_required items:admin"),
        ("boss", GrantStanding::Missing, "deny consent_required items:admin"),
        ("writer", GrantStanding::Ended, "deny role_lacks_scope items:admin"),
        ("boss", GrantStanding::Ended, "deny reauthorization_required"),
        ("reader", GrantStanding::Live(&all), "deny role_lacks_scope items:admin"),
        ("blocked", GrantStanding::Live(&all), "deny operation_denied"),
        ("stranger", GrantStanding::Live(&all), "deny role_lacks_scope items:admin"),
    ] {
        let unread = crate::request::Request { body: crate::request::Body::Unread, ..request("POST /notes", None) };
        assert_eq!(ruled(&policies, "shop", role, grant, &unread), expected, "{role} {grant:?}");
    }
}

#[test]
fn accounts_are_asked_for_their_status_behind_the_role() {
    let policies = shop(operations());
    for (role, text, grant, expected) in [
        ("reader", "GET /items", GrantStanding::Missing, "deny consent_required items:read"),
        ("reader", "GET /ping", GrantStanding::Missing, "deny consent_required"),
        ("user", "GET /device", GrantStanding::Missing, "deny consent_required"),
        ("reader", "PUT /many/7", GrantStanding::Missing, "deny role_lacks_scope items:write"),
        ("reader", "GET /items", GrantStanding::Ended, "deny reauthorization_required"),
        ("reader", "GET /ping", GrantStanding::Ended, "deny reauthorization_required"),
        ("reader", "PUT /many/7", GrantStanding::Ended, "deny role_lacks_scope items:write"),
        ("reader", "GET /nothing", GrantStanding::Ended, "deny unknown_operation"),
        ("blocked", "POST /items/7:copy", GrantStanding::Ended, "deny operation_denied"),
        ("boss", "GET /deep", GrantStanding::Missing, "deny consent_required items:admin"),
    ] {
        assert_eq!(ruled(&policies, "shop", role, grant, &request(text, None)), expected, "{role} {text}");
    }
}

#[test]
fn scopes_close_over_what_they_imply() {
    let policies = shop(operations());
    let shop = "shop".parse().unwrap();
    for (role, held) in [("boss", "device:use items:admin items:read items:write orders:read"), ("empty", ""), ("stranger", ""), ("nobody", "")] {
        assert_eq!(policies.role_scopes(&role.parse().unwrap(), &shop), scopes(held), "{role}");
    }
    for (grant, covered) in
        [("", "device:use"), ("w", "device:use items:read items:write"), ("all_orders", "device:use orders:read"), ("x", "device:use")]
    {
        assert_eq!(policies.covered_by(&shop, &crate::policy::fixture::provider_scopes(grant).into_iter().collect()), scopes(covered), "{grant}");
    }
}
