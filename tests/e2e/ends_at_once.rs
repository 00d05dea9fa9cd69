//! What an operator ends has ended: for the next request, and for those that wait.

use crate::stage::{POLICY, Reply, Script, Stage, account_path, label};
use reqwest::Method;
use scopegate::practice::Whose;
use serde_json::{Value, json};
use std::time::Duration;

/// Less than the 15 s that a token endpoint has.
const AT_ONCE: Duration = Duration::from_secs(10);

const TARGET: &str = "/crm/v1/accounts/A-1";

/// What an operator may do to an account that is in use.
#[derive(Clone, Copy, Debug)]
enum End {
    Revoke,
    Disable,
    Delete,
    AnotherRole,
    HandleTaken,
}

const ENDS: [(End, u16, &str); 5] = [
    (End::Revoke, 403, "reauthorization_required"),
    (End::Disable, 401, "unknown_account"),
    (End::Delete, 401, "unknown_account"),
    (End::AnotherRole, 403, "role_lacks_scope"),
    (End::HandleTaken, 401, "unknown_account"),
];

async fn end(stage: &Stage, end: End, identifier: &str, handle: &Value) {
    let path = account_path("crm", identifier);
    match end {
        End::Revoke => stage.must(Method::POST, &format!("{path}/revoke"), Value::Null).await,
        End::Disable => stage.must(Method::PATCH, &path, json!({"status": "disabled"})).await,
        End::Delete => stage.must(Method::DELETE, &path, Value::Null).await,
        End::AnotherRole => stage.must(Method::PATCH, &path, json!({"role": "responder"})).await,
        End::HandleTaken => stage.must(Method::DELETE, &format!("{path}/handles/{}", handle["id"].as_str().unwrap()), Value::Null).await,
    };
}

/// An account, and a handle of it.
async fn account(stage: &Stage, identifier: &str) -> Value {
    stage.account("acme", identifier, "researcher").await;
    stage.must(Method::POST, &format!("{}/handles", account_path("crm", identifier)), json!({})).await
}

fn told(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.text("reason"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_request_finds_it_ended() {
    let stage = Stage::new().await;
    for (number, (what, status, reason)) in ENDS.into_iter().enumerate() {
        let identifier = format!("next_{number}");
        let handle = account(&stage, &identifier).await;
        let text = handle["handle"].as_str().unwrap();
        assert_eq!(stage.call(Method::GET, TARGET, text).await.status, 200);
        end(&stage, what, &identifier, &handle).await;
        assert_eq!(told(&stage.call(Method::GET, TARGET, text).await), (status, reason), "{what:?}");
    }
}

/// Ends `identifier` while a request of its handle waits for a refresh whose answer does not come; what the request was told, in less time than
/// the refresh would be waited for, and how often the API was called for it.
async fn told_while_waiting(stage: &Stage, what: End, identifier: &str, handle: &Value) -> (Reply, usize) {
    let (provider, whose) = (stage.practice.provider(), label("acme", identifier));
    let hold = provider.hold();
    let mut waits = Box::pin(stage.call(Method::GET, TARGET, handle["handle"].as_str().unwrap()));
    tokio::select! {
        reply = &mut waits => panic!("the provider keeps its answer back: {reply:?}"),
        () = provider.until_refreshes(&whose, 1) => {}
    }
    end(stage, what, identifier, handle).await;
    let reply = tokio::time::timeout(AT_ONCE, waits).await.unwrap_or_else(|_| panic!("{what:?} is told when the refresh is over"));
    drop(hold);
    let calls = stage.practice.api().seen().iter().filter(|seen| seen.owner.as_ref().is_some_and(|owner| owner.label == whose)).count();
    (reply, calls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_a_token_is_refused_and_sends_nothing() {
    let policy = POLICY.replace("pkce: S256\n", "pkce: S256\n      refresh: on_use\n");
    let stage = Stage::with(Script { policy, ..Script::default() }).await;
    let provider = stage.practice.provider();
    provider.set_lifetime(Whose::Everybody, Duration::from_secs(1));
    let mut all = Vec::new();
    for (number, (what, status, reason)) in ENDS.into_iter().enumerate() {
        let identifier = format!("waits_{number}");
        let handle = account(&stage, &identifier).await;
        all.push((what, status, reason, identifier, handle));
    }
    // The second for which these tokens live; from now on whoever needs one waits for a refresh.
    stage.clock.sleep(Duration::from_secs(1)).await;
    provider.set_lifetime(Whose::Everybody, Duration::from_secs(3600));
    for (what, status, reason, identifier, handle) in all {
        let (reply, calls) = told_while_waiting(&stage, what, &identifier, &handle).await;
        assert_eq!((told(&reply), calls), ((status, reason), 0), "{what:?}: {reply:?}");
        assert_eq!(reply.body["upstream_called"], false, "{what:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_to_be_sent_again_is_not() {
    let stage = Stage::new().await;
    for (number, (what, status, reason)) in ENDS.into_iter().enumerate() {
        let identifier = format!("again_{number}");
        let handle = account(&stage, &identifier).await;
        stage.practice.provider().expire(&label("acme", &identifier));
        let (reply, calls) = told_while_waiting(&stage, what, &identifier, &handle).await;
        assert_eq!((told(&reply), calls), ((status, reason), 1), "{what:?}: {reply:?}");
        assert_eq!(reply.body["upstream_called"], true, "{what:?}");
    }
}
