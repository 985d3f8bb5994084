//! From a request to an identity.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::token::{Identity, identify};
use super::server::Inner;

/// Who sends this request. A bearer token counts before the connection's certificate, as in the real server.
pub(super) fn authenticate(inner: &Inner, headers: &HeaderMap, peer: Option<&Identity>) -> Option<Identity> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.and_then(|text| text.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            identify(&inner.tokens, &inner.key, token.trim(), jiff::Timestamp::now().as_second())
        }
        Some(_) => None,
        None => peer.cloned(),
    }
}

/// The identity in a client certificate that TLS has verified: CN is the user, O are the groups.
pub(super) fn certificate_identity(der: &[u8]) -> Option<Identity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let subject = certificate.subject();
    let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|o| o.as_str().ok()).map(str::to_owned).collect();
    Some(Identity { user, groups })
}
