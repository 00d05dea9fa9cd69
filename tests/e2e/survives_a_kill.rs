//! What was answered is durable: a process that is killed and started again serves the same accounts.

use crate::stage::{ADMIN_TOKEN, BINARY, Stage};
use reqwest::Method;
use std::process::{Command, Stdio};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_handles_and_rotated_tokens_outlive_a_kill() {
    let mut stage = Stage::new().await;
    let label = stage.account("acme", "user_1", "researcher").await;
    let handle = stage.handle("crm", "user_1").await;
    for round in 1..=3 {
        stage.practice.provider().expire(&label);
        assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200, "round {round}");
        stage.kill_and_restart().await;
        for account in ["user_1", &handle] {
            let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", account).await;
            assert_eq!((reply.status, reply.text("owner")), (200, "acme/user_1"), "round {round}, {account}: {}", reply.body);
        }
    }
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_refresh_loses_no_account() {
    let mut stage = Stage::new().await;
    let provider = stage.practice.provider().clone();
    let label = stage.account("acme", "user_1", "researcher").await;
    provider.expire(&label);
    let hold = provider.hold();
    let call = stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_1");
    let (lost, ()) = tokio::join!(call.send(), async {
        provider.until_refreshes(&label, 1).await;
        stage.kill_and_restart().await;
    });
    assert!(lost.is_err());
    // The call is let go only when the process that made it is gone; whether it rotated is not known to the new one.
    drop(hold);
    let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    let told = (reply.status, reply.text("reason"));
    assert!(matches!(told, (200, "") | (403, "reauthorization_required")), "{told:?} {}", reply.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_ends_what_is_under_way_and_then_itself() {
    let mut stage = Stage::new().await;
    stage.account("acme", "user_1", "researcher").await;
    let api = stage.practice.api().clone();
    let hold = api.hold();
    let call = stage.request(Method::GET, "/crm/v1/files/held/a", "user_1");
    let (answer, status) = tokio::join!(call.send(), async {
        api.until_requests(1).await;
        stage.terminate();
        stage.until_unready().await;
        drop(hold);
        stage.ended()
    });
    assert_eq!((answer.unwrap().status().as_u16(), status.code()), (200, Some(0)), "{}", stage.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_in_the_middle_of_a_refresh_it_keeps_what_comes_of_it() {
    let mut stage = Stage::new().await;
    let provider = stage.practice.provider().clone();
    let label = stage.account("acme", "user_1", "researcher").await;
    for round in 1..=3 {
        provider.expire(&label);
        let hold = provider.hold();
        let call = stage.request(Method::GET, "/crm/v1/accounts/A-1", "user_1");
        let (answered, status) = tokio::join!(call.send(), async {
            provider.until_refreshes(&label, round).await;
            stage.terminate();
            stage.until_unready().await;
            drop(hold);
            stage.ended()
        });
        assert_eq!((answered.unwrap().status().as_u16(), status.code()), (200, Some(0)), "{}", stage.log());
        stage.restart().await;
        assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, 200);
        assert_eq!((provider.refreshes(&label).arrived, provider.problems()), (round, vec![]), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_while_it_starts_it_ends_as_well_as_later() {
    let mut stage = Stage::new().await;
    assert!(stage.stop().success());
    // As long as this is held the next one waits for its store.
    let database = rusqlite::Connection::open(stage.path("data/scopegate.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut command = Command::new(BINARY);
    command.args(["serve", "-c", "scopegate.yaml"]).current_dir(stage.folder.path()).env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN);
    let mut starting = command.stderr(Stdio::null()).spawn().unwrap();
    while !hears_of_its_end(starting.id()) {
        assert!(starting.try_wait().unwrap().is_none(), "it did not wait for its store");
    }
    let told = Command::new("sh").args(["-c", &format!("kill -TERM {}", starting.id())]).status().unwrap();
    database.execute_batch("ROLLBACK").unwrap();
    assert!(told.success() && tokio::task::block_in_place(|| starting.wait().unwrap()).success());
}

/// Whether a process has something to do when it is told to stop, other than dying.
fn hears_of_its_end(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
}
