//! A store that takes nothing: before a refresh call none is made; after one the new tokens are kept in memory until they are durable,
//! nobody gets them before, and everybody is told in time.

use crate::mortal::{GATEWAY, GO_ON, TAKE_NOTHING};
use crate::outlives_a_full_disk::{fill, in_a_small_file_system, small_file_system};
use crate::raw;
use crate::refreshes_once_for_many::join_all;
use crate::stage::{Program, Reply, Script, Stage, account_path};
use reqwest::Method;
use scopegate::practice::Label;
use serde_json::Value;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// How long anybody waits for an answer at most.
const BOUND: Duration = Duration::from_secs(20);
const CALLERS: usize = 8;
/// What the gateway says whenever the store does not take what a refresh brought.
const HELD_UP: &str = "a refresh could not go on";

fn get(stage: &Stage) -> impl Future<Output = Reply> {
    let call = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1");
    async move { tokio::time::timeout(BOUND, call).await.unwrap_or_else(|_| panic!("neither answered nor refused in time")) }
}

fn said(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.text("reason"))
}

async fn until_served(stage: &Stage) -> Reply {
    loop {
        let reply = get(stage).await;
        if reply.status == 200 {
            return reply;
        }
        assert_eq!(said(&reply), (503, "store_unavailable"));
    }
}

/// All callers wait for one refresh call when `stop` stops the store; then the provider answers.
async fn stopped_behind_the_call(stage: &Stage, label: &Label, stop: impl AsyncFn(&Stage)) -> Vec<Reply> {
    let provider = stage.practice.provider();
    provider.expire(label);
    let hold = provider.hold();
    let mut callers = Box::pin(join_all((0..CALLERS).map(|_| Box::pin(get(stage))).collect()));
    tokio::select! {
        _ = &mut callers => panic!("the provider keeps its answer back"),
        () = provider.until_refreshes(label, 1) => {}
    }
    stop(stage).await;
    drop(hold);
    callers.await
}

/// New tokens that are not durable are given to nobody, and are durable when there is room; `go_on` makes some.
async fn keeps_new_tokens(stage: &mut Stage, label: &Label, stop: impl AsyncFn(&Stage), go_on: impl AsyncFn(&Stage)) {
    let provider = stage.practice.provider().clone();
    let told = stopped_behind_the_call(stage, label, stop).await;
    for reply in &told {
        assert_eq!(said(reply), (503, "store_unavailable"), "{}", reply.body);
    }
    for _ in 0..CALLERS {
        assert_eq!(said(&get(stage).await), (503, "store_unavailable"), "and whoever comes later");
    }
    let live = stage.practice.api().seen().iter().filter(|seen| seen.owner.as_ref().is_some_and(|owner| owner.live)).count();
    let calls = provider.refreshes(label);
    assert_eq!((live, calls.arrived, calls.granted), (0, 1, 1), "the new token is sent nowhere before it is durable");
    go_on(stage).await;
    assert_eq!(until_served(stage).await.text("owner"), label.to_string());
    assert_eq!((provider.refreshes(label).arrived, provider.problems()), (1, vec![]));
    stage.kill_and_restart().await;
    assert_eq!(get(stage).await.status, 200);
    stage.must(Method::POST, &format!("{}/refresh", account_path("crm", "user_1")), Value::Null).await;
    assert_eq!((get(stage).await.status, provider.refreshes(label).arrived, provider.problems()), (200, 2, vec![]), "the rotated token was kept");
}

/// A gateway whose store does as it is told.
async fn obedient() -> (Stage, Label) {
    let stage = Stage::with(Script { program: Program::Test(GATEWAY), ..Script::default() }).await;
    let label = stage.account("acme", "user_1", "researcher").await;
    (stage, label)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_intent_can_be_kept_no_call_is_made() {
    let (stage, label) = obedient().await;
    let provider = stage.practice.provider();
    provider.expire(&label);
    stage.cue(TAKE_NOTHING).await;
    for reply in join_all((0..CALLERS).map(|_| Box::pin(get(&stage))).collect()).await {
        assert_eq!(said(&reply), (503, "store_unavailable"), "{}", reply.body);
    }
    let (status, answer) = stage.ask(Method::POST, &format!("{}/refresh", account_path("crm", "user_1")), Value::Null).await;
    assert_eq!((status, answer["reason"].as_str()), (503, Some("store_unavailable")));
    assert_eq!(provider.refreshes(&label).arrived, 0);
    stage.cue(GO_ON).await;
    assert_eq!(until_served(&stage).await.text("owner"), "acme/user_1");
    assert_eq!((provider.refreshes(&label).arrived, provider.problems()), (1, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_tokens_are_kept_until_the_store_takes_them_and_given_to_nobody_before() {
    let (mut stage, label) = obedient().await;
    keeps_new_tokens(&mut stage, &label, async |stage| stage.cue(TAKE_NOTHING).await, async |stage| stage.cue(GO_ON).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_grant_is_told_at_once_and_written_when_it_can_be() {
    let (stage, label) = obedient().await;
    let provider = stage.practice.provider();
    provider.withdraw(&label);
    let told = stopped_behind_the_call(&stage, &label, async |stage| stage.cue(TAKE_NOTHING).await).await;
    for reply in told {
        assert_eq!(said(&reply), (403, "reauthorization_required"), "{}", reply.body);
    }
    assert_eq!(said(&get(&stage).await), (403, "reauthorization_required"), "and whoever comes later");
    stage.cue(GO_ON).await;
    while stage.status("user_1").await != "reauthorization_required" {
        tokio::task::yield_now().await;
    }
    assert_eq!(provider.refreshes(&label).arrived, 1);
}

/// After half of a lease its holder renews it before it writes; that it cannot does not mean that it has lost it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_grant_is_written_also_after_a_long_outage() {
    let (stage, label) = obedient().await;
    let provider = stage.practice.provider();
    provider.withdraw(&label);
    stopped_behind_the_call(&stage, &label, async |stage| stage.cue(TAKE_NOTHING).await).await;
    tokio::time::sleep(Duration::from_secs(45)).await;
    stage.cue(GO_ON).await;
    while stage.status("user_1").await != "reauthorization_required" {
        tokio::task::yield_now().await;
    }
    assert_eq!((provider.refreshes(&label).arrived, provider.problems()), (1, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_files_behind_the_call_loses_no_token() {
    let mut stage = Stage::new().await;
    let label = stage.account("acme", "user_1", "researcher").await;
    keeps_new_tokens(&mut stage, &label, async |stage| stage.limit_files(Some(0)), async |stage| stage.limit_files(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_goes_on_with_tokens_in_hand_until_the_store_takes_them() {
    let mut stage = Stage::new().await;
    let label = stage.account("acme", "user_1", "researcher").await;
    let provider = stage.practice.provider().clone();
    stopped_behind_the_call(&stage, &label, async |stage| stage.limit_files(Some(0))).await;
    stage.terminate();
    for _ in 0..3 {
        stage.until_said(HELD_UP, stage.log().matches(HELD_UP).count()).await;
    }
    stage.limit_files(None);
    assert!(stage.ended().success());
    assert!(!stage.log().contains("its tokens are lost"), "{}", stage.log());
    stage.restart().await;
    assert_eq!(until_served(&stage).await.text("owner"), label.to_string());
    stage.must(Method::POST, &format!("{}/refresh", account_path("crm", "user_1")), Value::Null).await;
    assert_eq!((provider.refreshes(&label).arrived, provider.problems()), (2, vec![]), "the rotated token was kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_takes_its_grace_once_and_says_what_it_took_along() {
    let mut stage = Stage::with(Script { gateway: ", grace: 8s", ..Script::default() }).await;
    let label = stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    let head = format!("PUT /crm/v1/files/a HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_2\r\nContent-Length: 100\r\n\r\n", stage.gateway);
    let mut unfinished = raw::connect(stage.gateway).await;
    unfinished.write_all(head.as_bytes()).await.unwrap();
    stopped_behind_the_call(&stage, &label, async |stage| stage.limit_files(Some(0))).await;
    let began = stage.clock.instant();
    stage.terminate();
    stage.ended();
    let took = stage.clock.instant().since(began);
    assert!((8..14).contains(&took.as_secs()), "{took:?}");
    for said in ["1 requests did not end within", "its tokens are lost"] {
        assert!(stage.log().contains(said), "{said}: {}", stage.log());
    }
}

#[test]
fn a_full_file_system_behind_the_call_loses_no_token() {
    in_a_small_file_system("keeps_what_the_store_does_not_take::in_the_small_file_system_where_it_is_told_to");
}

/// No test by itself: what the one above does in the small file system.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_small_file_system_where_it_is_told_to() {
    let Some(small) = small_file_system() else { return };
    let ballast = small.join("ballast");
    let mut stage = Stage::new().await;
    let label = stage.account("acme", "user_1", "researcher").await;
    let stop = async |_: &Stage| println!("filled {}", fill(&ballast));
    keeps_new_tokens(&mut stage, &label, stop, async |_: &Stage| std::fs::remove_file(&ballast).unwrap()).await;
}
