//! TLS of the status port: 1.3 only, the client certificate optional and, where there is one, verified.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// The certificates could not be used. None of these is mended by trying again with the same bytes.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text could not be read.
    #[error("failed to read {what} as PEM")]
    Pem {
        /// Which of the three.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A PEM text held no certificate.
    #[error("failed to find a certificate in {0}")]
    Empty(&'static str),
    /// The CA's certificate is unfit as a trust anchor, or key and certificate do not match.
    #[error("failed to set up TLS from {what}")]
    Unfit {
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No verifier can be made from this CA.
    #[error("failed to make a client verifier from the cluster CA")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// The status port's TLS configuration from PEM texts: the server's chain and key, and the CA that signs the
/// clients which may use the control routes. Probes come without a client certificate (the kubelet has none).
///
/// # Errors
/// [`TlsError`] says which of the three texts is unfit, and why; it never repeats their content.
pub fn server_config(chain_pem: &str, key_pem: &str, client_ca_pem: &str) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the cluster CA", client_ca_pem)? {
        roots.add(certificate).map_err(|source| TlsError::Unfit { what: "the cluster CA", source })?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(TlsError::Verifier)?;
    let chain = certificates("the server certificate", chain_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|source| TlsError::Pem { what: "the server key", source })?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|source| TlsError::Unfit { what: "TLS 1.3", source })?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Unfit { what: "the server certificate and its key", source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem { what, source })?;
    if found.is_empty() { Err(TlsError::Empty(what)) } else { Ok(found) }
}
