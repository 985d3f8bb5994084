//! `pgherd certificate`: a client certificate for a role, signed by the cluster's client authority, in a Secret.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use clap::Args;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use pgherd_pki::{Authority, Usage};
use pgherd_proto::cluster::Cluster;
use pgherd_proto::secrets::{CA_CRT, CA_KEY, TLS, TLS_CRT, TLS_KEY};
use pgherd_proto::{labels, names};
use serde_json::json;

use crate::args::{ClusterArguments, Output, Place};
use crate::cluster::find_cluster;
use crate::output;

/// For whom, and where it goes; named as `kubectl cnpg certificate` names it.
#[derive(Debug, Args)]
pub struct CertificateArguments {
    /// The Secret to make.
    pub secret: String,
    /// The role that it signs in.
    #[arg(long = "user", visible_alias = "cnpg-user", value_name = "ROLE")]
    pub user: String,
    /// The cluster; may be left out where there is only one.
    #[arg(long = "cluster", visible_alias = "cnpg-cluster", value_name = "CLUSTER")]
    pub cluster: Option<String>,
    #[command(flatten)]
    pub place: Place,
    /// Print the Secret, with its key, and make nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// Signs it here: the key of the authority is read, so that whoever runs this may read that Secret.
pub async fn run(wanted: &CertificateArguments, shape: Output) -> anyhow::Result<u8> {
    let cluster = ClusterArguments { cluster: wanted.cluster.clone(), place: wanted.place.clone() };
    let found = find_cluster(&cluster).await?;
    let secrets: Api<Secret> = Api::namespaced(found.client.clone(), &found.namespace);
    let name = authority_of(&found.cluster);
    let stored = secrets.get(&name).await.with_context(|| format!("failed to read Secret {name}"))?;
    let authority = authority(&stored).map_err(|why| anyhow!("Secret {name} cannot sign: {why}"))?;
    let made = signed(wanted, &found.name, &found.namespace, &authority, jiff::Timestamp::now())?;
    if wanted.dry_run {
        output::print(if shape == Output::Json { shape } else { Output::Yaml }, &made, String::new)?;
        return Ok(0);
    }
    secrets.create(&PostParams::default(), &made).await.context("failed to make the Secret")?;
    let told =
        json!({"secret": wanted.secret, "cluster": found.name, "namespace": found.namespace, "user": wanted.user});
    output::print(shape, &told, || {
        format!("Secret {} has a certificate of {} for {} and its key", wanted.secret, found.name, wanted.user)
    })?;
    Ok(0)
}

/// The Secret whose authority postgres believes of clients.
fn authority_of(cluster: &Cluster) -> String {
    let own = names::secret_ca(cluster.metadata.name.as_deref().unwrap_or_default());
    cluster.spec.certificates.as_ref().and_then(|brought| brought.client_ca_secret.clone()).unwrap_or(own)
}

fn authority(secret: &Secret) -> Result<Authority, String> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key));
        let bytes = bytes.ok_or_else(|| format!("it has no {key}: whoever has the key has to sign"))?;
        String::from_utf8(bytes.0.clone()).map_err(|_| format!("{key} is no text"))
    };
    Authority::from_pem(&text(CA_CRT)?, &text(CA_KEY)?).map_err(|error| error.to_string())
}

fn signed(
    wanted: &CertificateArguments,
    cluster: &str,
    namespace: &str,
    authority: &Authority,
    now: jiff::Timestamp,
) -> anyhow::Result<Secret> {
    let leaf = authority.sign(&wanted.user, &Usage::Client, now).context("failed to sign")?;
    let data = [(TLS_CRT, leaf.certificate_pem), (TLS_KEY, leaf.key_pem)];
    let data: BTreeMap<String, ByteString> =
        data.into_iter().map(|(key, value)| (key.to_owned(), ByteString(value.into_bytes()))).collect();
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(wanted.secret.clone()),
            namespace: Some(namespace.to_owned()),
            labels: Some([(labels::CLUSTER.to_owned(), cluster.to_owned())].into()),
            ..ObjectMeta::default()
        },
        type_: Some(TLS.to_owned()),
        data: Some(data),
        ..Secret::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Arguments, Verb};
    use clap::Parser;

    fn asked(words: &[&str]) -> CertificateArguments {
        let read = Arguments::try_parse_from([&["pgherd", "certificate"], words].concat()).map(|all| all.verb);
        let Ok(Verb::Certificate(wanted)) = read else { panic!("{words:?}") };
        wanted
    }

    #[test]
    fn it_is_named_as_cnpgs_plugin_names_it_and_signed_by_the_clusters_authority() {
        let wanted = asked(&["cert", "--cnpg-cluster", "c", "--cnpg-user", "app"]);
        assert_eq!((wanted.cluster.as_deref(), wanted.user.as_str()), (Some("c"), "app"));
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let authority = Authority::generate("c", now).unwrap();
        let made = signed(&wanted, "c", "n", &authority, now).unwrap();
        let text = |key: &str| String::from_utf8(made.data.as_ref().unwrap()[key].0.clone()).unwrap();
        assert!(pgherd_pki::is_signed_by(&text(TLS_CRT), authority.certificate_pem()).unwrap());
        assert_eq!(made.type_.as_deref(), Some("kubernetes.io/tls"));
    }

    #[test]
    fn an_authority_without_its_key_says_who_has_to_sign() {
        let data = [(CA_CRT.to_owned(), ByteString(b"x".to_vec()))].into();
        let secret = Secret { data: Some(data), ..Secret::default() };
        assert!(authority(&secret).unwrap_err().contains("ca.key"));
    }
}
