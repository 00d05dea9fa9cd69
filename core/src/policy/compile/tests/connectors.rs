//! What a connector says of itself: addresses, variables, OAuth, headers, scopes.

use super::*;
use crate::connector::oauth::{ClientAuth, Pkce, RefreshMode, TokenRequestFormat};
use crate::connector::variables::Rule;
use crate::connector::{Connector, Inject, Source as From};
use std::sync::Arc;
use std::time::Duration;

fn only_connector(text: &str) -> Arc<Connector> {
    let model = model_of(&[own("p.yaml", text)], &BTreeMap::new());
    assert_eq!(model.connectors.len(), 1);
    Arc::clone(&model.connectors[0].connector)
}

#[test]
fn addresses_are_whole_and_have_one_reading() {
    for (facts, expected) in [
        ("upstream: «api.example»", &[("SG0208", "is no URL")][..]),
        ("upstream: «ftp://api.example»", &[("SG0208", "neither https nor http")]),
        ("upstream: «https:api.example»", &[("SG0208", "neither https nor http")]),
        ("upstream: «https://user@api.example»", &[("SG0208", "user part")]),
        ("upstream: «\"https://api.example/#x\"»", &[("SG0208", "fragment")]),
        ("upstream: «https://api.example/v1?a=b»", &[("SG0208", "query")]),
        ("upstream: «https://api.example/a/../b»", &[("SG0208", "more than one reading")]),
        ("upstream: «https://api.example/a%2Fb»", &[("SG0208", "more than one reading")]),
        ("upstream: «\"https://api.example/a b\"»", &[("SG0208", "characters that no URL holds")]),
        ("upstream: «\"\"»", &[("SG0108", "empty")]),
        ("upstream: «[]»", &[("SG0103", "a text")]),
        ("upstream: https://api.example\nhosts: {up: «nowhere»}", &[("SG0208", "is no URL")]),
        ("oauth: {token_url: «/token»}", &[("SG0208", "is no URL")]),
        ("«oauth»: {}", &[("SG0102", "`oauth` has no `token_url`")]),
        // A key that is there in its own right means no other.
        ("«oauth»: {token_type: bot}", &[("SG0102", "`oauth` has no `token_url`")]),
        ("oauth: {«tokn_url»: https://l.example/t}", &[("SG0101", "did you mean `token_url`?")]),
        ("upstream: «\"https://{\"»", &[("SG0203", "braces")]),
        ("upstream: «\"https://{a b}.example.com\"»", &[("SG0203", "braces")]),
    ] {
        assert_found(&with_facts(facts), expected);
    }
    assert_found("version: 1\nconnectors: {«crm»: {title: CRM}}", &[("SG0102", "a connector has no `upstream`")]);
    assert_found("version: 1\nconnectors: {«CRM»: {upstream: https://a.example}}", &[("SG0107", "`CRM` is not a valid connector")]);
    for (text, upstream) in [
        ("upstream: https://api.example/", "https://api.example"),
        ("upstream: https://api.example/v1/", "https://api.example/v1"),
        ("upstream: http://[fd00::1]:8080", "http://[fd00::1]:8080"),
    ] {
        assert_eq!(only_connector(&with_facts(text)).upstream.to_string(), upstream);
    }
}

#[test]
fn a_variable_says_where_its_value_comes_from_and_what_it_may_be() {
    for (variable, expected) in [
        ("«x»: {from: account}", &[("SG0205", "nothing says what values `x` may have")][..]),
        ("«x»: {is: label}", &[("SG0102", "a variable has no `from`")]),
        ("x: {from: «acount», is: label}", &[("SG0104", "did you mean `account`?")]),
        ("«x»: {from: token, is: label}", &[("SG0102", "no `pointer`")]),
        ("«x»: {from: callback, is: label}", &[("SG0102", "no `parameter`")]),
        ("x: {from: token, pointer: «id», is: label}", &[("SG0211", "`id` is no JSON pointer")]),
        ("x: {from: token, pointer: «/a~2», is: label}", &[("SG0211", "JSON pointer")]),
        ("x: {from: account, pointer: «/a», is: label}", &[("SG0106", "goes with `from: token`")]),
        ("x: {from: account, parameter: «a», is: label}", &[("SG0106", "goes with `from: callback`")]),
        ("x: {from: «lookup», is: label}", &[("SG0207", "nothing looks this variable up")]),
        ("x: {from: account, is: «anything»}", &[("SG0104", "`label`")]),
        ("x: {from: account, is: «label», one_of: [a]}", &[("SG0106", "exclude each other")]),
        ("x: {from: account, one_of: «[]»}", &[("SG0108", "nothing stands in this list")]),
        ("x: {from: account, default: «c», one_of: [a, b]}", &[("SG0206", "the default of `x` breaks its own rule")]),
        ("x: {from: account, default: «a/b», is: label}", &[("SG0206", "breaks its own rule")]),
        ("x: {from: account, origin_of: [«https://a.example»]}", &[("SG0206", "without scheme and path")]),
        ("x: {from: account, origin_of: [\"«*.com»\"]}", &[("SG0206", "two labels")]),
        ("x: {from: account, origin_of: [\"«*»\"]}", &[("SG0206", "no pattern of hosts")]),
        ("x: {from: account, origin_of: [«a/b»]}", &[("SG0206", "no pattern of hosts")]),
        ("x: {from: account, is: label, «pointr»: /a}", &[("SG0101", "did you mean `pointer`?")]),
        ("«1x»: {from: account, is: label}", &[("SG0107", "no name of a variable")]),
    ] {
        let quoted = variable.replace("\"«", "«\"").replace("»\"", "\"»");
        assert_found(&with_facts(&format!("variables:\n  {quoted}")), expected);
    }
}

#[test]
fn a_template_names_variables_that_are_there_in_time_and_never_lets_an_account_choose_any_host() {
    let variables = "variables:\n  site: {from: account, is: label}\n  own: {from: token, pointer: /u, origin_of: [\"*.example.com\"]}\n  back: {from: callback, parameter: r, one_of: [a, b]}\n  soft: {from: token, pointer: /s, one_of: [a, b], default: a}\n  bad: {from: account, one_of: [a.example, \"a b\"]}\n";
    for (facts, expected) in [
        ("upstream: \"https://{«sit»}.example.com\"", &[("SG0204", "did you mean `site`?")][..]),
        ("upstream: \"https://{«other»}.example.com\"", &[("SG0204", "declare it under `variables`")]),
        ("upstream: «\"https://{site}\"»", &[("SG0209", "whoever sets `site`")]),
        ("upstream: «\"https://{site}.com\"»", &[("SG0209", "any host")]),
        ("upstream: «\"https://api.example.com.{site}\"»", &[("SG0209", "any host")]),
        ("upstream: «\"{site}\"»", &[("SG0209", "any host")]),
        ("upstream: «\"https://{own}\"»", &[("SG0208", "")]),
        ("upstream: «\"https://{bad}/v1\"»", &[("SG0208", "(`https://a b/v1`)")]),
        ("oauth:\n  token_url: https://l.example/t\n  authorization_url: «\"{own}/authorize\"»", &[("SG0207", "`{own}` has no value yet")]),
        ("oauth:\n  token_url: «\"{own}/token\"»", &[("SG0207", "no value yet")]),
        ("oauth:\n  token_url: https://l.example/t\n  authorization_url: «https://{back}.example.com/a»", &[("SG0207", "no value yet")]),
        ("headers: {X-Site: \"{«sight»}\"}", &[("SG0204", "no variable `sight`")]),
    ] {
        assert_found(&with_facts(&format!("{variables}{facts}")), expected);
    }
    for facts in [
        "upstream: \"https://{site}.example.com\"",
        "upstream: \"https://{site}.{back}.example.com:8443/{site}\"",
        "upstream: \"{own}/v1/{site}\"",
        "oauth:\n  token_url: https://{back}.example.com/t\n  authorization_url: https://{soft}.example.com/a\n  refresh_url: \"{own}/t\"",
        "headers: {X-Site: \"s-{site}\"}",
    ] {
        assert_clean(&with_facts(&format!("{variables}{facts}")));
    }
}

#[test]
fn variables_know_their_sources() {
    let connector = only_connector(&with_facts(
        "variables:\n  a: {from: token, pointer: /u, origin_of: \"*.example.com\"}\n  b: {from: callback, parameter: realmId, is: label}\n  c: {from: lookup, pointer: /id, is: label}\n  d: {from: lookup, is: label}\n  e: {from: account, one_of: [x, y], default: x}\noauth: {token_url: https://l.example/t, lookup: {url: https://l.example/me, pointer: /0}}",
    ));
    let sources: Vec<_> = connector.variables.values().map(|variable| variable.from.clone()).collect();
    let wanted = [
        From::Token { pointer: "/u".into() },
        From::Callback { parameter: "realmId".into() },
        From::Lookup { pointer: "/0/id".into() },
        From::Lookup { pointer: "/0".into() },
        From::Account,
    ];
    assert_eq!(sources, wanted);
    assert_eq!(connector.variables["a"].rule, Rule::OriginOf(vec!["*.example.com".into()]));
    assert_eq!(
        (&connector.variables["e"].rule, connector.variables["e"].default.as_deref()),
        (&Rule::OneOf(vec!["x".into(), "y".into()]), Some("x"))
    );
}

#[test]
fn oauth_takes_every_key_of_the_language() {
    let oauth = only_connector(&with_facts(
        "oauth:\n  authorization_url: https://l.example/a\n  token_url: https://l.example/t\n  refresh_url: https://l.example/r\n  revocation_url: https://l.example/v\n  pkce: none\n  client_auth: private_key_jwt\n  token_request: json\n  scope_separator: \",\"\n  always_request: [offline_access]\n  authorize_params: {access_type: offline, prompt: consent}\n  expires_in: 7200\n  token_pointer: /authed_user\n  token_type: user\n  error_pointer: /error\n  rotation: true\n  replay_window: 10m\n  refresh: on_use\n  keep_alive: 30d\n  lookup: {url: https://l.example/me}",
    ));
    let oauth = oauth.oauth.as_ref().unwrap();
    assert_eq!(
        (oauth.pkce, oauth.client_auth, oauth.token_request, oauth.refresh),
        (Pkce::None, ClientAuth::PrivateKeyJwt, TokenRequestFormat::Json, RefreshMode::OnUse)
    );
    let durations = [oauth.expires_in, oauth.replay_window, oauth.keep_alive];
    assert_eq!(durations, [7200, 600, 30 * 86_400].map(|seconds| Some(Duration::from_secs(seconds))));
    assert_eq!(oauth.authorize_params, [("access_type", "offline"), ("prompt", "consent")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((oauth.scope_separator.as_str(), oauth.rotation, oauth.always_request.len()), (",", Some(true), 1));
    let texts = [&oauth.token_pointer, &oauth.token_type, &oauth.error_pointer].map(Option::as_deref);
    assert_eq!(texts, [Some("/authed_user"), Some("user"), Some("/error")]);
    assert_eq!([&oauth.refresh_url, &oauth.revocation_url, &oauth.lookup].map(Option::is_some), [true; 3]);

    let plain = only_connector(&with_facts("oauth: {token_url: https://l.example/t}"));
    let plain = plain.oauth.as_ref().unwrap();
    assert_eq!(
        (plain.pkce, plain.client_auth, plain.refresh, plain.scope_separator.as_str()),
        (Pkce::S256, ClientAuth::ClientSecretBasic, RefreshMode::Ahead, " ")
    );
}

#[test]
fn oauth_refuses_what_it_does_not_know() {
    for (facts, expected) in [
        ("pkce: «plain»", &[("SG0104", "not one of `S256`, `none`")][..]),
        ("client_auth: «client_secret_past»", &[("SG0104", "did you mean `client_secret_post`?")]),
        ("expires_in: «soon»", &[("SG0110", "`soon` is no duration")]),
        ("keep_alive: «1w»", &[("SG0110", "no duration")]),
        ("keep_alive: «99999999999999999999d»", &[("SG0110", "no duration")]),
        ("rotation: «sometimes»", &[("SG0103", "`true` or `false`")]),
        ("scope_separator: «\"\"»", &[("SG0108", "run together")]),
        ("always_request: [«\"a b\"»]", &[("SG0107", "no blank, quote, backslash or control at byte 1")]),
        ("authorize_params: {«state»: x}", &[("SG0106", "set by the gateway itself")]),
        ("«token_uri»: https://l.example/t", &[("SG0101", "did you mean `token_url`?")]),
        ("lookup: «{}»", &[("SG0102", "`lookup` has no `url`")]),
        ("lookup: {url: https://l.example/me, pointer: «x»}", &[("SG0211", "JSON pointer")]),
    ] {
        assert_found(&with_facts(&format!("oauth:\n  token_url: https://l.example/t\n  {facts}")), expected);
    }
}

#[test]
fn no_connector_names_headers_that_frame_authenticate_or_forward() {
    for (facts, expected) in [
        ("headers: {«Authorization»: x}", &[("SG0210", "no connector sets `authorization`")][..]),
        ("inject: {header: X-Token}\nheaders: {«x-token»: x}", &[("SG0210", "no connector sets `x-token`")]),
        ("headers: {«Host»: x}", &[("SG0210", "no connector sets `host`")]),
        ("headers: {«Scopegate-Account»: x}", &[("SG0210", "no connector sets")]),
        ("headers: {«\"X Y\"»: x}", &[("SG0107", "no name of a header")]),
        ("headers: {X-A: «\"a\\tb\"»}", &[("SG0210", "printable ASCII")]),
        ("headers: {X-A: a, «x-a»: b}", &[("SG0002", "`x-a` stands twice")]),
        ("request_headers: [X-Desk-Version, «Authorization»]", &[("SG0210", "`Authorization` cannot be let through")]),
        ("request_headers: [«x-*»]", &[("SG0210", "never pass")]),
        ("request_headers: «scopegate-*»", &[("SG0210", "end at the gateway")]),
        ("refuse_headers: [«\"a b\"»]", &[("SG0107", "no name of a header")]),
        ("inject: {header: «Host»}", &[("SG0210", "no connector sets `host`")]),
        ("inject: «{}»", &[("SG0102", "where the credential goes")]),
        ("inject: «{header: X-A, query: t}»", &[("SG0106", "one place")]),
        ("inject: {query: t, scheme: «Token»}", &[("SG0106", "goes with `header`")]),
        ("inject: {query: «\"a&b\"»}", &[("SG0107", "one word")]),
        ("inject: {basic: «both»}", &[("SG0104", "`user`, `password`")]),
    ] {
        assert_found(&with_facts(facts), expected);
    }
}

#[test]
fn a_credential_goes_where_inject_says() {
    let header = |name: &str, scheme: Option<&str>| Inject::Header { name: name.into(), scheme: scheme.map(Into::into) };
    for (facts, inject) in [
        ("title: CRM", Inject::default()),
        ("inject: {header: X-Practice-Token}", header("x-practice-token", None)),
        ("inject: {header: Authorization, scheme: Zoho-oauthtoken}", header("authorization", Some("Zoho-oauthtoken"))),
        ("inject: {query: practice_token}", Inject::Query { name: "practice_token".into() }),
        ("inject: {basic: user}", Inject::Basic { side: crate::connector::inject::BasicSide::User }),
    ] {
        assert_eq!(*only_connector(&with_facts(facts)).inject, inject, "{facts}");
    }
}

#[test]
fn scopes_name_what_the_provider_calls_them() {
    let connector = only_connector(&with_facts(
        "scopes:\n  a: {provider_scopes: [x, y], consent: Read, risk: high}\n  b: {provider_scopes: {any: [x, {all: [y, z]}]}, implies: [a]}\n  c: {provider_scopes: none}\n  d:\n  e: {}\n  f: {provider_scopes: z, risk: capability, implies: b}",
    ));
    let provider: Vec<Vec<String>> = connector
        .scopes
        .values()
        .map(|facts| facts.provider_scopes.iter().map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")).collect())
        .collect();
    assert_eq!(
        provider,
        [&["x+y"][..], &["x", "y+z"], &[""], &["d"], &["e"], &["z"]].map(|all| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>())
    );
    assert_eq!(connector.scopes["b"].implies[0].as_str(), "a");
    assert_eq!(connector.scopes["a"].consent.as_deref(), Some("Read"));
}

#[test]
fn scopes_refuse_what_they_do_not_know() {
    for (scope, expected) in [
        ("a:read: {implies: [«a:write»]}", &[("SG0301", "no scope `a:write`")][..]),
        ("a:read: {provider_scopes: «[]»}", &[("SG0108", "nothing stands in this list")]),
        ("a:read: {provider_scopes: {«some»: [x]}}", &[("SG0101", "neither `all` nor `any`")]),
        ("a:read: {provider_scopes: {any: [x], «all»: [y]}}", &[("SG0106", "one key")]),
        ("a:read: {provider_scopes: [«\"a b\"»]}", &[("SG0107", "not valid")]),
        ("a:read: {risk: «hihg»}", &[("SG0104", "did you mean `high`?")]),
        ("a:read: {consent: «\" \"»}", &[("SG0108", "empty")]),
        ("a:read: «[x]»", &[("SG0103", "a scope is a mapping")]),
        ("«none»: {}", &[("SG0107", "a word of the language")]),
        ("«a read»: {}", &[("SG0107", "no blank")]),
    ] {
        assert_found(&with_facts(&format!("scopes:\n  {scope}")), expected);
    }
}

#[test]
fn a_refusal_shape_names_members_of_the_problem() {
    for (facts, expected) in [
        ("refusal: {status: «700», body: {}}", &[("SG0110", "no HTTP status")][..]),
        ("refusal: «{status: 200}»", &[("SG0102", "`refusal` has no `body`")]),
        ("refusal: {body: {error: \"{«eror»}\"}}", &[("SG0212", "did you mean `error`?")]),
        ("refusal: {body: [{a: \"x {«nothing»} {title}\"}]}", &[("SG0212", "no member `nothing`")]),
    ] {
        assert_found(&with_facts(facts), expected);
    }
    let connector =
        only_connector(&with_facts("refusal: {status: 200, body: {ok: false, error: \"{error}\", n: 1, list: [\"{held_scopes}\", null]}}"));
    let shape = connector.refusal.as_ref().unwrap();
    assert_eq!(
        (shape.status, &shape.body),
        (Some(200), &serde_json::json!({"ok": false, "error": "{error}", "n": 1, "list": ["{held_scopes}", null]}))
    );
}

#[test]
fn other_facts_are_taken_over_and_their_kinds_checked() {
    let connector = only_connector(&with_facts(
        "title: CRM\nprovider: acme\nsource: {kind: openapi, title: T, version: \"1\", licence: MIT, sha256: ab}\nallow_query: [code, code]\nrefuse_headers: [X-Impersonate]\ncase_insensitive_paths: true\nscan_answers: false\nreplay_after_401: all\nheaders: {Notion-Version: \"2022-06-28\"}",
    ));
    assert_eq!((connector.title.as_str(), connector.provider.as_str(), connector.source.as_ref().unwrap().kind.as_str()), ("CRM", "acme", "openapi"));
    assert_eq!(
        (connector.allow_query.as_slice(), connector.refuse_headers.as_slice()),
        (&["code".to_owned()][..], &["x-impersonate".to_owned()][..])
    );
    assert_eq!([connector.case_insensitive_paths, connector.scan_answers, connector.replay_after_401], [true, false, true]);
    assert_eq!((connector.headers[0].0.as_str(), connector.headers[0].1.to_string().as_str()), ("notion-version", "2022-06-28"));
    let plain = only_connector(&with_facts(""));
    assert_eq!([plain.case_insensitive_paths, plain.scan_answers, plain.replay_after_401], [false, true, false]);
    assert_eq!((plain.title.as_str(), plain.provider.as_str()), ("crm", "crm"));

    for (facts, expected) in [
        ("scan_answers: «no»", &[("SG0103", "`true` or `false`")][..]),
        ("replay_after_401: «true»", &[("SG0104", "`all`")]),
        ("«upstreams»: x", &[("SG0101", "did you mean `upstream`?")]),
        ("mode: «shadwo»", &[("SG0104", "did you mean `shadow`?")]),
        ("source: «{title: x}»", &[("SG0102", "`source` has no `kind`")]),
        ("«title»:", &[("SG0103", "nothing")]),
    ] {
        assert_found(&with_facts(facts), expected);
    }
}
