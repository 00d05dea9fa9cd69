//! Whatever protocol a client speaks: the same reading, decision, answer and event.

use crate::certified::{self, Authority, Signed};
use crate::frames::{Frames, field, fields, frame, preface, setting};
use crate::http2::{self, Http2};
use crate::raw::Answer;
use crate::stage::{Script, Stage, run};
use crate::{audit, raw};
use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Plain, with prior knowledge, and TLS, in this order.
struct Doors {
    stage: Stage,
    authority: Authority,
    shown: Signed,
}

impl Doors {
    async fn open(settings: &str, clients_certified: bool) -> Self {
        let authority = Authority::new();
        let shown = authority.sign("server", "localhost");
        let asks = if clients_certified { format!(", client_ca_file: {}", authority.file().display()) } else { String::new() };
        let tls = format!("tls: {{cert_file: {}, key_file: {}{asks}}}", shown.cert.display(), shown.key.display());
        let listen = format!("[\"127.0.0.1:0\", {{address: \"127.0.0.1:0\", h2c: true}}, {{address: \"127.0.0.1:0\", {tls}}}]");
        let stage = Stage::with(Script { listen, settings: settings.into(), ..Script::default() }).await;
        stage.account("acme", "user_1", "researcher").await;
        stage.account("acme", "user_2", "publisher").await;
        stage.account("globex", "user_3", "researcher").await;
        Self { stage, authority, shown }
    }

    async fn usual() -> Self {
        Self::open("limits: {requests_per_account: none, body: 100KiB}\n", false).await
    }

    fn prior(&self) -> SocketAddr {
        self.stage.gateways[1]
    }

    fn tls(&self) -> SocketAddr {
        self.stage.gateways[2]
    }

    async fn http2(&self) -> Http2 {
        let stream = certified::connect(&self.authority.client(&["h2"], None), self.tls()).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        Http2::over(stream, "https").await
    }

    /// Requests that HTTP/2 itself turned away so far.
    async fn malformed(&self) -> usize {
        let metrics = self.stage.ask(Method::GET, "/metrics", Value::Null).await.1;
        let line = metrics.as_str().unwrap().lines().find_map(|line| line.strip_prefix("scopegate_malformed_requests_total{protocol=\"h2\"} "));
        line.map_or(0, |count| count.parse().unwrap())
    }

    async fn http2_by_prior_knowledge(&self) -> Http2 {
        Http2::over(raw::connect(self.prior()).await, "http").await
    }
}

/// More than the limit of this stage.
const LARGE: &str = match std::str::from_utf8(&[b'x'; 100 * 1024 + 1]) {
    Ok(text) => text,
    Err(_) => "",
};

/// Method, target, headers and body.
type Case = (&'static str, String, &'static [(&'static str, &'static str)], &'static str);

/// What an answer says, without what is different each time.
fn told(answer: &Answer) -> (u16, String, String, Value) {
    let header = |name| answer.header(name).unwrap_or_default().to_owned();
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (answer.status, header("scopegate-decision"), header("www-authenticate"), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_answered_alike_over_http1_http2_and_tls() {
    let mut doors = Doors::usual().await;
    let (tls, prior) = (doors.http2().await, doors.http2_by_prior_knowledge().await);
    let many: String = (0..501).map(|number| format!("&a{number}=1")).collect();
    let get = || "/crm/v1/accounts/A-1".to_owned();
    let cases: [Case; 30] = [
        ("GET", get(), &[("scopegate-account", "user_1"), ("scopegate_account", "user_3")], ""),
        ("GET", get(), &[("scopegate-account", "user_1"), ("scopegate-session", "a"), ("scopegate-session", "a")], ""),
        ("GET", get(), &[("scopegate-account", "user_1"), ("authorization", "Bearer sgh_invented")], ""),
        ("GET", get(), &[("scopegate-account", "user_1"), ("scopegate-authorization", "Bearer invented")], ""),
        ("GET", get(), &[("scopegate-account", "user_1"), ("x-forwarded-for", "127.0.0.1")], ""),
        ("GET", get(), &[("scopegate-account", "user_1"), ("forwarded", "for=127.0.0.1")], ""),
        ("GET", get(), &[("scopegate-account", "user_1"), ("expect", "200-ok")], ""),
        ("PUT", "/crm/v1/files/a".into(), &[("scopegate-account", "user_2"), ("content-type", "a/b"), ("content-type", "c/d")], "x"),
        ("get", get(), &[("scopegate-account", "user_1")], ""),
        ("TRACE", get(), &[("scopegate-account", "user_1")], ""),
        ("OPTIONS", get(), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_3")], ""),
        ("DELETE", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_1")], ""),
        ("PATCH", "/crm/v1/opportunities/O-1".into(), &[("scopegate-account", "user_1")], "{}"),
        ("PATCH", "/crm/v1/opportunities/O-1".into(), &[("scopegate-account", "user_2")], r#"{"stage": "won"}"#),
        ("GET", "/crm/v1/hidden".into(), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1//accounts/A-1".into(), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/x/../accounts/A-1".into(), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/accounts%2FA-1".into(), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/accounts/A-1?access_token=x".into(), &[("scopegate-account", "user_1")], ""),
        ("GET", format!("/crm/v1/accounts/A-1?b=1{many}"), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_1"), ("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_1"), ("x-http-method-override", "DELETE")], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_9")], ""),
        ("GET", "/nowhere/v1".into(), &[("scopegate-account", "user_1")], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_1"), ("scopegate-session", "no good")], ""),
        ("GET", "/crm/v1/accounts/A-1".into(), &[("scopegate-account", "user_1")], "body"),
        ("PUT", "/crm/v1/files/a".into(), &[("scopegate-account", "user_2")], LARGE),
    ];
    for (method, target, headers, body) in &cases {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}{length}\r\n{body}");
        let plain = raw::exchange(doors.stage.gateway, request.as_bytes()).await;
        let http1 = told(plain.first().unwrap_or_else(|| panic!("no answer: {method} {target}")));
        let mut encrypted = certified::connect(&doors.authority.client(&["http/1.1"], None), doors.tls()).await.unwrap();
        encrypted.write_all(request.as_bytes()).await.unwrap();
        let encrypted = told(&raw::read(encrypted).await[0]);
        assert_eq!(encrypted, http1, "{method} {target} over TLS");
        let length = body.len().to_string();
        let mut with_length = headers.to_vec();
        if !body.is_empty() {
            with_length.push(("content-length", &length));
        }
        for (name, client) in [("HTTP/2 over TLS", &tls), ("HTTP/2 by prior knowledge", &prior)] {
            let answer = client.exchange(method, target, &with_length, body.as_bytes()).await.unwrap();
            assert_eq!(told(&answer), http1, "{method} {target} over {name}");
        }
    }
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for event in audit::all(&mut doors.stage) {
        *tally.entry(format!("{} {} {} {}", event["method"], event["path"], event["status"], event["reason"])).or_default() += 1;
    }
    assert!(tally.values().all(|count| count % 4 == 0), "four protocols, four events of a kind: {tally:#?}");
    assert_eq!(tally.values().sum::<usize>(), 4 * cases.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_side_by_side_keep_their_customers_apart() {
    let doors = Doors::usual().await;
    for client in [doors.http2().await, doors.http2_by_prior_knowledge().await] {
        // once it has an answer it knows how many streams there may be at a time
        client.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", "user_1")], b"").await.unwrap();
        let calls = (0..300).map(|number| {
            let client = client.clone();
            async move {
                let (account, owner) = [("user_1", "acme/user_1"), ("user_3", "globex/user_3")][number % 2];
                let answer = client.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", account)], b"").await.unwrap();
                let body: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!((answer.status, body["owner"].as_str()), (200, Some(owner)), "{body}");
            }
        });
        let mut running = tokio::task::JoinSet::new();
        calls.for_each(|call| drop(running.spawn(call)));
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_its_client_resets_leaves_its_event_and_its_siblings() {
    let mut doors = Doors::usual().await;
    let client = doors.http2().await;
    let hold = doors.stage.practice.api().hold();
    let before = doors.stage.practice.api().requests();
    let (answer, mut stream) = client.open(client.request("GET", "/crm/v1/files/held/a", &[("scopegate-account", "user_1")]), true).await;
    doors.stage.practice.api().until_requests(before + 1).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(answer);
    // the sibling is judged and answered while the other one's upstream still holds
    let sibling = client.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", "user_1")], b"").await.unwrap();
    assert_eq!(sibling.status, 200);
    drop(hold);
    let events = audit::all(&mut doors.stage);
    let told: Vec<_> =
        events.iter().map(|event| (event["path"].as_str().unwrap(), event["status"].as_u64(), event["upstream_called"].as_bool())).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&("/v1/files/held/a", None, Some(true))), "{told:?}");
    assert!(told.contains(&("/v1/accounts/A-1", Some(200), Some(true))), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_breaks_its_promise_never_becomes_a_whole_request() {
    let doors = Doors::usual().await;
    let client = doors.http2().await;
    let account = ("scopegate-account", "user_2");
    // streamed without a length, and over the limit
    let (answer, mut stream) = client.open(client.request("PUT", "/crm/v1/files/endless", &[account]), false).await;
    for _ in 0..7 {
        // the gateway may have said no already
        let _ = stream.send_data(Bytes::from(vec![b'x'; 16 * 1024]), false);
    }
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 413);
    // shorter than announced: the protocol's own error
    let short = client.exchange("PUT", "/crm/v1/files/short", &[account, ("content-length", "10")], b"abc").await;
    assert!(short.unwrap_err().is_reset());
    let whole = client.exchange("PUT", "/crm/v1/files/whole", &[account, ("content-length", "3")], b"abc").await.unwrap();
    assert_eq!(whole.status, 200);
    let bodies: Vec<_> =
        doors.stage.practice.api().seen().into_iter().filter(|seen| seen.method == "PUT").map(|seen| (seen.target, seen.body)).collect();
    assert_eq!(bodies, [("/v1/files/whole".to_owned(), Bytes::from_static(b"abc"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_word_gets_it_only_where_its_body_is_wanted() {
    let doors = Doors::usual().await;
    for (target, heads) in [("/crm/v1/files/a", vec![100, 200]), ("/crm/v1/hidden", vec![403])] {
        let mut client = Frames::connect(doors.prior()).await;
        let head = [fields("PUT", target, "user_2"), field("expect", "100-continue"), field("content-length", "2")].concat();
        client.send(&[preface(), frame(1, 4, 1, &head)].concat()).await;
        let mut seen = Vec::new();
        loop {
            let came = client.next().await.unwrap();
            if came.kind == 1 {
                seen.push(came.status());
                if came.status() == 100 {
                    client.send(&frame(0, 1, 1, b"{}")).await;
                }
            }
            if came.ends() {
                break;
            }
        }
        assert_eq!(seen, heads, "{target}");
    }
    assert_eq!(doors.stage.practice.api().requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_reloaded_and_broken_ones_are_not() {
    let doors = Doors::usual().await;
    let client = doors.authority.client(&["http/1.1"], None);
    let shown = async |client| certified::connect(client, doors.tls()).await.map(|stream| stream.get_ref().1.peer_certificates().unwrap()[0].clone());
    let first = shown(&client).await.unwrap();
    doors.authority.sign("server", "localhost");
    doors.stage.hang_up();
    doors.stage.until_said("certificates reloaded", 0).await;
    let second = shown(&client).await.unwrap();
    assert_ne!(first, second);
    std::fs::write(&doors.shown.cert, "no certificate").unwrap();
    doors.stage.hang_up();
    doors.stage.until_said("the new certificates cannot be used", 0).await;
    assert_eq!(shown(&client).await.unwrap(), second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_clients_must_show_a_certificate_nobody_else_is_served() {
    let doors = Doors::open("limits: {requests_per_account: none}\n", true).await;
    let get = b"GET /crm/v1/accounts/A-1 HTTP/1.1\r\nHost: localhost\r\nScopegate-Account: user_1\r\nConnection: close\r\n\r\n";
    let elsewhere = Authority::new();
    let stranger = elsewhere.sign("stranger", "agent.example");
    let agent = doors.authority.sign("agent", "agent.example");
    for (shows, status) in [(None, None), (Some(&stranger), None), (Some(&agent), Some(200))] {
        let answers = async {
            let mut stream = certified::connect(&doors.authority.client(&["http/1.1"], shows), doors.tls()).await?;
            stream.write_all(get).await?;
            Ok::<_, std::io::Error>(raw::read(stream).await)
        };
        let answers = answers.await.unwrap_or_default();
        assert_eq!(answers.first().map(|answer| answer.status), status);
    }
    assert_eq!(doors.stage.practice.api().requests(), 1);
}

fn request_fields() -> Vec<u8> {
    [
        field(":method", "GET"),
        field(":scheme", "http"),
        field(":authority", "localhost"),
        field(":path", "/crm/v1/ping"),
        field("scopegate-account", "user_1"),
    ]
    .concat()
}

/// What is sent piece by piece.
type Pieces = dyn Iterator<Item = Vec<u8>> + Send;

/// Sends all of it, in pieces, for as long as the other side takes it, and waits for the other side's end, as long as that takes.
async fn flood(to: SocketAddr, pieces: impl Iterator<Item = Vec<u8>>) {
    let mut stream = raw::connect(to).await;
    let (mut reads, mut writes) = stream.split();
    let sends = async {
        for piece in pieces {
            if writes.write_all(&piece).await.is_err() {
                return;
            }
        }
        // it may have ended the connection already
        let _ = writes.shutdown().await;
    };
    let hears = async {
        let mut heard = [0; 16 * 1024];
        while matches!(reads.read(&mut heard).await, Ok(1..)) {}
    };
    tokio::join!(sends, hears);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_are_bounded_and_others_are_served_meanwhile() {
    let doors = Doors::usual().await;
    let bystander = doors.http2_by_prior_knowledge().await;
    let before = doors.stage.resident();
    const ENDS: u8 = 0x5;
    let ids = || (0..20_000_u32).map(|number| 2 * number + 1);
    let rapid_reset = ids().map(|id| [frame(1, ENDS, id, &request_fields()), frame(3, 0, id, &8_u32.to_be_bytes())].concat());
    // one head without end, continued
    let continued = std::iter::once(frame(1, 0, 1, &request_fields())).chain((0..20_000).map(|_| frame(9, 0, 1, &field("x-a", &"a".repeat(100)))));
    // a large value is put into the table once and referred to again and again
    let table =
        [request_fields(), vec![0x40], [&[3], b"x-b".as_slice()].concat(), [&[0x7f, 0xf1, 0x1e], "b".repeat(4080).as_bytes()].concat()].concat();
    let bomb = ids().take(50).map(move |id| {
        let head = if id == 1 { table.clone() } else { request_fields() };
        let referred = vec![0xbe; 8_000];
        [frame(1, 1, id, &head), frame(9, 4, id, &referred)].concat()
    });
    let pings = (0..50_000).map(|_| frame(6, 0, 0, &[0; 8]));
    let settings = (0..50_000).map(|_| frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]));
    let empty = std::iter::once(frame(1, 4, 1, &[field(":method", "PUT"), request_fields()[field(":method", "GET").len()..].to_vec()].concat()))
        .chain((0..50_000).map(|_| frame(0, 0, 1, &[])));
    let half_open =
        ids().take(5_000).map(|id| frame(1, 4, id, &[field(":method", "PUT"), request_fields()[field(":method", "GET").len()..].to_vec()].concat()));
    let shut =
        || std::iter::once([frame(4, 0, 0, &setting(4, 0)), ids().take(100).flat_map(|id| frame(1, ENDS, id, &request_fields())).collect()].concat());
    let unopened = shut().chain((0..50_000).map(|_| frame(8, 0, 0, &1_u32.to_be_bytes())));
    let jumping = shut().chain((0..20_000).map(|number| frame(4, 0, 0, &setting(4, 60_000 * (number % 2)))));
    let priorities = (0..100_000_u32).map(|number| frame(2, 0, 2 * number + 1, &[0, 0, 0, 1, 7]));
    let unknown = (0..50_000).map(|_| frame(0x16, 0, 0, &[0; 100]));
    let floods: [(&str, Box<Pieces>); 11] = [
        ("windows that nobody opens", Box::new(unopened)),
        ("windows that open and shut", Box::new(jumping)),
        ("priorities", Box::new(priorities)),
        ("unknown frames", Box::new(unknown)),
        ("rapid reset", Box::new(rapid_reset)),
        ("endless head", Box::new(continued)),
        ("header bomb", Box::new(bomb)),
        ("pings", Box::new(pings)),
        ("settings", Box::new(settings)),
        ("empty data", Box::new(empty)),
        ("half-open streams", Box::new(half_open)),
    ];
    for (name, pieces) in floods {
        let pieces = std::iter::once(preface()).chain(pieces);
        let served = async {
            for _ in 0..20 {
                let answer = bystander.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", "user_3")], b"").await.unwrap();
                assert_eq!(answer.status, 200, "{name}");
            }
        };
        let both = async { tokio::join!(flood(doors.prior(), pieces), served) };
        tokio::time::timeout(Duration::from_secs(120), both).await.unwrap_or_else(|_| panic!("{name} did not end"));
        let grown = doors.stage.resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{name}: {} MiB more", grown >> 20);
    }
    assert_ne!(doors.malformed().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_and_never_reads_holds_up_nobody_and_costs_little() {
    let doors = Doors::usual().await;
    let bystander = doors.http2_by_prior_knowledge().await;
    let serves = async || bystander.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", "user_3")], b"").await.unwrap().status;
    assert_eq!(serves().await, 200);
    let before = doors.stage.resident();
    // what is sent, round after round, for as long as it is taken
    type Round = fn(u32) -> Vec<u8>;
    let requests: Round = |round| (50 * round..50 * (round + 1)).flat_map(|number| frame(1, 5, 2 * number + 1, &request_fields())).collect();
    let what: [(&str, Round); 3] = [
        ("pings", |_| frame(6, 0, 0, &[7; 8]).repeat(1_000)),
        ("settings", |_| frame(4, 0, 0, &setting(3, 9)).repeat(1_000)),
        ("requests", requests),
    ];
    for (name, piece) in what {
        let mut deaf = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let to = doors.prior();
            deaf.spawn(async move {
                let mut stream = raw::connect(to).await;
                stream.write_all(&preface()).await.unwrap();
                for round in 0.. {
                    if stream.write_all(&piece(round)).await.is_err() {
                        return;
                    }
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(serves().await, 200, "{name}");
        }
        let grown = doors.stage.resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{name}: {} MiB more", grown >> 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_http2_calls_malformed_ends_below_and_is_counted() {
    let doors = Doors::usual().await;
    let path = |path: &str| [field(":method", "GET"), field(":scheme", "http"), field(":authority", "localhost"), field(":path", path)].concat();
    let cases = [
        ("an upper-case name", [path("/crm/v1/ping"), field("Upper", "a")].concat()),
        ("a connection header", [path("/crm/v1/ping"), field("connection", "close")].concat()),
        ("a pseudo-header after a header", [path("/crm/v1/ping"), field("a", "b"), field(":path", "/x")].concat()),
        ("a method that is no token", [field(":method", "G ET"), path("/crm/v1/ping")[field(":method", "GET").len()..].to_vec()].concat()),
        ("a head of half a megabyte", [path("/crm/v1/ping"), field("x-a", &"a".repeat(120)).repeat(5_000)].concat()),
    ];
    for (number, (name, fields)) in cases.iter().enumerate() {
        let mut bytes = preface();
        let pieces: Vec<_> = fields.chunks(16_000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let last = if at + 1 == pieces.len() { 4 } else { 0 };
            bytes.extend(if at == 0 { frame(1, 1 | last, 1, piece) } else { frame(9, last, 1, piece) });
        }
        let mut stream = raw::connect(doors.prior()).await;
        // it may be turned away before all is sent
        let _ = stream.write_all(&bytes).await;
        let mut heard = vec![0; 64 * 1024];
        // what comes at once is all that comes; an end is as good
        let _ = stream.read(&mut heard).await;
        assert!(!String::from_utf8_lossy(&heard).contains("request_id"), "{name}");
        let counted = async { while doors.malformed().await <= number {} };
        tokio::time::timeout(Duration::from_secs(30), counted).await.unwrap_or_else(|_| panic!("{name} is not counted"));
    }
    assert_eq!(doors.stage.practice.api().requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_end_with_a_word_when_the_gateway_does() {
    let mut doors = Doors::usual().await;
    let client = doors.http2().await;
    let hold = doors.stage.practice.api().hold();
    let before = doors.stage.practice.api().requests();
    let (answer, _) = client.open(client.request("GET", "/crm/v1/files/held/a", &[("scopegate-account", "user_1")]), true).await;
    doors.stage.practice.api().until_requests(before + 1).await;
    let mut idle = raw::connect(doors.prior()).await;
    idle.write_all(&preface()).await.unwrap();
    doors.stage.terminate();
    doors.stage.until_unready().await;
    drop(hold);
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!http2::whole(answer.into_body()).await.unwrap().0.is_empty());
    let mut said = Vec::new();
    idle.read_to_end(&mut said).await.unwrap();
    assert!(said.windows(4).any(|four| four == [0, 0, 8, 7]), "GOAWAY: {said:?}");
    assert_eq!(doors.stage.ended().code(), Some(0), "{}", doors.stage.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_at_the_door_is_let_go_alone() {
    let doors = Doors::usual().await;
    // neither a handshake nor a preface comes on these, and the gateway serves on
    let _silent: Vec<TcpStream> = {
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(raw::connect(doors.tls()).await);
            silent.push(raw::connect(doors.prior()).await);
        }
        silent
    };
    let mut garbage = raw::connect(doors.tls()).await;
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    // closed, with or without an alert
    let _ = garbage.read_to_end(&mut said).await;
    let answer = doors.http2().await.exchange("GET", "/crm/v1/accounts/A-1", &[("scopegate-account", "user_1")], b"").await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_plane_speaks_tls_to_browsers_and_to_our_own_verbs() {
    let authority = Authority::new();
    let shown = authority.sign("admin", "localhost");
    let admin = format!(", tls: {{cert_file: {}, key_file: {}}}", shown.cert.display(), shown.key.display());
    let stage = Stage::with(Script { admin, ..Script::default() }).await;
    let get = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stream = certified::connect(&authority.client(&["h2", "http/1.1"], None), stage.admin).await.unwrap();
    stream.write_all(get).await.unwrap();
    assert_eq!(raw::read(stream).await[0].status, 200);
    assert!(raw::exchange(stage.admin, get).await.is_empty(), "nothing is said to who speaks plainly");
    // one who begins a handshake and goes silent keeps nobody waiting
    let _silent = raw::connect(stage.admin).await;
    let settings = std::fs::read_to_string(stage.path("scopegate.yaml")).unwrap();
    std::fs::write(stage.path("verbs.yaml"), settings.replace("listen: \"127.0.0.1:0\", token", &format!("listen: \"{}\", token", stage.admin)))
        .unwrap();
    let list = run(stage.folder.path(), &["account", "list", "-c", "verbs.yaml", "-o", "json"]);
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    // another certificate than the one in the settings is another server
    authority.sign("admin", "localhost");
    let list = run(stage.folder.path(), &["account", "list", "-c", "verbs.yaml", "-o", "json"]);
    assert_eq!(list.status.code(), Some(2), "{}", String::from_utf8_lossy(&list.stdout));
}
