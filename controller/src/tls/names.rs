//! Which Secrets the certificates of postgres are in, and what the server's is for.

use pgherd_core::cluster::SecretKind;
use pgherd_core::rules::cluster::is_service_name;
use pgherd_proto::cluster::ClusterSpec;
use pgherd_proto::names;
use std::collections::BTreeSet;

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
            alternatives: alternatives(cluster, namespace, spec),
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

/// The names of all services and those that are asked for beside them, each once. A name that no service can have is
/// passed over: the API server refuses the service, and nobody could sign a certificate for it.
fn alternatives(cluster: &str, namespace: &str, spec: &ClusterSpec) -> Vec<String> {
    let services = spec.managed.as_ref().and_then(|managed| managed.services.as_ref());
    let more = services.map(|services| services.additional.as_slice()).unwrap_or_default();
    let more = more.iter().filter_map(|service| service.service_template.metadata.name.as_deref());
    let more = more.filter(|name| is_service_name(name)).flat_map(|name| domains(name, namespace));
    let asked = spec.certificates.as_deref().map(|asked| asked.server_alt_dns_names.clone()).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let all = service_names(cluster, namespace).into_iter().chain(more).chain(asked);
    all.filter(|name| seen.insert(name.clone())).collect()
}

/// What the three services that every cluster has are called, in each form.
#[must_use]
pub fn service_names(cluster: &str, namespace: &str) -> Vec<String> {
    let services = [names::service_rw(cluster), names::service_r(cluster), names::service_ro(cluster)];
    services.iter().flat_map(|service| domains(service, namespace)).collect()
}

fn domains(service: &str, namespace: &str) -> [String; 4] {
    ["", &format!(".{namespace}"), &format!(".{namespace}.svc"), &format!(".{namespace}.svc.cluster.local")]
        .map(|domain| format!("{service}{domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_certificate_is_for_each_service_of_the_manifest_in_four_forms_and_for_what_is_asked_for_once() {
        let service = |name: &str| json!({ "selectorType": "rw", "serviceTemplate": { "metadata": { "name": name } } });
        let unnamed = json!({ "selectorType": "rw", "serviceTemplate": {} });
        let more = json!([service("outside"), service("No Service"), service("sch\u{f6}n"), unnamed]);
        let spec: ClusterSpec = serde_json::from_value(json!({
            "managed": { "services": { "additional": more } },
            "certificates": { "serverAltDNSNames": ["db.example.com", "outside.ns"] } }))
        .unwrap();
        let names = CertificateNames::of("c", "ns", &spec).alternatives;
        let (three, rest) = names.split_at(12);
        assert_eq!(three, service_names("c", "ns"));
        let outside = ["outside", "outside.ns", "outside.ns.svc", "outside.ns.svc.cluster.local"];
        assert_eq!(
            (&rest[..4], &rest[4..]),
            (outside.map(str::to_owned).as_slice(), &["db.example.com".to_owned()][..])
        );
        assert_eq!(CertificateNames::of("c", "ns", &ClusterSpec::default()).alternatives, three);
    }
}
