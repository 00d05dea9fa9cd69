//! What is large or endless passes as it comes: nothing waits for an end, and nothing is held but what is on its way.

use crate::fountain::{DROP, Fountain};
use crate::http2::Http2;
use crate::raw;
use crate::stage::{Script, Stage};
use bytes::Bytes;
use reqwest::Method;
use std::future::poll_fn;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const GIBIBYTE: u64 = 1 << 30;
/// How much the gateway may grow while a gibibyte passes.
const GROWTH: u64 = 64 << 20;

async fn stage(upstream: &Fountain) -> Stage {
    let stage = Stage::with(Script {
        listen: "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into(),
        upstream: Some(format!("http://{}", upstream.address)),
        settings: "limits: {requests_per_account: none, body: 2GiB}\n".into(),
        ..Script::default()
    })
    .await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    stage
}

fn head(method: &str, target: &str, account: &str, more: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nScopegate-Account: {account}\r\nConnection: close\r\n{more}\r\n").into_bytes()
}

/// The most that the gateway has grown beyond `before`.
fn grown(stage: &Stage, before: u64) -> u64 {
    stage.resident().saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_each_way_over_http1() {
    let upstream = Fountain::start().await;
    let stage = stage(&upstream).await;
    stage.call(Method::GET, "/crm/v1/files/pour-10", "user_1").await;
    let (before, mut most) = (stage.resident(), 0);

    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(&head("GET", &format!("/crm/v1/files/pour-{GIBIBYTE}"), "user_1", "")).await.unwrap();
    let (mut read, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        let came = stream.read(&mut buffer).await.unwrap();
        if came == 0 {
            break;
        }
        read += came as u64;
        most = most.max(grown(&stage, before));
    }
    assert!((GIBIBYTE..GIBIBYTE + 4096).contains(&read), "{read} bytes with the head");

    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(&head("PUT", "/crm/v1/files/swallow", "user_2", &format!("Content-Length: {GIBIBYTE}\r\n"))).await.unwrap();
    for _ in 0..GIBIBYTE / DROP.len() as u64 {
        stream.write_all(&DROP).await.unwrap();
    }
    let answers = raw::answers(stream).await;
    assert_eq!((answers[0].status, answers[0].body.as_slice()), (200, GIBIBYTE.to_string().as_bytes()));
    most = most.max(grown(&stage, before));
    assert!(most < GROWTH, "{} MiB more", most >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_each_way_over_http2() {
    let upstream = Fountain::start().await;
    let stage = stage(&upstream).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    client.exchange("GET", "/crm/v1/files/pour-10", &[("scopegate-account", "user_1")], b"").await.unwrap();
    let (before, mut most) = (stage.resident(), 0);

    let request = client.request("GET", &format!("/crm/v1/files/pour-{GIBIBYTE}"), &[("scopegate-account", "user_1")]);
    let (answer, _) = client.open(request, true).await;
    let mut body = answer.await.unwrap().into_body();
    let mut read = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        read += data.len() as u64;
        most = most.max(grown(&stage, before));
    }
    assert_eq!(read, GIBIBYTE);

    let (answer, mut sending) = client.open(client.request("PUT", "/crm/v1/files/swallow", &[("scopegate-account", "user_2")]), false).await;
    let mut left = GIBIBYTE;
    while left > 0 {
        sending.reserve_capacity(DROP.len());
        let room = poll_fn(|cx| sending.poll_capacity(cx)).await.unwrap().unwrap().min(usize::try_from(left).unwrap());
        sending.send_data(Bytes::from_static(&DROP).slice(..room.min(DROP.len())), false).unwrap();
        left -= room.min(DROP.len()) as u64;
    }
    sending.send_data(Bytes::new(), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let (told, _) = crate::http2::whole(answer.into_body()).await.unwrap();
    assert_eq!(told, GIBIBYTE.to_string().as_bytes());
    most = most.max(grown(&stage, before));
    assert!(most < GROWTH, "{} MiB more", most >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_here_before_the_next_one_is_sent() {
    let upstream = Fountain::start().await;
    let stage = stage(&upstream).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    // the upstream sends an event only once this test has read the one before: were one held back, this would wait for ever
    let mut plain = raw::connect(stage.gateway).await;
    plain.write_all(&head("GET", "/crm/v1/files/events", "user_1", "Accept: text/event-stream\r\n")).await.unwrap();
    let mut heard = Vec::new();
    for number in 1..=5 {
        upstream.allow();
        let event = format!("data: {number}\n\n");
        while !heard.windows(event.len()).any(|bytes| bytes == event.as_bytes()) {
            assert_ne!(plain.read_buf(&mut heard).await.unwrap(), 0);
        }
    }
    let (answer, _) = client.open(client.request("GET", "/crm/v1/files/events", &[("scopegate-account", "user_1")]), true).await;
    let mut body = answer.await.unwrap().into_body();
    let mut heard = Vec::new();
    for number in 1..=10 {
        if number > 5 {
            upstream.allow();
        }
        let event = format!("data: {number}\n\n");
        while !heard.windows(event.len()).any(|bytes| bytes == event.as_bytes()) {
            heard.extend(body.data().await.unwrap().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_take_what_comes_holds_up_only_the_sender() {
    let upstream = Fountain::start().await;
    let stage = stage(&upstream).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    client.exchange("GET", "/crm/v1/files/pour-10", &[("scopegate-account", "user_1")], b"").await.unwrap();
    let before = stage.resident();
    let mut waiting = Vec::new();
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = raw::connect(stage.gateway).await;
        stream.write_all(&head("GET", &format!("/crm/v1/files/pour-{GIBIBYTE}"), "user_1", "")).await.unwrap();
        waiting.push(stream);
        let request = client.request("GET", &format!("/crm/v1/files/pour-{GIBIBYTE}"), &[("scopegate-account", "user_1")]);
        streams.push(client.open(request, true).await.0.await.unwrap());
    }
    // nothing moves any more once every buffer on the way is full
    let mut moved = u64::MAX;
    while std::mem::replace(&mut moved, upstream.moved()) != upstream.moved() || moved == 0 {
        stage.clock.sleep(std::time::Duration::from_millis(500)).await;
    }
    let most = grown(&stage, before);
    assert!(most < GROWTH, "{} MiB more", most >> 20);
    let reply = stage.call(Method::GET, "/crm/v1/files/pour-5", "user_1").await;
    assert_eq!(reply.status, 200);
}
