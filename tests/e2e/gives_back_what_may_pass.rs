//! What comes back, over HTTP/1 and HTTP/2 alike: headers by rule, links that lead back, statuses and ranges as the API said
//! them, and never the token, in whatever pieces or packing the API echoes it.

use crate::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, fields, frame, preface};
use crate::http2::{self, Http2};
use crate::raw::{self, Answer};
use crate::recorder::Recorder;
use crate::scripted::Scripted;
use crate::stage::{POLICY, Script, Stage, label};
use reqwest::Method;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

struct Both {
    stage: Stage,
    http2: Http2,
    token: String,
}

impl Both {
    async fn before(upstream: SocketAddr) -> Self {
        let stage = Stage::with(Script {
            listen: "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into(),
            upstream: Some(format!("http://{upstream}")),
            gateway: ", hosts: {crm.gate.example: crm}",
            policy: POLICY
                .replace("operations:\n", "operations:\n      - {id: file.head, match: \"HEAD /v1/files/{+path}\", require: accounts:read}\n"),
            ..Script::default()
        })
        .await;
        stage.account("acme", "user_1", "researcher").await;
        stage.account("acme", "user_2", "publisher").await;
        let brought = stage.practice.provider().seed(&label("acme", "user_1"), "api write");
        stage.must(Method::PUT, "/v1/connectors/crm/accounts/user_1/credentials", brought.credentials()).await;
        let http2 = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
        Self { stage, http2, token: brought.access_token.reveal().to_owned() }
    }

    /// A connection over HTTP/1 on which this was asked, and which ends with its answer.
    async fn ask(&self, method: &str, target: &str, lines: &str) -> TcpStream {
        let mut stream = raw::connect(self.stage.gateway).await;
        let host = if lines.contains("Host: ") { "" } else { "Host: localhost\r\n" };
        let head = format!("{method} {target} HTTP/1.1\r\n{host}Scopegate-Account: user_1\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// The answer over each protocol, without what differs between any two answers, or between the two protocols.
    async fn answers(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> [(u16, Vec<(String, String)>, Vec<u8>); 2] {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut bytes = Vec::new();
        self.ask(method, target, &lines).await.read_to_end(&mut bytes).await.unwrap();
        let first = if method == "HEAD" { bodiless(&bytes) } else { raw::read(bytes.as_slice()).await.remove(0) };
        let mut all = vec![("scopegate-account", "user_1")];
        all.extend(headers);
        let second = self.http2.exchange(method, target, &all, b"").await.unwrap();
        [first, second].map(|answer| {
            let ours = ["date", "connection", "transfer-encoding", "scopegate-request-id", "scopegate-decision"];
            let mut headers: Vec<_> = answer.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
            headers.retain(|(name, _)| !ours.contains(&name.as_str()));
            headers.sort();
            (answer.status, headers, answer.body)
        })
    }
}

/// An answer of which the head is all.
fn bodiless(bytes: &[u8]) -> Answer {
    let text = std::str::from_utf8(bytes).unwrap().strip_suffix("\r\n\r\n").unwrap();
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Answer { status, headers, body: Vec::new() }
}

fn pairs(lines: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        lines.lines().map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    pairs.sort();
    pairs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_pass_that_speak_of_the_content_and_links_lead_back() {
    let upstream = Scripted::start(&[]).await;
    let both = Both::before(upstream.address).await;
    let own = format!("http://{}", upstream.address);
    let stays = "Set-Cookie: a=b\r\nSet-Cookie2: a=b\r\nWWW-Authenticate: Basic\r\nProxy-Authenticate: Basic\r\nAuthentication-Info: a\r\nAuthorization: Bearer x\r\n\
        Cookie: a=b\r\nAlt-Svc: h3=\":443\"\r\nStrict-Transport-Security: max-age=1\r\nClear-Site-Data: \"*\"\r\nRefresh: 0; url=https://evil.example\r\n\
        Scopegate-Decision: allow\r\nScopegate-Anything: a\r\nKeep-Alive: timeout=5\r\nConnection: X-Hop, keep-alive\r\nX-Hop: a\r\n";
    let passes = format!(
        "ETag: \"e-1\"\r\nX-RateLimit-Remaining: 7\r\nContent-Type: text/plain\r\nContent-Location: {own}/v1/files/7\r\n\
         Link: <{own}/v1/files/a?page=2>; rel=\"next\", <https://else.example/x>; rel=\"help\"\r\nX-Echo: token {} here\r\n",
        both.token
    );
    upstream.answer("/headers", format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{stays}{passes}\r\nok").into_bytes());
    let expected = pairs(&format!(
        "content-length: 2\netag: \"e-1\"\nx-ratelimit-remaining: 7\ncontent-type: text/plain\ncontent-location: /crm/v1/files/7\n\
         link: </crm/v1/files/a?page=2>; rel=\"next\", <https://else.example/x>; rel=\"help\"\nx-echo: token {} here",
        "*".repeat(both.token.len())
    ));
    for (status, headers, body) in both.answers("GET", "/crm/v1/files/headers", &[]).await {
        assert_eq!((status, &headers, body.as_slice()), (200, &expected, b"ok".as_slice()));
    }
    for (location, through_path, through_host) in [
        (format!("{own}/v1/files/b?c=d"), Some("/crm/v1/files/b?c=d"), Some("/v1/files/b?c=d")),
        ("/v1/files/b".to_owned(), Some("/crm/v1/files/b"), Some("/v1/files/b")),
        ("b".to_owned(), Some("/crm/v1/files/b"), Some("/v1/files/b")),
        ("https://else.example/v1".to_owned(), None, None),
        ("//else.example/v1".to_owned(), None, None),
        (own.replace("http:", "https:"), None, None),
    ] {
        upstream.answer("/redirect", format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes());
        let here = |headers: &[(String, String)]| headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.clone());
        for (status, headers, _) in both.answers("GET", "/crm/v1/files/redirect", &[]).await {
            assert_eq!((status, here(&headers).as_deref()), (302, through_path), "{location}");
        }
        let mut by_host = both.ask("GET", "/v1/files/redirect", "Host: crm.gate.example\r\n").await;
        let mut bytes = Vec::new();
        by_host.read_to_end(&mut bytes).await.unwrap();
        let answer = raw::read(bytes.as_slice()).await.remove(0);
        assert_eq!((answer.status, answer.header("location")), (302, through_host), "{location}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_without_a_body_and_ranges_pass_as_they_are() {
    let upstream = Scripted::start(&[]).await;
    let both = Both::before(upstream.address).await;
    let parts = "--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/9\r\n\r\nab\r\n--b\r\nContent-Type: text/plain\r\nContent-Range: bytes 7-8/9\r\n\r\nhi\r\n--b--\r\n";
    let length = parts.len();
    for (method, status, headers, body) in [
        ("HEAD", 200, "content-length: 1000\netag: \"e\"", ""),
        ("HEAD", 404, "content-length: 9", ""),
        ("GET", 204, "etag: \"e\"", ""),
        ("GET", 304, "etag: \"e\"\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT", ""),
        ("GET", 206, "content-length: 2\ncontent-range: bytes 0-1/9\netag: \"e\"\naccept-ranges: bytes", "ab"),
        ("GET", 206, &format!("content-length: {length}\ncontent-type: multipart/byteranges; boundary=b"), parts),
        ("GET", 416, "content-length: 0\ncontent-range: bytes */9", ""),
        ("GET", 200, "content-length: 0", ""),
    ] {
        upstream.answer("/it", format!("HTTP/1.1 {status} Word\r\n{}\r\n\r\n{body}", headers.replace('\n', "\r\n")).into_bytes());
        let expected = (status, pairs(headers), body.as_bytes().to_vec());
        for answer in both.answers(method, "/crm/v1/files/it", &[("range", "bytes=0-1,7-8")]).await {
            assert_eq!(answer, expected, "{method} {status}");
        }
        // nothing of it is taken for the next answer
        let twice = format!("{method} /crm/v1/files/it HTTP/1.1\r\nHost: localhost\r\nScopegate-Account: user_1\r\n");
        let text = format!("{twice}\r\n{twice}Connection: close\r\n\r\n");
        let mut stream = raw::connect(both.stage.gateway).await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut came = String::new();
        stream.read_to_string(&mut came).await.unwrap();
        assert_eq!(came.matches(&format!("HTTP/1.1 {status} ")).count(), 2, "{method} {status}: {came}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_ends_with_its_connection_is_whole_and_one_that_is_cut_is_not() {
    let upstream = Scripted::start(&[]).await;
    let both = Both::before(upstream.address).await;
    for head in ["HTTP/1.0 200 OK\r\nContent-Type: text/plain", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close"] {
        upstream.answer("/it", format!("{head}\r\n\r\nall of it(close)").into_bytes());
        for answer in both.answers("GET", "/crm/v1/files/it", &[]).await {
            assert_eq!(answer, (200, pairs("content-type: text/plain"), b"all of it".to_vec()), "{head}");
        }
    }
    for rest in [
        "Content-Length: 100\r\n\r\na part(close)",
        "Transfer-Encoding: chunked\r\n\r\n64\r\na part(close)",
        "Transfer-Encoding: chunked\r\n\r\n6\r\na part\r\n(close)",
    ] {
        upstream.answer("/it", format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes());
        let mut came = Vec::new();
        let _ = both.ask("GET", "/crm/v1/files/it", "").await.read_to_end(&mut came).await;
        let whole = raw::read(came.as_slice()).await.into_iter().any(|answer| answer.status == 200);
        assert!(!whole, "{rest}: {}", String::from_utf8_lossy(&came));
        let over_http2 = both.http2.exchange("GET", "/crm/v1/files/it", &[("scopegate-account", "user_1")], b"").await;
        assert!(over_http2.is_err() || over_http2.is_ok_and(|answer| answer.status == 502), "{rest}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_asks_for_a_part_reaches_the_api() {
    let recorder = Recorder::start().await;
    let both = Both::before(recorder.address).await;
    let asked =
        [("range", "bytes=0-1,7-8"), ("if-range", "\"e\""), ("if-none-match", "\"f\""), ("if-modified-since", "Thu, 01 Jan 2026 00:00:00 GMT")];
    both.answers("GET", "/crm/v1/files/it", &asked).await;
    let requests = recorder.take();
    assert_eq!(requests.len(), 2);
    for request in requests {
        let text = String::from_utf8(request).unwrap().to_lowercase();
        for (name, value) in asked {
            assert!(text.contains(&format!("\r\n{name}: {}\r\n", value.to_lowercase())), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interim_answers_stay_behind() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nSet-Cookie: a=b\r\n\r\n";
    let answer = format!("{interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let upstream = Scripted::start(&[("early", answer.into_bytes().leak())]).await;
    let both = Both::before(upstream.address).await;
    let mut came = String::new();
    both.ask("GET", "/crm/v1/files/early", "").await.read_to_string(&mut came).await.unwrap();
    assert!(came.starts_with("HTTP/1.1 200 OK\r\n") && came.ends_with("\r\n\r\nok"), "{came}");
    let mut client = Frames::connect(both.stage.gateways[1]).await;
    client.send(&[preface(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields("GET", "/crm/v1/files/early", "user_1"))].concat()).await;
    let mut heads = Vec::new();
    loop {
        let frame = client.next().await.unwrap();
        heads.extend((frame.kind == HEADERS).then(|| frame.status()));
        if frame.ends() {
            break;
        }
    }
    assert_eq!(heads, [200]);
}

/// Content as each coding says it without making it any smaller.
fn packed(coding: &str, text: &[u8]) -> Vec<u8> {
    let size = u16::try_from(text.len()).unwrap();
    let stored = [&[1], size.to_le_bytes().as_slice(), &(!size).to_le_bytes(), text].concat();
    match coding {
        "gzip" => {
            let sum = text.iter().fold(u32::MAX, |sum, byte| {
                (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 })
            });
            [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], stored.as_slice(), &(!sum).to_le_bytes(), &u32::from(size).to_le_bytes()].concat()
        }
        "deflate" => {
            let (low, high) = text.iter().fold((1, 0), |(low, high), byte| {
                let low = (low + u32::from(*byte)) % 65_521;
                (low, (high + low) % 65_521)
            });
            [&[0x78, 0x01], stored.as_slice(), &(high << 16 | low).to_be_bytes()].concat()
        }
        // a window of 64 KiB, one block as it is, and an empty last one (RFC 7932, section 9)
        "br" => [&(((u32::from(size) - 1) << 4) | 1 << 20).to_le_bytes()[..3], text, &[3]].concat(),
        // content of known size in one raw block (RFC 8878, section 3.1)
        "zstd" => {
            [&[0x28, 0xb5, 0x2f, 0xfd, 0x60], (size - 256).to_le_bytes().as_slice(), &(u32::from(size) << 3 | 1).to_le_bytes()[..3], text].concat()
        }
        _ => panic!("{coding}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_answers_are_unpacked_and_do_not_hold_the_token() {
    let upstream = Scripted::start(&[]).await;
    let both = Both::before(upstream.address).await;
    let text = format!("{} and {} {}", both.token, "x".repeat(300), both.token);
    let clean = text.replace(&both.token, &"*".repeat(both.token.len()));
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let bytes = packed(coding, text.as_bytes());
        let whole =
            format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nETag: \"e\"\r\nVary: Accept\r\nContent-Length: {}\r\n\r\n", bytes.len());
        upstream.answer("/packed", [whole.as_bytes(), &bytes].concat());
        let pieces: Vec<u8> = bytes.chunks(7).flat_map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).collect();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nETag: \"e\"\r\nVary: Accept\r\nTransfer-Encoding: chunked\r\n\r\n");
        upstream.answer("/pieces", [head.as_bytes(), &pieces, b"0\r\n\r\n"].concat());
        for target in ["/crm/v1/files/packed", "/crm/v1/files/pieces"] {
            for (status, headers, body) in both.answers("GET", target, &[("accept-encoding", "gzip, br, zstd")]).await {
                let body = String::from_utf8(body).unwrap();
                assert_eq!((status, headers, body.len()), (200, pairs("vary: Accept"), clean.len()), "{coding} {target}");
                // in small pieces, fewer than 16 bytes of it pass at once
                let holds = if target.ends_with("pieces") { body.contains(&both.token) } else { body != clean };
                assert!(!holds, "{coding} {target}: {body}");
            }
        }
        // a part of something packed cannot be unpacked
        upstream.answer("/part", [whole.replace("200 OK", "206 Partial Content").as_bytes(), &bytes].concat());
        for (status, headers, body) in both.answers("GET", "/crm/v1/files/part", &[]).await {
            assert!(headers.contains(&("content-encoding".to_owned(), coding.to_owned())), "{headers:?}");
            assert_eq!((status, body.len()), (206, bytes.len()), "{coding}");
            assert!(!String::from_utf8_lossy(&body).contains(&both.token), "{coding}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_answers_that_are_broken_or_grow_beyond_bounds_are_cut() {
    let upstream = Scripted::start(&[]).await;
    let both = Both::before(upstream.address).await;
    let made = Command::new("sh").args(["-c", "head -c 268435456 /dev/zero | gzip -9 -c"]).stderr(Stdio::null()).output().unwrap();
    assert!(made.status.success() && made.stdout.len() < 10 << 20);
    let before = both.stage.resident();
    for (name, body) in
        [("a bomb", made.stdout), ("no gzip at all", b"what is this?".repeat(10)), ("half of it", packed("gzip", &[b'x'; 300])[..200].to_vec())]
    {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
        upstream.answer("/bad", [head.as_bytes(), &body].concat());
        // refused as long as nothing was said, and else cut: never something that looks whole
        let mut came = Vec::new();
        let _ = both.ask("GET", "/crm/v1/files/bad", "").await.read_to_end(&mut came).await;
        let (text, answer) = (String::from_utf8_lossy(&came), raw::read(came.as_slice()).await.pop());
        assert!(text.starts_with("HTTP/1.1 502 ") || answer.is_none(), "{name} over HTTP/1: {}", came.len());
        let answer = both.http2.exchange("GET", "/crm/v1/files/bad", &[("scopegate-account", "user_1")], b"").await;
        assert!(answer.as_ref().map_or(true, |answer| answer.status == 502), "{name} over HTTP/2: {:?}", answer.map(|answer| answer.status));
        let grown = both.stage.resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{name}: {} MiB more", grown >> 20);
    }
    let half = &packed("gzip", &[b'x'; 20_000])[..10_000];
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2710\r\n";
    upstream.answer("/later", [head.as_bytes(), half, b"\r\n(wait)0\r\n\r\n"].concat());
    let mut stream = both.ask("GET", "/crm/v1/files/later", "").await;
    let mut came = Vec::new();
    while content(&came).is_empty() {
        assert_ne!(stream.read_buf(&mut came).await.unwrap(), 0);
    }
    let request = both.http2.request("GET", "/crm/v1/files/later", &[("scopegate-account", "user_1")]);
    let mut body = both.http2.open(request, true).await.0.await.unwrap().into_body();
    assert!(!body.data().await.unwrap().unwrap().is_empty());
    upstream.release();
    let _ = stream.read_to_end(&mut came).await;
    assert!(came.starts_with(b"HTTP/1.1 200 ") && !came.ends_with(b"0\r\n\r\n"));
    assert!(http2::whole(body).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_overwritten_across_pieces_and_nothing_waits_that_need_not() {
    let upstream = Scripted::start(&[]).await;
    let both = Both::before(upstream.address).await;
    let (token, stars) = (both.token.clone(), "*".repeat(both.token.len()));
    let short = token.split_at(15).0;
    // what may be seen before the rest is sent, and in the end: a short beginning of a token passes at once, a long one waits
    for (cut, at_once, at_last) in [
        (0, "data: 1 ".to_owned(), format!("data: 1 {stars}\n\n")),
        (15, format!("data: 1 {short}"), format!("data: 1 {short}{}\n\n", "*".repeat(token.len() - 15))),
        (16, "data: 1 ".to_owned(), format!("data: 1 {stars}\n\n")),
        (token.len() - 1, "data: 1 ".to_owned(), format!("data: 1 {stars}\n\n")),
    ] {
        let chunk = |text: &str| if text.is_empty() { String::new() } else { format!("{:x}\r\n{text}\r\n", text.len()) };
        let (before, behind) = token.split_at(cut);
        let (first, second) = (format!("data: 1 {before}"), format!("{behind}\n\n"));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        upstream.answer("/echo", format!("{head}{}(wait){}0\r\n\r\n", chunk(&first), chunk(&second)).into_bytes());
        upstream.hold();
        let mut stream = both.ask("GET", "/crm/v1/files/echo", "").await;
        let mut over_http1 = Vec::new();
        while !content(&over_http1).starts_with(at_once.as_bytes()) {
            assert_ne!(stream.read_buf(&mut over_http1).await.unwrap(), 0);
        }
        let request = both.http2.request("GET", "/crm/v1/files/echo", &[("scopegate-account", "user_1")]);
        let mut body = both.http2.open(request, true).await.0.await.unwrap().into_body();
        let mut over_http2 = Vec::new();
        while !over_http2.starts_with(at_once.as_bytes()) {
            over_http2.extend(body.data().await.unwrap().unwrap());
        }
        assert_eq!((content(&over_http1).len(), over_http2.len()), (at_once.len(), at_once.len()), "{cut}");
        upstream.release();
        stream.read_to_end(&mut over_http1).await.unwrap();
        while let Some(data) = body.data().await {
            over_http2.extend(data.unwrap());
        }
        assert_eq!((content(&over_http1), over_http2), (at_last.clone().into_bytes(), at_last.into_bytes()), "{cut}");
    }
}

/// The content of an answer in chunks, as far as it came.
fn content(bytes: &[u8]) -> Vec<u8> {
    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Vec::new() };
    let (mut rest, mut content) = (&bytes[head + 4..], Vec::new());
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = &rest[line + 2..];
        content.extend_from_slice(&chunk[..size.min(chunk.len())]);
        rest = chunk.get(size + 2..).unwrap_or_default();
    }
    content
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_that_is_named_after_the_token_stays_behind() {
    let upstream = Scripted::start(&[]).await;
    let both = Both::before(upstream.address).await;
    let named = format!("HTTP/1.1 200 OK\r\nX-{}: a\r\nX-Other: b\r\nContent-Length: 2\r\n\r\nok", both.token);
    upstream.answer("files/named", named.into_bytes());
    let token = both.token.to_ascii_lowercase();
    for (status, headers, body) in both.answers("GET", "/crm/v1/files/named", &[]).await {
        let names: Vec<_> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        assert_eq!((status, body.as_slice(), names.iter().any(|name| name == "x-other")), (200, b"ok".as_slice(), true));
        assert!(!names.iter().any(|name| name.contains(&token)), "{names:?}");
    }
}
