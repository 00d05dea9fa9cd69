//! What a listener shows over TLS, and which clients it asks for; and how our own verbs recognise it.

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError as CertificateRejection, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// HTTP/2, else HTTP/1.1 (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", HTTP1];
const HTTP1: &[u8] = b"http/1.1";

/// Where a listener's certificates are. All files are PEM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    /// The chain, own certificate first.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Who signs the certificates that every client must show; none where clients show none.
    pub client_ca_file: Option<PathBuf>,
}

/// Certificates that can be used.
#[derive(Debug)]
pub struct Certificates {
    files: CertificateFiles,
    config: ArcSwap<ServerConfig>,
}

/// Certificates that cannot.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read, or is not PEM.
    #[error("{} holds no {holds}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was looked for in it.
        holds: &'static str,
        /// What is wrong.
        #[source]
        source: pem::Error,
    },
    /// A chain of no certificates.
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// Chain and key do not belong together, or the key is of a kind that is not used.
    #[error("the key in {} does not serve the certificate in {}", key_file.display(), cert_file.display())]
    Mismatch {
        /// The chain.
        cert_file: PathBuf,
        /// The key.
        key_file: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<rustls::Error>,
    },
    /// An authority that no client's certificate can be checked against.
    #[error("{} holds no authority that client certificates can be checked against", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: VerifierBuilderError,
    },
}

impl Certificates {
    /// Reads `files`.
    /// # Errors
    /// What is wrong with which of them.
    pub fn read(files: CertificateFiles) -> Result<Self, CertificateError> {
        let config = ArcSwap::from_pointee(config(&files)?);
        Ok(Self { files, config })
    }

    /// Reads the files again, for connections from now on.
    /// # Errors
    /// What is wrong with which of them; what was in use stays so.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.config.store(Arc::new(config(&self.files)?));
        Ok(())
    }

    /// What a handshake needs, for connections that may speak HTTP/2.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// The same, for connections that speak HTTP/1.1 alone.
    #[must_use]
    pub fn current_http1(&self) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.config.load());
        config.alpn_protocols = vec![HTTP1.to_vec()];
        Arc::new(config)
    }
}

/// A client that takes one certificate and no other, whatever its names: the one in `cert_file`, which the server at the other end shows.
/// # Errors
/// The file cannot be used.
pub fn recognising(cert_file: &Path) -> Result<ClientConfig, CertificateError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let shown = certificates(cert_file)?.into_iter().next().ok_or_else(|| CertificateError::NoCertificate(cert_file.to_owned()))?;
    let unusable = |source| CertificateError::Mismatch { cert_file: cert_file.to_owned(), key_file: cert_file.to_owned(), source: Box::new(source) };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(unusable)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Recognises { shown, provider })).with_no_client_auth())
}

/// Takes the very certificate that stands in our own file; the handshake proves that the other end has its key.
#[derive(Debug)]
struct Recognises {
    shown: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Recognises {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *end_entity == self.shown {
            return Ok(ServerCertVerified::assertion());
        }
        Err(rustls::Error::InvalidCertificate(CertificateRejection::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn config(files: &CertificateFiles) -> Result<ServerConfig, CertificateError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(&files.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file).map_err(|source| CertificateError::File {
        path: files.key_file.clone(),
        holds: "private key",
        source,
    })?;
    let mismatch = |source: rustls::Error| CertificateError::Mismatch {
        cert_file: files.cert_file.clone(),
        key_file: files.key_file.clone(),
        source: Box::new(source),
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().map_err(mismatch)?;
    let builder = match &files.client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|source| CertificateError::Authority { path: path.clone(), source })?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(mismatch)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let wrong = |source| CertificateError::File { path: path.to_owned(), holds: "certificate", source };
    let found = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() { Err(CertificateError::NoCertificate(path.to_owned())) } else { Ok(found) }
}
