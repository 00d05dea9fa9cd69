//! Documents that nobody would write.

#![expect(clippy::string_slice, reason = "places are taken from char_indices and find, so they lie between characters")]

use super::*;
use proptest::prelude::*;

const LANGUAGE: &str = include_str!("../../reference.md");

/// The last document of the reference holds every key.
fn everything() -> &'static str {
    LANGUAGE.rsplit("```yaml\n").next().and_then(|rest| rest.split("```").next()).unwrap()
}

/// Every finding has a place that is there, or just behind the end.
fn assert_placed(text: &str) {
    let lines: Vec<&str> = text.split('\n').collect();
    for one in diagnostics(&[own("p.yaml", text)]) {
        let line = one.line.checked_sub(1).and_then(|at| lines.get(at));
        let fits = line.is_some_and(|line| one.column >= 1 && one.column <= line.chars().count() + 1);
        assert!(fits || one.line == lines.len() + 1, "{one:?}\n{text}");
        assert!(one.width >= 1 && !one.message.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_stops_the_reading(text in "[ -~\n]{0,200}") {
        assert_placed(&text);
    }

    #[test]
    fn no_slip_in_a_document_stops_the_reading(at in 0.0..1.0f64, take in 0usize..12, put in "[ a-z:{}\\[\\]\"'*&!<>|\n\t,#é-]{0,6}") {
        let text = everything();
        let start = text.char_indices().map(|(index, _)| index).nth((text.chars().count() as f64 * at) as usize).unwrap_or(0);
        let end = text[start..].char_indices().map(|(index, _)| start + index).nth(take).unwrap_or(text.len());
        assert_placed(&format!("{}{put}{}", &text[..start], &text[end..]));
    }

    #[test]
    fn any_value_may_stand_behind_any_key(at in 0usize..200, value in prop::sample::select(vec!["", "[]", "{}", "5", "[[a]]", "{a: {b: [c]}}", "\"\"", "~", "'x y'", "[{}]", "true", "/a", "{any: []}"])) {
        let text = everything();
        let keys: Vec<usize> = text.match_indices(": ").map(|(index, _)| index).collect();
        let start = keys[at % keys.len()] + 2;
        let end = text[start..].find([',', '}', '\n']).map_or(text.len(), |length| start + length);
        assert_placed(&format!("{}{value}{}", &text[..start], &text[end..]));
    }
}

#[test]
fn whoever_misspells_everything_is_told_everything_and_soon() {
    let count = 20_000;
    let scopes: String = (0..count).map(|number| format!("      thing{number:05}:read: \n")).collect();
    let operations: String =
        (0..count).map(|number| format!("      - {{id: o{number}, match: GET /o{number}, require: thing{number:05}:raed}}\n")).collect();
    let text = format!("version: 1\nconnectors:\n  crm:\n    upstream: https://api.example\n    scopes:\n{scopes}    operations:\n{operations}");
    let found = diagnostics(&[own("p.yaml", &text)]);
    assert_eq!(found.len(), count);
    let helped = |one: &&Diagnostic| one.help.as_ref().is_some_and(|help| help.contains("did you mean"));
    let suggested = found.iter().take_while(helped).count();
    assert!((1..count / 10).contains(&suggested) && !found.iter().skip(suggested).any(|one| helped(&one)), "{suggested}");
}
