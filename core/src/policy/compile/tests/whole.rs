//! Whole sets of documents: catalog and own files, settings, the contract's document, rendering, hash.

use super::*;
use crate::policy::code;
use crate::policy::compile::{compile, hash_of};
use crate::policy::{Look, Need, render, run};

const SHIPPED: &str = r#"
version: 1
connectors:
  crm:
    title: CRM
    upstream: https://api.example
    request_headers: []
    allow_query: [code]
    scopes:
      a:read: {consent: Read}
      a:write: {consent: Write}
    operations:
      - {id: get, match: "GET /a/{id}", require: a:read}
      - {id: put, match: ["PUT /a/{id}", "PUT /b/{id}"], require: a:write}
      - {id: odd, match: PACTH /odd, require: none}
roles:
  crm-reader: {allow: {crm: [a:read]}}
  crm-writer: {allow: {crm: [a:write]}, deny: {crm: [put]}}
tests:
  - {name: of the catalog, role: crm-reader, requests: [crm GET /a/1 -> allow get]}
"#;

#[test]
fn an_own_connector_replaces_the_shipped_one_whole() {
    let mine =
        "version: 1\nconnectors: {crm: {upstream: https://mine.example, scopes: {x: {}}, operations: [{id: get, match: GET /x, require: x}]}}\n";
    let model = model_of(&[shipped("c.yaml", SHIPPED), own("p.yaml", mine)], &BTreeMap::new());
    let crm = &model.connectors[0];
    assert_eq!(
        (model.connectors.len(), crm.connector.title.as_str(), crm.connector.upstream.to_string().as_str()),
        (1, "crm", "https://mine.example")
    );
    assert_eq!(crm.operations.iter().map(|one| one.template.to_string()).collect::<Vec<_>>(), ["/x"]);
    // Shipped roles are for shipped tests.
    assert!(model.roles.is_empty(), "{:?}", model.roles);
    assert_eq!(diagnostics(&[shipped("c.yaml", SHIPPED), own("p.yaml", mine)]), []);
}

#[test]
fn base_catalog_adds_to_the_shipped_connector_and_overrides_by_operation_id() {
    let mine = r#"
version: 1
connectors:
  crm:
    base: catalog
    title: Our CRM
    allow_query: [state]
    scopes:
      a:write: {consent: Change, risk: high}
      b:all: {}
    operations:
      - {id: put, match: "PUT /a/{id}", deny: never}
      - {id: new, match: GET /new, require: b:all}
roles:
  crm-reader: {allow: {crm: [b:all]}}
"#;
    let model = model_of(&[own("p.yaml", mine), shipped("c.yaml", SHIPPED)], &BTreeMap::new());
    let crm = &model.connectors[0];
    assert_eq!((crm.connector.title.as_str(), crm.connector.upstream.to_string().as_str()), ("Our CRM", "https://api.example"));
    assert_eq!(crm.connector.allow_query, ["code", "state"]);
    let scopes: Vec<_> = crm.connector.scopes.iter().map(|(scope, facts)| (scope.as_str(), facts.consent.as_deref())).collect();
    assert_eq!(scopes, [("a:read", Some("Read")), ("a:write", Some("Change")), ("b:all", None)]);
    let operations: Vec<_> = crm.operations.iter().map(|one| format!("{} {} {}", one.id, one.method, one.template)).collect();
    assert_eq!(operations, ["get GET /a/{id}", "odd PACTH /odd", "put PUT /a/{id}", "new GET /new"]);
    assert_eq!(crm.operations[2].need, Need::Denied("never".into()));
    let roles: Vec<_> = model.roles.iter().map(|role| (role.name.as_str(), role.allow["crm"][0].as_str())).collect();
    assert_eq!(roles, [("crm-reader", "b:all")]);
}

#[test]
fn base_asks_for_a_shipped_connector_of_that_name() {
    for (mine, expected) in [
        ("version: 1\nconnectors: {cmr: {base: «catalog», upstream: https://a.example}}", &[("SG0202", "did you mean `crm`?")][..]),
        ("version: 1\nconnectors: {crm: {base: «shipped», upstream: https://a.example}}", &[("SG0104", "`catalog`")]),
        (
            "version: 1\nconnectors: {crm: {base: catalog, operations: [{id: mine, match: «\"GET /a/{other}\"», require: none}]}}",
            &[("SG0407", "as `get` at c.yaml:13:26")],
        ),
    ] {
        let (text, places) = unmarked(mine);
        let found = diagnostics(&[shipped("c.yaml", SHIPPED), own("p.yaml", &text)]);
        let came: Vec<_> = found.iter().map(|one| (one.line, one.column, one.width, one.code)).collect();
        let wanted: Vec<_> = places.iter().zip(expected).map(|(&(line, column, width), (code, _))| (line, column, width, *code)).collect();
        assert_eq!(came, wanted, "{found:#?}");
        assert!(expected.iter().zip(&found).all(|((_, part), one)| format!("{}{:?}", one.message, one.help).contains(part)), "{found:#?}");
    }
}

#[test]
fn what_people_add_to_an_imported_connector_is_still_hand_written() {
    let imported = SHIPPED.replace("    title: CRM", "    source: {kind: openapi}").replace("PACTH /odd", "\"GET /a/{b}\"");
    assert_eq!(diagnostics(&[shipped("c.yaml", &imported)]), []);
    let mine = "version: 1\nconnectors: {crm: {base: catalog, operations: [{id: mine, match: \"GET /a/{c}\", require: none}]}}\n";
    let found = diagnostics(&[shipped("c.yaml", &imported), own("p.yaml", mine)]);
    assert_eq!(found.iter().map(|one| (one.file.as_str(), one.code)).collect::<Vec<_>>(), [("p.yaml", "SG0407")]);
}

#[test]
fn shipped_documents_keep_their_warnings_and_their_tests_to_themselves() {
    let read = super::read(&[shipped("c.yaml", SHIPPED)], &BTreeMap::new());
    assert_eq!((read.diagnostics.len(), read.cases.len()), (0, 0));
    let mine = super::read(&[own("c.yaml", SHIPPED)], &BTreeMap::new());
    assert_eq!((mine.diagnostics.len(), mine.cases.len()), (1, 1));
    assert_eq!((mine.summary.connectors, mine.summary.operations, mine.summary.roles, mine.summary.cases), (1, 3, 2, 1));
    let broken = diagnostics(&[shipped("c.yaml", &SHIPPED.replace("require: none", "require: nothing"))]);
    assert_eq!(broken.iter().map(|one| (one.file.as_str(), one.code)).collect::<Vec<_>>(), [("c.yaml", "SG0301")]);
}

#[test]
fn unknown_needs_are_counted_by_operation() {
    let text = with_operations(&[
        "{id: a, match: [GET /a, GET /b], require: unknown}",
        "{id: b, match: GET /c, require: unknown}",
        "{id: c, match: GET /d, require: none}",
    ]);
    let summary = super::read(&[own("p.yaml", &text)], &BTreeMap::new()).summary;
    assert_eq!((summary.operations, summary.operations_unknown), (3, 2));
}

fn overrides(list: &[(&str, Override)]) -> BTreeMap<ConnectorId, Override> {
    list.iter().map(|(id, replaced)| (id.parse().unwrap(), replaced.clone())).collect()
}

#[test]
fn settings_replace_addresses_of_a_connector() {
    let text = with_facts(
        "variables: {login: {from: account, is: label}}\nhosts: {up: https://up.example}\noauth: {token_url: https://l.example/t, authorization_url: https://l.example/a}",
    );
    let replaced = Override {
        upstream: Some("http://127.0.0.1:9000/v1/".into()),
        authorization_url: Some("https://{login}.sandbox.example/a".into()),
        token_url: Some("http://127.0.0.1:9001/t".into()),
        revocation_url: Some("http://127.0.0.1:9001/r".into()),
        hosts: BTreeMap::from([("up".to_owned(), "http://127.0.0.1:9002".to_owned())]),
        ..Override::default()
    };
    let model = model_of(&[own("p.yaml", &text)], &overrides(&[("crm", replaced)]));
    let crm = &model.connectors[0].connector;
    let oauth = crm.oauth.as_ref().unwrap();
    assert_eq!((crm.upstream.to_string().as_str(), crm.hosts["up"].to_string().as_str()), ("http://127.0.0.1:9000/v1", "http://127.0.0.1:9002"));
    assert_eq!(oauth.authorization_url.as_ref().unwrap().to_string(), "https://{login}.sandbox.example/a");
    assert_eq!(
        (oauth.token_url.to_string().as_str(), oauth.revocation_url.as_ref().unwrap().to_string().as_str()),
        ("http://127.0.0.1:9001/t", "http://127.0.0.1:9001/r")
    );
}

#[test]
fn a_mistake_in_the_settings_points_at_the_key_that_it_stands_behind() {
    let replaced = Override { upstream: Some("https://{sit}.example.com".into()), token_url: Some("nowhere".into()), ..Override::default() };
    let replaced = Override { hosts: BTreeMap::from([("up".to_owned(), "https://up.example".to_owned())]), ..replaced };
    let unknown = Override { upstream: Some("https://a.example".into()), ..Override::default() };
    let text = with_facts("variables: {site: {from: account, is: label}}");
    let sources = [own("p.yaml", &text)];
    let found = super::read(&sources, &overrides(&[("crm", replaced), ("crn", unknown)])).diagnostics;
    let came: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.line, one.column, one.code, one.severity)).collect();
    assert_eq!(
        came,
        [
            ("settings", 1, 35, "SG0204", Severity::Error),
            ("settings", 2, 16, "SG0213", Severity::Warning),
            ("settings", 3, 16, "SG0213", Severity::Warning),
            ("settings", 4, 16, "SG0213", Severity::Warning),
        ]
    );
}

/// The document of the language reference: what the contract shows.
const CONTRACT: &str = r#"
version: 1
connectors:
  salesforce:
    title: Salesforce
    upstream: "{instance_url}"             # an origin, or an origin with a path prefix
    variables:
      instance_url: {from: token, pointer: /instance_url, origin_of: ["*.my.salesforce.com", "*.salesforce.com"]}
      login_host: {from: account, default: login.salesforce.com, one_of: [login.salesforce.com, test.salesforce.com]}
    oauth:
      authorization_url: https://{login_host}/services/oauth2/authorize
      token_url: https://{login_host}/services/oauth2/token
      revocation_url: https://{login_host}/services/oauth2/revoke
      pkce: S256
      client_auth: client_secret_post
      scope_separator: " "
      always_request: [refresh_token]
      expires_in: 7200
    scopes:
      accounts:read: {provider_scopes: [api], consent: Read accounts}
      opportunities:read: {provider_scopes: [api], consent: Read opportunities}
      opportunities:write: {provider_scopes: [api], consent: Change opportunities, implies: [opportunities:read], risk: high}
      activities:create: {provider_scopes: [api], consent: Log activities}
    operations:
      - id: account.get
        match: GET /services/data/{version}/sobjects/Account/{id}
        require: accounts:read
      - id: opportunity.update
        match: ["PATCH /services/data/{version}/sobjects/Opportunity/{id}"]
        require: opportunities:write
      - id: query
        match: GET /services/data/{version}/query
        soql: {query: q, objects: {Account: accounts:read, Opportunity: opportunities:read}}
      - id: composite
        match: POST /services/data/{version}/composite
        batch: {requests: /compositeRequest, method: /method, url: /url, body: /body}
roles:
  researcher: {allow: {salesforce: [accounts:read, opportunities:read]}}
  publisher: {allow: {salesforce: [opportunities:read, opportunities:write, activities:create]}}
tests:
  - name: a researcher reads but never writes
    role: researcher
    requests:
      - salesforce GET /services/data/v60.0/sobjects/Account/001 -> allow account.get
      - salesforce PATCH /services/data/v60.0/sobjects/Opportunity/006 -> deny role_lacks_scope opportunities:write
"#;

#[test]
fn the_contracts_document_is_clean() {
    let read = super::read(&[own("p.yaml", CONTRACT)], &BTreeMap::new());
    assert_eq!(read.diagnostics, []);
    assert_eq!((read.cases.len(), read.model.roles.len()), (2, 2));
}

#[test]
fn all_mistakes_come_out_at_once() {
    let text = CONTRACT
        .replace("require: accounts:read", "require: «acounts:read»")
        .replace("[opportunities:read], risk: high", "[«opportunity:read»], risk: high")
        .replace("pkce: S256", "«pcke»: S256")
        .replace("{salesforce: [accounts:read, ", "{«saleforce»: [accounts:read, ")
        .replace("role: researcher", "role: «reseacher»")
        .replace("soql: {", "soqls: {")
        .replace("soqls", "«soqls»")
        .replace("/query\n", "/query\n        deny: not by agents\n");
    assert_found(
        &text,
        &[
            ("SG0101", "did you mean `pkce`?"),
            ("SG0301", "did you mean `opportunities:read`?"),
            ("SG0301", "did you mean `accounts:read`?"),
            ("SG0101", "did you mean `soql`?"),
            ("SG0501", "there is only `salesforce`"),
            ("SG0502", "did you mean `researcher`?"),
        ]
        .map(|(code, part)| (code, if code == "SG0501" { "`saleforce`" } else { part })),
    );
}

#[test]
fn rendered_findings_name_file_line_and_column_and_show_the_line() {
    let text = "version: 1\nroles:\n  é: {extends: «reseacher»}\n  researcher: {}\n";
    let sources = [own("policies/é.yaml", &unmarked(text).0)];
    let found = diagnostics(&sources);
    let shown = render(&found, &sources, Look::Plain);
    for part in [
        "error[SG0502]: no document has a role `reseacher`",
        "--> policies/é.yaml:3:16",
        "3 |   é: {extends: reseacher}",
        "^^^^^^^^^",
        "help: did you mean `researcher`?",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    assert!(shown.contains("error[SG0107]") && shown.ends_with('\n'), "{shown}");
    assert_eq!(render(&[], &sources, Look::Plain), "");
    assert!(render(&found, &sources, Look::Coloured).contains("\u{1b}["));
    // Where the source is not at hand, the place is still told.
    assert!(render(&found, &[], Look::Plain).contains("--> policies/é.yaml:3:16"));
    let wide = "version: 1\nroles: {a: {mode: \"日本\", extends: x}}\n";
    let shown = render(&diagnostics(&[own("p.yaml", wide)]), &[own("p.yaml", wide)], Look::Plain);
    assert!(shown.contains("p.yaml:2:19") && shown.contains("p.yaml:2:34"), "{shown}");
}

#[test]
fn diagnostics_are_json_as_the_contract_says() {
    let found = diagnostics(&[own("p.yaml", "version: 1\nrols: {}\n")]);
    let wanted = serde_json::json!([{"file": "p.yaml", "line": 2, "column": 1, "severity": "error", "code": "SG0101", "message": "`rols` is no key of a policy document", "help": "did you mean `roles`?"}]);
    assert_eq!(serde_json::to_value(&found).unwrap(), wanted);
}

#[test]
fn the_hash_is_of_all_names_and_texts_in_their_order() {
    let hash = |list: &[(&str, &str)]| hash_of(&list.iter().map(|(name, text)| own(name, text)).collect::<Vec<_>>());
    let one = hash(&[("a", "x"), ("b", "y")]);
    assert_eq!((one.len(), &one), (64, &hash(&[("a", "x"), ("b", "y")])));
    for other in [hash(&[("b", "y"), ("a", "x")]), hash(&[("a", "xb"), ("", "y")]), hash(&[("a", "x")]), hash(&[("a", "x"), ("b", "z")]), hash(&[])] {
        assert_ne!(one, other);
    }
}

#[test]
fn the_documents_of_the_reference_are_clean_and_their_tests_hold() {
    let reference = include_str!("../../reference.md");
    let documents: Vec<&str> = reference.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(documents.len(), 2);
    for text in documents {
        assert_clean(text);
        let compiled = compile(&[own("p.yaml", text)], &BTreeMap::new());
        let policies = compiled.policies.unwrap();
        for outcome in run(&policies, &compiled.cases) {
            assert!(outcome.is_expected(), "{} {}: {}", outcome.case.method, outcome.case.target, outcome.came());
        }
    }
}

#[test]
fn every_code_stands_once_in_the_reference() {
    let reference = include_str!("../../reference.md");
    for code in code::ALL {
        assert_eq!(reference.matches(code.id).count(), 1, "{}", code.id);
    }
    let mut ids: Vec<_> = code::ALL.iter().map(|code| code.id).collect();
    ids.dedup();
    assert!(ids.is_sorted() && ids.len() == code::ALL.len());
}
