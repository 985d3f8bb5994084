//! Whether a role has a certain password already, from what postgres keeps of it (RFC 5803, `pg_authid.rolpassword`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// More than anybody sets; a verifier that asks for more is not worth the time.
const MOST_ITERATIONS: u32 = 1_000_000;

/// None where that cannot be told: another kind of verifier, or a password that would have to be normalised.
#[must_use]
pub fn is_of(password: &str, verifier: &str) -> Option<bool> {
    let (settings, keys) = verifier.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
    let (iterations, salt) = settings.split_once(':')?;
    let (stored, _) = keys.split_once(':')?;
    let iterations = iterations.parse().ok().filter(|count| *count <= MOST_ITERATIONS)?;
    if !password.is_ascii() {
        return None;
    }
    let salted = salted(password, &STANDARD.decode(salt).ok()?, iterations)?;
    let own = Sha256::digest(mac(&salted, &[b"Client Key"])?);
    Some(own.as_slice() == STANDARD.decode(stored).ok()?)
}

/// What postgres is told in place of a password.
#[must_use]
pub fn verifier(password: &str) -> String {
    postgres_protocol::password::scram_sha_256(password.as_bytes())
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Option<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac.finalize().into_bytes().into())
}

/// `Hi()` of RFC 5802: PBKDF2 with one block.
fn salted(password: &str, salt: &[u8], iterations: u32) -> Option<[u8; 32]> {
    let mut last = mac(password.as_bytes(), &[salt, &1_u32.to_be_bytes()])?;
    let mut all = last;
    for _ in 1..iterations {
        last = mac(password.as_bytes(), &[&last])?;
        all.iter_mut().zip(last).for_each(|(all, last)| *all ^= last);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::is_of;
    use postgres_protocol::password::scram_sha_256;

    #[test]
    fn a_verifier_is_of_its_own_password_and_of_no_other() {
        let verifier = scram_sha_256(b"sesame");
        assert_eq!(is_of("sesame", &verifier), Some(true));
        assert_eq!(is_of("Sesame", &verifier), Some(false));
        assert_eq!(is_of("", &verifier), Some(false));
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        assert_eq!(is_of("sesame", "md5d9c0d1b1cd1a1a5dbf1bc5a5b1b3d7a8"), None);
        assert_eq!(is_of("sésame", &scram_sha_256("sésame".as_bytes())), None);
        for broken in ["SCRAM-SHA-256$", "SCRAM-SHA-256$4096:!$a:b", "SCRAM-SHA-256$99999999:aaaa$aaaa:aaaa"] {
            assert_eq!(is_of("sesame", broken), None, "{broken}");
        }
    }
}
