//! What of a watched object nobody here reads, and so is not kept.

use k8s_openapi::api::core::v1::Pod;
use kube::Resource;

/// Who wrote which field is half of many objects, and kubectl's own copy of a manifest is another.
const OF_KUBECTL: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Of any object.
pub fn metadata<K: Resource>(object: &mut K) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    if let Some(annotations) = metadata.annotations.as_mut() {
        annotations.remove(OF_KUBECTL);
    }
}

/// Of a pod. What it was made from is in an annotation; where it is, which volumes it has and what became of it is kept.
pub fn pod(pod: &mut Pod) {
    metadata(pod);
    if let Some(spec) = pod.spec.as_mut() {
        spec.containers.clear();
        (spec.init_containers, spec.ephemeral_containers) = (None, None);
        (spec.affinity, spec.tolerations, spec.topology_spread_constraints) = (None, None, None);
        for volume in spec.volumes.iter_mut().flatten() {
            volume.projected = None;
        }
    }
    if let Some(status) = pod.status.as_mut() {
        (status.init_container_statuses, status.ephemeral_container_statuses) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Around, pod_view};
    use kube::ResourceExt;
    use serde_json::json;

    #[test]
    fn a_pod_without_what_nobody_reads_is_seen_as_the_same() {
        let mut whole: Pod = serde_json::from_value(json!({
            "metadata": { "name": "c-1", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                "managedFields": [{ "manager": "m", "operation": "Update" }],
                "labels": { "cnpg.io/cluster": "c", "cnpg.io/instanceRole": "primary" },
                "annotations": { OF_KUBECTL: "{}", "cnpg.io/podSpec": "{}", "pgherd.io/member": "{\"podUID\":\"u\"}" } },
            "spec": { "nodeName": "n1", "containers": [{ "name": "postgres" }], "initContainers": [{ "name": "i" }],
                "volumes": [{ "name": "pg-wal", "persistentVolumeClaim": { "claimName": "c-1-wal" } },
                    { "name": "token", "projected": { "sources": [] } }] },
            "status": { "phase": "Running", "podIP": "10.0.0.1", "conditions": [{ "type": "Ready", "status": "True" }],
                "initContainerStatuses": [{ "name": "i", "image": "", "imageID": "", "ready": true, "restartCount": 0 }],
                "containerStatuses": [{ "name": "postgres", "image": "", "imageID": "", "ready": true,
                    "restartCount": 1, "lastState": { "terminated": { "exitCode": 1, "message": "n1" } } }] }
        }))
        .unwrap();
        let seen = pod_view("c", &whole, &Around::default()).unwrap();
        let size = |pod: &Pod| serde_json::to_string(pod).unwrap().len();
        let before = size(&whole);
        pod(&mut whole);
        assert_eq!(pod_view("c", &whole, &Around::default()).unwrap(), seen);
        assert!(seen.has_wal_volume && seen.report.is_some() && seen.node.is_some());
        assert!(size(&whole) < before);
        assert_eq!(whole.annotations().keys().collect::<Vec<_>>(), ["cnpg.io/podSpec", "pgherd.io/member"]);
    }
}
