//! `status.certificates`: which Secrets the certificates are taken from, and when those end.

use super::Target;
use crate::tls::CertificateNames;
use jiff::Timestamp;
use pgherd_proto::cluster::CertificatesStatus;
use serde_json::{Value, json};

/// As a merge patch over what is there; nothing before the first certificate is.
pub(super) fn patch(target: &Target<'_>) -> Value {
    let expirations = &target.observed.expirations;
    if expirations.is_empty() {
        return Value::Null;
    }
    let names = CertificateNames::of(&target.desired.name, &target.desired.namespace, target.spec);
    let at = |seconds: i64| Timestamp::from_second(seconds).ok().map(said).unwrap_or_default();
    let alternatives = if names.brought.contains(&names.server) { Vec::new() } else { names.alternatives };
    let status = CertificatesStatus {
        server_ca_secret: Some(names.server_authority),
        server_tls_secret: Some(names.server),
        replication_tls_secret: Some(names.replication),
        client_ca_secret: Some(names.client_authority),
        server_alt_dns_names: alternatives,
        expirations: expirations.iter().map(|(name, ends)| (name.clone(), at(*ends))).collect(),
        ..CertificatesStatus::default()
    };
    let before = target.cluster.status.as_ref().and_then(|status| status.certificates.as_deref());
    let mut patch = json!(status);
    if let Some(before) = before {
        // Lists that are empty, and Secrets that are not used any more, are taken away.
        if let Some(fields) = patch.as_object_mut()
            && !before.server_alt_dns_names.is_empty()
        {
            fields.entry("serverAltDNSNames").or_insert(Value::Null);
        }
        if let Some(ends) = patch.get_mut("expirations").and_then(Value::as_object_mut) {
            for name in before.expirations.keys() {
                ends.entry(name).or_insert(Value::Null);
            }
        }
    }
    patch
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
