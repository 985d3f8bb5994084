//! Finding the cluster that is meant, in the local environment if one is up, else by kubeconfig.

use anyhow::{anyhow, bail};
use kube::api::{DeleteParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use pgherd_localkube::daemon::{Handle, find};
use pgherd_proto::cluster::Cluster;

use crate::args::{ClusterArguments, Place};

/// One cluster and how to reach it.
pub struct Found {
    /// The API.
    pub client: Client,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object.
    pub cluster: Cluster,
    /// The local environment, if it runs there.
    pub local: Option<Handle>,
}

/// A client for a kubeconfig file.
pub async fn client_of(kubeconfig: &std::path::Path) -> anyhow::Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    Ok(Client::try_from(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)?)
}

/// The API that is meant, and the local environment if it is that one's.
pub async fn client_for(wanted: &Place) -> anyhow::Result<(Client, Option<Handle>)> {
    let local = if wanted.kube { None } else { find(&wanted.environment.directory()).ok() };
    let client = match &local {
        Some(handle) => client_of(&handle.api_kubeconfig()).await?,
        None if !elsewhere() => bail!(
            "no local environment is up, and no kubeconfig says where else to look: start one with \
             `pgherd local up -f FILE`, or set KUBECONFIG"
        ),
        // Its text has all of its causes in it already.
        None => Client::try_default().await.map_err(|error| anyhow!("{error}"))?,
    };
    Ok((client, local))
}

/// The one that is meant.
pub async fn find_cluster(wanted: &ClusterArguments) -> anyhow::Result<Found> {
    let (client, local) = client_for(&wanted.place).await?;
    let clusters: Api<Cluster> = match &wanted.place.namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let all = clusters.list(&kube::api::ListParams::default()).await?.items;
    let there_are: Vec<String> = all.iter().map(full_name).collect();
    let is_meant =
        |cluster: &Cluster| wanted.cluster.as_ref().is_none_or(|name| cluster.metadata.name.as_ref() == Some(name));
    let mut meant: Vec<Cluster> = all.into_iter().filter(is_meant).collect();
    let names: Vec<String> = meant.iter().map(full_name).collect();
    match (meant.pop(), names.len()) {
        (Some(cluster), 1) => Ok(Found {
            client,
            namespace: cluster.metadata.namespace.clone().unwrap_or_default(),
            name: cluster.metadata.name.clone().unwrap_or_default(),
            cluster,
            local,
        }),
        (None, _) if there_are.is_empty() => bail!("there is no cluster: apply a manifest first"),
        (None, _) => bail!("there is no such cluster; there is {}", there_are.join(", ")),
        (Some(_), _) => bail!("which one is meant? {}", names.join(", ")),
    }
}

/// Whether something says where a cluster other than the local one is.
fn elsewhere() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let of_home = std::env::home_dir().is_some_and(|home| home.join(".kube/config").exists());
    set("KUBECONFIG") || set("KUBERNETES_SERVICE_HOST") || of_home
}

/// Namespace and name.
pub fn full_name(object: &impl ResourceExt) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.meta().name.as_deref().unwrap_or_default())
}

/// Deletes the object of this uid, and no other that has its name by then.
pub fn only(uid: Option<String>) -> DeleteParams {
    DeleteParams { preconditions: Some(Preconditions { uid, ..Preconditions::default() }), ..DeleteParams::default() }
}
