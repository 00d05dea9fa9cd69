//! A canary run: everything that may stand nowhere is looked for wherever somebody could read it.

use crate::canary::{Place, Secret, assert_findable, found};
use crate::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM, field, fields, frame, preface};
use crate::raw;
use crate::stage::{ADMIN_TOKEN, CLIENT_SECRET, Script, Stage, account_path, label, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use rusqlite::types::ValueRef;
use scopegate::practice::{Browser, Consent, Fault, Verdict, Whose};
use serde_json::{Value, json};
use std::path::Path;

const CALLER_KEY: &str = "e2e-caller-key-0c9f4e77b1";
const BROUGHT_TOKEN: &str = "e2e+brought/access=51f0cc2ab9~";
const BROUGHT_REFRESH: &str = "e2e+brought/refresh=77aa01d3c4~";
const BROUGHT_KEY: &str = "e2e-brought-api-key-2f6b90e8d1";
const PASSWORD: &str = "e2e-brought-password-8c1d77f402";
const QUERY: &str = "e2e-query-value-3b8e5f9c60";
const BODY: &str = "e2e-body-of-a-request-6d0f24a1b7";
const AUTHORIZATION: &str = "e2e-agents-authorization-e13c5a";
const COOKIE: &str = "e2e-agents-cookie-90b7d2f4a8";

/// Bodies and headers of everything that was answered.
#[derive(Default)]
struct Heard {
    gateway: Vec<u8>,
    admin: Vec<u8>,
    pages: Vec<u8>,
}

impl Heard {
    /// A call through the gateway, whose answer is kept.
    async fn call(&mut self, request: reqwest::RequestBuilder) -> u16 {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        self.gateway.extend_from_slice(format!("{status} {:?}\n", answer.headers()).as_bytes());
        self.gateway.extend_from_slice(&answer.bytes().await.unwrap());
        status
    }

    /// A page for a browser.
    async fn page(&mut self, request: reqwest::RequestBuilder) {
        let answer = request.send().await.unwrap();
        self.pages.extend_from_slice(format!("{:?}\n", answer.headers()).as_bytes());
        self.pages.extend_from_slice(&answer.bytes().await.unwrap());
    }

    /// A call of the admin API, whose answer is kept; its status.
    async fn ask(&mut self, stage: &Stage, method: Method, path: &str, body: Value) -> u16 {
        self.ask_with(stage, method, path, if body.is_null() { String::new() } else { body.to_string() }).await
    }

    async fn ask_with(&mut self, stage: &Stage, method: Method, path: &str, body: String) -> u16 {
        let request = stage.http.request(method, format!("http://{}{path}", stage.admin)).bearer_auth(ADMIN_TOKEN);
        let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        self.admin.extend_from_slice(format!("{status} {:?}\n", answer.headers()).as_bytes());
        self.admin.extend_from_slice(&answer.bytes().await.unwrap());
        status
    }

    async fn must(&mut self, stage: &Stage, method: Method, path: &str, body: Value) {
        let status = self.ask(stage, method.clone(), path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {}", String::from_utf8_lossy(&self.admin));
    }
}

fn last_segment(url: &str) -> String {
    url.rsplit('/').next().unwrap().to_owned()
}

/// Connected by a walk through a browser; the secrets of the walk.
async fn walk(stage: &Stage, heard: &mut Heard) -> Vec<Secret> {
    heard.must(stage, Method::PUT, &account_path("crm", "user_1"), json!({"customer": "acme", "role": "researcher"})).await;
    let begun = stage.must(Method::POST, &format!("{}/authorizations", account_path("crm", "user_1")), json!({})).await;
    let link = begun["authorization_url"].as_str().unwrap().to_owned();
    // A browser that looks at the page and leaves: its cookie is as good a secret as that of the next.
    let looked = stage.http.get(&link).send().await.unwrap();
    let cookie = looked.headers()["set-cookie"].to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    let mut browser = Browser::new().unwrap();
    let ours = browser.open(&link).await.unwrap();
    let theirs = browser.send(&ours).await.unwrap();
    let state = theirs.url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let callback = browser.consent(&theirs, &Consent { who: label("acme", "user_1"), verdict: Verdict::Allow }).await.unwrap();
    for _ in 0..2 {
        // The second time it is spent.
        heard.pages.extend_from_slice(browser.open(callback.as_str()).await.unwrap().body.as_bytes());
    }
    let link = last_segment(&link);
    assert!([&link, &state, &cookie].iter().all(|proof| proof.len() >= 43), "{link} {state} {cookie}");
    vec![Secret::new("a link", link), Secret::new("a state", state), Secret::new("a browser's cookie", cookie)]
}

/// Refreshed, refused, failing, brought, revoked; the handle.
async fn live(stage: &Stage, heard: &mut Heard) -> Secret {
    let provider = stage.practice.provider();
    let handle = stage.handle("crm", "user_1").await;
    for account in ["user_1", &handle] {
        let request = stage.request(Method::GET, "/crm/v1/accounts/A-1", account).header("Scopegate-Authorization", format!("Bearer {CALLER_KEY}"));
        assert_eq!(heard.call(request).await, 200);
    }
    for fault in [Fault::Garbage, Fault::ErrorIn200, Fault::LostAnswer] {
        let label = label("acme", "user_1");
        provider.fault(Whose::Of(label.clone()), fault);
        provider.expire(&label);
        heard.call(stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_1")).await;
    }
    let gone = stage.account("acme", "user_2", "researcher").await;
    provider.withdraw(&gone);
    heard.call(stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_2")).await;
    for (name, credential) in [
        ("user_3", json!({"access_token": BROUGHT_TOKEN, "refresh_token": BROUGHT_REFRESH, "scope": "api"})),
        ("user_5", json!({"api_key": BROUGHT_KEY})),
        ("user_6", json!({"basic": {"user": "someone", "password": PASSWORD}})),
    ] {
        heard.must(stage, Method::PUT, &account_path("crm", name), json!({"customer": "acme", "role": "researcher"})).await;
        heard.must(stage, Method::PUT, &format!("{}/credentials", account_path("crm", name)), credential).await;
        heard.call(stage.request(Method::GET, "/crm/v1/accounts/A-1", name)).await;
    }
    stage.account("acme", "user_4", "publisher").await;
    heard.must(stage, Method::POST, &format!("{}/refresh", account_path("crm", "user_4")), Value::Null).await;
    heard.must(stage, Method::POST, &format!("{}/revoke", account_path("crm", "user_4")), Value::Null).await;
    Secret::new("a handle", handle)
}

/// What agents and operators send where it belongs, and where it does not.
async fn misplace(stage: &Stage, heard: &mut Heard, token: &str) {
    stage.account("acme", "user_7", "publisher").await;
    stage.account("acme", "user_9", "researcher").await;
    let session = |request: reqwest::RequestBuilder| {
        request.header("Scopegate-Session", "run-1").header("Authorization", format!("Bearer {AUTHORIZATION}")).header("Cookie", COOKIE)
    };
    for (method, target, account) in [
        (Method::GET, format!("/crm/v1/accounts/A-1?name={QUERY}"), "user_9"),
        (Method::GET, format!("/crm/v1/accounts/A-1?access_token={token}"), "user_9"),
        (Method::GET, format!("/crm/v1/nothing?name={QUERY}"), "user_9"),
        (Method::GET, format!("/nowhere/v1?name={QUERY}"), "user_9"),
        (Method::GET, format!("/crm/v1/files/cut/a?name={QUERY}"), "user_9"),
        (Method::PATCH, format!("/crm/v1/opportunities/O-7?name={QUERY}"), "user_9"),
        (Method::GET, format!("/crm/v1/accounts/A-1?name={QUERY}"), "nobody"),
    ] {
        let body = if method == Method::PATCH { json!({"note": BODY}).to_string() } else { String::new() };
        heard.call(session(stage.request(method, &target, account).body(body))).await;
    }
    // This one is allowed, and the API's own answer repeats what was sent.
    let target = format!("/crm/v1/opportunities/O-7?name={QUERY}");
    let reply = stage.send(session(stage.request(Method::PATCH, &target, "user_7")).body(json!({"note": BODY}).to_string())).await;
    assert_eq!((reply.status, reply.text("note")), (200, BODY), "{}", reply.body);
    heard
        .call(stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_9").header("Scopegate-Authorization", format!("Bearer {AUTHORIZATION}")))
        .await;
    for head in [
        format!("GET /crm/v1/ping HTTP/1.1\r\nAuthorization : Bearer {token}\r\n\r\n"),
        format!("GET /crm/v1/ping?name={QUERY} HTTP/1.1\r\nHost: {}\r\nHost: b\r\nCookie: {COOKIE}\r\n\r\n", stage.gateway),
        format!("PUT /crm/v1/files/a HTTP/1.1\r\nHost: {}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{BODY}", stage.gateway),
    ] {
        for answer in raw::exchange(stage.gateway, head.as_bytes()).await {
            heard.gateway.extend_from_slice(format!("{:?}", answer.headers).as_bytes());
            heard.gateway.extend_from_slice(&answer.body);
        }
    }
    let credentials = format!("{}/credentials", account_path("crm", "user_3"));
    for (method, path, body) in [
        (Method::PUT, credentials.as_str(), json!({"access_token": [token]}).to_string()),
        (Method::PUT, &credentials, json!({"acess_token": token}).to_string()),
        (Method::PUT, &credentials, json!({"access_token": BROUGHT_TOKEN, "api_key": BROUGHT_KEY}).to_string()),
        (Method::PUT, &credentials, format!("{{\"access_token\": \"{token}")),
        (Method::PUT, &credentials, json!({"access_token": format!("{token}\n")}).to_string()),
        (Method::PUT, &account_path("crm", "user_8"), json!({"customer": BODY, "role": BODY, "grant": {"shared_with": BODY}}).to_string()),
        (Method::PATCH, &account_path("crm", "user_1"), json!({"role": token}).to_string()),
        (Method::POST, &format!("{}/authorizations", account_path("crm", "user_1")), json!({"return_to": format!("https://x.example/?{QUERY}")}).to_string()),
        (Method::POST, "/v1/decisions", json!({"connector": "crm", "account": "user_1", "method": "PATCH", "target": format!("/v1/opportunities/7?name={QUERY}"), "headers": {"authorization": AUTHORIZATION}, "body": BODY}).to_string()),
    ] {
        let status = heard.ask_with(stage, method.clone(), path, body.clone()).await;
        assert!(path == "/v1/decisions" || status >= 400, "{method} {path} {body}: {status}");
    }
    let wrong = stage.http.get(format!("http://{}/v1/accounts", stage.admin)).bearer_auth(format!("{ADMIN_TOKEN}x")).send().await.unwrap();
    heard.admin.extend_from_slice(format!("{:?} {}", wrong.headers().clone(), wrong.text().await.unwrap()).as_bytes());
}

/// The same over HTTP/2: heads that are well formed, and those that it calls malformed itself.
async fn misplace_over_http2(stage: &Stage, token: &str) {
    let pseudo = |path: &str, scheme: &str, authority: &str| {
        [field(":method", "GET"), field(":scheme", scheme), field(":authority", authority), field(":path", path)].concat()
    };
    let path = format!("/crm/v1/ping?name={QUERY}");
    for head in [
        fields("GET", &path, "user_9"),
        fields("GET", &format!("/crm/v1/ping?access_token={token}"), "user_9"),
        fields("GET", &format!("{path}<"), "user_9"),
        fields("GET", &format!("{path}#{QUERY}"), "user_9"),
        fields("GET", &format!("{path} {QUERY}"), "user_9"),
        fields("GET", &format!("crm/v1/ping?name={QUERY}"), "user_9"),
        fields(&format!("G<{QUERY}"), &path, "user_9"),
        fields("CONNECT", &path, "user_9"),
        pseudo(&path, &format!("h<{QUERY}"), "localhost"),
        pseudo(&path, "http", &format!("local<{QUERY}")),
        [fields("GET", &path, "user_9"), field("authorization", &format!("Bearer {token}\u{7f}"))].concat(),
        [fields("GET", &path, "user_9"), field(&format!("X-{QUERY}"), AUTHORIZATION)].concat(),
        [fields("GET", &path, "user_9"), field("connection", QUERY), field("cookie", COOKIE)].concat(),
        [fields("GET", &path, "user_9"), field("content-length", QUERY)].concat(),
        [fields("GET", &path, "user_9"), field(":path", &path)].concat(),
    ] {
        let mut wire = Frames::connect(stage.gateways[1]).await;
        wire.send(&[preface(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &head)].concat()).await;
        while wire.next().await.is_some_and(|came| came.stream != 1 || !(came.ends() || came.kind == RST_STREAM)) {}
    }
}

/// Every list and view of the admin API.
async fn look_around(stage: &Stage, heard: &mut Heard) -> Vec<u8> {
    let user = account_path("crm", "user_1");
    for path in [
        "/v1/accounts",
        &user,
        &format!("{user}/handles"),
        "/v1/audit?limit=1000",
        "/v1/sessions/run-1",
        "/v1/policies",
        "/v1/keys",
        "/v1/openapi.json",
        "/readyz?verbose",
        "/version",
        "/livez",
    ] {
        heard.must(stage, Method::GET, path, Value::Null).await;
    }
    for (path, body) in [("/v1/policies/reload", Value::Null), ("/v1/keys/rotate", Value::Null)] {
        heard.must(stage, Method::POST, path, body).await;
    }
    let (status, metrics) = stage.ask(Method::GET, "/metrics", Value::Null).await;
    assert_eq!(status, 200);
    metrics.as_str().unwrap().as_bytes().to_vec()
}

/// An operator's browser in the console; its cookie.
async fn look_at_the_console(stage: &Stage, heard: &mut Heard) -> Secret {
    let console = format!("http://{}/console", stage.admin);
    let sign_in = |token: &str| stage.http.post(&console).form(&[("token", token.to_owned())]);
    heard.page(sign_in(&format!("{ADMIN_TOKEN}x"))).await;
    let signed_in = sign_in(ADMIN_TOKEN).send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for page in ["", "/accounts", "/audit", "/accounts?customer=acme", "/audit?decision=deny"] {
        heard.page(stage.http.get(format!("{console}{page}")).header("cookie", &cookie)).await;
    }
    let secret = cookie.split_once('=').unwrap().1;
    assert!(secret.len() >= 43, "{cookie}");
    Secret::new("an operator's cookie", secret)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_told_by_logs_audit_metrics_answers_files_or_arguments() {
    let sha256 = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, CALLER_KEY.as_bytes()));
    let settings = format!(
        "limits: {{requests_per_account: none}}\ncallers:\n  - {{network: loopback}}\n  - {{api_key: {{name: crew, sha256: \"{sha256}\", customers: [acme]}}}}\n"
    );
    let listen = "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into();
    let mut stage = Stage::with(Script { settings, listen, log: "trace,h2=trace", ..Script::default() }).await;
    let mut heard = Heard::default();
    let mut secrets = walk(&stage, &mut heard).await;
    secrets.push(live(&stage, &mut heard).await);
    let token = stage.practice.provider().secrets().first().cloned().unwrap();
    misplace_over_http2(&stage, &token).await;
    misplace(&stage, &mut heard, &token).await;
    let metrics = look_around(&stage, &mut heard).await;
    secrets.push(look_at_the_console(&stage, &mut heard).await);

    secrets.extend(stage.practice.provider().secrets().into_iter().map(|secret| Secret::new("a code or token", secret)));
    secrets.extend(
        [
            ("the admin token", ADMIN_TOKEN),
            ("the client secret", CLIENT_SECRET),
            ("a caller's key", CALLER_KEY),
            ("a brought token", BROUGHT_TOKEN),
            ("a brought refresh token", BROUGHT_REFRESH),
            ("a brought API key", BROUGHT_KEY),
            ("a brought password", PASSWORD),
            ("a query value", QUERY),
            ("a body", BODY),
            ("an agent's authorization", AUTHORIZATION),
            ("an agent's cookie", COOKIE),
        ]
        .map(|(what, text)| Secret::new(what, text)),
    );
    let kek = std::fs::read_to_string(stage.path("kek-1")).unwrap();
    secrets.push(Secret::new("the wrapping key", STANDARD.decode(kek.trim()).unwrap()));

    let arguments = std::fs::read(format!("/proc/{}/cmdline", stage.pid())).unwrap();
    // The store with all changes in its write-ahead log, with all of them in its place, and as it is left behind.
    let mut places = files(&stage.path("data"), "running");
    let made = run(stage.folder.path(), &["store", "backup", "backup.db"]);
    assert!(made.status.success(), "{made:?}");
    while std::fs::metadata(stage.path("data/scopegate.db-wal")).unwrap().len() > 0 {}
    places.extend(files(&stage.path("data"), "idle"));
    assert!(stage.stop().success());
    places.extend(files(&stage.path("data"), "stopped"));
    places.extend([
        Place::new("the store's values", values(&stage.path("data/scopegate.db"))),
        Place::new("a backup", std::fs::read(stage.path("backup.db")).unwrap()),
        Place::new("the log", stage.log()),
        Place::new("metrics", metrics),
        Place::new("answers of the gateway", heard.gateway),
        Place::new("answers of the admin API", heard.admin),
        Place::new("pages for browsers", heard.pages),
        Place::new("arguments", arguments),
    ]);
    // Each place is what it is taken for: it holds what belongs there.
    for (place, text) in [
        ("running scopegate.db-wal", "user_"),
        ("running audit.jsonl", "request_id"),
        ("idle scopegate.db", "user_7"),
        ("stopped scopegate.db", "user_7"),
        ("stopped audit.jsonl", "role_lacks_scope"),
        ("the store's values", "user_7"),
        ("a backup", "user_7"),
        ("the log", "DEBUG"),
        ("the log", "refreshed"),
        ("metrics", "scopegate_audit_events_total"),
        ("answers of the gateway", "role_lacks_scope"),
        ("answers of the gateway", "unknown_account"),
        ("answers of the gateway", "ambiguous_request"),
        ("answers of the gateway", "upstream_unreachable"),
        ("answers of the admin API", "invalid_field"),
        ("answers of the admin API", "malformed_body"),
        ("answers of the admin API", "admin_token_required"),
        ("pages for browsers", "Sign in"),
        ("pages for browsers", "role_lacks_scope"),
        ("pages for browsers", "user_7"),
        ("arguments", "serve"),
    ] {
        assert!(
            places.iter().any(|one| one.name == place && one.holds(text)),
            "{place} without {text}: {:?}",
            places.iter().map(|place| &place.name).collect::<Vec<_>>()
        );
    }
    assert_findable(&places, &Secret::new("a canary", BROUGHT_TOKEN));
    assert_eq!(found(&places, &secrets), Vec::<String>::new());
}

/// The names and bytes of all files below.
fn files(folder: &Path, when: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, when));
        } else {
            found.push(Place::new(format!("{when} {}", path.file_name().unwrap().to_string_lossy()), std::fs::read(&path).unwrap()));
        }
    }
    found
}

/// Every value of every table in one piece: in the file a long one may be torn over pages.
fn values(database: &Path) -> Vec<u8> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let mut all = Vec::new();
    for name in names {
        let mut query = connection.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                match row.get_ref(column).unwrap() {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => all.extend_from_slice(bytes),
                    ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => {}
                }
                all.push(b'\n');
            }
        }
    }
    all
}
