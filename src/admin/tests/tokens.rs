//! Credentials, refresh and revocation; and that no answer shows a secret.

use super::*;
use crate::practice::{Fault, Whose};
use axum::http::StatusCode as Http;

#[tokio::test]
async fn a_brought_credential_connects_the_account() {
    let stage = Stage::new().await;
    let path = stage.connected("told", "publisher", "api").await;
    let told = stage.must(200, "GET", &path, None).await;
    assert_eq!((&told["status"], &told["granted_assumed"]), (&json!("active"), &json!(false)), "{told}");
    assert_eq!(told["granted_scopes"], json!(["accounts:read", "opportunities:read"]), "{told}");
    assert!(told["expires_at"].as_str().unwrap().ends_with('Z'));

    let path = stage.account("assumed", "publisher").await;
    let assumed = stage.must(200, "PUT", &format!("{path}/credentials"), json!({"access_token": "at-1"})).await;
    assert_eq!((&assumed["granted_assumed"], &assumed["expires_at"]), (&json!(true), &Value::Null), "{assumed}");
    assert_eq!(assumed["granted_scopes"], assumed["role_scopes"], "{assumed}");

    stage.must(201, "PUT", "/v1/connectors/keys/accounts/k", json!({"customer": "acme", "role": "researcher"})).await;
    let key = stage.must(200, "PUT", "/v1/connectors/keys/accounts/k/credentials", json!({"api_key": "k-1"})).await;
    assert_eq!(key["status"], "active", "{key}");
}

#[tokio::test]
async fn a_credential_that_nobody_can_use_is_refused() {
    let stage = Stage::new().await;
    let path = stage.account("agent", "researcher").await;
    for body in [
        json!({}),
        json!({"refresh_token": "r"}),
        json!({"access_token": ""}),
        json!({"access_token": "a b"}),
        json!({"access_token": "a\r\nX-Evil: 1"}),
        json!({"access_token": "a", "api_key": "b"}),
        json!({"access_token": "a", "variables": {"nosuch": "x"}}),
    ] {
        stage.ask("PUT", &format!("{path}/credentials"), body).await.is_problem(422);
    }
    assert_eq!(stage.status(&path).await, "pending");
}

#[tokio::test]
async fn a_forced_refresh_answers_the_account_and_a_failed_one_its_reason() {
    let stage = Stage::new().await;
    let provider = stage.practice.provider();
    let path = stage.connected("good", "researcher", "api").await;
    assert_eq!(stage.must(200, "POST", &format!("{path}/refresh"), None).await["identifier"], "good");
    assert_eq!(provider.refreshes(&label("good")).granted, 1);

    let path = stage.connected("withdrawn", "researcher", "api").await;
    provider.withdraw(&label("withdrawn"));
    let came = stage.ask("POST", &format!("{path}/refresh"), None).await;
    came.is_problem(403);
    assert_eq!((&came.json["reason"], &came.json["next_step"]), (&json!("reauthorization_required"), &json!("ask_customer")));
    assert_eq!(stage.status(&path).await, "reauthorization_required");

    let path = stage.connected("down", "researcher", "api").await;
    provider.fault(Whose::Of(label("down")), Fault::Status(Http::SERVICE_UNAVAILABLE, None));
    let came = stage.ask("POST", &format!("{path}/refresh"), None).await;
    came.is_problem(503);
    assert_eq!((&came.json["reason"], came.header("retry-after").is_empty()), (&json!("token_unavailable"), false));
    assert_eq!(stage.status(&path).await, "active");

    let path = stage.account("unconnected", "researcher").await;
    let came = stage.ask("POST", &format!("{path}/refresh"), None).await;
    came.is_problem(403);
    assert_eq!(came.json["reason"], "consent_required");
}

#[tokio::test]
async fn a_revocation_holds_here_and_at_the_provider() {
    let stage = Stage::new().await;
    let path = stage.connected("agent", "researcher", "api").await;
    let revoked = stage.must(200, "POST", &format!("{path}/revoke"), None).await;
    assert_eq!((&revoked["status"], &revoked["revoked_at_provider"], &revoked["identifier"]), (&json!("revoked"), &json!(true), &json!("agent")));
    assert_eq!(stage.practice.provider().revoked(), [label("agent")]);
    let path = stage.account("unconnected", "researcher").await;
    stage.ask("POST", &format!("{path}/revoke"), None).await.is_problem(403);
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let stage = Stage::new().await;
    let path = stage.connected("agent", "researcher", "api").await;
    let handle = stage.must(201, "POST", &format!("{path}/handles"), json!({})).await["handle"].as_str().unwrap().to_owned();
    let tokens = stage.practice.provider().seed(&label("agent"), "api");
    let credentials = format!("{path}/credentials");
    let mut answers = Vec::new();
    for (method, path, body) in [
        ("PUT", &credentials, tokens.credentials()),
        ("PUT", &credentials, json!({"access_token": "canary-1", "expires_in": "never", "no_such_field": 1})),
        ("PUT", &credentials, json!({"access_token": {"canary-1": 1}})),
        ("PUT", &credentials, json!({"access_token": "canary-1", "scope": ["canary-1"]})),
        ("PUT", &credentials, json!({"basic": {"user": "canary-1 :", "password": 7}})),
        ("GET", &credentials, Value::Null),
        ("POST", &format!("{path}/refresh"), json!({})),
        ("GET", &path, Value::Null),
        ("GET", &format!("{path}/handles"), Value::Null),
        ("GET", &"/v1/accounts".to_owned(), Value::Null),
        ("GET", &"/v1/policies".to_owned(), Value::Null),
        ("GET", &"/v1/audit".to_owned(), Value::Null),
        ("GET", &"/metrics".to_owned(), Value::Null),
        ("GET", &"/readyz?verbose".to_owned(), Value::Null),
        ("POST", &format!("{path}/revoke"), json!({})),
        ("DELETE", &path, Value::Null),
    ] {
        answers.push(stage.ask(method, path, Some(body).filter(|body| !body.is_null())).await);
    }
    let mut secrets = stage.practice.provider().secrets();
    secrets.extend([handle, "canary-1".into(), "practice-secret".into(), TOKEN.into()]);
    for answer in &answers {
        for secret in &secrets {
            assert!(!answer.text.contains(secret.as_str()), "{secret} in {answer:?}");
        }
    }
}
