//! Tokens are fresh when a request leaves, and a refresh token is spent once.

use super::*;
use crate::practice::{Fault, Whose};
use http::StatusCode;

fn failing(stage: &Stage, identifier: &str, fault: &Fault, times: usize) {
    for _ in 0..times {
        stage.practice.provider().fault(Whose::Of(label(identifier)), fault.clone());
    }
}

#[tokio::test]
async fn fifty_requests_with_a_token_that_is_over_cost_one_refresh() {
    let stage = Stage::new().await;
    let account = stage.connected("fifty", Some(100)).await;
    assert_eq!(stage.owner(&stage.token(&account).await.unwrap()), Some(("acme/fifty".into(), true)));
    stage.advance(95);
    let waiting: Vec<_> = (0..50).map(|_| stage.open(&account)).collect();
    let admissions = futures_all(waiting).await;
    let tokens: std::collections::BTreeSet<_> = admissions.iter().map(|admission| stage.sent(&account, admission.as_ref().unwrap())).collect();
    assert_eq!((tokens.len(), stage.refreshes("fifty")), (1, 1));
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

/// Polls all of them side by side.
pub(super) async fn futures_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_stop_the_refresh() {
    let stage = Stage::new().await;
    let account = stage.connected("hangup", Some(100)).await;
    stage.practice.provider().set_delay(Whose::Of(label("hangup")), Duration::from_secs(5));
    stage.advance(95);
    tokio::select! {
        biased;
        _ = stage.open(&account) => panic!("the provider takes its time"),
        () = stage.until("the call arrives", |stage| stage.refreshes("hangup") == 1) => {}
    }
    stage.advance(5);
    let token = stage.token(&account).await.unwrap();
    assert_eq!((stage.owner(&token), stage.refreshes("hangup")), (Some(("acme/hangup".into(), true)), 1));
}

#[tokio::test]
async fn a_token_near_its_end_is_refreshed_ahead_and_nobody_waits() {
    let stage = Stage::new().await;
    stage.grants.start();
    let account = stage.connected("ahead", Some(100)).await;
    let first = stage.token(&account).await.unwrap();
    stage.practice.provider().set_delay(Whose::Of(label("ahead")), Duration::from_secs(3));
    stage.advance(71);
    stage.until("the call arrives", |stage| stage.refreshes("ahead") == 1).await;
    assert_eq!(stage.token(&account).await.unwrap(), first, "while it runs the old token is used");
    stage.advance(3);
    stage.until("the new token is durable", |stage| stage.now(&account.record).grant.unwrap().version == 2).await;
    assert_ne!(stage.token(&account).await.unwrap(), first);
    assert_eq!(stage.refreshes("ahead"), 1);
}

#[tokio::test]
async fn each_refresh_spends_the_newest_refresh_token() {
    let stage = Stage::new().await;
    let account = stage.connected("chain", None).await;
    for number in 1..=4 {
        stage.grants.refresh_now(&account).await.unwrap();
        assert_eq!(stage.owner(&stage.token(&account).await.unwrap()), Some(("acme/chain".into(), true)), "{number}");
    }
    assert_eq!((stage.refreshes("chain"), stage.practice.provider().problems()), (4, vec![]));
}

#[tokio::test]
async fn a_refresh_survives_a_kill_and_a_lost_one_is_tried_once_more() {
    let stage = Stage::new().await;
    let account = stage.connected("killed", Some(1000)).await;
    stage.practice.provider().set_lifetime(Whose::Of(label("killed")), Duration::from_secs(3_600));
    stage.grants.refresh_now(&account).await.unwrap();
    let stage = stage.killed().await;
    let token = stage.token(&account).await.unwrap();
    assert_eq!(stage.owner(&token), Some(("acme/killed".into(), true)));
    // A process that dies between call and write: the provider has rotated, nobody knows.
    let (grant, version) = stage.now(&account.record).grant.map(|grant| (grant.id.clone(), grant.version)).unwrap();
    let intent = crate::store::Intent { version, at: stage.clock.timestamp() };
    assert_eq!(stage.directory.apply(vec![Change::SetIntent { grant, version, intent: Some(intent) }]).await.unwrap(), Applied::Done);
    let stage = stage.killed().await;
    stage.grants.start();
    stage.advance(3_550);
    assert_eq!(stage.token(&account).await.unwrap(), token, "the old token is used while it lives");
    assert_eq!(stage.refreshes("killed"), 1, "and its refresh token is left alone");
    stage.advance(45);
    assert_ne!(stage.token(&account).await.unwrap(), token);
    assert_eq!(stage.refreshes("killed"), 2);
}

#[tokio::test]
async fn a_failing_token_endpoint_kills_nobody_and_is_left_alone_for_a_while() {
    for (name, fault) in [
        ("status", Fault::Status(StatusCode::INTERNAL_SERVER_ERROR, None)),
        ("garbage", Fault::Garbage),
        ("truncated", Fault::Truncated),
        ("huge", Fault::Huge(1 << 20)),
        ("redirect", Fault::Redirect),
        ("reset", Fault::Reset),
        ("refused", Fault::InvalidClient),
        ("within", Fault::ErrorIn200),
    ] {
        let stage = Stage::new().await;
        let account = stage.connected(name, Some(10)).await;
        failing(&stage, name, &fault, 1);
        stage.advance(10);
        for _ in 0..5 {
            let refused = stage.open(&account).await.unwrap_err();
            assert!(matches!(refused, NoToken::Unavailable { retry_after } if retry_after <= Duration::from_millis(1200)), "{name}: {refused:?}");
        }
        assert_eq!((stage.refreshes(name), stage.status(&account)), (1, Status::Active), "{name}");
        stage.advance(2);
        assert_eq!(stage.owner(&stage.token(&account).await.unwrap()), Some((format!("acme/{name}"), true)), "{name}");
        assert!(!stage.practice.provider().problems().iter().any(|problem| problem.contains("follow")), "{name}");
    }
}

#[tokio::test]
async fn retry_after_is_honoured_and_an_operator_tries_anyway() {
    let stage = Stage::new().await;
    let account = stage.connected("patient", Some(10)).await;
    failing(&stage, "patient", &Fault::Status(StatusCode::TOO_MANY_REQUESTS, Some(120)), 1);
    stage.advance(10);
    assert_eq!(stage.open(&account).await.unwrap_err(), NoToken::Unavailable { retry_after: Duration::from_secs(120) });
    stage.advance(20);
    assert_eq!(stage.open(&account).await.unwrap_err(), NoToken::Unavailable { retry_after: Duration::from_secs(100) });
    assert_eq!(stage.refreshes("patient"), 1);
    stage.grants.refresh_now(&account).await.unwrap();
    assert!(stage.token(&account).await.is_ok());
}

#[tokio::test]
async fn invalid_grant_ends_the_grant_and_is_not_repeated() {
    let stage = Stage::new().await;
    let account = stage.connected("withdrawn", Some(100)).await;
    stage.practice.provider().withdraw(&label("withdrawn"));
    stage.advance(95);
    assert_eq!(stage.open(&account).await.unwrap_err(), NoToken::ReauthorizationRequired);
    assert_eq!(stage.status(&account), Status::ReauthorizationRequired);
    assert_eq!(stage.grants.refresh_now(&stage.now(&account.record)).await, Err(NoToken::ReauthorizationRequired));
    assert_eq!(stage.refreshes("withdrawn"), 1);
}

#[tokio::test]
async fn an_answer_that_got_lost_ends_in_a_clear_state() {
    let stage = Stage::new().await;
    let account = stage.connected("lost", Some(100)).await;
    failing(&stage, "lost", &Fault::LostAnswer, 1);
    stage.advance(95);
    assert!(matches!(stage.open(&account).await.unwrap_err(), NoToken::Unavailable { .. }));
    stage.advance(2);
    assert_eq!(stage.open(&account).await.unwrap_err(), NoToken::ReauthorizationRequired);
    assert_eq!((stage.refreshes("lost"), stage.status(&account)), (2, Status::ReauthorizationRequired));
}

#[tokio::test]
async fn without_a_refresh_token_a_grant_ends_with_its_token_and_an_operators_wish_ends_nothing() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "short", "researcher").await;
    let tokens = stage.practice.provider().seed(&label("short"), "api");
    let account = stage.bring(&account, tokens.access_token.reveal(), None, Some(100)).await;
    assert_eq!(stage.grants.refresh_now(&account).await, Err(NoToken::ReauthorizationRequired));
    assert!(stage.token(&account).await.is_ok());
    stage.advance(95);
    assert_eq!(stage.open(&account).await.unwrap_err(), NoToken::ReauthorizationRequired);
    assert_eq!((stage.refreshes("short"), stage.status(&account)), (0, Status::ReauthorizationRequired));
}

#[tokio::test]
async fn what_a_token_answer_leaves_out_stays_as_it_was() {
    let stage = Stage::new().await;
    let account = stage.account("force", "dialect", "researcher").await;
    let tokens = stage.practice.provider().seed(&label("dialect"), "api");
    let credential =
        BroughtCredential::Tokens { access: tokens.access_token.clone(), refresh: Some(tokens.refresh_token.clone()), expires_in: None, scope: None };
    let variables = Variables::from([("instance_url".to_owned(), "https://one.force.example".to_owned())]);
    let account = stage.grants.bring(&account.record, Brought { credential, variables }).await.unwrap();
    assert_eq!(account.grant.as_ref().unwrap().granted, Granted::Assumed);
    for _ in 0..2 {
        stage.grants.refresh_now(&account).await.unwrap();
    }
    let grant = stage.now(&account.record).grant.unwrap();
    assert_eq!((grant.variables.get("instance_url").unwrap().as_str(), grant.refreshable), ("https://one.force.example", true));
    assert_eq!(stage.practice.provider().refreshes(&label("dialect")).granted, 2);
}

#[tokio::test]
async fn a_use_is_noted_once_an_hour() {
    let stage = Stage::new().await;
    let account = stage.connected("used", None).await;
    let used_at = |stage: &Stage| stage.now(&account.record).grant.unwrap().used_at;
    let brought = used_at(&stage);
    for (minutes, noted) in [(59, 0), (1, 60), (30, 60), (30, 120)] {
        stage.advance(minutes * 60);
        stage.token(&account).await.unwrap();
        stage.until("the use is noted", |stage| used_at(stage) == brought.plus(Duration::from_secs(noted * 60))).await;
    }
}
