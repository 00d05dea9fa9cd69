//! However many callers meet a token that is over: one refresh, and all of them are served with what it brought.

use crate::raw;
use crate::stage::{Reply, Stage, account_path};
use reqwest::Method;
use scopegate::practice::{Fault, Whose};
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

const CROWD: usize = 200;

async fn crowd(stage: &Stage, identifier: &str) -> Vec<Reply> {
    let calls = (0..CROWD).map(|_| stage.request(Method::GET, "/crm/v1/accounts/A-1", identifier));
    let calls: Vec<_> = calls.map(|request| stage.send(request)).collect();
    let mut replies = Vec::new();
    for reply in join_all(calls).await {
        replies.push(reply);
    }
    replies
}

/// Runs the futures at once.
pub(crate) async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in waiting.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(ready) = future.as_mut().poll(context) {
                *output = Some(ready);
            }
        }
        if waiting.iter().all(|(_, output)| output.is_some()) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

fn assert_all_served(replies: &[Reply], owner: &str) {
    assert_eq!(replies.len(), CROWD);
    for reply in replies {
        assert_eq!((reply.status, reply.text("owner")), (200, owner), "{} {}", reply.decision, reply.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_meets_an_expired_token_costs_one_token_call() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let label = stage.account("acme", "user_1", "researcher").await;
    let lifetime = Duration::from_secs(1);
    provider.set_lifetime(Whose::Of(label.clone()), lifetime);
    let brought = provider.seed(&label, "api write").credentials();
    provider.set_lifetime(Whose::Of(label.clone()), Duration::from_secs(3600));
    let hold = provider.hold();
    stage.must(Method::PUT, &format!("{}/credentials", account_path("crm", "user_1")), brought).await;
    // Only time ends a token.
    stage.clock.sleep(lifetime).await;
    let (replies, ()) = tokio::join!(crowd(&stage, "user_1"), async {
        provider.until_refreshes(&label, 1).await;
        drop(hold);
    });
    assert_all_served(&replies, "acme/user_1");
    assert_eq!((provider.refreshes(&label).arrived, provider.problems()), (1, Vec::new()));
    assert!(stage.practice.api().seen().iter().all(|request| request.owner.as_ref().is_some_and(|owner| owner.live)), "the old token was sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_the_api_turns_away_costs_one_token_call() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let label = stage.account("acme", "user_1", "researcher").await;
    provider.expire(&label);
    let replies = crowd(&stage, "user_1").await;
    assert_all_served(&replies, "acme/user_1");
    assert_eq!((provider.refreshes(&label).arrived, provider.problems()), (1, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_goes_on_when_those_who_waited_for_it_hang_up() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let label = stage.account("acme", "user_1", "researcher").await;
    provider.expire(&label);
    let hold = provider.hold();
    let head = format!("GET /crm/v1/accounts/A-1 HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_1\r\n\r\n", stage.gateway);
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut stream = raw::connect(stage.gateway).await;
        stream.write_all(head.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    provider.until_refreshes(&label, 1).await;
    waiting.into_iter().for_each(raw::reset);
    drop(hold);
    let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    assert_eq!((reply.status, reply.text("owner")), (200, "acme/user_1"));
    assert_eq!((provider.refreshes(&label).arrived, provider.problems()), (1, Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_token_endpoint_kills_no_account() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    for (number, fault) in [
        Fault::Status(http::StatusCode::SERVICE_UNAVAILABLE, None),
        Fault::Status(http::StatusCode::TOO_MANY_REQUESTS, Some(1)),
        Fault::Garbage,
        Fault::Truncated,
        Fault::Huge(1 << 20),
        Fault::Redirect,
        Fault::Reset,
        Fault::InvalidClient,
    ]
    .into_iter()
    .enumerate()
    {
        let identifier = format!("user_{number}");
        let label = stage.account("acme", &identifier, "researcher").await;
        let told = format!("{fault:?}");
        provider.fault(Whose::Of(label.clone()), fault);
        provider.expire(&label);
        let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", &identifier).await;
        assert_eq!((reply.status, reply.text("reason")), (503, "token_unavailable"), "{told}: {}", reply.body);
        stage.must(Method::POST, &format!("{}/refresh", account_path("crm", &identifier)), json!(null)).await;
        let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", &identifier).await;
        assert_eq!((reply.status, stage.status(&identifier).await.as_str()), (200, "active"), "{told}");
    }
    assert_eq!(provider.problems(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_made_up_for_or_ends_in_a_new_consent_and_never_in_somebody_elses_token() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let label = stage.account("acme", "user_1", "researcher").await;
    provider.fault(Whose::Of(label.clone()), Fault::LostAnswer);
    provider.expire(&label);
    let first = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    assert_eq!(first.status, 503, "{}", first.body);
    // The provider rotated: the old refresh token is spent once more, and that is the end of the family.
    let (status, answer) = stage.ask(Method::POST, &format!("{}/refresh", account_path("crm", "user_1")), json!(null)).await;
    assert_eq!((status, answer["reason"].as_str()), (403, Some("reauthorization_required")));
    assert_eq!((stage.status("user_1").await.as_str(), provider.refreshes(&label).arrived), ("reauthorization_required", 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_that_was_taken_back_ends_this_account_alone() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let gone = stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "researcher").await;
    provider.withdraw(&gone);
    let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
    assert_eq!((reply.status, reply.text("reason")), (403, "reauthorization_required"), "{}", reply.body);
    assert_eq!(stage.status("user_1").await, "reauthorization_required");
    assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_2").await.status, 200);
}
