//! The whole life of a grant at an authorization server that is not of our making, from a customer's browser to its end.

use crate::chromium::{Chromium, Customer};
use crate::oauth_server::OauthServer;
use crate::stage::{CLIENT_SECRET, Script, Stage, account_path};
use reqwest::Method;
use serde_json::{Value, json};

const ANNA: Customer = Customer::new("anna");

fn policy(server: &OauthServer) -> String {
    let (issuer, server, api) = (server.issuer(), server.server(), server.api());
    format!(
        "version: 1
connectors:
  records:
    title: Records
    upstream: {api}
    oauth:
      authorization_url: {issuer}/auth
      token_url: {server}/token
      revocation_url: {server}/token/revocation
      client_auth: client_secret_basic
      always_request: [openid, offline_access]
      authorize_params: {{prompt: consent}}
    scopes:
      records:read: {{provider_scopes: [records.read], consent: Read your records}}
      records:write: {{provider_scopes: [records.write], consent: Change your records, risk: high}}
    operations:
      - {{id: record.get, match: \"GET /records/{{id}}\", require: records:read}}
      - {{id: record.update, match: \"PATCH /records/{{id}}\", require: records:write}}
roles:
  reader: {{allow: {{records: [records:read]}}}}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_is_issued_rotated_and_revoked_at_a_real_server() {
    let mut server = OauthServer::start(CLIENT_SECRET);
    let (stage, mut browser) = (Stage::with(Script { clients: &["records"], ..Script::default() }).await, Chromium::start());
    // The `crm` of the usual stage stays: settings that speak of a connector need its document.
    std::fs::write(stage.path("policies/records.yaml"), policy(&server)).unwrap();
    stage.must(Method::POST, "/v1/policies/reload", Value::Null).await;
    server.knows(&format!("http://{}/oauth/callback/records", stage.admin));
    let path = account_path("records", "user_1");
    stage.must(Method::PUT, &path, json!({"customer": "acme", "role": "reader"})).await;
    let begun = stage.must(Method::POST, &format!("{path}/authorizations"), json!({})).await;

    browser.open(ANNA, begun["authorization_url"].as_str().unwrap());
    let theirs = browser.press(ANNA, "Continue to Records");
    assert!(theirs.address.starts_with(server.issuer()), "{theirs:?}");
    browser.fill(ANNA, "login", "anna");
    browser.fill(ANNA, "password", "anything");
    browser.press(ANNA, "Sign-in");
    let ours = browser.press(ANNA, "Continue");
    assert_eq!((ours.status, ours.title.as_str()), (Some(200), "Connected"), "{ours:?}");

    let call = async || stage.call(Method::GET, "/records/records/7", "user_1").await;
    let reply = call().await;
    assert_eq!((reply.status, reply.text("owner")), (200, "anna"), "{reply:?}");
    let seen = server.seen().await;
    assert_eq!((seen.times("authorization_code.consumed"), seen.times("refresh_token.saved")), (1, 1), "{seen:?}");
    let first = seen.last_token().to_owned();
    let refused = stage.call(Method::PATCH, "/records/records/7", "user_1").await;
    assert_eq!((refused.status, refused.text("reason")), (403, "role_lacks_scope"));

    // Twice: the second works only with the refresh token that the first one brought, for the old one again would end the grant.
    for round in 1..=2 {
        stage.must(Method::POST, &format!("{path}/refresh"), Value::Null).await;
        assert_eq!(call().await.status, 200, "round {round}");
        let seen = server.seen().await;
        assert_eq!((seen.times("refresh_token.consumed"), seen.times("refresh_token.saved"), seen.times("grant.revoked")), (round, round + 1, 0));
    }
    let seen = server.seen().await;
    let last = seen.last_token().to_owned();
    assert_ne!(first, last);

    let revoked = stage.must(Method::POST, &format!("{path}/revoke"), Value::Null).await;
    assert_eq!((revoked["status"].as_str(), revoked["revoked_at_provider"].as_bool()), (Some("revoked"), Some(true)), "{revoked}");
    let reply = call().await;
    assert_eq!((reply.status, reply.text("reason")), (403, "reauthorization_required"));
    // The server itself says that the token is worth nothing any more.
    let direct = stage.http.get(format!("{}/records/7", server.api())).bearer_auth(&last).send().await.unwrap();
    assert_eq!(direct.status(), 401);
    let seen = server.seen().await;
    assert_eq!((seen.times("grant.revoked"), seen.calls.last().map(|call| call.live)), (1, Some(false)), "{seen:?}");
    assert!(seen.calls.iter().all(|call| call.target == "/records/7") && seen.times("server_error") == 0, "{seen:?}");
}
