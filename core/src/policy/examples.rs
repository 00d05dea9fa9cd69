//! For each code a document in which it is found, and the same one put right.

use super::code::{self, Code};
use super::compile::{Origin, Override, Source};
use super::diagnostic::Severity;
use crate::id::ConnectorId;
use std::collections::BTreeMap;

/// What a code means, and how it comes about.
#[derive(Clone, Debug)]
pub struct CodeExample {
    /// `SG` and four digits.
    pub code: &'static str,
    /// Whether it keeps the set from being used.
    pub severity: Severity,
    /// What it is about, as the reference says it.
    pub meaning: &'static str,
    /// Documents in which it is found.
    pub wrong: CodeCase,
    /// The same put right.
    pub right: CodeCase,
}

/// Documents, and what the settings replace of them.
#[derive(Clone, Debug)]
pub struct CodeCase {
    /// The documents.
    pub sources: Vec<Source>,
    /// What the settings replace.
    pub overrides: BTreeMap<ConnectorId, Override>,
}

/// What makes a case of the document that all examples share.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// Another file.
    File(&'static str, &'static str),
    /// Lines at the top, instead of `version: 1`.
    Top(&'static str),
    /// Instead of the upstream.
    Upstream(&'static str),
    /// Another key of the connector.
    Key(&'static str),
    /// More scopes.
    Scopes(&'static str),
    /// Another operation.
    Operation(&'static str),
    /// Instead of the roles.
    Roles(&'static str),
    /// A request of a test.
    Test(&'static str),
    /// A connector whose upstream the settings replace.
    Settings(&'static str),
}

use Piece::{File, Key, Operation, Roles, Scopes, Settings, Test, Top, Upstream};

type Row = (&'static Code, &'static [Piece], &'static [Piece]);

const BOTH: &str = "clerk: {allow: {shop: [items:read, items:write]}}";
const LABEL: &str = "variables: {site: {from: account, is: label}}";
const SITE: &str = "\"https://{site}.shop.example\"";
const LOGIN: &str = "oauth: {authorization_url: \"https://{site}.shop.example/login\", token_url: https://shop.example/token}";
const PUT: &str = "{id: item.put, match: \"PUT /items/{id}\", require: items:write}";
const MOVE: &str = "{id: item.move, match: \"POST /items/{id}:move\", require: {all: [items:read, items:write]}}";
const KEYS: &str = "{id: key.export, match: POST /keys, require: items:write, risk: capability}";
const CASES: &str = "tests:\n  - name: a clerk reads\n    role: clerk\n    requests: [shop GET /items/7 -> allow item.get]\n";

/// The shared document alone.
const PLAIN: &[Piece] = &[];

/// All codes: what is wrong, and what is right.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    (&code::SYNTAX, &[Roles("clerk: {allow: {shop: [items:read, items:write}}")], PLAIN),
    (&code::KEY_TWICE, &[Key("upstream: https://eu.shop.example")], PLAIN),
    (&code::ALIAS, &[Key("title: &name Shop")], &[Key("title: Shop")]),
    (&code::DOCUMENTS, &[Top("version: 1\n---\nversion: 1")], PLAIN),
    (&code::KEY_KIND, &[Key("headers: {[x-shop]: \"2\"}")], &[Key("headers: {x-shop: \"2\"}")]),
    (&code::UNKNOWN_KEY, &[Operation("{id: item.list, match: GET /items, require: items:read, riks: high}")], &[Operation("{id: item.list, match: GET /items, require: items:read, risk: high}")]),
    (&code::MISSING_KEY, &[Operation("{id: item.list, require: items:read}")], &[Operation("{id: item.list, match: GET /items, require: items:read}")]),
    (&code::WRONG_KIND, &[Operation("{id: item.list, match: GET /items, require: [items:read, items:write]}")], &[Operation("{id: item.list, match: GET /items, require: {any: [items:read, items:write]}}")]),
    (&code::UNKNOWN_WORD, &[Operation("{id: item.list, match: GET /items, require: items:read, risk: huge}")], &[Operation("{id: item.list, match: GET /items, require: items:read, risk: high}")]),
    (&code::VERSION, &[Top("version: 2")], PLAIN),
    (&code::CONFLICT, &[Operation("{id: find, match: GET /find, soql: {query: q, json: /q, objects: {Item: items:read}}}")], &[Operation("{id: find, match: GET /find, soql: {query: q, objects: {Item: items:read}}}")]),
    (&code::INVALID_NAME, &[Roles("the clerk: {allow: {shop: [items:read, items:write]}}")], PLAIN),
    (&code::EMPTY, &[Operation("{id: item.list, match: [], require: items:read}")], &[Operation("{id: item.list, match: [GET /items], require: items:read}")]),
    (&code::CASES_ONLY, &[File("clerk.cases.yaml", "roles: {}\n")], &[File("clerk.cases.yaml", CASES)]),
    (&code::INVALID_NUMBER, &[Key("oauth: {token_url: https://shop.example/token, expires_in: an hour}")], &[Key("oauth: {token_url: https://shop.example/token, expires_in: 1h}")]),
    (&code::CONNECTOR_TWICE, &[File("more.yaml", "version: 1\nconnectors:\n  shop: {upstream: https://eu.shop.example, operations: []}\n")], &[File("more.yaml", "version: 1\nconnectors:\n  shop-eu: {upstream: https://eu.shop.example, operations: []}\n")]),
    (&code::NO_BASE, &[Key("base: catalog")], PLAIN),
    (&code::INVALID_TEMPLATE, &[Upstream("\"https://{site.shop.example\""), Key(LABEL)], &[Upstream(SITE), Key(LABEL)]),
    (&code::UNKNOWN_VARIABLE, &[Upstream("\"https://{sight}.shop.example\""), Key(LABEL)], &[Upstream(SITE), Key(LABEL)]),
    (&code::NO_RULE, &[Upstream(SITE), Key("variables: {site: {from: account}}")], &[Upstream(SITE), Key(LABEL)]),
    (&code::RULE_UNMET, &[Upstream(SITE), Key("variables: {site: {from: account, one_of: [eu, us], default: asia}}")], &[Upstream(SITE), Key("variables: {site: {from: account, one_of: [eu, us], default: eu}}")]),
    (&code::VARIABLE_LATE, &[Upstream(SITE), Key("variables: {site: {from: token, pointer: /site, is: label}}"), Key(LOGIN)], &[Upstream(SITE), Key(LABEL), Key(LOGIN)]),
    (&code::INVALID_URL, &[Upstream("https://api.shop.example/a/../b")], &[Upstream("https://api.shop.example/b")]),
    (&code::FREE_HOST, &[Upstream("\"https://{site}\""), Key(LABEL)], &[Upstream(SITE), Key(LABEL)]),
    (&code::FORBIDDEN_HEADER, &[Key("request_headers: [authorization]")], &[Key("request_headers: [x-shop-*]")]),
    (&code::INVALID_POINTER, &[Operation("{id: note, match: POST /notes, where: {json: {kind: public}}, require: items:write}")], &[Operation("{id: note, match: POST /notes, where: {json: {/kind: public}}, require: items:write}")]),
    (&code::UNKNOWN_PLACEHOLDER, &[Key("refusal: {status: 200, body: {ok: false, error: \"{fault}\"}}")], &[Key("refusal: {status: 200, body: {ok: false, error: \"{error}\"}}")]),
    (&code::OVERRIDE_UNUSED, &[Settings("shopp")], &[Settings("shop")]),
    (&code::UNKNOWN_SCOPE, &[Operation("{id: item.list, match: GET /items, require: items:raed}")], &[Operation("{id: item.list, match: GET /items, require: items:read}")]),
    (&code::TOO_MANY_ALTERNATIVES, &[Scopes("a: , b: "), Roles("clerk: {allow: {shop: [items:read, items:write, a, b]}}"), Operation("{id: all, match: GET /all, require: {all: [{any: [a, b]}, {any: [a, b]}, {any: [a, b]}, {any: [a, b]}, {any: [a, b]}, {any: [a, b]}, {any: [a, b]}, {any: [a, b]}, {any: [a, b]}, {any: [a, b]}]}}")], &[Scopes("a: , b: "), Roles("clerk: {allow: {shop: [items:read, items:write, a, b]}}"), Operation("{id: all, match: GET /all, require: {any: [a, b]}}")]),
    (&code::NEVER_ALLOWED, &[Scopes("items:drop: {consent: Delete items}")], &[Scopes("items:drop: {consent: Delete items}"), Roles("clerk: {allow: {shop: [items:read, items:write, items:drop]}}")]),
    (&code::NO_METHOD, &[Operation("{id: item.list, match: /items, require: items:read}")], &[Operation("{id: item.list, match: GET /items, require: items:read}")]),
    (&code::INVALID_METHOD, &[Operation("{id: item.list, match: get /items, require: items:read}")], &[Operation("{id: item.list, match: GET /items, require: items:read}")]),
    (&code::ODD_METHOD, &[Operation("{id: item.list, match: GETT /items, require: items:read}")], &[Operation("{id: item.list, match: GET /items, require: items:read}")]),
    (&code::INVALID_PATH, &[Operation("{id: item.all, match: GET /items/*, require: items:read}")], &[Operation("{id: item.all, match: GET /items/**, require: items:read}")]),
    (&code::NO_NEED, &[Operation("{id: item.list, match: GET /items}")], &[Operation("{id: item.list, match: GET /items, require: none}")]),
    (&code::OPERATION_TWICE, &[Operation("{id: item.get, match: GET /items, require: items:read}")], &[Operation("{id: item.list, match: GET /items, require: items:read}")]),
    (&code::SAME_SHAPE, &[Operation("{id: item.own, match: \"GET /items/{number}\", require: items:write}")], &[Operation("{id: item.own, match: \"GET /items/{number}\", where: {query: {own: \"1\"}}, require: items:write}")]),
    (&code::SAME_OPERATION, &[Operation("{id: item.one, match: \"GET /items/{number}\", require: items:read}")], PLAIN),
    (&code::UNKNOWN_HOST, &[Key("hosts: {files: https://files.shop.example}"), Operation("{id: file.put, match: POST /files, require: items:write, host: flies}")], &[Key("hosts: {files: https://files.shop.example}"), Operation("{id: file.put, match: POST /files, require: items:write, host: files}")]),
    (&code::UNKNOWN_PARAMETER, &[Operation("{id: file.get, match: \"GET /files/{name}\", require: items:read, allow_encoded: {nmae: \"/\"}}")], &[Operation("{id: file.get, match: \"GET /files/{name}\", require: items:read, allow_encoded: {name: \"/\"}}")]),
    (&code::NEVER_MET, &[Operation("{id: find, match: GET /find, where: {json: {/kind: x}}, require: items:read}")], &[Operation("{id: find, match: POST /find, where: {json: {/kind: x}}, require: items:read}")]),
    (&code::WRITE_BY_READ, &[Operation("{id: item.put, match: \"PUT /items/{id}\", require: items:read}")], &[Operation(PUT)]),
    (&code::UNKNOWN_OBJECT, &[Operation("{id: query, match: GET /query, soql: {query: q, objects: {Item: items:read}, relationships: {Parts: Part}}}")], &[Operation("{id: query, match: GET /query, soql: {query: q, objects: {Item: items:read, Part: items:read}, relationships: {Parts: Part}}}")]),
    (&code::UNKNOWN_NAMES, &[Operation("{id: thing.get, match: \"GET /things/{kind}\", require: \"{kind}:read\"}")], &[Operation("{id: thing.get, match: \"GET /things/{kind}\", require: \"{kind}:read\", names: {kind: [items]}}")]),
    (&code::TOO_MANY_NAMES, &[Operation(MANY_NAMES)], &[Operation("{id: part.get, match: \"GET /{shelf}/{deed}\", require: \"{shelf}:{deed}\", names: {shelf: {top: items}, deed: [read, write]}}")]),
    (&code::UNREACHABLE, &[Operation(MOVE), Roles("reader: {allow: {shop: [items:read]}}\n  writer: {allow: {shop: [items:write]}}"), Operation(PUT)], &[Operation(MOVE), Roles("reader: {allow: {shop: [items:read]}}\n  writer: {extends: reader, allow: {shop: [items:write]}}"), Operation(PUT)]),
    (&code::UNKNOWN_CONNECTOR, &[Roles("clerk: {allow: {shop: [items:read, items:write], shopp: []}}")], PLAIN),
    (&code::UNKNOWN_ROLE, &[Roles("clerk: {allow: {shop: [items:read, items:write]}}\n  chief: {extends: clrek}")], &[Roles("clerk: {allow: {shop: [items:read, items:write]}}\n  chief: {extends: clerk}")]),
    (&code::ROLE_CYCLE, &[Roles("clerk: {extends: chief, allow: {shop: [items:read, items:write]}}\n  chief: {extends: clerk}")], &[Roles("clerk: {allow: {shop: [items:read, items:write]}}\n  chief: {extends: clerk}")]),
    (&code::UNKNOWN_OPERATION, &[Test("shop GET /items/7 -> allow item.gte")], &[Test("shop GET /items/7 -> allow item.get")]),
    (&code::GLOB_REACHES_NOTHING, &[Roles("clerk: {allow: {shop: [\"items:*\", \"orders:*\"]}}")], &[Roles("clerk: {allow: {shop: [\"items:*\"]}}")]),
    (&code::ROLE_TWICE, &[File("more.yaml", "version: 1\nroles:\n  clerk: {allow: {shop: [items:read]}}\n")], &[File("more.yaml", "version: 1\nroles:\n  reader: {allow: {shop: [items:read]}}\n")]),
    (&code::IDLE_ROLE, &[Roles("clerk: {allow: {shop: [items:read, items:write]}}\n  guest: {allow: {shop: []}}")], &[Roles("clerk: {allow: {shop: [items:read, items:write]}}\n  guest: {allow: {shop: [items:read]}}")]),
    (&code::SHADOWED, &[Operation(PUT), Roles("chief: {allow: {shop: [items:read, items:write]}}\n  clerk: {allow: {shop: [items:read, items:write]}, deny: {shop: [\"item.p*\"]}}")], &[Operation(PUT), Roles("chief: {allow: {shop: [items:read, items:write]}}\n  clerk: {allow: {shop: [items:read]}, deny: {shop: [\"item.p*\"]}}")]),
    (&code::WILDCARD_TO_CAPABILITY, &[Operation(KEYS), Roles("chief: {allow: {shop: [items:read, items:write]}}\n  clerk: {allow: {shop: [\"items:*\"]}}")], &[Operation(KEYS), Roles("chief: {allow: {shop: [items:read, items:write]}}\n  clerk: {allow: {shop: [\"items:r*\"]}}")]),
    (&code::INVALID_CASE, &[Test("shop GET /items/7 to allow item.get")], &[Test("shop GET /items/7 -> allow item.get")]),
    (&code::SECRET, &[Key("headers: {x-shop: sk_live_0123456789abcdefghij}")], &[Key("headers: {x-shop: \"2\"}")]),
];

const MANY_NAMES: &str = "{id: part.get, match: \"GET /{shelf}/{deed}\", require: \"{shelf}:{deed}\", names: {shelf: {a1: items, a2: items, a3: items, a4: items, a5: items, a6: items, a7: items, a8: items, a9: items, a10: items, a11: items, a12: items, a13: items, a14: items, a15: items, a16: items, a17: items, a18: items, a19: items, a20: items, a21: items, a22: items, a23: items, a24: items, a25: items, a26: items, a27: items, a28: items, a29: items, a30: items, a31: items, a32: items}, deed: {b1: read, b2: read, b3: read, b4: read, b5: read, b6: read, b7: read, b8: read, b9: read, b10: read, b11: read, b12: read, b13: read, b14: read, b15: read, b16: read, b17: read, b18: read, b19: read, b20: read, b21: read, b22: read, b23: read, b24: read, b25: read, b26: read, b27: read, b28: read, b29: read, b30: read, b31: read, b32: read}}}";

/// All codes, in order.
pub fn code_examples() -> impl Iterator<Item = CodeExample> {
    ROWS.iter().map(|(code, wrong, right)| CodeExample {
        code: code.id,
        severity: code.severity,
        meaning: meaning(code.id),
        wrong: case(wrong),
        right: case(right),
    })
}

/// What the list of findings in the reference says.
fn meaning(id: &str) -> &'static str {
    let row = super::REFERENCE.lines().find_map(|line| line.strip_prefix("| ")?.strip_prefix(id)?.strip_prefix(" | ")?.strip_suffix(" |"));
    row.map(|text| text.strip_prefix("warning: ").unwrap_or(text)).unwrap_or_default()
}

fn case(pieces: &[Piece]) -> CodeCase {
    let own = |name: &str, text: String| Source { name: name.to_owned(), text, origin: Origin::Own };
    let mut sources = vec![own("policy.yaml", document(pieces))];
    let mut overrides = BTreeMap::new();
    for piece in pieces {
        match piece {
            File(name, text) => sources.push(own(name, (*text).to_owned())),
            Settings(name) => {
                let replaced = Override { upstream: Some("http://127.0.0.1:9000".to_owned()), ..Override::default() };
                overrides.extend(name.parse().ok().map(|connector| (connector, replaced)));
            }
            Top(_) | Upstream(_) | Key(_) | Scopes(_) | Operation(_) | Roles(_) | Test(_) => {}
        }
    }
    CodeCase { sources, overrides }
}

/// The shared document with these pieces.
fn document(pieces: &[Piece]) -> String {
    let only = |choose: fn(&Piece) -> Option<&'static str>, otherwise: &'static str| pieces.iter().find_map(choose).unwrap_or(otherwise);
    let all = |choose: fn(&Piece) -> Option<&'static str>, lead: &str| {
        pieces.iter().filter_map(choose).map(|text| format!("{lead}{text}\n")).collect::<String>()
    };
    let top = only(|piece| if let Top(text) = piece { Some(text) } else { None }, "version: 1");
    let upstream = only(|piece| if let Upstream(text) = piece { Some(text) } else { None }, "https://api.shop.example");
    let keys = all(|piece| if let Key(text) = piece { Some(text) } else { None }, "    ");
    let scopes = all(|piece| if let Scopes(text) = piece { Some(text) } else { None }, ", ").replace('\n', "");
    let operations = all(|piece| if let Operation(text) = piece { Some(text) } else { None }, "      - ");
    let roles = only(|piece| if let Roles(text) = piece { Some(text) } else { None }, BOTH);
    let tests = all(|piece| if let Test(text) = piece { Some(text) } else { None }, "      - ");
    let tests = if tests.is_empty() { tests } else { format!("tests:\n  - name: what a clerk does\n    role: clerk\n    requests:\n{tests}") };
    format!(
        "{top}\nconnectors:\n  shop:\n    upstream: {upstream}\n{keys}    scopes: {{items:read: {{consent: See items}}, items:write: {{consent: Change items}}{scopes}}}\n    operations:\n      - {{id: item.get, match: \"GET /items/{{id}}\", require: items:read}}\n{operations}roles:\n  {roles}\n{tests}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::compile;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_an_example_that_shows_it_and_one_that_is_clean() {
        let shown: Vec<&str> = code_examples().map(|example| example.code).collect();
        let all: Vec<&str> = code::ALL.iter().map(|code| code.id).collect();
        assert_eq!(shown, all);
        for example in code_examples() {
            let found = |case: &CodeCase| compile(&case.sources, &case.overrides).diagnostics;
            let wrong = found(&example.wrong);
            let codes: BTreeSet<&str> = wrong.iter().map(|one| one.code).collect();
            assert_eq!(codes, BTreeSet::from([example.code]), "{}\n{wrong:#?}", example.wrong.sources[0].text);
            assert_eq!(found(&example.right), [], "{}: {}", example.code, example.right.sources[0].text);
            assert!(!example.meaning.is_empty(), "{} stands in no list", example.code);
        }
    }
}
