//! YAML, and what stands at the top of a document.

use super::*;

#[test]
fn yaml_that_does_not_parse_is_one_finding_with_its_place() {
    for (text, part) in [
        ("version: 1\nroles: [unclosed\n", "the `[` at 2:8 is open here"),
        ("version: 1\nroles: {a: {allow: {crm: GET /a/{id}}}}\n", "quote texts that hold"),
        ("version: 1\n roles: {}\n", "this is no YAML"),
        ("version: \"1\nroles: {}\n", "this is no YAML"),
        ("%YAML 1.2\n---\nversion: 1\n", "this is no YAML"),
        ("version: 1\nroles:\n\t- a\n", "this is no YAML"),
        ("}\n", "this is no YAML"),
    ] {
        let found = diagnostics(&[own("p.yaml", text)]);
        let said: Vec<_> = found.iter().map(|one| format!("{} {}:{} {} | {:?}", one.code, one.line, one.column, one.message, one.help)).collect();
        assert!(found.len() == 1 && found[0].code == "SG0001" && said[0].contains(part), "{text}: {said:#?}");
        assert!(found[0].line >= 1 && found[0].line <= text.lines().count() + 1, "{text}: {said:#?}");
    }
}

#[test]
fn a_file_with_two_readings_is_refused() {
    for (text, expected) in [
        ("version: 1\nroles: {a: «&x» {allow: {}}, b: «*x»}", &[("SG0003", "`&x`"), ("SG0003", "aliases")][..]),
        ("version: 1\nroles: {b: «*x»}", &[("SG0003", "aliases")]),
        ("version: 1\nroles: {a: {«<<»: {}}}", &[("SG0003", "merge keys")]),
        ("version: 1\nroles: {a: {«\"<<\"»: {}}}", &[("SG0101", "`<<` is no key of a role")]),
        ("version: !!int «1»", &[("SG0003", "tags")]),
        ("version: 1\n«---»\nversion: 1", &[("SG0004", "a second document")]),
        ("version: 1\n«version»: 1", &[("SG0002", "`version` stands twice in this mapping, first in line 1")]),
        ("version: 1\nroles: {a: {}, \"b\": {}, «'b'»: {}}", &[("SG0002", "`b` stands twice")]),
        ("version: 1\nroles: {«[a, b]»: {}}", &[("SG0005", "a key is a text")]),
    ] {
        assert_found(text, expected);
    }
}

#[test]
fn a_document_says_its_version_and_nothing_unknown() {
    for (text, expected) in [
        ("«»roles: {}", &[("SG0105", "does not say its version")][..]),
        ("version: «2»", &[("SG0105", "not known")]),
        ("version: «\"1\"»", &[("SG0105", "not known")]),
        ("version: 1\n«conectors»: {}", &[("SG0101", "did you mean `connectors`?")]),
        ("version: 1\nconnectors: «[crm]»", &[("SG0103", "a mapping")]),
        ("version: 1\nroles: «x»", &[("SG0103", "a mapping")]),
        ("version: 1\ntests: «{}»", &[("SG0103", "a list")]),
        ("version: 1\ndisclose_delegates: «\"true\"»", &[("SG0103", "without quotes")]),
        ("«just a text»", &[("SG0103", "a policy document is a mapping")]),
        ("«- a»", &[("SG0103", "a policy document is a mapping")]),
    ] {
        assert_found(text, expected);
    }
    for text in ["", "# nothing\n", "version: 1", "---\nversion: 1\n...\n", "version: 1\nconnectors:\nroles:\n"] {
        assert_clean(text);
    }
}

#[test]
fn a_file_of_cases_holds_tests_only() {
    let found = diagnostics(&[own("p.cases.yaml", "version: 1\nroles: {}\ntests: []\n")]);
    let came: Vec<_> = found.iter().map(|one| (one.line, one.column, one.code)).collect();
    assert_eq!(came, [(2, 1, "SG0109")]);
    assert_eq!(diagnostics(&[own("p.cases.yaml", "tests: []\n")]), []);
}

#[test]
fn findings_are_sorted_and_name_their_file() {
    let found = diagnostics(&[own("b.yaml", "version: 2\nroles: x\n"), own("a.yaml", "roles: {}\n")]);
    let came: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.line, one.column)).collect();
    assert_eq!(came, [("a.yaml", 1, 1), ("b.yaml", 1, 10), ("b.yaml", 2, 8)]);
}

#[test]
fn delegates_are_disclosed_only_where_a_document_says_so_and_none_says_otherwise() {
    let disclosed = |text: &str| model_of(&[own("p.yaml", text)], &BTreeMap::new()).disclose_delegates;
    assert!(disclosed("version: 1\ndisclose_delegates: true\n"));
    assert!(!disclosed("version: 1\ndisclose_delegates: false\n"));
    assert!(!disclosed("version: 1\n"));
    let found = diagnostics(&[own("a.yaml", "version: 1\ndisclose_delegates: true\n"), own("b.yaml", "version: 1\ndisclose_delegates: false\n")]);
    assert_eq!(
        found.iter().map(|one| (one.code, one.message.as_str())).collect::<Vec<_>>(),
        [("SG0106", "`disclose_delegates` is said differently at a.yaml:2:21")]
    );
}

#[test]
fn something_that_looks_like_a_secret_is_pointed_at() {
    for (value, found) in [
        ("xoxb-123456789012-abcdefghijkl", true),
        ("\"Bearer ghp_abcdefghijklmnopqrstuvwxyz0123456789\"", true),
        ("AKIAIOSFODNN7EXAMPLE", true),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdef", true),
        ("2022-06-28", false),
        ("sk_live_", false),
        ("an honest sentence about xoxb- tokens", false),
    ] {
        let text = with_facts(&format!("headers: {{X-Version: {value}}}"));
        let codes: Vec<_> = diagnostics(&[own("p.yaml", &text)]).into_iter().map(|one| (one.code, one.severity)).collect();
        assert_eq!(codes == [("SG0701", Severity::Warning)], found, "{value}: {codes:?}");
    }
}
