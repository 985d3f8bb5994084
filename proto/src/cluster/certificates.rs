//! `spec.certificates`: certificates that the user brings; and `status.certificates`, those in use.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Secrets with certificates, in place of those that are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificatesConfiguration {
    /// The authority of the servers' certificates: `ca.crt`, and `ca.key` where `serverTLSSecret` is not given.
    #[serde(rename = "serverCASecret", skip_serializing_if = "Option::is_none")]
    pub server_ca_secret: Option<String>,
    /// The servers' certificate, of type `kubernetes.io/tls`.
    #[serde(rename = "serverTLSSecret", skip_serializing_if = "Option::is_none")]
    pub server_tls_secret: Option<String>,
    /// The certificate of `streaming_replica`, of type `kubernetes.io/tls`.
    #[serde(rename = "replicationTLSSecret", skip_serializing_if = "Option::is_none")]
    pub replication_tls_secret: Option<String>,
    /// The authority of clients' certificates: `ca.crt`, and `ca.key` where `replicationTLSSecret` is not given.
    #[serde(rename = "clientCASecret", skip_serializing_if = "Option::is_none")]
    pub client_ca_secret: Option<String>,
    /// Further names in the servers' certificates that are made.
    #[serde(rename = "serverAltDNSNames", skip_serializing_if = "Vec::is_empty")]
    pub server_alt_dns_names: Vec<String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The Secrets that certificates are taken from, and when those end (CNPG's).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificatesStatus {
    /// The authority of the servers' certificates.
    #[serde(rename = "serverCASecret", skip_serializing_if = "Option::is_none")]
    pub server_ca_secret: Option<String>,
    /// The servers' certificate.
    #[serde(rename = "serverTLSSecret", skip_serializing_if = "Option::is_none")]
    pub server_tls_secret: Option<String>,
    /// The certificate of `streaming_replica`.
    #[serde(rename = "replicationTLSSecret", skip_serializing_if = "Option::is_none")]
    pub replication_tls_secret: Option<String>,
    /// The authority of clients' certificates.
    #[serde(rename = "clientCASecret", skip_serializing_if = "Option::is_none")]
    pub client_ca_secret: Option<String>,
    /// Every name in the servers' certificate, where it is made.
    #[serde(rename = "serverAltDNSNames", skip_serializing_if = "Vec::is_empty")]
    pub server_alt_dns_names: Vec<String>,
    /// When the certificate in each Secret ends: `2026-11-29 01:02:03 +0000 UTC`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub expirations: BTreeMap<String, String>,
    /// Fields that this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
