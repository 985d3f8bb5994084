//! When a certificate is renewed: CNPG's defaults, 90 days of life, renewed in the last 7.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509Certificate};

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

/// Whether the first certificate in `leaf_pem` was signed with the key of the first in `ca_pem`, by the identifiers
/// that both carry. A leaf without one is taken to be.
///
/// # Errors
/// [`PkiError::ReadCertificate`].
pub fn is_signed_by(leaf_pem: &str, ca_pem: &str) -> Result<bool, PkiError> {
    let named = with_certificate(leaf_pem, |leaf| {
        let mut ids = leaf.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        });
        Ok(ids.next())
    })?;
    let own = with_certificate(ca_pem, |ca| {
        let mut ids = ca.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        Ok(ids.next())
    })?;
    Ok(named.is_none() || own.is_none() || named == own)
}

/// The first certificate of a PEM text that may have several, as PEM.
///
/// # Errors
/// [`PkiError::ReadCertificate`].
pub fn first_certificate(pem: &str) -> Result<String, PkiError> {
    const END: &str = "-----END CERTIFICATE-----";
    let (first, _) = pem.split_once(END).ok_or_else(|| PkiError::ReadCertificate("no certificate".to_owned()))?;
    Ok(format!("{}{END}\n", first.trim_start()))
}

/// Every certificate of a PEM text, each as PEM in one form and once.
///
/// # Errors
/// [`PkiError::ReadCertificate`]: one of them is damaged, or there is none.
pub fn split_certificates(pem: &str) -> Result<Vec<String>, PkiError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut found: Vec<String> = Vec::new();
    for part in pem.split_inclusive(END) {
        let Some((_, body)) = part.split_once(BEGIN) else { continue };
        let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let one = format!("{BEGIN}\n{}\n", lines.join("\n"));
        Validity::of_pem(&one)?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    if found.is_empty() { Err(PkiError::ReadCertificate("no certificate".to_owned())) } else { Ok(found) }
}

/// Whether the first certificate of a PEM text is for these host names and addresses, and for no others.
///
/// # Errors
/// [`PkiError::ReadCertificate`].
pub fn is_for_names(pem: &str, names: &[String]) -> Result<bool, PkiError> {
    // An address may be written in more than one way.
    let plain = |name: &String| name.parse::<IpAddr>().map_or_else(|_| name.clone(), |address| address.to_string());
    let wanted: BTreeSet<String> = names.iter().map(plain).collect();
    with_certificate(pem, |certificate| {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for extension in certificate.extensions() {
            if let ParsedExtension::SubjectAlternativeName(all) = extension.parsed_extension() {
                known.extend(all.general_names.iter().filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some((*name).to_owned()),
                    GeneralName::IPAddress(bytes) => address(bytes),
                    _ => None,
                }));
            }
        }
        Ok(known == wanted)
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).ok().map(|bytes| IpAddr::from(bytes).to_string());
    four.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()))
}

/// The subject's common name of a certificate in DER, if it has exactly one.
#[must_use]
pub fn common_name(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().ok().map(str::to_owned),
        _ => None,
    }
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
