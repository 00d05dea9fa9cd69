//! A disk that takes nothing: no call is made whose event cannot be written, refusals are answered, and everything goes on by
//! itself when there is room.
//!
//! Two kinds of full disk. A limit on the size of files is to be had everywhere; a small file system of its own needs a
//! namespace of its own, which not every machine gives: where it does not, the test says so.

use crate::audit;
use crate::stage::{ADMIN_TOKEN, Stage, account_path, run};
use reqwest::Method;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use scopegate::audit::{AuditLog, Event, Rotation, verify};
use scopegate::clock::Clock;
use scopegate::metrics::Metrics;
use scopegate::tasks::Tasks;
use scopegate_core::id::RequestId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::runtime::Handle;

/// Far more calls than can be answered before the disk is found to be full.
const MANY: usize = 100_000;

impl Stage {
    /// No file of the gateway may grow beyond this; none: whatever the system allows.
    pub(crate) fn limit_files(&self, most: Option<u64>) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap());
        let Rlimit { maximum, .. } = prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
        prlimit(pid, Resource::Fsize, Rlimit { current: most, maximum }).unwrap();
    }

    fn audit_size(&self) -> u64 {
        fs::metadata(self.path("data/audit.jsonl")).unwrap().len()
    }

    /// Waits until the last of these requests is on disk.
    fn until_written(&self, id: &str) {
        while !fs::read_to_string(self.path("data/audit.jsonl")).unwrap().contains(id) {}
    }

    async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.ask(Method::GET, "/metrics", Value::Null).await;
        let line = text.as_str().unwrap().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }
}

/// What was answered: status by request.
#[derive(Default)]
struct Answered(BTreeMap<String, u16>);

impl Answered {
    async fn call(&mut self, stage: &Stage, method: Method, target: &str, account: &str) -> (u16, String) {
        let reply = stage.call(method, target, account).await;
        let reason = reply.text("reason").to_owned();
        assert_eq!(self.0.insert(reply.request_id, reply.status), None);
        (reply.status, reason)
    }

    async fn allowed(&mut self, stage: &Stage) -> (u16, String) {
        self.call(stage, Method::GET, "/crm/v1/accounts/A-1", "user_1").await
    }
}

fn unavailable() -> (u16, String) {
    (503, "store_unavailable".into())
}

/// The promise of a full disk, whatever fills it.
async fn holds_while_full(mut stage: Stage, fill: impl Fn(&Stage), free: impl Fn(&Stage)) {
    stage.account("acme", "user_1", "researcher").await;
    let mut answered = Answered::default();
    for _ in 0..3 {
        assert_eq!(answered.allowed(&stage).await.0, 200);
    }
    let last = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    stage.until_written(&last.request_id);
    answered.0.insert(last.request_id, last.status);
    let pid = stage.pid();

    for round in 1..=2 {
        fill(&stage);
        // The first flush that fails stops all further calls.
        let mut passed = 0;
        while answered.allowed(&stage).await != unavailable() {
            passed += 1;
            assert!(passed < MANY, "round {round}: calls go on without their events");
        }
        let called = stage.practice.api().requests();
        for _ in 0..20 {
            assert_eq!(answered.allowed(&stage).await, unavailable(), "round {round}");
            let denied = answered.call(&stage, Method::PATCH, "/crm/v1/opportunities/O-7", "user_1").await;
            assert_eq!(denied, (403, "role_lacks_scope".into()), "round {round}");
            let unknown = answered.call(&stage, Method::GET, "/crm/v1/accounts/A-1", "nobody").await;
            assert_eq!(unknown, (401, "unknown_account".into()), "round {round}");
        }
        assert_eq!(stage.practice.api().requests(), called, "what was refused did not leave");
        let (status, ready) = stage.ask(Method::GET, "/readyz?verbose", Value::Null).await;
        assert_eq!((status, &ready["audit"]), (503, &json!(false)), "{ready}");
        assert!(stage.metric("scopegate_audit_failures_total").await > 0);

        free(&stage);
        while answered.allowed(&stage).await.0 != 200 {}
        assert_eq!(stage.pid(), pid);
    }
    assert_eq!(stage.metric("scopegate_audit_lost_total").await, 0);

    let events = audit::all(&mut stage);
    let verified = run(stage.folder.path(), &["audit", "verify", "-o", "json"]);
    let walked: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((verified.status.code(), &walked["ok"], &walked["torn"]), (Some(0), &json!(true), &Value::Null), "{walked}");
    let mut written = BTreeMap::new();
    for event in &events {
        let status = u16::try_from(event["status"].as_u64().unwrap()).unwrap();
        assert_eq!(written.insert(event["request_id"].as_str().unwrap().to_owned(), status), None, "two events of one request: {event}");
    }
    assert_eq!(written, answered.0, "every answer has its event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_files_stops_calls_and_no_refusals_and_is_recovered_from() {
    let stage = Stage::new().await;
    // A few bytes of the next line fit: the torn line that they make must not stay.
    holds_while_full(stage, |stage| stage.limit_files(Some(stage.audit_size() + 10)), |stage| stage.limit_files(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_the_disk_is_full_leaves_a_chain_that_goes_on() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    for round in 1..=3 {
        let mut answered = Answered::default();
        let first = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
        stage.until_written(&first.request_id);
        stage.limit_files(Some(stage.audit_size() + 10));
        while answered.allowed(&stage).await != unavailable() {
            assert!(answered.0.len() < MANY, "round {round}: calls go on without their events");
        }
        // What is torn by now is moved aside by the process that comes after.
        stage.kill_and_restart().await;
        assert_eq!(answered.allowed(&stage).await.0, 200, "round {round}");
    }
    let events = audit::all(&mut stage);
    assert!(events.len() >= 6, "{}", events.len());
    let verified = run(stage.folder.path(), &["audit", "verify", "-o", "json"]);
    let walked: Value = serde_json::from_slice(&verified.stdout).unwrap();
    assert_eq!((verified.status.code(), &walked["torn"], &walked["files"]), (Some(0), &Value::Null, &json!(4)), "{walked}");
}

/// Where the small file system is, for this program started once more.
const SMALL: &str = "SCOPEGATE_E2E_SMALL";

#[test]
fn a_full_file_system_stops_calls_and_no_refusals_and_is_recovered_from() {
    in_a_small_file_system("outlives_a_full_disk::fills_the_small_file_system_where_it_is_told_to");
}

/// Runs another test of this program, which says `filled`, where [`small_file_system`] is one of its own.
#[expect(clippy::print_stdout, reason = "whoever runs the tests is told what was not tried")]
pub(crate) fn in_a_small_file_system(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=16m,mode=700 scopegate \"$1\"";
    let inside = |namespace: &[&str], script: &str, more: &[&str]| {
        let (unshare, flags) = namespace.split_first().unwrap();
        let mut command = Command::new(unshare);
        command.args(flags).args(["sh", "-c", script, "sh"]).arg(folder.path()).args(more);
        command.env(SMALL, folder.path()).env("TMPDIR", folder.path());
        command
    };
    let mine = [&["unshare", "--user", "--map-root-user", "--mount"][..], &["unshare", "--mount"]];
    let possible = mine.iter().find(|namespace| inside(namespace, mount, &[]).output().is_ok_and(|made| made.status.success()));
    let Some(namespace) = possible else {
        println!("no namespace of its own is to be had here: a full file system is not tried, only a limit on files");
        return;
    };
    let this = std::env::current_exe().unwrap();
    let script = format!("{mount} && shift && exec \"$@\"");
    let made = inside(namespace, &script, &[this.to_str().unwrap(), "--exact", test, "--nocapture"]).output().unwrap();
    let text = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success() && text.contains("1 passed") && text.contains("filled "), "{text}{}", String::from_utf8_lossy(&made.stderr));
}

/// The file system that this program may fill, where it was started for that.
#[expect(clippy::disallowed_methods, reason = "how this program is told where to do what")]
pub(crate) fn small_file_system() -> Option<PathBuf> {
    std::env::var_os(SMALL).map(PathBuf::from)
}

/// No test by itself: what the one above does in the small file system.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fills_the_small_file_system_where_it_is_told_to() {
    let Some(small) = small_file_system() else { return };
    let ballast = small.join("ballast");
    let stage = Stage::new().await;
    assert!(stage.folder.path().starts_with(&small));
    println!("filled {}", fill(&ballast));
    fs::remove_file(&ballast).unwrap();
    holds_while_full(
        stage,
        |_| {
            fill(&ballast);
        },
        |_| fs::remove_file(&ballast).unwrap(),
    )
    .await;
}

#[test]
fn what_is_too_old_goes_from_a_full_file_system_too() {
    in_a_small_file_system("outlives_a_full_disk::keeps_to_its_retention_in_the_small_file_system_where_it_is_told_to");
}

/// No test by itself: what the one above does in the small file system.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_to_its_retention_in_the_small_file_system_where_it_is_told_to() {
    let Some(small) = small_file_system() else { return };
    let (clock, month) = (Clock::system(), Duration::from_hours(30 * 24));
    let path = small.join("audit/audit.jsonl");
    let open = || {
        let rotation = Rotation { size: 1 << 20, keep: month };
        AuditLog::open(&path, rotation, clock.clone(), Tasks::new(Handle::current()), Metrics::new()).unwrap()
    };
    for number in [1, 2] {
        let audit = open();
        audit.note(&Event::draft(RequestId::from_bytes([number; 16]), clock.timestamp()));
        audit.flush().await;
    }
    let old = small.join("audit/audit.jsonl.1");
    let long_ago = fs::metadata(&old).unwrap().modified().unwrap() - 2 * month;
    File::options().append(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    println!("filled {}", fill(&small.join("ballast")));
    drop(open());
    assert!(!old.exists());
    let verified = verify(&path).unwrap();
    assert_eq!((verified.first_seq, verified.findings), (Some(2), vec![]));
}

/// Writes until nothing fits any more; how much did.
pub(crate) fn fill(path: &Path) -> u64 {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1 << 8, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    file.metadata().unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_takes_nothing_refuses_changes_and_lets_known_tokens_pass() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let mut answered = Answered::default();
    assert_eq!(answered.allowed(&stage).await.0, 200);
    let ensure = async |stage: &Stage, name: &str| {
        let body = json!({"customer": "acme", "role": "researcher"});
        stage.ask(Method::PUT, &account_path("crm", name), body).await
    };
    // The audit has room for the calls that follow; the store's write-ahead log soon has none.
    stage.limit_files(Some(stage.audit_size() + (64 << 10)));
    let (mut made, mut refused) = (Vec::new(), None);
    for n in 0..1_000 {
        let name = format!("more_{n}");
        match ensure(&stage, &name).await {
            (201, _) => made.push(name),
            (status, body) => {
                refused = Some((name, status, body));
                break;
            }
        }
    }
    let (name, status, body) = refused.unwrap();
    assert_eq!((status, &body["reason"]), (503, &json!("store_unavailable")), "{body}");
    let again = stage.http.put(format!("http://{}{}", stage.admin, account_path("crm", &name))).bearer_auth(ADMIN_TOKEN);
    let again = again.json(&json!({"customer": "acme", "role": "researcher"})).send().await.unwrap();
    assert!(again.status() == 503 && again.headers().contains_key("retry-after"), "{again:?}");
    for _ in 0..20 {
        assert_eq!(answered.allowed(&stage).await.0, 200, "the token is in memory, and the audit can be written");
    }
    let (status, ready) = stage.ask(Method::GET, "/readyz?verbose", Value::Null).await;
    assert_eq!((status, &ready["store"], &ready["audit"]), (503, &json!(false), &json!(true)), "{ready}");

    stage.limit_files(None);
    while stage.ask(Method::GET, "/readyz", Value::Null).await.0 != 200 {}
    assert_eq!(ensure(&stage, &name).await.0, 201);
    made.push(name);
    stage.kill_and_restart().await;
    for name in &made {
        assert_eq!(stage.status(name).await, "pending");
    }
    assert_eq!(answered.allowed(&stage).await.0, 200);
}
