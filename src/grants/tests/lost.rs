//! Answers that get lost after the provider has carried the call out: the old access token is used while it lives, and then the old
//! refresh token is tried once.

use super::*;
use crate::practice::{Fault, Whose};
use http::StatusCode;

/// The ways in which an answer gets lost behind a rotation.
const WAYS: [(&str, Fault); 4] = [
    ("cut", Fault::LostAnswer),
    ("failed", Fault::StatusAfter(StatusCode::INTERNAL_SERVER_ERROR)),
    ("gateway", Fault::StatusAfter(StatusCode::BAD_GATEWAY)),
    ("overload", Fault::StatusAfter(StatusCode::SERVICE_UNAVAILABLE)),
];

/// Loses the answer of the next refresh ahead of expiry; the token that lives on.
async fn loses_one(stage: &Stage, account: &ConnectedAccount, fault: Fault) -> String {
    let name = account.record.identifier.as_str().to_owned();
    let token = stage.token(account).await.unwrap();
    let before = stage.refreshes(&name);
    stage.practice.provider().fault(Whose::Of(label(&name)), fault);
    // A tenth before the end, and a fifth of that more or less.
    stage.advance(925);
    stage.until("the call arrives", |stage| stage.refreshes(&name) == before + 1).await;
    stage.until("the flight has landed", |stage| stage.grants.0.metrics.text().contains("outcome=\"lost\"") || failed(stage)).await;
    token
}

fn failed(stage: &Stage) -> bool {
    stage.grants.0.metrics.text().contains("refreshes_total{connector=\"crm\",outcome=\"failed\"}")
        || stage.grants.0.metrics.text().contains("refreshes_total{connector=\"lenient\",outcome=\"failed\"}")
}

#[tokio::test]
async fn with_a_strict_provider_the_old_token_is_used_up_before_the_spent_one_is_tried_once() {
    for (name, fault) in WAYS {
        let stage = Stage::new().await;
        stage.grants.start();
        let account = stage.connected(name, Some(1000)).await;
        let token = loses_one(&stage, &account, fault).await;
        for _ in 0..4 {
            stage.advance(15);
            assert_eq!(stage.token(&account).await.unwrap(), token, "{name}: the old token lives");
        }
        assert_eq!((stage.refreshes(name), stage.status(&account)), (1, Status::Active), "{name}: and nobody risks the grant");
        stage.advance(10);
        stage.until("the spent token is tried", |stage| stage.status(&account) == Status::ReauthorizationRequired).await;
        assert_eq!(stage.refreshes(name), 2, "{name}");
        assert_eq!(stage.grants.refresh_now(&account).await, Err(NoToken::ReauthorizationRequired), "{name}");
        assert_eq!(stage.refreshes(name), 2, "{name}: once");
    }
}

#[tokio::test]
async fn where_a_spent_token_is_taken_again_nobody_notices() {
    for (name, fault) in WAYS {
        let stage = Stage::new().await;
        stage.practice.provider().set_leeway(Whose::Everybody, Duration::from_secs(600));
        stage.practice.provider().set_lifetime(Whose::Everybody, Duration::from_secs(3600));
        stage.grants.start();
        let account = stage.connected_to("lenient", name, Some(1000)).await;
        let token = loses_one(&stage, &account, fault).await;
        stage.advance(2);
        stage.until("it is tried again", |stage| stage.now(&account.record).grant.unwrap().version == 2).await;
        let fresh = stage.token(&account).await.unwrap();
        assert_ne!(fresh, token, "{name}");
        assert_eq!((stage.owner(&fresh), stage.refreshes(name)), (Some((format!("acme/{name}"), true)), 2), "{name}");
        assert_eq!(stage.practice.provider().problems(), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_lost() {
    let stage = Stage::new().await;
    let account = stage.connected("late", Some(1000)).await;
    let token = stage.token(&account).await.unwrap();
    let hold = stage.practice.provider().hold_answers();
    let label = label("late");
    let (refused, ()) = tokio::join!(stage.grants.refresh_now(&account), async {
        stage.practice.provider().until(&label, |calls| calls.granted == 1).await;
        // The rotation has happened, and there is nothing to wait for but the end of the call's time.
        tokio::time::pause();
    });
    tokio::time::resume();
    drop(hold);
    assert!(matches!(refused, Err(NoToken::Unavailable { .. })), "{refused:?}");
    assert_eq!((stage.token(&account).await.unwrap(), stage.refreshes("late")), (token, 1));
    stage.advance(1000);
    assert_eq!(stage.open(&account).await.unwrap_err(), NoToken::ReauthorizationRequired);
    assert_eq!(stage.refreshes("late"), 2);
}

#[tokio::test]
async fn a_provider_that_spent_nothing_is_asked_again_soon_also_after_a_restart() {
    let stage = Stage::new().await;
    stage.grants.start();
    stage.practice.provider().set_lifetime(Whose::Everybody, Duration::from_secs(3600));
    let account = stage.connected("declined", Some(1000)).await;
    stage.practice.provider().fault(Whose::Of(label("declined")), Fault::Status(StatusCode::TOO_MANY_REQUESTS, None));
    stage.advance(925);
    stage.until("the call arrives", |stage| stage.refreshes("declined") == 1).await;
    let grant = stage.now(&account.record).record.grant.clone().unwrap();
    let noted = async || stage.store.grant(&grant).await.unwrap().unwrap().intent.is_some();
    while noted().await {
        tokio::task::yield_now().await;
    }
    let stage = stage.killed().await;
    stage.grants.start();
    // What is due at start is spread over a minute.
    stage.advance(60);
    stage.until("it is refreshed ahead", |stage| stage.now(&account.record).grant.unwrap().version == 2).await;
    assert_eq!((stage.refreshes("declined"), stage.practice.provider().problems()), (2, vec![]));
}
