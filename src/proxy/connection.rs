//! One client connection over HTTP/1: heads in, answers out, in order.
//!
//! Between requests the connection is ours alone: heads are read and judged here, and
//! here it is decided whether another may follow. While a request is under way pingora
//! moves the bytes, through the [`Door`].

use super::Patience;
use super::door::{Client, Door};
use super::relay::Relay;
use super::request::{Departure, Visit};
use super::response;
use super::side::Side;
use crate::gateway::{Answer, Arrival, Ending, Exchange, Gateway, Step};
use crate::limits::Seat;
use crate::tasks::Tasks;
use bytes::Buf;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use scopegate_core::request::{Head, HeadFault, HeadFaultReason, HeadLimits, HeadScanner, Scan, Version};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How much of a body that nobody wants is read past in order to keep the connection.
pub(super) const SKIP: u64 = 64 * 1024;
/// How long that may take, and how long a client may take to close after us.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// How long the system may take to say that a client's bytes are here.
const GLANCE: Duration = Duration::from_millis(5);
/// When to look for the reset that a client which is gone sends back for an answer.
const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(150)];

/// What all connections share.
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) relay: Arc<HttpProxy<Relay>>,
    pub(super) heads: HeadLimits,
    pub(super) patience: Patience,
    pub(super) tasks: Tasks,
    /// Becomes true when no request may follow the one at hand.
    pub(super) closing: ShutdownWatch,
    /// Cancelled at the same time, for those who wait.
    pub(super) idle_ends: CancellationToken,
}

/// Whether another request may follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// It may.
    Follows,
    /// The connection ends.
    Ends,
}

/// Serves `door` until either side ends it.
pub(super) async fn serve(door: Door, arrival: Arrival, seat: Seat, shared: Arc<Shared>) {
    let mut between = Between::new(&shared.patience, &shared.idle_ends, &seat);
    while let Some(head) = between.next_head(&door, shared.heads).await {
        seat.has_a_request();
        let exchange = shared.gateway.begin(&arrival);
        let next = match head {
            Ok(head) => visit(&door, &shared, head, exchange).await,
            Err(fault) => refuse(&door, fault, exchange).await,
        };
        let may_stay = seat.may_stay();
        if next == Next::Ends || !may_stay || !skip_rest(&door).await {
            tokio::select! {
                () = linger(&door) => {}
                () = seat.asked_to_leave() => {}
            }
            return;
        }
        // A client that sends ahead never has to be waited for: others get their turn after each of its requests.
        if !door.lock().came().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// What a connection waits for between its requests. It lives as long as the connection, so that the clock and those who may end the wait
/// hear of it once, and not with each request.
struct Between {
    patience: Patience,
    silence: Pin<Box<Sleep>>,
    drained: Pin<Box<WaitForCancellationFutureOwned>>,
    asked_to_leave: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Between {
    fn new(patience: &Patience, idle_ends: &CancellationToken, seat: &Seat) -> Self {
        // A token of its own: all connections would meet at the one that they share.
        let drained = Box::pin(idle_ends.child_token().cancelled_owned());
        Self { patience: *patience, silence: Box::pin(sleep(patience.idle)), drained, asked_to_leave: Box::pin(seat.leaves()) }
    }

    /// The next head; none where the client, its silence, a drain, or another who needs the place ends the connection.
    async fn next_head(&mut self, door: &Door, limits: HeadLimits) -> Option<Result<Head, HeadFault>> {
        if door.lock().came().is_empty() {
            self.silence.as_mut().reset(sleep(self.patience.idle).deadline());
            tokio::select! {
                biased;
                came = fill(door) => came.then_some(())?,
                () = self.silence.as_mut() => return None,
                () = self.drained.as_mut() => return None,
                // A request that is here already, and was only not seen yet, is served.
                () = self.asked_to_leave.as_mut() => timeout(GLANCE, fill(door)).await.ok()?.then_some(())?,
            }
        }
        let late = HeadFault { reason: HeadFaultReason::TooSlow, method: None, target: None };
        tokio::select! {
            biased;
            head = timeout(self.patience.head, whole_head(door, limits)) => head.unwrap_or(Some(Err(late))),
            () = self.asked_to_leave.as_mut() => None,
        }
    }
}

async fn whole_head(door: &Door, limits: HeadLimits) -> Option<Result<Head, HeadFault>> {
    let mut scanner = HeadScanner::new(limits);
    loop {
        let scanned = scanner.scan(door.lock().came());
        match scanned {
            Ok(Scan::Head(length)) => {
                let head = door.lock().came().split_to(length).freeze();
                return Some(Head::read(&head, &limits));
            }
            Ok(Scan::More) => fill(door).await.then_some(())?,
            Err(fault) => return Some(Err(fault)),
        }
    }
}

/// Asks the gateway, and brings what may go on through pingora.
async fn visit(door: &Door, shared: &Shared, head: Head, mut exchange: Box<Exchange>) -> Next {
    door.begin(&head);
    let head = Arc::new(head);
    let first = match exchange.admit(Ok(Arc::clone(&head))).await {
        Step::Refuse(answer) => return turn_away(door, shared, &head, &answer, exchange).await,
        first @ (Step::Forward(_) | Step::ReadBody { .. }) => first,
    };
    door.let_in(&head);
    let (visit, mut departure) = Visit::new(head, Side::Http1(door.clone()), exchange, Some(first));
    let mut session = ServerSession::new_http1(Box::new(door.clone()));
    session.set_connection_user_context(Some(Box::new(visit)));
    // Whether pingora would reuse its stream does not matter: it has only read what belongs to this request.
    let _ = shared.relay.process_new_http(session, &shared.closing).await;
    let Ok(Departure { exchange, ending, next }) = departure.try_recv() else { return Next::Ends };
    depart(door, exchange, ending, next).await
}

/// Ends an exchange, unless the client turns out to have left without its answer.
async fn depart(door: &Door, exchange: Box<Exchange>, ending: Ending, next: Next) -> Next {
    let gone = match ending {
        Ending::Sent { status: 101 } | Ending::ClientGone => false,
        Ending::Sent { .. } | Ending::CutShort { .. } => leaves_unseen(door).await,
    };
    exchange.finish(if gone { Ending::ClientGone } else { ending });
    if gone { Next::Ends } else { next }
}

/// Refuses a request. pingora has no part in it: nothing leaves, and a refusal costs little. The connection is kept where what is left of
/// the request can be read past.
async fn turn_away(door: &Door, shared: &Shared, head: &Head, answer: &Answer, mut exchange: Box<Exchange>) -> Next {
    let waits_for_word = head.expects_continue && !door.is_whole() && head.version == Version::Http11;
    let stays = door.limit_rest(SKIP) && !waits_for_word && head.keep_alive && !*shared.closing.borrow();
    let next = if stays { Next::Follows } else { Next::Ends };
    let body = if head.method.as_str() == "HEAD" { &[] } else { answer.body.as_ref() };
    exchange.answer_out(body.len());
    let sent = send(door, &response::as_bytes(answer, body, next)).await;
    let ending = if sent { Ending::Sent { status: answer.status } } else { Ending::ClientGone };
    depart(door, exchange, ending, if sent { next } else { Next::Ends }).await
}

/// Answers a head that is no request.
async fn refuse(door: &Door, fault: HeadFault, mut exchange: Box<Exchange>) -> Next {
    let wants_no_body = fault.method.as_deref() == Some("HEAD");
    let ending = match exchange.admit(Err(fault)).await {
        Step::Refuse(answer) => {
            let status = answer.status;
            let body = if wants_no_body { &[] } else { answer.body.as_ref() };
            exchange.answer_out(body.len());
            let sent = send(door, &response::as_bytes(&answer, body, Next::Ends)).await;
            if sent { Ending::Sent { status } } else { Ending::ClientGone }
        }
        Step::Forward(_) | Step::ReadBody { .. } => Ending::ClientGone,
    };
    exchange.finish(ending);
    Next::Ends
}

/// A client whose FIN came before its answer either waits for it or is gone. Only the reset that answers our own bytes tells
/// which, and it takes a round trip.
async fn leaves_unseen(door: &Door) -> bool {
    if !send(door, &[]).await {
        return true;
    }
    if door.client() == Client::Open {
        return false;
    }
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        if door.lock().wire().was_reset() {
            return true;
        }
    }
    false
}

/// Reads past what is left of a body, if that is little.
async fn skip_rest(door: &Door) -> bool {
    door.limit_rest(SKIP) && timeout(LINGER, poll_fn(|cx| door.lock().poll_skip(cx))).await.unwrap_or(false)
}

/// Ends the connection so that the client gets to read what was sent last: were it closed with bytes unread, the client's system
/// would throw our answer away.
async fn linger(door: &Door) {
    let ends = async {
        if send(door, &[]).await && poll_fn(|cx| Pin::new(door.lock().wire()).poll_shutdown(cx)).await.is_ok() {
            while fill(door).await {
                door.lock().came().clear();
            }
        }
    };
    // A client that does not close in time is left with what it has.
    let _ = timeout(LINGER, ends).await;
}

/// Brings more; false where no more comes.
async fn fill(door: &Door) -> bool {
    matches!(poll_fn(|cx| door.lock().poll_fill(cx)).await, Ok(1..))
}

/// Sends `bytes` and all that was collected before; false where they do not reach the client.
async fn send(door: &Door, mut bytes: &[u8]) -> bool {
    poll_fn(|cx| {
        while bytes.has_remaining() {
            match door.lock().poll_write(cx, bytes) {
                Poll::Ready(Ok(taken)) => bytes.advance(taken),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        door.lock().poll_send(cx)
    })
    .await
    .is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::wire::Wire;
    use super::*;
    use crate::limits::Guests;
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    fn door() -> (Door, DuplexStream) {
        let (client, ours) = duplex(4096);
        (Door::new(Wire::Memory(ours), Patience::STANDARD.body), client)
    }

    async fn next(door: &Door) -> Option<Result<Head, HeadFaultReason>> {
        let seat = Guests::new(1).seat().await?;
        let read = Between::new(&Patience::STANDARD, &CancellationToken::new(), &seat).next_head(door, HeadLimits::STANDARD).await?;
        Some(read.map_err(|fault| fault.reason))
    }

    /// All requests of a client, each as pingora reads it, and how the connection ended.
    async fn requests(door: &Door) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(read) = next(door).await {
            let Ok(head) = read else {
                all.push("fault".to_owned());
                break;
            };
            door.begin(&head);
            door.let_in(&head);
            let mut given = Vec::new();
            let mut pingora = door.clone();
            while !given.ends_with(b"\r\n\r\n") || !door.is_whole() {
                pingora.read_buf(&mut given).await.unwrap();
            }
            all.push(format!("{} {}", head.target.path.as_str(), String::from_utf8(given).unwrap().replace("\r\n", "|")));
        }
        all
    }

    #[tokio::test]
    async fn requests_that_are_sent_ahead_come_one_by_one_however_their_bytes_are_cut() {
        const SENT: &[u8] = b"POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
            GET /two HTTP/1.1\r\nHost: a\r\n\r\nPUT /three HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\nrest of it\r\n\r\nGET /four HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..=SENT.len() {
            let (door, mut client) = door();
            let sends = async {
                let (first, second) = SENT.split_at(cut);
                client.write_all(first).await.unwrap();
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                client.write_all(second).await.unwrap();
                client.shutdown().await.unwrap();
            };
            let (requests, ()) = tokio::join!(requests(&door), sends);
            let [one, two, three, fault] = &requests[..] else { panic!("{requests:?}, cut at {cut}") };
            let (head, chunks) = one.split_once("||").unwrap();
            assert_eq!(head, "/one POST / HTTP/1.1|Host: scopegate|Transfer-Encoding: chunked", "cut at {cut}");
            let pieces: Vec<_> = chunks.split('|').collect();
            let content: String = pieces.chunks_exact(2).filter(|chunk| chunk[0] != "0").map(|chunk| chunk[1]).collect();
            assert_eq!(content, "abcde", "cut at {cut}: {chunks}");
            assert_eq!(two, "/two GET / HTTP/1.1|Host: scopegate||", "cut at {cut}");
            assert_eq!(three, "/three PUT / HTTP/1.1|Host: scopegate|Content-Length: 4||||", "cut at {cut}");
            assert_eq!(fault, "fault", "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_ten_seconds_from_its_first_byte() {
        let (door, mut client) = door();
        client.write_all(b"GET / HT").await.unwrap();
        let drips = async {
            for byte in b"TP/1.1\r\nHost: aaaaaaaaaaaaa" {
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.write_all(&[*byte]).await.unwrap();
            }
        };
        let read = tokio::select! {
            read = next(&door) => read,
            () = drips => panic!("the head was waited for as long as it dripped"),
            () = tokio::time::sleep(Duration::from_millis(10_001)) => panic!("the head was waited for too long"),
        };
        assert_eq!(read.unwrap().unwrap_err(), HeadFaultReason::TooSlow);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_silent_or_ends_between_requests_ends_without_a_word() {
        let (silent, _client) = door();
        assert!(next(&silent).await.is_none());
        for sent in [&b""[..], b"GET / HTTP/1.1\r\nHost: a\r\n"] {
            let (door, mut client) = door();
            client.write_all(sent).await.unwrap();
            drop(client);
            assert!(next(&door).await.is_none(), "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_idle_connections_and_serves_what_has_begun() {
        let ends = CancellationToken::new();
        ends.cancel();
        let (idle, _client) = door();
        let seat = Guests::new(1).seat().await.unwrap();
        assert!(Between::new(&Patience::STANDARD, &ends, &seat).next_head(&idle, HeadLimits::STANDARD).await.is_none());
        let (busy, mut client) = door();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(Between::new(&Patience::STANDARD, &ends, &seat).next_head(&busy, HeadLimits::STANDARD).await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_of_a_body_is_read_past_only_where_it_is_little_and_comes() {
        let large = vec![b'x'; 70_000];
        let chunk = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
        for (framing, sent, kept) in [
            ("X-No: body", &b""[..], true),
            ("Content-Length: 5", b"abcde", true),
            ("Content-Length: 5", b"abc", false),
            ("Content-Length: 70000", &large, false),
            ("Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n", true),
            ("Transfer-Encoding: chunked", b"zz\r\n", false),
            ("Transfer-Encoding: chunked", &chunk, false),
        ] {
            let (client, ours) = duplex(100_000);
            let door = Door::new(Wire::Memory(ours), Patience::STANDARD.body);
            let mut client = client;
            client.write_all(sent).await.unwrap();
            let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
            door.begin(&Head::read(&Bytes::from(head), &HeadLimits::STANDARD).unwrap());
            assert_eq!(skip_rest(&door).await, kept, "{framing}");
        }
    }
}
