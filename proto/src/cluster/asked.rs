//! What a Cluster asks of synchronous replication and of its archive, as the decisions want it: both programs read it here.

use super::{BarmanObjectStore, Cluster, ClusterSpec, DataDurability, SynchronousMethod};
use crate::labels;
use pgherd_core::cluster::DomainKeys;
use pgherd_core::sync::{Durability, Method, SyncSpec};
use std::collections::BTreeMap;

impl ClusterSpec {
    /// `backup.barmanObjectStore`: where WAL and base backups go, if they go anywhere.
    #[must_use]
    pub fn object_store(&self) -> Option<&BarmanObjectStore> {
        self.backup.as_ref()?.barman_object_store.as_ref()
    }

    /// What is asked for; nothing for asynchronous replication. `annotated` is what the annotation of the Cluster says of
    /// the quorum.
    #[must_use]
    pub fn sync_spec(&self, annotated: Option<bool>) -> Option<SyncSpec> {
        let count = |number: i32| u32::try_from(number).unwrap_or(0);
        let Some(synchronous) = self.postgresql.as_ref().and_then(|postgresql| postgresql.synchronous.as_ref()) else {
            return (self.max_sync_replicas > 0).then(|| SyncSpec {
                method: Method::Any,
                number: count(self.max_sync_replicas),
                legacy_minimum: Some(count(self.min_sync_replicas)),
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

    /// The labels by which failure domains are told apart.
    #[must_use]
    pub fn domain_keys(&self) -> DomainKeys {
        let of = |keys: &[String], of_nodes: bool| DomainKeys { keys: keys.to_vec(), of_nodes };
        let Some(postgresql) = &self.postgresql else { return DomainKeys::default() };
        match (&postgresql.synchronous, &postgresql.sync_replica_election_constraint) {
            (Some(new), _) if !new.pod_failure_domain_keys.is_empty() => of(&new.pod_failure_domain_keys, false),
            (Some(new), _) if !new.node_failure_domain_keys.is_empty() => of(&new.node_failure_domain_keys, true),
            (None, Some(old)) if old.enabled => of(&old.node_labels_anti_affinity, true),
            _ => DomainKeys::default(),
        }
    }
}

impl Cluster {
    /// What annotation `alpha.cnpg.io/failoverQuorum` says, by the words that CNPG takes for yes.
    #[must_use]
    pub fn annotated_quorum(&self) -> Option<bool> {
        let text = self.metadata.annotations.as_ref()?.get(labels::FAILOVER_QUORUM)?;
        Some(matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// Where each instance is, by the labels of [`ClusterSpec::domain_keys`]: from `status.topology`, which the
    /// controller writes. One of whose place none of them tells is not there: it may be anywhere.
    #[must_use]
    pub fn domains(&self) -> BTreeMap<String, Vec<String>> {
        let keys = self.spec.domain_keys().keys;
        let topology = self.status.as_ref().and_then(|status| status.topology.as_ref());
        let known = topology.into_iter().flat_map(|topology| &topology.instances);
        let place = |labels: &BTreeMap<String, String>| {
            let told = keys.iter().any(|key| labels.contains_key(key));
            told.then(|| keys.iter().map(|key| labels.get(key).cloned().unwrap_or_default()).collect())
        };
        known.filter_map(|(name, labels)| Some((name.clone(), place(labels)?))).collect()
    }
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
            cluster(&json!({"postgresql": {"synchronous": synchronous}}), &json!({})).spec.sync_spec(None).unwrap()
        };
        let plain = asked(json!({}));
        assert_eq!((plain.method, plain.number, plain.durability), (Method::First, 2, Durability::Required));
        assert!(plain.failover_quorum);
        assert!(!asked(json!({"dataDurability": "preferred"})).failover_quorum);
        assert!(!asked(json!({"failoverQuorum": false})).failover_quorum);
        assert_eq!(cluster(&json!({}), &json!({})).spec.sync_spec(None), None);
    }

    #[test]
    fn the_older_form_lowers_its_number_down_to_the_least() {
        let cluster = cluster(&json!({"minSyncReplicas": 1, "maxSyncReplicas": 2}), &json!({}));
        let spec = cluster.spec.sync_spec(None).unwrap();
        assert_eq!((spec.number, spec.legacy_minimum), (2, Some(1)));
    }

    #[test]
    fn domains_are_read_from_what_the_controller_wrote_and_a_place_without_a_label_is_not_known() {
        let spec =
            json!({"postgresql": {"synchronous": {"method": "any", "number": 1, "nodeFailureDomainKeys": ["zone"]}}});
        let instances = json!({"c-1": {"zone": "a"}, "c-2": {}, "c-3": {"rack": "of keys before"}});
        let status = json!({"topology": {"instances": instances, "successfullyExtracted": true}});
        assert_eq!(cluster(&spec, &status).domains(), BTreeMap::from([("c-1".to_owned(), vec!["a".to_owned()])]));
        assert!(cluster(&json!({}), &status).domains().is_empty(), "nobody asked");
    }

    #[test]
    fn an_annotation_asks_for_the_quorum_where_the_field_says_nothing() {
        let spec =
            json!({"postgresql": {"synchronous": {"method": "any", "number": 1, "dataDurability": "preferred"}}});
        let mut cluster = cluster(&spec, &json!({}));
        assert_eq!(cluster.annotated_quorum(), None);
        cluster.metadata.annotations = Some([(labels::FAILOVER_QUORUM.to_owned(), "true".to_owned())].into());
        assert!(cluster.spec.sync_spec(cluster.annotated_quorum()).unwrap().failover_quorum);
    }

    #[test]
    fn domains_are_told_apart_by_pods_or_nodes_in_either_form() {
        let keys = |spec: &serde_json::Value| {
            let keys = cluster(spec, &json!({})).spec.domain_keys();
            (keys.keys.join(","), keys.of_nodes)
        };
        let asked =
            |field: &str| json!({"postgresql": {"synchronous": {"method": "any", "number": 1, field: ["zone"]}}});
        assert_eq!(keys(&asked("podFailureDomainKeys")), ("zone".into(), false));
        assert_eq!(keys(&asked("nodeFailureDomainKeys")), ("zone".into(), true));
        let older = |enabled: bool| {
            let constraint = json!({"enabled": enabled, "nodeLabelsAntiAffinity": ["zone"]});
            json!({"maxSyncReplicas": 1, "postgresql": {"syncReplicaElectionConstraint": constraint}})
        };
        assert_eq!(keys(&older(true)), ("zone".into(), true));
        assert_eq!(keys(&older(false)), (String::new(), false));
    }
}
