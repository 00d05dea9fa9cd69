//! The console of operators, in a real browser. Pictures of every page are kept in `target/tmp/pages`.

use crate::chromium::{Chromium, Customer, Shown};
use crate::stage::{ADMIN_TOKEN, Stage};
use reqwest::Method;
use serde_json::Value;

const OPERATOR: Customer = Customer::new("operator");
const STRANGER: Customer = Customer::new("stranger");
const PLAIN: Customer = Customer::without_script("plain");

fn says(page: &Shown, status: u16, parts: &[&str]) {
    assert_eq!(page.status, Some(status), "{page:?}");
    for part in parts {
        assert!(page.text.contains(part), "{part}: {page:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_signs_in_looks_around_and_signs_out() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("globex", "user_2", "researcher").await;
    stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_2").await;
    let mut browser = Chromium::start();
    let console = format!("http://{}/console", stage.admin);

    let page = browser.open(OPERATOR, &console);
    says(&page, 200, &["Sign in"]);
    browser.look(OPERATOR, "console-sign-in");
    browser.fill(OPERATOR, "token", "not the token");
    says(&browser.press(OPERATOR, "Sign in"), 401, &["not the admin token"]);
    browser.look(OPERATOR, "console-wrong-token");
    browser.fill(OPERATOR, "token", ADMIN_TOKEN);
    let page = browser.press(OPERATOR, "Sign in");
    says(&page, 200, &["Overview", "Health", "Generation", "user_1", "role_lacks_scope"]);
    assert!(!page.text.contains("sgh_") && !page.text.contains(ADMIN_TOKEN));
    browser.look(OPERATOR, "console-overview");
    let cookies = browser.cookies(OPERATOR);
    let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
    assert_eq!((cookie.name.as_str(), cookie.path.as_str(), cookie.same_site.as_str()), ("__Host-scopegate-console", "/", "Strict"));
    assert!(cookie.http_only && cookie.secure, "{cookie:?}");

    says(&browser.press(OPERATOR, "Accounts"), 200, &["acme", "globex", "active"]);
    browser.look(OPERATOR, "console-accounts");
    browser.fill(OPERATOR, "customer", "globex");
    let page = browser.press(OPERATOR, "Search");
    says(&page, 200, &["user_2"]);
    assert!(!page.text.contains("user_1"), "{page:?}");
    says(&browser.press(OPERATOR, "user_2"), 200, &["Decisions", "opportunity.update", "role_lacks_scope"]);
    browser.look(OPERATOR, "console-decisions");

    // an edit of the policies that was rejected is seen by whoever looks
    std::fs::write(stage.path("policies/crm.yaml"), "version: 1\nroles: {a: {extends: a}}\n").unwrap();
    assert_eq!(stage.ask(Method::POST, "/v1/policies/reload", Value::Null).await.0, 422);
    says(&browser.press(OPERATOR, "Overview"), 200, &["The last edit of the policies was rejected", "crm.yaml:2"]);
    browser.look(OPERATOR, "console-rejected-edit");

    // what one browser was given is nothing to another, and nothing to anybody after signing out
    for place in ["", "/accounts", "/audit?account=user_1"] {
        let page = browser.open(STRANGER, &format!("{console}{place}"));
        says(&page, 200, &["Sign in"]);
        assert!(!page.text.contains("user_1") && !page.text.contains("acme"), "{page:?}");
    }
    says(&browser.press(OPERATOR, "Sign out"), 200, &["Admin token"]);
    says(&browser.open(OPERATOR, &format!("{console}/accounts")), 200, &["Admin token"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyboard_is_enough_for_the_console_and_no_script_is_needed() {
    let stage = Stage::new().await;
    let mut browser = Chromium::start();
    browser.open(PLAIN, &format!("http://{}/console", stage.admin));
    browser.fill(PLAIN, "token", ADMIN_TOKEN);
    says(&browser.enter(PLAIN), 200, &["Overview"]);
    let reached: Vec<String> =
        (0..4).map(|_| browser.tab(PLAIN)).inspect(|focus| assert!(focus.visible, "{focus:?}")).map(|focus| focus.name).collect();
    assert_eq!(reached, ["Overview", "Accounts", "Decisions", "Sign out"]);
}
