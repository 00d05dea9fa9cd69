//! Whatever some clients and APIs do, or leave undone: others are served, and memory stays bounded.
//!
//! The same scenes run at full size with
//! `cargo test --release --test e2e full_size -- --ignored --nocapture`, which prints the numbers of the README.

use crate::http2::Http2;
use crate::raw;
use crate::scripted::Scripted;
use crate::stage::{Script, Stage};
use reqwest::Method;
use scopegate::tasks::Tasks;
use std::fmt;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const MIB: u64 = 1 << 20;
/// Longer than any call of somebody who behaves may take, whatever others do. Says nothing of how long it usually takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may be idle where nobody needs its place.
const IDLE: Duration = Duration::from_secs(60);
/// Larger than what a system's buffers hold on the way to a client that does not read.
const LARGE: usize = 24 << 20;

/// What there is how many of.
#[derive(Clone, Copy, Debug)]
struct Size {
    idle: usize,
    slow: usize,
    readers: usize,
    /// Connections on which nothing but refusals happens.
    floods: usize,
    /// Calls of the client that behaves, by which the others' effect is measured.
    calls: usize,
}

const SMALL: Size = Size { idle: 400, slow: 100, readers: 30, floods: 4, calls: 50 };
const FULL: Size = Size { idle: 10_000, slow: 1_000, readers: 200, floods: 20, calls: 1_000 };

/// What somebody who behaves saw, and what it cost.
#[derive(Debug)]
struct Measured {
    scene: &'static str,
    median: Duration,
    slowest_of_hundred: Duration,
    grown: u64,
}

impl fmt::Display for Measured {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, slowest, grown) = (self.median.as_secs_f64() * 1e3, self.slowest_of_hundred.as_secs_f64() * 1e3, self.grown / MIB);
        write!(to, "{:35} p50 {median:8.2} ms   p99 {slowest:8.2} ms   memory +{grown} MiB", self.scene)
    }
}

fn large() -> &'static [u8] {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + LARGE, b'x');
    answer.leak()
}

async fn stage(upstream: &Scripted, gateway: &'static str, limits: &str) -> Stage {
    // A test that holds many connections needs as many open files as the gateway.
    scopegate::limits::files::raise().unwrap();
    let settings = format!("limits: {{requests_per_account: none, {limits}}}\n");
    let script = Script { gateway, settings, upstream: Some(format!("http://{}", upstream.address)), log: "error", ..Script::default() };
    let stage = Stage::with(script).await;
    for (identifier, role) in [("behaves", "researcher"), ("crowd", "researcher"), ("writes", "publisher")] {
        stage.account("acme", identifier, role).await;
    }
    stage
}

fn get(target: &str, account: &str) -> Vec<u8> {
    format!("GET /crm/v1/{target} HTTP/1.1\r\nHost: 127.0.0.1\r\nScopegate-Account: {account}\r\n\r\n").into_bytes()
}

/// Connections that have sent these bytes, and whose answers nobody has read.
async fn connections(gateway: SocketAddr, number: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut all = Vec::with_capacity(number);
    for _ in 0..number {
        let mut stream = raw::connect(gateway).await;
        stream.write_all(bytes).await.unwrap();
        all.push(stream);
    }
    all
}

/// Something of each answer has come.
async fn answered(streams: &mut [TcpStream]) {
    for stream in streams {
        assert_ne!(timeout(PATIENCE, stream.read(&mut [0; 4096])).await.unwrap().unwrap(), 0);
    }
}

/// Calls as somebody does who behaves; how long each took, the quickest first.
async fn behave(stage: &Stage, calls: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(calls);
    for _ in 0..calls {
        let before = now();
        let reply = timeout(PATIENCE, stage.call(Method::GET, "/crm/v1/accounts/A-1", "behaves")).await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        took.push(now().duration_since(before));
    }
    took.sort();
    took
}

/// As timers see it.
fn now() -> tokio::time::Instant {
    tokio::time::sleep(Duration::ZERO).deadline()
}

/// What others do; it goes on until nobody is measured any more, and says when it has begun.
type Load = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How it goes for somebody who behaves while others do something.
async fn measure(stage: &Stage, size: Size, scene: &'static str, load: impl FnOnce(SocketAddr, Arc<Notify>) -> Load) -> Measured {
    let before = stage.resident();
    let begun = Arc::new(Notify::new());
    let tasks = Tasks::new(Handle::current());
    let mut loading = tasks.spawn("load", load(stage.gateway, Arc::clone(&begun)));
    tokio::select! {
        () = begun.notified() => {}
        ended = &mut loading => panic!("{scene} ended before it had begun: {ended:?}"),
    }
    let took = behave(stage, size.calls).await;
    let grown = stage.resident().saturating_sub(before);
    assert!(!loading.is_finished(), "{scene} ended before it was measured");
    loading.abort();
    Measured { scene, median: took[took.len() / 2], slowest_of_hundred: took[took.len() * 99 / 100], grown }
}

/// Connections that have sent these bytes and do no more.
fn held(number: usize, bytes: Vec<u8>, reads: bool) -> impl FnOnce(SocketAddr, Arc<Notify>) -> Load {
    move |gateway, begun| {
        Box::pin(async move {
            let mut streams = connections(gateway, number, &bytes).await;
            if reads {
                answered(&mut streams).await;
            }
            begun.notify_one();
            pending::<()>().await;
            drop(streams);
        })
    }
}

/// Bodies of which a byte comes each second.
fn drips(number: usize) -> impl FnOnce(SocketAddr, Arc<Notify>) -> Load {
    let head = "PUT /crm/v1/files/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nScopegate-Account: writes\r\nContent-Length: 1000\r\n\r\n";
    move |gateway, begun| {
        Box::pin(async move {
            let mut streams = connections(gateway, number, head.as_bytes()).await;
            begun.notify_one();
            loop {
                for stream in &mut streams {
                    stream.write_all(b"x").await.unwrap();
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    }
}

/// Requests that are refused, as fast as they are answered, 50 sent ahead on each connection.
fn flood(connections: usize, refused: Arc<AtomicUsize>) -> impl FnOnce(SocketAddr, Arc<Notify>) -> Load {
    const AHEAD: usize = 50;
    move |gateway, begun| {
        Box::pin(async move {
            let sent = get("nothing", "crowd").repeat(AHEAD);
            let tasks = Tasks::new(Handle::current());
            let senders: Vec<_> = (0..connections)
                .map(|_| {
                    let (sent, refused) = (sent.clone(), Arc::clone(&refused));
                    tasks.spawn("flood", async move {
                        let mut stream = raw::connect(gateway).await;
                        let mut read = Vec::new();
                        loop {
                            stream.write_all(&sent).await.unwrap();
                            let mut seen = 0;
                            while seen < AHEAD {
                                assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
                                seen = read.windows(END.len()).filter(|bytes| *bytes == END).count();
                            }
                            read.clear();
                            refused.fetch_add(seen, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            let _ends = Aborts(senders);
            begun.notify_one();
            pending::<()>().await;
        })
    }
}

/// How a refusal begins.
const END: &[u8] = b"HTTP/1.1 403";

/// Tasks that end with this.
struct Aborts(Vec<JoinHandle<()>>);

impl Drop for Aborts {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// All scenes, one after the other, each for connections of its own.
async fn scenes(stage: &Stage, size: Size, tell: impl Fn(&Measured)) {
    // The first calls of all pay for what is made once.
    behave(stage, size.calls).await;
    let refused = Arc::new(AtomicUsize::new(0));
    tell(&measure(stage, size, "nobody else", held(0, Vec::new(), false)).await);
    tell(&measure(stage, size, "heads that do not end", held(size.slow, b"GET /crm/v1/pi".to_vec(), false)).await);
    tell(&measure(stage, size, "bodies of a byte a second", drips(size.slow)).await);
    tell(&measure(stage, size, "calls that the API does not answer", held(size.slow, get("files/hold", "crowd"), false)).await);
    tell(&measure(stage, size, "large answers that nobody reads", held(size.readers, get("files/large", "crowd"), true)).await);
    tell(&measure(stage, size, "refusals", flood(size.floods, Arc::clone(&refused))).await);
    assert!(refused.load(Ordering::Relaxed) > 0);
    // Memory that was given back may stay with the process, so what takes most of it comes last.
    tell(&measure(stage, size, "idle connections", held(size.idle, get("accounts/A-2", "crowd"), true)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_some_do_others_are_served_and_memory_stays_bounded() {
    let upstream = Scripted::start(&[("hold", b"(hold)"), ("large", large())]).await;
    let stage = stage(&upstream, "", "concurrent_per_account: none").await;
    // 100 connections with 24 MiB each would be far beyond this, and so would 400 that keep 256 KiB.
    scenes(&stage, SMALL, |Measured { scene, grown, .. }| assert!(*grown < 100 * MIB, "{scene}: {} MiB", grown / MIB)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes and wants a release build; it makes the numbers of the README"]
async fn full_size() {
    let upstream = Scripted::start(&[("hold", b"(hold)"), ("large", large())]).await;
    let stage = stage(&upstream, ", connections: 12000", "concurrent_per_account: none").await;
    println!("{FULL:?}");
    scenes(&stage, FULL, |measured| println!("{measured}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_connections_are_taken_idle_and_slow_clients_make_room() {
    let upstream = Scripted::start(&[("hold", b"(hold)")]).await;
    let stage = stage(&upstream, ", connections: 16", "concurrent_per_account: none").await;
    for bytes in [get("accounts/A-1", "crowd"), b"GET /crm/v1/pi".to_vec()] {
        let mut first = connections(stage.gateway, 16, &bytes).await;
        if bytes.ends_with(b"\r\n\r\n") {
            answered(&mut first).await;
        }
        for _ in 0..40 {
            let answers = timeout(PATIENCE, raw::exchange(stage.gateway, &closing(&get("accounts/A-1", "behaves")))).await.unwrap();
            assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200]);
        }
        // Not for all of those who came first: some of them have left.
        assert_eq!(timeout(IDLE / 2, first_to_hear(&mut first)).await.unwrap(), "");
    }
    // Requests that are under way stay, and whoever comes waits for one of them to end.
    let mut busy = connections(stage.gateway, 16, &get("files/hold", "crowd")).await;
    upstream.until_times("hold", 16).await;
    let request = closing(&get("accounts/A-1", "behaves"));
    let waits = raw::exchange(stage.gateway, &request);
    let (answers, ()) = tokio::join!(timeout(PATIENCE, waits), async { upstream.release() });
    assert_eq!(answers.unwrap().iter().map(|answer| answer.status).collect::<Vec<_>>(), [200]);
    answered(&mut busy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_connections_are_taken_idle_ones_of_http2_make_room_and_busy_ones_stay() {
    let upstream = Scripted::start(&[("hold", b"(hold)")]).await;
    let script = Script {
        listen: "[{address: \"127.0.0.1:0\", h2c: true}]".into(),
        gateway: ", connections: 16",
        upstream: Some(format!("http://{}", upstream.address)),
        ..Script::default()
    };
    let stage = Stage::with(script).await;
    stage.account("acme", "crowd", "researcher").await;
    let connect = async || Http2::over(raw::connect(stage.gateway).await, "http").await;
    let get =
        async |client: &Http2, target: &str| client.exchange("GET", target, &[("scopegate-account", "crowd")], b"").await.map(|answer| answer.status);
    let busy = connect().await;
    let (answer, _) = busy.open(busy.request("GET", "/crm/v1/files/hold", &[("scopegate-account", "crowd")]), true).await;
    upstream.until("hold").await;
    let mut idle = Vec::new();
    for _ in 0..15 {
        idle.push(connect().await);
        assert_eq!(get(&idle[idle.len() - 1], "/crm/v1/accounts/A-1").await.unwrap(), 200);
    }
    for _ in 0..40 {
        let comes = timeout(PATIENCE, async { get(&connect().await, "/crm/v1/accounts/A-1").await });
        assert_eq!(comes.await.unwrap().unwrap(), 200);
    }
    // one that had waited long was told to leave, and the busy one has its answer
    let mut left = 0;
    for client in &idle {
        left += usize::from(get(client, "/crm/v1/accounts/A-1").await.is_err());
    }
    assert!(left > 0, "nobody made room");
    upstream.release();
    assert_eq!(timeout(PATIENCE, answer).await.unwrap().unwrap().status(), 200);
}

/// What the first one hears whose connection ends.
async fn first_to_hear(streams: &mut [TcpStream]) -> String {
    let mut ends: Vec<_> = streams
        .iter_mut()
        .map(|stream| {
            Box::pin(async move {
                let mut heard = Vec::new();
                // a reset is an end too: what was sent of a head may not have been read
                let _ = stream.read_to_end(&mut heard).await;
                String::from_utf8(heard).unwrap()
            })
        })
        .collect();
    let any = |context: &mut Context<'_>| ends.iter_mut().map(|end| end.as_mut().poll(context)).find(Poll::is_ready).unwrap_or(Poll::Pending);
    poll_fn(any).await
}

fn closing(request: &[u8]) -> Vec<u8> {
    [&request[..request.len() - 2], b"Connection: close\r\n\r\n"].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_has_so_many_requests_under_way_and_no_more_until_one_of_them_ends() {
    let upstream = Scripted::start(&[("hold", b"(hold)")]).await;
    let stage = stage(&upstream, "", "concurrent_per_account: 3").await;
    let mut busy = connections(stage.gateway, 3, &get("files/hold", "crowd")).await;
    upstream.until_times("hold", 3).await;
    let call = async |account| stage.send(stage.request(Method::GET, "/crm/v1/accounts/A-1", account)).await;
    let answer = stage.request(Method::GET, "/crm/v1/accounts/A-1", "crowd").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"1".parse().unwrap()));
    let refused = call("crowd").await;
    assert_eq!((refused.status, refused.text("reason"), refused.body["retryable"].as_bool()), (429, "rate_limited", Some(true)));
    assert_eq!(call("behaves").await.status, 200, "others have places of their own");

    // However a request ends, its place is free: a client that leaves, and answers that come.
    raw::reset(busy.remove(0));
    while call("crowd").await.status == 429 {}
    busy.extend(connections(stage.gateway, 1, &get("files/hold", "crowd")).await);
    upstream.until_times("hold", 4).await;
    assert_eq!(call("crowd").await.status, 429);
    upstream.release();
    answered(&mut busy).await;
    while call("crowd").await.status == 429 {}
    assert_eq!(call("crowd").await.status, 200);
}
