//! TLS settings for rustls: a server that may ask for client certificates, a client with `verify-ca`.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// PEM texts that do not make a TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate is damaged, or there is none.
    #[error("failed to read a certificate from PEM")]
    Certificate,
    /// The key is damaged. Its text is never shown.
    #[error("failed to read a private key from PEM")]
    Key,
    /// The pieces do not fit together.
    #[error("failed to set up TLS")]
    Setup(#[source] rustls::Error),
    /// The authority for client certificates cannot be used.
    #[error("failed to set up the check of client certificates")]
    ClientCheck(#[source] rustls::server::VerifierBuilderError),
}

/// A certificate chain and its key, as PEM.
#[derive(Clone, Copy)]
pub struct ClientIdentity<'a> {
    /// `tls.crt`.
    pub certificate_pem: &'a str,
    /// `tls.key`.
    pub key_pem: &'a str,
}

/// A server on TLS 1.3. With `client_ca_pem` a client *may* show a certificate, which is then checked; who
/// needs one looks at the connection's peer certificates. Without, none is asked for.
pub fn server_config(identity: ClientIdentity<'_>, client_ca_pem: Option<&str>) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?;
    let builder = match client_ca_pem {
        None => builder.with_no_client_auth(),
        Some(pem) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pem)?), provider)
                .allow_unauthenticated()
                .build()
                .map_err(TlsError::ClientCheck)?,
        ),
    };
    builder.with_single_cert(certificates(identity.certificate_pem)?, key(identity.key_pem)?).map_err(TlsError::Setup)
}

/// A client on TLS 1.3 that believes who is signed by `ca_pem`, whatever host name it was dialled by: as
/// libpq's `sslmode=verify-ca`, since pods are reached by IP address. Shows `identity` where asked.
pub fn client_config(ca_pem: &str, identity: Option<ClientIdentity<'_>>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(VerifyCa { roots: roots(ca_pem)?, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => builder
            .with_client_auth_cert(certificates(identity.certificate_pem)?, key(identity.key_pem)?)
            .map_err(TlsError::Setup),
    }
}

/// The chain is checked, and the server's possession of its key; the host name is not.
#[derive(Debug)]
struct VerifyCa {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for VerifyCa {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

pub(crate) fn roots(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(TlsError::Setup)?;
    }
    Ok(store)
}

pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    all.ok().filter(|list| !list.is_empty()).ok_or(TlsError::Certificate)
}

pub(crate) fn key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::Key)
}
