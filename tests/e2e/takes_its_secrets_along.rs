//! However a process ends, what it knew is written nowhere: no core dump, and no word of a panic.

use crate::canary::{Place, Secret, assert_findable, found};
use crate::stage::{ADMIN_TOKEN, BINARY, Stage};
use rustix::process::{Pid, Resource, Rlimit, Signal, geteuid, kill_process, prlimit};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

/// A process without privileges, as every user's: root's may read all others, which would show nothing.
fn plain(program: &str) -> Command {
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", program]);
    command
}

/// Whether another process of this user can read what this one has in its memory.
fn can_be_read(process: u32) -> bool {
    let environment = format!("/proc/{process}/environ");
    plain("cat").arg(environment).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

/// Ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the binary and waits until it says `sign`; then it may leave no core and cannot be read by others, and is ended by
/// what leaves a core where one may be left.
fn assert_leaves_no_core(folder: &Path, arguments: &[&str], sign: &str) {
    let mut command = plain(BINARY);
    command.args(arguments).current_dir(folder).env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN);
    // `dev` tells on stdout what `serve` tells on stderr.
    let (mut output, both) = std::io::pipe().unwrap();
    let mut running = Running(command.stdout(both.try_clone().unwrap()).stderr(both).spawn().unwrap());
    let child = &mut running.0;
    drop(command);
    let said = BufReader::new(&mut output).lines().map_while(Result::ok).find(|line| line.contains(sign));
    assert!(said.is_some(), "it never said {sign}");

    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core: Vec<&str> = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().skip(4).collect();
    assert_eq!(core, ["0", "0", "bytes"]);
    let mut other = plain("sh").args(["-c", "echo here; read line"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert!(can_be_read(other.id()), "a process that may be dumped can be read");
    assert!(!can_be_read(child.id()), "one that may not be dumped cannot be read either");
    drop(other.stdin.take());
    other.wait().unwrap();

    let pid = Pid::from_child(child);
    // Collectors of cores heed no limit: without one it still leaves none. Whoever may not lift it has seen enough.
    let _ = prlimit(Some(pid), Resource::Core, Rlimit { current: None, maximum: None });
    kill_process(pid, Signal::ABORT).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(Signal::ABORT.as_raw()), false), "{ended:?}");
    let names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.starts_with("core")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_leaves_no_core() {
    let mut stage = Stage::new().await;
    assert!(stage.stop().success());
    tokio::task::block_in_place(|| assert_leaves_no_core(stage.folder.path(), &["serve"], "gateway at"));
}

#[test]
fn dev_leaves_no_core() {
    let folder = tempfile::tempdir().unwrap();
    assert_leaves_no_core(folder.path(), &["dev", "there", "--port", "0"], "curl");
}

/// The same end of a process that has not given up its cores: where this leaves one, the tests above would see it.
#[test]
fn where_cores_can_be_left_an_abort_is_seen_to_leave_one() {
    let folder = tempfile::tempdir().unwrap();
    let ended = Command::new("sh").args(["-c", "ulimit -c unlimited && kill -ABRT $$"]).current_dir(folder.path()).status().unwrap();
    let left = fs::read_dir(folder.path()).unwrap().count();
    println!("an abort leaves a core on this machine: {} ({left} files)", ended.core_dumped());
    assert!(ended.core_dumped() || left == 0);
}

const CANARY: &str = "e2e-canary-in-a-panic-7c2e90d4";

/// What cannot be read, and is shown by whoever unwraps it.
#[derive(Debug)]
struct Canary;

impl FromStr for Canary {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Err(text.to_owned())
    }
}

/// Tells this program, started once more, how to panic.
const HOW: &str = "SCOPEGATE_E2E_PANIC";

/// No test by itself: panics with a secret at hand, where it is told to.
#[test]
#[expect(clippy::disallowed_methods, reason = "how this program is told what to do")]
fn panics_where_it_is_told_to() {
    let Ok(how) = std::env::var(HOW) else { return };
    if how != "plain" {
        // What every verb does first.
        assert_eq!(format!("{:?}", scopegate::cli::run(["scopegate", "version"].map(Into::into))), format!("{:?}", std::process::ExitCode::SUCCESS));
    }
    match how.as_str() {
        "unwrap" => CANARY.parse::<Canary>().map(drop).unwrap(),
        "task" => {
            let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
            let tasks = scopegate::tasks::Tasks::new(runtime.handle().clone());
            let ended = runtime.block_on(tasks.spawn("panics", async { panic!("in a task: {CANARY}") }));
            assert!(ended.is_err());
            panic!("and on: {CANARY}");
        }
        _ => panic!("here it is: {CANARY}"),
    }
}

/// What is written by a process that panics.
fn panicking(how: &str) -> Vec<Place> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "takes_its_secrets_along::panics_where_it_is_told_to", "--nocapture"]);
    let ended = command.env(HOW, how).env("RUST_BACKTRACE", "1").env("SCOPEGATE_LOG", "trace").output().unwrap();
    assert!(!ended.status.success());
    vec![Place::new(format!("stdout ({how})"), ended.stdout), Place::new(format!("stderr ({how})"), ended.stderr)]
}

#[test]
fn a_panic_says_where_it_was_and_not_what_it_had_in_its_hands() {
    let canary = Secret::new("what a panic said", CANARY);
    for how in ["panic", "unwrap", "task"] {
        let places = panicking(how);
        let told = places.iter().any(|place| place.holds("a mistake of this program at tests/e2e/takes_its_secrets_along.rs:"));
        assert!(told, "{how}: {}", String::from_utf8_lossy(&places[1].bytes));
        assert_findable(&places, &canary);
        assert_eq!(found(&places, std::slice::from_ref(&canary)), Vec::<String>::new());
    }
    // Without what every verb does first it would be told.
    assert!(!found(&panicking("plain"), &[canary]).is_empty());
}
