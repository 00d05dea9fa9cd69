//! Upstreams that a test writes itself: a function for each connection, or for each stream.

use crate::certified::{self, Signed};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::Request;
use scopegate::tasks::Tasks;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::server::TlsStream;

/// How much of a body may come ahead over HTTP/2.
pub(crate) const WINDOW: u32 = 16 * 1024;

/// Does what it is told with all that comes.
pub(crate) struct Actor {
    pub(crate) address: SocketAddr,
    tasks: Tasks,
}

impl Actor {
    /// Over HTTP/1: `act` gets each connection with the head of its first request; nothing behind that was read.
    pub(crate) async fn http1<D: Future<Output = io::Result<()>> + Send + 'static>(
        act: impl Fn(TcpStream, String) -> D + Clone + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |mut stream, _| {
            let act = act.clone();
            async move {
                let head = head(&mut stream).await?;
                act(stream, head).await
            }
        })
        .await
    }

    /// The same over TLS.
    pub(crate) async fn secure_http1<D: Future<Output = io::Result<()>> + Send + 'static>(
        signed: &Signed,
        act: impl Fn(TlsStream<TcpStream>, String) -> D + Clone + Send + Sync + 'static,
    ) -> Self {
        let acceptor = certified::server(signed, &["http/1.1"]);
        Self::start(move |stream, _| {
            let (act, acceptor) = (act.clone(), acceptor.clone());
            async move {
                let mut stream = acceptor.accept(stream).await?;
                let head = head(&mut stream).await?;
                act(stream, head).await
            }
        })
        .await
    }

    /// Over HTTP/2 and TLS: `act` gets each stream.
    pub(crate) async fn http2<D: Future<Output = ()> + Send + 'static>(
        signed: &Signed,
        act: impl Fn(Request<RecvStream>, SendResponse<Bytes>) -> D + Clone + Send + Sync + 'static,
    ) -> Self {
        let acceptor = certified::server(signed, &["h2"]);
        Self::start(move |stream, tasks| {
            let (act, acceptor) = (act.clone(), acceptor.clone());
            async move {
                stream.set_nodelay(true)?;
                let met = h2::server::Builder::new().initial_window_size(WINDOW).handshake(acceptor.accept(stream).await?).await;
                let Ok(mut connection) = met else { return Ok(()) };
                while let Some(Ok((request, answer))) = connection.accept().await {
                    tasks.spawn("act", tasks.token().run_until_cancelled_owned(act(request, answer)));
                }
                Ok(())
            }
        })
        .await
    }

    async fn start<D: Future<Output = io::Result<()>> + Send + 'static>(serve: impl Fn(TcpStream, Tasks) -> D + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, tasks) = (listener.local_addr().unwrap(), Tasks::new(Handle::current()));
        let (spawner, end) = (tasks.clone(), tasks.token());
        tasks.spawn("actor", async move {
            while let Some(Ok((stream, _))) = end.run_until_cancelled(listener.accept()).await {
                spawner.spawn("actor connection", end.clone().run_until_cancelled_owned(serve(stream, spawner.clone())));
            }
        });
        Self { address, tasks }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

/// The next head, and not a byte more.
pub(crate) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
