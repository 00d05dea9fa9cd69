//! Answers of the token endpoint as providers really write them, over real connections.

use super::*;
use crate::practice::{Fault, Whose};
use http::StatusCode;
use scopegate_core::policy::DenialReason;
use scopegate_core::scope::ProviderScope;
use serde_json::json;

/// One refresh that an operator asks for, and that meets this fault.
async fn refreshed(stage: &Stage, account: &ConnectedAccount, fault: Fault) -> Result<(), NoToken> {
    let label = label(account.record.identifier.as_str());
    stage.practice.provider().fault(Whose::Of(label), fault);
    stage.grants.refresh_now(account).await
}

fn decision(stage: &Stage, account: &ConnectedAccount, method: &str, target: &str) -> Result<(), DenialReason> {
    let request = Request::read(method, target, &[], None).unwrap();
    match decide(&stage.policies.load_full(), &stage.now(&account.record), &request) {
        Decision::Permit(_) => Ok(()),
        Decision::Deny(denial) => Err(denial.reason()),
        Decision::ReadBody(_) => panic!("no policy of this world reads a body"),
    }
}

#[tokio::test]
async fn what_an_answer_says_of_the_lifetime_is_taken_if_it_is_a_number_and_within_reason() {
    let stage = Stage::new().await;
    let ten_years = 10 * 366 * 24 * 60 * 60;
    for (number, (says, seconds)) in [
        (json!(null), None),
        (json!(0), None),
        (json!(-3600), None),
        (json!("soon"), None),
        (json!(""), None),
        (json!([3600]), None),
        (json!("7200"), Some(7200)),
        (json!(7200.5), Some(7200)),
        (json!(1_000_000_000_000_u64), Some(ten_years)),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("lifetime-{number}");
        let account = stage.connected(&name, Some(100)).await;
        refreshed(&stage, &account, Fault::Says(json!({ "expires_in": says }))).await.unwrap();
        let ends = stage.now(&account.record).grant.unwrap().expires_at;
        let lives = ends.map(|end| end.since(stage.clock.timestamp()).as_secs());
        assert_eq!(lives, seconds, "{says}");
        if seconds.is_none() {
            // It is used until the API says 401.
            stage.advance(30 * 24 * 60 * 60);
            let token = stage.token(&account).await.unwrap();
            assert_eq!((stage.owner(&token).unwrap().0, stage.refreshes(&name)), (format!("acme/{name}"), 1), "{says}");
            let mut admission = stage.open(&account).await.unwrap();
            assert_eq!(admission.after_401(Replayable::Yes).await, After401::Replay, "{says}");
            assert_ne!(stage.sent(&account, &admission), token, "{says}");
        }
    }
}

#[tokio::test]
async fn only_a_provider_that_does_not_know_us_is_shown_our_next_secret() {
    let stage = Stage::new().await;
    let says = |code: &str| Fault::Says(json!({ "error": code }));
    for (number, (fault, calls)) in [
        (Fault::InvalidClient, 2),
        (says("invalid_client"), 2),
        (says("unauthorized_client"), 2),
        (Fault::Status(StatusCode::UNAUTHORIZED, None), 2),
        (says("invalid_request"), 1),
        (says("invalid_scope"), 1),
        (says("unsupported_grant_type"), 1),
        (says("something_else"), 1),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("secrets-{number}");
        stage.practice.provider().set_leeway(Whose::Everybody, Duration::from_secs(600));
        let account = stage.connected_to("lenient", &name, Some(1000)).await;
        let refreshed = refreshed(&stage, &account, fault.clone()).await;
        assert_eq!((refreshed.is_ok(), stage.refreshes(&name)), (calls == 2, calls), "{fault:?}: {refreshed:?}");
        assert_eq!(stage.status(&account), Status::Active, "{fault:?}");
    }
}

#[tokio::test]
async fn the_scopes_of_an_answer_are_the_truth_and_widen_no_role() {
    let stage = Stage::new().await;
    let scopes = |list: &[&str]| Granted::Scopes(list.iter().map(|scope| scope.parse::<ProviderScope>().unwrap()).collect());
    for (name, says, granted, reads, writes) in [
        ("as-before", json!({"scope": null}), scopes(&["api"]), Ok(()), Err(DenialReason::RoleLacksScope)),
        ("none-told", json!({"scope": ""}), scopes(&["api"]), Ok(()), Err(DenialReason::RoleLacksScope)),
        ("more", json!({"scope": "api write everything"}), scopes(&["api", "write", "everything"]), Ok(()), Err(DenialReason::RoleLacksScope)),
        (
            "others",
            json!({"scope": "mail,calendar"}),
            scopes(&["mail", "calendar"]),
            Err(DenialReason::ConsentRequired),
            Err(DenialReason::RoleLacksScope),
        ),
    ] {
        let account = stage.connected(name, Some(100)).await;
        refreshed(&stage, &account, Fault::Says(says)).await.unwrap();
        assert_eq!(stage.now(&account.record).grant.unwrap().granted, granted, "{name}");
        assert_eq!(decision(&stage, &account, "GET", "/v1/accounts/7"), reads, "{name}");
        assert_eq!(decision(&stage, &account, "PATCH", "/v1/opportunities/7"), writes, "{name}");
    }
    let account = stage.account("crm", "fewer", "publisher").await;
    let tokens = stage.practice.provider().seed(&label("fewer"), "api write");
    let account = stage.bring(&account, tokens.access_token.reveal(), Some(tokens.refresh_token.reveal()), Some(100)).await;
    refreshed(&stage, &account, Fault::Says(json!({"scope": "api write"}))).await.unwrap();
    assert_eq!(decision(&stage, &account, "PATCH", "/v1/opportunities/7"), Ok(()));
    refreshed(&stage, &account, Fault::Says(json!({"scope": "api"}))).await.unwrap();
    assert_eq!(decision(&stage, &account, "PATCH", "/v1/opportunities/7"), Err(DenialReason::ConsentRequired));
    assert_eq!(decision(&stage, &account, "GET", "/v1/accounts/7"), Ok(()));
}

#[tokio::test]
async fn a_token_that_no_request_can_carry_is_never_taken_and_the_old_one_lives() {
    let stage = Stage::new().await;
    for (number, says) in [
        json!({"token_type": "DPoP"}),
        json!({"token_type": "mac"}),
        json!({"access_token": "at\r\nX-Evil: 1"}),
        json!({"access_token": "at\u{0}"}),
        json!({"access_token": "at x"}),
        json!({"access_token": "at-\u{e9}"}),
        json!({"access_token": ""}),
        json!({"access_token": 7}),
        json!({"access_token": null}),
        json!({"refresh_token": "rt\nX-Evil: 1"}),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("carried-{number}");
        let account = stage.connected(&name, Some(100)).await;
        let old = stage.token(&account).await.unwrap();
        let refused = refreshed(&stage, &account, Fault::Says(says.clone())).await;
        assert!(matches!(refused, Err(NoToken::Unavailable { .. })), "{says}: {refused:?}");
        assert_eq!((stage.token(&account).await.unwrap(), stage.status(&account)), (old, Status::Active), "{says}");
    }
    for word in ["bearer", "BEARER", "Bearer"] {
        let account = stage.connected(&format!("word-{word}"), Some(100)).await;
        assert_eq!(refreshed(&stage, &account, Fault::Says(json!({ "token_type": word }))).await, Ok(()), "{word}");
    }
}

#[tokio::test]
async fn an_answer_may_be_a_form() {
    let stage = Stage::new().await;
    let account = stage.connected("form", Some(100)).await;
    for _ in 0..2 {
        let before = stage.token(&account).await.unwrap();
        refreshed(&stage, &account, Fault::Form).await.unwrap();
        let token = stage.token(&account).await.unwrap();
        assert_ne!(token, before);
        assert_eq!(stage.owner(&token), Some(("acme/form".into(), true)));
    }
    assert_eq!(stage.practice.provider().problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_provider_that_wants_to_be_left_alone_says_so_in_seconds_or_as_a_date() {
    let stage = Stage::new().await;
    // The clock stands at nine.
    for (number, (fault, seconds)) in [
        (Fault::Status(StatusCode::TOO_MANY_REQUESTS, Some(120)), 120),
        (Fault::Until(StatusCode::TOO_MANY_REQUESTS, "Thu, 26 Nov 2026 09:03:00 GMT"), 180),
        (Fault::Until(StatusCode::SERVICE_UNAVAILABLE, "Thu, 26 Nov 2026 09:10:00 GMT"), 600),
        (Fault::Status(StatusCode::INTERNAL_SERVER_ERROR, Some(90)), 90),
    ]
    .into_iter()
    .enumerate()
    {
        let told = format!("{fault:?}");
        let account = stage.connected(&format!("patient-{number}"), Some(100)).await;
        let wait = NoToken::Unavailable { retry_after: Duration::from_secs(seconds) };
        assert_eq!(refreshed(&stage, &account, fault).await, Err(wait), "{told}");
    }
    let account = stage.connected("hasty", Some(100)).await;
    for nonsense in ["soon", "-5", "Thu, 26 Nov 2026 08:00:00 GMT"] {
        let refused = refreshed(&stage, &account, Fault::Until(StatusCode::TOO_MANY_REQUESTS, nonsense)).await;
        assert!(matches!(refused, Err(NoToken::Unavailable { retry_after }) if retry_after < Duration::from_secs(10)), "{nonsense}: {refused:?}");
    }
}

#[tokio::test]
async fn a_wrong_registration_is_an_alarm_and_no_account_dies_of_it() {
    let stage = Stage::new().await;
    for (number, fault) in [Fault::InvalidClient, Fault::Status(StatusCode::UNAUTHORIZED, None)].into_iter().enumerate() {
        let name = format!("registered-{number}");
        let account = stage.connected(&name, Some(100)).await;
        let old = stage.token(&account).await.unwrap();
        let refused = refreshed(&stage, &account, fault).await;
        assert!(matches!(refused, Err(NoToken::Unavailable { .. })), "{refused:?}");
        assert_eq!((stage.status(&account), stage.token(&account).await.unwrap()), (Status::Active, old));
        let told = format!("scopegate_refreshes_total{{connector=\"crm\",outcome=\"client_refused\"}} {}\n", number + 1);
        assert!(stage.grants.0.metrics.text().contains(&told), "{told}");
        assert_eq!(stage.grants.refresh_now(&account).await, Ok(()));
    }
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_fifteen_seconds_is_given_up() {
    let stage = Stage::new().await;
    let account = stage.connected("hanging", Some(100)).await;
    let old = stage.token(&account).await.unwrap();
    let hold = stage.practice.provider().hold();
    let label = label("hanging");
    let (refused, ()) = tokio::join!(stage.grants.refresh_now(&account), async {
        stage.practice.provider().until_refreshes(&label, 1).await;
        // From here on there is nothing to wait for but the end of the call's time.
        tokio::time::pause();
    });
    tokio::time::resume();
    assert!(matches!(refused, Err(NoToken::Unavailable { .. })), "{refused:?}");
    drop(hold);
    assert_eq!((stage.token(&account).await.unwrap(), stage.status(&account)), (old, Status::Active));
}

#[tokio::test]
async fn no_answer_leaves_a_trace_of_its_tokens_in_the_metrics() {
    let stage = Stage::new().await;
    let account = stage.connected("counted", Some(100)).await;
    for fault in [Fault::Form, Fault::Garbage, Fault::LostAnswer] {
        // Whatever comes of it.
        let _: Result<(), NoToken> = refreshed(&stage, &account, fault).await;
    }
    let text = stage.grants.0.metrics.text();
    for outcome in ["tokens", "garbage", "lost"] {
        assert!(text.contains(&format!("scopegate_refreshes_total{{connector=\"crm\",outcome=\"{outcome}\"}} 1\n")), "{outcome}: {text}");
    }
    let secrets = stage.practice.provider().secrets();
    let told: Vec<_> = secrets.iter().map(String::as_str).chain(["counted", "acme"]).filter(|secret| text.contains(secret)).collect();
    assert!(told.is_empty(), "{told:?}");
}
