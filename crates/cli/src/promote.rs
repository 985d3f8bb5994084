//! `pgherd promote`: a switchover that a person asks for.

use anyhow::bail;
use kube::Api;
use kube::api::{Patch, PatchParams};
use pgherd_proto::cluster::Cluster;
use serde_json::json;

use crate::args::ClusterArguments;
use crate::cluster::find_cluster;
use crate::output;

/// Sets `status.targetPrimary`; the controller checks the target before the primary hands over.
pub async fn run(cluster: &ClusterArguments, instance: &str, json: bool) -> anyhow::Result<u8> {
    let found = find_cluster(cluster).await?;
    if pgherd_proto::names::serial(&found.name, instance).is_none() {
        bail!(
            "{instance} is no instance of {}: they are called {}-1, {}-2 and so on",
            found.name,
            found.name,
            found.name
        );
    }
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let patch = json!({"status": {"targetPrimary": instance}});
    clusters.patch_status(&found.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    let asked = json!({"cluster": found.name, "namespace": found.namespace, "targetPrimary": instance});
    output::print(json, &asked, || {
        format!(
            "asked for {instance} to become the primary; `{} status {}` shows how it goes",
            crate::called(),
            found.name
        )
    })?;
    Ok(0)
}
