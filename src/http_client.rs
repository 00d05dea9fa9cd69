//! The one outgoing client, for token endpoints, lookups and key sets.
//!
//! Every call has 15 s in all and reads at most 64 KiB; redirects are not followed,
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
            let found: Vec<CertificateDer<'static>> =
                CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
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
