//! The Cluster in JSON: the example manifest, the defaults, and what is unknown.

use super::*;
use kube::CustomResourceExt;
use serde_json::{Value, json};

const EXAMPLE: &str = include_str!("../../../docs/examples/cluster.yaml");

/// Whether `whole` has everything that `part` has.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| contains(found, value)))
        }
        _ => whole == part,
    }
}

#[test]
fn the_example_manifest_keeps_every_field_and_leaves_nothing_unknown() {
    let raw: Value = serde_yaml_ng::from_str(EXAMPLE).unwrap();
    let cluster: Cluster = serde_json::from_value(raw.clone()).unwrap();
    let again = serde_json::to_value(&cluster).unwrap();
    assert!(contains(&again, &raw), "{again:#}");
    assert_eq!(cluster.spec.extra, Extra::default());
    let store = cluster.spec.backup.as_ref().unwrap().barman_object_store.as_ref().unwrap();
    assert_eq!(store.wal.as_ref().unwrap().compression, Some(WalCompression::Gzip));
    assert_eq!(store.wal.as_ref().unwrap().max_parallel, 4);
    assert_eq!(store.data.as_ref().unwrap().jobs, 2);
    assert_eq!(serde_json::from_value::<Cluster>(again).unwrap(), cluster);
}

#[test]
fn what_is_absent_has_cnpgs_defaults() {
    let spec: ClusterSpec = serde_json::from_value(json!({"storage": {"size": "1Gi"}, "affinity": {}})).unwrap();
    assert_eq!((spec.instances, spec.postgres_uid, spec.postgres_gid), (1, 26, 26));
    assert_eq!((spec.start_delay, spec.stop_delay, spec.switchover_delay, spec.failover_delay), (3600, 1800, 3600, 0));
    let app = spec.application();
    assert_eq!((app.database.as_str(), app.owner.as_str()), ("app", "app"));
    assert_eq!(spec.affinity.unwrap().topology_key, "kubernetes.io/hostname");
    assert!(spec.enable_pdb && !spec.enable_superuser_access && spec.smart_shutdown_timeout.is_none());
}

#[test]
fn the_lease_timings_default_to_ours() {
    let spec: ClusterSpec = serde_json::from_value(json!({"primaryLease": {"retryPeriodSeconds": 1}})).unwrap();
    assert_eq!(spec.timings().lease_duration.as_secs(), 8);
    assert_eq!(spec.timings().renew_deadline.as_secs(), 5);
    assert_eq!(spec.timings().retry_period.as_secs(), 1);
    assert_eq!(ClusterSpec::default().timings(), pgherd_core::lease::Timings::default());
}

#[test]
fn an_owner_defaults_to_the_database() {
    let spec: ClusterSpec = serde_json::from_value(json!({"bootstrap": {"initdb": {"database": "shop"}}})).unwrap();
    let app = spec.application();
    assert_eq!((app.database.as_str(), app.owner.as_str()), ("shop", "shop"));
}

#[test]
fn a_field_that_is_not_known_is_kept_to_be_named() {
    let spec: ClusterSpec = serde_json::from_value(json!({"later": [], "postgresql": {"still": {"port": 1}}})).unwrap();
    assert!(spec.extra.contains_key("later"));
    assert!(spec.postgresql.unwrap().extra.contains_key("still"));
}

#[test]
fn the_status_keeps_what_a_newer_controller_wrote() {
    let raw = json!({"phase": phase::HEALTHY, "somethingNew": {"a": 1}});
    let status: ClusterStatus = serde_json::from_value(raw.clone()).unwrap();
    assert_eq!(serde_json::to_value(status).unwrap(), raw);
}

#[test]
fn the_crd_has_the_columns_and_subresources_that_tools_use() {
    let crd = serde_json::to_value(Cluster::crd()).unwrap();
    let version = &crd["spec"]["versions"][0];
    let columns: Vec<_> =
        version["additionalPrinterColumns"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(columns, ["Age", "Instances", "Ready", "Status", "Primary"]);
    assert_eq!(version["subresources"]["scale"]["specReplicasPath"], ".spec.instances");
    assert_eq!(version["subresources"]["status"], json!({}));
    let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
    assert_eq!(spec["x-kubernetes-preserve-unknown-fields"], true);
    assert_eq!(spec["properties"]["instances"]["default"], 1);
    assert_eq!(spec["properties"]["instances"]["minimum"], 1.0);
    assert_eq!(spec["properties"]["backup"]["properties"]["barmanObjectStore"]["required"], json!(["destinationPath"]));
}

#[test]
fn synchronous_replication_is_read_with_cnpgs_names_and_defaults() {
    let spec: ClusterSpec = serde_json::from_value(json!({"postgresql": {"synchronous": {"method": "any", "number": 1,
        "maxStandbyNamesFromCluster": 2, "standbyNamesPre": ["a"], "nodeFailureDomainKeys": ["zone"]}}}))
    .unwrap();
    let synchronous = spec.postgresql.unwrap().synchronous.unwrap();
    assert_eq!((synchronous.method, synchronous.number), (SynchronousMethod::Any, 1));
    assert_eq!((synchronous.data_durability, synchronous.failover_quorum), (DataDurability::Required, None));
    assert_eq!(synchronous.max_standby_names_from_cluster, Some(2));
    assert_eq!(synchronous.extra, Extra::default());
}
