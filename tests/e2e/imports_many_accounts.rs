//! `scopegate account import`: all lines are checked before one is taken, and an import that is cut off anywhere goes on
//! when it is run again.

use crate::scripted;
use crate::stage::{ADMIN_TOKEN, BINARY, Stage, label, run};
use reqwest::Method;
use scopegate::tasks::Tasks;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output, Stdio};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Customers, each with an account that is connected and one that shares its grant.
const CUSTOMERS: usize = 800;

/// What is imported, and how many pieces of at most 500 lines that is.
fn lines() -> String {
    let mut text = String::new();
    for number in 0..CUSTOMERS {
        let line = |identifier: &str, role: &str, key: &str, value: Value| json!({"connector": "crm", "identifier": format!("{identifier}-{number}"), "customer": format!("c-{number}"), "role": role, key: value});
        writeln!(text, "{}", line("p", "publisher", "grant", json!({"shared_with": format!("r-{number}")}))).unwrap();
        let credential =
            json!({"access_token": format!("at-{number}"), "refresh_token": format!("rt-{number}"), "expires_in": 86400, "scope": "api"});
        writeln!(text, "{}", line("r", "researcher", "credentials", credential)).unwrap();
    }
    text
}

const PIECES: usize = (2 * CUSTOMERS).div_ceil(500);

/// What becomes of one piece on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// It never arrives.
    Before,
    /// It arrives, and the answer is lost.
    Behind,
    /// It waits where nobody sees it.
    Hold,
}

/// Passes calls on to the admin API, and cuts one piece off.
struct Relay {
    address: SocketAddr,
    reached: watch::Receiver<bool>,
    tasks: Tasks,
}

impl Relay {
    async fn start(stage: &Stage, piece: usize, cut: Cut) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), Tasks::new(Handle::current()));
        let (reach, reached) = watch::channel(false);
        let (http, admin, end) = (stage.http.clone(), stage.admin, tasks.token());
        tasks.spawn("relay", async move {
            let mut left = piece;
            while let Some(Ok((mut stream, _))) = end.run_until_cancelled(listener.accept()).await {
                let mut bytes = Vec::new();
                while let Ok(Some((line, whole))) = scripted::request(&mut stream, &mut bytes).await {
                    let request: Vec<u8> = bytes.drain(..whole).collect();
                    let is_it = line.starts_with("POST /v1/accounts:import HTTP") && {
                        let is_it = left == 0;
                        left = left.wrapping_sub(1);
                        is_it
                    };
                    if is_it && cut != Cut::Behind {
                        reach.send_replace(true);
                    }
                    match cut {
                        Cut::Before if is_it => break,
                        Cut::Hold if is_it => end.cancelled().await,
                        Cut::Before | Cut::Behind | Cut::Hold => {}
                    }
                    let answer = passed_on(&http, admin, &line, &request).await;
                    if is_it {
                        reach.send_replace(true);
                        break;
                    }
                    if stream.write_all(&answer).await.is_err() {
                        break;
                    }
                }
            }
        });
        Self { address, reached, tasks }
    }

    async fn until_reached(&mut self) {
        self.reached.wait_for(|reached| *reached).await.unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

async fn passed_on(http: &reqwest::Client, admin: SocketAddr, line: &str, request: &[u8]) -> Vec<u8> {
    let (method, target) = line.split_once(' ').unwrap();
    let target = target.split_once(' ').unwrap().0;
    let body = request.windows(4).position(|four| four == b"\r\n\r\n").map(|end| request[end + 4..].to_vec()).unwrap();
    let call = http.request(method.parse().unwrap(), format!("http://{admin}{target}")).bearer_auth(ADMIN_TOKEN).body(body);
    let answer = call.send().await.unwrap();
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    [format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
}

fn import(stage: &Stage, arguments: &[&str]) -> (Output, Value) {
    let admin = format!("http://{}", stage.admin);
    let whole = [&["account", "import", "-o", "json"], arguments].concat();
    let whole = if arguments.contains(&"--admin-url") { whole } else { [&whole[..], &["--admin-url", &admin]].concat() };
    let ended = tokio::task::block_in_place(|| run(stage.folder.path(), &whole));
    let told = serde_json::from_slice(&ended.stdout).unwrap_or(Value::Null);
    (ended, told)
}

fn counts(told: &Value) -> [usize; 4] {
    ["created", "updated", "unchanged", "failed"].map(|name| usize::try_from(told[name].as_u64().unwrap()).unwrap())
}

/// All is there, once, and imported again changes nothing.
async fn all_is_there(stage: &Stage) {
    let (again, told) = import(stage, &["accounts.jsonl"]);
    assert_eq!((again.status.code(), counts(&told)), (Some(0), [0, 0, 2 * CUSTOMERS, 0]), "{told}");
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let page = stage.must(Method::GET, &format!("/v1/accounts?status=active&limit=1000{cursor}"), Value::Null).await;
        seen += page["accounts"].as_array().unwrap().len();
        let Some(next) = page["cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, 2 * CUSTOMERS);
    let database = rusqlite::Connection::open(stage.path("data/scopegate.db")).unwrap();
    let grants: isize = database.query_row("SELECT count(*) FROM grants", [], |row| row.get(0)).unwrap();
    assert_eq!(grants.unsigned_abs(), CUSTOMERS, "one grant for each customer, and none that nobody uses");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_accounts_come_in_and_serve() {
    let stage = Stage::new().await;
    let mut text = lines();
    let seeded = stage.practice.provider().seed(&label("acme", "agent"), "api write").credentials();
    let agent = json!({"connector": "crm", "identifier": "agent", "customer": "acme", "role": "researcher", "credentials": seeded});
    writeln!(text, "\n{agent}\n").unwrap();
    let mut command = Command::new(BINARY);
    command.args(["account", "import", "-", "--admin-url", &format!("http://{}", stage.admin)]).current_dir(stage.folder.path());
    command.env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let ended = tokio::task::block_in_place(|| child.wait_with_output().unwrap());
    let (out, err) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    assert_eq!(ended.status.code(), Some(0), "{out} {err}");
    let words: Vec<&str> = out.split_whitespace().collect();
    let all = (2 * CUSTOMERS + 1).to_string();
    assert_eq!(words, ["created", &all, "updated", "0", "unchanged", "0", "failed", "0"]);
    for told in [format!("checked {all} of {all}"), format!("imported {all} of {all}")] {
        assert!(err.contains(&told), "{told}: {err}");
    }
    let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "agent").await;
    assert_eq!((reply.status, reply.text("owner")), (200, "acme/agent"), "{}", reply.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_off_anywhere_it_goes_on_where_it_was() {
    for (piece, cut) in [(0, Cut::Before), (1, Cut::Behind), (PIECES - 1, Cut::Before), (PIECES - 1, Cut::Behind)] {
        let mut stage = Stage::new().await;
        std::fs::write(stage.path("accounts.jsonl"), lines()).unwrap();
        let relay = Relay::start(&stage, piece, cut).await;
        let (ended, told) = import(&stage, &["accounts.jsonl", "--admin-url", &format!("http://{}", relay.address)]);
        assert_eq!(ended.status.code(), Some(2), "{piece} {cut:?}: {told}");
        let [created, updated, unchanged, failed] = counts(&told);
        assert_eq!((created + failed, updated, unchanged), (2 * CUSTOMERS, 0, 0), "{piece} {cut:?}: {told}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains(&format!("{failed} lines are not in")), "{ended:?}");
        stage.kill_and_restart().await;
        let (ended, told) = import(&stage, &["accounts.jsonl"]);
        let lost = if cut == Cut::Behind { failed.min(500) } else { 0 };
        assert_eq!((ended.status.code(), counts(&told)), (Some(0), [failed - lost, 0, created + lost, 0]), "{piece} {cut:?}: {told}");
        all_is_there(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_imports_may_be_killed() {
    let stage = Stage::new().await;
    std::fs::write(stage.path("accounts.jsonl"), lines()).unwrap();
    let mut relay = Relay::start(&stage, 2, Cut::Hold).await;
    let mut command = Command::new(BINARY);
    command.args(["account", "import", "accounts.jsonl", "--admin-url", &format!("http://{}", relay.address)]);
    command.current_dir(stage.folder.path()).env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    relay.until_reached().await;
    child.kill().unwrap();
    child.wait().unwrap();
    let (ended, told) = import(&stage, &["accounts.jsonl"]);
    assert_eq!((ended.status.code(), counts(&told)), (Some(0), [2 * CUSTOMERS - 1000, 0, 1000, 0]), "{told}");
    all_is_there(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_may_be_killed_while_it_takes_a_piece() {
    let mut stage = Stage::new().await;
    std::fs::write(stage.path("accounts.jsonl"), lines()).unwrap();
    let first: String = lines().lines().take(500).map(|line| format!("{line}\n")).collect();
    let call = stage.http.post(format!("http://{}/v1/accounts:import", stage.admin)).bearer_auth(ADMIN_TOKEN).body(first);
    // Whether the piece is in by then is chance; that it is in whole or not at all is not.
    let (_, ()) = tokio::join!(call.send(), stage.kill_and_restart());
    let (ended, told) = import(&stage, &["accounts.jsonl"]);
    let [created, updated, unchanged, failed] = counts(&told);
    assert_eq!((ended.status.code(), created + unchanged, updated, failed), (Some(0), 2 * CUSTOMERS, 0, 0), "{told}");
    assert!([0, 500].contains(&unchanged), "{told}");
    all_is_there(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_line_keeps_all_of_them_out() {
    let stage = Stage::new().await;
    let mut text = lines();
    text.insert_str(0, "{\"connector\": \"crm\"}\n");
    text.push_str("{\"connector\": \"crm\", \"identifier\": \"r-0\", \"customer\": \"c-0\", \"role\": \"nosuch\"}\n");
    std::fs::write(stage.path("accounts.jsonl"), text).unwrap();
    let (ended, told) = import(&stage, &["accounts.jsonl"]);
    assert_eq!((ended.status.code(), counts(&told)), (Some(1), [0, 0, 0, 2 * CUSTOMERS + 2]), "{told}");
    let found: Vec<_> =
        told["findings"].as_array().unwrap().iter().map(|one| (one["line"].as_u64().unwrap(), one["field"].as_str().unwrap())).collect();
    let last = 2 * CUSTOMERS as u64 + 2;
    assert_eq!(found, [(1, "identifier"), (last, "role"), (last, "identifier")]);
    let human = tokio::task::block_in_place(|| {
        run(stage.folder.path(), &["account", "import", "accounts.jsonl", "--admin-url", &format!("http://{}", stage.admin)])
    });
    assert!(String::from_utf8_lossy(&human.stdout).contains(&format!("accounts.jsonl:{last}: `role` is named by no policy")), "{human:?}");
    assert_eq!(stage.must(Method::GET, "/v1/accounts", Value::Null).await["accounts"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_it_from_running_is_no_finding() {
    let stage = Stage::new().await;
    std::fs::write(stage.path("accounts.jsonl"), lines()).unwrap();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    assert!(TcpStream::connect(closed).await.is_err());
    for arguments in [&["no-such-file"][..], &["accounts.jsonl", "--admin-url", &format!("http://{closed}")]] {
        let (ended, _) = import(&stage, arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {ended:?}");
    }
}
