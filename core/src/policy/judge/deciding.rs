//! The fine print of deciding, line by line.

use crate::account::{GrantStanding, Standing};
use crate::connector::{Connector, Risk};
use crate::policy::decision::{Denial, DeniedBy, Operations, Ruling};
use crate::policy::fixture::{assemble, by_json, by_query, connector, granted, operation, request, role, ruled, scopes};
use crate::policy::model::RoleModel;
use crate::policy::operation::{Need, Operation};
use crate::policy::set::{PolicySet, judge, read};
use crate::request::{Body, Request};
use bytes::Bytes;

fn lab(operations: Vec<Operation>) -> PolicySet {
    let roles = vec![
        role("all", &[("lab", "a:read b:read c:read")]),
        role("ab", &[("lab", "a:read b:read")]),
        role("bc", &[("lab", "b:read c:read")]),
        role("a", &[("lab", "a:read")]),
        role("nothing", &[("lab", "")]),
        role("stranger", &[("other", "a:read")]),
    ];
    let declared = ["a:read: a", "b:read: b", "c:read: c"];
    assemble(vec![(connector("lab", &declared), operations), (connector("other", &declared), Vec::new())], roles)
}

fn as_role(policies: &PolicySet, role: &str, text: &str) -> String {
    ruled(policies, "lab", role, GrantStanding::Live(&granted(None)), &request(text, None))
}

fn ruling(policies: &PolicySet, role: &str, grant: GrantStanding<'_>, request: &Request) -> Ruling {
    judge(policies, &"lab".parse().unwrap(), &Standing { role: &role.parse().unwrap(), grant }, request)
}

#[test]
fn the_most_specific_operation_is_meant() {
    let policies = lab(vec![
        operation("literal", "GET /v1/things/mine", "a:read"),
        operation("mixed", "GET /v1/things/m{rest}", "b:read"),
        operation("single", "GET /v1/things/{id}", "c:read"),
        operation("many", "GET /v1/things/{+path}", "a:read"),
        operation("many.go", "GET /v1/things/{+path}:go", "a:read"),
        operation("rest", "GET /v1/rest/**", "a:read"),
        operation("rest.literal", "GET /v1/rest/a/b", "b:read"),
        operation("cross.left", "GET /v1/cross/{x}/z", "a:read"),
        operation("cross.right", "GET /v1/cross/y/{z}", "b:read"),
        operation("span.left", "GET /v1/span/{+x}/z", "a:read"),
        operation("span.right", "GET /v1/span/y/{+x}", "b:read"),
        operation("twice", "GET /v1/twice/{x}/z", "a:read"),
        operation("twice", "GET /v1/twice/y/{z}", "a:read"),
    ]);
    for (path, expected) in [
        ("/v1/things/mine", "allow literal"),
        ("/v1/things/mint", "allow mixed"),
        ("/v1/things/x", "allow single"),
        ("/v1/things/x/y", "allow many"),
        ("/v1/things/m", "allow single"),
        ("/v1/things/x:go", "allow many.go"),
        ("/v1/things/m:go", "allow many.go+mixed"),
        ("/v1/things/x/y:go", "allow many.go"),
        ("/v1/rest/a/b", "allow rest.literal"),
        ("/v1/rest/a", "allow rest"),
        ("/v1/rest/a/c", "allow rest"),
        ("/v1/rest", "deny unknown_operation"),
        ("/v1/cross/y/z", "allow cross.left+cross.right"),
        ("/v1/span/y/z", "allow span.left+span.right"),
        ("/v1/span/x/y/z", "allow span.left"),
        ("/v1/span/y/y", "allow span.right"),
        ("/v1/twice/y/z", "allow twice"),
    ] {
        assert_eq!(as_role(&policies, "all", &format!("GET {path}")), expected, "{path}");
    }
}

#[test]
fn a_condition_beats_none_and_two_that_differ_both_hold() {
    let narrowed = |id, matches, need, narrow| Operation { narrow, ..operation(id, matches, need) };
    let policies = lab(vec![
        operation("search", "GET /search", "a:read"),
        narrowed("search.kind", "GET /search", "b:read", vec![by_query("kind", "x")]),
        narrowed("search.size", "GET /search", "c:read", vec![by_query("size", "2")]),
        narrowed("any.kind", "GET /{any}", "c:read", vec![by_query("kind", "x")]),
        operation("any", "GET /{any}", "a:read"),
        narrowed("both", "GET /both", "a:read", vec![by_query("m", "1"), by_query("n", "2")]),
    ]);
    for (target, expected) in [
        ("/search", "allow search"),
        ("/search?kind=x", "allow search.kind"),
        ("/search?size=2", "allow search.size"),
        ("/search?kind=x&size=2", "allow search.kind+search.size"),
        ("/other?kind=x", "allow any.kind"),
        ("/other", "allow any"),
        ("/both?m=1&n=2", "allow both"),
        ("/both?m=1&n=3", "allow any"),
        ("/both?m=1&n=2&kind=x", "allow any.kind+both"),
    ] {
        assert_eq!(as_role(&policies, "all", &format!("GET {target}")), expected, "{target}");
    }
}

#[test]
fn where_two_hold_their_requirements_are_multiplied() {
    let policies = lab(vec![
        operation("left.any", "GET /any/{x}/z", "a:read | b:read"),
        operation("right.any", "GET /any/y/{z}", "c:read"),
        operation("left.none", "GET /none/{x}/z", "none"),
        operation("right.none", "GET /none/y/{z}", "none"),
    ]);
    let required = |role, text| match ruling(&policies, role, GrantStanding::Live(&granted(None)), &request(text, None)) {
        Ruling::Allow(allowance) => allowance.operations.required().to_vec(),
        Ruling::ReadBody(operations) => operations.required().to_vec(),
        Ruling::Deny(denial) => denial.operations().map(Operations::required).unwrap_or_default().to_vec(),
    };
    let product = vec![scopes("a:read c:read"), scopes("b:read c:read")];
    assert_eq!((required("nothing", "GET /any/y/z"), required("all", "GET /any/y/z")), (product.clone(), product));
    assert_eq!(required("nothing", "GET /none/y/z"), Vec::<Vec<_>>::new());
    for (role, expected) in [
        ("ab", "deny role_lacks_scope c:read"),
        ("bc", "allow left.any+right.any"),
        ("nothing", "deny role_lacks_scope a:read c:read"),
        ("stranger", "deny role_lacks_scope a:read c:read"),
    ] {
        assert_eq!(as_role(&policies, role, "GET /any/y/z"), expected, "{role}");
    }
}

#[test]
fn one_alternative_must_lie_wholly_in_role_and_grant() {
    let policies = lab(vec![operation("either", "GET /either", "a:read b:read | b:read c:read")]);
    for (role, grant, expected) in [
        ("all", "a b c", "allow either"),
        ("ab", "a b c", "allow either"),
        ("bc", "a b c", "allow either"),
        ("all", "a b", "allow either"),
        ("a", "a b c", "deny role_lacks_scope b:read"),
        ("all", "b", "deny consent_required a:read"),
        ("bc", "a b", "deny consent_required c:read"),
        ("a", "b c", "deny role_lacks_scope b:read"),
    ] {
        let came = ruled(&policies, "lab", role, GrantStanding::Live(&granted(Some(grant))), &request("GET /either", None));
        assert_eq!(came, expected, "{role} {grant}");
    }
}

#[test]
fn the_alternative_that_lacks_fewest_is_named_the_first_such() {
    let policies = lab(vec![
        operation("export", "GET /export", "a:read b:read | c:read"),
        operation("wide", "GET /wide", "a:read b:read c:read | b:read c:read"),
    ]);
    for (role, text, required, missing) in [
        ("a", "GET /export", "a:read b:read", "b:read"),
        ("nothing", "GET /export", "c:read", "c:read"),
        ("a", "GET /wide", "a:read b:read c:read", "b:read c:read"),
    ] {
        let came = ruling(&policies, role, GrantStanding::Live(&granted(None)), &request(text, None));
        let Ruling::Deny(Denial::RoleLacksScope { lack, .. }) = came else { panic!("{role} {text}: {came:?}") };
        assert_eq!((lack.required_scopes, lack.missing_scopes), (scopes(required), scopes(missing)), "{role} {text}");
    }
}

#[test]
fn a_pending_account_is_told_what_it_lacks_or_that_it_is_not_connected() {
    let policies = lab(vec![operation("get", "GET /x", "a:read b:read | c:read"), operation("ping", "GET /ping", "none")]);
    for (role, text, required, missing) in
        [("ab", "GET /x", "a:read b:read", "a:read b:read"), ("all", "GET /x", "c:read", "c:read"), ("all", "GET /ping", "", "")]
    {
        let came = ruling(&policies, role, GrantStanding::Missing, &request(text, None));
        let Ruling::Deny(Denial::ConsentRequired { lack, connected: false, .. }) = came else { panic!("{role} {text}: {came:?}") };
        assert_eq!((lack.required_scopes, lack.missing_scopes), (scopes(required), scopes(missing)), "{role} {text}");
    }
}

#[test]
fn who_denies_is_told_and_the_role_comes_first() {
    let refused = |id, matches, need| Operation { need, ..operation(id, matches, "none") };
    let policies = assemble(
        vec![(
            connector("lab", &["a:read: a"]),
            vec![
                refused("spoken", "GET /spoken", Need::Denied("people do this".to_owned())),
                refused("unknown", "GET /unknown", Need::Unknown),
                refused("spoken.any", "GET /{any}", Need::Unknown),
                operation("both.left", "GET /both/{x}/z", "a:read"),
                refused("both.right", "GET /both/y/{z}", Need::Denied("not this".to_owned())),
            ],
        )],
        vec![
            role("all", &[("lab", "a:read")]),
            RoleModel {
                deny: [("lab".parse().unwrap(), vec!["spoken".parse().unwrap(), "both.left".parse().unwrap()])].into_iter().collect(),
                ..role("denied", &[("lab", "")])
            },
        ],
    );
    for (role, text, expected) in [
        ("all", "GET /spoken", DeniedBy::Author("people do this".to_owned())),
        ("all", "GET /unknown", DeniedBy::UnknownNeed),
        ("all", "GET /both/y/z", DeniedBy::Author("not this".to_owned())),
        ("denied", "GET /spoken", DeniedBy::Role),
        ("denied", "GET /both/y/z", DeniedBy::Role),
        ("nobody", "GET /spoken", DeniedBy::Author("people do this".to_owned())),
    ] {
        let came = ruling(&policies, role, GrantStanding::Missing, &request(text, None));
        let Ruling::Deny(Denial::OperationDenied { by, .. }) = came else { panic!("{role} {text}: {came:?}") };
        assert_eq!(by, expected, "{role} {text}");
    }
}

#[test]
fn a_wildcard_never_reaches_what_answers_with_credentials() {
    let export = Operation { risk: Risk::Capability, ..operation("export", "POST /keys", "a:read") };
    let globber = RoleModel { spelled_out: [].into_iter().collect(), ..role("globber", &[("lab", "a:read")]) };
    let policies = assemble(
        vec![(connector("lab", &["a:read: a", "a:all: all > a:read"]), vec![export, operation("get", "GET /keys", "a:read")])],
        vec![globber, role("speller", &[("lab", "a:all")])],
    );
    for (role, text, expected) in
        [("globber", "GET /keys", "allow get"), ("globber", "POST /keys", "deny role_lacks_scope a:read"), ("speller", "POST /keys", "allow export")]
    {
        assert_eq!(as_role(&policies, role, text), expected, "{role} {text}");
    }
}

#[test]
fn a_body_on_get_or_head_needs_the_operations_word() {
    let policies = lab(vec![
        operation("get", "GET /plain", "a:read"),
        operation("head", "HEAD /plain", "a:read"),
        operation("delete", "DELETE /plain", "a:read"),
        Operation { body: true, ..operation("get.body", "GET /body", "a:read") },
        operation("get.left", "GET /{x}/z", "none"),
        Operation { body: true, ..operation("get.right", "GET /y/{z}", "none") },
    ]);
    for (role, text, expected) in [
        ("a", "GET /plain", "deny ambiguous_request"),
        ("a", "HEAD /plain", "deny ambiguous_request"),
        ("a", "DELETE /plain", "allow delete"),
        ("a", "GET /body", "allow get.body"),
        ("a", "GET /y/z", "deny ambiguous_request"),
        ("a", "GET /y/x", "allow get.right"),
        ("a", "GET /nothing", "deny unknown_operation"),
        ("nothing", "GET /plain", "deny ambiguous_request"),
    ] {
        for body in [Body::Unread, Body::Whole(Bytes::from_static(b"x"))] {
            let request = Request { body, ..request(text, None) };
            assert_eq!(ruled(&policies, "lab", role, GrantStanding::Live(&granted(None)), &request), expected, "{role} {text}");
        }
    }
    let empty = Request { body: Body::Whole(Bytes::new()), ..request("GET /plain", None) };
    assert_eq!(ruled(&policies, "lab", "a", GrantStanding::Live(&granted(None)), &empty), "allow get");
}

#[test]
fn a_websocket_needs_the_operations_word() {
    let policies = lab(vec![
        Operation { websocket: true, ..operation("socket", "GET /ws/{room}", "a:read") },
        operation("lobby", "GET /ws/lobby", "a:read"),
        operation("rest", "GET /{+path}", "a:read"),
    ]);
    for (text, expected) in [("GET /ws/x", "allow socket"), ("GET /ws/lobby", "deny unknown_operation"), ("GET /ws/x/y", "deny unknown_operation")] {
        let request = Request { websocket: true, ..request(text, None) };
        assert_eq!(ruled(&policies, "lab", "a", GrantStanding::Live(&granted(None)), &request), expected, "{text}");
    }
    assert_eq!(as_role(&policies, "a", "GET /ws/x"), "allow socket");
}

#[test]
fn two_hosts_at_once_are_two_readings() {
    let at = |host: &str, id, matches| Operation { host: Some(host.to_owned()), ..operation(id, matches, "none") };
    let policies = lab(vec![
        at("upload", "left", "GET /{x}/z"),
        operation("right", "GET /y/{z}", "none"),
        at("upload", "same.left", "GET /same/{x}/z"),
        at("upload", "same.right", "GET /same/y/{z}"),
    ]);
    assert_eq!(as_role(&policies, "a", "GET /y/z"), "deny ambiguous_request");
    assert_eq!(as_role(&policies, "a", "GET /same/y/z"), "allow same.left+same.right");
}

#[test]
fn characters_stand_encoded_only_where_all_operations_allow_it() {
    let encoding = |id, matches, allowed: &[(&str, &str)]| Operation {
        allow_encoded: allowed.iter().map(|(name, characters)| ((*name).to_owned(), (*characters).to_owned())).collect(),
        ..operation(id, matches, "a:read")
    };
    let policies = lab(vec![
        encoding("object", "GET /objects/{name}/meta", &[("name", "/#?")]),
        encoding("file", "GET /files/{name}.json", &[("name", "/")]),
        encoding("pair", "GET /pairs/{left}-{right}", &[("left", "/")]),
        encoding("tree", "GET /trees/{+path}/end", &[("path", "/")]),
        encoding("run", "POST /trees/{+path}:run", &[("path", "/")]),
        encoding("rest", "GET /rest/**", &[]),
        encoding("both.left", "GET /both/{name}/z", &[("name", "/")]),
        encoding("both.right", "GET /both/{+path}", &[]),
    ]);
    for (text, expected) in [
        ("GET /objects/a%2Fb/meta", "allow object"),
        ("GET /objects/a%2fb%23%3F/meta", "allow object"),
        ("GET /objects/a/meta%2F", "deny ambiguous_request"),
        ("GET /objects%2Fa/meta", "deny ambiguous_request"),
        ("POST /objects/a%2Fb/meta", "deny ambiguous_request"),
        ("GET /files/a%2Fb.json", "allow file"),
        ("GET /files/a%3Fb.json", "deny ambiguous_request"),
        ("GET /pairs/a%2Fb-c", "deny ambiguous_request"),
        ("GET /trees/a%2Fb/c/end", "allow tree"),
        ("GET /trees/a/c%2Fd/end", "allow tree"),
        ("POST /trees/a%2Fb/c%2Fd:run", "allow run"),
        ("GET /rest/a%2Fb", "deny ambiguous_request"),
        ("GET /both/a%2Fb/z", "deny ambiguous_request"),
        ("GET /nothing/a%2Fb", "deny ambiguous_request"),
    ] {
        assert_eq!(as_role(&policies, "a", text), expected, "{text}");
        let read = read(&policies, Some(&"lab".parse().unwrap()), &request(text, None));
        assert_eq!(read.is_err(), expected == "deny ambiguous_request", "{text}");
    }
}

#[test]
fn an_encoded_literal_is_read_both_ways() {
    let policies = lab(vec![
        operation("get", "GET /items/{id}", "a:read"),
        operation("cancel", "GET /items/{id}:cancel", "b:read"),
        operation("calendar", "GET /calendars/{id}/events", "a:read"),
    ]);
    for (text, expected) in [
        ("GET /items/7%3Acancel", "deny ambiguous_request"),
        ("GET /items/7%3Aother", "allow get"),
        ("GET /calendars/user%40example.com/events", "allow calendar"),
    ] {
        assert_eq!(as_role(&policies, "a", text), expected, "{text}");
        let read = read(&policies, Some(&"lab".parse().unwrap()), &request(text, None));
        assert_eq!(read.is_err(), expected == "deny ambiguous_request", "{text}");
    }
}

#[test]
fn honest_names_pass_where_connector_or_all_operations_take_them_off() {
    let taking = |id, matches, names: &[&str]| Operation {
        allow_query: names.iter().map(|name| (*name).to_owned()).collect(),
        ..operation(id, matches, "a:read")
    };
    let operations = vec![
        operation("plain", "GET /plain/{id}", "a:read"),
        taking("code", "GET /codes/{id}", &["code"]),
        operation("code.make", "POST /codes/{id}", "a:read"),
        taking("both.left", "GET /both/{x}/z", &["code", "sid"]),
        taking("both.right", "GET /both/y/{z}", &["sid"]),
    ];
    let lab = Connector { allow_query: vec!["signature".to_owned()], ..connector("lab", &["a:read: a"]) };
    let policies = assemble(vec![(lab, operations)], vec![role("a", &[("lab", "a:read")])]);
    for (text, expected) in [
        ("GET /plain/7?code=CH", "deny ambiguous_request"),
        ("GET /plain/7?signature=x", "allow plain"),
        ("GET /codes/7?code=CH", "allow code"),
        ("GET /codes/7?Code=CH", "deny ambiguous_request"),
        ("GET /codes/7?token=CH", "deny ambiguous_request"),
        ("GET /codes/7?code=a%26access_token%3Db", "deny ambiguous_request"),
        ("POST /codes/7?code=CH", "deny ambiguous_request"),
        ("GET /both/y/z?sid=1", "allow both.left+both.right"),
        ("GET /both/y/z?code=1", "deny ambiguous_request"),
        ("GET /nothing?code=1", "deny ambiguous_request"),
        ("GET /nothing?signature=1", "deny unknown_operation"),
    ] {
        assert_eq!(as_role(&policies, "a", text), expected, "{text}");
        let read = read(&policies, Some(&"lab".parse().unwrap()), &request(text, None));
        assert_eq!(read.is_err(), expected == "deny ambiguous_request", "{text}");
    }
    for (text, legal) in [("GET /a?b=c", true), ("GET /a?signature=x", false), ("GET /a%2Fb", false)] {
        for connector in [None, Some("unknown")] {
            let connector = connector.map(|name| name.parse().unwrap());
            assert_eq!(read(&policies, connector.as_ref(), &request(text, None)).is_ok(), legal, "{text}");
        }
    }
}

#[test]
fn the_one_reason_is_the_first_in_order() {
    let refused = Operation { need: Need::Denied("never".to_owned()), ..operation("refused", "GET /refused", "none") };
    let narrowed = Operation { narrow: vec![by_query("kind", "x")], ..operation("narrowed", "GET /narrowed", "a:read") };
    let policies = lab(vec![
        refused,
        narrowed,
        operation("get", "GET /get", "a:read"),
        Operation { narrow: vec![by_json("/a", 1)], ..operation("post", "POST /post", "b:read") },
    ]);
    for (what, role, text, grant, expected) in [
        ("reading before operation", "a", "GET /nothing?token=x", GrantStanding::Missing, "deny ambiguous_request"),
        ("reading before deny", "a", "GET /refused?kind=x&kind=y&token=z", GrantStanding::Missing, "deny ambiguous_request"),
        ("operation before role", "stranger", "GET /nothing", GrantStanding::Ended, "deny unknown_operation"),
        ("deny before role", "stranger", "GET /refused", GrantStanding::Ended, "deny operation_denied"),
        ("role before status", "nothing", "GET /get", GrantStanding::Ended, "deny role_lacks_scope a:read"),
        ("status before consent", "a", "GET /get", GrantStanding::Ended, "deny reauthorization_required"),
        ("nothing narrowed matches", "a", "GET /narrowed?kind=y", GrantStanding::Ended, "deny unknown_operation"),
        ("no body, no narrowed operation", "bc", "POST /post", GrantStanding::Ended, "deny unknown_operation"),
    ] {
        assert_eq!(ruled(&policies, "lab", role, grant, &request(text, None)), expected, "{what}");
    }
    let unread = |role, grant| ruled(&policies, "lab", role, grant, &Request { body: Body::Unread, ..request("POST /post", None) });
    assert_eq!(unread("bc", GrantStanding::Ended), "deny reauthorization_required");
    assert_eq!(unread("a", GrantStanding::Ended), "deny role_lacks_scope b:read");
    assert_eq!(unread("bc", GrantStanding::Live(&granted(None))), "read post");
}

#[test]
fn matches_of_one_operation_that_need_different_things_both_hold() {
    let policies = lab(vec![operation("same", "GET /n/{x}/z", "a:read"), operation("same", "GET /n/y/{z}", "b:read")]);
    for (role, text, expected) in [
        ("ab", "GET /n/y/z", "allow same"),
        ("a", "GET /n/y/z", "deny role_lacks_scope b:read"),
        ("bc", "GET /n/y/z", "deny role_lacks_scope a:read"),
        ("a", "GET /n/x/z", "allow same"),
    ] {
        assert_eq!(as_role(&policies, role, text), expected, "{role} {text}");
    }
}

#[test]
fn many_wide_alternatives_are_decided_one_by_one() {
    // 73 alternatives of 8 scopes each; the scope `top` implies all of the last one's, step by step.
    let name = |alternative: usize, scope: usize| format!("s{alternative}:{scope}");
    let facts = |alternative: usize, scope: usize| {
        let implied = if alternative == 72 && scope < 7 { format!(" > {}", name(alternative, scope + 1)) } else { String::new() };
        format!("{}: p{alternative}.{scope}{implied}", name(alternative, scope))
    };
    let pairs = || (0..73).flat_map(|alternative| (0..8).map(move |scope| (alternative, scope)));
    let mut declared: Vec<String> = pairs().map(|(alternative, scope)| facts(alternative, scope)).collect();
    declared.push(format!("top: t > {}", name(72, 0)));
    let declared: Vec<&str> = declared.iter().map(String::as_str).collect();
    let alternative = |number: usize| (0..8).map(|scope| name(number, scope)).collect::<Vec<_>>().join(" ");
    let need = (0..73).map(alternative).collect::<Vec<_>>().join(" | ");
    let (almost, whole) = (alternative(40).replace("s40:3", ""), alternative(40));
    let roles = vec![role("almost", &[("lab", &almost)]), role("whole", &[("lab", &whole)]), role("top", &[("lab", "top")])];
    let policies = assemble(vec![(connector("lab", &declared), vec![operation("wide", "GET /wide", &need)])], roles);
    let provider = |number: usize, left_out: usize| {
        (0..8).filter(|scope| *scope != left_out).map(|scope| format!("p{number}.{scope}")).collect::<Vec<_>>().join(" ")
    };
    for (role, grant, expected) in [
        ("almost", None, "deny role_lacks_scope s40:3"),
        ("whole", None, "allow wide"),
        ("whole", Some(provider(40, 9)), "allow wide"),
        ("whole", Some(provider(40, 6)), "deny consent_required s40:6"),
        ("top", None, "allow wide"),
        ("top", Some("t".to_owned()), "allow wide"),
        ("top", Some("p72.0".to_owned()), "allow wide"),
        ("top", Some("p72.1".to_owned()), "deny consent_required s72:0"),
    ] {
        let came = ruled(&policies, "lab", role, GrantStanding::Live(&granted(grant.as_deref())), &request("GET /wide", None));
        assert_eq!(came, expected, "{role} {grant:?}");
    }
}

#[test]
fn who_could_do_an_operation_is_known_by_role_and_grant() {
    let policies = lab(vec![operation("either", "GET /either", "a:read b:read | c:read"), operation("ping", "GET /ping", "none")]);
    for (text, grant, holders) in [
        ("GET /either", None, &["all", "ab", "bc"][..]),
        ("GET /either", Some("a b"), &["all", "ab"]),
        ("GET /either", Some("a c"), &["all", "bc"]),
        ("GET /either", Some("b"), &[]),
        ("GET /ping", Some(""), &["all", "ab", "bc", "a", "nothing"]),
    ] {
        let came = ruling(&policies, "stranger", GrantStanding::Missing, &request(text, None));
        let Ruling::Deny(denial) = came else { panic!("{text}") };
        let (lab, grant) = ("lab".parse().unwrap(), granted(grant));
        let could = |role: &&str, grant| policies.could_do(&lab, &Standing { role: &role.parse().unwrap(), grant }, denial.operations().unwrap());
        let roles = ["all", "ab", "bc", "a", "nothing", "stranger", "nobody"];
        assert_eq!(roles.into_iter().filter(|role| could(role, GrantStanding::Live(&grant))).collect::<Vec<_>>(), holders, "{text}");
        assert!(!roles.iter().any(|role| could(role, GrantStanding::Missing) || could(role, GrantStanding::Ended)), "{text}");
    }
}
