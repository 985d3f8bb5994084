//! What is asked of the controller by an annotation on the Cluster.

use anyhow::Context;
use kube::Api;
use kube::api::{Patch, PatchParams};
use pgherd_proto::cluster::Cluster;
use serde_json::{Value, json};

use crate::cluster::Found;

/// Sets an annotation, or takes it off.
pub async fn annotate(found: &Found, name: &str, value: Option<&str>) -> anyhow::Result<()> {
    patch(found, &json!({ "metadata": { "annotations": { name: value } } })).await
}

/// The same over the version that was looked at: nothing that somebody else wrote meanwhile is undone.
pub async fn annotate_over(found: &Found, name: &str, value: Option<&str>) -> anyhow::Result<()> {
    let version = &found.cluster.metadata.resource_version;
    patch(found, &json!({ "metadata": { "resourceVersion": version, "annotations": { name: value } } })).await
}

/// Changes the Cluster.
pub async fn patch(found: &Found, change: &Value) -> anyhow::Result<()> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let changed = clusters.patch(&found.name, &PatchParams::default(), &Patch::Merge(change)).await;
    changed.map(drop).with_context(|| format!("failed to change cluster {}", found.name))
}

/// Now, as annotations have it.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
