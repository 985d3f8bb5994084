//! Leaves: a server's certificate with the names it is reached by, a client's with the role it is.

use jiff::Timestamp;
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};

use crate::authority::{Authority, PkiError, bounds, named};

/// What a leaf is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Serves under these host names and IP addresses; also dials, since replication goes both ways.
    Server {
        /// DNS names, and IP addresses in text form.
        names: Vec<String>,
    },
    /// Dials; postgres takes the common name as the role (`cert` in pg_hba.conf).
    Client,
}

/// A signed certificate and its key: `tls.crt` and `tls.key`.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// `tls.crt`.
    pub certificate_pem: String,
    /// `tls.key`: PKCS #8. A secret.
    pub key_pem: String,
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaf").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a key and signs a leaf for it, valid for [`crate::LIFETIME`] from `now`.
    pub fn sign(&self, common_name: &str, usage: &Usage, now: Timestamp) -> Result<Leaf, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::Key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(common_name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = bounds(now)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if let Usage::Server { names } = usage {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
            params.subject_alt_names = names.iter().map(|name| subject_name(name)).collect::<Result<_, _>>()?;
        }
        let signed =
            params.signed_by(&key, &self.issuer).map_err(|error| PkiError::Sign(common_name.to_owned(), error))?;
        Ok(Leaf { certificate_pem: signed.pem(), key_pem: key.serialize_pem() })
    }
}

fn subject_name(name: &str) -> Result<SanType, PkiError> {
    match name.parse() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => {
            name.try_into().map(SanType::DnsName).map_err(|error: rcgen::Error| PkiError::Name(name.to_owned(), error))
        }
    }
}
