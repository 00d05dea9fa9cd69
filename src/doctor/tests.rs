//! Each finding of each check.

use super::*;
use crate::store::SqliteStore;
use crate::vault::{Keyring, Vault, key_file};
use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const TOKEN: &str = "e7b1c0d52f9a4836b1c7d0e9f8a26354";

/// A deployment in which nothing is wrong.
struct Project {
    folder: TempDir,
    settings: String,
    policy: String,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("policies")).unwrap();
        fs::write(folder.path().join("ca.pem"), rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap().cert.pem()).unwrap();
        key_file::generate(&folder.path().join("keys/kek-1")).unwrap();
        let settings = format!(
            "gateway: {{listen: [\"127.0.0.1:0\"]}}\n\
             admin: {{listen: \"127.0.0.1:0\", token: {TOKEN}, public_url: \"https://connect.example\"}}\n\
             clients: {{crm: {{client_id: a, client_secret: b}}}}\n\
             egress: {{allow_networks: [], allow_http: false, ca_file: ca.pem}}\n"
        );
        let policy = "version: 1\n\
             connectors:\n  crm:\n    upstream: https://203.0.114.1/v1\n    oauth: {token_url: https://203.0.114.1/token}\n\
             \x20   scopes: {read: }\n    operations: [{id: get, match: GET /x, require: read}]\n\
             roles: {reader: {allow: {crm: [read]}}}\n";
        Self { folder, settings, policy: policy.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&mut self, from: &str, to: &str) {
        assert!(self.settings.contains(from), "{from}");
        self.settings = self.settings.replace(from, to);
    }

    fn policy(&mut self, from: &str, to: &str) {
        assert!(self.policy.contains(from), "{from}");
        self.policy = self.policy.replace(from, to);
    }

    /// As a gateway leaves it that has sealed something.
    async fn served(&self) {
        let clock = Clock::system();
        let store: Arc<dyn crate::store::Store> = Arc::new(SqliteStore::open(&self.path("data"), clock.clone()).unwrap());
        Vault::open(Keyring::read(&self.path("keys/kek-1"), &[]).unwrap(), store, clock).await.unwrap();
    }

    async fn examined(&self, reach: Reach) -> Vec<Check> {
        // Another test may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        fs::write(self.path("policies/crm.yaml"), &self.policy).unwrap();
        fs::write(self.path("scopegate.yaml"), &self.settings).unwrap();
        let settings = Settings::read(&self.path("scopegate.yaml")).unwrap();
        let mut checks = examine(&settings, &Clock::system(), reach).await;
        // The machine of a test may have little room of its own.
        checks.retain(|check| check.check != "open files" && !check.message.contains("MiB are free"));
        checks
    }
}

/// That something is wrong in this way, and nothing else.
fn assert_found(what: &str, checks: &[Check], expected: (&str, Status, &str)) {
    let (name, status, words) = expected;
    let wrong: Vec<&Check> = checks.iter().filter(|check| check.status != Status::Ok).collect();
    assert!(wrong.iter().any(|check| (check.check, check.status) == (name, status) && check.message.contains(words)), "{what}: {checks:#?}");
    assert!(wrong.iter().all(|check| check.check == name && check.help.is_some()), "{what}: {checks:#?}");
    assert!(!format!("{checks:?}").contains(TOKEN), "{what}: the token is nobody's business");
}

#[tokio::test]
async fn a_sound_deployment_passes_before_its_first_start_and_after() {
    let project = Project::new();
    let before = project.examined(Reach::Offline).await;
    assert!(before.iter().all(|check| check.status == Status::Ok), "{before:#?}");
    assert!(!project.path("data").exists(), "looking makes nothing");
    project.served().await;
    let after = project.examined(Reach::Offline).await;
    assert!(after.iter().all(|check| check.status == Status::Ok), "{after:#?}");
    let told = |checks: &[Check], words: &str| checks.iter().any(|check| check.message.contains(words));
    assert!(told(&before, "`serve` makes it") && told(&after, "sound in") && told(&after, "opens the store's 1 data keys"), "{after:#?}");
}

type Spoil = fn(&mut Project);

#[tokio::test]
async fn each_fault_is_found_and_no_other() {
    use Status::{Fail, Warn};
    let table: &[(&str, Spoil, (&str, Status, &str))] = &[
        ("a policy with an error", |it| it.policy("require: read", "require: raed"), ("policies", Fail, "1 errors")),
        ("a policy with a warning", |it| it.policy("GET /x", "GTE /x"), ("policies", Warn, "1 warnings")),
        ("a policy folder that is not there", |it| it.settings.push_str("policies: [./nowhere]\n"), ("policies", Fail, "nowhere")),
        ("no key", |it| fs::remove_file(it.path("keys/kek-1")).unwrap(), ("key", Fail, "is missing")),
        ("a key that others can read", |it| open(&it.path("keys/kek-1")), ("key", Fail, "mode 644")),
        ("another key", another_key, ("key", Fail, "does not open the store")),
        ("a damaged store", damaged, ("store", Fail, "damaged")),
        ("something else in the store's place", |it| fs::write(it.path("data/scopegate.db"), "no database").unwrap(), ("store", Fail, "damaged")),
        (
            "a file where the store's folder should be",
            |it| it.settings.push_str("store: {embedded: ./ca.pem/data}\n"),
            ("store", Fail, "cannot open"),
        ),
        ("a folder that nobody writes to", |it| it.settings.push_str("store: {embedded: /proc/data}\n"), ("store", Fail, "nothing can be written")),
        ("an audit that somebody wrote to", |it| fs::write(it.path("data/audit.jsonl"), "{}\n").unwrap(), ("audit", Fail, "audit.jsonl:1")),
        ("an audit that cannot be written", |it| it.settings.push_str("audit: {file: /proc/a.jsonl}\n"), ("audit", Fail, "nothing can be written")),
        ("a CA file without certificates", |it| fs::write(it.path("ca.pem"), "").unwrap(), ("egress", Fail, "no usable certificate")),
        ("all networks", |it| it.settings("allow_networks: []", "allow_networks: [0.0.0.0/0]"), ("egress", Warn, "every address")),
        ("a short token", |it| it.settings(TOKEN, "letmein"), ("admin token", Fail, "guessed")),
        (
            "pages that only this machine reaches",
            |it| it.settings(", public_url: \"https://connect.example\"", ""),
            ("customers' pages", Warn, "this machine"),
        ),
        ("pages without https", |it| it.settings("https://connect", "http://connect"), ("customers' pages", Fail, "without https")),
        ("an address of another machine", |it| it.settings("[\"127.0.0.1:0\"]", "[\"192.0.2.1:4100\"]"), ("listen", Fail, "cannot be had")),
        (
            "a taken address",
            |it| it.settings("[\"127.0.0.1:0\"]", &taken(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
            ("listen", Fail, "another program"),
        ),
        ("a taken address that says nothing", |it| it.settings("[\"127.0.0.1:0\"]", &taken(b"")), ("listen", Warn, "does not say")),
        ("certificates that are not there", without_certificates, ("listen", Fail, "nowhere.pem")),
        ("no registration", |it| it.settings("{crm: {client_id: a, client_secret: b}}", "{}"), ("clients", Warn, "crm: no registration")),
        ("no secret", |it| it.settings(", client_secret: b", ""), ("clients", Fail, "`client_secret`")),
        ("no private key", |it| it.policy("{token_url", "{client_auth: private_key_jwt, token_url"), ("clients", Fail, "`private_key`")),
        ("a registration for nobody", |it| it.settings("{crm: {", "{cmr: {client_id: x}, crm: {"), ("clients", Warn, "connector cmr")),
        ("an upstream without TLS", |it| it.policy("upstream: https", "upstream: http"), ("endpoints", Fail, "upstream http://203.0.114.1/v1")),
        (
            "a token endpoint in a private network",
            |it| it.policy("{token_url: https://203.0.114.1", "{token_url: https://10.0.0.1"),
            ("endpoints", Fail, "token_url https://10.0.0.1/token"),
        ),
    ];
    for (what, spoil, expected) in table {
        let mut project = Project::new();
        project.served().await;
        spoil(&mut project);
        assert_found(what, &project.examined(Reach::Offline).await, *expected);
    }
}

fn open(path: &std::path::Path) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

fn another_key(project: &mut Project) {
    fs::remove_file(project.path("keys/kek-1")).unwrap();
    key_file::generate(&project.path("keys/kek-1")).unwrap();
}

fn without_certificates(project: &mut Project) {
    project.settings("[\"127.0.0.1:0\"]", "{address: \"127.0.0.1:0\", tls: {cert_file: nowhere.pem, key_file: nowhere.key}}");
}

/// The second page of the file is overwritten.
fn damaged(project: &mut Project) {
    let path = project.path("data/scopegate.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..8192].fill(0x5a);
    fs::write(path, bytes).unwrap();
}

/// An address where somebody else answers; `listen`'s value.
fn taken(answer: &'static [u8]) -> String {
    format!("[\"{}\"]", answering(answer.into(), Arc::default()))
}

/// Answers every connection with these bytes, as long as the process lives; keeps what was asked.
fn answering(answer: Vec<u8>, asked: Arc<std::sync::Mutex<Vec<u8>>>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            let read = stream.read(&mut head).unwrap_or_default();
            asked.lock().unwrap().extend_from_slice(&head[..read]);
            // Whoever asked may have left.
            let _ = stream.write_all(&answer);
        }
    };
    // Ends with the process of the test.
    drop(crate::tasks::thread("answers", serve).unwrap());
    address
}

/// A project whose one connector has all its endpoints at `address`.
fn at(address: SocketAddr) -> Project {
    let mut project = Project::new();
    project.policy("https://203.0.114.1", &format!("http://{address}"));
    project.settings("allow_networks: [], allow_http: false", "allow_networks: [127.0.0.0/8], allow_http: true");
    project
}

/// An answer of this status, with a date that is `seconds` ahead of ours.
fn answer(status: &str, seconds: i64) -> Vec<u8> {
    let date = http_date(Clock::system().timestamp().millis() / 1000 + seconds);
    format!("HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

/// The date as HTTP writes it.
fn http_date(seconds: i64) -> String {
    // RFC 3339 has all that is needed but the names of days and months.
    let text = scopegate_core::time::Timestamp::from_millis(seconds * 1000).to_string();
    let (date, time) = text.split_once('T').unwrap();
    let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let weekday = days[usize::try_from(seconds.div_euclid(86_400).rem_euclid(7)).unwrap()];
    format!("{weekday}, {day} {} {year} {} GMT", months[month.parse::<usize>().unwrap() - 1], time.split_once('.').unwrap().0)
}

#[tokio::test]
async fn endpoints_are_called_without_a_credential_and_tell_the_time() {
    let asked = Arc::default();
    let address = answering(answer("404 Not Found", 0), Arc::clone(&asked));
    let checks = at(address).examined(Reach::Online).await;
    assert!(checks.iter().all(|check| check.status == Status::Ok), "{checks:#?}");
    for words in [format!("crm: token_url http://{address}/token answered 404"), "crm: upstream".into(), "as at 2 endpoints".into()] {
        assert!(checks.iter().any(|check| check.message.contains(&words)), "{words}: {checks:#?}");
    }
    let asked = String::from_utf8(asked.lock().unwrap().clone()).unwrap().to_lowercase();
    assert!(asked.contains("get /token") && asked.contains("get /v1") && !asked.contains("authorization"), "{asked}");
}

#[tokio::test]
async fn each_fault_of_an_endpoint_is_found_and_no_other() {
    use Status::{Fail, Warn};
    let there = |status: &str, seconds| answering(answer(status, seconds), Arc::default());
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let plain = |project: &mut Project, address: &SocketAddr| project.policy(&format!("http://{address}"), &format!("https://{address}"));
    for (what, address, spoil, expected) in [
        ("it fails", there("503 Down", 0), None, ("endpoints", Warn, "answered 503")),
        ("nobody is there", closed, None, ("endpoints", Fail, "no connection")),
        ("it speaks no TLS", there("200 OK", 0), Some(plain as fn(&mut Project, &SocketAddr)), ("endpoints", Fail, "no connection")),
        ("it answers nonsense", answering(b"nonsense\r\n\r\n".into(), Arc::default()), None, ("endpoints", Fail, "no whole answer")),
        ("our clock is slow", there("200 OK", 600), None, ("clock", Fail, "s behind all endpoints")),
        ("our clock is a little fast", there("200 OK", -20), None, ("clock", Warn, "s ahead of all endpoints")),
    ] {
        let mut project = at(address);
        if let Some(spoil) = spoil {
            spoil(&mut project, &address);
        }
        assert_found(what, &project.examined(Reach::Online).await, expected);
    }
    let mut denied = at(there("200 OK", 0));
    denied.settings("[127.0.0.0/8]", "[]");
    assert_found("egress denies it", &denied.examined(Reach::Online).await, ("endpoints", Fail, "is not a public address"));
}

#[tokio::test]
async fn an_upstream_that_differs_by_account_is_not_called() {
    let mut project = at(answering(answer("200 OK", 0), Arc::default()));
    let upstream = project.policy.lines().find(|line| line.contains("upstream")).unwrap().to_owned();
    project.policy(&upstream, "    upstream: \"{site}\"\n    variables: {site: {from: token, pointer: /s, origin_of: [\"*.crm.example\"]}}");
    let checks = project.examined(Reach::Online).await;
    assert!(checks.iter().all(|check| check.status == Status::Ok), "{checks:#?}");
    assert!(checks.iter().any(|check| check.message.contains("{site} differs by account")), "{checks:#?}");
}

#[test]
fn rules_that_need_no_deployment() {
    use Status::{Fail, Ok, Warn};
    let folder = std::path::Path::new("/x");
    for (free, total, status) in [(50, 1000, Fail), (500, 1000, Warn), (2000, 1_000_000, Warn), (2000, 10_000, Ok)] {
        assert_eq!(machine::room("store", folder, free << 20, total << 20).status, status, "{free} of {total} MiB");
    }
    for (limit, status) in [(Some(64), Fail), (Some(1024), Warn), (Some(65536), Ok), (None, Ok)] {
        assert_eq!(machine::enough(limit).status, status, "{limit:?}");
    }
    let at = |text: &str| text.parse().unwrap();
    for (now, newest, status) in [
        ("2026-11-26T09:00:00Z", Some("2026-11-26T08:59:59Z"), Ok),
        ("2026-11-26T09:00:00Z", Some("2026-11-26T09:00:30Z"), Ok),
        ("2026-11-26T09:00:00Z", Some("2026-11-26T09:02:00Z"), Fail),
        ("1970-01-01T00:01:00Z", None, Fail),
        ("2026-11-26T09:00:00Z", None, Ok),
    ] {
        assert_eq!(machine::plausible(at(now), newest.map(at)).status, status, "{now} {newest:?}");
    }
    for (token, status) in [("admin", Fail), ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Fail), ("correct horse battery", Warn), (TOKEN, Ok)] {
        assert_eq!(access::strength(token).status, status, "{token}");
    }
    for (url, said, status) in [
        ("https://connect.example", true, Ok),
        ("http://127.0.0.1:4101", true, Ok),
        ("http://127.0.0.1:4101", false, Warn),
        ("http://10.0.0.1:4101", true, Fail),
        ("http://0.0.0.0:4101", false, Fail),
        ("http://[::]:4101", false, Fail),
    ] {
        assert_eq!(access::reachable(url, said).status, status, "{url}");
    }
    for (network, words) in [
        ("::/0", Some("every address")),
        ("169.254.0.0/16", Some("169.254.169.254")),
        ("fd00::/8", Some("fd00:ec2::254")),
        ("8.8.8.0/24", Some("allowed anyway")),
        ("10.0.0.0/8", None),
        ("127.0.0.1/32", None),
    ] {
        let told = egress::excess(network.parse().unwrap()).map(|check| check.message);
        assert_eq!(told.is_some(), words.is_some(), "{network}: {told:?}");
        assert!(words.is_none_or(|words| told.unwrap().contains(words)), "{network}");
    }
    for (ahead, status) in [(&[100, -90_000][..], Ok), (&[-4_900], Ok), (&[6_000, 900_000], Warn), (&[-61_000], Fail)] {
        assert_eq!(endpoints::skew(ahead).unwrap().status, status, "{ahead:?}");
    }
    assert_eq!(endpoints::skew(&[]), None);
}
