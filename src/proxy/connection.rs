//! One client connection over HTTP/1: heads in, answers out, in order.
//!
//! Between requests the connection is ours alone: heads are read and judged here, and
//! here it is decided whether another may follow. While a request is under way its
//! [`Visit`] moves the bytes.

use super::Patience;
use super::door::{Client, Door};
use super::due::Due;
use super::pool::Pool;
use super::rarely::Rarely;
use super::request::{Departure, Visit};
use super::response::AnswerHead;
use super::side::Side;
use super::together::Together;
use crate::gateway::{Arrival, Ending, Exchange, Gateway, Step};
use crate::limits::Seat;
use crate::tasks::Tasks;
use scopegate_core::request::{Head, HeadFault, HeadFaultReason, HeadLimits, HeadScanner, Scan};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
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
    pub(super) pool: Pool,
    pub(super) together: Together,
    pub(super) heads: HeadLimits,
    pub(super) patience: Patience,
    pub(super) tasks: Tasks,
    /// Becomes true when no request may follow the one at hand.
    pub(super) closing: watch::Receiver<bool>,
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
    /// It ends so that nobody takes what was sent last for whole.
    Breaks,
}

/// Serves `door` until either side ends it.
pub(super) async fn serve(mut door: Door, arrival: Arrival, seat: Seat, shared: Arc<Shared>) {
    let mut between = Between::new(&shared.patience, &shared.idle_ends, &seat);
    while let Some(head) = between.next_head(&mut door, shared.heads).await {
        seat.has_a_request();
        let exchange = shared.gateway.begin(&arrival);
        let next = match head {
            Ok(head) => visit(&mut door, &shared, head, exchange).await,
            Err(fault) => refuse(&mut door, fault, exchange).await,
        };
        if next == Next::Breaks {
            return door.wire().breaks();
        }
        let may_stay = seat.may_stay();
        if next == Next::Ends || !may_stay || !skip_rest(&mut door).await {
            tokio::select! {
                () = linger(&mut door) => {}
                () = seat.asked_to_leave() => {}
            }
            return;
        }
        // A client that sends ahead never has to be waited for: others get their turn after each of its requests.
        if !door.came().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

/// What a connection waits for between its requests. It lives as long as the connection, so that the clock and those who may end the wait
/// hear of it once, and not with each request.
struct Between {
    patience: Patience,
    silence: Due,
    drained: Rarely<Pin<Box<WaitForCancellationFutureOwned>>>,
    asked_to_leave: Rarely<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Between {
    fn new(patience: &Patience, idle_ends: &CancellationToken, seat: &Seat) -> Self {
        // A token of its own: all connections would meet at the one that they share.
        let drained = Rarely::new(Box::pin(idle_ends.child_token().cancelled_owned()));
        Self { patience: *patience, silence: Due::default(), drained, asked_to_leave: Rarely::new(Box::pin(seat.leaves())) }
    }

    /// The next head; none where the client, its silence, a drain, or another who needs the place ends the connection.
    async fn next_head(&mut self, door: &mut Door, limits: HeadLimits) -> Option<Result<Arc<Head>, HeadFault>> {
        if door.came().is_empty() {
            self.silence.put(self.patience.idle);
            tokio::select! {
                biased;
                came = door.fill() => came.then_some(())?,
                () = poll_fn(|cx| self.silence.poll(cx)) => return None,
                () = &mut self.drained => return None,
                // A request that is here already, and was only not seen yet, is served.
                () = &mut self.asked_to_leave => timeout(GLANCE, door.fill()).await.ok()?.then_some(())?,
            }
        }
        let mut scanner = HeadScanner::new(limits);
        if let Some(head) = scanned(door, &mut scanner, &limits) {
            return Some(head);
        }
        let late = HeadFault { reason: HeadFaultReason::TooSlow, method: None, target: None };
        tokio::select! {
            biased;
            head = timeout(self.patience.head, rest_of_head(door, scanner, &limits)) => head.unwrap_or(Some(Err(late))),
            () = &mut self.asked_to_leave => None,
            // a head that is all but here still comes; a drain does not wait for one that does not
            () = async { (&mut self.drained).await; sleep(LINGER).await } => None,
        }
    }
}

/// The head, if all of it is here.
fn scanned(door: &mut Door, scanner: &mut HeadScanner, limits: &HeadLimits) -> Option<Result<Arc<Head>, HeadFault>> {
    match scanner.scan(door.came()) {
        Ok(Scan::Head(length)) => Some(Head::read(&door.came().split_to(length).freeze(), limits).map(Arc::new)),
        Ok(Scan::More) => None,
        Err(fault) => Some(Err(fault)),
    }
}

async fn rest_of_head(door: &mut Door, mut scanner: HeadScanner, limits: &HeadLimits) -> Option<Result<Arc<Head>, HeadFault>> {
    loop {
        door.fill().await.then_some(())?;
        if let Some(head) = scanned(door, &mut scanner, limits) {
            return Some(head);
        }
    }
}

/// Asks the gateway, and does what it says.
async fn visit(door: &mut Door, shared: &Shared, head: Arc<Head>, mut exchange: Box<Exchange>) -> Next {
    door.begin(&head);
    let step = exchange.admit(Ok(Arc::clone(&head))).await;
    let Departure { exchange, ending, next } = Visit::new(shared, head, Side::of(door), exchange).serve(step).await;
    depart(door, exchange, ending, next).await
}

/// Ends an exchange, unless the client turns out to have left without its answer.
async fn depart(door: &mut Door, exchange: Box<Exchange>, ending: Ending, next: Next) -> Next {
    let gone = match ending {
        Ending::Sent { status: 101 } | Ending::ClientGone => false,
        Ending::Sent { .. } | Ending::CutShort { .. } => leaves_unseen(door).await,
    };
    exchange.finish(if gone { Ending::ClientGone } else { ending });
    if gone { Next::Ends } else { next }
}

/// Answers a head that is no request.
async fn refuse(door: &mut Door, fault: HeadFault, mut exchange: Box<Exchange>) -> Next {
    let method = fault.method.clone().unwrap_or_default();
    let ending = match exchange.admit(Err(fault)).await {
        Step::Refuse(answer) => {
            let body = if method == "HEAD" { &[] } else { answer.body.as_ref() };
            exchange.answer_out(body.len());
            AnswerHead::own(&answer, &method).write(door.going(), Next::Ends);
            if door.send(body).await { Ending::Sent { status: answer.status } } else { Ending::ClientGone }
        }
        Step::Forward(_) | Step::ReadBody { .. } => Ending::ClientGone,
    };
    exchange.finish(ending);
    Next::Ends
}

/// A client whose FIN came before its answer either waits for it or is gone. Only the reset that answers our own bytes tells
/// which, and it takes a round trip.
async fn leaves_unseen(door: &mut Door) -> bool {
    if !door.send(&[]).await {
        return true;
    }
    if door.client() == Client::Open {
        return false;
    }
    for pause in LOOKS {
        tokio::time::sleep(pause).await;
        if door.wire().was_reset() {
            return true;
        }
    }
    false
}

/// Reads past what is left of a body, if that is little.
async fn skip_rest(door: &mut Door) -> bool {
    door.limit_rest(SKIP) && timeout(LINGER, poll_fn(|cx| door.poll_skip(cx))).await.unwrap_or(false)
}

/// Ends the connection so that the client gets to read what was sent last: were it closed with bytes unread, the client's system
/// would throw our answer away.
async fn linger(door: &mut Door) {
    let ends = async {
        if door.send(&[]).await && poll_fn(|cx| Pin::new(door.wire()).poll_shutdown(cx)).await.is_ok() {
            while door.fill().await {
                door.came().clear();
            }
        }
    };
    // A client that does not close in time is left with what it has.
    let _ = timeout(LINGER, ends).await;
}

#[cfg(test)]
mod tests {
    use super::super::wire::Wire;
    use super::*;
    use crate::limits::Guests;
    use bytes::Bytes;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    fn door() -> (Door, DuplexStream) {
        let (client, ours) = duplex(4096);
        (Door::new(Wire::Memory(ours), Patience::STANDARD.body), client)
    }

    async fn next(door: &mut Door) -> Option<Result<Arc<Head>, HeadFaultReason>> {
        let seat = Guests::new(1).seat().await?;
        let read = Between::new(&Patience::STANDARD, &CancellationToken::new(), &seat).next_head(door, HeadLimits::STANDARD).await?;
        Some(read.map_err(|fault| fault.reason))
    }

    /// All requests of a client with what came of their bodies, and how the connection ended.
    async fn requests(door: &mut Door) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(read) = next(door).await {
            let Ok(head) = read else {
                all.push("fault".to_owned());
                break;
            };
            door.begin(&head);
            let mut body = Vec::new();
            while let Some(piece) = poll_fn(|cx| door.poll_body(cx)).await.unwrap() {
                body.extend_from_slice(&piece);
            }
            all.push(format!("{} {} {}", head.method, head.target.path.as_str(), String::from_utf8(body).unwrap().replace("\r\n", "|")));
        }
        all
    }

    #[tokio::test]
    async fn requests_that_are_sent_ahead_come_one_by_one_however_their_bytes_are_cut() {
        const SENT: &[u8] = b"POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
            GET /two HTTP/1.1\r\nHost: a\r\n\r\nPUT /three HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\nrest of it\r\n\r\nGET /four HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..=SENT.len() {
            let (mut door, mut client) = door();
            let sends = async {
                let (first, second) = SENT.split_at(cut);
                client.write_all(first).await.unwrap();
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                client.write_all(second).await.unwrap();
                client.shutdown().await.unwrap();
            };
            let (requests, ()) = tokio::join!(requests(&mut door), sends);
            assert_eq!(requests, ["POST /one abcde", "GET /two ", "PUT /three ||", "fault"], "cut at {cut}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_ten_seconds_from_its_first_byte() {
        let (mut door, mut client) = door();
        client.write_all(b"GET / HT").await.unwrap();
        let drips = async {
            for byte in b"TP/1.1\r\nHost: aaaaaaaaaaaaa" {
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.write_all(&[*byte]).await.unwrap();
            }
        };
        let read = tokio::select! {
            read = next(&mut door) => read,
            () = drips => panic!("the head was waited for as long as it dripped"),
            () = tokio::time::sleep(Duration::from_millis(10_001)) => panic!("the head was waited for too long"),
        };
        assert_eq!(read.unwrap().unwrap_err(), HeadFaultReason::TooSlow);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_silent_or_ends_between_requests_ends_without_a_word() {
        let (mut silent, _client) = door();
        assert!(next(&mut silent).await.is_none());
        for sent in [&b""[..], b"GET / HTTP/1.1\r\nHost: a\r\n"] {
            let (mut door, mut client) = door();
            client.write_all(sent).await.unwrap();
            drop(client);
            assert!(next(&mut door).await.is_none(), "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_idle_connections_and_serves_what_has_begun() {
        let ends = CancellationToken::new();
        ends.cancel();
        let (mut idle, _client) = door();
        let seat = Guests::new(1).seat().await.unwrap();
        assert!(Between::new(&Patience::STANDARD, &ends, &seat).next_head(&mut idle, HeadLimits::STANDARD).await.is_none());
        let (mut busy, mut client) = door();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(Between::new(&Patience::STANDARD, &ends, &seat).next_head(&mut busy, HeadLimits::STANDARD).await.unwrap().is_ok());
        // Of this one no more comes.
        let (mut half, mut client) = door();
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut between = Between::new(&Patience::STANDARD, &ends, &seat);
        let ended = timeout(LINGER + Duration::from_millis(1), between.next_head(&mut half, HeadLimits::STANDARD));
        assert!(ended.await.unwrap().is_none());
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
            let mut door = Door::new(Wire::Memory(ours), Patience::STANDARD.body);
            let mut client = client;
            client.write_all(sent).await.unwrap();
            let head = format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
            door.begin(&Head::read(&Bytes::from(head), &HeadLimits::STANDARD).unwrap());
            assert_eq!(skip_rest(&mut door).await, kept, "{framing}");
        }
    }
}
