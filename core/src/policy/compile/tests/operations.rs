//! Operations: matches, requirements, conditions, and what the rest of their keys say.

use super::*;
use crate::connector::Risk;
use crate::policy::{Narrow, Need, Operation};

fn operations_of(lines: &[&str]) -> Vec<Operation> {
    let text = with_operations(lines);
    model_of(&[own("p.yaml", &text)], &BTreeMap::new()).connectors.remove(0).operations
}

fn need_of(require: &str) -> Need {
    operations_of(&[&format!("{{id: x, match: GET /x, require: {require}}}")]).remove(0).need
}

#[test]
fn an_operation_has_an_id_a_match_and_a_need() {
    for (line, expected) in [
        ("{«id»: x, match: GET /x}", &[("SG0405", "does not say what it needs")][..]),
        ("«{match: GET /x, require: none}»", &[("SG0102", "an operation has no `id`")]),
        ("{id: «x», require: none}", &[("SG0102", "an operation has no `match`")]),
        ("{id: «\"a+b\"», match: GET /x, require: none}", &[("SG0107", "not a valid operation id")]),
        ("{id: x, match: GET /x, «requires»: a:read}", &[("SG0101", "did you mean `require`?")]),
        ("{id: x, «mtach»: GET /x, require: none}", &[("SG0101", "did you mean `match`?")]),
        ("{id: x, match: «[]», require: none}", &[("SG0108", "nothing stands in this list")]),
        ("«x»", &[("SG0103", "an operation is a mapping, and this is a text")]),
    ] {
        let line = line.replace("{«id»: x, match: GET /x}", "{id: «x», match: GET /x}");
        assert_found(&with_operations(&[&line]), expected);
    }
    assert_found(
        &with_operations(&["{id: x, match: GET /x, require: none}", "{id: «x», match: GET /y, require: none}"]),
        &[("SG0406", "the operation `x` stands at 8:14 already")],
    );
}

#[test]
fn a_match_is_a_method_and_a_path_template() {
    for (found, expected) in [
        ("«/a»", &[("SG0401", "write `GET /a`")][..]),
        ("«\"/a/{x}\"»", &[("SG0401", "`/a/{x}` has no method")]),
        ("\"«get» /a\"", &[("SG0402", "write `GET`")]),
        ("«TRACE» /a", &[("SG0402", "never forwarded")]),
        ("«G@T» /a", &[("SG0402", "is no method")]),
        ("«PACTH» /a", &[("SG0403", "did you mean `PATCH`?")]),
        ("«GET»", &[("SG0404", "has no path")]),
        ("GET «a»", &[("SG0404", "begins with `/`")]),
        ("\"GET /a/«{x»/b\"", &[("SG0404", "closes")]),
        ("\"GET /a/{x}/«{x}»\"", &[("SG0404", "same name")]),
        ("GET /a/«**»/b", &[("SG0404", "only at the end")]),
        ("[GET /a, «GET /a»]", &[("SG0408", "stands twice")]),
        ("[GET /a, «/b»]", &[("SG0401", "has no method")]),
    ] {
        assert_found(&with_operations(&[&format!("{{id: x, match: {found}, require: none}}")]), expected);
    }
    let all = operations_of(&["{id: x, match: [\"GET  /a/{x}\", M-SEARCH /b, \"GET /c \\n\"], require: none}"]);
    let matches: Vec<_> = all.iter().map(|one| format!("{} {} {}", one.id, one.method, one.template)).collect();
    assert_eq!(matches, ["x GET /a/{x}", "x M-SEARCH /b", "x GET /c"]);
}

#[test]
fn a_requirement_keeps_the_authors_order_in_its_alternatives() {
    for (require, alternatives) in [
        ("a:read", &["a:read"][..]),
        ("none", &[""]),
        ("{all: [a:read, b:all]}", &["a:read+b:all"]),
        ("{any: [b:all, a:read]}", &["b:all", "a:read"]),
        ("{any: [a:write, {all: [a:read, b:all]}]}", &["a:write", "a:read+b:all"]),
        ("{all: [a:read, {any: [a:write, b:all]}]}", &["a:read+a:write", "a:read+b:all"]),
        ("{all: [{any: [a:read, a:write]}, {any: [a:read, b:all]}]}", &["a:read", "a:read+b:all", "a:write+a:read", "a:write+b:all"]),
        ("{any: [a:read, a:read]}", &["a:read"]),
        ("{any: [{all: [a:read, b:all]}, {all: [b:all, a:read]}]}", &["a:read+b:all"]),
    ] {
        let Need::Scopes(came) = need_of(require) else { panic!("{require}") };
        let came: Vec<String> = came.iter().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")).collect();
        assert_eq!(came, alternatives, "{require}");
    }
    assert_eq!(need_of("unknown"), Need::Unknown);
}

#[test]
fn a_requirement_names_scopes_and_says_how_they_belong_together() {
    let many = format!("«{{all: [{}]}}»", ["{any: [a:read, a:write, b:all]}"; 7].join(", "));
    for (require, expected) in [
        ("«a:raed»", &[("SG0301", "did you mean `a:read`?")][..]),
        ("{any: [«x:y», a:read, {all: [«z», b:all]}]}", &[("SG0301", "`x:y`"), ("SG0301", "`z`")]),
        ("«[a:read, b:all]»", &[("SG0103", "`{all: [...]}` or `{any: [...]}`")]),
        ("{any: [«[a:read]»]}", &[("SG0103", "could mean all of these scopes or any of them")]),
        ("«{}»", &[("SG0108", "or write `none`")]),
        ("«{any: []}»", &[("SG0108", "nothing stands in this list")]),
        ("{any: «a:read»}", &[("SG0103", "instead of a list")]),
        ("{«anny»: [a:read]}", &[("SG0101", "did you mean `any`?")]),
        ("{any: [a:read], «all»: [b:all]}", &[("SG0106", "nest one in the other")]),
        ("{any: [a:read, «none»]}", &[("SG0301", "no scope `none`")]),
        ("{«x: {}»}", &[("SG0101", "")]),
        (&many, &[("SG0302", "more than 1000 alternatives")]),
    ] {
        let require = require.replace("{«x: {}»}", "{«x»: {}}");
        assert_found(&with_operations(&[&format!("{{id: x, match: GET /x, require: {require}}}")]), expected);
    }
}

#[test]
fn a_sentence_of_the_author_denies_whatever_is_required() {
    let denied = |line: &str| operations_of(&[line]).remove(0).need;
    assert_eq!(denied("{id: x, match: GET /x, deny: \"not by agents \"}"), Need::Denied("not by agents".into()));
    assert_eq!(denied("{id: x, match: GET /x, require: a:read, deny: never}"), Need::Denied("never".into()));
    assert_found(&with_operations(&["{id: x, match: GET /x, require: «a:red», deny: never}"]), &[("SG0301", "did you mean `a:read`?")]);
    assert_found(&with_operations(&["{id: x, match: GET /x, deny: «\"\"»}"]), &[("SG0108", "empty")]);
}

#[test]
fn shadow_is_no_mode_of_an_operation() {
    assert_found(&with_operations(&["{id: x, match: GET /x, require: a:read, «mode»: shadow}"]), &[("SG0101", "`mode` is no key of an operation")]);
}

#[test]
fn where_compares_parameters_and_members() {
    let narrow = operations_of(&[
        "{id: x, match: POST /x, require: none, where: {query: {type: user, size: 2}, json: {/kind: x, /n: 2, /f: false, /z: null, /s: \"2\"}}}",
    ])
    .remove(0)
    .narrow;
    let query = |name: &str, value: &str| Narrow::Query { name: name.into(), value: value.into() };
    let json = |pointer: &str, value: serde_json::Value| Narrow::Json { pointer: pointer.parse().unwrap(), value };
    let wanted = [
        query("type", "user"),
        query("size", "2"),
        json("/kind", "x".into()),
        json("/n", 2.into()),
        json("/f", false.into()),
        json("/z", serde_json::Value::Null),
        json("/s", "2".into()),
    ];
    assert_eq!(narrow, wanted);
    for (condition, expected) in [
        ("«{}»", &[("SG0108", "`where` says nothing")][..]),
        ("«{query: {}, json: {}}»", &[("SG0108", "`where` says nothing")]),
        ("{«qeury»: {a: b}}", &[("SG0101", "did you mean `query`?")]),
        ("{query: {a: «[b]»}}", &[("SG0103", "a text")]),
        ("{json: {«kind»: x}}", &[("SG0211", "JSON pointer")]),
        ("{json: {/kind: «[x]»}}", &[("SG0103", "compared with")]),
    ] {
        assert_found(&with_operations(&[&format!("{{id: x, match: POST /x, require: none, where: {condition}}}")]), expected);
    }
    assert_found(&with_operations(&["{id: x, match: GET /x, require: none, where: {json: {«/kind»: x}}}"]), &[("SG0411", "carries no body")]);
    assert_clean(&with_operations(&["{id: x, match: GET /x, require: none, body: true, where: {json: {/kind: x}}}"]));
}

#[test]
fn the_rest_of_an_operation_is_taken_over_and_checked() {
    let made = operations_of(&["{id: x, match: \"GET /x/{n}\", require: none, risk: high, host: upload, body: true, upgrade: websocket, allow_query: [code], allow_encoded: {n: \"/#\"}, replay_after_401: all}"]).remove(0);
    assert_eq!((made.risk, made.host.as_deref(), made.body, made.websocket, made.replay_after_401), (Risk::High, Some("upload"), true, true, true));
    assert_eq!((made.allow_query, made.allow_encoded), (vec!["code".to_owned()], vec![("n".to_owned(), "/#".to_owned())]));
    let passing = operations_of(&["{id: x, match: GET /x, require: none, redirect: pass}"]).remove(0);
    assert_eq!((passing.redirect_passes, passing.risk), (true, Risk::Capability));
    for (keys, expected) in [
        ("host: «uplod»", &[("SG0409", "there is only `upload`")][..]),
        ("host: «uploads»", &[("SG0409", "did you mean `upload`?")]),
        ("upgrade: «websockets»", &[("SG0104", "did you mean `websocket`?")]),
        ("redirect: «follow»", &[("SG0104", "`pass`")]),
        ("allow_encoded: {«m»: /}", &[("SG0410", "no parameter `m`")]),
        ("allow_encoded: {n: «\"/%\"»}", &[("SG0104", "`%` can never stand encoded")]),
        ("risk: «capable»", &[("SG0104", "`capability`")]),
        ("body: «yes»", &[("SG0103", "`true` or `false`")]),
    ] {
        let expected: Vec<(&str, &str)> =
            expected.iter().map(|&(code, part)| (code, if part.contains("only") || part.contains("no parameter") { "" } else { part })).collect();
        assert_found(&with_operations(&[&format!("{{id: x, match: \"GET /x/{{n}}\", require: none, {keys}}}")]), &expected);
    }
}

#[test]
fn operations_of_one_shape_are_told_apart_or_made_one() {
    for (lines, expected) in [
        (
            ["{id: a, match: \"GET /a/{x}\", require: a:read}", "{id: b, match: «\"GET /a/{y}\"», require: none}"],
            &[("SG0407", "`b` matches the same requests as `a` at 8:24")][..],
        ),
        (
            ["{id: a, match: \"GET /a/{x}\", require: a:read}", "{id: b, match: «\"GET /a/{y}\"», require: a:read}"],
            &[("SG0408", "make them one operation")],
        ),
        (
            ["{id: a, match: GET /a, require: a:read}", "{id: b, match: «GET /a», require: a:read, host: upload}"],
            &[("SG0407", "says something else")],
        ),
        (
            ["{id: a, match: GET /a, require: a:read, where: {query: {k: x}}}", "{id: b, match: «GET /a», require: none, where: {query: {k: x}}}"],
            &[("SG0407", "")],
        ),
        (["{id: a, match: GET /a, require: a:read, where: {query: {k: x}}}", "{id: b, match: GET /a, require: none, where: {query: {k: y}}}"], &[]),
        (["{id: a, match: GET /a, require: a:read}", "{id: b, match: GET /a, require: none, where: {query: {k: x}}}"], &[]),
        (["{id: a, match: GET /a, require: a:read}", "{id: b, match: POST /a, require: none}"], &[]),
        (["{id: a, match: GET /a, require: a:read}", "{id: b, match: GET /A, require: none}"], &[]),
    ] {
        assert_found(&with_operations(&lines), expected);
    }
    let same = ["{id: a, match: GET /a, require: a:read}", "{id: b, match: «GET /A», require: none}"];
    let loose = with_operations(&same).replace("    scopes:", "    case_insensitive_paths: true\n    scopes:");
    assert_found(&loose, &[("SG0407", "")]);
    let imported = with_operations(&["{id: a, match: GET /a, require: a:read}", "{id: b, match: GET /a, require: none}"]);
    assert_clean(&imported.replace("    scopes:", "    source: {kind: openapi}\n    scopes:"));
}

#[test]
fn a_write_that_a_reading_scope_satisfies_is_pointed_at() {
    assert_found(
        &with_operations(&["{id: x, match: «PUT /x», require: {any: [b:all, a:read]}}"]),
        &[("SG0413", "`a:read` sounds as if it only read")],
    );
    for line in [
        "{id: x, match: PUT /x, require: a:write}",
        "{id: x, match: PUT /x, require: {all: [a:read, b:all]}}",
        "{id: x, match: POST /x, require: a:read}",
        "{id: x, match: PUT /x, require: none}",
    ] {
        assert_clean(&with_operations(&[line]));
    }
}
