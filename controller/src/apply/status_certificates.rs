//! `status.certificates`: which Secrets the certificates are taken from, and when those end.

use super::Target;
use crate::tls::CertificateNames;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// As a merge patch over what is there; nothing before the first certificate is.
pub(super) fn patch(target: &Target<'_>) -> Value {
    let expirations = &target.observed.expirations;
    if expirations.is_empty() {
        return Value::Null;
    }
    let names = CertificateNames::of(&target.desired.name, &target.desired.namespace, target.spec);
    let at = |seconds: i64| Timestamp::from_second(seconds).ok().map(said).unwrap_or_default();
    let before = target.cluster.status.as_ref().and_then(|status| status.certificates.as_deref());
    // Secrets that are not used any more are taken away, as is a list that is empty.
    let gone = before.into_iter().flat_map(|before| before.expirations.keys()).map(|name| (name.clone(), Value::Null));
    let ends = expirations.iter().map(|(name, ends)| (name.clone(), Value::from(at(*ends))));
    let expirations: Map<String, Value> = gone.chain(ends).collect();
    let brought = names.brought.contains(&names.server) || names.alternatives.is_empty();
    json!({
        "serverCASecret": names.server_authority,
        "serverTLSSecret": names.server,
        "replicationTLSSecret": names.replication,
        "clientCASecret": names.client_authority,
        "serverAltDNSNames": if brought { Value::Null } else { json!(names.alternatives) },
        "expirations": expirations,
    })
}

/// As Go prints a time, which is what CNPG writes.
fn said(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiration_reads_as_cnpgs() {
        assert_eq!(said(Timestamp::from_second(1_800_000_000).unwrap()), "2027-01-15 08:00:00 +0000 UTC");
    }
}
