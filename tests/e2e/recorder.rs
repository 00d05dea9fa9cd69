//! An upstream that keeps the very bytes that it got.

use scopegate::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// Answers every request with 200 and `{}`, on one connection each.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    tasks: Tasks,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let tasks = Tasks::new(Handle::current());
        let recorder = Self { address: listener.local_addr().unwrap(), requests: Arc::default(), tasks };
        let (requests, tasks, end) = (Arc::clone(&recorder.requests), recorder.tasks.clone(), recorder.tasks.token());
        recorder.tasks.spawn("recorder", async move {
            while let Some(Ok((stream, _))) = end.run_until_cancelled(listener.accept()).await {
                let requests = Arc::clone(&requests);
                tasks.spawn("recorded", async move { record(stream, &requests).await });
            }
        });
        recorder
    }

    /// The requests so far, each with its whole head and body.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().unwrap().clone()
    }

    /// Takes the requests so far.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

async fn record(mut stream: TcpStream, requests: &Mutex<Vec<Vec<u8>>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&bytes) {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
    if bytes.is_empty() {
        return;
    }
    requests.lock().unwrap().push(bytes);
    // The gateway may have gone; what it sent is kept all the same.
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}").await;
}

/// Whether head and body are there, as Content-Length or the last chunk say.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    let body = &bytes[end + 4..];
    match (value("content-length:"), value("transfer-encoding:")) {
        (Some(length), _) => body.len() >= length.parse::<usize>().unwrap(),
        (None, Some(_)) => body.ends_with(b"0\r\n\r\n"),
        (None, None) => true,
    }
}
