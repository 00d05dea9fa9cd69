//! An HTTP/2 client whose streams the test holds in its hands.

use crate::raw::Answer;
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Version};
use scopegate::tasks::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

/// One connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Http2 {
    streams: SendRequest<Bytes>,
    scheme: &'static str,
}

impl Http2 {
    /// Speaks HTTP/2 over `wire`, which is at its beginning.
    pub(crate) async fn over(wire: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, scheme: &'static str) -> Self {
        let (streams, connection) = h2::client::handshake(wire).await.unwrap();
        // its end is seen by the streams
        Tasks::new(Handle::current()).spawn("http/2 client", async move { drop(connection.await) });
        Self { streams, scheme }
    }

    pub(crate) fn request(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().method(method).version(Version::HTTP_2).uri(format!("{}://localhost{target}", self.scheme));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    /// Opens a stream.
    pub(crate) async fn open(&self, request: Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
        let mut ready = self.streams.clone().ready().await.unwrap();
        ready.send_request(request, ends).unwrap()
    }

    /// A whole request, and its whole answer; the error where the stream or the connection ended instead.
    pub(crate) async fn exchange(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, h2::Error> {
        let mut ready = self.streams.clone().ready().await?;
        let (answer, mut sending) = ready.send_request(self.request(method, target, headers), body.is_empty())?;
        if !body.is_empty() {
            // a refusal may be here already, and has ended the stream
            let _ = sending.send_data(Bytes::copy_from_slice(body), true);
        }
        let answer = answer.await?;
        let (status, headers) = (answer.status().as_u16(), named(answer.headers()));
        let (body, _) = whole(answer.into_body()).await?;
        Ok(Answer { status, headers, body })
    }
}

pub(crate) fn named(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

/// A body and its trailers.
pub(crate) async fn whole(mut body: RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok((all, body.trailers().await?))
}
