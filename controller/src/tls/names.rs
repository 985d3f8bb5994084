//! Which Secrets the certificates of postgres are in, and what the server's is for.

use pgherd_core::cluster::SecretKind;
use pgherd_proto::cluster::ClusterSpec;
use pgherd_proto::names;

/// By the names of CNPG's fields, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames {
    /// `serverCASecret`.
    pub server_authority: String,
    /// `serverTLSSecret`.
    pub server: String,
    /// `clientCASecret`.
    pub client_authority: String,
    /// `replicationTLSSecret`.
    pub replication: String,
    /// Those that the user brings.
    pub brought: Vec<String>,
    /// The kinds that are not made, since the user brings them.
    pub brought_kinds: Vec<SecretKind>,
    /// Every name of the server's certificate.
    pub alternatives: Vec<String>,
}

impl CertificateNames {
    /// Of this cluster.
    #[must_use]
    pub fn of(cluster: &str, namespace: &str, spec: &ClusterSpec) -> Self {
        let asked = spec.certificates.as_deref().cloned().unwrap_or_default();
        let brings = [asked.server_tls_secret.is_some(), asked.replication_tls_secret.is_some()];
        let kinds = [SecretKind::Server, SecretKind::Replication].into_iter().zip(brings);
        let all =
            [&asked.server_ca_secret, &asked.server_tls_secret, &asked.client_ca_secret, &asked.replication_tls_secret];
        let mut brought: Vec<String> = all.into_iter().flatten().cloned().collect();
        brought.sort();
        brought.dedup();
        let own = || names::secret_ca(cluster);
        Self {
            brought,
            brought_kinds: kinds.filter(|(_, brings)| *brings).map(|(kind, _)| kind).collect(),
            server_authority: asked.server_ca_secret.unwrap_or_else(own),
            server: asked.server_tls_secret.unwrap_or_else(|| names::secret_server(cluster)),
            client_authority: asked.client_ca_secret.unwrap_or_else(own),
            replication: asked.replication_tls_secret.unwrap_or_else(|| names::secret_replication(cluster)),
            alternatives: [service_names(cluster, namespace), asked.server_alt_dns_names].concat(),
        }
    }

    /// The Secret of the authority that signs a leaf of this kind.
    #[must_use]
    pub fn authority_of(&self, kind: SecretKind) -> &str {
        if kind == SecretKind::Server { &self.server_authority } else { &self.client_authority }
    }

    /// The Secret of the authority or leaf that postgres uses as this.
    #[must_use]
    pub fn leaf(&self, kind: SecretKind) -> &str {
        if kind == SecretKind::Server { &self.server } else { &self.replication }
    }
}

/// What a cluster's services are called, in each form.
#[must_use]
pub fn service_names(cluster: &str, namespace: &str) -> Vec<String> {
    let services = [names::service_rw(cluster), names::service_r(cluster), names::service_ro(cluster)];
    let every = |service: &String| {
        ["", &format!(".{namespace}"), &format!(".{namespace}.svc"), &format!(".{namespace}.svc.cluster.local")]
            .map(|domain| format!("{service}{domain}"))
    };
    services.iter().flat_map(every).collect()
}
