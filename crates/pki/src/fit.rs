//! Whether a certificate that somebody brings can be used, and why not.

use crate::authority::PkiError;
use crate::rotate::Validity;
use crate::tls::{ClientIdentity, TlsError, certificates, key, roots};
use core::time::Duration;
use jiff::Timestamp;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls_pki_types::UnixTime;
use std::sync::Arc;

/// Why a certificate cannot be used. It says nothing of the key but whether it fits.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The PEM is damaged.
    #[error("failed to read it")]
    Damaged(#[from] TlsError),
    /// The certificate is damaged.
    #[error("failed to read its certificate")]
    Certificate(#[from] PkiError),
    /// The two are not a pair.
    #[error("failed to use its key, which does not fit its certificate")]
    Key(#[source] rustls::Error),
    /// Its time has not come, or is over.
    #[error("it is valid from {not_before} to {not_after}")]
    Time {
        /// From when.
        not_before: Timestamp,
        /// Until when.
        not_after: Timestamp,
    },
    /// The chain ends at nobody who is believed, or it is for another use.
    #[error("no authority that is believed has signed it for this use")]
    Stranger(#[source] rustls::Error),
    /// The authorities themselves cannot be used.
    #[error("failed to use the authorities")]
    Authorities(#[source] rustls::server::VerifierBuilderError),
    /// Postgres would take who shows it for another role.
    #[error("its common name is {found:?} where {wanted:?} is needed")]
    Name {
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
    },
}

/// Whether a server can show this to clients that believe `authorities`. Host names are not looked at.
///
/// # Errors
/// [`Unfit`].
pub fn fits_server(pair: ClientIdentity<'_>, authorities: &str, now: Timestamp) -> Result<(), Unfit> {
    let chain = pair_of(pair, now)?;
    let (Some(own), rest) = (chain.first(), chain.get(1..).unwrap_or_default()) else {
        return Err(TlsError::Certificate.into());
    };
    let parsed = ParsedCertificate::try_from(own).map_err(Unfit::Stranger)?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, &roots(authorities)?, rest, unix(now), algorithms)
        .map_err(Unfit::Stranger)
}

/// Whether a client can show this, as `common_name`, to servers that believe `authorities`.
///
/// # Errors
/// [`Unfit`].
pub fn fits_client(
    pair: ClientIdentity<'_>,
    common_name: &str,
    authorities: &str,
    now: Timestamp,
) -> Result<(), Unfit> {
    let chain = pair_of(pair, now)?;
    let (Some(own), rest) = (chain.first(), chain.get(1..).unwrap_or_default()) else {
        return Err(TlsError::Certificate.into());
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authorities)?), provider)
        .build()
        .map_err(Unfit::Authorities)?;
    verifier.verify_client_cert(own, rest, unix(now)).map_err(Unfit::Stranger)?;
    let found = crate::rotate::common_name(own).unwrap_or_default();
    let wanted = common_name.to_owned();
    if found == wanted { Ok(()) } else { Err(Unfit::Name { found, wanted }) }
}

fn pair_of(pair: ClientIdentity<'_>, now: Timestamp) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>, Unfit> {
    let chain = certificates(pair.certificate_pem)?;
    let Validity { not_before, not_after } = Validity::of_pem(pair.certificate_pem)?;
    CertifiedKey::from_der(chain.clone(), key(pair.key_pem)?, &ring::default_provider()).map_err(Unfit::Key)?;
    if now < not_before || now >= not_after {
        return Err(Unfit::Time { not_before, not_after });
    }
    Ok(chain)
}

fn unix(now: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Leaf, Usage};

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + days * DAY).unwrap()
    }

    fn pair(leaf: &Leaf) -> ClientIdentity<'_> {
        ClientIdentity { certificate_pem: &leaf.certificate_pem, key_pem: &leaf.key_pem }
    }

    #[test]
    fn what_is_brought_is_used_only_where_key_signer_time_and_name_are_right() {
        let (ours, other) = (Authority::generate("a", at(0)).unwrap(), Authority::generate("b", at(0)).unwrap());
        let server = ours.sign("s", &Usage::Server { names: vec!["s".into()] }, at(0)).unwrap();
        let client = ours.sign("streaming_replica", &Usage::Client, at(0)).unwrap();
        let (ca, both) = (ours.certificate_pem(), format!("{}{}", other.certificate_pem(), ours.certificate_pem()));
        assert!(fits_server(pair(&server), ca, at(1)).is_ok() && fits_server(pair(&server), &both, at(1)).is_ok());
        assert!(fits_client(pair(&client), "streaming_replica", ca, at(1)).is_ok());
        assert!(matches!(fits_server(pair(&server), other.certificate_pem(), at(1)), Err(Unfit::Stranger(_))));
        assert!(matches!(fits_server(pair(&client), ca, at(1)), Err(Unfit::Stranger(_))), "it is a client's");
        assert!(matches!(fits_server(pair(&server), ca, at(91)), Err(Unfit::Time { .. })));
        assert!(matches!(fits_server(pair(&server), ca, at(-1)), Err(Unfit::Time { .. })));
        let named = fits_client(pair(&server), "streaming_replica", ca, at(1));
        assert!(matches!(named, Err(Unfit::Name { ref found, .. }) if found == "s"), "{named:?}");
        let crossed = ClientIdentity { certificate_pem: &server.certificate_pem, key_pem: &client.key_pem };
        assert!(matches!(fits_server(crossed, ca, at(1)), Err(Unfit::Key(_))));
        let damaged = ClientIdentity { certificate_pem: "x", key_pem: "y" };
        assert!(matches!(fits_server(damaged, ca, at(1)), Err(Unfit::Damaged(_))));
    }
}
