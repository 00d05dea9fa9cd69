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
use crate::gateway::{Arrival, Ending, Exchange, Gateway, Step};
use bytes::Buf;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use scopegate_core::request::{Head, HeadFault, HeadFaultReason, HeadLimits, HeadScanner, Scan};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncWrite;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How much of a body that nobody wants is read past in order to keep the connection.
pub(super) const SKIP: u64 = 64 * 1024;
/// How long that may take, and how long a client may take to close after us.
const LINGER: Duration = Duration::from_secs(2);
/// When to look for the reset that a client which is gone sends back for an answer.
const LOOKS: [Duration; 4] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(150)];

/// What all connections share.
pub(super) struct Shared {
    pub(super) gateway: Arc<Gateway>,
    pub(super) relay: Arc<HttpProxy<Relay>>,
    pub(super) heads: HeadLimits,
    pub(super) patience: Patience,
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
pub(super) async fn serve(door: Door, arrival: Arrival, shared: Arc<Shared>) {
    while let Some(head) = next_head(&door, &shared).await {
        let exchange = shared.gateway.begin(&arrival);
        let next = match head {
            Ok(head) => visit(&door, &shared, head, exchange).await,
            Err(fault) => refuse(&door, fault, exchange).await,
        };
        if next == Next::Ends || !skip_rest(&door).await {
            linger(&door).await;
            return;
        }
    }
}

/// The next head; none where the client, its silence, or we end the connection.
async fn next_head(door: &Door, shared: &Shared) -> Option<Result<Head, HeadFault>> {
    if door.lock().came().is_empty() {
        tokio::select! {
            biased;
            came = timeout(shared.patience.idle, fill(door)) => { came.ok()?.then_some(())? }
            () = shared.idle_ends.cancelled() => return None,
        }
    }
    let late = HeadFault { reason: HeadFaultReason::TooSlow, method: None, target: None };
    timeout(shared.patience.head, whole_head(door, shared.heads)).await.unwrap_or(Some(Err(late)))
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

/// Brings a request through pingora.
async fn visit(door: &Door, shared: &Shared, head: Head, exchange: Exchange) -> Next {
    door.begin(&head);
    let (visit, mut departure) = Visit::new(Arc::new(head), door.clone(), exchange);
    let mut session = ServerSession::new_http1(Box::new(door.clone()));
    session.set_connection_user_context(Some(Box::new(visit)));
    // Whether pingora would reuse its stream does not matter: it has only read what belongs to this request.
    let _ = shared.relay.process_new_http(session, &shared.closing).await;
    let Ok(Departure { exchange, ending, next }) = departure.try_recv() else { return Next::Ends };
    let gone = match ending {
        Ending::Sent { status: 101 } | Ending::ClientGone => false,
        Ending::Sent { .. } | Ending::CutShort { .. } => leaves_unseen(door).await,
    };
    exchange.finish(if gone { Ending::ClientGone } else { ending });
    if gone { Next::Ends } else { next }
}

/// Answers a head that is no request.
async fn refuse(door: &Door, fault: HeadFault, mut exchange: Exchange) -> Next {
    let ending = match exchange.admit(Err(fault)).await {
        Step::Refuse(answer) => {
            let status = answer.status;
            exchange.answer_out(answer.body.len());
            match response::last_words(&answer) {
                Ok(bytes) if send(door, &bytes).await => Ending::Sent { status },
                Ok(_) | Err(_) => Ending::ClientGone,
            }
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
