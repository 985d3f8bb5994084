//! Keys as CNPG and openssl write them: SEC 1 (`EC PRIVATE KEY`), where the cryptography wants PKCS #8.

use crate::authority::PkiError;
use rcgen::KeyPair;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// `INTEGER 0`, then `SEQUENCE { ecPublicKey, prime256v1 }` (RFC 5915, RFC 5958).
const P256: &[u8] = &[
    0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07,
];
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;

/// A private key from PEM, in either form. A SEC 1 key must be on P-256, as CNPG's are.
pub(crate) fn key_pair(pem: &str) -> Result<KeyPair, PkiError> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(PrivateKeyDer::Sec1(key)) => {
            let inner = element(OCTET_STRING, key.secret_sec1_der())?;
            let whole = element(SEQUENCE, &[P256, &inner].concat())?;
            KeyPair::try_from(&PrivatePkcs8KeyDer::from(whole)).map_err(PkiError::ReadKey)
        }
        _ => KeyPair::from_pem(pem).map_err(PkiError::ReadKey),
    }
}

/// One DER element; its length in the shortest form.
fn element(tag: u8, content: &[u8]) -> Result<Vec<u8>, PkiError> {
    let length = u16::try_from(content.len()).map_err(|_| PkiError::ReadKey(rcgen::Error::CouldNotParseKeyPair))?;
    let [high, low] = length.to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=0x7f) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    Ok([head, content].concat())
}
