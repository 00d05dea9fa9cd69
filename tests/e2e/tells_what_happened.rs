//! What happened is found again by whatever is known of it, over all files of the audit; and files come and go as the settings say.

use crate::stage::{BINARY, Stage, run};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, SystemTime};

impl Stage {
    /// Starts again with another `audit` in the settings.
    async fn with_audit(&mut self, audit: &str) {
        assert!(self.stop().success());
        let path = self.path("scopegate.yaml");
        let settings = fs::read_to_string(&path).unwrap();
        let named = format!("audit: {{file: ./data/audit.jsonl, {audit}}}");
        let lines = settings.lines().map(|line| if line.starts_with("audit:") { named.as_str() } else { line });
        fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        self.start(&[]).await;
    }

    /// The names of the audit's files, the current one first, and then the older ones by number.
    fn audit_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("data")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.filter(|name| name.starts_with("audit.jsonl")).collect();
        names.sort_by_key(|name| name.strip_prefix("audit.jsonl.").map(|number| number.parse::<u64>().unwrap()));
        names
    }

    async fn search(&self, query: &str) -> Vec<Value> {
        let found = self.must(Method::GET, &format!("/v1/audit?{query}"), Value::Null).await;
        found["events"].as_array().unwrap().clone()
    }

    fn verify(&self) -> Value {
        let walked = tokio::task::block_in_place(|| run(self.folder.path(), &["audit", "verify", "-o", "json"]));
        let told = json_of(&walked);
        assert_eq!((walked.status.code(), &told["ok"]), (Some(0), &json!(true)), "{told}");
        told
    }
}

fn json_of(made: &Output) -> Value {
    serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"))
}

/// Calls of every kind, from two customers, in two sessions; each call's event.
async fn happen(stage: &Stage) -> Vec<Value> {
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    stage.account("globex", "user_3", "researcher").await;
    let mut ids = Vec::new();
    for (session, method, target, account) in [
        (Some("run-1"), Method::GET, "/crm/v1/accounts/A-1", "user_1"),
        (Some("run-1"), Method::PATCH, "/crm/v1/opportunities/O-7", "user_1"),
        (Some("run-1"), Method::PATCH, "/crm/v1/opportunities/O-7", "user_2"),
        (Some("run-2"), Method::GET, "/crm/v1/accounts/A-1", "user_3"),
        (None, Method::GET, "/crm/v1/nothing", "user_3"),
        (None, Method::GET, "/crm/v1/accounts/A-1", "nobody"),
        (None, Method::GET, "/nowhere/v1", "user_1"),
        (Some("run-2"), Method::GET, "/crm/v1/files/cut/a", "user_3"),
        (None, Method::GET, "/crm/v1/ping", "user_2"),
    ] {
        let mut request = stage.request(method, target, account).body(if target.ends_with("O-7") { "{}" } else { "" });
        if let Some(session) = session {
            request = request.header("Scopegate-Session", session);
        }
        let id = stage.send(request).await.request_id;
        // What a search has found is written; so the next event is not written together with this one.
        while stage.search("limit=1").await.iter().all(|event| event["request_id"] != *id) {}
        ids.push(id);
    }
    let mut events = stage.search("limit=1000").await;
    events.reverse();
    let place = |event: &Value| ids.iter().position(|id| event["request_id"] == **id);
    events.retain(|event| place(event).is_some());
    assert_eq!(events.iter().filter_map(place).collect::<Vec<_>>(), (0..ids.len()).collect::<Vec<_>>(), "as they happened");
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_found_by_each_filter_over_many_files_and_page_by_page() {
    let mut stage = Stage::new().await;
    stage.with_audit("rotate: 1").await;
    let events = happen(&stage).await;
    assert!(stage.audit_files().len() >= 9, "{:?}", stage.audit_files());
    let times: Vec<&str> = events.iter().map(|event| event["time"].as_str().unwrap()).collect();
    let (since, until) = (times[3], times[6]);
    let at = |when: &dyn Fn(&str) -> bool| (0..9).rev().filter(|at| when(times[*at])).collect::<Vec<_>>();
    for (query, expected) in [
        (String::new(), (0..9).rev().collect::<Vec<_>>()),
        ("account=user_1".into(), vec![1, 0]),
        ("account=nobody".into(), vec![5]),
        ("customer=globex".into(), vec![7, 4, 3]),
        ("session=run-1".into(), vec![2, 1, 0]),
        ("session=run-2".into(), vec![7, 3]),
        ("connector=crm".into(), vec![8, 7, 5, 4, 3, 2, 1, 0]),
        ("connector=nowhere".into(), vec![]),
        ("operation=opportunity.update".into(), vec![2, 1]),
        ("operation=crm.opportunity.update".into(), vec![2, 1]),
        ("decision=allow".into(), vec![8, 7, 3, 2, 0]),
        ("decision=deny".into(), vec![6, 5, 4, 1]),
        ("decision=would_deny".into(), vec![]),
        ("reason=role_lacks_scope".into(), vec![1]),
        ("reason=unknown_account".into(), vec![5]),
        ("reason=unknown_connector".into(), vec![6]),
        ("reason=upstream_unreachable".into(), vec![7]),
        (format!("since={since}"), at(&|time| time >= since)),
        (format!("until={until}"), at(&|time| time < until)),
        (format!("since={since}&until={until}&account=nobody"), vec![5]),
        (format!("since={until}&until={since}"), vec![]),
        ("customer=acme&session=run-1&connector=crm&account=user_2&operation=opportunity.update&decision=allow".into(), vec![2]),
    ] {
        for limit in [1, 2, 100] {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = stage.must(Method::GET, &format!("/v1/audit?{query}&limit={limit}{cursor}"), Value::Null).await;
                let events = page["events"].as_array().unwrap();
                assert!(events.len() <= limit);
                found.extend(events.clone());
                let Some(next) = page["cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            let expected: Vec<&Value> = expected.iter().map(|at| &events[*at]).collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{query} by {limit}");
        }
    }
    for query in [
        "customer=%20",
        "session=-",
        "decision=maybe",
        "reason=because",
        "since=yesterday",
        "until=1",
        "cursor=x",
        "limit=0",
        "limit=1001",
        "acount=user_1",
    ] {
        assert_eq!(stage.ask(Method::GET, &format!("/v1/audit?{query}"), Value::Null).await.0, 422, "{query}");
    }
    stage.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verbs_show_the_same_events_as_the_files() {
    let mut stage = Stage::new().await;
    stage.with_audit("rotate: 2KiB").await;
    let events = happen(&stage).await;
    let searched = json_of(&stage.verb(&["audit", "search", "--session", "run-1", "--decision", "allow", "-o", "json"]));
    assert_eq!(searched["events"], json!([events[2], events[0]]));
    let some = json_of(&stage.verb(&["audit", "search", "--limit", "2", "-o", "json"]));
    assert_eq!((some["events"].as_array().unwrap().len(), some["cursor"].is_string()), (2, true));
    let table = stage.verb(&["audit", "search", "--reason", "role_lacks_scope"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.status.success() && text.contains("crm.opportunity.update") && text.lines().count() == 2, "{text}");
    assert_eq!(stage.verb(&["audit", "search", "--reason", "because"]).status.code(), Some(1));

    let exported = stage.verb(&["audit", "export", "--out", "all.jsonl"]);
    assert!(exported.status.success(), "{exported:?}");
    let lines = fs::read_to_string(stage.path("all.jsonl")).unwrap();
    let exported: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported, events, "oldest first");
    assert_eq!(stage.verb(&["audit", "export", "--out", "all.jsonl"]).status.code(), Some(2), "never over a file that is there");
    assert_eq!(fs::read_to_string(stage.path("all.jsonl")).unwrap(), lines);
    let denied = stage.verb(&["audit", "export", "--decision", "deny"]);
    assert_eq!(String::from_utf8_lossy(&denied.stdout).lines().count(), 4);

    let last = stage.audit_files().pop().unwrap();
    stage.verify();
    let path = stage.path(&format!("data/{last}"));
    let forged = fs::read_to_string(&path).unwrap().replacen("\"status\":", "\"status\":1", 1);
    fs::write(&path, forged).unwrap();
    let found = run(stage.folder.path(), &["audit", "verify"]);
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.code() == Some(1) && text.contains(&format!("{last}:")) && text.contains("does not hold"), "{text}");
    assert_eq!(run(stage.folder.path(), &["audit", "verify", "nowhere/audit.jsonl"]).status.code(), Some(2));
}

/// `scopegate audit tail`, until its test ends.
struct Tail {
    child: Child,
    /// None once nobody reads it.
    output: Option<BufReader<ChildStdout>>,
    errors: BufReader<ChildStderr>,
}

impl Tail {
    fn start(stage: &Stage, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["audit", "tail", "--admin-url", &format!("http://{}", stage.admin)]).args(arguments);
        command.current_dir(stage.folder.path()).env("SCOPEGATE_ADMIN_TOKEN", crate::stage::ADMIN_TOKEN);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (output, errors) = (BufReader::new(child.stdout.take().unwrap()), BufReader::new(child.stderr.take().unwrap()));
        Self { child, output: Some(output), errors }
    }

    /// What it says on stderr next.
    fn told(&mut self) -> String {
        let mut line = String::new();
        tokio::task::block_in_place(|| self.errors.read_line(&mut line).unwrap());
        line
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Stops reading, and waits for its end.
    fn closed(mut self) -> ExitStatus {
        self.output = None;
        tokio::task::block_in_place(|| self.child.wait().unwrap())
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        tokio::task::block_in_place(|| self.output.as_mut().unwrap().read_line(&mut line).unwrap());
        line
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_shows_each_event_once_as_it_happens() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let first = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    let mut tail = Tail::start(&stage, &["-o", "json"]);
    let mut denials = Tail::start(&stage, &["--decision", "deny"]);
    let seen = |line: &str| serde_json::from_str::<Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(seen(&tail.next()), first.request_id, "what happened last, to begin with");
    for round in 1..=3 {
        let (allowed, denied) =
            (stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await, stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1").await);
        assert_eq!([seen(&tail.next()), seen(&tail.next())], [allowed.request_id, denied.request_id], "round {round}");
        let line = denials.next();
        assert!(line.contains("role_lacks_scope") && line.contains("crm.opportunity.update"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_shows_what_ends_after_what_began_later_and_waits_for_a_gateway_that_is_away() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    let mut tail = Tail::start(&stage, &["-o", "json"]);
    let path = |line: &str| serde_json::from_str::<Value>(line).unwrap()["path"].as_str().unwrap().to_owned();
    assert_eq!(path(&tail.next()), "/v1/accounts/A-1");
    // A call that lasts: its event has the time of its arrival, and comes after events of others that came later.
    let hold = stage.practice.api().hold();
    let before = stage.practice.api().requests();
    let slow = stage.call(Method::GET, "/crm/v1/files/held/a", "user_1");
    let quick = async {
        stage.practice.api().until_requests(before + 1).await;
        stage.call(Method::PATCH, "/crm/v1/opportunities/O-7", "user_1").await;
        assert_eq!(path(&tail.next()), "/v1/opportunities/O-7");
        drop(hold);
    };
    tokio::join!(slow, quick);
    assert_eq!(path(&tail.next()), "/v1/files/held/a");

    // The gateway goes, and comes back where it was.
    let settings = fs::read_to_string(stage.path("scopegate.yaml")).unwrap();
    fs::write(stage.path("scopegate.yaml"), settings.replace("admin: {listen: \"127.0.0.1:0\"", &format!("admin: {{listen: \"{}\"", stage.admin)))
        .unwrap();
    stage.kill();
    assert!(tail.told().contains("waiting for the gateway"));
    stage.restart().await;
    stage.call(Method::GET, "/crm/v1/ping", "user_1").await;
    assert_eq!(path(&tail.next()), "/v1/ping");
    assert!(tail.told().contains("answers again"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_ends_when_nobody_reads_it_and_misses_nothing_of_a_flood() {
    let stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    stage.call(Method::GET, "/crm/v1/ping", "user_1").await;
    let mut tail = Tail::start(&stage, &["-o", "json"]);
    let seq = |line: &str| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap();
    assert_eq!(seq(&tail.next()), 1);
    // More between two looks than a page holds.
    tail.signal("STOP");
    for _ in 0..1_500 {
        stage.call(Method::GET, "/crm/v1/hidden", "user_1").await;
    }
    tail.signal("CONT");
    for expected in 2..=1_501 {
        assert_eq!(seq(&tail.next()), expected);
    }
    assert!(tail.closed().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_goes_onwards_from_a_number_and_a_cursor_that_leads_nowhere_is_refused() {
    let mut stage = Stage::new().await;
    stage.with_audit("rotate: 2KiB").await;
    let events = happen(&stage).await;
    let page = stage.must(Method::GET, "/v1/audit?after_seq=0&limit=4", Value::Null).await;
    assert_eq!((&page["events"], &page["last_seq"]), (&json!(events[..4]), &json!(4)));
    let next = page["cursor"].as_str().unwrap();
    let page = stage.must(Method::GET, &format!("/v1/audit?after_seq=0&cursor={next}"), Value::Null).await;
    assert_eq!((&page["events"], &page["last_seq"], &page["cursor"]), (&json!(events[4..]), &json!(9), &Value::Null));
    let page = stage.must(Method::GET, "/v1/audit?after_seq=2&reason=role_lacks_scope", Value::Null).await;
    assert_eq!((&page["events"], &page["last_seq"]), (&json!([]), &json!(9)), "what was looked at in vain need not be looked at again");
    let newest = stage.must(Method::GET, "/v1/audit?limit=1&reason=role_lacks_scope", Value::Null).await;
    assert_eq!((&newest["events"], &newest["last_seq"]), (&json!([events[1]]), &json!(9)));
    for query in [format!("cursor=7-{}", "0".repeat(64)), format!("after_seq=0&cursor={next}0"), format!("cursor=1{next}"), "after_seq=-1".into()] {
        let (status, answer) = stage.ask(Method::GET, &format!("/v1/audit?{query}"), Value::Null).await;
        assert_eq!(status, 422, "{query}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identifier_that_can_be_none_is_told_as_it_was_given() {
    let stage = Stage::new().await;
    for (given, told) in [("a b", json!("a b")), ("u/x", json!("u/x")), (&"x".repeat(500), json!("x".repeat(128))), ("Bearer sgh_x", Value::Null)] {
        let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", given).await;
        assert_eq!((reply.status, reply.text("reason")), (401, "unknown_account"), "{given}");
        // The event is written behind the answer.
        let event = loop {
            let found = stage.search("limit=1").await.into_iter().find(|event| event["request_id"] == json!(reply.request_id));
            if let Some(event) = found {
                break event;
            }
        };
        assert_eq!(event["account"], told, "{given}");
    }
    assert_eq!(stage.search("account=a%20b").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_deleted_when_they_are_too_old_and_the_rest_is_a_chain_that_holds() {
    let mut stage = Stage::new().await;
    stage.with_audit("rotate: 1, keep: 30d").await;
    happen(&stage).await;
    assert!(stage.stop().success());
    let files = stage.audit_files();
    assert_eq!(stage.verify()["first_seq"], json!(1));
    let month = Duration::from_secs(31 * 24 * 60 * 60);
    for old in &files[1..4] {
        File::options().append(true).open(stage.path(&format!("data/{old}"))).unwrap().set_modified(now() - month).unwrap();
    }
    stage.start(&[]).await;
    let left = stage.audit_files();
    assert!(files[1..4].iter().all(|old| !left.contains(old)) && files[4..].iter().all(|young| left.contains(young)), "{files:?} {left:?}");
    let walked = stage.verify();
    assert_eq!(walked["first_seq"], json!(4), "{walked}");
    let oldest = stage.search("limit=1000").await.pop().unwrap();
    assert_eq!(oldest["seq"], json!(4));

    // Nobody else takes one away unseen, be it the first of those that are left or one in the midst.
    for gone in [&left[1], &left[3]] {
        let path = stage.path(&format!("data/{gone}"));
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(run(stage.folder.path(), &["audit", "verify"]).status.code(), Some(1), "{gone}");
        fs::write(&path, text).unwrap();
        stage.verify();
    }
}

#[expect(clippy::disallowed_methods, reason = "files have the machine's time")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hang_up_goes_on_in_a_new_file_where_the_old_one_was_moved_away() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let mut ids = Vec::new();
    for round in 1..=3 {
        let id = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.request_id;
        while stage.search("limit=1").await.iter().all(|event| event["request_id"] != *id) {}
        ids.push(id);
        let moved = stage.path(&format!("data/audit.jsonl.{round}"));
        fs::rename(stage.path("data/audit.jsonl"), &moved).unwrap();
        stage.hang_up();
        while !stage.path("data/audit.jsonl").exists() {}
        assert!(fs::read_to_string(&moved).unwrap().contains(ids.last().unwrap()));
    }
    ids.push(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.request_id);
    while stage.search("").await.len() < ids.len() {}
    let mut found: Vec<Value> = stage.search("").await.iter().map(|event| event["request_id"].clone()).collect();
    found.reverse();
    assert_eq!(json!(found), json!(ids));
    assert!(stage.stop().success());
    assert_eq!(stage.verify()["files"], json!(4));
}
