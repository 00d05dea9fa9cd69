//! What holds for the plane as a whole: the token, problems, the document, health.

use super::*;
use std::collections::BTreeSet;

#[tokio::test]
async fn everything_under_v1_asks_for_the_token_also_what_is_not_there() {
    let stage = Stage::new().await;
    for (method, path) in [
        ("GET", "/v1/accounts"),
        ("GET", "/v1/connectors/crm/accounts/x"),
        ("POST", "/v1/decisions"),
        ("POST", "/v1/policies/reload"),
        ("GET", "/v1/openapi.json"),
        ("GET", "/v1/nothing"),
        ("BREW", "/v1/accounts"),
        ("GET", "/v1"),
    ] {
        let nothing = stage.send(method, path, None, None).await;
        nothing.is_problem(401);
        assert_eq!(nothing.header("www-authenticate"), r#"Bearer realm="scopegate""#, "{method} {path}");
        let wrong = stage.send(method, path, Some("the-admin-toke"), None).await;
        wrong.is_problem(401);
        assert_eq!(wrong.header("www-authenticate"), r#"Bearer realm="scopegate", error="invalid_token""#, "{method} {path}");
    }
}

#[tokio::test]
async fn every_error_is_a_problem_document() {
    let stage = Stage::new().await;
    for (method, path, status) in [("GET", "/v1/nothing", 404), ("GET", "/nothing", 404), ("DELETE", "/v1/accounts", 405), ("POST", "/livez", 405)] {
        let came = stage.ask(method, path, None).await;
        came.is_problem(status);
        assert_eq!(status == 405, !came.header("allow").is_empty(), "{came:?}");
    }
    stage.send("PUT", "/v1/connectors/crm/accounts/x", Some(TOKEN), Some(r#"{"customer": "#.into())).await.is_problem(400);
    stage.ask("GET", "/v1/connectors/crm/accounts/%ff", None).await.is_problem(422);
    stage.ask("GET", "/v1/sessions/%ff", None).await.is_problem(404);
    let large = format!(r#"{{"customer": "{}"}}"#, "x".repeat(17 << 20));
    stage.send("PUT", "/v1/connectors/crm/accounts/x", Some(TOKEN), Some(large)).await.is_problem(413);
}

#[tokio::test]
async fn an_unknown_field_or_parameter_is_refused_by_its_name() {
    let stage = Stage::new().await;
    let path = stage.account("named", "researcher").await;
    for (method, tail, body, odd) in [
        ("PUT", "", json!({"customer": "acme", "role": "researcher", "costumer": "y"}), "costumer"),
        ("PATCH", "", json!({"rolle": "publisher"}), "rolle"),
        ("POST", "/handles", json!({"tttl": 1}), "tttl"),
        ("POST", "/authorizations", json!({"scope": ["accounts:read"]}), "scope"),
        ("PUT", "/credentials", json!({"access_token": "x", "refreshtoken": "y"}), "refreshtoken"),
    ] {
        let came = stage.ask(method, &format!("{path}{tail}"), body).await;
        came.is_problem(422);
        assert_eq!(came.json["field"], odd);
        assert!(came.json["detail"].as_str().unwrap().contains(odd), "{came:?}");
    }
    for path in
        ["/v1/accounts?costumer=acme", "/v1/accounts?limit=0", "/v1/accounts?limit=10&limit=20", "/v1/audit?since=yesterday", "/v1/audit?reason=none"]
    {
        stage.ask("GET", path, None).await.is_problem(422);
    }
}

#[tokio::test]
async fn the_document_lists_every_route() {
    let stage = Stage::new().await;
    let document = stage.must(200, "GET", "/v1/openapi.json", None).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    let documented: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    // axum has no list of its routes but its Debug form, where each path stands quoted beside its number; `/` is the fallback's.
    let shown = format!("{:?}", router(stage.parts.clone()));
    // The console is pages for people, no API.
    let is_api = |text: &&str| text.len() > 1 && text.starts_with('/') && !text.contains(['*', ' ']) && !text.starts_with("/console");
    let routed: BTreeSet<&str> = shown.split('"').filter(is_api).collect();
    assert_eq!(documented, routed);
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
            let path = path.replace(['{', '}'], "");
            let came = stage.ask(&method.to_uppercase(), &path, None).await;
            assert!(came.status != 405 && came.json["type"] != "https://scopegate.dev/problems/unknown_route", "{method} {path}: {came:?}");
        }
    }
}

#[tokio::test]
async fn health_and_version_need_no_token_and_metrics_only_where_the_settings_say_so() {
    let stage = Stage::new().await;
    for path in ["/livez", "/readyz", "/version", "/metrics"] {
        assert_eq!(stage.send("GET", path, None, None).await.status, 200, "{path}");
    }
    assert_eq!(stage.send("GET", "/version", None, None).await.json["version"], env!("CARGO_PKG_VERSION"));
    let closed = stage.serve(router(AdminParts { metrics_access: MetricsAccess::Token, ..stage.parts.clone() })).await;
    assert_eq!(stage.browse("GET", &format!("{closed}/metrics"), &[]).await.status, 401);
    assert_eq!(stage.browse("GET", &format!("{closed}/metrics"), &[("authorization", &format!("Bearer {TOKEN}"))]).await.status, 200);
    assert_eq!(stage.browse("GET", &format!("{closed}/readyz"), &[]).await.status, 200);
}

#[tokio::test]
async fn a_process_that_is_about_to_end_is_not_ready() {
    let stage = Stage::new().await;
    let verbose = stage.send("GET", "/readyz?verbose", None, None).await;
    assert_eq!((verbose.status, &verbose.json["ready"]), (200, &json!(true)), "{verbose:?}");
    stage.parts.draining.cancel();
    let came = stage.send("GET", "/readyz", None, None).await;
    assert_eq!((came.status, came.header("retry-after")), (503, "1"));
    assert_eq!(stage.send("GET", "/readyz?verbose", None, None).await.json["accepting"], false);
    assert_eq!(stage.send("GET", "/livez", None, None).await.status, 200);
}

#[tokio::test]
async fn a_reload_changes_everything_or_nothing_and_what_was_rejected_is_visible() {
    let stage = Stage::new().await;
    let before = stage.must(200, "GET", "/v1/policies", None).await;
    assert!(before["files"][0].as_str().unwrap().ends_with("crm.yaml") && before["last_rejected"].is_null(), "{before}");

    stage.write_policy(&POLICY.replace("require: accounts:read", "require: acounts:read"));
    let rejected = stage.ask("POST", "/v1/policies/reload", None).await;
    rejected.is_problem(422);
    assert!(rejected.json["diagnostics"].to_string().contains("acounts:read"), "{rejected:?}");
    let after = stage.must(200, "GET", "/v1/policies", None).await;
    assert_eq!((&after["generation"], &after["hash"]), (&before["generation"], &before["hash"]));
    assert_eq!(after["last_rejected"]["diagnostics"], rejected.json["diagnostics"]);
    assert!(after["last_rejected"]["time"].is_string() && after["last_rejected"]["hash"] != after["hash"], "{after}");
    let verbose = stage.send("GET", "/readyz?verbose", None, None).await;
    assert_eq!((verbose.status, &verbose.json["policies"]["last_rejected"]["errors"]), (200, &json!(1)), "{verbose:?}");

    stage.write_policy(&POLICY.replace("Read accounts", "See accounts"));
    let reloaded = stage.must(200, "POST", "/v1/policies/reload", None).await;
    assert_eq!(reloaded["generation"], 2);
    assert!(reloaded["hash"] != before["hash"] && reloaded["last_rejected"].is_null(), "{reloaded}");
    stage.write_policy(POLICY);
    assert_eq!(stage.must(200, "POST", "/v1/policies/reload", None).await["hash"], before["hash"]);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_decided_and_why() {
    let stage = Stage::new().await;
    stage.connected("reader", "researcher", "api").await;
    stage.connected("narrow", "publisher", "api").await;
    let off = stage.account("off", "researcher").await;
    stage.must(200, "PATCH", &off, json!({"status": "disabled"})).await;
    let (get, patch) = ("/v1/accounts/7", "/v1/opportunities/7");
    for (who, method, target, decision, reason, operation) in [
        (json!({"role": "researcher"}), "GET", get, "allow", json!(null), json!("account.get")),
        (json!({"role": "researcher"}), "PATCH", patch, "deny", json!("role_lacks_scope"), json!("opportunity.update")),
        (json!({"role": "publisher", "granted": ["api"]}), "PATCH", patch, "deny", json!("consent_required"), json!("opportunity.update")),
        (json!({"role": "publisher", "granted": ["api", "write"]}), "PATCH", patch, "allow", json!(null), json!("opportunity.update")),
        (json!({"role": "researcher"}), "GET", "/v1/nothing", "deny", json!("unknown_operation"), json!(null)),
        (json!({"role": "researcher"}), "GET", "/v1/../x", "deny", json!("ambiguous_request"), json!(null)),
        (json!({"account": "reader"}), "GET", get, "allow", json!(null), json!("account.get")),
        (json!({"account": "narrow"}), "PATCH", patch, "deny", json!("consent_required"), json!("opportunity.update")),
        (json!({"account": "off"}), "GET", get, "deny", json!("unknown_account"), json!("account.get")),
    ] {
        let mut body = who.clone();
        body["connector"] = "crm".into();
        body["method"] = method.into();
        body["target"] = target.into();
        let came = stage.must(200, "POST", "/v1/decisions", body).await;
        assert_eq!((&came["decision"], &came["reason"], &came["operation"]), (&json!(decision), &reason, &operation), "{who} {method} {target}");
        assert!(came["required"].is_array() && came["missing"].is_array() && !came["explanation"].as_array().unwrap().is_empty(), "{came}");
    }
    let headers = json!({"X-Odd": "1", "Accept": "text/plain"});
    let body = json!({"connector": "crm", "role": "researcher", "method": "GET", "target": get, "headers": headers});
    assert_eq!(stage.must(200, "POST", "/v1/decisions", body).await["dropped_headers"], json!(["x-odd"]));
    for (who, status) in [
        (json!({}), 422),
        (json!({"role": "researcher", "account": "reader"}), 422),
        (json!({"role": "nosuch"}), 422),
        (json!({"account": "nobody"}), 404),
        (json!({"role": "researcher", "connector": "nosuch"}), 404),
    ] {
        let mut body = json!({"connector": "crm", "method": "GET", "target": get});
        body.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
        stage.ask("POST", "/v1/decisions", body).await.is_problem(status);
    }
}

#[tokio::test]
async fn events_are_found_by_each_filter_and_a_session_is_their_chain() {
    use crate::audit::{Event, Verdict};
    use scopegate_core::id::RequestId;
    use scopegate_core::refusal::Reason;
    let stage = Stage::new().await;
    let session = "run-1".parse().unwrap();
    let _ = stage.parts.sessions.bind(&session, &"acme".parse().unwrap()).await.unwrap();
    for number in 0..5_u8 {
        let draft = Event::draft(RequestId::from_bytes([number; 16]), stage.parts.clock.timestamp());
        let decision = if number % 2 == 0 { Verdict::Allow } else { Verdict::Deny };
        let (customer, connector) = (Some("acme".parse().unwrap()), Some("crm".parse().unwrap()));
        let (account, operation) = (Some(format!("agent_{number}").into()), Some("account.get".into()));
        let event = Event { session: Some(session.clone()), customer, connector, account, operation, decision, ..draft };
        stage.parts.audit.note(&event);
    }
    for (query, number) in [
        ("session=run-1", 5),
        ("decision=deny", 2),
        ("account=agent_3", 1),
        ("customer=globex", 0),
        ("connector=crm&operation=crm.account.get", 5),
        ("since=2020-01-01T00:00:00Z", 5),
        ("until=2020-01-01T00:00:00Z", 0),
    ] {
        let page = stage.must(200, "GET", &format!("/v1/audit?{query}"), None).await;
        assert_eq!(page["events"].as_array().unwrap().len(), number, "{query}: {page}");
    }
    let (mut seen, mut query) = (Vec::new(), "limit=2".to_owned());
    loop {
        let page = stage.must(200, "GET", &format!("/v1/audit?{query}"), None).await;
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["account"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["agent_4", "agent_3", "agent_2", "agent_1", "agent_0"]);
    let run = stage.must(200, "GET", "/v1/sessions/run-1", None).await;
    assert_eq!((&run["id"], &run["customer"], run["events"][0]["account"].as_str()), (&json!("run-1"), &json!("acme"), Some("agent_0")), "{run}");
    assert!(run["started_at"].is_string() && run["events"].as_array().unwrap().len() == 5, "{run}");
    assert!(run["truncated"].is_null(), "{run}");
    stage.ask("GET", "/v1/sessions/run-2", None).await.is_problem(404);

    // A session that the store has forgotten: the first request that somebody else made in it was refused for that.
    for (number, customer, reason) in [(6, "globex", Some(Reason::SessionCustomerMismatch)), (7, "acme", None)] {
        let draft = Event::draft(RequestId::from_bytes([number; 16]), stage.parts.clock.timestamp());
        let event = Event { session: Some("run-3".parse().unwrap()), customer: Some(customer.parse().unwrap()), reason, ..draft };
        stage.parts.audit.note(&event);
    }
    let run = stage.must(200, "GET", "/v1/sessions/run-3", None).await;
    assert_eq!((run["customer"].as_str(), run["events"].as_array().unwrap().len()), (Some("acme"), 2), "{run}");
}
