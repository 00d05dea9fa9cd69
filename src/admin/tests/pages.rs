//! How a customer connects an account, and how an attempt fails.

use super::*;
use crate::practice::{Consent, Verdict};

async fn begin(stage: &Stage, path: &str, body: Value) -> Value {
    stage.must(201, "POST", &format!("{path}/authorizations"), body).await
}

fn address(authorization: &Value) -> &str {
    authorization["authorization_url"].as_str().unwrap()
}

fn says(identifier: &str, verdict: Verdict) -> Consent {
    Consent { who: label(identifier), verdict }
}

/// Our page, the provider's page; the address of the callback, not opened yet.
async fn to_callback(browser: &mut Browser, authorization: &Value, consent: &Consent) -> String {
    let ours = browser.open(address(authorization)).await.unwrap();
    let theirs = browser.send(&ours).await.unwrap();
    browser.consent(&theirs, consent).await.unwrap().into()
}

#[tokio::test]
async fn an_authorization_says_where_to_go_until_when_and_what_is_asked() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "publisher").await;
    let begun = begin(&stage, &path, json!({})).await;
    assert!(address(&begun).starts_with(&format!("{}/connect/", stage.origin)), "{begun}");
    assert_eq!(begun["requested_scopes"], json!(["api", "write"]), "{begun}");
    assert!(begun["id"].is_string() && begun["expires_at"].as_str().unwrap().ends_with('Z'), "{begun}");
    assert_eq!(begin(&stage, &path, json!({"scopes": ["opportunities:read"]})).await["requested_scopes"], json!(["api"]));
    for body in [
        json!({"scopes": ["accounts:read"]}),
        json!({"scopes": []}),
        json!({"return_to": "https://evil.example/"}),
        json!({"return_to": "https://shop.example.evil.example/"}),
        json!({"return_to": "https://shop.example@evil.example/"}),
        json!({"return_to": "http://shop.example/"}),
        json!({"return_to": "//shop.example/"}),
        json!({"return_to": "javascript:alert(1)"}),
    ] {
        stage.ask("POST", &format!("{path}/authorizations"), body).await.is_problem(422);
    }
    stage.ask("POST", "/v1/connectors/crm/accounts/nobody/authorizations", json!({})).await.is_problem(404);
    stage.must(201, "PUT", "/v1/connectors/keys/accounts/k", json!({"customer": "acme", "role": "researcher"})).await;
    stage.ask("POST", "/v1/connectors/keys/accounts/k/authorizations", json!({})).await.is_problem(409);
}

#[tokio::test]
async fn a_customer_connects_an_account() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "publisher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let mut browser = Browser::new().unwrap();
    let last = browser.connect(address(&begun), &says("agent", Verdict::Allow)).await.unwrap();
    assert_eq!((last.status, last.body.contains("<h1>Connected</h1>")), (200, true), "{last:?}");
    assert_eq!(stage.status(&path).await, "active");
    for secret in stage.practice.provider().secrets() {
        assert!(!last.body.contains(&secret), "{last:?}");
    }
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

#[tokio::test]
async fn the_page_says_what_is_asked_in_the_authors_words_and_runs_no_script() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "publisher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let page = stage.browse("GET", address(&begun), &[]).await;
    for part in ["Connect Practice CRM", "publisher", "Change &#60;opportunities&#62;", "Read accounts"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("<script") && !page.text.contains("<opportunities>") && !page.text.contains("acme"), "{}", page.text);
    let policy = page.header("content-security-policy");
    for part in ["default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self' https:"] {
        assert!(policy.contains(part), "{policy}");
    }
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let cookie = page.header("set-cookie");
    for part in ["__Host-scopegate-connect=", "; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
}

#[tokio::test]
async fn a_customers_no_and_nothing_granted_leave_the_account_pending() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "publisher").await;
    for verdict in [Verdict::Deny, Verdict::AllowOnly(Vec::new())] {
        let begun = begin(&stage, &path, json!({"return_to": "https://shop.example/done"})).await;
        let last = Browser::new().unwrap().connect(address(&begun), &says("agent", verdict.clone())).await.unwrap();
        assert_eq!((last.status, last.body.contains("Not connected")), (200, true), "{verdict:?} {last:?}");
        assert!(last.body.contains(r#"href="https://shop.example/done""#), "{last:?}");
        assert_eq!(stage.status(&path).await, "pending");
    }
}

#[tokio::test]
async fn fewer_scopes_than_asked_connect_and_the_page_says_what_stays_impossible() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "publisher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let last = Browser::new().unwrap().connect(address(&begun), &says("agent", Verdict::AllowOnly(vec!["api".into()]))).await.unwrap();
    assert!(last.body.contains("stays impossible") && last.body.contains("Change &#60;opportunities&#62;"), "{last:?}");
    assert_eq!(stage.status(&path).await, "active");
}

#[tokio::test]
async fn a_link_and_a_callback_work_once() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let mut browser = Browser::new().unwrap();
    let callback = to_callback(&mut browser, &begun, &says("agent", Verdict::Allow)).await;
    assert_eq!(browser.open(&callback).await.unwrap().status, 200);
    let spent = stage.practice.provider().codes_spent();
    assert_eq!(browser.open(&callback).await.unwrap().status, 400);
    assert_eq!(browser.open(address(&begun)).await.unwrap().status, 400);
    assert_eq!(stage.practice.provider().codes_spent(), spent);
    assert_eq!(stage.status(&path).await, "active");
}

#[tokio::test]
async fn whoever_begins_has_to_finish() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let (mut first, mut second) = (Browser::new().unwrap(), Browser::new().unwrap());
    let callback = to_callback(&mut first, &begun, &says("agent", Verdict::Allow)).await;
    let spent = stage.practice.provider().codes_spent();
    assert_eq!(second.open(&callback).await.unwrap().status, 403);
    assert_eq!(first.open(&callback).await.unwrap().status, 400);
    assert_eq!((stage.practice.provider().codes_spent(), stage.status(&path).await.as_str()), (spent, "pending"));

    let begun = begin(&stage, &path, json!({})).await;
    let page = first.open(address(&begun)).await.unwrap();
    second.open(address(&begun)).await.unwrap();
    assert_eq!(first.send(&page).await.unwrap().status, 403);
}

#[tokio::test]
async fn a_form_counts_from_no_page_of_another_origin() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let page = stage.browse("GET", address(&begun), &[]).await;
    let cookie = page.header("set-cookie").split(';').next().unwrap();
    let action = Url::parse(address(&begun)).unwrap().path().to_owned();
    assert!(page.text.contains(&format!(r#"<form method="post" action="{action}">"#)), "{}", page.text);
    for headers in [
        vec![],
        vec![("cookie", cookie), ("origin", "null")],
        vec![("cookie", cookie), ("origin", "https://evil.example")],
        vec![("origin", stage.origin.as_str())],
    ] {
        let came = stage.browse("POST", address(&begun), &headers).await;
        assert_eq!((came.status, came.header("location")), (403, ""), "{headers:?}");
    }
    for headers in [vec![("cookie", cookie), ("origin", &stage.origin)], vec![("cookie", cookie)]] {
        let begun = begin(&stage, &path, json!({})).await;
        stage.browse("GET", address(&begun), &headers).await;
        let came = stage.browse("POST", address(&begun), &headers).await;
        assert_eq!(came.status, 303, "{headers:?}");
        assert!(came.header("location").starts_with(&stage.practice.provider_origin()), "{came:?}");
    }
}

#[tokio::test]
async fn a_form_counts_from_each_origin_that_our_pages_are_on() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let parts = AdminParts { own_origins: vec!["https://pages.example".into()], ..stage.parts.clone() };
    let link = address(&begun).replace(&stage.origin, &stage.serve(public_router(parts)).await);
    let page = stage.browse("GET", &link, &[]).await;
    let cookie = page.header("set-cookie").split(';').next().unwrap();
    for (origin, status) in [("https://pages.example.evil.example", 403), ("http://pages.example", 403), ("https://pages.example", 303)] {
        assert_eq!(stage.browse("POST", &link, &[("cookie", cookie), ("origin", origin)]).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn an_invented_link_or_state_leads_nowhere_and_is_not_repeated_on_the_page() {
    let stage = Stage::new().await;
    for address in [
        "/connect/nonsense",
        "/oauth/callback/crm",
        "/oauth/callback/crm?code=x&state=AAAAAAAAAAAAAAAAAAAAAAAA",
        "/oauth/callback/crm?state=x&error=%3Cscript%3Ealert(1)%3C/script%3E",
        "/oauth/callback/nosuch?code=x&state=y",
        "/oauth/callback/%3Cscript%3E?code=x&state=y",
    ] {
        let page = stage.browse("GET", &format!("{}{address}", stage.origin), &[]).await;
        assert_eq!(page.status, 400, "{address}");
        assert!(page.text.contains("role=\"alert\"") && !page.text.contains("script"), "{address}: {}", page.text);
    }
}

#[tokio::test]
async fn a_walk_returns_to_the_application() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let begun = begin(&stage, &path, json!({"return_to": "https://shop.example/done?order=7"})).await;
    let mut browser = Browser::new().unwrap();
    let callback = to_callback(&mut browser, &begun, &says("agent", Verdict::Allow)).await;
    let last: Page = browser.open_here(&callback).await.unwrap();
    assert_eq!((last.status, last.url.as_str()), (303, "https://shop.example/done?order=7"));
    assert_eq!(stage.status(&path).await, "active");
}

#[tokio::test]
async fn an_application_may_have_the_last_word() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let begun = begin(&stage, &path, json!({"confirm": true})).await;
    let confirm = format!("{path}/authorizations/{}/confirm", begun["id"].as_str().unwrap());
    stage.ask("POST", &confirm, None).await.is_problem(404);
    let last = Browser::new().unwrap().connect(address(&begun), &says("agent", Verdict::Allow)).await.unwrap();
    assert!(last.body.contains("Almost done"), "{last:?}");
    assert_eq!(stage.status(&path).await, "pending");
    let other = stage.account("other", "researcher").await;
    stage.ask("POST", &confirm.replace(&path, &other), None).await.is_problem(404);
    assert_eq!(stage.must(200, "POST", &confirm, None).await["status"], "active");
    stage.ask("POST", &confirm, None).await.is_problem(404);
    stage.ask("POST", &format!("{path}/authorizations/nonsense/confirm"), None).await.is_problem(404);
}

#[tokio::test]
async fn the_customers_pages_can_live_on_an_address_of_their_own() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    let begun = begin(&stage, &path, json!({})).await;
    let public = stage.serve(public_router(stage.parts.clone())).await;
    let there = address(&begun).replace(&stage.origin, &public);
    assert_eq!(stage.browse("GET", &there, &[]).await.status, 200);
    for path in ["/v1/accounts", "/v1/openapi.json", "/console", "/metrics", "/readyz", "/"] {
        let came = stage.browse("GET", &format!("{public}{path}"), &[("authorization", &format!("Bearer {TOKEN}"))]).await;
        came.is_problem(404);
    }
}
