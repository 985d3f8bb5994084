//! When a certificate is renewed: CNPG's defaults, 90 days of life, renewed in the last 7.

use std::time::Duration;

use jiff::Timestamp;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::X509Certificate;

use crate::authority::PkiError;

/// How long a new certificate lives (CNPG: `CERTIFICATE_DURATION`, 90 days).
pub const LIFETIME: Duration = Duration::from_secs(90 * 86_400);
/// How long before its end it is replaced (CNPG: `EXPIRING_CHECK_THRESHOLD`, 7 days).
pub const RENEW_BEFORE: Duration = Duration::from_secs(7 * 86_400);

/// From when until when a certificate may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// `notBefore`.
    pub not_before: Timestamp,
    /// `notAfter`.
    pub not_after: Timestamp,
}

impl Validity {
    /// Of the first certificate in a PEM text.
    pub fn of_pem(pem: &str) -> Result<Self, PkiError> {
        with_certificate(pem, |certificate| {
            let validity = certificate.validity();
            Ok(Self {
                not_before: timestamp(validity.not_before.timestamp())?,
                not_after: timestamp(validity.not_after.timestamp())?,
            })
        })
    }
}

/// Whether a certificate that ends at `not_after` is to be replaced now.
#[must_use]
pub fn renewal_due(not_after: Timestamp, now: Timestamp) -> bool {
    let left = not_after.as_second().saturating_sub(now.as_second());
    !u64::try_from(left).is_ok_and(|left| left > RENEW_BEFORE.as_secs())
}

/// The subject's public key of the first certificate in a PEM text, as DER.
pub(crate) fn public_key(pem: &str) -> Result<Vec<u8>, PkiError> {
    with_certificate(pem, |certificate| Ok(certificate.public_key().raw.to_vec()))
}

fn with_certificate<T>(
    pem: &str,
    read: impl FnOnce(&X509Certificate<'_>) -> Result<T, PkiError>,
) -> Result<T, PkiError> {
    let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|error| PkiError::ReadCertificate(error.to_string()))?;
    let certificate = block.parse_x509().map_err(|error| PkiError::ReadCertificate(error.to_string()))?;
    read(&certificate)
}

fn timestamp(seconds: i64) -> Result<Timestamp, PkiError> {
    Timestamp::from_second(seconds).map_err(|error| PkiError::ReadCertificate(error.to_string()))
}
