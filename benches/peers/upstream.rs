//! The API behind all of them: one thread that answers every request with the same kilobyte.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) fn serve(port: u16) {
    let body = format!("{{\"name\": \"{}\"}}", "x".repeat(1012));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nDate: Thu, 26 Nov 2026 09:00:00 GMT\r\n\
         ETag: \"7\"\r\nCache-Control: private\r\nX-Request-Id: 0123456789abcdef\r\n\r\n{body}",
        body.len()
    );
    let answer: &'static [u8] = answer.leak().as_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let serving = tokio::task::LocalSet::new();
    serving.block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::task::spawn_local(converse(stream, answer));
        }
    });
}

/// Requests have no bodies, and are not pipelined.
async fn converse(mut stream: TcpStream, answer: &[u8]) {
    let _ = stream.set_nodelay(true);
    let mut came = Vec::with_capacity(4096);
    while let Ok(1..) = stream.read_buf(&mut came).await {
        if came.ends_with(b"\r\n\r\n") {
            came.clear();
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}
