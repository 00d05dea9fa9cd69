//! Small descriptions, a rule each.

use crate::import::{Array, Imported, Kind, Refusal, Wishes, openapi};

fn wishes() -> Wishes {
    Wishes { connector: "tiny".parse().unwrap(), upstream: None, array: None, schemes: Vec::new(), extension: None, kind: None }
}

fn made(text: &str, wishes: &Wishes) -> Imported {
    openapi(text.as_bytes(), wishes).unwrap_or_else(|refusal| panic!("{refusal}\n{text}"))
}

fn refused(text: &str, wishes: &Wishes) -> Refusal {
    match openapi(text.as_bytes(), wishes) {
        Ok(imported) => panic!("imported:\n{}\n{text}", imported.document),
        Err(refusal) => refusal,
    }
}

/// A description in version 3 with one OAuth 2 scheme and one that is none; `top` stands at its top, `paths` below `paths`.
fn three(top: &str, paths: &str) -> String {
    let indented = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    format!(
        "openapi: 3.0.3\ninfo: {{title: Tiny, version: 1.0}}\n{top}\ncomponents:\n  securitySchemes:\n    oauth:\n      type: oauth2\n      flows:\n        authorizationCode: {{authorizationUrl: https://tiny.example/authorize, tokenUrl: https://tiny.example/token, scopes: {{a: SECRET PROSE}}}}\n    key: {{type: apiKey, in: query, name: api_key}}\npaths:\n{}",
        indented(paths)
    )
}

const SERVER: &str = "servers: [{url: https://api.tiny.example/v1}]";

/// The `require` of the only operation, whose `security` this is.
fn need(security: &str, wishes: &Wishes) -> String {
    needs(&format!("/a: {{get: {{{security}}}}}"), wishes).pop().unwrap()
}

/// The `require` of all operations in the document's order.
fn needs(paths: &str, wishes: &Wishes) -> Vec<String> {
    lines(&made(&three(SERVER, paths), wishes).document, "require: ")
}

fn lines(document: &str, key: &str) -> Vec<String> {
    document.lines().filter_map(|line| line.trim_start().strip_prefix(key).map(str::to_owned)).collect()
}

#[test]
fn a_whole_description_becomes_a_whole_document() {
    let paths = "/pets/{pet-id}:\n  parameters: [{in: header, name: X-Trace}, {in: header, name: Accept}, {in: header, name: Authorization}]\n  get: {operationId: get Pet, summary: SECRET PROSE, security: [{oauth: [a]}], parameters: [{in: query, name: code}, {in: query, name: api_key}, {in: query, name: page}]}\n  delete: {operationId: deletePet, security: [{oauth: [https://tiny.example/auth/pets.write]}]}\n  put: {}\n";
    let text = three(SERVER, paths).replace("version: 1.0", "version: 1.0, license: {name: MIT}");
    let imported = made(&text, &wishes());
    let sha256 = lines(&imported.document, "source: ").pop().unwrap().split("sha256: ").nth(1).unwrap().trim_end_matches('}').to_owned();
    let expected = format!(
        r#"version: 1
connectors:
  tiny:
    title: Tiny
    upstream: https://api.tiny.example/v1
    oauth:
      authorization_url: https://tiny.example/authorize
      token_url: https://tiny.example/token
    request_headers: [x-trace]
    source: {{kind: openapi, title: Tiny, version: "1.0", licence: MIT, sha256: {sha256}}}
    scopes:
      a: {{provider_scopes: [a]}}
      pets.write: {{provider_scopes: [https://tiny.example/auth/pets.write]}}
    operations:
      - id: deletePet
        match: DELETE /pets/{{pet_id}}
        require: pets.write
      - id: get-Pet
        match: GET /pets/{{pet_id}}
        require: a
        allow_query: [code]
      - id: put-pets
        match: PUT /pets/{{pet_id}}
        require: unknown
"#
    );
    assert_eq!(imported.document, expected);
    assert_eq!((imported.operations, imported.unknown, imported.scopes, imported.notes), (3, 1, 2, vec![]));
}

#[test]
fn the_order_of_the_file_and_its_form_change_nothing() {
    let forwards =
        three(SERVER, "/b: {get: {operationId: x, security: [{oauth: [a]}]}}\n/a: {put: {operationId: x, security: []}, get: {operationId: x}}");
    let backwards =
        three(SERVER, "/a: {get: {operationId: x}, put: {security: [], operationId: x}}\n/b: {get: {security: [{oauth: [a]}], operationId: x}}");
    let without_hash = |text: &str| made(text, &wishes()).document.lines().filter(|line| !line.contains("sha256")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_hash(&forwards), without_hash(&backwards));
    assert_eq!(lines(&made(&forwards, &wishes()).document, "- id: "), ["x-GET", "x-PUT", "x-GET-2"]);
    let json = r#"{"openapi":"3.0.3","info":{"title":"Tiny","version":"1.0"},"servers":[{"url":"https:\/\/api.tiny.example\/v1"}],
        "components":{"securitySchemes":{"oauth":{"type":"oauth2","flows":{"authorizationCode":{"authorizationUrl":"https://tiny.example/authorize",
        "tokenUrl":"https://tiny.example/token","scopes":{"a":"\ud83d\ude00 PROSE"}}}},"key":{"type":"apiKey","in":"query","name":"api_key"}}},
        "paths":{"/b":{"get":{"operationId":"x","security":[{"oauth":["a"]}]}},"/a":{"put":{"operationId":"x","security":[]},"get":{"operationId":"x"}}}}"#;
    assert_eq!(without_hash(json), without_hash(&forwards));
}

#[test]
fn security_says_what_is_needed() {
    for (security, need_of_it) in [
        ("security: [{oauth: [a]}]", "a"),
        ("security: [{oauth: [a]}, {oauth: [b]}]", "{any: [a, b]}"),
        ("security: [{oauth: [a], key: []}]", "a"),
        ("security: [{oauth: [\"a b\"]}]", "{all: [a, b]}"),
        ("security: [{oauth: [a]}, {oauth: [\"a b\"]}]", "a"),
        ("security: []", "none"),
        ("security: [{}]", "none"),
        ("security: [{oauth: []}]", "none"),
        ("security: [{oauth: }]", "none"),
        ("security: [{oauth: [none]}]", "none"),
        ("security: [{oauth: []}, {key: []}]", "none"),
        ("security: [{}, {oauth: [a]}]", "a"),
        ("security: [{oauth: []}, {oauth: [a]}]", "a"),
        ("security: [{key: []}, {oauth: [a]}]", "a"),
        ("security: [{key: []}]", "unknown"),
        ("security: [{stranger: []}]", "unknown"),
        ("security: [{oauth: a}]", "unknown"),
        ("security: [oauth]", "unknown"),
        ("security: [{oauth: [\"a\\\\b\"]}]", "unknown"),
        ("security: [{oauth: [\"\"]}]", "unknown"),
        ("", "unknown"),
        ("security: ", "unknown"),
    ] {
        assert_eq!(need(security, &wishes()), need_of_it, "{security}");
    }
    let top =
        |top: &str, path: &str| lines(&made(&three(&format!("{SERVER}\nsecurity: {top}"), path), &wishes()).document, "require: ").pop().unwrap();
    assert_eq!(top("[{oauth: [a]}]", "/a: {get: {}}"), "a");
    assert_eq!(top("[{oauth: [a]}]", "/a: {get: {security: []}}"), "none");
    assert_eq!(top("[]", "/a: {get: {}}"), "none");
}

#[test]
fn a_list_of_several_scopes_is_asked_about_only_where_its_meaning_is_open() {
    let open = "security: [{oauth: [a, b]}]";
    let Refusal::Unsaid { sentence } = refused(&three(SERVER, &format!("/a: {{get: {{{open}}}}}")), &wishes()) else { panic!("not asked") };
    assert!(sentence.starts_with("`GET /a` lists `a`, `b` together") && sentence.contains("--array any"), "{sentence}");
    assert_eq!(need(open, &Wishes { array: Some(Array::Any), ..wishes() }), "{any: [a, b]}");
    assert_eq!(need(open, &Wishes { array: Some(Array::All), ..wishes() }), "{all: [a, b]}");
    assert_eq!(need("security: [{oauth: [a, a]}]", &wishes()), "a");
    let two = "security: [{oauth: [a, b]}, {oauth: [c]}]";
    assert_eq!(need(two, &Wishes { array: Some(Array::All), ..wishes() }), "{any: [c, {all: [a, b]}]}");
    assert_eq!(need("security: [{key: [a, b]}, {oauth: [a]}]", &wishes()), "a");
}

#[test]
fn keys_of_vendors_are_recognised_and_leave_the_others_unknown() {
    for (said, need_of_it) in [
        ("x-atlassian-oauth2-scopes: [{state: Current, scopes: [a]}, {state: Beta, scopes: [b, c]}]", "{any: [a, {all: [b, c]}]}"),
        ("x-atlassian-oauth2-scopes: [{state: Current, scopes: []}, {state: Beta, scopes: [b]}]", "b"),
        ("x-atlassian-oauth2-scopes: [{scopes: }]", "none"),
        ("x-klaviyo-scopes: [a, b]", "{all: [a, b]}"),
        ("x-klaviyo-scopes: []", "none"),
        ("x-klaviyo-scopes: ", "none"),
        ("x-permission: {operator: OR, permissions: [a, b]}", "{any: [a, b]}"),
        ("x-permission: {operator: AND, permissions: [a, b]}", "{all: [a, b]}"),
        ("x-permission: {operator: OPEN, permissions: []}", "none"),
        ("x-permission: {operator: XOR, permissions: [a]}", "unknown"),
        ("x-permission: {operator: OPEN, permissions: [a]}", "unknown"),
        ("x-pd-requires-scope: a.read b.read", "{all: [a.read, b.read]}"),
        ("x-required-scopes: [a]", "a"),
        ("x-authorization-privileges: a", "a"),
        ("x-klaviyo-scopes: [[a]]", "unknown"),
    ] {
        let paths = format!("/a: {{get: {{{said}}}}}\n/b: {{get: {{security: [{{oauth: [a]}}]}}}}\n/c: {{get: {{security: []}}}}");
        assert_eq!(needs(&paths, &wishes()), [need_of_it, "unknown", "unknown"], "{said}");
    }
    let own = Wishes { extension: Some("x-own".into()), ..wishes() };
    assert_eq!(need("x-own: [a], x-klaviyo-scopes: [b]", &own), "a");
    assert!(matches!(refused(&three(SERVER, "/a: {get: {x-own: [a, b]}}"), &own), Refusal::Unsaid { sentence } if sentence.contains("--array")));
    assert!(matches!(refused(&three(SERVER, "/a: {get: {}}"), &own), Refusal::Unsaid { sentence } if sentence.contains("--extension")));
}

#[test]
fn only_oauth_schemes_carry_scopes_and_others_by_name() {
    let paths = "/a: {get: {security: [{key: [a]}]}}";
    let refusal = refused(&three(SERVER, paths), &wishes());
    assert!(matches!(&refusal, Refusal::Refused { .. }) && refusal.to_string().contains("`key`"), "{refusal}");
    assert_eq!(needs(paths, &Wishes { schemes: vec!["key".into()], ..wishes() }), ["a"]);
    let refusal = refused(&three(SERVER, paths), &Wishes { schemes: vec!["keys".into()], ..wishes() });
    assert!(matches!(&refusal, Refusal::Unsaid { sentence } if sentence.contains("`keys`") && sentence.contains("did you mean `key`?")), "{refusal}");
    let both = "openapi: 3.1.0\nservers: [{url: https://api.tiny.example}]\ncomponents: {securitySchemes: {one: {type: oauth2, flows: {clientCredentials: {tokenUrl: https://tiny.example/app}}}, two: {type: oauth2, flows: {implicit: {authorizationUrl: https://tiny.example/a}, password: {tokenUrl: https://tiny.example/user}}}}}\npaths: {/a: {get: {security: [{one: [x]}, {two: [z]}]}}}";
    for (kind, need, token_url) in [
        (None, "{any: [x, z]}", "https://tiny.example/user"),
        (Some(Kind::Delegated), "z", "https://tiny.example/user"),
        (Some(Kind::Application), "x", "https://tiny.example/app"),
    ] {
        let document = made(both, &Wishes { kind, ..wishes() }).document;
        assert_eq!((lines(&document, "require: "), lines(&document, "token_url: ")), (vec![need.to_owned()], vec![token_url.to_owned()]));
    }
}

#[test]
fn servers_become_upstream_hosts_and_variables() {
    let get = "get: {security: []}";
    for (servers, paths, expected) in [
        ("[{url: https://API.tiny.example:443/v1/}]", "/a: {get: {}}", &["upstream: https://api.tiny.example/v1", "match: GET /a"][..]),
        ("[{url: //api.tiny.example}]", "/a: {get: {}}", &["upstream: https://api.tiny.example", "match: GET /a"]),
        (
            "[{url: https://api.tiny.example/v1}]",
            "/a: {servers: [{url: https://api.tiny.example/v2}], get: {}}\n/b: {get: {}}\n/c: {get: {servers: [{url: /v3/x}]}}",
            &["upstream: https://api.tiny.example", "match: GET /v2/a", "match: GET /v1/b", "match: GET /v3/x/c"],
        ),
        (
            "[{url: https://api.tiny.example/api/v1}]",
            "/a: {get: {servers: [{url: https://api.tiny.example/api/v2}]}}\n/b: {get: {}}",
            &["upstream: https://api.tiny.example/api", "match: GET /v2/a", "match: GET /v1/b"],
        ),
        (
            "[{url: https://api.tiny.example/v1}]",
            "/a: {get: {servers: [{url: https://upload.tiny.example/v1}]}}\n/b: {get: {servers: [{url: https://upload.other.example}]}}\n/c: {get: {servers: [{url: https://dl.tiny.example}]}}",
            &[
                "upstream: https://api.tiny.example/v1",
                "dl: https://dl.tiny.example",
                "upload.other.example: https://upload.other.example",
                "upload.tiny.example: https://upload.tiny.example",
                "match: GET /v1/a",
                "host: upload.tiny.example",
                "match: GET /b",
                "host: upload.other.example",
                "match: GET /c",
                "host: dl",
            ],
        ),
        (
            "[{url: https://api.tiny.example}, {url: https://sandbox.tiny.example}]",
            "/a: {get: {}}",
            &["upstream: https://api.tiny.example", "sandbox: https://sandbox.tiny.example", "match: GET /a"],
        ),
        (
            "[{url: \"https://{your-domain}.tiny.example/{stage}\", variables: {stage: {default: live, enum: [live, test]}}}]",
            "/a: {get: {}}",
            &[
                "upstream: https://{your_domain}.tiny.example/{stage}",
                "stage: {from: account, default: live, one_of: [live, test]}",
                "your_domain: {from: account, is: label}",
                "match: GET /a",
            ],
        ),
        (
            "[{url: \"https://{domain}\", variables: {domain: {default: a.tiny.example}}}]",
            "/a: {get: {}}",
            &["upstream: https://{domain}", "domain: {from: account, default: a.tiny.example, one_of: [a.tiny.example]}", "match: GET /a"],
        ),
        (
            "[{url: \"{protocol}://api.tiny.example\", variables: {protocol: {default: http, enum: [http, https]}}}]",
            "/a: {get: {}}",
            &["upstream: https://api.tiny.example", "match: GET /a"],
        ),
        (
            "[{url: \"https://api.tiny.example/{version}\", variables: {version: {default: v2}}}]",
            "/a: {get: {}}\n/b: {get: {servers: [{url: https://api.tiny.example}]}}",
            &["upstream: https://api.tiny.example", "match: GET /v2/a", "match: GET /b"],
        ),
    ] {
        let document = made(&three(&format!("servers: {servers}"), &paths.replace("get: {}", get)), &wishes()).document;
        let keys = ["upstream:", "match:", "host:", "stage:", "your_domain:", "domain:", "dl:", "upload", "sandbox:"];
        let found: Vec<&str> = document.lines().map(str::trim_start).filter(|line| keys.iter().any(|key| line.starts_with(key))).collect();
        assert_eq!(found, expected, "{servers}\n{document}");
    }
}

#[test]
fn an_upstream_is_asked_for_where_no_server_can_be_used_and_may_be_given_elsewhere() {
    for servers in ["", "servers: []", "servers: [{url: /v1}]", "servers: [{url: \"https://{host}/v1\"}]", "servers: [{url: wss://api.tiny.example}]"]
    {
        let refusal = refused(&three(servers, "/a: {get: {}}"), &wishes());
        assert!(matches!(&refusal, Refusal::Unsaid { sentence } if sentence.contains("--upstream")), "{servers}: {refusal}");
    }
    for (servers, upstream, expected) in [
        ("", "https://api.tiny.example", ["https://api.tiny.example", "GET /a"]),
        ("servers: [{url: /v1}]", "https://api.tiny.example", ["https://api.tiny.example", "GET /v1/a"]),
        ("servers: [{url: /v1}]", "https://api.tiny.example/v1", ["https://api.tiny.example/v1", "GET /a"]),
        (SERVER, "http://127.0.0.1:9000/", ["http://127.0.0.1:9000", "GET /v1/a"]),
        (SERVER, "https://gate.example/tiny", ["https://gate.example/tiny", "GET /v1/a"]),
        (SERVER, "https://gate.example/{cloud}", ["https://gate.example/{cloud}", "GET /v1/a"]),
    ] {
        let document = made(&three(servers, "/a: {get: {}}"), &Wishes { upstream: Some(upstream.into()), ..wishes() }).document;
        assert_eq!([lines(&document, "upstream: "), lines(&document, "match: ")].concat(), expected, "{document}");
    }
    for wrong in ["api.tiny.example", "ftp://api.tiny.example", "https://api.tiny.example/a?b", "https://{host}", ""] {
        let refusal = refused(&three(SERVER, "/a: {get: {}}"), &Wishes { upstream: Some(wrong.into()), ..wishes() });
        assert!(matches!(&refusal, Refusal::Unsaid { sentence } if sentence.contains("--upstream")), "{wrong}: {refusal}");
    }
}

#[test]
fn an_operation_whose_servers_cannot_be_used_is_left_out() {
    let paths = "/a: {get: {servers: [{url: \"https://{host}\"}], security: []}}\n/b: {get: {security: []}}";
    let imported = made(&three(SERVER, paths), &wishes());
    assert_eq!(lines(&imported.document, "match: "), ["GET /b"]);
    assert!(imported.notes.iter().any(|note| note.contains("left out") && note.contains("`GET /a`")), "{:?}", imported.notes);
}

#[test]
fn keys_with_queries_and_fragments_narrow_or_are_both_meant() {
    let paths = "/a: {get: {operationId: plain, security: [{oauth: [a]}]}}\n/a#more: {get: {operationId: more, security: [{oauth: [b]}]}}\n/a?type=user: {get: {operationId: user, security: [{oauth: [c]}]}}\nx-hidden: {get: {}}";
    let imported = made(&three(SERVER, paths), &wishes());
    let expected = "      - id: plain\n        match: GET /a\n        require: a\n      - id: more\n        match: GET /a\n        require: b\n      - id: user\n        match: GET /a\n        where: {query: {type: user}}\n        require: c\n";
    assert!(imported.document.ends_with(expected), "{}", imported.document);
    let told = |part: &str| imported.notes.iter().any(|note| note.contains(part) && note.contains("`GET /a#more`"));
    assert!(told("`#`") && told("several operations match the same requests"), "{:?}", imported.notes);
}

#[test]
fn what_no_template_says_is_left_out_and_told() {
    let paths = "/a/*: {get: {security: []}}\n/b: {get: {security: []}, trace: {security: []}, fetch: {security: []}, summary: x}\n/c: ";
    let imported = made(&three(SERVER, paths), &wishes());
    assert_eq!(lines(&imported.document, "match: "), ["GET /b"]);
    assert!(imported.notes.iter().any(|note| note.contains("`GET /a/*`")), "{:?}", imported.notes);
}

#[test]
fn references_inside_of_the_file_are_followed() {
    let text = three(SERVER, "/a: {$ref: \"#/x-items/~1shared~0%20a\"}\n/b: {get: {$ref: \"#/paths/~1c/get\"}}\n/c: {get: {security: [{oauth: [c]}], parameters: [{$ref: \"#/components/parameters/P\"}]}}")
        .replace("components:\n", "x-items: {\"/shared~ a\": {get: {security: [{oauth: [a]}]}}}\ncomponents:\n  parameters: {P: {in: header, name: X-P}}\n");
    let document = made(&text, &wishes()).document;
    assert_eq!(lines(&document, "require: "), ["a", "c", "c"]);
    assert_eq!(lines(&document, "request_headers: "), ["[x-p]"]);
    for (path, part) in [
        ("/a: {$ref: \"other.yaml#/a\"}", "`other.yaml#/a` leads out of the file"),
        ("/a: {$ref: \"https://tiny.example/a.json\"}", "`https://tiny.example/a.json` leads out of the file"),
        ("/a: {get: {responses: {200: {content: {a: {schema: {$ref: ./pet.yaml}}}}}}}", "`./pet.yaml` leads out of the file"),
        ("/a: {$ref: \"#/nothing\"}", "`#/nothing` leads to nothing"),
        ("/a: {$ref: \"#/paths/~1a\"}", "leads back to itself"),
        ("/a: {$ref: \"#/paths/~1b\"}\n/b: {$ref: \"#/paths/~1a\"}", "leads back to itself"),
    ] {
        let refusal = refused(&three(SERVER, path), &wishes());
        assert!(matches!(&refusal, Refusal::Refused { place: Some(_), sentence } if sentence.contains(part)), "{path}: {refusal}");
    }
    let schemas = "/a: {get: {security: [], x-code: {$ref: a.php}, responses: {200: {example: {$ref: x.json}, schema: {$ref: \"#/components/schemas/Loop\"}}}}}";
    assert_eq!(needs(schemas, &wishes()), ["none"]);
}

#[test]
fn version_2_says_the_same_in_other_places() {
    let text = "swagger: \"2.0\"\ninfo: {title: Old, version: \"1\"}\nhost: api.old.example\nbasePath: /api/\nschemes: [http, https]\nsecurityDefinitions:\n  auth: {type: oauth2, flow: accessCode, authorizationUrl: https://old.example/a, tokenUrl: https://old.example/t, scopes: {x: PROSE}}\npaths:\n  /a:\n    get: {security: [{auth: [x]}], parameters: [{in: body, name: b}]}\n    post: {security: [{auth: [none]}], parameters: [{in: formData, name: token}, {in: query, name: token}]}\n";
    let imported = made(text, &wishes());
    for line in
        ["upstream: https://api.old.example/api", "token_url: https://old.example/t", "match: GET /a", "require: x", "body: true", "require: none"]
    {
        assert!(imported.document.lines().any(|one| one.trim_start() == line), "{line}\n{}", imported.document);
    }
    assert!(!imported.document.contains("allow_query") && !imported.document.contains("PROSE"));
    assert_eq!(imported.notes, ["the query parameter `token` looks like a token, and does not pass: `POST /a`"]);
    let relative = text.replace("tokenUrl: https://old.example/t", "tokenUrl: /oauth/t");
    assert_eq!(lines(&made(&relative, &wishes()).document, "token_url: "), ["https://api.old.example/oauth/t"]);
    let http = text.replace("schemes: [http, https]", "schemes: [http]");
    assert_eq!(lines(&made(&http, &wishes()).document, "upstream: "), ["http://api.old.example/api"]);
    let hostless = text.replace("host: api.old.example\n", "");
    assert!(matches!(refused(&hostless, &wishes()), Refusal::Unsaid { .. }));
}

#[test]
fn what_is_no_description_or_has_two_readings_is_refused_with_its_place() {
    let deep = |count: usize| format!("{}{}", "[".repeat(count), "]".repeat(count));
    let aliases = |count: usize| format!("openapi: 3.0.0\nx: &a b\ny: [{}]\n", vec!["*a"; count].join(", "));
    for (text, place, part) in [
        ("a: b", None, "no OpenAPI description"),
        ("- a", None, "no OpenAPI description"),
        ("swagger: \"1.2\"", None, "of OpenAPI 1.2"),
        ("openapi: 4.0.0", None, "of OpenAPI 4.0.0"),
        ("openapi: 3.0.0", None, "has no `paths`"),
        ("openapi: 3.0.0\npaths: {}", None, "has no operations"),
        ("", Some((1, 1)), "nothing stands"),
        ("openapi: 3.0.0\nopenapi: 3.0.1", Some((2, 1)), "`openapi` stands twice"),
        ("{\"é\": {\"a\": 1, \"a\": 2}}", Some((1, 16)), "`a` stands twice"),
        ("{\"a\": [1, 2", Some((1, 12)), "no JSON"),
        ("{\"a\": \"\\ud83d\"}", Some((1, 14)), "no JSON"),
        ("a: [b", Some((1, 4)), "no YAML"),
        ("a: &x {b: c}\nd: {<<: *x}", Some((2, 5)), "merge key"),
        ("a: b\n---\nc: d", Some((2, 1)), "second document"),
        ("a: &x [*x]", Some((1, 8)), "inside of what it names"),
        ("? [a]\n: b", Some((1, 3)), "a key is a text"),
        (&format!("{{\"a\": {}}}", deep(256)), Some((1, 262)), "more than 256 levels"),
        (&format!("a: {}", deep(256)), Some((1, 259)), "more than 256 levels"),
        (&aliases(10_001), Some((3, 40_005)), "more than 10000 times"),
    ] {
        let refusal = refused(text, &wishes());
        assert!(matches!(&refusal, Refusal::Refused { place: found, sentence } if *found == place && sentence.contains(part)), "{refusal}: {part}");
    }
    for text in [
        format!("{{\"a\": {}}}", deep(255)),
        format!("a: {}", deep(255)),
        aliases(10_000),
        format!("a: &x {}\nb: {}*x{}", deep(100), "[".repeat(155), "]".repeat(155)),
    ] {
        let refusal = refused(&text, &wishes()).to_string();
        assert!(refusal.contains("no OpenAPI description") || refusal.contains("has no `paths`"), "{refusal}");
    }
    let nested = format!("a: &x {}\nb: {}*x{}", deep(100), "[".repeat(156), "]".repeat(156));
    assert!(refused(&nested, &wishes()).to_string().contains("more than 256 levels"));
}

#[test]
fn what_grows_beyond_all_use_is_refused() {
    let many = (0..100_001).map(|number| format!("\"/a{number}\":{{\"get\":{{}}}}")).collect::<Vec<_>>().join(",");
    let many = format!("{{\"openapi\":\"3.0.3\",\"paths\":{{{many}}}}}");
    assert!(refused(&many, &wishes()).to_string().contains("more than 100000 operations"));
    let alternatives = |count: usize| (0..count).map(|number| format!("{{oauth: [s{number}]}}")).collect::<Vec<_>>().join(", ");
    let of = |count: usize| three(SERVER, &format!("/a: {{get: {{security: [{}]}}}}", alternatives(count)));
    let refusal = refused(&of(1001), &wishes()).to_string();
    assert!(refusal.contains("`GET /a` has more than 1000 alternatives"), "{refusal}");
    assert_eq!(made(&of(1000), &wishes()).scopes, 1000);
    // Ten lists in ten nested aliases: what is shared is looked at once.
    let levels = (1..=9).map(|level| format!("l{level}: &l{level} [{}]\n", vec![format!("*l{}", level - 1); 9].join(", "))).collect::<String>();
    let laughs = three(
        &format!("{SERVER}\nx:\n  l0: &l0 [ha]\n{}", levels.lines().map(|line| format!("  {line}\n")).collect::<String>()),
        "/a: {get: {security: []}}",
    );
    assert_eq!(made(&laughs, &wishes()).operations, 1);
}
