//! How a customer connects an account in a browser, and how an attempt fails.

use crate::stage::{Script, Stage, account_path, label};
use reqwest::Method;
use scopegate::practice::{Browser, Consent, Page, Verdict};
use serde_json::{Value, json};
use url::Url;

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

/// Our page and the provider's; where the browser is sent back to, not opened yet.
async fn to_callback(browser: &mut Browser, link: &str, identifier: &str, verdict: Verdict) -> Url {
    let ours = browser.open(link).await.unwrap();
    let theirs = browser.send(&ours).await.unwrap();
    browser.consent(&theirs, &Consent { who: label("acme", identifier), verdict }).await.unwrap()
}

async fn owner(stage: &Stage, identifier: &str) -> String {
    stage.call(Method::GET, "/crm/v1/opportunities/O-7", identifier).await.text("owner").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connecting_again_takes_effect_when_it_worked_and_for_all_that_share() {
    let stage = Stage::new().await;
    let link = begin(&stage, "user_1", "publisher").await;
    walk(&link, "first", Verdict::Allow).await;
    let shared = json!({"customer": "acme", "role": "researcher", "grant": {"shared_with": "user_1"}});
    stage.must(Method::PUT, &account_path("crm", "user_1_reads"), shared.clone()).await;
    let foreign = json!({"customer": "globex", "role": "researcher", "grant": {"shared_with": "user_1"}});
    assert_eq!(stage.ask(Method::PUT, &account_path("crm", "user_2"), foreign).await.0, 409, "never between customers");

    for verdict in [Verdict::Deny, Verdict::AllowOnly(Vec::new())] {
        walk(&begin(&stage, "user_1", "publisher").await, "second", verdict).await;
        assert_eq!([owner(&stage, "user_1").await, owner(&stage, "user_1_reads").await], ["acme/first", "acme/first"]);
    }
    // Begun and left lying, or brought back with a code that is worth nothing.
    let link = begin(&stage, "user_1", "publisher").await;
    let mut browser = Browser::new().unwrap();
    let callback = to_callback(&mut browser, &link, "second", Verdict::Allow).await;
    assert_eq!(owner(&stage, "user_1").await, "acme/first");
    let forged = callback.as_str().replace("code=", "code=forged-");
    assert_eq!(browser.open(&forged).await.unwrap().status, 502);
    assert_eq!(owner(&stage, "user_1").await, "acme/first");
    assert_eq!(stage.practice.provider().revoked(), [], "nor is anything revoked that could end it");

    walk(&begin(&stage, "user_1", "publisher").await, "second", Verdict::Allow).await;
    assert_eq!([owner(&stage, "user_1").await, owner(&stage, "user_1_reads").await], ["acme/second", "acme/second"]);
    let beyond = stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1_reads").await;
    assert_eq!((beyond.status, beyond.text("reason")), (403, "role_lacks_scope"), "each by its own role");
    assert_eq!(stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_of_it_is_what_the_account_says() {
    let stage = Stage::new().await;
    walk(&begin(&stage, "user_1", "publisher").await, "user_1", Verdict::AllowOnly(vec!["api".into()])).await;
    let account = stage.must(Method::GET, &account_path("crm", "user_1"), Value::Null).await;
    assert_eq!((&account["status"], &account["granted_assumed"]), (&json!("active"), &json!(false)), "{account}");
    assert_eq!(account["granted_scopes"], json!(["accounts:read", "activities:create", "opportunities:read"]), "{account}");
    let part = json!({"scopes": ["activities:create"]});
    let begun = stage.must(Method::POST, &format!("{}/authorizations", account_path("crm", "user_1")), part).await;
    assert_eq!(begun["requested_scopes"], json!(["api"]));
    let beyond = json!({"scopes": ["accounts:read"]});
    assert_eq!(stage.ask(Method::POST, &format!("{}/authorizations", account_path("crm", "user_1")), beyond).await.0, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_may_have_the_last_word_and_a_kill_does_not_take_it() {
    let mut stage = Stage::new().await;
    let path = account_path("crm", "user_1");
    stage.must(Method::PUT, &path, json!({"customer": "acme", "role": "publisher"})).await;
    let begun = stage.must(Method::POST, &format!("{path}/authorizations"), json!({"confirm": true})).await;
    let confirm = format!("{path}/authorizations/{}/confirm", begun["id"].as_str().unwrap());
    assert_eq!(stage.ask(Method::POST, &confirm, Value::Null).await.0, 404, "nothing waits yet");
    let page = walk(begun["authorization_url"].as_str().unwrap(), "user_1", Verdict::Allow).await;
    assert!(page.body.contains("Almost done"), "{}", page.body);
    stage.kill_and_restart().await;
    assert_eq!(stage.status("user_1").await, "pending");
    assert_eq!(stage.call(Method::GET, "/crm/v1/opportunities/O-7", "user_1").await.text("reason"), "consent_required");
    assert_eq!(stage.must(Method::POST, &confirm, Value::Null).await["status"], "active");
    assert_eq!(owner(&stage, "user_1").await, "acme/user_1");
    assert_eq!(stage.ask(Method::POST, &confirm, Value::Null).await.0, 404, "once");

    // An account that is deleted takes what waits for its confirmation along, here and at the provider.
    let path = account_path("crm", "user_2");
    stage.must(Method::PUT, &path, json!({"customer": "acme", "role": "publisher"})).await;
    let begun = stage.must(Method::POST, &format!("{path}/authorizations"), json!({"confirm": true})).await;
    walk(begun["authorization_url"].as_str().unwrap(), "user_2", Verdict::Allow).await;
    stage.must(Method::DELETE, &path, Value::Null).await;
    while stage.practice.provider().revoked().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.practice.provider().revoked(), [label("acme", "user_2")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_ends_where_the_settings_let_it() {
    let stage = Stage::with(Script { admin: ", return_to: [\"https://shop.example\"]".into(), ..Script::default() }).await;
    let path = account_path("crm", "user_1");
    stage.must(Method::PUT, &path, json!({"customer": "acme", "role": "publisher"})).await;
    let begin = async |return_to: &str| stage.ask(Method::POST, &format!("{path}/authorizations"), json!({"return_to": return_to})).await;
    for elsewhere in [
        "https://evil.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://shop.example:8443/",
        "http://shop.example/",
        "//shop.example/",
        "javascript:alert(1)",
    ] {
        assert_eq!(begin(elsewhere).await.0, 422, "{elsewhere}");
    }
    for (verdict, status) in [(Verdict::Deny, 200), (Verdict::Allow, 303)] {
        let (_, begun) = begin("https://shop.example/done?order=7").await;
        let mut browser = Browser::new().unwrap();
        let callback = to_callback(&mut browser, begun["authorization_url"].as_str().unwrap(), "user_1", verdict).await;
        let last = browser.open_here(callback.as_str()).await.unwrap();
        assert_eq!(last.status, status);
        match status {
            303 => assert_eq!(last.url.as_str(), "https://shop.example/done?order=7"),
            _ => assert!(last.body.contains(r#"href="https://shop.example/done?order=7""#), "{}", last.body),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_another_issuer_or_for_another_connector_is_not_taken() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider_origin();
    let codes = || stage.practice.provider().codes_spent();
    for (issuer, status, spent) in [("https://evil.example", 502, 0), ("not an issuer", 502, 0), (provider.as_str(), 200, 1)] {
        let link = begin(&stage, "user_1", "researcher").await;
        let mut browser = Browser::new().unwrap();
        let mut callback = to_callback(&mut browser, &link, "user_1", Verdict::Allow).await;
        callback.query_pairs_mut().append_pair("iss", issuer);
        assert_eq!((browser.open(callback.as_str()).await.unwrap().status, codes()), (status, spent), "{issuer}");
    }
    // The state of one connector, brought to the address of another: a mix-up, and the state is spent.
    let link = begin(&stage, "user_2", "researcher").await;
    let mut browser = Browser::new().unwrap();
    let callback = to_callback(&mut browser, &link, "user_2", Verdict::Allow).await;
    let elsewhere = callback.as_str().replace("/oauth/callback/crm", "/oauth/callback/slack");
    assert_eq!(browser.open(&elsewhere).await.unwrap().status, 400);
    assert_eq!((browser.open(callback.as_str()).await.unwrap().status, codes()), (400, 1));
    assert_eq!(stage.status("user_2").await, "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_was_taken_once_is_worth_nothing_under_another_state() {
    let stage = Stage::new().await;
    let mut browser = Browser::new().unwrap();
    let first = to_callback(&mut browser, &begin(&stage, "user_1", "researcher").await, "user_1", Verdict::Allow).await;
    let code = first.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    assert_eq!(browser.open(first.as_str()).await.unwrap().status, 200);
    assert_eq!(browser.open(first.as_str()).await.unwrap().status, 400);
    // A stolen code, put into one's own callback: the provider knows it as spent, and PKCE as another's.
    let second = to_callback(&mut browser, &begin(&stage, "user_2", "researcher").await, "user_2", Verdict::Allow).await;
    let own = second.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let injected = second.as_str().replace(&own, &code);
    assert_eq!(browser.open(&injected).await.unwrap().status, 502);
    assert_eq!((stage.practice.provider().codes_spent(), stage.status("user_2").await.as_str()), (1, "pending"));
}
