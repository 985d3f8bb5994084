//! `spec.postgresql.synchronous` and its older form, as the decisions want them; and where each instance is.

use pgherd_core::sync::{Durability, Method, SyncSpec};
use pgherd_proto::cluster::{Cluster, ClusterSpec, DataDurability, SynchronousMethod};
use pgherd_proto::labels;

/// What is asked for; nothing for asynchronous replication.
#[must_use]
pub fn sync_spec(cluster: &Cluster) -> Option<SyncSpec> {
    let count = |number: i32| u32::try_from(number).unwrap_or(0);
    let spec = &cluster.spec;
    let Some(synchronous) = spec.postgresql.as_ref().and_then(|postgresql| postgresql.synchronous.as_ref()) else {
        return (spec.max_sync_replicas > 0).then(|| SyncSpec {
            method: Method::Any,
            number: count(spec.max_sync_replicas),
            legacy_minimum: Some(count(spec.min_sync_replicas)),
            max_from_cluster: None,
            pre: Vec::new(),
            post: Vec::new(),
            durability: Durability::Preferred,
            failover_quorum: false,
        });
    };
    let durability = match synchronous.data_durability {
        DataDurability::Required => Durability::Required,
        DataDurability::Preferred => Durability::Preferred,
    };
    let annotated = cluster.metadata.annotations.as_ref().and_then(|all| all.get(labels::FAILOVER_QUORUM));
    let annotated = annotated.map(|text| matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"));
    Some(SyncSpec {
        method: match synchronous.method {
            SynchronousMethod::Any => Method::Any,
            SynchronousMethod::First => Method::First,
        },
        number: count(synchronous.number),
        legacy_minimum: None,
        max_from_cluster: synchronous.max_standby_names_from_cluster.map(count),
        pre: synchronous.standby_names_pre.clone(),
        post: synchronous.standby_names_post.clone(),
        durability,
        failover_quorum: synchronous.failover_quorum.or(annotated).unwrap_or(durability == Durability::Required),
    })
}

/// The labels by which failure domains are told apart, of pods or of nodes; `true` for nodes'.
#[must_use]
pub fn domain_keys(spec: &ClusterSpec) -> (Vec<String>, bool) {
    let Some(postgresql) = &spec.postgresql else { return (Vec::new(), false) };
    match (&postgresql.synchronous, &postgresql.sync_replica_election_constraint) {
        (Some(new), _) if !new.pod_failure_domain_keys.is_empty() => (new.pod_failure_domain_keys.clone(), false),
        (Some(new), _) => (new.node_failure_domain_keys.clone(), true),
        (None, Some(old)) if old.enabled => (old.node_labels_anti_affinity.clone(), true),
        _ => (Vec::new(), false),
    }
}

/// Where the pod `name` is, by those labels: from `status.topology`, which the controller writes. Nothing while it
/// is not known.
#[must_use]
pub fn domain(cluster: &Cluster, name: &str) -> Vec<String> {
    let (keys, _) = domain_keys(&cluster.spec);
    let topology = cluster.status.as_ref().and_then(|status| status.topology.as_ref());
    let Some(labels) = topology.and_then(|topology| topology.instances.get(name)) else { return Vec::new() };
    keys.iter().map(|key| labels.get(key).cloned().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster(spec: &serde_json::Value, status: &serde_json::Value) -> Cluster {
        let object = json!({"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "c"},
            "spec": spec, "status": status});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn required_brings_its_quorum_and_preferred_does_not() {
        let asked = |more: serde_json::Value| {
            let mut synchronous = json!({"method": "first", "number": 2});
            synchronous.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            sync_spec(&cluster(&json!({"postgresql": {"synchronous": synchronous}}), &json!({}))).unwrap()
        };
        let plain = asked(json!({}));
        assert_eq!((plain.method, plain.number, plain.durability), (Method::First, 2, Durability::Required));
        assert!(plain.failover_quorum);
        assert!(!asked(json!({"dataDurability": "preferred"})).failover_quorum);
        assert!(!asked(json!({"failoverQuorum": false})).failover_quorum);
        assert_eq!(sync_spec(&cluster(&json!({}), &json!({}))), None);
    }

    #[test]
    fn the_older_form_lowers_its_number_down_to_the_least() {
        let spec = sync_spec(&cluster(&json!({"minSyncReplicas": 1, "maxSyncReplicas": 2}), &json!({}))).unwrap();
        assert_eq!((spec.number, spec.legacy_minimum), (2, Some(1)));
    }

    #[test]
    fn a_domain_is_read_from_what_the_controller_wrote() {
        let spec =
            json!({"postgresql": {"synchronous": {"method": "any", "number": 1, "nodeFailureDomainKeys": ["zone"]}}});
        let status = json!({"topology": {"instances": {"c-1": {"zone": "a"}}, "successfullyExtracted": true}});
        let cluster = cluster(&spec, &status);
        assert_eq!(domain(&cluster, "c-1"), ["a"]);
        assert!(domain(&cluster, "c-2").is_empty());
    }
}
