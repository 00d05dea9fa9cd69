//! Silence denies, and a refusal says why in the words of the contract; nothing leaves.

use crate::raw;
use crate::stage::{POLICY, Script, Stage, account_path};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_allowed_is_refused_before_a_byte_leaves() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1_researcher", "researcher").await;
    stage.account("acme", "user_1_responder", "responder").await;
    stage.account_at("crm", "acme", "user_1_narrow", "publisher", "api").await;
    for (method, target, account, status, reason, title) in [
        ("GET", "/crm/v1/secrets", "user_1_researcher", 403, "unknown_operation", ""),
        ("DELETE", "/crm/v1/accounts/A-1", "user_1_researcher", 403, "unknown_operation", ""),
        ("HEAD", "/crm/v1/accounts/A-1", "user_1_researcher", 403, "", ""),
        ("GET", "/crm/v1/accounts/A-1/", "user_1_researcher", 403, "unknown_operation", ""),
        ("GET", "/crm/V1/accounts/A-1", "user_1_researcher", 403, "unknown_operation", ""),
        ("GET", "/erp/v1/accounts/A-1", "user_1_researcher", 404, "unknown_connector", ""),
        ("GET", "/crm/v1/accounts/A-1", "user_9", 401, "unknown_account", ""),
        ("GET", "/crm/v1/accounts/A-1", "sgh_invented", 401, "unknown_account", ""),
        ("PATCH", "/crm/v1/opportunities/O-7", "user_1_researcher", 403, "role_lacks_scope", "insufficient_scope: opportunities:write required"),
        ("GET", "/crm/v1/accounts/A-1", "user_1_responder", 403, "role_lacks_scope", "insufficient_scope: accounts:read required"),
        ("PATCH", "/crm/v1/opportunities/O-7", "user_1_narrow", 403, "consent_required", ""),
        ("GET", "/crm/v1/accounts/A-1?access_token=x", "user_1_researcher", 400, "ambiguous_request", ""),
        ("GET", "/crm/v1/accounts/A-1?_method=DELETE", "user_1_researcher", 400, "ambiguous_request", ""),
        ("GET", "/crm/v1/accounts/a%2Fb", "user_1_researcher", 400, "ambiguous_request", ""),
    ] {
        let reply = stage.call(Method::from_bytes(method.as_bytes()).unwrap(), target, account).await;
        assert_eq!((reply.status, reply.text("reason")), (status, reason), "{method} {target}");
        assert!(reply.decision.starts_with("deny;reason="), "{method} {target}: {}", reply.decision);
        assert!(!reply.request_id.is_empty(), "{method} {target}");
        if !title.is_empty() {
            assert_eq!(reply.text("title"), title, "{method} {target}");
        }
    }
    assert_eq!((stage.practice.api().bytes(), stage.practice.api().requests()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_of_scope_carries_the_challenge_and_stays_on_the_connection() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let head = |more: &str| format!("PATCH /crm/v1/opportunities/O-7 HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_1\r\n{more}\r\n", stage.gateway);
    let answers = raw::exchange(stage.gateway, format!("{}{}", head(""), head("Connection: close\r\n")).as_bytes()).await;
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert_eq!((answer.status, answer.reason()), (403, Some("role_lacks_scope")));
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"scopegate\", error=\"insufficient_scope\", scope=\"opportunities:write\"")
        );
        assert_eq!(answer.header("content-type"), Some("application/problem+json; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_two_readings_is_refused() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let good = format!("Host: {}\r\nScopegate-Account: user_1\r\nConnection: close\r\n", stage.gateway);
    for (name, head) in [
        ("two lengths", format!("GET /crm/v1/ping HTTP/1.1\r\n{good}Content-Length: 1\r\nContent-Length: 2\r\n\r\na")),
        ("length and chunks", format!("PUT /crm/v1/files/a HTTP/1.1\r\n{good}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("a folded header", format!("GET /crm/v1/ping HTTP/1.1\r\n{good}X-A: b\r\n c\r\n\r\n")),
        ("a blank before the colon", format!("GET /crm/v1/ping HTTP/1.1\r\n{good}X-A : b\r\n\r\n")),
        ("a bare line feed", format!("GET /crm/v1/ping HTTP/1.1\n{good}\r\n")),
        ("dot segments", format!("GET /crm/v1/x/../ping HTTP/1.1\r\n{good}\r\n")),
        ("encoded dot segments", format!("GET /crm/v1/x/%2e%2E/ping HTTP/1.1\r\n{good}\r\n")),
        ("two slashes", format!("GET /crm//v1/ping HTTP/1.1\r\n{good}\r\n")),
        ("a backslash", format!("GET /crm\\v1/ping HTTP/1.1\r\n{good}\r\n")),
        ("a path parameter", format!("GET /crm/v1/ping;a=b HTTP/1.1\r\n{good}\r\n")),
        ("absolute form", format!("GET http://x/crm/v1/ping HTTP/1.1\r\n{good}\r\n")),
        ("an override header", format!("GET /crm/v1/ping HTTP/1.1\r\n{good}X-HTTP-Method-Override: DELETE\r\n\r\n")),
        ("two identifiers", format!("GET /crm/v1/ping HTTP/1.1\r\n{good}Scopegate-Account: user_1\r\n\r\n")),
        ("an underscore twin", format!("GET /crm/v1/ping HTTP/1.1\r\n{good}Scopegate_Account: user_2\r\n\r\n")),
        ("no version", "GET /crm/v1/ping\r\n\r\n".to_owned()),
    ] {
        let answers = raw::exchange(stage.gateway, head.as_bytes()).await;
        let refused = answers.first().map(|answer| (answer.status, answer.reason().unwrap_or_default().starts_with("ambiguous_")));
        assert_eq!((answers.len(), refused), (1, Some((400, true))), "{name}: {answers:?}");
    }
    assert_eq!(stage.practice.api().bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_could_do_it_is_told_only_where_the_policy_says_so() {
    for (told, delegates) in [("", json!(null)), ("disclose_delegates: true\n", json!(["user_1_publisher"]))] {
        let stage = Stage::with(Script { policy: format!("{POLICY}{told}"), ..Script::default() }).await;
        for (customer, identifier, role, granted) in [
            ("acme", "user_1_researcher", "researcher", "api write"),
            ("acme", "user_1_publisher", "publisher", "api write"),
            ("acme", "user_1_narrow", "publisher", "api"),
            ("acme", "user_1_off", "publisher", "api write"),
            ("globex", "user_2_publisher", "publisher", "api write"),
        ] {
            stage.account_at("crm", customer, identifier, role, granted).await;
        }
        stage.must(Method::PATCH, &account_path("crm", "user_1_off"), json!({"status": "disabled"})).await;
        let reply = stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1_researcher").await;
        assert_eq!((reply.status, &reply.body["delegates"]), (403, &delegates), "{}", reply.body);
        assert_eq!(reply.text("detail").contains("delegate to user_1_publisher"), !told.is_empty(), "{}", reply.body);
    }
}
