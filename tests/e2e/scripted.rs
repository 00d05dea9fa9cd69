//! An upstream whose answers are bytes: each request on a connection is answered by the word in its path.

use scopegate::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// How long somebody may take to ask.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps its connections open, and answers as told.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    lines: watch::Sender<Vec<String>>,
    release: watch::Sender<bool>,
    tasks: Tasks,
}

/// In an answer: what stands behind it is sent after `release`.
const WAIT: &[u8] = b"(wait)";
/// At the end of an answer: the connection ends with it.
const CLOSE: &[u8] = b"(close)";

/// A word of the target, and the bytes that answer it.
type Answers = Vec<(&'static str, &'static [u8])>;

/// What every connection of it needs.
#[derive(Clone)]
struct Shared {
    answers: Arc<Mutex<Answers>>,
    lines: watch::Sender<Vec<String>>,
    release: watch::Receiver<bool>,
}

impl Scripted {
    /// Answers a target that contains a word with its bytes: none closes the connection, `(hold)` waits for `release` and then
    /// answers 200, `(echo)` takes the connection over and sends everything back. What stands behind `(wait)` waits for `release`,
    /// and `(close)` at the end closes the connection behind the rest.
    pub(crate) async fn start(answers: &[(&'static str, &'static [u8])]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), Tasks::new(Handle::current()));
        let (lines, release) = (watch::Sender::new(Vec::new()), watch::Sender::new(false));
        let answers = Arc::new(Mutex::new(answers.to_vec()));
        let shared = Shared { answers: Arc::clone(&answers), lines: lines.clone(), release: release.subscribe() };
        let (spawner, end) = (tasks.clone(), tasks.token());
        tasks.spawn("scripted", async move {
            while let Some(Ok((stream, _))) = end.run_until_cancelled(listener.accept()).await {
                spawner.spawn("scripted connection", end.clone().run_until_cancelled_owned(serve(stream, shared.clone())));
            }
        });
        Self { address, answers, lines, release, tasks }
    }

    /// Answers a target that contains `word` so from here on.
    pub(crate) fn answer(&self, word: &'static str, bytes: Vec<u8>) {
        self.answers.lock().unwrap().insert(0, (word, bytes.leak()));
    }

    /// Takes the request lines so far.
    pub(crate) fn take(&self) -> Vec<String> {
        self.lines.send_replace(Vec::new())
    }

    /// Waits until a request whose line contains `word` is here.
    pub(crate) async fn until(&self, word: &str) {
        self.until_times(word, 1).await;
    }

    /// Waits until so many such requests are here.
    pub(crate) async fn until_times(&self, word: &str, times: usize) {
        let mut seen = self.lines.subscribe();
        let enough = seen.wait_for(|lines| lines.iter().filter(|line| line.contains(word)).count() >= times);
        let came = tokio::time::timeout(PATIENCE, enough).await.map(|came| drop(came.unwrap()));
        assert!(came.is_ok(), "not {times} requests for `{word}`: {:?}", self.lines.borrow());
    }

    /// Lets those go on who hold.
    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }

    /// Makes those wait again who come from here on.
    pub(crate) fn hold(&self) {
        self.release.send_replace(false);
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

async fn serve(mut stream: TcpStream, mut shared: Shared) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let Some((line, end)) = request(&mut stream, &mut bytes).await? else { return Ok(()) };
        bytes.drain(..end);
        let answer = shared.answers.lock().unwrap().iter().find(|(word, _)| line.contains(word)).map(|(_, answer)| *answer);
        shared.lines.send_modify(|lines| lines.push(line));
        match answer {
            Some(b"") => return Ok(()),
            Some(b"(hold)") => {
                // Nobody releases any more where the upstream is gone.
                let _ = shared.release.wait_for(|released| *released).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld").await?;
            }
            Some(b"(echo)") => {
                stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
                let (mut reads, mut writes) = stream.split();
                return tokio::io::copy(&mut reads, &mut writes).await.map(drop);
            }
            Some(answer) => {
                let (answer, closes) = answer.strip_suffix(CLOSE).map_or((answer, false), |answer| (answer, true));
                let wait = answer.windows(WAIT.len()).position(|bytes| bytes == WAIT);
                stream.write_all(&answer[..wait.unwrap_or(answer.len())]).await?;
                if let Some(at) = wait {
                    let _ = shared.release.wait_for(|released| *released).await;
                    stream.write_all(&answer[at + WAIT.len()..]).await?;
                }
                if closes {
                    return Ok(());
                }
            }
            None => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?,
        }
    }
}

/// The line of the next request, and where it ends; none where the connection ends first.
pub(crate) async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> std::io::Result<Option<(String, usize)>> {
    loop {
        if let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
            let lower = text.to_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
            let body = &bytes[head + 4..];
            let end = if lower.contains("transfer-encoding: chunked") {
                body.windows(5).position(|five| five == b"0\r\n\r\n").map(|end| end + 5)
            } else {
                (body.len() >= length).then_some(length)
            };
            if let Some(end) = end {
                return Ok(Some((text.lines().next().unwrap_or_default().to_owned(), head + 4 + end)));
            }
        }
        if stream.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}
