//! An upstream for streams: it swallows, pours and drips, and holds nothing itself.

use scopegate::tasks::Tasks;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What it pours, over and over.
pub(crate) static DROP: [u8; 64 * 1024] = [b'd'; 64 * 1024];

/// Answers `/v1/files/WORD...` by the word.
pub(crate) struct Fountain {
    pub(crate) address: SocketAddr,
    /// How many events may have been sent.
    allowed: watch::Sender<usize>,
    /// How many bytes it got rid of, or swallowed.
    moved: watch::Sender<u64>,
    tasks: Tasks,
}

impl Fountain {
    /// `swallow` reads the body and tells its length; `pour-N` sends N bytes; `events` sends events as they are allowed; `deaf`
    /// reads nothing more.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), Tasks::new(Handle::current()));
        let (allowed, moved) = (watch::Sender::new(0), watch::Sender::new(0));
        let (spawner, end, gate, meter) = (tasks.clone(), tasks.token(), allowed.subscribe(), moved.clone());
        tasks.spawn("fountain", async move {
            while let Some(Ok((stream, _))) = end.run_until_cancelled(listener.accept()).await {
                let served = serve(stream, gate.clone(), meter.clone());
                spawner.spawn("fountain connection", end.clone().run_until_cancelled_owned(served));
            }
        });
        Self { address, allowed, moved, tasks }
    }

    /// Lets one more event go.
    pub(crate) fn allow(&self) {
        self.allowed.send_modify(|allowed| *allowed += 1);
    }

    /// Bytes that it moved so far.
    pub(crate) fn moved(&self) -> u64 {
        *self.moved.borrow()
    }
}

impl Drop for Fountain {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

async fn serve(stream: TcpStream, mut gate: watch::Receiver<usize>, meter: watch::Sender<u64>) -> std::io::Result<()> {
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    loop {
        let (mut target, mut length, mut chunked) = (String::new(), 0_u64, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            if target.is_empty() {
                target = line.split(' ').nth(1).unwrap().to_owned();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            } else if line == "transfer-encoding: chunked" {
                chunked = true;
            }
        }
        let word = target.rsplit('/').next().unwrap();
        if word == "deaf" {
            std::future::pending::<()>().await;
        } else if word == "swallow" {
            let swallowed = if chunked { chunks(&mut stream, &meter).await? } else { swallow(&mut stream, length, &meter).await? };
            let body = swallowed.to_string();
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
        } else if let Some(count) = word.strip_prefix("pour-") {
            let mut left: u64 = count.parse().unwrap();
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n").as_bytes()).await?;
            while left > 0 {
                let piece = usize::try_from(left.min(DROP.len() as u64)).unwrap();
                stream.write_all(&DROP[..piece]).await?;
                left -= piece as u64;
                meter.send_modify(|moved| *moved += piece as u64);
            }
        } else {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            for number in 1_usize.. {
                // a test that has ended allows nothing more
                if gate.wait_for(|allowed| *allowed >= number).await.is_err() {
                    return Ok(());
                }
                let event = format!("data: {number}\n\n");
                stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await?;
                stream.flush().await?;
            }
        }
    }
}

async fn swallow(stream: &mut BufReader<TcpStream>, length: u64, meter: &watch::Sender<u64>) -> std::io::Result<u64> {
    let (mut left, mut buffer) = (length, vec![0; DROP.len()]);
    while left > 0 {
        let most = usize::try_from(left.min(buffer.len() as u64)).unwrap();
        let read = stream.read(&mut buffer[..most]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        left -= read as u64;
        meter.send_modify(|moved| *moved += read as u64);
    }
    Ok(length)
}

async fn chunks(stream: &mut BufReader<TcpStream>, meter: &watch::Sender<u64>) -> std::io::Result<u64> {
    let mut all = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let size = u64::from_str_radix(line.trim_end(), 16).unwrap();
        all += swallow(stream, size, meter).await?;
        line.clear();
        stream.read_line(&mut line).await?;
        if size == 0 {
            return Ok(all);
        }
    }
}
