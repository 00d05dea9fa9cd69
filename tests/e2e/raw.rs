//! A client that writes bytes as it pleases.

use socket2::SockRef;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.header("scopegate-decision")?.split(';').find_map(|part| part.strip_prefix("reason="))
    }
}

pub(crate) async fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Leaves for good: the other side sees a reset, where a mere end could be a half-close.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Writes the bytes and reads all answers until the other side closes; the request should ask for that.
pub(crate) async fn exchange(to: SocketAddr, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = connect(to).await;
    // The other side may refuse and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    answers(stream).await
}

/// All answers until the other side closes.
pub(crate) async fn answers(stream: TcpStream) -> Vec<Answer> {
    read(stream).await
}

/// The same, whatever carries them.
pub(crate) async fn read(mut stream: impl AsyncRead + Unpin) -> Vec<Answer> {
    let mut read = Vec::new();
    // A reset after the answer is an end too.
    let _ = stream.read_to_end(&mut read).await;
    let mut rest = read.as_slice();
    let mut found = Vec::new();
    while let Some((answer, more)) = split(rest) {
        found.push(answer);
        rest = more;
    }
    found
}

/// The first answer of the bytes, and what comes behind it. 100 Continue is passed over.
fn split(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let rest = &bytes[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return split(rest);
    }
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let answer = Answer { status, headers, body: Vec::new() };
    let (body, rest) = match (answer.header("content-length"), answer.header("transfer-encoding")) {
        (Some(length), _) => rest.split_at_checked(length.parse().ok()?)?,
        (None, Some(_)) => return chunked(rest).map(|(body, rest)| (Answer { body, ..answer }, rest)),
        (None, None) if matches!(status, 204 | 304) => rest.split_at(0),
        (None, None) => rest.split_at(rest.len()),
    };
    Some((Answer { body: body.to_vec(), ..answer }, rest))
}

fn chunked(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).ok()?, 16).ok()?;
        let (chunk, rest) = bytes[line + 2..].split_at_checked(size)?;
        body.extend_from_slice(chunk);
        bytes = rest.strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some((body, bytes));
        }
    }
}
