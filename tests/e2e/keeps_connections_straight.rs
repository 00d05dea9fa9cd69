//! A connection serves one request after another, whatever became of the one before; and each side learns of the other's end.

use crate::actor::{self, Actor};
use crate::audit;
use crate::http2::Http2;
use crate::raw::{self, Answer};
use crate::scripted::Scripted;
use crate::stage::{POLICY, Script, Stage};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";

async fn stage(upstream: &Scripted) -> Stage {
    let settings = "limits: {requests_per_account: none, body: 100KiB, upstream: {connect: 2s, head: 1s, idle: 5s}}\n";
    let policy =
        POLICY.replace("operations:\n", "operations:\n      - {id: talk, match: GET /v1/talk, require: accounts:read, upgrade: websocket}\n");
    let listen = "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into();
    let script = Script { listen, settings: settings.into(), upstream: Some(format!("http://{}", upstream.address)), policy, ..Script::default() };
    let stage = Stage::with(script).await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("acme", "user_2", "publisher").await;
    stage
}

fn head(method: &str, target: &str, lines: &str) -> String {
    let account = if method == "GET" || method == "HEAD" { "user_1" } else { "user_2" };
    format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nScopegate-Account: {account}\r\n{lines}\r\n")
}

fn get(target: &str) -> String {
    head("GET", target, "")
}

/// Sends all of it and the end, and reads all answers: a client that half-closes is owed them.
async fn ask(stage: &Stage, text: &str) -> Vec<Answer> {
    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    raw::answers(stream).await
}

fn told(answers: &[Answer]) -> Vec<(u16, Option<&str>, Option<&str>)> {
    answers.iter().map(|answer| (answer.status, answer.reason(), answer.header("connection"))).collect()
}

async fn read_until(stream: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_outlives_refusals_and_what_upstreams_do_wrong() {
    let upstream = Scripted::start(&[("silent", b"(hold)"), ("dies", b""), ("garbage", b"what?\r\n\r\n")]).await;
    let stage = stage(&upstream).await;
    let (lives, last) = (Some("keep-alive"), Some("close"));
    for (request, status, reason, connection) in [
        (get("/crm/v1/hidden"), 403, Some("unknown_operation"), lives),
        (head("PATCH", "/crm/v1/hidden", "Content-Length: 2\r\n") + "{}", 403, Some("unknown_operation"), lives),
        (head("PUT", "/crm/v1/hidden", "Transfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n", 403, Some("unknown_operation"), lives),
        (get("/crm/v1/files/silent"), 504, Some("upstream_timeout"), lives),
        (get("/crm/v1/files/dies"), 502, Some("upstream_unreachable"), lives),
        (get("/crm/v1/files/garbage"), 502, Some("upstream_unreachable"), lives),
        (head("PUT", "/crm/v1/files/a", "Content-Length: 3\r\n") + "abc", 200, None, lives),
        (head("PUT", "/crm/v1/hidden", "Content-Length: 3\r\nExpect: 100-continue\r\n"), 403, Some("unknown_operation"), last),
        (head("PUT", "/crm/v1/hidden", "Content-Length: 90000\r\n"), 403, Some("unknown_operation"), last),
        (head("PUT", "/crm/v1/files/a", "Transfer-Encoding: chunked\r\n") + "zz\r\n", 400, Some("ambiguous_request"), last),
        (get("/crm/v1/accounts/A-1").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"), 200, None, last),
    ] {
        let answers = ask(&stage, &format!("{request}{}", get("/crm/v1/accounts/A-2"))).await;
        let mut expected = vec![(status, reason, connection)];
        expected.extend((connection == lives).then_some((200, None, lives)));
        assert_eq!(told(&answers), expected, "{request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_framed_for_the_client_and_interim_answers_stay_behind() {
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let answers: [(&str, &[u8]); 5] = [
        ("chunked", CHUNKED),
        ("early", early),
        ("empty", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("nothing", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("cut", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    ];
    let upstream = Scripted::start(&answers).await;
    let stage = stage(&upstream).await;
    for (word, status, length, body) in
        [("chunked", 200, None, "abcde"), ("early", 200, Some("2"), "ok"), ("empty", 200, Some("0"), ""), ("nothing", 204, None, "")]
    {
        let answers = ask(&stage, &get(&format!("/crm/v1/files/{word}"))).await;
        let [answer] = &answers[..] else { panic!("{word}: {answers:?}") };
        let came = (answer.status, answer.header("content-length"), String::from_utf8_lossy(&answer.body));
        assert_eq!(came, (status, length, body.into()), "{word}");
    }
    let old = ask(&stage, &get("/crm/v1/files/chunked").replace("HTTP/1.1", "HTTP/1.0")).await;
    let [old] = &old[..] else { panic!("{old:?}") };
    let came = (old.header("transfer-encoding"), old.header("content-length"), old.header("connection"), &old.body[..]);
    assert_eq!(came, (None, None, Some("close"), &b"abcde"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_sent_again_only_where_that_does_no_harm() {
    let upstream = Scripted::start(&[("dies", b"")]).await;
    let stage = stage(&upstream).await;
    for (method, lines, times) in [("GET", "", 2), ("PUT", "Content-Length: 0\r\n", 2), ("PATCH", "Content-Length: 0\r\n", 1)] {
        // The first leaves its upstream connection to the second.
        let target = if method == "PATCH" { "/crm/v1/opportunities/dies" } else { "/crm/v1/files/dies" };
        let answers = ask(&stage, &format!("{}{}", get("/crm/v1/accounts/A-1"), head(method, target, lines))).await;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 502], "{method}");
        assert_eq!(upstream.take().iter().filter(|line| line.contains("dies")).count(), times, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_without_end_is_cut_and_never_becomes_a_request() {
    let upstream = Scripted::start(&[]).await;
    let stage = stage(&upstream).await;
    let stream = raw::connect(stage.gateway).await;
    let (mut reads, mut writes) = stream.into_split();
    writes.write_all(head("PUT", "/crm/v1/files/endless", "Transfer-Encoding: chunked\r\n").as_bytes()).await.unwrap();
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let sends = async { while writes.write_all(chunk.as_bytes()).await.is_ok() {} };
    let mut read = Vec::new();
    let answers = async { while !read.ends_with(b"}") && reads.read_buf(&mut read).await.is_ok_and(|more| more > 0) {} };
    tokio::select! {
        () = sends => panic!("the gateway stopped reading before its answer was read"),
        () = answers => {}
    }
    let text = String::from_utf8_lossy(&read);
    assert!(text.starts_with("HTTP/1.1 413 ") && text.contains("body_too_large"), "{text}");
    assert_eq!(upstream.take(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_half_closes_gets_its_answer_and_one_that_is_gone_is_told_apart() {
    let upstream = Scripted::start(&[("held", b"(hold)")]).await;
    let mut stage = stage(&upstream).await;
    let mut waits = raw::connect(stage.gateway).await;
    waits.write_all(get("/crm/v1/files/held/waits").as_bytes()).await.unwrap();
    waits.shutdown().await.unwrap();
    let mut leaves = raw::connect(stage.gateway).await;
    leaves.write_all(get("/crm/v1/files/held/leaves").as_bytes()).await.unwrap();
    upstream.until("waits").await;
    upstream.until("leaves").await;
    // Its end must be a reset that is there before the answer comes; a FIN alone is a half-close.
    raw::reset(leaves);
    upstream.release();
    let answers = raw::answers(waits).await;
    assert_eq!(answers.iter().map(|answer| &answer.body[..]).collect::<Vec<_>>(), [b"held"]);
    let events = audit::all(&mut stage);
    for (path, status) in [("/v1/files/held/waits", Value::from(200)), ("/v1/files/held/leaves", Value::Null)] {
        let found: Vec<_> = events.iter().filter(|event| event["path"] == path).map(|event| event["status"].clone()).collect();
        assert_eq!(found, [status], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_for_a_word_gets_it_only_where_its_body_is_wanted() {
    let upstream = Scripted::start(&[]).await;
    let stage = stage(&upstream).await;
    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(head("PUT", "/crm/v1/files/a", "Content-Length: 2\r\nExpect: 100-continue\r\n").as_bytes()).await.unwrap();
    assert_eq!(read_until(&mut stream, b"\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    assert!(read_until(&mut stream, b"ok").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_talk_both_ways_and_bytes_sent_ahead_are_not_lost() {
    const MANY: usize = 20;
    let upstream = Scripted::start(&[("talk", b"(echo)")]).await;
    let mut stage = stage(&upstream).await;
    for _ in 0..MANY {
        let mut stream = raw::connect(stage.gateway).await;
        stream.write_all(format!("{}ahead", head("GET", "/crm/v1/talk", UPGRADE)).as_bytes()).await.unwrap();
        let text = read_until(&mut stream, b"ahead").await;
        assert!(text.starts_with("HTTP/1.1 101 ") && text.to_lowercase().contains("upgrade: websocket"), "{text}");
        stream.write_all(b"and after").await.unwrap();
        assert_eq!(read_until(&mut stream, b"after").await, "and after");
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    }
    let events = audit::all(&mut stage);
    let talks: Vec<_> = events.iter().filter(|event| event["path"] == "/v1/talk").collect();
    assert_eq!(talks.len(), MANY);
    for talk in talks {
        assert_eq!((&talk["status"], &talk["bytes_in"], &talk["bytes_out"]), (&Value::from(101), &Value::from(14), &Value::from(14)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_may_answer_an_upgrade_without_one() {
    let upstream = Scripted::start(&[("talk", b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 3\r\n\r\nno!")]).await;
    let stage = stage(&upstream).await;
    let answers = ask(&stage, &format!("{}{}", head("GET", "/crm/v1/talk", UPGRADE), get("/crm/v1/accounts/A-1"))).await;
    assert_eq!(told(&answers), [(426, None, Some("keep-alive")), (200, None, Some("keep-alive"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_process_waits_for_what_is_in_flight() {
    let upstream = Scripted::start(&[("held", b"(hold)")]).await;
    let mut stage = stage(&upstream).await;
    let _idle = raw::connect(stage.gateway).await;
    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(get("/crm/v1/files/held").as_bytes()).await.unwrap();
    upstream.until("held").await;
    stage.tell_to_stop();
    while TcpStream::connect(stage.gateway).await.is_ok() {
        tokio::task::yield_now().await;
    }
    upstream.release();
    let answers = raw::answers(stream).await;
    assert_eq!(told(&answers), [(200, None, Some("close"))]);
    assert!(stage.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_upstream_sends_beyond_its_answer_reaches_nobody() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let upstream = Scripted::start(&[]).await;
    let stage = stage(&upstream).await;
    for (method, name, answer) in [
        ("GET", "behind a length", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{EVIL}")),
        ("GET", "behind no length at all", format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{EVIL}")),
        ("GET", "behind chunks", format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{EVIL}")),
        ("GET", "behind a 204", format!("HTTP/1.1 204 No Content\r\n\r\n{EVIL}")),
        ("GET", "behind a 304", format!("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n{EVIL}")),
        ("HEAD", "as the body of a HEAD", format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{EVIL}", EVIL.len())),
        ("GET", "behind a 401 that is set aside", format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno{EVIL}")),
        ("GET", "behind an interim answer", format!("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{EVIL}")),
        (
            "GET",
            "behind a length, beside chunks",
            format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{EVIL}"),
        ),
        ("GET", "behind the smaller of two lengths", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\nok{EVIL}")),
    ] {
        upstream.answer("bad", answer.into_bytes());
        let mut heard = Vec::new();
        // who asked may get what is wrong with it, but in no other's answer
        let mut stream = raw::connect(stage.gateway).await;
        let bad = head(method, "/crm/v1/files/bad", "Connection: close\r\n").replace("user_2", "user_1");
        stream.write_all(bad.as_bytes()).await.unwrap();
        stream.read_to_end(&mut heard).await.unwrap();
        for _ in 0..5 {
            let reply = stage.call(Method::GET, "/crm/v1/opportunities/O-1", "user_2").await;
            assert_eq!((reply.status, reply.body.as_str()), (200, Some("ok")), "{name}: {:?}", String::from_utf8_lossy(&heard));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_could_end_in_two_places_is_refused() {
    let upstream = Scripted::start(&[]).await;
    let stage = stage(&upstream).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    for (lines, body, told) in [
        ("200 OK\r\nContent-Length: 2", "ok", (200, "ok")),
        ("200 OK\r\nTransfer-Encoding: Chunked", "2\r\nok\r\n0\r\n\r\n", (200, "ok")),
        // chunks win over a length, which does not pass (RFC 9112, section 6.3)
        ("200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", (200, "hello")),
        ("200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2", "5\r\nhello\r\n0\r\n\r\n", (200, "hello")),
        ("200 OK\r\nContent-Length: 2\r\nContent-Length: 4", "okok", (502, "")),
        ("200 OK\r\nContent-Length: 4\r\nContent-Length: 2", "okok", (502, "")),
        ("200 OK\r\nContent-Length: 2, 2", "ok", (502, "")),
        ("200 OK\r\nContent-Length: +2", "ok", (502, "")),
        ("200 OK\r\nContent-Length: -2", "ok", (502, "")),
        ("200 OK\r\nContent-Length: 0x2", "ok", (502, "")),
        ("200 OK\r\nTransfer-Encoding: gzip", "ok", (502, "")),
        ("200 OK\r\nTransfer-Encoding: gzip, chunked", "2\r\nok\r\n0\r\n\r\n", (502, "")),
        ("200 OK\r\nTransfer-Encoding: chunked, chunked", "2\r\nok\r\n0\r\n\r\n", (502, "")),
        ("200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "2\r\nok\r\n0\r\n\r\n", (502, "")),
        ("200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 2", "ok", (502, "")),
        ("200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 2", "ok", (502, "")),
        ("099 What\r\nContent-Length: 2", "ok", (502, "")),
        ("101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket", "ok", (502, "")),
        ("204 No Content\r\nContent-Length: 2", "ok", (204, "")),
        ("204 No Content\r\nTransfer-Encoding: chunked", "2\r\nok\r\n0\r\n\r\n", (204, "")),
        ("304 Not Modified\r\nTransfer-Encoding: chunked", "2\r\nok\r\n0\r\n\r\n", (304, "")),
    ] {
        upstream.answer("bad", format!("HTTP/1.1 {lines}\r\n\r\n{body}").into_bytes());
        // what follows on the same connection is not mistaken for a part of it
        let over_http1 = ask(&stage, &format!("{}{}", get("/crm/v1/files/bad"), get("/crm/v1/hidden"))).await;
        let [bad, next] = &over_http1[..] else { panic!("{lines}: {over_http1:?}") };
        assert_eq!((next.status, next.reason()), (403, Some("unknown_operation")), "{lines}");
        let over_http2 = client.exchange("GET", "/crm/v1/files/bad", &[("scopegate-account", "user_1")], b"").await.unwrap();
        for answer in [bad, &over_http2] {
            let ours = answer.reason() == Some("upstream_unreachable");
            let content = if ours { String::new() } else { String::from_utf8_lossy(&answer.body).into_owned() };
            assert_eq!((answer.status, content.as_str(), ours), (told.0, told.1, told.0 == 502), "{lines}");
            if told.0 == 204 {
                assert_eq!((answer.header("content-length"), answer.header("transfer-encoding")), (None, None), "{lines}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_never_comes_to_the_point_is_given_up() {
    let upstream = Scripted::start(&[]).await;
    let stage = stage(&upstream).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    stage.call(Method::GET, "/crm/v1/files/a", "user_1").await;
    let before = stage.resident();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many = |line: &str| line.repeat((8 << 20) / line.len());
    for (name, answer) in [
        ("a head without end", format!("HTTP/1.1 200 OK\r\n{}", many("X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"))),
        ("a header without end", format!("HTTP/1.1 200 OK\r\nX-A: {}", many("a"))),
        ("interim answers without end", many("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") + "(wait)"),
        ("a chunk's size without end", format!("{chunked}{}", many("0"))),
        ("an extension without end", format!("{chunked}2;{}", many("a"))),
        ("trailers without end", format!("{chunked}2\r\nok\r\n0\r\n{}", many("X-A: a\r\n"))),
    ] {
        upstream.answer("bad", answer.into_bytes());
        let mut heard = Vec::new();
        let mut stream = raw::connect(stage.gateway).await;
        stream.write_all(get("/crm/v1/files/bad").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        stream.read_to_end(&mut heard).await.unwrap();
        let status = String::from_utf8_lossy(&heard).split(' ').nth(1).unwrap().parse::<u16>().unwrap();
        // refused, also because it takes too long; or cut, where its head was well
        assert!(matches!(status, 502 | 504) || (status == 200 && answer_is_cut(name, &heard)), "{name}: {status}");
        let over_http2 = client.exchange("GET", "/crm/v1/files/bad", &[("scopegate-account", "user_1")], b"").await;
        assert!(over_http2.map_or(true, |answer| matches!(answer.status, 502 | 504)), "{name} over HTTP/2");
        let grown = stage.resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{name}: {} MiB more", grown >> 20);
    }
}

/// Whether an answer in chunks that begins well lacks its end; a head that never ends cannot begin well.
fn answer_is_cut(name: &str, heard: &[u8]) -> bool {
    !name.starts_with("a head") && !heard.ends_with(b"0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_its_answer_ends_or_makes_doubtful_is_not_used_again() {
    let close = "Connection: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let both = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    for (name, lines) in [("a second Connection says close", close), ("two framings", both)] {
        let upstream = Actor::http1(move |mut stream: TcpStream, _| async move {
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{lines}").as_bytes()).await?;
            // should another request come all the same
            actor::head(&mut stream).await?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nagain").await?;
            std::future::pending().await
        })
        .await;
        let script = Script { upstream: Some(format!("http://{}", upstream.address)), ..Script::default() };
        let stage = Stage::with(script).await;
        stage.account("acme", "user_1", "researcher").await;
        for _ in 0..3 {
            let reply = stage.call(Method::GET, "/crm/v1/files/a", "user_1").await;
            assert_eq!((reply.status, reply.body.as_str()), (200, Some("ok")), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_is_no_whole_one_to_a_client_that_knows_no_chunks() {
    let upstream = Scripted::start(&[("cut", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n(wait)(close)")]).await;
    let mut stage = stage(&upstream).await;
    let mut stream = raw::connect(stage.gateway).await;
    stream.write_all(get("/crm/v1/files/cut").replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, b"hello").await.starts_with("HTTP/1.1 200 "));
    upstream.release();
    let ended = stream.read(&mut [0; 1]).await;
    assert_eq!(ended.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
    let events = audit::all(&mut stage);
    let cut = events.iter().find(|event| event["path"] == "/v1/files/cut").unwrap();
    assert_eq!(cut["status"], 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_whose_kept_connection_was_dead_goes_over_another() {
    let upstream = Actor::http1(async |mut stream: TcpStream, mut head: String| {
        for number in 0.. {
            if head.starts_with("PUT") && number > 0 {
                // as a system does whose program closed just before
                raw::reset(stream);
                return Ok(());
            }
            if head.starts_with("PUT") {
                stream.read_exact(&mut [0; 60_000]).await?;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
            head = actor::head(&mut stream).await?;
        }
        Ok(())
    })
    .await;
    let stage = Stage::with(Script { upstream: Some(format!("http://{}", upstream.address)), ..Script::default() }).await;
    stage.account("acme", "user_2", "publisher").await;
    for number in 0..20 {
        // each leaves its connection to the next
        assert_eq!(stage.call(Method::GET, "/crm/v1/opportunities/O-1", "user_2").await.status, 200);
        let reply = stage.send(stage.request(Method::PUT, "/crm/v1/files/a", "user_2").body(vec![b'x'; 60_000])).await;
        assert_eq!(reply.status, 200, "{number}: {reply:?}");
    }
}
