//! What is asked of the controller by an annotation on the Cluster.

use anyhow::Context;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use pgherd_proto::cluster::Cluster;
use serde_json::{Value, json};

use crate::cluster::Found;

/// Sets an annotation, or takes it off.
pub async fn annotate(found: &Found, name: &str, value: Option<&str>) -> anyhow::Result<()> {
    patch(&found.client, &found.cluster, &json!({ "metadata": { "annotations": { name: value } } })).await
}

/// The same over the version that was looked at: nothing that somebody else wrote meanwhile is undone.
pub async fn annotate_over(found: &Found, name: &str, value: Option<&str>) -> anyhow::Result<()> {
    let version = &found.cluster.metadata.resource_version;
    let change = json!({ "metadata": { "resourceVersion": version, "annotations": { name: value } } });
    patch(&found.client, &found.cluster, &change).await
}

/// Somebody else wrote the Cluster meanwhile: it is to be looked at again.
pub fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(kube::Error::Api(status)) if status.code == 409)
}

/// Changes the Cluster.
pub async fn patch(client: &Client, cluster: &Cluster, change: &Value) -> anyhow::Result<()> {
    let clusters: Api<Cluster> =
        Api::namespaced(client.clone(), cluster.metadata.namespace.as_deref().unwrap_or_default());
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let changed = clusters.patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
    changed.map(drop).with_context(|| format!("failed to change cluster {name}"))
}

/// Now, as annotations have it.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
