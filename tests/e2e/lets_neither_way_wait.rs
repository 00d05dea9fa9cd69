//! A request and its answer are under way at once: neither waits for the other, and neither outlives its use.

use crate::actor::{Actor, WINDOW};
use crate::audit;
use crate::certified::Authority;
use crate::http2::Http2;
use crate::raw;
use crate::stage::{POLICY, Script, Stage};
use bytes::Bytes;
use h2::RecvStream;
use http::Response;
use reqwest::Method;
use serde_json::Value;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{interval, sleep, timeout};

/// Far less than an API may be silent here, and more than anything of this takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than the system's buffers hold on any way.
const LARGE: usize = 24 << 20;
static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

async fn stage(upstream: String, trusts: Option<&Authority>, limits: &str) -> Stage {
    let policy =
        POLICY.replace("operations:\n", "operations:\n      - {id: talk, match: GET /v1/talk, require: accounts:read, upgrade: websocket}\n");
    let script = Script {
        listen: "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into(),
        settings: format!("limits: {{requests_per_account: none, {limits}}}\n"),
        egress: trusts.map(|trusts| format!(", ca_file: {}", trusts.file().display())).unwrap_or_default(),
        upstream: Some(upstream),
        policy,
        ..Script::default()
    };
    let stage = Stage::with(script).await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    stage
}

fn put(target: &str, framing: &str) -> String {
    format!("PUT /crm/v1/files/{target} HTTP/1.1\r\nHost: 127.0.0.1\r\nScopegate-Account: user_2\r\n{framing}\r\n\r\n")
}

fn sized() -> String {
    format!("Content-Length: {LARGE}")
}

/// Sends a large body for as long as somebody takes it.
async fn pour(mut to: impl AsyncWrite + Unpin) -> usize {
    let mut sent = 0;
    while sent < LARGE && to.write_all(&PIECE).await.is_ok() {
        sent += PIECE.len();
    }
    sent
}

/// Reads so many bytes, or all of them.
async fn drain(from: &mut (impl AsyncRead + Unpin), most: usize) -> usize {
    let (mut read, mut room) = (0, vec![0; PIECE.len()]);
    while read < most {
        match from.read(&mut room).await {
            Ok(more @ 1..) => read += more,
            Ok(0) | Err(_) => break,
        }
    }
    read
}

/// Answers with much before it reads anything; where not all of the body comes then, the connection ends.
async fn answers_first(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").as_bytes()).await?;
    pour(&mut stream).await;
    stream.flush().await?;
    if drain(&mut stream, LARGE).await == LARGE { pending().await } else { Ok(()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_passes_while_the_body_waits_and_then_the_body_goes_on() {
    let authority = Authority::new();
    let plain = Actor::http1(async |stream, _| answers_first(stream).await).await;
    let tls = Actor::secure_http1(&authority.sign("upstream", "127.0.0.1"), async |stream, _| answers_first(stream).await).await;
    let (plain, tls) = (format!("http://{}", plain.address), format!("https://{}", tls.address));
    for (upstream, framing) in [(&plain, sized()), (&tls, sized()), (&plain, "Transfer-Encoding: chunked".into())] {
        let stage = stage(upstream.clone(), Some(&authority), "body: 64MiB").await;
        let (mut reads, mut writes) = raw::connect(stage.gateway).await.into_split();
        let sends = async {
            writes.write_all(put("both", &framing).as_bytes()).await.unwrap();
            if framing.contains("chunked") {
                writes.write_all(format!("{LARGE:x}\r\n").as_bytes()).await.unwrap();
            }
            let sent = pour(&mut writes).await;
            if framing.contains("chunked") {
                writes.write_all(b"\r\n0\r\n\r\n").await.unwrap();
            }
            sent
        };
        let both = timeout(PATIENCE, async { tokio::join!(sends, drain(&mut reads, LARGE)) }).await;
        let (sent, read) = both.unwrap_or_else(|_| panic!("one way waits for the other: {upstream}, {framing}"));
        assert_eq!((sent, read >= LARGE), (LARGE, true), "{framing}: {read}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_while_its_body_waits_is_noticed() {
    let upstream = Actor::http1(async |mut stream, head| {
        if head.contains("deaf") {
            pending::<()>().await;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await
    })
    .await;
    let stage = stage(format!("http://{}", upstream.address), None, "body: 64MiB, concurrent_per_account: 1").await;
    let mut leaves = raw::connect(stage.gateway).await;
    leaves.write_all(put("deaf", &sized()).as_bytes()).await.unwrap();
    while timeout(Duration::from_millis(300), leaves.write_all(&PIECE)).await.is_ok() {}
    let call = async || stage.call(Method::GET, "/crm/v1/opportunities/O-1", "user_2").await.status;
    assert_eq!(call().await, 429, "its place is taken");
    raw::reset(leaves);
    let free = timeout(PATIENCE, async { while call().await == 429 {} }).await;
    assert!(free.is_ok(), "a client that is gone keeps its place");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_does_not_wait_for_an_api_that_takes_no_more_of_the_body() {
    let authority = Authority::new();
    let plain = Actor::http1(async |mut stream, _| {
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").await?;
        pending().await
    })
    .await;
    let tls = Actor::http2(&authority.sign("upstream", "127.0.0.1"), async |request, mut answer| {
        let response = Response::builder().status(413).body(()).unwrap();
        answer.send_response(response, false).unwrap().send_data(Bytes::from_static(b"big"), true).unwrap();
        pending::<()>().await;
        drop(request);
    })
    .await;
    for upstream in [format!("http://{}", plain.address), format!("https://{}", tls.address)] {
        let stage = stage(upstream.clone(), Some(&authority), "body: 64MiB").await;
        let (mut reads, mut writes) = raw::connect(stage.gateway).await.into_split();
        writes.write_all(put("early", &sized()).as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        // its last bytes may be cut off with those of the body that nobody reads
        let hears = timeout(PATIENCE / 2, async { tokio::join!(pour(&mut writes), reads.read_to_end(&mut heard)) });
        assert!(hears.await.is_ok(), "the connection is held: {upstream}");
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.starts_with("HTTP/1.1 413 ") && heard.contains("big"), "{upstream}: {heard}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_messages_of_a_websocket_come_while_its_clients_wait_and_none_are_lost() {
    const TICK: &[u8] = b"tick";
    let (listens, all) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, has_all) = (Arc::clone(&listens), Arc::clone(&all));
    let upstream = Actor::http1(move |mut stream: TcpStream, _| {
        let (begins, has_all) = (Arc::clone(&begins), Arc::clone(&has_all));
        async move {
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
            let (mut reads, mut writes) = stream.split();
            let ticks = async {
                let mut often = interval(Duration::from_millis(50));
                while writes.write_all(TICK).await.is_ok() {
                    often.tick().await;
                }
            };
            let reads = async {
                begins.notified().await;
                if drain(&mut reads, LARGE).await == LARGE {
                    has_all.notify_one();
                }
                pending::<()>().await;
            };
            tokio::join!(ticks, reads);
            Ok(())
        }
    })
    .await;
    let stage = stage(format!("http://{}", upstream.address), None, "upstream: {idle: 1s}").await;
    let head = format!("GET /crm/v1/talk HTTP/1.1\r\nHost: 127.0.0.1\r\nScopegate-Account: user_1\r\n{UPGRADE}\r\n");
    let (mut reads, mut writes) = raw::connect(stage.gateway).await.into_split();
    writes.write_all(head.as_bytes()).await.unwrap();
    let hears = async {
        // for longer than nothing at all may move
        let heard = timeout(PATIENCE, drain(&mut reads, 60 * TICK.len())).await;
        assert!(heard.is_ok_and(|heard| heard >= 60 * TICK.len()), "the API's messages wait for the client's");
        listens.notify_one();
        drain(&mut reads, usize::MAX).await;
    };
    let passes = async { tokio::join!(pour(&mut writes), all.notified()) };
    let passed = tokio::select! {
        passed = timeout(PATIENCE, passes) => passed,
        () = hears => panic!("the connection ended"),
    };
    assert!(passed.is_ok(), "not all that the client sent came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_takes_nothing_of_a_body_and_says_nothing_is_given_up() {
    let authority = Authority::new();
    let plain = Actor::http1(async |_stream, _| pending().await).await;
    let tls = Actor::http2(&authority.sign("upstream", "127.0.0.1"), async |_request, _answer| pending().await).await;
    for upstream in [format!("http://{}", plain.address), format!("https://{}", tls.address)] {
        let stage = stage(upstream.clone(), Some(&authority), "body: 64MiB, upstream: {head: 1s}").await;
        let (mut reads, mut writes) = raw::connect(stage.gateway).await.into_split();
        writes.write_all(put("deaf", &sized()).as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let hears = timeout(PATIENCE / 2, async { tokio::join!(pour(&mut writes), reads.read_to_end(&mut heard)) });
        assert!(hears.await.is_ok(), "it is waited for: {upstream}");
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.starts_with("HTTP/1.1 504 ") && heard.contains("upstream_timeout"), "{upstream}: {heard}");
    }
}

/// Reads a body slowly: a window of it at a time.
async fn sip(mut body: RecvStream, pause: Duration) -> usize {
    let mut came = 0;
    while let Some(Ok(data)) = body.data().await {
        came += data.len();
        sleep(pause).await;
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    came
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_goes_up_as_slowly_as_the_api_takes_it() {
    let authority = Authority::new();
    let upstream = Actor::http2(&authority.sign("upstream", "127.0.0.1"), async |request, mut answer| {
        let came = sip(request.into_body(), Duration::from_millis(250)).await;
        answer.send_response(Response::new(()), false).unwrap().send_data(came.to_string().into(), true).unwrap();
    })
    .await;
    let stage = stage(format!("https://{}", upstream.address), Some(&authority), "upstream: {head: 1s, idle: 20s}").await;
    let body = vec![b'x'; 10 * WINDOW as usize];
    let reply = stage.send(stage.request(Method::PUT, "/crm/v1/files/slow", "user_2").body(body.clone())).await;
    assert_eq!((reply.status, reply.body.as_u64()), (200, Some(body.len() as u64)), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_body_behind_its_answer_leaves_the_status_in_the_event() {
    let upstream = Actor::http1(async |mut stream, _| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n").await?;
        drain(&mut stream, usize::MAX).await;
        Ok(())
    })
    .await;
    let mut stage = stage(format!("http://{}", upstream.address), None, "body: 1KiB").await;
    let (mut reads, mut writes) = raw::connect(stage.gateway).await.into_split();
    writes.write_all(put("http1", "Transfer-Encoding: chunked").as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"ok\r\n") {
        assert_ne!(reads.read_buf(&mut heard).await.unwrap(), 0);
    }
    writes.write_all(format!("800\r\n{}\r\n", "x".repeat(0x800)).as_bytes()).await.unwrap();
    reads.read_to_end(&mut heard).await.unwrap();
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    let (answer, mut sending) = client.open(client.request("PUT", "/crm/v1/files/http2", &[("scopegate-account", "user_2")]), false).await;
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), b"ok".as_slice());
    sending.send_data(Bytes::from_static(&PIECE[..0x800]), false).unwrap();
    assert!(body.data().await.unwrap().is_err(), "the answer is cut");
    let events = audit::all(&mut stage);
    for path in ["/v1/files/http1", "/v1/files/http2"] {
        let status: Vec<_> = events.iter().filter(|event| event["path"] == path).map(|event| event["status"].clone()).collect();
        assert_eq!(status, [Value::from(200)], "{path}");
    }
}
