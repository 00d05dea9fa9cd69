//! An upstream over TLS that speaks HTTP/2 or HTTP/1.1, and says which.

use crate::certified::{self, Signed};
use crate::http2::named;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use scopegate::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Answers with what it got: `{protocol, headers}`; a POST is echoed as it comes, in its content type, with trailers. Over HTTP/2
/// `Collect` is answered with the number of bytes once all came, `Watch` with messages as they are allowed, and `Fail` with trailers
/// alone; `old` is refused: it wants HTTP/1.1. Over HTTP/1.1 the connection ends without a word at `dies`, unless that is its first
/// request.
pub(crate) struct SecureUpstream {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// How many messages may have been sent.
    allowed: watch::Sender<usize>,
    tasks: Tasks,
}

impl SecureUpstream {
    pub(crate) async fn start(signed: &Signed, protocols: &[&str]) -> Self {
        let acceptor = certified::server(signed, protocols);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, tasks, connections) = (listener.local_addr().unwrap(), Tasks::new(Handle::current()), Arc::<AtomicUsize>::default());
        let (spawner, end, count) = (tasks.clone(), tasks.token(), Arc::clone(&connections));
        let allowed = watch::Sender::new(0);
        let gate = allowed.subscribe();
        tasks.spawn("secure upstream", async move {
            while let Some(Ok((stream, _))) = end.run_until_cancelled(listener.accept()).await {
                let served = serve(stream, acceptor.clone(), spawner.clone(), Arc::clone(&count), gate.clone());
                spawner.spawn("secure connection", end.clone().run_until_cancelled_owned(served));
            }
        });
        Self { address, connections, allowed, tasks }
    }

    /// Lets one more message go.
    pub(crate) fn allow(&self) {
        self.allowed.send_modify(|allowed| *allowed += 1);
    }

    /// Connections whose handshake went well.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for SecureUpstream {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, tasks: Tasks, connections: Arc<AtomicUsize>, gate: watch::Receiver<usize>) {
    stream.set_nodelay(true).unwrap();
    // a client that does not trust it leaves here
    let Ok(stream) = acceptor.accept(stream).await else { return };
    connections.fetch_add(1, Ordering::SeqCst);
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((request, answer))) = connection.accept().await {
            tasks.spawn("secure stream", http2(request, answer, gate.clone()));
        }
    } else {
        // a client that leaves is no failure
        let _ = http1(stream).await;
    }
}

async fn http2(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, mut gate: watch::Receiver<usize>) {
    let (parts, mut body) = request.into_parts();
    if parts.uri.path().ends_with("refused") && parts.headers.get("idempotency-key").is_none() {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    if parts.uri.path().ends_with("old") {
        return respond.send_reset(Reason::HTTP_1_1_REQUIRED);
    }
    let mut answer = Response::new(());
    answer.headers_mut().insert("content-type", "application/json".parse().unwrap());
    if parts.method != "POST" {
        let told = serde_json::json!({"protocol": "h2", "target": parts.uri.to_string(), "headers": named(&parts.headers)});
        let Ok(mut sending) = respond.send_response(answer, false) else { return };
        // the client may have left
        let _ = sending.send_data(told.to_string().into(), true);
        return;
    }
    if let Some(of_request) = parts.headers.get("content-type") {
        answer.headers_mut().insert("content-type", of_request.clone());
    }
    let method = parts.uri.path().rsplit('/').next().unwrap_or_default();
    if method == "Fail" {
        answer.headers_mut().insert("grpc-status", "5".parse().unwrap());
        let _ = respond.send_response(answer, true);
        return;
    }
    let Ok(mut sending) = respond.send_response(answer, false) else { return };
    let mut collected = 0;
    while let Some(Ok(data)) = body.data().await {
        // a window that cannot be opened belongs to a stream that has ended
        let _ = body.flow_control().release_capacity(data.len());
        collected += data.len();
        if !matches!(method, "Collect" | "Watch") && sending.send_data(data, false).is_err() {
            return;
        }
    }
    if method == "Collect" {
        let _ = sending.send_data(message(&collected.to_string()), false);
    }
    for number in 1..=if method == "Watch" { 3_usize } else { 0 } {
        // a test that has ended allows nothing more
        if gate.wait_for(|allowed| *allowed >= number).await.is_err() || sending.send_data(message(&number.to_string()), false).is_err() {
            return;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    if matches!(body.trailers().await, Ok(Some(_))) {
        trailers.insert("x-trailers-came", "1".parse().unwrap());
    }
    trailers.insert("set-cookie", "a=b".parse().unwrap());
    if let Some(token) = parts.headers.get("authorization") {
        trailers.insert("grpc-message", token.clone());
    }
    // the client may have left
    let _ = sending.send_trailers(trailers);
}

/// A message of gRPC: not packed, its length, and itself.
pub(crate) fn message(text: &str) -> Bytes {
    [&[0], u32::try_from(text.len()).unwrap().to_be_bytes().as_slice(), text.as_bytes()].concat().into()
}

async fn http1(mut stream: TlsStream<TcpStream>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for number in 0.. {
        while !bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        }
        if number > 0 && bytes.windows(4).any(|four| four == b"dies") {
            return Ok(());
        }
        bytes.clear();
        let body = r#"{"protocol": "http/1.1"}"#;
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
            .await?;
    }
    Ok(())
}
