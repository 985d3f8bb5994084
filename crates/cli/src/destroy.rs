//! `pgherd destroy`: an instance and its volumes go for good; the controller makes another from those that are left.

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::ListParams;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::{labels, names};
use serde_json::json;

use crate::args::Output;
use crate::cluster::only;
use crate::instance::{InstanceArguments, find_one};
use crate::output;

/// Deletes the claims first: they are gone once the pod that has them is, and nothing comes up on them in between.
pub async fn run(wanted: &InstanceArguments, shape: Output) -> anyhow::Result<u8> {
    let (found, instance) = find_one(wanted).await?;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(found.client.clone(), &found.namespace);
    let of_cluster = ListParams::default().labels(&format!("{}={}", labels::CLUSTER, found.name));
    let all = claims.list(&of_cluster).await.context("failed to list the volumes")?.items;
    if let Some(why) = refusal(&found.cluster, &instance, &all) {
        bail!("nothing was done: {why}");
    }
    let pods: Api<Pod> = Api::namespaced(found.client.clone(), &found.namespace);
    let pod = pods.get_opt(&instance).await.context("failed to look for the pod")?;
    let own: Vec<&PersistentVolumeClaim> = all.iter().filter(|claim| is_of(claim, &instance)).collect();
    if own.is_empty() && pod.is_none() {
        bail!("there is no instance {instance}");
    }
    let mut gone = Vec::new();
    for claim in own {
        let name = claim.metadata.name.clone().unwrap_or_default();
        claims.delete(&name, &only(claim.metadata.uid.clone())).await.context("failed to delete a volume")?;
        gone.push(name);
    }
    if let Some(pod) = pod {
        pods.delete(&instance, &only(pod.metadata.uid)).await.context("failed to delete the pod")?;
    }
    let told = json!({"cluster": found.name, "namespace": found.namespace, "instance": instance, "volumes": gone});
    output::print(shape, &told, || {
        format!("instance {instance} is destroyed, with {}; another is made in its place", gone.join(", "))
    })?;
    Ok(0)
}

/// Of its data or its WAL; what a restore has put aside is not its own any more.
fn is_of(claim: &PersistentVolumeClaim, instance: &str) -> bool {
    let label = |key: &str| claim.metadata.labels.as_ref().and_then(|all| all.get(key)).map(String::as_str);
    label(labels::INSTANCE_NAME) == Some(instance) && label(labels::KEPT_BY).is_none()
}

/// Why it would lose data, or what somebody is about to need.
fn refusal(cluster: &Cluster, instance: &str, claims: &[PersistentVolumeClaim]) -> Option<String> {
    let status = cluster.status.as_ref();
    let primary = status.and_then(|status| status.current_primary.as_deref());
    let target = status.and_then(|status| status.target_primary.as_deref());
    if primary == Some(instance) || target == Some(instance) {
        return Some(format!("{instance} is the primary: promote another first"));
    }
    let ready = |claim: &PersistentVolumeClaim| {
        let note = claim.metadata.annotations.as_ref().and_then(|all| all.get(labels::PVC_STATUS));
        note.is_some_and(|status| status == "ready") && claim.metadata.deletion_timestamp.is_none()
    };
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    let of_data = |claim: &&PersistentVolumeClaim| {
        claim.metadata.name.as_ref().is_some_and(|claim| names::serial(name, claim).is_some())
    };
    let others = claims.iter().filter(of_data).filter(|claim| !is_of(claim, instance) && ready(claim)).count();
    (others == 0).then(|| format!("no other instance of {name} has the data"))
}

#[cfg(test)]
mod tests {
    use super::{is_of, refusal};
    use k8s_openapi::api::core::v1::PersistentVolumeClaim;
    use pgherd_proto::cluster::Cluster;
    use serde_json::json;

    fn claim(name: &str, instance: &str, status: &str) -> PersistentVolumeClaim {
        serde_json::from_value(json!({"metadata": {"name": name, "labels": {"cnpg.io/instanceName": instance},
            "annotations": {"cnpg.io/pvcStatus": status}}}))
        .unwrap()
    }

    #[test]
    fn neither_the_primary_nor_the_last_copy_is_destroyed() {
        let cluster: Cluster = serde_json::from_value(json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": {"name": "c"}, "spec": {}, "status": {"currentPrimary": "c-1", "targetPrimary": "c-3"}}))
        .unwrap();
        let (one, two) = (claim("c-1", "c-1", "ready"), claim("c-2", "c-2", "ready"));
        let refused = |instance: &str, claims: &[PersistentVolumeClaim]| refusal(&cluster, instance, claims);
        assert!(refused("c-1", &[one.clone(), two.clone()]).unwrap().contains("promote another first"));
        assert!(refused("c-3", &[one.clone(), two.clone()]).is_some(), "it is about to be");
        assert_eq!(refused("c-2", &[one, two.clone()]), None);
        let empty = claim("c-1", "c-1", "initializing");
        let wal = claim("c-1-wal", "c-1", "ready");
        assert!(refused("c-2", &[empty, wal.clone(), two]).unwrap().contains("no other instance"));
        assert!(is_of(&wal, "c-1") && !is_of(&wal, "c-2"));
    }
}
