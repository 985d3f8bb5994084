//! Ephemeral volumes: claims that are made with a pod, are called after it, and go with it as its dependents. In Kubernetes
//! a controller makes them; here the node does, before the pod's first container.

use k8s_openapi::api::core::v1::{Pod, Volume};
use serde_json::{Value, json};

use crate::api::Store;

/// The claim that a volume is of, whether it was there before the pod or is made for it.
pub(super) fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(claim), _) => Some(claim.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod.metadata.name.as_deref().unwrap_or_default(), volume.name)),
        (None, None) => None,
    }
}

/// Makes the claim of an ephemeral volume, if it is not there yet.
pub(super) fn provide(store: &Store, pod: &Pod, volume: &Volume, name: &str) {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let Some(claim) = claim(pod, volume, name) else { return };
    match store.create("persistentvolumeclaims", namespace, claim) {
        Err(error) if error.reason != "AlreadyExists" => {
            tracing::warn!(%error, claim = name, "the claim of an ephemeral volume cannot be made");
        }
        _ => {}
    }
}

fn claim(pod: &Pod, volume: &Volume, name: &str) -> Option<Value> {
    let template = volume.ephemeral.as_ref()?.volume_claim_template.as_ref()?;
    let of_template = template.metadata.clone().unwrap_or_default();
    let owner = json!({
        "apiVersion": "v1", "kind": "Pod", "name": pod.metadata.name, "uid": pod.metadata.uid, "controller": true,
        "blockOwnerDeletion": true,
    });
    Some(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name, "namespace": pod.metadata.namespace, "labels": of_template.labels,
            "annotations": of_template.annotations, "ownerReferences": [owner],
        },
        "spec": template.spec,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ephemeral_volumes_claim_is_called_after_the_pod_and_is_its_dependent() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u"},
            "spec": {"containers": [], "volumes": [{"name": "data", "ephemeral": {"volumeClaimTemplate": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}}}]}
        }))
        .unwrap();
        let volume = &pod.spec.as_ref().unwrap().volumes.as_ref().unwrap()[0];
        let name = claim_name(&pod, volume).unwrap();
        assert_eq!(name, "p-data");
        let claim = claim(&pod, volume, &name).unwrap();
        assert_eq!(claim["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(claim["metadata"]["labels"]["a"], "b");
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "1Gi");
    }
}
