//! `spec.certificates`: certificates that the user brings.

use super::Extra;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
