use super::*;
use crate::inspect::{Json, Tape, tapes};
use crate::request::{Query, Request};
use proptest::prelude::*;

fn asked(text: &str, name: Option<&str>) -> Result<String, Ambiguity> {
    let kind = |kind| match kind {
        GraphqlKind::Query => "query",
        GraphqlKind::Mutation => "mutation",
        GraphqlKind::Subscription => "subscription",
    };
    Asked::read(text, name, GraphqlLimits::default()).map(|asked| format!("{} {}", kind(asked.kind), asked.fields.join(" ")))
}

#[test]
fn root_fields_are_those_of_the_schema() {
    for (text, name, came) in [
        ("{ account(id: 7) { name } }", None, "query account"),
        ("query { opportunity: account(id: 7) { close { id } } }", None, "query account"),
        ("{ account: opportunity { name } x: opportunity { id } account }", None, "query opportunity account"),
        ("mutation Close { close(id: 7) { name } }", None, "mutation close"),
        ("subscription S($a: Int = 3, $b: [Int!]! @d) @x(y: \"z\") { s }", None, "subscription s"),
        ("query { ...F } fragment F on Query { opportunity(id: 7) { name } ...G } fragment G on Query { g }", None, "query opportunity g"),
        ("query { ... on Query { a } ... @include(if: false) { b } ... { c } }", None, "query a b c"),
        ("query { a @skip(if: true) b @include(if: $no) { c } }", None, "query a b"),
        ("query A { a } mutation B { b }", Some("A"), "query a"),
        ("query A { a } mutation B { b }", Some("B"), "mutation b"),
        ("query A { a }", Some("A"), "query a"),
        ("{ a(b: \"} secret {\", c: \"\"\" \"x\" \\\"\"\" secret \"\"\", d: [1, -2.5e3, {e: $f}, ENUM, null]) }", None, "query a"),
        ("# { secret }\n{ a, b # c\n }", None, "query a b"),
        ("{ __typename __schema { types { name } } }", None, "query __typename __schema"),
        ("{ query mutation fragment on }", None, "query query mutation fragment on"),
        ("{a...F}fragment F on Q{b}fragment Unused on Q{c}", None, "query a b"),
        ("{ a\r\nb }", None, "query a b"),
    ] {
        assert_eq!(asked(text, name), Ok(came.to_owned()), "{text}");
    }
}

#[test]
fn a_document_that_cannot_be_executed_in_one_way_is_refused() {
    for (text, name, fault) in [
        ("", None, SYNTAX),
        ("hello", None, SYNTAX),
        ("{ account(id: 7) {", None, SYNTAX),
        ("{ a } }", None, SYNTAX),
        ("{ a ) }", None, SYNTAX),
        ("{ }", None, SYNTAX),
        ("{ a: }", None, SYNTAX),
        ("{ a(b: ) }", None, SYNTAX),
        ("{ ... }", None, SYNTAX),
        ("{ a } type Query { b: Int }", None, SYNTAX),
        ("{ a } extend type Query { b: Int }", None, SYNTAX),
        ("{ a(b: \"\n\") }", None, SYNTAX),
        ("{ a(b: \"\\x\") }", None, SYNTAX),
        ("{ a } ;", None, SYNTAX),
        ("{ \u{e4} }", None, SYNTAX),
        ("{ account # \r : \n opportunity }", None, CHARACTER),
        ("{ a # \u{2028} b\n }", None, CHARACTER),
        ("{ a # \u{85} b\n }", None, CHARACTER),
        ("{ a \u{feff} b }", None, CHARACTER),
        ("{ a\0 }", None, CHARACTER),
        ("query A { a } mutation B { b }", None, WHICH),
        ("query A { a } mutation B { b }", Some("C"), WHICH),
        ("query A { a } query A { b }", Some("A"), WHICH),
        ("{ a } query B { b }", Some("B"), WHICH),
        ("{ a } { b }", None, WHICH),
        ("{ a }", Some("A"), WHICH),
        ("fragment F on Q { a }", None, WHICH),
        ("{ ...F }", None, FRAGMENTS),
        ("{ ...F } fragment F on Q { ...F }", None, FRAGMENTS),
        ("{ ...F } fragment F on Q { a { ...G } } fragment G on Q { ... { ...F } }", None, FRAGMENTS),
        ("{ ...F } fragment F on Q { a } fragment F on Q { b }", None, FRAGMENTS),
        ("{ a { ...F } }", None, FRAGMENTS),
    ] {
        assert_eq!(asked(text, name), Err(fault), "{text}");
    }
}

#[test]
fn depth_and_length_have_limits() {
    let nested = |depth: usize| "{a".repeat(depth) + &"}".repeat(depth);
    let values = |depth: usize| format!("{{a(b:{}1{})}}", "[".repeat(depth), "]".repeat(depth));
    let chain = |length: usize| {
        let fragments: String = (0..length).map(|at| format!("fragment F{at} on Q {{ ...F{} }}", at + 1)).collect();
        format!("{{ ...F0 }} {fragments} fragment F{length} on Q {{ a }}")
    };
    for (text, is_fine) in [
        (nested(20), true),
        (nested(21), false),
        (nested(2000), false),
        (values(18), true),
        (values(19), false),
        (chain(18), true),
        (chain(19), false),
        (chain(200), false),
        (format!("{{{}}}", "a ".repeat(2498)), true),
        (format!("{{{}}}", "a ".repeat(2500)), false),
        ("{".repeat(100_000), false),
    ] {
        let came = asked(&text, None);
        assert_eq!(came.as_ref().err().copied(), (!is_fine).then_some(LARGE), "{}", text.chars().take(60).collect::<String>());
    }
}

#[test]
fn a_request_is_an_object_of_four_members() {
    let hash = "7c3d84c4aba2ff3acadd7fa7c3ae3d4f5d8d2d8fbe6b0b7d1ab3f7fd4a4d4ba3";
    let right = {
        use sha2::{Digest, Sha256};
        Sha256::digest("{a}").iter().map(|byte| format!("{byte:02X}")).collect::<String>()
    };
    let persisted =
        |hash: &str, text: &str| format!(r#"{{"query":{text},"extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{hash}"}},"x":1}}}}"#);
    for (body, most, came) in [
        (r#"{"query":"{a}"}"#.to_owned(), 0, Ok(1)),
        (r#"{"query":"query A {a}","operationName":"A","variables":{"secret":[1]},"extensions":null}"#.to_owned(), 0, Ok(1)),
        (r#"{"query":"{a}","operationName":"","variables":null}"#.to_owned(), 0, Ok(1)),
        (persisted(&right, r#""{a}""#), 0, Ok(1)),
        (persisted(hash, r#""{a}""#), 0, Err(PERSISTED)),
        (persisted(&right, "null"), 0, Err(NO_TEXT)),
        (r#"{"extensions":{"persistedQuery":{"sha256Hash":"ab"}}}"#.to_owned(), 0, Err(NO_TEXT)),
        (r#"{"query":"{a}","extensions":{"persistedQuery":1}}"#.to_owned(), 0, Err(PERSISTED)),
        (r#"{"query":" "}"#.to_owned(), 0, Err(NO_TEXT)),
        ("{}".to_owned(), 0, Err(NO_TEXT)),
        (r#"{"query":["{a}"]}"#.to_owned(), 0, Err(SHAPE)),
        (r#"{"query":"{a}","variables":"{}"}"#.to_owned(), 0, Err(SHAPE)),
        (r#"{"query":"{a}","operationName":1}"#.to_owned(), 0, Err(SHAPE)),
        (r#"{"query":"{a}","id":"7"}"#.to_owned(), 0, Err(SHAPE)),
        (r#"{"query":"{a}","Query":"{b}"}"#.to_owned(), 0, Err(SHAPE)),
        ("\"{a}\"".to_owned(), 0, Err(SHAPE)),
        (r#"[{"query":"{a}"}]"#.to_owned(), 0, Err(LIST)),
        (r#"[{"query":"{a}"},{"query":"{b}"}]"#.to_owned(), 2, Ok(2)),
        (r#"[{"query":"{a}"},{"query":"{b}"},{"query":"{c}"}]"#.to_owned(), 2, Err(LIST)),
        ("[]".to_owned(), 2, Err(LIST)),
        (r#"[[{"query":"{a}"}]]"#.to_owned(), 2, Err(SHAPE)),
    ] {
        let json = Json::read(body.as_bytes()).unwrap();
        assert_eq!(Call::in_body(&json, &Query::default(), most).map(|calls| calls.len()), came, "{body}");
    }
    let body = Json::read(br#"{"query":"{a}"}"#).unwrap();
    for (query, came) in
        [("x=1", Ok(1)), ("query=%7Bb%7D", Err(TWINS)), ("Query=x", Err(TWINS)), ("operationName[]=x", Err(TWINS)), ("documentId=7", Err(TWINS))]
    {
        assert_eq!(Call::in_body(&body, &Query::parse(query).unwrap(), 0).map(|calls| calls.len()), came, "{query}");
    }
}

#[test]
fn by_get_the_members_are_parameters_and_only_queries_run() {
    let read = |target: &str| {
        let request = Request::read("GET", target, &[], None).unwrap();
        Call::in_query(&request.query).and_then(|call| call.asked_by_get(GraphqlLimits::default())).map(|asked| asked.fields.join(" "))
    };
    for (target, came) in [
        ("/g?query=%7Ba+b%7D", Ok("a b")),
        ("/g?query=query+A%7Ba%7D+query+B%7Bb%7D&operationName=B&variables=%7B%22x%22:1%7D&extensions=%7B%7D", Ok("b")),
        ("/g?query=mutation%7Ba%7D", Err(BY_GET)),
        ("/g?query=subscription%7Ba%7D", Err(BY_GET)),
        ("/g?query=%7Ba%7D&query=%7Bb%7D", Err(SHAPE)),
        ("/g?query=%7Ba%7D&Query=%7Bb%7D", Err(SHAPE)),
        ("/g?query=%7Ba%7D&id=7", Err(SHAPE)),
        ("/g", Err(NO_TEXT)),
    ] {
        assert_eq!(read(target), came.map(str::to_owned), "{target}");
    }
    assert!(read("/g?query=%7Ba%7D&variables=x").is_err());
}

/// Writes a document, and which root fields each operation has as it goes.
struct Writer {
    tape: Tape,
    /// Texts of the fragments, and the root fields that spreading them brings.
    fragments: Vec<(String, Vec<String>)>,
}

const FIELDS: [&str; 6] = ["account", "opportunity", "query", "on", "fragment", "__typename"];

impl Writer {
    fn blank(&mut self) -> &'static str {
        self.tape.one(&[" ", "\n", ", ", " # } secret {\n", "\r\n\t"])
    }

    fn directive(&mut self) -> &'static str {
        self.tape.one(&["", " @include(if: false)", " @skip(if: $x)", " @a @b(c: \"}\")"])
    }

    /// A selection set, and its fields.
    fn selections(&mut self, depth: usize) -> (String, Vec<String>) {
        let mut text = "{".to_owned();
        let mut fields: Vec<String> = Vec::new();
        for _ in 0..=self.tape.below(3) {
            text += self.blank();
            match self.tape.below(if depth > 0 { 5 } else { 2 }) {
                0 => {
                    let name = self.tape.one(&FIELDS);
                    text += &format!("{name}{}", self.directive());
                    fields.push(name.to_owned());
                }
                1 => {
                    let (alias, name) = (self.tape.one(&FIELDS), self.tape.one(&FIELDS));
                    let arguments = self.tape.one(&["", "(a: 1)", "(a: \"{ secret }\", b: [{c: $d}])", "(a: \"\"\"}\\\"\"\" secret\"\"\")"]);
                    text += &format!("{alias}{}:{}{name}{arguments}", self.tape.one(&["", " ", "\n"]), self.blank());
                    fields.push(name.to_owned());
                }
                2 => {
                    let name = self.tape.one(&FIELDS);
                    let (inner, _) = self.selections(depth - 1);
                    text += &format!("{name}{}{inner}", self.directive());
                    fields.push(name.to_owned());
                }
                3 => {
                    let condition = self.tape.one(&["", " on Query", " on Other"]);
                    let (inner, found) = self.selections(depth - 1);
                    text += &format!("...{condition}{} {inner}", self.directive());
                    fields.extend(found);
                }
                _ => {
                    let (inner, found) = self.selections(depth - 1);
                    let name = format!("F{}", self.fragments.len());
                    text += &format!("...{name}{}", self.directive());
                    self.fragments.push((format!("fragment {name} on Query {inner}"), found.clone()));
                    fields.extend(found);
                }
            }
        }
        text += self.blank();
        (text + "}", fields)
    }
}

/// Operations with their names and kinds, fragments between them, and which one is executed.
fn documents() -> impl Strategy<Value = (String, Option<String>, GraphqlKind, Vec<String>)> {
    tapes().prop_map(|tape| {
        let mut writer = Writer { tape, fragments: Vec::new() };
        let count = writer.tape.below(3) + 1;
        let mut pieces = Vec::new();
        let mut all = Vec::new();
        for number in 0..count {
            let (word, kind) =
                writer.tape.one(&[("query", GraphqlKind::Query), ("mutation", GraphqlKind::Mutation), ("subscription", GraphqlKind::Subscription)]);
            let (selections, fields) = writer.selections(3);
            let is_short = count == 1 && writer.tape.once_in(2);
            pieces.push(if is_short { selections } else { format!("{word} N{number}{} {selections}", writer.directive()) });
            all.push(if is_short { (GraphqlKind::Query, fields) } else { (kind, fields) });
        }
        pieces.extend(writer.fragments.iter().map(|(text, _)| text.clone()));
        let turn = writer.tape.below(pieces.len());
        pieces.rotate_left(turn);
        let at = writer.tape.below(count);
        let (kind, fields) = all.swap_remove(at);
        let name = (count > 1).then(|| format!("N{at}"));
        (pieces.join("\n"), name, kind, fields)
    })
}

fn sorted(mut fields: Vec<String>) -> Vec<String> {
    fields.sort();
    fields.dedup();
    fields
}

proptest! {
    #[test]
    fn what_was_written_into_a_document_is_what_is_read_from_it((text, name, kind, fields) in documents()) {
        let came = Asked::read(&text, name.as_deref(), GraphqlLimits::default());
        let came = came.map(|asked| (asked.kind, sorted(asked.fields)));
        prop_assert_eq!(came, Ok((kind, sorted(fields))), "{}", text);
    }

    #[test]
    fn a_broken_document_reads_as_a_slow_reader_reads_it((text, name, _, _) in documents(), at in any::<prop::sample::Index>(), put in "[{}()a@:#\"$ \n.]{0,2}", cut in 0_usize..2) {
        let characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        let broken: String = characters[..at].iter().copied().chain(put.chars()).chain(characters[(at + cut).min(characters.len())..].iter().copied()).collect();
        if let Ok(asked) = Asked::read(&broken, name.as_deref(), GraphqlLimits::default()) {
            let slow = slow::roots(&broken, name.as_deref());
            prop_assert_eq!(Some(sorted(asked.fields)), slow.map(sorted), "{}", broken);
        }
    }
}

/// A reader by the letter of the grammar: a character at a time, without a tree.
mod slow {
    pub(super) fn roots(text: &str, name: Option<&str>) -> Option<Vec<String>> {
        let words = words(text)?;
        let mut at = 0;
        let (mut operations, mut fragments) = (Vec::new(), Vec::new());
        while at < words.len() {
            let start = at;
            while words[at] != "{" {
                // Default values of variables hold braces too.
                at = if words[at] == "(" { behind(&words, at)? } else { at + 1 };
                if at == words.len() {
                    return None;
                }
            }
            let end = behind(&words, at)?;
            let body = words[at..end].to_vec();
            match words[start].as_str() {
                "{" => operations.push((None, body)),
                "fragment" => fragments.push((words[start + 1].clone(), body)),
                "query" | "mutation" | "subscription" => {
                    let own = words[start + 1].clone();
                    operations.push((own.starts_with(char::is_alphanumeric).then_some(own), body));
                }
                _ => return None,
            }
            at = end;
        }
        let (_, body) = operations.into_iter().find(|(own, _)| name.is_none() || own.as_deref() == name)?;
        let mut found = Vec::new();
        gather(&body, &fragments, &mut found)?;
        Some(found)
    }

    /// The fields directly in `{ ... }`.
    fn gather(body: &[String], fragments: &[(String, Vec<String>)], found: &mut Vec<String>) -> Option<()> {
        let mut at = 1;
        while body[at] != "}" {
            match body[at].as_str() {
                "..." => {
                    at += 1;
                    let is_spread = body[at] != "on" && body[at] != "@" && body[at] != "{";
                    if is_spread {
                        let (_, inner) = fragments.iter().find(|(name, _)| *name == body[at])?;
                        gather(inner, fragments, found)?;
                        at = directives(body, at + 1)?;
                    } else {
                        at = if body[at] == "on" { at + 2 } else { at };
                        at = directives(body, at)?;
                        let end = behind(body, at)?;
                        gather(&body[at..end], fragments, found)?;
                        at = end;
                    }
                }
                _ => {
                    at = if body[at + 1] == ":" { at + 2 } else { at };
                    found.push(body[at].clone());
                    at += 1;
                    at = if body[at] == "(" { behind(body, at)? } else { at };
                    at = directives(body, at)?;
                    at = if body[at] == "{" { behind(body, at)? } else { at };
                }
            }
        }
        Some(())
    }

    fn directives(body: &[String], mut at: usize) -> Option<usize> {
        while body[at] == "@" {
            at += 2;
            at = if body[at] == "(" { behind(body, at)? } else { at };
        }
        Some(at)
    }

    /// Behind the bracket that closes the one at `at`.
    fn behind(words: &[String], at: usize) -> Option<usize> {
        let mut depth = 0_i32;
        for (offset, word) in words[at..].iter().enumerate() {
            depth += match word.as_str() {
                "{" | "(" | "[" => 1,
                "}" | ")" | "]" => -1,
                _ => 0,
            };
            if depth == 0 {
                return Some(at + offset + 1);
            }
        }
        None
    }

    fn words(text: &str) -> Option<Vec<String>> {
        let characters: Vec<char> = text.chars().collect();
        let mut words = Vec::new();
        let mut at = 0;
        while at < characters.len() {
            let start = at;
            let rest: String = characters[at..].iter().take(3).collect();
            if characters[at] == '#' {
                while at < characters.len() && characters[at] != '\n' {
                    at += 1;
                }
            } else if rest == "\"\"\"" {
                at += 3;
                loop {
                    let next: String = characters.get(at..)?.iter().take(4).collect();
                    if next == "\\\"\"\"" {
                        at += 4;
                    } else if next.starts_with("\"\"\"") {
                        at += 3;
                        break;
                    } else {
                        at += 1;
                    }
                }
                words.push("text".to_owned());
            } else if characters[at] == '"' {
                at += 1;
                while *characters.get(at)? != '"' {
                    at += if characters[at] == '\\' { 2 } else { 1 };
                }
                at += 1;
                words.push("text".to_owned());
            } else if rest == "..." {
                at += 3;
                words.push(rest);
            } else if characters[at].is_ascii_alphanumeric() || matches!(characters[at], '_' | '-') {
                while at < characters.len()
                    && (characters[at].is_ascii_alphanumeric() || matches!(characters[at], '_' | '-' | '.'))
                    && !(characters[at] == '.' && characters.get(at + 1) == Some(&'.'))
                {
                    at += 1;
                }
                words.push(characters[start..at].iter().collect());
            } else {
                if !matches!(characters[at], ' ' | '\t' | '\n' | '\r' | ',') {
                    words.push(characters[at].to_string());
                }
                at += 1;
            }
        }
        Some(words)
    }
}
