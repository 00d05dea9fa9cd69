//! Upstreams over TLS: certificates are checked, HTTP/2 is spoken where it is offered, and gRPC passes whole.

use crate::actor::Actor;
use crate::audit;
use crate::certified::Authority;
use crate::http2::{self, Http2};
use crate::moody::Moody;
use crate::raw;
use crate::scripted::Scripted;
use crate::secure_upstream::{SecureUpstream, message};
use crate::stage::{POLICY, Script, Stage, account_path};
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response};
use reqwest::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A gateway in front of `upstream`, which listens for HTTP/1 and, second, for HTTP/2.
async fn stage(upstream: &SecureUpstream, trusts: &Authority) -> Stage {
    let policy = POLICY.replace("operations:\n", "operations:\n      - {id: rpc, match: \"POST /v1/rpc.Crm/{method}\", require: accounts:read}\n");
    let stage = Stage::with(Script {
        listen: "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into(),
        upstream: Some(format!("https://{}", upstream.address)),
        egress: format!(", ca_file: {}", trusts.file().display()),
        settings: "limits: {requests_per_account: none, body: 2GiB, upstream: {connect: 5s, head: 20s, idle: 20s}}\n".into(),
        policy,
        ..Script::default()
    })
    .await;
    stage.account("acme", "user_1", "researcher").await;
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_is_spoken_where_it_is_offered_and_http1_elsewhere() {
    let authority = Authority::new();
    let signed = authority.sign("upstream", "127.0.0.1");
    for (offered, spoken) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1"), (&[], "http/1.1")] {
        let upstream = SecureUpstream::start(&signed, offered).await;
        let stage = stage(&upstream, &authority).await;
        for _ in 0..5 {
            let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1?fields=a%2Cb", "user_1").await;
            assert_eq!((reply.status, reply.text("protocol")), (200, spoken), "{}", reply.body);
            if spoken == "h2" {
                assert_eq!(reply.text("target"), format!("https://{}/v1/accounts/A-1?fields=a%2Cb", upstream.address));
                let headers = reply.body["headers"].to_string();
                assert!(headers.contains("Bearer ") && !headers.contains("scopegate-"), "{headers}");
            }
        }
        let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
        let answer = client.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", "user_1")], b"").await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, body["protocol"].as_str()), (200, Some(spoken)));
        assert!(upstream.connections() <= 2, "connections are kept: {}", upstream.connections());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_cannot_prove_its_name_gets_nothing() {
    let (trusted, foreign) = (Authority::new(), Authority::new());
    let elsewhere = trusted.sign("elsewhere", "api.example");
    let forged = foreign.sign("forged", "127.0.0.1");
    for signed in [&elsewhere, &forged] {
        let upstream = SecureUpstream::start(signed, &["h2", "http/1.1"]).await;
        let stage = stage(&upstream, &trusted).await;
        let reply = stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await;
        assert_eq!((reply.status, reply.text("reason")), (502, "upstream_unreachable"), "{}", reply.body);
        assert_eq!(upstream.connections(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bundle_of_its_own_the_systems_is_trusted() {
    let (system, own) = (Authority::new(), Authority::new());
    let upstream = SecureUpstream::start(&system.sign("upstream", "127.0.0.1"), &["h2", "http/1.1"]).await;
    for (egress, status) in [(String::new(), 200), (format!(", ca_file: {}", own.file().display()), 502)] {
        let stage = Stage::with(Script {
            upstream: Some(format!("https://{}", upstream.address)),
            egress,
            // where the system's bundle is, as far as this process is concerned
            environment: vec![("SSL_CERT_FILE", system.file().display().to_string())],
            ..Script::default()
        })
        .await;
        stage.account("acme", "user_1", "researcher").await;
        assert_eq!(stage.call(Method::GET, "/crm/v1/accounts/A-1", "user_1").await.status, status);
    }
}

const TENANTS: &str = r#"version: 1
connectors:
  shared:
    title: Tenants of one API
    upstream: "SCHEME://{host}:PORT"
    variables:
      host: {from: account, one_of: [a.tenants.invalid, b.tenants.invalid]}
    oauth: {authorization_url: "http://127.0.0.1:1/a", token_url: "http://127.0.0.1:1/t"}
    scopes: {all: {provider_scopes: [api]}}
    operations:
      - {id: read, match: "GET /v1/{id}", require: all}
roles:
  reader: {allow: {shared: [all]}}
"#;

/// A gateway for two customers, whose tenants share an address.
async fn tenants(scheme: &str, port: u16, trusts: &Authority) -> Stage {
    let stage = Stage::with(Script {
        policy: TENANTS.replace("SCHEME", scheme).replace("PORT", &port.to_string()),
        clients: &["shared"],
        egress: format!(", ca_file: {}, addresses: {{a.tenants.invalid: [127.0.0.1], b.tenants.invalid: [127.0.0.1]}}", trusts.file().display()),
        ..Script::default()
    })
    .await;
    for (identifier, customer, host) in [("a", "acme", "a.tenants.invalid"), ("b", "globex", "b.tenants.invalid")] {
        let path = account_path("shared", identifier);
        stage.must(Method::PUT, &path, json!({"customer": customer, "role": "reader", "variables": {"host": host}})).await;
        stage.must(Method::PUT, &format!("{path}/credentials"), json!({"access_token": format!("at-{identifier}"), "expires_in": 3600})).await;
    }
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept_and_shared_within_one_origin_alone() {
    let authority = Authority::new();
    let signed = authority.sign("tenants", "*.tenants.invalid");
    for offered in [&["h2", "http/1.1"][..], &["http/1.1"]] {
        let upstream = SecureUpstream::start(&signed, offered).await;
        let stage = tenants("https", upstream.address.port(), &authority).await;
        for (account, connections) in [("a", 1), ("a", 1), ("b", 2), ("b", 2), ("a", 2)] {
            assert_eq!(stage.call(Method::GET, "/shared/v1/7", account).await.status, 200);
            assert_eq!(upstream.connections(), connections, "{account} over {offered:?}");
        }
    }
    let upstream = Moody::start(Ipv4Addr::LOCALHOST).await;
    let stage = tenants("http", upstream.address.port(), &authority).await;
    for account in ["a", "a", "b", "b", "a"] {
        assert_eq!(stage.call(Method::GET, "/shared/v1/7", account).await.status, 200);
    }
    let came = upstream.take();
    let mut hosts: BTreeMap<SocketAddr, BTreeSet<String>> = BTreeMap::new();
    for request in &came {
        hosts.entry(request.peer).or_default().insert(request.host.clone());
    }
    assert_eq!((came.len(), hosts.len()), (5, 2), "a connection for each: {hosts:?}");
    assert!(hosts.values().all(|hosts| hosts.len() == 1), "{hosts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_passes_both_ways_with_its_trailers_and_without_the_token() {
    let authority = Authority::new();
    let upstream = SecureUpstream::start(&authority.sign("upstream", "127.0.0.1"), &["h2"]).await;
    let stage = stage(&upstream, &authority).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    let headers = [("scopegate-account", "user_1"), ("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "20S")];
    let (answer, mut sending) = client.open(client.request("POST", "/crm/v1/rpc.Crm/Talk", &headers), false).await;
    // each message comes back before the next one leaves
    let mut answer = {
        sending.send_data(Bytes::from_static(b"\0\0\0\0\x05first"), false).unwrap();
        answer.await.unwrap()
    };
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].as_bytes()), (200, b"application/grpc".as_slice()));
    let first = answer.body_mut().data().await.unwrap().unwrap();
    assert_eq!(first, b"\0\0\0\0\x05first".as_slice());
    sending.send_data(Bytes::from_static(b"\0\0\0\0\x06second"), true).unwrap();
    let (rest, trailers) = http2::whole(answer.into_body()).await.unwrap();
    assert_eq!(rest, b"\0\0\0\0\x06second");
    let trailers = http2::named(&trailers.unwrap());
    let told: Vec<_> = trailers.iter().map(|(name, value)| (name.as_str(), value.trim_start_matches("Bearer ").trim_matches('*'))).collect();
    assert_eq!(told, [("grpc-status", "0"), ("grpc-message", "")], "the cookie stays and the token is overwritten");
}

/// What a gRPC client sends with each call.
const CALL: [(&str, &str); 3] = [("scopegate-account", "user_1"), ("content-type", "application/grpc"), ("te", "trailers")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_calls_of_every_kind_pass_message_by_message() {
    let authority = Authority::new();
    let upstream = SecureUpstream::start(&authority.sign("upstream", "127.0.0.1"), &["h2"]).await;
    let stage = stage(&upstream, &authority).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    let status = |trailers: Option<HeaderMap>| trailers.unwrap()["grpc-status"].to_str().unwrap().to_owned();
    // one message, one answer
    let (answer, mut sending) = client.open(client.request("POST", "/crm/v1/rpc.Crm/Get", &CALL), false).await;
    sending.send_data(message("one"), true).unwrap();
    let (body, trailers) = http2::whole(answer.await.unwrap().into_body()).await.unwrap();
    assert_eq!((body, status(trailers)), (message("one").to_vec(), "0".to_owned()));
    // many messages, one answer; the head of it comes while they are still sent
    let (answer, mut sending) = client.open(client.request("POST", "/crm/v1/rpc.Crm/Collect", &CALL), false).await;
    sending.send_data(message("first"), false).unwrap();
    let answer = answer.await.unwrap();
    sending.send_data(message("second"), true).unwrap();
    let (body, trailers) = http2::whole(answer.into_body()).await.unwrap();
    assert_eq!((body, status(trailers)), (message("21").to_vec(), "0".to_owned()));
    // one message, many answers: each is here before the next one is sent
    let (answer, mut sending) = client.open(client.request("POST", "/crm/v1/rpc.Crm/Watch", &CALL), false).await;
    sending.send_data(message("all"), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    for number in ["1", "2", "3"] {
        upstream.allow();
        assert_eq!(body.data().await.unwrap().unwrap(), message(number));
    }
    assert_eq!(status(body.trailers().await.unwrap()), "0");
    // an answer of trailers alone
    let (answer, mut sending) = client.open(client.request("POST", "/crm/v1/rpc.Crm/Fail", &CALL), false).await;
    sending.send_data(message("one"), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["grpc-status"].as_bytes(), answer.body().is_end_stream()), (200, b"5".as_slice(), true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_goes_up_and_comes_back_on_one_stream_while_nothing_is_held() {
    const GIBIBYTE: usize = 1 << 30;
    static PIECE: [u8; 16 * 1024] = [b'x'; 16 * 1024];
    let authority = Authority::new();
    let upstream = SecureUpstream::start(&authority.sign("upstream", "127.0.0.1"), &["h2"]).await;
    let stage = stage(&upstream, &authority).await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    client.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", "user_1")], b"").await.unwrap();
    let before = stage.resident();
    let (answer, mut sending) = client.open(client.request("POST", "/crm/v1/rpc.Crm/Talk", &CALL), false).await;
    let sends = async {
        let mut left = GIBIBYTE;
        while left > 0 {
            sending.reserve_capacity(PIECE.len().min(left));
            let room = poll_fn(|cx| sending.poll_capacity(cx)).await.unwrap().unwrap().min(PIECE.len()).min(left);
            left -= room;
            sending.send_data(Bytes::from_static(&PIECE).slice(..room), left == 0).unwrap();
        }
    };
    let hears = async {
        let (mut body, mut heard, mut most) = (answer.await.unwrap().into_body(), 0, 0);
        while let Some(data) = body.data().await {
            let length = data.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
            heard += length;
            most = most.max(stage.resident().saturating_sub(before));
        }
        (heard, most)
    };
    let ((), (heard, most)) = tokio::join!(sends, hears);
    assert_eq!(heard, GIBIBYTE);
    assert!(most < 64 << 20, "{} MiB more", most >> 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trailers_of_answers_pass_from_http2_to_http2_and_those_of_requests_go_nowhere() {
    let authority = Authority::new();
    let upstream = SecureUpstream::start(&authority.sign("upstream", "127.0.0.1"), &["h2"]).await;
    let tls = stage(&upstream, &authority).await;
    let client = Http2::over(raw::connect(tls.gateways[1]).await, "http").await;
    let (answer, mut sending) = client.open(client.request("POST", "/crm/v1/rpc.Crm/Get", &CALL), false).await;
    sending.send_data(message("one"), false).unwrap();
    let mut mine = HeaderMap::new();
    mine.insert("x-checksum", "7".parse().unwrap());
    sending.send_trailers(mine).unwrap();
    let (body, trailers) = http2::whole(answer.await.unwrap().into_body()).await.unwrap();
    let names: Vec<_> = trailers.unwrap().keys().map(ToString::to_string).collect();
    assert_eq!((body, names), (message("one").to_vec(), vec!["grpc-status".to_owned(), "grpc-message".to_owned()]));
    // a client of HTTP/1 gets the same answer without them
    let head = "POST /crm/v1/rpc.Crm/Get HTTP/1.1\r\nHost: localhost\r\nScopegate-Account: user_1\r\nConnection: close\r\n";
    let sent = format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX-Checksum: 7\r\n\r\n");
    let mut came = Vec::new();
    let mut stream = raw::connect(tls.gateway).await;
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream.read_to_end(&mut came).await.unwrap();
    let text = String::from_utf8(came).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("3\r\none\r\n0\r\n\r\n") && !text.contains("grpc-status"), "{text}");
    // nor do those of an upstream of HTTP/1 pass, to whomever
    let plain =
        Scripted::start(&[("files/a", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n")])
            .await;
    let script =
        Script { listen: "[{address: \"127.0.0.1:0\", h2c: true}]".into(), upstream: Some(format!("http://{}", plain.address)), ..Script::default() };
    let stage = Stage::with(script).await;
    stage.account("acme", "user_1", "researcher").await;
    let client = Http2::over(raw::connect(stage.gateway).await, "http").await;
    let (answer, _) = client.open(client.request("GET", "/crm/v1/files/a", &[("scopegate-account", "user_1")]), true).await;
    let (body, trailers) = http2::whole(answer.await.unwrap().into_body()).await.unwrap();
    assert_eq!((body.as_slice(), trailers), (b"ok".as_slice(), None));
    let reply = stage.call(Method::GET, "/crm/v1/files/a", "user_1").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, Some("ok")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_upstream_refused_unread_is_sent_once_more_where_that_is_safe() {
    let authority = Authority::new();
    let upstream = SecureUpstream::start(&authority.sign("upstream", "127.0.0.1"), &["h2"]).await;
    let stage = stage(&upstream, &authority).await;
    let reply = stage.call(Method::GET, "/crm/v1/files/refused", "user_1").await;
    assert_eq!((reply.status, reply.text("reason")), (502, "upstream_unreachable"), "{}", reply.body);
    let reply = stage.send(stage.request(Method::GET, "/crm/v1/files/refused", "user_1").header("Idempotency-Key", "a")).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_upstream_wants_over_http1_goes_so_and_nothing_else_does() {
    let authority = Authority::new();
    let upstream = SecureUpstream::start(&authority.sign("upstream", "127.0.0.1"), &["h2", "http/1.1"]).await;
    let stage = stage(&upstream, &authority).await;
    for _ in 0..2 {
        for (target, protocol) in [("/crm/v1/files/a", "h2"), ("/crm/v1/files/old", "http/1.1"), ("/crm/v1/files/a", "h2")] {
            let reply = stage.call(Method::GET, target, "user_1").await;
            assert_eq!((reply.status, reply.text("protocol")), (200, protocol), "{target}: {}", reply.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_connection_that_ends_without_a_word_is_made_up_for() {
    let authority = Authority::new();
    let upstream = SecureUpstream::start(&authority.sign("upstream", "127.0.0.1"), &["http/1.1"]).await;
    let stage = stage(&upstream, &authority).await;
    for _ in 0..3 {
        assert_eq!(stage.call(Method::GET, "/crm/v1/files/a", "user_1").await.status, 200);
        let reply = stage.call(Method::GET, "/crm/v1/files/dies", "user_1").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

/// Answers with what cannot have a body, or has none, and something behind it.
async fn more_than_there_can_be(target: &str, mut answer: SendResponse<Bytes>) {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let word = target.rsplit('/').next().unwrap();
    let status = if word.starts_with("204") {
        204
    } else if word.starts_with("304") {
        304
    } else {
        200
    };
    let mut response = Response::builder().status(status);
    if status == 200 {
        response = response.header("content-length", "0");
    }
    let mut sending = answer.send_response(response.body(()).unwrap(), false).unwrap();
    // an answer that is no longer wanted may be gone
    let _ = if word.ends_with("data") { sending.send_data(Bytes::from_static(b"hello"), true) } else { sending.send_trailers(trailers) };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_body_is_whole_whatever_follows_it() {
    let authority = Authority::new();
    let upstream =
        Actor::http2(&authority.sign("upstream", "127.0.0.1"), async |request, answer| more_than_there_can_be(request.uri().path(), answer).await)
            .await;
    let mut stage = Stage::with(Script {
        listen: "[\"127.0.0.1:0\", {address: \"127.0.0.1:0\", h2c: true}]".into(),
        upstream: Some(format!("https://{}", upstream.address)),
        egress: format!(", ca_file: {}", authority.file().display()),
        ..Script::default()
    })
    .await;
    stage.account("acme", "user_1", "researcher").await;
    let client = Http2::over(raw::connect(stage.gateways[1]).await, "http").await;
    let words = [("204data", 204, false), ("304data", 304, false), ("204trailers", 204, false), ("0trailers", 200, true)];
    for (word, status, passes) in words {
        let target = format!("/crm/v1/files/{word}");
        let (answer, _) = client.open(client.request("GET", &target, &[("scopegate-account", "user_1")]), true).await;
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), status, "{word}");
        let (body, trailers) = http2::whole(answer.into_body()).await.unwrap();
        assert_eq!((body.as_slice(), trailers.is_some()), (b"".as_slice(), passes), "{word}");
        let reply = stage.call(Method::GET, &target, "user_1").await;
        assert_eq!((reply.status, reply.body.as_str()), (status, Some("")), "{word}");
    }
    let events = audit::all(&mut stage);
    for (word, status, _) in words {
        let told: Vec<_> = events.iter().filter(|event| event["path"].as_str().is_some_and(|path| path.ends_with(word))).collect();
        assert_eq!(told.len(), 2, "{word}");
        for event in told {
            assert_eq!((event["status"].as_u64(), event["bytes_out"].as_u64()), (Some(u64::from(status)), Some(0)), "{word}: {event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_their_clients_do_not_take_hold_up_nobody_elses() {
    static LARGE: [u8; 16 << 20] = [b'x'; 16 << 20];
    let authority = Authority::new();
    let upstream =
        Actor::http2(&authority.sign("upstream", "127.0.0.1"), async |request: http::Request<h2::RecvStream>, mut answer: SendResponse<Bytes>| {
            let body = if request.uri().path().ends_with("large") { Bytes::from_static(&LARGE) } else { Bytes::from_static(b"ok") };
            // whoever asked may have left
            let _ = answer.send_response(Response::new(()), false).unwrap().send_data(body, true);
        })
        .await;
    let stage = Stage::with(Script {
        upstream: Some(format!("https://{}", upstream.address)),
        egress: format!(", ca_file: {}", authority.file().display()),
        ..Script::default()
    })
    .await;
    stage.account("acme", "user_1", "researcher").await;
    stage.account("evilcorp", "crowd", "researcher").await;
    let mut readers = Vec::new();
    for _ in 0..12 {
        let mut stream = raw::connect(stage.gateway).await;
        let request = "GET /crm/v1/files/large HTTP/1.1\r\nHost: 127.0.0.1\r\nScopegate-Account: crowd\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_ne!(stream.read(&mut [0; 16]).await.unwrap(), 0);
        readers.push(stream);
    }
    // until what the systems hold on the way to them is full
    let mut last = 0;
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let now = stage.resident();
        if now == last {
            break;
        }
        last = now;
    }
    for _ in 0..20 {
        let call = tokio::time::timeout(std::time::Duration::from_secs(20), stage.call(Method::GET, "/crm/v1/files/small", "user_1"));
        assert_eq!(call.await.map(|reply| reply.status).ok(), Some(200), "its answer waits for others'");
    }
}
