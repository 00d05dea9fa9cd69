//! The upstream gets the canonical request, written anew: nothing that was not judged, and the right credential once.

use crate::raw;
use crate::recorder::Recorder;
use crate::stage::{Script, Stage};

/// A recorded request in parts; header names in lower case, sorted.
#[derive(Debug)]
struct Arrived {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn read(bytes: &[u8]) -> Arrived {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let mut headers: Vec<_> =
        lines.map(|line| line.split_once(':').unwrap()).map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    headers.sort();
    Arrived { line, headers, body: bytes[end + 4..].to_vec() }
}

async fn stage() -> (Stage, Recorder, String) {
    let recorder = Recorder::start().await;
    let stage = Stage::with(Script { upstream: Some(format!("http://{}", recorder.address)), log: "scopegate=debug", ..Script::default() }).await;
    stage.account("acme", "user_1", "publisher").await;
    stage.account("acme", "user_2", "researcher").await;
    let seeded = stage.practice.provider().secrets();
    let credentials = stage.practice.provider().seed(&crate::stage::label("acme", "user_1"), "api write");
    stage.must(reqwest::Method::PUT, "/v1/connectors/crm/accounts/user_1/credentials", credentials.credentials()).await;
    assert!(!seeded.contains(&credentials.access_token.reveal().to_owned()));
    (stage, recorder, credentials.access_token.reveal().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_goes_out_in_its_one_canonical_form() {
    let (stage, recorder, _) = stage().await;
    for (sent, arrives) in [
        ("/crm/v1/opportunities/O-7", "/v1/opportunities/O-7"),
        ("/crm/v1/opportunities/%4f%2D7", "/v1/opportunities/O-7"),
        ("/crm/v1/opportunities/%c3%a4", "/v1/opportunities/%C3%A4"),
        ("/crm/v1/opportunities/O-7?b=2&a=%41+1&b=", "/v1/opportunities/O-7?b=2&a=%41+1&b="),
        ("/crm/v1/opportunities/a@b:c", "/v1/opportunities/a@b:c"),
    ] {
        let head = format!("GET {sent} HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_1\r\nConnection: close\r\n\r\n", stage.gateway);
        let answers = raw::exchange(stage.gateway, head.as_bytes()).await;
        assert_eq!(answers.first().map(|answer| answer.status), Some(200), "{sent}: {answers:?}");
        let arrived = recorder.take();
        assert_eq!(arrived.len(), 1, "{sent}");
        assert_eq!(read(&arrived[0]).line, format!("GET {arrives} HTTP/1.1"), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_go_out_by_allow_list_with_one_credential() {
    let (stage, recorder, token) = stage().await;
    let head = format!(
        "PATCH /crm/v1/opportunities/O-7 HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_1\r\nScopegate-Session: run-1\r\n\
         Accept: application/json\r\nUser-Agent: agent/1\r\nContent-Type: application/json\r\nContent-Length: 15\r\nIf-Match: \"e1\"\r\n\
         Cookie: a=b\r\nProxy-Authorization: Basic eA==\r\nX-Secret: x\r\nVia: 1.1 x\r\nAccept-Encoding: gzip\r\n\
         X-Request-Id: r-1\r\nConnection: close\r\n\r\n{{\"stage\":\"Won\"}}",
        stage.gateway
    );
    let answers = raw::exchange(stage.gateway, head.as_bytes()).await;
    assert_eq!(answers.first().map(|answer| answer.status), Some(200), "{answers:?}");
    let arrived = recorder.take();
    let arrived = read(&arrived[0]);
    assert_eq!((arrived.line.as_str(), arrived.body.as_slice()), ("PATCH /v1/opportunities/O-7 HTTP/1.1", &b"{\"stage\":\"Won\"}"[..]));
    let names: Vec<&str> = arrived.headers.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "connection").collect();
    assert_eq!(
        names,
        ["accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "if-match", "user-agent", "x-request-id"]
    );
    let value = |name: &str| arrived.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    assert_eq!(value("authorization"), Some(format!("Bearer {token}")));
    assert_eq!(value("host"), Some(recorder.address.to_string()));
    assert_eq!(value("accept-encoding"), Some("identity".to_owned()));
    // What was left out is named where an author looks for it.
    let told = stage.log().lines().find(|line| line.contains("headers that do not reach the API")).unwrap_or_default().to_owned();
    assert!(["cookie", "proxy-authorization", "x-secret", "via"].iter().all(|name| told.contains(name)), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_go_out_byte_for_byte_however_they_were_framed() {
    let (stage, recorder, _) = stage().await;
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let head = format!("PUT /crm/v1/files/a/b.bin HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_1\r\nConnection: close\r\n", stage.gateway);
    let mut whole = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    whole.extend_from_slice(&body);
    let mut pieces = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(9_999) {
        pieces.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        pieces.extend_from_slice(piece);
        pieces.extend_from_slice(b"\r\n");
    }
    pieces.extend_from_slice(b"0\r\n\r\n");
    for request in [whole, pieces] {
        let answers = raw::exchange(stage.gateway, &request).await;
        assert_eq!(answers.first().map(|answer| answer.status), Some(200), "{answers:?}");
        let arrived = recorder.take();
        let arrived = read(&arrived[0]);
        let is_chunked = arrived.headers.iter().any(|(name, _)| name == "transfer-encoding");
        assert_eq!(if is_chunked { unchunked(&arrived.body) } else { arrived.body }, body);
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        bytes = &bytes[line + 4 + size..];
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_behind_a_request_are_judged_as_the_next_one() {
    let (stage, recorder, _) = stage().await;
    let one = |target: &str, more: &str| format!("GET {target} HTTP/1.1\r\nHost: {}\r\nScopegate-Account: user_2\r\n{more}\r\n", stage.gateway);
    let both = format!("{}{}", one("/crm/v1/accounts/A-1", ""), one("/crm/v1/hidden", "Connection: close\r\n"));
    let answers = raw::exchange(stage.gateway, both.as_bytes()).await;
    let told: Vec<_> = answers.iter().map(|answer| (answer.status, answer.reason())).collect();
    assert_eq!(told, [(200, None), (403, Some("unknown_operation"))]);
    assert_eq!(recorder.requests().len(), 1);
}
