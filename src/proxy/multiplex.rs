//! One client connection over HTTP/2: streams in, answers out, side by side.
//!
//! Every request that HTTP/2 lets through gets what one over HTTP/1 gets: one strict reading, a decision, an answer that says
//! why, an event. What HTTP/2 itself calls malformed (RFC 9113, section 8.1.1) ends below, and is counted.

use super::connection::{LINGER, Shared};
use super::request::{Departure, Visit};
use super::response::AnswerHead;
use super::side::Side;
use super::stream::Stream;
use super::tap::{Left, Tap};
use crate::gateway::{Arrival, BodyEnd, Ending, Exchange, Step};
use crate::limits::Seat;
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{Request, Response};
use scopegate_core::request::{Head, HeadFault, StreamBody};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// In metrics.
const HTTP2: &str = "h2";
/// Streams at once on one connection.
const STREAMS: u32 = 100;
/// Bytes of bodies that a client may send ahead, on one stream and on all of a connection.
const WINDOW: u32 = 64 * 1024;
const WINDOWS: u32 = 256 * 1024;
/// Bytes of answers that wait for a client, on one stream.
const UNSENT: usize = 64 * 1024;
/// A head twice as large as is served can still be told so; beyond that HTTP/2 answers by itself.
const TOLD: u32 = 2;

/// Serves `wire` until either side ends it.
pub(super) async fn serve(wire: impl AsyncRead + AsyncWrite + Unpin, arrival: Arrival, seat: Seat, shared: Arc<Shared>) {
    let seat = Arc::new(seat);
    let (heads, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (gateway, left) = (Arc::clone(&shared.gateway), Arc::clone(&heads));
    let tap = Tap::new(wire, move |what| match what {
        Left::Head => drop(left.fetch_add(1, Ordering::Relaxed)),
        Left::Error => gateway.ended_below(HTTP2, 1),
    });
    // a connection that is cut takes its streams along, whatever they wait for, so that each leaves its event
    let cut = CancellationToken::new();
    let _cuts = cut.clone().drop_guard();
    let (streams, running) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let largest = u32::try_from(shared.heads.bytes).unwrap_or(u32::MAX).saturating_mul(TOLD);
    let mut builder = Builder::new();
    builder.max_concurrent_streams(STREAMS).max_header_list_size(largest).max_send_buffer_size(UNSENT);
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOWS);
    if let Ok(Ok(mut connection)) = timeout(shared.patience.head, builder.handshake::<_, Bytes>(tap)).await {
        let mut leaving = false;
        loop {
            let silence = if leaving { LINGER } else { shared.patience.idle };
            let accepted = tokio::select! {
                biased;
                () = shared.idle_ends.cancelled(), if !leaving => None,
                () = seat.asked_to_leave(), if !leaving => None,
                accepted = connection.accept() => Some(accepted),
                () = sleep(silence) => if streams.is_empty() { None } else { continue },
            };
            match accepted {
                // a client that was told to leave and does not is left
                None if leaving => break,
                None => {
                    leaving = true;
                    connection.graceful_shutdown();
                }
                Some(Some(Ok((request, answer)))) => {
                    seat.has_a_request();
                    let served = serve_stream(request, answer, arrival, Arc::clone(&shared), Arc::clone(&answered));
                    let (seat, running, cut) = (Arc::clone(&seat), Arc::clone(&running), cut.clone());
                    running.fetch_add(1, Ordering::Relaxed);
                    shared.tasks.spawn(
                        "gateway stream",
                        streams.track_future(async move {
                            let _ = cut.run_until_cancelled(served).await;
                            // were it mistaken for idle in between, it would still end its streams before it leaves
                            if running.fetch_sub(1, Ordering::Relaxed) == 1 {
                                let _ = seat.may_stay();
                            }
                        }),
                    );
                }
                Some(Some(Err(_)) | None) => break,
            }
        }
    }
    // with the connection gone, every stream that is left ends at its next step
    streams.close();
    streams.wait().await;
    // heads that are none of ours
    shared.gateway.ended_below(HTTP2, heads.load(Ordering::Relaxed).saturating_sub(answered.load(Ordering::Relaxed)));
}

async fn serve_stream(request: Request<RecvStream>, answer: SendResponse<Bytes>, arrival: Arrival, shared: Arc<Shared>, answered: Arc<AtomicU64>) {
    let (parts, body) = request.into_parts();
    let exchange = shared.gateway.begin(&arrival);
    let stream_body = if body.is_end_stream() { StreamBody::Ended } else { StreamBody::Open };
    match Head::from_http2(&parts, stream_body, &shared.heads) {
        Ok(head) => visit(head, body, answer, exchange, &shared, answered).await,
        Err(fault) => {
            answered.fetch_add(1, Ordering::Relaxed);
            refuse(fault, answer, exchange).await;
        }
    }
}

/// Asks the gateway, and does what it says.
async fn visit(head: Head, body: RecvStream, answer: SendResponse<Bytes>, mut exchange: Box<Exchange>, shared: &Shared, answered: Arc<AtomicU64>) {
    let stream = Stream::new(&head, body, answer, shared.patience.body, answered);
    let head = Arc::new(head);
    let step = exchange.admit(Ok(Arc::clone(&head))).await;
    let side = Side::Http2(Box::new(stream));
    let Departure { exchange, ending, .. } = Visit::new(shared, head, side, exchange).serve(step).await;
    exchange.finish(ending);
}

/// Answers a head that is no request.
async fn refuse(fault: HeadFault, mut respond: SendResponse<Bytes>, mut exchange: Box<Exchange>) {
    let method = fault.method.clone().unwrap_or_default();
    let Step::Refuse(answer) = exchange.admit(Err(fault)).await else { return exchange.finish(Ending::ClientGone) };
    let body = if method == "HEAD" { Bytes::new() } else { answer.body.clone() };
    exchange.answer_out(body.len());
    let (status, headers, end) = AnswerHead::own(&answer, &method).for_stream();
    let (mut parts, ()) = Response::new(()).into_parts();
    (parts.status, parts.headers) = (status, headers);
    let sent = respond.send_response(Response::from_parts(parts, ()), end == BodyEnd::Last);
    // what the window does not hold yet is kept, and follows as the client reads
    let sent = sent.is_ok_and(|mut sending| end == BodyEnd::Last || sending.send_data(body, true).is_ok());
    exchange.finish(if sent { Ending::Sent { status: answer.status } } else { Ending::ClientGone });
}
