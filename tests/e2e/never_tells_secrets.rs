//! A canary run: every token, key, code and handle is looked for wherever somebody could read it.

use crate::raw;
use crate::stage::{ADMIN_TOKEN, CLIENT_SECRET, Script, Stage, account_path, label};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use reqwest::Method;
use scopegate::practice::{Browser, Consent, Fault, Verdict, Whose};
use serde_json::{Value, json};
use std::path::Path;

const CALLER_KEY: &str = "e2e-caller-key-0c9f4e77b1";
const BROUGHT_KEY: &str = "e2e-brought-access-51f0cc2ab9";

/// How a secret may be written: as it is, in hex, percent-encoded, and in base64 at each of the three offsets.
fn writings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex = hex::encode(bytes);
    let percent = |digits: &str| digits.as_bytes().chunks(2).map(|pair| format!("%{}", std::str::from_utf8(pair).unwrap())).collect::<String>();
    let mut found = vec![secret.to_owned(), percent(&hex), percent(&hex.to_uppercase()), hex.to_uppercase(), hex];
    for before in 0..3 {
        // Only the groups of four that depend on nothing but the secret.
        let padded = [&vec![0; before][..], bytes].concat();
        let first = before.div_ceil(3) * 4;
        let last = padded.len() / 3 * 4;
        for engine in [STANDARD, URL_SAFE] {
            found.push(engine.encode(&padded)[first..last].to_owned());
        }
    }
    found.into_iter().map(String::into_bytes).collect()
}

fn assert_silent(place: &str, text: &[u8], secrets: &[String]) {
    for secret in secrets {
        for writing in writings(secret) {
            let found = memchr::memmem::find(text, &writing);
            assert_eq!(found, None, "{place} tells {secret} as {}", String::from_utf8_lossy(&writing));
        }
    }
}

/// Bodies and headers of everything that the gateway has answered.
#[derive(Default)]
struct Heard(Vec<u8>);

impl Heard {
    async fn send(&mut self, request: reqwest::RequestBuilder) -> u16 {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        self.0.extend_from_slice(format!("{:?}", answer.headers()).as_bytes());
        self.0.extend_from_slice(&answer.bytes().await.unwrap());
        status
    }
}

async fn live(stage: &Stage, heard: &mut Heard) -> Vec<String> {
    let provider = stage.practice.provider();
    // Connected by a walk, refreshed, refused, failing, brought, revoked.
    stage.must(Method::PUT, &account_path("crm", "user_1"), json!({"customer": "acme", "role": "researcher"})).await;
    let begun = stage.must(Method::POST, &format!("{}/authorizations", account_path("crm", "user_1")), json!({})).await;
    let link = begun["authorization_url"].as_str().unwrap().to_owned();
    let mut browser = Browser::new().unwrap();
    let page = browser.connect(&link, &Consent { who: label("acme", "user_1"), verdict: Verdict::Allow }).await.unwrap();
    heard.0.extend_from_slice(page.body.as_bytes());
    let handle = stage.handle("crm", "user_1").await;
    for account in ["user_1", &handle] {
        let request = stage.request(Method::GET, "/crm/v1/accounts/A-1", account).header("Scopegate-Authorization", format!("Bearer {CALLER_KEY}"));
        assert_eq!(heard.send(request).await, 200);
    }
    for fault in [Fault::Garbage, Fault::ErrorIn200, Fault::LostAnswer] {
        let label = label("acme", "user_1");
        provider.fault(Whose::Of(label.clone()), fault);
        provider.expire(&label);
        heard.send(stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_1")).await;
    }
    let gone = stage.account("acme", "user_2", "researcher").await;
    provider.withdraw(&gone);
    heard.send(stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_2")).await;
    stage.must(Method::PUT, &account_path("crm", "user_3"), json!({"customer": "acme", "role": "researcher"})).await;
    let brought = json!({"access_token": BROUGHT_KEY, "scope": "api"});
    stage.must(Method::PUT, &format!("{}/credentials", account_path("crm", "user_3")), brought).await;
    heard.send(stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_3")).await;
    stage.account("acme", "user_4", "publisher").await;
    stage.must(Method::POST, &format!("{}/refresh", account_path("crm", "user_4")), Value::Null).await;
    stage.must(Method::POST, &format!("{}/revoke", account_path("crm", "user_4")), Value::Null).await;
    // A secret where it does not belong: in the query, in the path, in a head that cannot be read.
    let token = provider.secrets().first().cloned().unwrap();
    heard.send(stage.request(Method::GET, &format!("/crm/v1/accounts/A-1?access_token={token}"), "user_1")).await;
    heard.send(stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_1").header("Scopegate-Authorization", "Bearer not-the-key")).await;
    for answer in raw::exchange(stage.gateway, format!("GET /crm/v1/ping HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n").as_bytes()).await {
        heard.0.extend_from_slice(&answer.body);
    }
    let (_, accepted) = stage.ask(Method::PUT, &format!("{}/credentials", account_path("crm", "user_3")), json!({"access_token": [token]})).await;
    heard.0.extend_from_slice(accepted.to_string().as_bytes());
    vec![handle]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told_by_logs_audit_metrics_answers_or_files() {
    let sha256 = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, CALLER_KEY.as_bytes()));
    let settings = format!(
        "limits: {{requests_per_account: none}}\ncallers:\n  - {{network: loopback}}\n  - {{api_key: {{name: crew, sha256: \"{sha256}\", customers: [acme]}}}}\n"
    );
    let mut stage = Stage::with(Script { settings, log: "trace", ..Script::default() }).await;
    let mut heard = Heard::default();
    let mut secrets = live(&stage, &mut heard).await;
    for path in ["/v1/accounts", "/v1/audit", "/v1/policies", "/v1/openapi.json", "/metrics", "/readyz?verbose", "/version"] {
        let (status, body) = stage.ask(Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}");
        heard.0.extend_from_slice(body.to_string().as_bytes());
    }
    secrets.extend(stage.practice.provider().secrets());
    secrets.extend([ADMIN_TOKEN, CLIENT_SECRET, CALLER_KEY, BROUGHT_KEY].map(str::to_owned));
    let kek = std::fs::read_to_string(stage.path("kek-1")).unwrap();
    secrets.push(kek.trim().to_owned());
    // The store as it is while the gateway runs, its write-ahead log included, and as it is afterwards.
    let running = files(&stage.path("data"));
    assert!(running.iter().any(|(name, _)| name.ends_with("-wal")), "{:?}", running.iter().map(|(name, _)| name).collect::<Vec<_>>());
    assert!(stage.stop().success());
    for (name, bytes) in running.iter().chain(&files(&stage.path("data"))) {
        assert_silent(name, bytes, &secrets);
    }
    assert!(stage.log().contains("TRACE"), "the log was to be at its most talkative");
    assert_silent("the log", stage.log().as_bytes(), &secrets);
    assert_silent("an answer", &heard.0, &secrets);
}

/// The names and bytes of all files below.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    found
}

#[test]
fn this_search_finds_a_secret_however_it_is_written() {
    let secret = "practice-access-Ab1_-xyz";
    for before in ["", "x", "xy", "xyz"] {
        let text = format!("{before}{secret} and more");
        for written in [text.clone(), STANDARD.encode(&text), URL_SAFE.encode(&text), hex::encode(&text)] {
            let found = writings(secret).iter().any(|writing| memchr::memmem::find(written.as_bytes(), writing).is_some());
            assert!(found, "{written}");
        }
    }
}
