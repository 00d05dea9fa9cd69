//! The CA certificates that upstreams are checked against.

use super::ProxyError;
use crate::http_client::Trust;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::io::Write;
use tempfile::NamedTempFile;

/// A file of those certificates alone that can be used: pingora reads a file, and panics over a single one that cannot. Without
/// any certificate no upstream's TLS succeeds.
pub(super) fn bundle(trust: &Trust) -> Result<NamedTempFile, ProxyError> {
    let found = found(trust)?;
    let usable = found.iter().filter(|certificate| RootCertStore::empty().add((*certificate).clone()).is_ok());
    let text: String = usable.map(|certificate| pem(certificate)).collect();
    if text.is_empty() {
        tracing::warn!("there are no CA certificates: no https upstream can be reached; install them or set `egress.ca_file`");
    }
    let mut file = NamedTempFile::new().map_err(ProxyError::Bundle)?;
    file.write_all(text.as_bytes()).map_err(ProxyError::Bundle)?;
    Ok(file)
}

fn found(trust: &Trust) -> Result<Vec<CertificateDer<'static>>, ProxyError> {
    match trust {
        Trust::System => Ok(rustls_native_certs::load_native_certs().certs),
        Trust::File(path) => {
            let wrong = |source| ProxyError::CaFile { path: path.clone(), source };
            CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)
        }
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(certificate))
}
