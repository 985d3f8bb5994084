//! Who is asking: static tokens of the caller, service-account tokens that this server signs, client certificates.
//!
//! Whoever is known may do everything, unless the server was told to enforce RBAC.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A known user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `system:serviceaccount:NAMESPACE:NAME`, or any name.
    pub user: String,
    /// Groups; told in reviews, and subjects of RBAC.
    pub groups: Vec<String>,
}

impl Identity {
    /// A member of `system:masters`.
    pub fn admin(user: &str) -> Self {
        Self { user: user.to_owned(), groups: vec!["system:masters".to_owned()] }
    }

    /// A service account.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        }
    }
}

/// What a service-account token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub sub: String,
    /// End of validity, seconds since 1970.
    pub exp: i64,
    /// Start of validity, seconds since 1970.
    pub iat: i64,
    /// Audiences.
    #[serde(default)]
    pub aud: Vec<String>,
}

/// Signs and checks service-account tokens (JWT, HS256), so that they outlive a restart of the server.
#[derive(Clone)]
pub struct TokenKey(Vec<u8>);

impl TokenKey {
    /// From the secret bytes.
    pub fn new(secret: Vec<u8>) -> Self {
        Self(secret)
    }

    fn mac(&self, text: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(text.as_bytes());
        Some(mac)
    }

    /// A signed token; `None` only if the claims cannot be encoded.
    pub fn sign(&self, claims: &Claims) -> Option<String> {
        let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).ok()?);
        let text = format!("{head}.{body}");
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&text)?.finalize().into_bytes());
        Some(format!("{text}.{signature}"))
    }

    /// The claims of a token with a good signature that is valid at `now` (seconds since 1970).
    pub fn check(&self, token: &str, now: i64) -> Option<Claims> {
        let (text, signature) = token.rsplit_once('.')?;
        let (_, body) = text.split_once('.')?;
        self.mac(text)?.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        (claims.exp > now).then_some(claims)
    }
}

/// The identity behind a bearer token.
pub fn identify(tokens: &BTreeMap<String, Identity>, key: &TokenKey, token: &str, now: i64) -> Option<Identity> {
    if let Some(identity) = tokens.get(token) {
        return Some(identity.clone());
    }
    let claims = key.check(token, now)?;
    let mut parts = claims.sub.strip_prefix("system:serviceaccount:")?.splitn(2, ':');
    Some(Identity::service_account(parts.next()?, parts.next()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Claims, Identity, TokenKey, identify};

    #[test]
    fn only_tokens_signed_with_the_key_and_still_valid_name_someone() {
        let key = TokenKey::new(vec![7; 32]);
        let claims = Claims { sub: "system:serviceaccount:ns:app".into(), exp: 100, iat: 0, aud: vec![] };
        let token = key.sign(&claims).unwrap();
        let tokens = BTreeMap::from([("static".to_owned(), Identity::admin("me"))]);
        let who = |key: &TokenKey, token: &str, now| identify(&tokens, key, token, now).map(|i| i.user);
        assert_eq!(who(&key, &token, 99).as_deref(), Some("system:serviceaccount:ns:app"));
        assert_eq!(who(&key, &token, 100), None);
        assert_eq!(who(&TokenKey::new(vec![8; 32]), &token, 0), None);
        assert_eq!(who(&key, &format!("{token}x"), 0), None);
        assert_eq!(who(&key, "nonsense", 0), None);
        assert_eq!(who(&key, "static", 0).as_deref(), Some("me"));
    }
}
