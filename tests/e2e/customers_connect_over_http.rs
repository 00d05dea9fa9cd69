//! How a customer connects an account in a browser, and how an attempt fails.

use crate::stage::{Stage, account_path, label};
use reqwest::Method;
use scopegate::practice::{Browser, Consent, Page, Verdict};
use serde_json::{Value, json};

async fn begin(stage: &Stage, identifier: &str, role: &str) -> String {
    stage.must(Method::PUT, &account_path("crm", identifier), json!({"customer": "acme", "role": role})).await;
    let begun = stage.must(Method::POST, &format!("{}/authorizations", account_path("crm", identifier)), json!({})).await;
    begun["authorization_url"].as_str().unwrap().to_owned()
}

async fn walk(link: &str, identifier: &str, verdict: Verdict) -> Page {
    Browser::new().unwrap().connect(link, &Consent { who: label("acme", identifier), verdict }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_works_from_the_moment_its_customer_consents() {
    let stage = Stage::new().await;
    let link = begin(&stage, "user_1", "publisher").await;
    let before = stage.call(Method::GET, "/crm/v1/opportunities/O-7", "user_1").await;
    assert_eq!((before.status, before.text("reason")), (403, "consent_required"));
    let page = walk(&link, "user_1", Verdict::Allow).await;
    assert_eq!((page.status, stage.status("user_1").await.as_str()), (200, "active"), "{}", page.body);
    let after = stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1").await;
    assert_eq!((after.status, after.text("owner")), (200, "acme/user_1"));
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_may_grant_less_or_say_no() {
    let stage = Stage::new().await;
    let link = begin(&stage, "user_1", "publisher").await;
    walk(&link, "user_1", Verdict::AllowOnly(vec!["api".into()])).await;
    assert_eq!(stage.call(Method::GET, "/crm/v1/opportunities/O-7", "user_1").await.status, 200);
    let beyond = stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1").await;
    assert_eq!((beyond.status, beyond.text("reason")), (403, "consent_required"));
    let link = begin(&stage, "user_2", "publisher").await;
    let page = walk(&link, "user_2", Verdict::Deny).await;
    assert_eq!((page.status, stage.status("user_2").await.as_str()), (200, "pending"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_a_state_and_a_browser_are_good_once_and_together() {
    let stage = Stage::new().await;
    let link = begin(&stage, "user_1", "researcher").await;
    let mut browser = Browser::new().unwrap();
    let ours = browser.open(&link).await.unwrap();
    let theirs = browser.send(&ours).await.unwrap();
    let callback = browser.consent(&theirs, &Consent { who: label("acme", "user_1"), verdict: Verdict::Allow }).await.unwrap();
    let mut stranger = Browser::new().unwrap();
    assert_eq!(stranger.open(callback.as_str()).await.unwrap().status, 403, "another browser cannot finish it");
    assert_eq!(browser.open(callback.as_str()).await.unwrap().status, 400, "and its try has spent the state");
    assert_eq!((stage.practice.provider().codes_spent(), stage.status("user_1").await.as_str()), (0, "pending"));

    let link = begin(&stage, "user_1", "researcher").await;
    walk(&link, "user_1", Verdict::Allow).await;
    assert_eq!(stage.status("user_1").await, "active");
    let again = stranger.open(&link).await.unwrap();
    let sent = stranger.send(&again).await.map(|page| page.url.origin().ascii_serialization());
    assert_ne!(sent.ok(), Some(stage.practice.provider_origin()), "a link that was used leads nowhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_account_is_revoked_at_the_provider_too() {
    let stage = Stage::new().await;
    let link = begin(&stage, "user_1", "researcher").await;
    walk(&link, "user_1", Verdict::Allow).await;
    stage.must(Method::POST, &format!("{}/revoke", account_path("crm", "user_1")), Value::Null).await;
    assert_eq!(stage.practice.provider().revoked(), [label("acme", "user_1")]);
    let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    assert_eq!((reply.status, reply.text("reason")), (403, "reauthorization_required"));
}
