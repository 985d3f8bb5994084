//! `pgherd restart` and `reload`: all instances one by one, one instance, or only a new look at the configuration.

use anyhow::{Context, bail};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use pgherd_proto::cluster::{Cluster, RestartStatus};
use pgherd_proto::labels;
use pgherd_proto::lease::read as read_lease;
use serde_json::json;

use crate::annotate::{annotate, now};
use crate::args::{ClusterArguments, Output};
use crate::cluster::{Found, find_cluster, only};
use crate::instance::{ALL, InstanceArguments, find};
use crate::output;

/// All: by annotation, standbys first. One: the pod of a standby is made anew, the primary's postgres restarts where it is.
pub async fn run(wanted: &InstanceArguments, shape: Output) -> anyhow::Result<u8> {
    let (found, instance) = find(wanted).await?;
    let (how, text) = match instance.filter(|instance| instance != ALL) {
        None => {
            annotate(&found, labels::RESTARTED_AT, Some(&now())).await?;
            let text = "asked for a restart of all instances, one by one, the primary last".to_owned();
            ("rolling", text)
        }
        Some(instance) if is_primary(&found, &instance) => {
            in_place(&found, &instance).await?;
            ("in place", format!("asked for a restart of postgres on the primary {instance}"))
        }
        Some(instance) => {
            replace(&found, &instance).await?;
            ("replaced", format!("deleted pod {instance}; it comes back on its volume"))
        }
    };
    let told = json!({"cluster": found.name, "namespace": found.namespace, "restart": how});
    output::print(shape, &told, || format!("{text}; `{} status {}` shows how it goes", crate::called(), found.name))?;
    Ok(0)
}

/// Has every instance reload its configuration, and the controller look at the cluster anew. Both do so by themselves
/// whenever something changes in the Cluster.
pub async fn reload(wanted: &ClusterArguments, shape: Output) -> anyhow::Result<u8> {
    let found = find_cluster(wanted).await?;
    annotate(&found, labels::RELOADED_AT, Some(&now())).await?;
    let told = json!({"cluster": found.name, "namespace": found.namespace, "reloaded": true});
    output::print(shape, &told, || format!("the instances of {} reload their configuration", found.name))?;
    Ok(0)
}

fn is_primary(found: &Found, instance: &str) -> bool {
    found.cluster.status.as_ref().and_then(|status| status.current_primary.as_deref()) == Some(instance)
}

/// What the controller itself writes where a parameter wants it; void for any other process or term.
async fn in_place(found: &Found, instance: &str) -> anyhow::Result<()> {
    let leases: Api<Lease> = Api::namespaced(found.client.clone(), &found.namespace);
    let lease = leases.get(&found.name).await.context("failed to read the lease")?;
    let lease = read_lease(&lease).context("failed to make sense of the lease")?.value;
    let Some(holder) = lease.held_by().filter(|holder| holder.name == instance) else {
        bail!("{instance} does not hold the lease now: look at `{} status {}`", crate::called(), found.name);
    };
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
    let asked = RestartStatus { instance: instance.to_owned(), nonce: holder.nonce.clone(), term: lease.term, at };
    let body = json!({ "metadata": { "resourceVersion": found.cluster.metadata.resource_version },
        "status": { "restart": asked } });
    let clusters: Api<Cluster> = Api::namespaced(found.client.clone(), &found.namespace);
    let patched = clusters.patch_status(&found.name, &PatchParams::default(), &Patch::Merge(body)).await;
    patched.map(drop).context("failed to ask for the restart")
}

/// This pod, and no other that has its name by then.
async fn replace(found: &Found, instance: &str) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(found.client.clone(), &found.namespace);
    let pod = pods.get(instance).await.with_context(|| format!("failed to find pod {instance}"))?;
    pods.delete(instance, &only(pod.metadata.uid))
        .await
        .map(drop)
        .with_context(|| format!("failed to delete pod {instance}"))
}
