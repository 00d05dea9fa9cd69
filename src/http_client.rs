//! The one outgoing client, for token endpoints, lookups and key sets.
//!
//! Every call has 15 s in all, 10 s of them to connect, and reads at most 64 KiB; redirects are not followed,
//! the environment's proxies are not asked, and the connection goes to an address
//! that [`Egress`] allowed. Connections are not kept: a request on a connection that
//! the other side had just closed would leave open whether it was read.
//!
//! **Invariant: one call is sent at most once.** Nothing here repeats a request.

use crate::egress::{Egress, EgressDenied, ResolveError};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use scopegate_core::oauth::Call;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Url;

const TIME: Duration = Duration::from_secs(15);
/// Less than all, so that a connection that does not come about is told from an answer that got lost.
const CONNECTING: Duration = Duration::from_secs(10);
const MOST: usize = 64 * 1024;

/// The client; cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    egress: Egress,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trust {
    /// Those of the system's CA bundle.
    System,
    /// Those of a PEM file, and no others.
    File(PathBuf),
}

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The CA file cannot be read, or is not PEM.
    #[error("the CA file {} cannot be read", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The CA file holds no certificate that can be used.
    #[error("the CA file {} holds no usable certificate", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The TLS library refuses.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP library refuses.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Why no answer came. Never repeats what was sent.
#[derive(Debug, Error)]
pub enum CallError {
    /// The address is none, or may not be called.
    #[error("the address may not be called")]
    Denied(#[source] EgressDenied),
    /// No request: it cannot be written.
    #[error("the request cannot be written")]
    Unwritable,
    /// No connection; nothing was sent.
    #[error("no connection")]
    Unconnected(#[source] reqwest::Error),
    /// The answer did not come, or not whole; the request may have been carried out.
    #[error("no whole answer")]
    Lost(#[source] reqwest::Error),
    /// The answer was cut off at 64 KiB; the request may have been carried out.
    #[error("the answer is larger than {MOST} bytes")]
    TooLarge,
}

/// A whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, of at most 64 KiB.
    pub body: Bytes,
}

impl HttpClient {
    /// Reads the certificates.
    /// # Errors
    /// The file cannot be used. A system without certificates is no error: then no https call succeeds.
    pub fn new(egress: Egress, trust: &Trust) -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ClientError::Tls)?
            .with_root_certificates(roots(trust)?)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(Guarded(egress.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECTING)
            .timeout(TIME)
            .user_agent(concat!("scopegate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Client)?;
        Ok(Self { client, egress })
    }

    /// The rules that its calls obey.
    #[must_use]
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// Posts once and reads the whole answer. Dropping the future closes the connection; the request may have been carried out.
    /// # Errors
    /// Only `Denied`, `Unwritable` and `Unconnected` are sure that nothing was sent.
    pub async fn post(&self, call: &Call) -> Result<HttpAnswer, CallError> {
        self.egress.judge_origin(&call.url).map_err(CallError::Denied)?;
        let mut request = self.client.post(call.url.clone()).body(call.body.to_string());
        for (name, value) in &call.headers {
            request = request.header(*name, secret(value)?);
        }
        self.send(request).await
    }

    /// Gets once and reads the whole answer. `headers` are names in lower case and values, which may be secret.
    /// # Errors
    /// As [`HttpClient::post`].
    pub async fn get(&self, url: &Url, headers: &[(&str, &str)]) -> Result<HttpAnswer, CallError> {
        self.egress.judge_origin(url).map_err(CallError::Denied)?;
        let mut request = self.client.get(url.clone());
        for (name, value) in headers {
            request = request.header(*name, secret(value)?);
        }
        self.send(request).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<HttpAnswer, CallError> {
        whole(request.header(header::ACCEPT, "application/json").send().await.map_err(told_apart)?).await
    }
}

fn secret(value: &str) -> Result<HeaderValue, CallError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| CallError::Unwritable)?;
    value.set_sensitive(true);
    Ok(value)
}

async fn whole(mut answer: reqwest::Response) -> Result<HttpAnswer, CallError> {
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await.map_err(told_apart)? {
        if body.len() + piece.len() > MOST {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(HttpAnswer { status, headers, body: body.freeze() })
}

fn told_apart(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    if error.is_builder() {
        CallError::Unwritable
    } else if error.is_connect() {
        CallError::Unconnected(error)
    } else {
        CallError::Lost(error)
    }
}

/// How many certificates are trusted.
/// # Errors
/// The file cannot be used.
pub fn trusted(trust: &Trust) -> Result<usize, ClientError> {
    roots(trust).map(|roots| roots.len())
}

fn roots(trust: &Trust) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            let (usable, unusable) = roots.add_parsable_certificates(found.certs);
            if usable == 0 {
                tracing::warn!(unusable, "the system has no CA certificates: no https call will succeed; install them or set `egress.ca_file`");
            }
        }
        Trust::File(path) => {
            let wrong = |source| ClientError::CaFile { path: path.clone(), source };
            let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
            let (usable, _) = roots.add_parsable_certificates(found);
            if usable == 0 {
                return Err(ClientError::NoCertificate { path: path.clone() });
            }
        }
    }
    Ok(roots)
}

/// Resolves by the rules of [`Egress`]. Literal addresses do not come this way: [`Egress::judge_origin`] saw them.
#[derive(Debug)]
struct Guarded(Egress);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            let found = egress.resolve(name.as_str(), 0).await.map_err(Box::<ResolveError>::from)?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scopegate_core::connector::PlainHttp;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use zeroize::Zeroizing;

    fn client(networks: &[&str], plain_http: PlainHttp) -> HttpClient {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        HttpClient::new(Egress::new(networks, plain_http), &Trust::System).unwrap()
    }

    fn open() -> HttpClient {
        client(&["127.0.0.0/8", "::1/128"], PlainHttp::Allowed)
    }

    fn call(url: &str) -> Call {
        let headers = vec![("content-type", Zeroizing::new("text/plain".to_owned()))];
        Call { url: url.parse().unwrap(), headers, body: Zeroizing::new("secret".to_owned()) }
    }

    /// A server that answers one connection with these bytes; the request that came, and its address.
    async fn answering(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/token", listener.local_addr().unwrap());
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        let came = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"secret") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            // The client may hang up in the middle.
            let _ = stream.write_all(&answer).await;
            String::from_utf8(request).unwrap()
        });
        (address, came)
    }

    #[tokio::test]
    async fn an_answer_comes_whole_whatever_its_status_and_redirects_are_answers() {
        for (head, status) in [("200 OK", 200), ("503 No", 503), ("307 Elsewhere\r\nlocation: http://127.0.0.1:1/", 307)] {
            let (address, came) = answering(format!("HTTP/1.1 {head}\r\ncontent-length: 2\r\n\r\n{{}}").into_bytes()).await;
            let answer = open().post(&call(&address)).await.unwrap();
            assert_eq!((answer.status, answer.body.as_ref()), (status, &b"{}"[..]), "{head}");
            let request = came.await.unwrap();
            assert!(request.starts_with("POST /token HTTP/1.1\r\n") && request.contains("accept: application/json\r\n"), "{request}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_or_breaks_off_is_told_from_what_was_never_sent() {
        let chunked =
            |size: usize| [format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n").into_bytes(), vec![b'a'; size]].concat();
        let (address, _came) = answering(chunked(MOST + 1)).await;
        assert!(matches!(open().post(&call(&address)).await, Err(CallError::TooLarge)));
        for torn in [chunked(10), b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec(), b"HTTP/1.1 2".to_vec(), Vec::new()] {
            let (address, _came) = answering(torn).await;
            assert!(matches!(open().post(&call(&address)).await, Err(CallError::Lost(_))));
        }
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(matches!(open().post(&call(&format!("http://{unused}/"))).await, Err(CallError::Unconnected(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_in_drops_has_fifteen_seconds_in_all() {
        for (drops, whole) in [(12, true), (40, false)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = format!("http://{}/token", listener.local_addr().unwrap());
            #[expect(clippy::disallowed_methods, reason = "a test's own server")]
            let dripping = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"secret") {
                    assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
                }
                let mut written = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {drops}\r\n\r\n").as_bytes()).await;
                for _ in 0..drops {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    // The client has hung up when its time is over.
                    written = written.and(stream.write_all(b"a").await);
                }
                written.is_ok()
            });
            match open().post(&call(&address)).await {
                Ok(answer) => assert_eq!((answer.body.len(), whole), (drops, true)),
                Err(error) => assert!(!whole && matches!(error, CallError::Lost(_)), "{drops}: {error}"),
            }
            assert_eq!(dripping.await.unwrap(), whole);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_come_about_in_time_is_told_from_an_answer_that_got_lost() {
        // It takes connections, and never says a word of TLS.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let result = open().post(&call(&format!("https://{}/token", listener.local_addr().unwrap()))).await;
        assert!(matches!(result, Err(CallError::Unconnected(_))), "{result:?}");
    }

    #[tokio::test]
    async fn forbidden_destinations_are_not_called_by_whatever_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for url in [format!("http://127.0.0.1:{port}/"), format!("http://127.1:{port}/"), format!("http://[::ffff:127.0.0.1]:{port}/")] {
            assert!(matches!(client(&[], PlainHttp::Allowed).post(&call(&url)).await, Err(CallError::Denied(EgressDenied::Address { .. }))), "{url}");
        }
        let by_name = client(&[], PlainHttp::Allowed).post(&call(&format!("http://localhost:{port}/"))).await;
        assert!(matches!(by_name, Err(CallError::Unconnected(_))), "{by_name:?}");
        let plain = client(&["127.0.0.0/8"], PlainHttp::Refused).post(&call(&format!("http://127.0.0.1:{port}/"))).await;
        assert!(matches!(plain, Err(CallError::Denied(EgressDenied::Scheme))), "{plain:?}");
        let (address, came) = answering(b"HTTP/1.1 204 Fine\r\n\r\n".to_vec()).await;
        assert_eq!(open().post(&call(&address.replace("127.0.0.1", "localhost"))).await.unwrap().status, 204);
        came.await.unwrap();
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let made = |path: &std::path::Path| HttpClient::new(Egress::new(vec![], PlainHttp::Refused), &Trust::File(path.into())).unwrap_err();
        assert!(matches!(made(&file), ClientError::CaFile { .. }));
        std::fs::write(&file, "no certificate").unwrap();
        assert!(matches!(made(&file), ClientError::NoCertificate { .. }));
    }

    #[tokio::test]
    async fn no_error_tells_what_was_sent() {
        let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = open().post(&call(&format!("http://{unused}/?code=secret"))).await.unwrap_err();
        let mut told = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            told.push_str(&format!("{cause} {cause:?}"));
            source = cause.source();
        }
        assert!(!told.contains("secret"), "{told}");
    }
}
