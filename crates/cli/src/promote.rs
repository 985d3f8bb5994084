//! `pgherd promote`: a switchover that a person asks for.

use kube::Api;
use kube::api::{Patch, PatchParams};
use pgherd_proto::cluster::Cluster;
use serde_json::json;

use crate::args::Output;
use crate::cluster::Found;
use crate::output;

/// Sets `status.targetPrimary`; the controller checks the target before the primary hands over.
pub async fn run(found: &Found, instance: &str, shape: Output) -> anyhow::Result<u8> {
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let patch = json!({"status": {"targetPrimary": instance}});
    clusters.patch_status(&found.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    let asked = json!({"cluster": found.name, "namespace": found.namespace, "targetPrimary": instance});
    output::print(shape, &asked, || {
        format!(
            "asked for {instance} to become the primary; `{} status {}` shows how it goes",
            crate::called(),
            found.name
        )
    })?;
    Ok(0)
}
