//! An upstream that is told, request by request, what to do.

use crate::scripted;
use scopegate::tasks::Tasks;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What it does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    /// Answers 200; so it does where it was told nothing.
    Answers,
    /// Waits for `release`, and then answers 200.
    Holds,
    /// Answers 401.
    Refuses,
    /// Ends the connection without a word.
    HangsUp,
}

/// A request that came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Came {
    /// The other end of the connection that it came on.
    pub(crate) peer: SocketAddr,
    pub(crate) line: String,
    pub(crate) host: String,
    pub(crate) token: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Moody {
    pub(crate) address: SocketAddr,
    acts: Arc<Mutex<VecDeque<Act>>>,
    came: watch::Sender<Vec<Came>>,
    release: watch::Sender<bool>,
    tasks: Tasks,
}

impl Moody {
    /// Listens at `address`, on any port that is free.
    pub(crate) async fn start(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let tasks = Tasks::new(Handle::current());
        let moody = Self {
            address: listener.local_addr().unwrap(),
            acts: Arc::default(),
            came: watch::Sender::default(),
            release: watch::Sender::new(false),
            tasks,
        };
        let (spawner, end) = (moody.tasks.clone(), moody.tasks.token());
        let (acts, came, release) = (Arc::clone(&moody.acts), moody.came.clone(), moody.release.subscribe());
        moody.tasks.spawn("moody", async move {
            while let Some(Ok((stream, _))) = end.run_until_cancelled(listener.accept()).await {
                let served = serve(stream, Arc::clone(&acts), came.clone(), release.clone());
                spawner.spawn("moody connection", end.clone().run_until_cancelled_owned(served));
            }
        });
        moody
    }

    /// What it does with the next requests.
    pub(crate) fn will(&self, acts: &[Act]) {
        self.release.send_replace(false);
        *self.acts.lock().unwrap() = acts.iter().copied().collect();
    }

    /// Takes what came so far.
    pub(crate) fn take(&self) -> Vec<Came> {
        self.came.send_replace(Vec::new())
    }

    /// Waits until so many requests are here.
    pub(crate) async fn until(&self, requests: usize) {
        self.came.subscribe().wait_for(|came| came.len() >= requests).await.unwrap();
    }

    /// Lets those go on who hold.
    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

async fn serve(
    mut stream: TcpStream,
    acts: Arc<Mutex<VecDeque<Act>>>,
    came: watch::Sender<Vec<Came>>,
    mut release: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let (mut bytes, peer) = (Vec::new(), stream.peer_addr()?);
    while let Some((line, end)) = scripted::request(&mut stream, &mut bytes).await? {
        let request: Vec<u8> = bytes.drain(..end).collect();
        let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let text = String::from_utf8_lossy(&request[..head]).into_owned();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.to_lowercase().starts_with(name));
            line.and_then(|line| line.rsplit(": ").next()).unwrap_or_default().trim_start_matches("Bearer ").to_owned()
        };
        let request = Came { peer, line, host: value("host: "), token: value("authorization: "), body: request[head + 4..].to_vec() };
        let act = acts.lock().unwrap().pop_front().unwrap_or(Act::Answers);
        came.send_modify(|came| came.push(request));
        let answer: &[u8] = match act {
            Act::HangsUp => return Ok(()),
            Act::Refuses => b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
            Act::Answers => b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            Act::Holds => {
                // Nobody releases any more where the upstream is gone.
                let _ = release.wait_for(|released| *released).await;
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            }
        };
        stream.write_all(answer).await?;
    }
    Ok(())
}
