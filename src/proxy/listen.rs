//! The accept loop, and how it ends.

use super::connection::{self, Shared};
use super::door::Door;
use super::pool::Pool;
use super::rarely::Rarely;
use super::tap::PREFACE;
use super::together::Together;
use super::wire::{Rewound, Wire};
use super::{Patience, ProxyError, multiplex, trust};
use crate::certificates::Certificates;
use crate::gateway::{Arrival, Gateway};
use crate::http_client::Trust;
use crate::limits::{Guests, Seat};
use crate::tasks::Tasks;
use bytes::{Bytes, BytesMut};
use scopegate_core::request::HeadLimits;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait in the system's queue until they are accepted.
const BACKLOG: u32 = 1024;
/// How long to wait when the system has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);
/// Idle connections to upstreams that are kept, by thread.
const POOL: usize = 512;

/// An address that is bound, and not served yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// What clients of an address speak.
#[derive(Clone, Debug)]
pub enum Speaks {
    /// HTTP/1.
    Plain,
    /// HTTP/1, or HTTP/2 with prior knowledge (RFC 9113, section 3.3).
    PriorKnowledge,
    /// HTTP/1.1 or HTTP/2 over TLS, as ALPN says.
    Tls(Arc<Certificates>),
}

impl Speaks {
    /// What is shown, where TLS is spoken.
    #[must_use]
    pub fn certificates(&self) -> Option<Arc<Certificates>> {
        match self {
            Self::Tls(certificates) => Some(Arc::clone(certificates)),
            Self::Plain | Self::PriorKnowledge => None,
        }
    }
}

/// An address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    /// Which.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

impl Listener {
    /// Binds `address`; port 0 takes any that is free.
    /// # Errors
    /// The address is taken, or not ours.
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bound = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // without this, a restart must wait for connections of the process before
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            let socket = socket.listen(BACKLOG)?;
            let address = socket.local_addr()?;
            Ok(Self { socket, address })
        };
        bound().map_err(|source| BindError { address, source })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The proxy: one for all listeners.
pub struct Proxy {
    shared: Arc<Shared>,
    tasks: Tasks,
    guests: Arc<Guests>,
    connections: TaskTracker,
    closing: watch::Sender<bool>,
    /// Cancelled when nobody new is let in.
    door_shuts: CancellationToken,
    /// Cancelled when connections are cut.
    cut: CancellationToken,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Drained {
    /// Every request in flight ended whole.
    Whole,
    /// So many connections were still busy when the grace was over, and were cut.
    Cut(usize),
}

impl Proxy {
    /// Makes a proxy for so many `connections` at once, over all listeners; upstreams must show it certificates of `trust`.
    /// # Errors
    /// [`ProxyError`]: the certificates cannot be used.
    pub fn new(gateway: Arc<Gateway>, trust: &Trust, patience: Patience, connections: usize, tasks: Tasks) -> Result<Self, ProxyError> {
        let bundle = trust::bundle(trust)?;
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        // reads the bundle, which may go then
        let pool = Pool::new(bundle.path(), POOL * threads, &tasks);
        let (closing, watched) = watch::channel(false);
        let door_shuts = CancellationToken::new();
        let heads = HeadLimits { bytes: gateway.header_bytes(), ..HeadLimits::STANDARD };
        let together = Together::new(tasks.runtime());
        let shared = Shared { gateway, pool, together, heads, patience, tasks: tasks.clone(), closing: watched, idle_ends: door_shuts.clone() };
        Ok(Self {
            shared: Arc::new(shared),
            tasks,
            guests: Guests::new(connections),
            connections: TaskTracker::new(),
            closing,
            door_shuts,
            cut: CancellationToken::new(),
        })
    }

    /// Serves clients of `listener`, who speak what `speaks` says, until [`drain`](Self::drain).
    pub fn open(self: &Arc<Self>, listener: Listener, speaks: Speaks) {
        let proxy = Arc::clone(self);
        self.tasks.spawn("gateway listener", async move {
            tokio::select! {
                () = proxy.door_shuts.cancelled() => {}
                () = proxy.accept(&listener.socket, &speaks) => {}
            }
        });
    }

    /// Lets nobody new in, ends idle connections, and waits as long as `grace` for requests in flight; then cuts them.
    pub async fn drain(&self, grace: Duration) -> Drained {
        self.closing.send_replace(true);
        self.door_shuts.cancel();
        self.connections.close();
        if tokio::time::timeout(grace, self.connections.wait()).await.is_ok() {
            return Drained::Whole;
        }
        let left = self.connections.len();
        self.cut.cancel();
        self.connections.wait().await;
        Drained::Cut(left)
    }

    async fn accept(&self, socket: &TcpListener, speaks: &Speaks) {
        loop {
            match socket.accept().await {
                Ok((stream, peer)) => {
                    let Some(seat) = self.guests.seat().await else { return };
                    self.greet(stream, peer, seat, speaks.clone());
                }
                // a client that left in the queue is nobody's trouble; a system out of descriptors needs a moment, and fewer guests
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    self.guests.make_room();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Begins with one client, who holds its seat until its end.
    fn greet(&self, stream: TcpStream, peer: SocketAddr, seat: Seat, speaks: Speaks) {
        let Ok(local) = stream.local_addr() else { return };
        // an answer's head and body go out one after the other: neither must wait for the other's acknowledgement
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let (shared, cut) = (Arc::clone(&self.shared), self.cut.clone());
        let here = self.shared.gateway.connection();
        let served = self.connections.track_future(async move {
            let _here = here;
            let cut = Rarely::new(Box::pin(cut.cancelled_owned()));
            tokio::select! {
                biased;
                () = serve(stream, speaks, Arrival { peer, local }, seat, shared) => {}
                () = cut => {}
            }
        });
        self.tasks.spawn("gateway connection", served);
    }
}

/// Serves one client in the protocol that it chooses.
async fn serve(stream: TcpStream, speaks: Speaks, arrival: Arrival, seat: Seat, shared: Arc<Shared>) {
    let Some((chosen, wire)) = ({
        tokio::select! {
            biased;
            met = meet(stream, speaks, &shared.patience, &shared.idle_ends) => met,
            () = seat.asked_to_leave() => None,
        }
    }) else {
        return;
    };
    match chosen {
        Chosen::Http1 => {
            let mut door = Door::new(wire.wire, shared.patience.body);
            door.came().extend_from_slice(&wire.first);
            connection::serve(door, arrival, seat, shared).await;
        }
        Chosen::Http2 => multiplex::serve(wire, arrival, seat, shared).await,
    }
}

/// What is said before the first request, up to the choice of a protocol. None: the client is not worth waiting for.
async fn meet(stream: TcpStream, speaks: Speaks, patience: &Patience, idle_ends: &CancellationToken) -> Option<(Chosen, Rewound)> {
    match speaks {
        Speaks::Plain => Some((Chosen::Http1, Rewound { first: Bytes::new(), wire: Wire::Plain(stream) })),
        Speaks::PriorKnowledge => {
            let mut wire = Wire::Plain(stream);
            let (chosen, first) = chosen(&mut wire, patience, idle_ends).await?;
            Some((chosen, Rewound { first, wire }))
        }
        Speaks::Tls(certificates) => {
            let accepting = TlsAcceptor::from(certificates.current()).accept(stream);
            // who fails at this has said nothing that could be answered
            let stream = timeout(patience.head, accepting).await.ok()?.ok()?;
            let chosen = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { Chosen::Http2 } else { Chosen::Http1 };
            Some((chosen, Rewound { first: Bytes::new(), wire: Wire::Tls(Box::new(stream)) }))
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Chosen {
    Http1,
    Http2,
}

/// Which protocol a client with a choice speaks, and what was read to find out; none where it says nothing, or takes too long to say it.
async fn chosen(wire: &mut Wire, patience: &Patience, idle_ends: &CancellationToken) -> Option<(Chosen, Bytes)> {
    let mut first = BytesMut::new();
    let read = tokio::select! {
        read = timeout(patience.idle, wire.read_buf(&mut first)) => read,
        () = idle_ends.cancelled() => return None,
    };
    if !matches!(read, Ok(Ok(1..))) {
        return None;
    }
    timeout(patience.head, told_apart(wire, first)).await.ok()?
}

/// Reads on until the bytes can be nothing but one of the two.
async fn told_apart(wire: &mut Wire, mut first: BytesMut) -> Option<(Chosen, Bytes)> {
    loop {
        match first.get(..PREFACE.len()) {
            Some(PREFACE) => return Some((Chosen::Http2, first.freeze())),
            None if PREFACE.starts_with(&first) => {}
            Some(_) | None => return Some((Chosen::Http1, first.freeze())),
        }
        if !matches!(wire.read_buf(&mut first).await, Ok(1..)) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::CertificateFiles;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use std::net::Ipv4Addr;
    use tokio::io::AsyncWriteExt;
    use tokio::time::sleep;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    fn tls() -> Speaks {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles { cert_file: folder.path().join("cert"), key_file: folder.path().join("key"), client_ca_file: None };
        std::fs::write(&files.cert_file, cert.pem()).unwrap();
        std::fs::write(&files.key_file, signing_key.serialize_pem()).unwrap();
        Speaks::Tls(Arc::new(Certificates::read(files).unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_say_what_it_speaks_is_not_waited_for() {
        // silence may last as long as between requests; what has begun, a handshake too, has the time of a head
        for (speaks, sent, seconds) in
            [(tls(), "", 10), (tls(), "\x16\x03\x01", 10), (Speaks::PriorKnowledge, "", 60), (Speaks::PriorKnowledge, "PRI *", 10)]
        {
            let (mut client, ours) = pair().await;
            client.write_all(sent.as_bytes()).await.unwrap();
            if !sent.is_empty() {
                ours.readable().await.unwrap();
            }
            let ends = CancellationToken::new();
            let meets = meet(ours, speaks, &Patience::STANDARD, &ends);
            tokio::pin!(meets);
            let before = Duration::from_secs(seconds) - Duration::from_millis(50);
            assert!(timeout(before, &mut meets).await.is_err(), "{sent:?} is waited for");
            assert!(timeout(Duration::from_millis(100), &mut meets).await.unwrap().is_none(), "{sent:?} is not waited for any longer");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_preface_that_drips_has_ten_seconds_in_all() {
        let (mut client, ours) = pair().await;
        let (first, rest) = PREFACE.split_at(1);
        client.write_all(first).await.unwrap();
        ours.readable().await.unwrap();
        let drips = async {
            for byte in rest {
                sleep(Duration::from_secs(1)).await;
                // it may have been given up on
                let _ = client.write_all(&[*byte]).await;
            }
        };
        let ends = CancellationToken::new();
        tokio::select! {
            biased;
            met = meet(ours, Speaks::PriorKnowledge, &Patience::STANDARD, &ends) => assert!(met.is_none()),
            () = drips => panic!("it was waited for"),
        }
    }
}
