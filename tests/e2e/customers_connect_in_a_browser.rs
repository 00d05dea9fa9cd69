//! What a customer sees and does, in a real browser. Pictures of every page are kept in `target/tmp/pages`.

use crate::chromium::{Chromium, Customer, Focus, Shown};
use crate::stage::{POLICY, Script, Stage, account_path, label};
use reqwest::Method;
use scopegate::practice::{Browser, Consent, Verdict};
use serde_json::{Value, json};
use url::Url;

const ANNA: Customer = Customer::new("anna");
const BOB: Customer = Customer::new("bob");
const CONTINUE: &str = "Continue to Practice CRM";

/// Where an application wants its customers back.
const SHOP: &str = "https://shop.example";

async fn stage() -> Stage {
    Stage::with(Script { admin: ", return_to: [\"https://shop.example\"]".into(), ..Script::default() }).await
}

/// A link for an account that may not be there yet.
async fn link(stage: &Stage, identifier: &str, wish: Value) -> String {
    begin(stage, identifier, wish).await["authorization_url"].as_str().unwrap().to_owned()
}

async fn begin(stage: &Stage, identifier: &str, wish: Value) -> Value {
    let path = account_path("crm", identifier);
    stage.must(Method::PUT, &path, json!({"customer": "acme", "role": "publisher"})).await;
    stage.must(Method::POST, &format!("{path}/authorizations"), wish).await
}

/// From our page to the provider's.
fn on_to_provider(browser: &mut Chromium, customer: Customer, link: &str) -> Shown {
    assert_eq!(browser.open(customer, link).status, Some(200));
    browser.press(customer, CONTINUE)
}

fn says(page: &Shown, status: u16, parts: &[&str]) {
    assert_eq!(page.status, Some(status), "{page:?}");
    for part in parts {
        assert!(page.text.contains(part), "{part}: {page:?}");
    }
}

/// A callback as the provider would send it for the page that a customer is on there.
fn callback(stage: &Stage, providers_page: &Shown, rest: &str) -> String {
    let address = Url::parse(&providers_page.address).unwrap();
    let state = address.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    format!("http://{}/oauth/callback/crm?state={state}&{rest}", stage.admin)
}

/// What ten minutes do, at once.
fn all_links_and_attempts_are_over(stage: &Stage) {
    let store = rusqlite::Connection::open(stage.path("data/scopegate.db")).unwrap();
    let over = "UPDATE authorizations SET expires_at = 0, record = json_set(record, '$.expires_at', json_extract(record, '$.created_at'))";
    assert!(store.execute(over, []).unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_reads_what_is_asked_and_connects() {
    let (stage, mut browser) = (stage().await, Chromium::start());
    let address = link(&stage, "user_1", json!({})).await;
    let page = browser.open(ANNA, &address);
    says(&page, 200, &["publisher", "With your consent it can", "Log activities", "Change opportunities can do harm", "What stays impossible"]);
    assert_eq!(page.title, "Connect Practice CRM");
    browser.look(ANNA, "asks");
    let cookies = browser.cookies(ANNA);
    let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
    assert_eq!((cookie.name.as_str(), cookie.domain.as_str(), cookie.path.as_str()), ("__Host-scopegate-connect", "127.0.0.1", "/"));
    assert!(cookie.http_only && cookie.secure && cookie.same_site == "Lax", "{cookie:?}");

    let theirs = browser.press(ANNA, CONTINUE);
    assert!(theirs.address.starts_with(&stage.practice.provider_origin()), "{theirs:?}");
    browser.look(ANNA, "practice-provider");
    says(&browser.press(ANNA, "Allow"), 200, &["Connected", "You can close this page"]);
    browser.look(ANNA, "connected");
    let reply = stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1").await;
    assert_eq!((reply.status, reply.text("owner")), (200, "acme/visitor"));

    says(&browser.open(ANNA, &address), 400, &["This link leads nowhere", "Ask for a new one"]);
    browser.look(ANNA, "link-spent");
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyboard_is_enough_and_no_script_is_needed() {
    let (stage, mut browser) = (stage().await, Chromium::start());
    let plain = Customer::without_script("plain");
    browser.open(plain, &link(&stage, "user_1", json!({"return_to": format!("{SHOP}/done")})).await);
    let button = Focus { name: CONTINUE.into(), tag: "button".into(), visible: true };
    assert_eq!(browser.tab(plain), button);
    let theirs = browser.enter(plain);
    assert!(theirs.address.starts_with(&stage.practice.provider_origin()), "{theirs:?}");
    says(&browser.press(plain, "Deny"), 200, &["Not connected"]);
    assert_eq!(browser.tab(plain), Focus { name: "Go back".into(), tag: "a".into(), visible: true });

    on_to_provider(&mut browser, plain, &link(&stage, "user_1", json!({})).await);
    says(&browser.press(plain, "Allow"), 200, &["Connected"]);
    assert_eq!(stage.status("user_1").await, "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_may_agree_to_less_to_nothing_or_not_at_all() {
    let (stage, mut browser) = (stage().await, Chromium::start());
    on_to_provider(&mut browser, ANNA, &link(&stage, "less", json!({})).await);
    browser.untick(ANNA, "write");
    says(&browser.press(ANNA, "Allow"), 200, &["Connected", "You did not agree to everything", "Change opportunities"]);
    browser.look(ANNA, "less-than-asked");
    assert_eq!(stage.status("less").await, "active");

    on_to_provider(&mut browser, ANNA, &link(&stage, "nothing", json!({})).await);
    browser.untick(ANNA, "write");
    browser.untick(ANNA, "api");
    says(&browser.press(ANNA, "Allow"), 200, &["Not connected", "agreed to nothing"]);
    browser.look(ANNA, "nothing-granted");

    on_to_provider(&mut browser, ANNA, &link(&stage, "nothing", json!({"return_to": format!("{SHOP}/done")})).await);
    says(&browser.press(ANNA, "Deny"), 200, &["Not connected", "You said no", "Go back"]);
    browser.look(ANNA, "said-no");
    assert_eq!(stage.status("nothing").await, "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_application_may_want_the_customer_back_or_have_the_last_word() {
    let (stage, mut browser) = (stage().await, Chromium::start());
    on_to_provider(&mut browser, ANNA, &link(&stage, "back", json!({"return_to": format!("{SHOP}/done?order=7")})).await);
    assert_eq!(browser.leaves_by(ANNA, "Allow"), format!("{SHOP}/done?order=7"));
    assert_eq!(stage.status("back").await, "active");

    let begun = begin(&stage, "waits", json!({"confirm": true})).await;
    on_to_provider(&mut browser, BOB, begun["authorization_url"].as_str().unwrap());
    says(&browser.press(BOB, "Allow"), 200, &["Almost done", "has to confirm"]);
    browser.look(BOB, "waits-for-confirmation");
    assert_eq!(stage.status("waits").await, "pending");
    let confirm = format!("{}/authorizations/{}/confirm", account_path("crm", "waits"), begun["id"].as_str().unwrap());
    assert_eq!(stage.must(Method::POST, &confirm, Value::Null).await["status"], "active");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_by_a_wrong_way_is_told_the_right_one() {
    let (stage, mut browser) = (stage().await, Chromium::start());
    let (ours, pages) = (format!("http://{}", stage.admin), ["/connect/", "/oauth/callback"]);
    for path in pages {
        says(&browser.open(ANNA, &format!("{ours}{path}")), 404, &["This link leads nowhere", "open the whole link"]);
    }
    browser.look(ANNA, "no-page");
    says(&browser.open(ANNA, &format!("{ours}/connect/invented")), 400, &["This link leads nowhere"]);
    says(&browser.open(ANNA, &format!("{ours}/oauth/callback/crm?code=x&state=invented")), 400, &["This leads nowhere"]);
    browser.look(ANNA, "state-unknown");

    let address = link(&stage, "user_1", json!({})).await;
    let theirs = on_to_provider(&mut browser, ANNA, &link(&stage, "user_1", json!({})).await);
    all_links_and_attempts_are_over(&stage);
    says(&browser.open(ANNA, &address), 400, &["This link leads nowhere", "is over", "Ask for a new one"]);
    browser.look(ANNA, "link-over");
    says(&browser.open(ANNA, &callback(&stage, &theirs, "code=x")), 400, &["This leads nowhere", "came too late"]);

    let address = link(&stage, "user_1", json!({})).await;
    browser.open(ANNA, &address);
    browser.open(BOB, &address);
    says(&browser.press(ANNA, CONTINUE), 403, &["This was begun in another browser"]);
    browser.look(ANNA, "other-browser");
    let mut elsewhere = Browser::new().unwrap();
    let ours = elsewhere.open(&address).await.unwrap();
    let theirs = elsewhere.send(&ours).await.unwrap();
    let callback = elsewhere.consent(&theirs, &Consent { who: label("acme", "user_1"), verdict: Verdict::Allow }).await.unwrap();
    says(&browser.open(ANNA, callback.as_str()), 403, &["This was begun in another browser"]);
    assert_eq!((stage.practice.provider().codes_spent(), stage.status("user_1").await.as_str()), (0, "pending"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_told_in_words_that_say_who_can_help() {
    // A second API, which wants to be told a region in the callback, and whose document goes away.
    let desk = "  desk:\n    title: Practice Desk\n    upstream: http://127.0.0.1:1\n    headers: {X-Region: \"{region}\"}\n    \
        variables: {region: {from: callback, parameter: region, one_of: [eu]}}\n    \
        oauth: {authorization_url: \"http://PROVIDER/authorize\", token_url: \"http://PROVIDER/token\", client_auth: client_secret_post}\n    \
        scopes: {things: {provider_scopes: [api]}}\n    operations: [{id: thing, match: GET /thing, require: things}]\n";
    let role = "  clerk: {allow: {desk: [things]}}\n";
    let (stage, mut browser) = (Stage::with(Script { clients: &["desk"], ..Script::default() }).await, Chromium::start());
    let provider = stage.practice.provider_origin().replace("http://", "");
    let wider = POLICY.replace("roles:\n", &format!("{}roles:\n{role}", desk.replace("PROVIDER", &provider)));
    let reload = async |policy: &str| {
        std::fs::write(stage.path("policies/crm.yaml"), policy).unwrap();
        stage.must(Method::POST, "/v1/policies/reload", Value::Null).await;
    };
    reload(&wider).await;

    for (rest, status) in [("error=server_error", 502), ("code=invented", 502), ("code=a&iss=https%3A%2F%2Fevil.example", 502)] {
        let theirs = on_to_provider(&mut browser, ANNA, &link(&stage, "user_1", json!({})).await);
        says(&browser.open(ANNA, &callback(&stage, &theirs, rest)), status, &["Not connected", "no usable answer"]);
    }
    browser.look(ANNA, "provider-failed");
    assert_eq!(stage.practice.provider().codes_spent(), 0);

    let path = account_path("desk", "user_1");
    stage.must(Method::PUT, &path, json!({"customer": "acme", "role": "clerk"})).await;
    let begin =
        async || stage.must(Method::POST, &format!("{path}/authorizations"), json!({})).await["authorization_url"].as_str().unwrap().to_owned();
    browser.open(ANNA, &begin().await);
    browser.press(ANNA, "Continue to Practice Desk");
    says(&browser.press(ANNA, "Allow"), 502, &["Not connected", "is not one that may be connected here"]);
    browser.look(ANNA, "not-this-one");

    let address = begin().await;
    reload(POLICY).await;
    says(&browser.open(ANNA, &address), 500, &["This cannot be connected", "Tell whoever sent you"]);
    browser.look(ANNA, "not-set-up");
}
