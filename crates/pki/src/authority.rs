//! The authority: one self-signed certificate per cluster, made once, or given by the user.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};

use crate::rotate::{LIFETIME, Validity};

/// A key or certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// Making a key failed.
    #[error("failed to make a key")]
    Key(#[source] rcgen::Error),
    /// Signing failed.
    #[error("failed to sign the certificate of {0:?}")]
    Sign(String, #[source] rcgen::Error),
    /// A PEM key is damaged or of a kind that is not supported (PKCS #8 is, and SEC 1 on P-256).
    #[error("failed to read the authority's key: expected PKCS #8, or SEC 1 on P-256, in PEM")]
    ReadKey(#[source] rcgen::Error),
    /// A PEM certificate is damaged.
    #[error("failed to read a certificate: {0}")]
    ReadCertificate(String),
    /// A name cannot stand in a certificate.
    #[error("failed to put the name {0:?} into a certificate")]
    Name(String, #[source] rcgen::Error),
    /// The certificate does not fit the key.
    #[error("failed to use the authority: its key does not belong to its certificate")]
    Mismatch,
    /// The time is outside of what a certificate can say.
    #[error("failed to put {0} into a certificate")]
    Time(Timestamp),
}

/// Signs the cluster's leaves.
pub struct Authority {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority, valid for [`LIFETIME`] from an hour before `now` (clocks differ).
    pub fn generate(common_name: &str, now: Timestamp) -> Result<Self, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = bounds(now)?;
        let certificate = params.self_signed(&key).map_err(|e| PkiError::Sign(common_name.to_owned(), e))?;
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(params, key) })
    }

    /// From the Secret's `ca.crt` and `ca.key`. Of several certificates the first is the one that signs; the others
    /// are believed as well, while one authority follows another.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let key = crate::sec1::key_pair(key_pem)?;
        let spki = crate::rotate::public_key(certificate_pem)?;
        if !spki.ends_with(key.public_key_raw()) {
            return Err(PkiError::Mismatch);
        }
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, key)
            .map_err(|error| PkiError::ReadCertificate(error.to_string()))?;
        Ok(Self { issuer, certificate_pem: certificate_pem.to_owned() })
    }

    /// `ca.crt`.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// `ca.key`: PKCS #8. A secret.
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// From when until when it may be used.
    pub fn validity(&self) -> Result<Validity, PkiError> {
        Validity::of_pem(&self.certificate_pem)
    }
}

pub(crate) fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// From an hour before `now` until [`LIFETIME`] after it.
pub(crate) fn bounds(now: Timestamp) -> Result<(time::OffsetDateTime, time::OffsetDateTime), PkiError> {
    let at = |seconds: i64| time::OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| PkiError::Time(now));
    let lifetime = i64::try_from(LIFETIME.as_secs()).map_err(|_| PkiError::Time(now))?;
    let now_seconds = now.as_second();
    Ok((at(now_seconds.saturating_sub(3600))?, at(now_seconds.saturating_add(lifetime))?))
}
