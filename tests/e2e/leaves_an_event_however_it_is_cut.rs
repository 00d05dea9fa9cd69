//! A request that the end of the process cuts leaves its event all the same, with what its client saw.

use crate::actor::Actor;
use crate::audit;
use crate::http2::Http2;
use crate::raw;
use crate::stage::{POLICY, Script, Stage, label};
use bytes::Bytes;
use reqwest::Method;
use scopegate::practice::Whose;
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

static LARGE: [u8; 8 << 20] = [b'x'; 8 << 20];

async fn stage(upstream: Option<String>) -> Stage {
    let talk = "operations:\n      - {id: talk, match: GET /v1/talk, require: accounts:read, upgrade: websocket}\n";
    let script = Script {
        listen: "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into(),
        gateway: ", grace: 1s",
        upstream,
        policy: POLICY.replace("operations:\n", talk).replace("pkce: S256\n", "pkce: S256\n      refresh: on_use\n"),
        ..Script::default()
    };
    Stage::with(script).await
}

/// An account whose token is over.
async fn stale(stage: &Stage, identifier: &str, role: &str) {
    let provider = stage.practice.provider();
    provider.set_lifetime(Whose::Everybody, Duration::from_secs(1));
    stage.account("acme", identifier, role).await;
    stage.clock.sleep(Duration::from_secs(1)).await;
    provider.set_lifetime(Whose::Everybody, Duration::from_secs(3600));
}

fn head(method: &str, target: &str, account: &str, lines: &str) -> Vec<u8> {
    format!("{method} /crm/v1/{target} HTTP/1.1\r\nHost: 127.0.0.1\r\nScopegate-Account: {account}\r\n{lines}\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_it_waits_for_and_over_whichever_protocol() {
    let upstream = Actor::http1(async |mut stream: TcpStream, head: String| {
        if head.contains("talk") {
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
        } else if head.contains("begun") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await?;
        }
        pending().await
    })
    .await;
    let mut stage = stage(Some(format!("http://{}", upstream.address))).await;
    stale(&stage, "stale_1", "publisher").await;
    stale(&stage, "stale_2", "publisher").await;
    stage.account("acme", "reads", "researcher").await;
    stage.account("acme", "writes", "publisher").await;
    let hold = stage.practice.provider().hold();

    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    let mut held = Vec::new();
    for (method, target, account) in
        [("GET", "files/h2-waits", "reads"), ("PUT", "files/h2-body", "writes"), ("PATCH", "opportunities/h2-token", "stale_2")]
    {
        let request = client.request(method, &format!("/crm/v1/{target}"), &[("scopegate-account", account)]);
        let (answer, mut sending) = client.open(request, method != "PUT").await;
        if method == "PUT" {
            sending.send_data(Bytes::from_static(&LARGE), false).unwrap();
        }
        held.push((answer, sending));
    }
    let mut streams = Vec::new();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    for (bytes, heard) in [
        (head("GET", "files/h1-waits", "reads", ""), &b""[..]),
        (head("PUT", "files/h1-body", "writes", "Content-Length: 8388608\r\n"), b""),
        (head("PATCH", "opportunities/h1-token", "stale_1", ""), b""),
        (head("GET", "files/begun", "reads", ""), b"\r\n\r\nok"),
        (head("GET", "talk", "reads", upgrade), b"\r\n\r\n"),
    ] {
        let mut stream = raw::connect(stage.gateway).await;
        stream.write_all(&bytes).await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(heard) {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        }
        streams.push(stream);
    }
    for identifier in ["stale_1", "stale_2"] {
        stage.practice.provider().until_refreshes(&label("acme", identifier), 1).await;
    }
    stage.stop();
    drop(hold);
    let told: BTreeMap<_, _> =
        audit::written(&stage).into_iter().map(|event| (event["path"].as_str().unwrap().to_owned(), event["status"].clone())).collect();
    let expected = [
        ("/v1/files/begun", Value::from(200)),
        ("/v1/files/h1-body", Value::Null),
        ("/v1/files/h1-waits", Value::Null),
        ("/v1/files/h2-body", Value::Null),
        ("/v1/files/h2-waits", Value::Null),
        ("/v1/opportunities/h1-token", Value::Null),
        ("/v1/opportunities/h2-token", Value::Null),
        ("/v1/talk", Value::from(101)),
    ];
    assert_eq!(told, expected.map(|(path, status)| (path.to_owned(), status)).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_for_a_client_that_left_while_its_token_was_fetched() {
    let mut stage = stage(None).await;
    stale(&stage, "user_1", "publisher").await;
    let (provider, whose) = (stage.practice.provider(), label("acme", "user_1"));
    let hold = provider.hold();
    let mut leaves = raw::connect(stage.gateway).await;
    leaves.write_all(&head("PATCH", "opportunities/O-1", "user_1", "Content-Length: 2\r\n")).await.unwrap();
    leaves.write_all(b"{}").await.unwrap();
    provider.until_refreshes(&whose, 1).await;
    raw::reset(leaves);
    drop(hold);
    // the account's token is there now
    assert_eq!(stage.call(Method::GET, "/crm/v1/opportunities/O-2", "user_1").await.status, 200);
    let events = audit::all(&mut stage);
    let event = events.iter().find(|event| event["path"] == "/v1/opportunities/O-1").unwrap();
    assert_eq!((&event["status"], &event["upstream_called"]), (&Value::Null, &Value::from(false)));
}
