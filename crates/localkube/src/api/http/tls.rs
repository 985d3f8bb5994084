//! TLS of the server: its own authority, a server certificate, and a client certificate for an administrator.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What clients and server need to trust each other.
#[derive(Clone)]
pub struct Credentials {
    /// The authority's certificate, PEM: goes into kubeconfig and `kube-root-ca.crt`.
    pub ca: String,
    /// An administrator's certificate (`system:masters`), PEM.
    pub admin_certificate: String,
    /// Its key, PEM.
    pub admin_key: String,
    /// For [`super::ApiServer::serve`]; asks for a client certificate and does without one.
    pub server: Arc<rustls::ServerConfig>,
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not retried: the directory is not usable.
    #[error("failed to read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A name that cannot stand in a certificate, or a stored key that is damaged.
    #[error("failed to make a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A stored certificate or key is damaged.
    #[error("failed to read a certificate or key")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// The library refuses what it is given.
    #[error("failed to configure TLS")]
    Rustls(#[from] rustls::Error),
    /// The authority cannot be used to check clients.
    #[error("failed to set up the check of client certificates")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The authority in `directory` (made on first use, so that kubeconfigs outlive a restart) and fresh certificates below
/// it: for the server, valid for the given names and addresses, and for an administrator. Reads and writes files.
///
/// # Errors
/// If the directory cannot be used or a name is not valid.
pub fn load_or_create(directory: &Path, names: &[String], addresses: &[IpAddr]) -> Result<Credentials, TlsError> {
    let (ca_pem, issuer) = authority(directory)?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
    params.distinguished_name.push(DnType::CommonName, "pgherd-local-api");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let (server_pem, server_key) = leaf(params, &issuer)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "pgherd-admin");
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (admin_certificate, admin_key) = leaf(params, &issuer)?;

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()?;
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(server_pem.as_bytes())?],
            PrivateKeyDer::from_pem_slice(server_key.as_bytes())?,
        )?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Credentials { ca: ca_pem, admin_certificate, admin_key, server: Arc::new(server) })
}

fn leaf(mut params: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<(String, String), TlsError> {
    let key = KeyPair::generate()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, issuer)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn authority(directory: &Path) -> Result<(String, Issuer<'static, KeyPair>), TlsError> {
    let certificate_path = directory.join("ca.crt");
    let key_path = directory.join("ca.key");
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| TlsError::File { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    if certificate_path.exists() && key_path.exists() {
        let pem = fs::read_to_string(&certificate_path).map_err(failed(&certificate_path))?;
        let key = fs::read_to_string(&key_path).map_err(failed(&key_path))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key)?)?;
        return Ok((pem, issuer));
    }
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "pgherd-local-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let pem = params.self_signed(&key)?.pem();
    write_new(&key_path, &key.serialize_pem()).map_err(failed(&key_path))?;
    write_new(&certificate_path, &pem).map_err(failed(&certificate_path))?;
    Ok((pem, Issuer::new(params, key)))
}

/// Writes a file for the owner's eyes, crash-safe.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}
