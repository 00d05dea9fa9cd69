//! 401s of the API.

use super::*;
use crate::practice::{Fault, Whose};

#[tokio::test]
async fn a_401_is_healed_by_one_refresh_and_one_replay() {
    let stage = Stage::new().await;
    let account = stage.connected("heal", None).await;
    let mut admissions = Vec::new();
    for _ in 0..30 {
        admissions.push(stage.open(&account).await.unwrap());
    }
    let old = stage.sent(&account, &admissions[0]);
    stage.practice.provider().expire(&label("heal"));
    for admission in &mut admissions {
        assert_eq!(admission.after_401(Replayable::Yes).await, After401::Replay);
        let token = stage.sent(&account, admission);
        assert_ne!(token, old);
        assert_eq!(stage.owner(&token), Some(("acme/heal".into(), true)));
    }
    assert_eq!(stage.refreshes("heal"), 1);
}

#[tokio::test]
async fn what_must_not_be_sent_again_is_answered_at_once_and_the_next_call_waits() {
    let stage = Stage::new().await;
    let account = stage.connected("post", None).await;
    stage.practice.provider().set_delay(Whose::Of(label("post")), Duration::from_secs(2));
    let mut admission = stage.open(&account).await.unwrap();
    let old = stage.sent(&account, &admission);
    assert_eq!(admission.after_401(Replayable::No).await, After401::Answer);
    tokio::select! {
        biased;
        _ = stage.open(&account) => panic!("the next call waits for the refresh"),
        () = stage.until("the refresh runs behind it", |stage| stage.refreshes("post") == 1) => {}
    }
    stage.advance(2);
    assert_ne!(stage.token(&account).await.unwrap(), old);
    assert_eq!(stage.refreshes("post"), 1);
}

#[tokio::test]
async fn a_refresh_that_fails_gives_its_own_reason() {
    let stage = Stage::new().await;
    for (identifier, refused) in [("fault", None), ("end", Some(NoToken::ReauthorizationRequired))] {
        let account = stage.connected(identifier, None).await;
        match refused {
            None => stage.practice.provider().fault(Whose::Of(label(identifier)), Fault::Reset),
            Some(_) => stage.practice.provider().withdraw(&label(identifier)),
        }
        let mut admission = stage.open(&account).await.unwrap();
        match (admission.after_401(Replayable::Yes).await, refused) {
            (After401::Refuse(NoToken::Unavailable { .. }), None) => {}
            (came, refused) => assert_eq!(came, After401::Refuse(refused.unwrap()), "{identifier}"),
        }
    }
}

#[tokio::test]
async fn after_three_replays_in_a_row_401s_force_no_refresh_for_a_minute() {
    let stage = Stage::new().await;
    let account = stage.connected("row", None).await;
    let mut came = Vec::new();
    for _ in 0..6 {
        let mut admission = stage.open(&account).await.unwrap();
        came.push(admission.after_401(Replayable::Yes).await);
        if came.last() == Some(&After401::Replay) {
            assert_eq!(admission.after_401(Replayable::Yes).await, After401::Answer);
        }
    }
    assert_eq!(came, [[After401::Replay; 3], [After401::Answer; 3]].concat());
    assert_eq!((stage.refreshes("row"), stage.status(&account)), (3, Status::Active));
    stage.open(&account).await.unwrap().not_401();
    assert_eq!(stage.open(&account).await.unwrap().after_401(Replayable::Yes).await, After401::Replay);
}

#[tokio::test]
async fn without_a_refresh_token_the_customer_has_to_be_asked() {
    let stage = Stage::new().await;
    let account = stage.account("crm", "bare", "researcher").await;
    let account = stage.bring(&account, "at-bare", None, None).await;
    let mut admission = stage.open(&account).await.unwrap();
    assert_eq!(admission.after_401(Replayable::Yes).await, After401::Refuse(NoToken::ReauthorizationRequired));
    assert_eq!(stage.status(&account), Status::ReauthorizationRequired);
    let key = stage.account("keys", "static", "researcher").await;
    let brought = Brought { credential: BroughtCredential::Key(scopegate_core::secret::ApiKey::new("k-1".into())), variables: Variables::new() };
    let key = stage.grants.bring(&key.record, brought).await.unwrap();
    let mut admission = stage.open(&key).await.unwrap();
    assert_eq!(stage.sent(&key, &admission), "k-1");
    assert_eq!(admission.after_401(Replayable::Yes).await, After401::Refuse(NoToken::ReauthorizationRequired));
    assert_eq!(admission.after_401(Replayable::No).await, After401::Answer);
    assert_eq!(stage.status(&key), Status::Active, "one 401 does not end a static key");
}
