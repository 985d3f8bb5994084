//! What is said about manifests, good and bad.

use super::*;
use crate::cluster::Cluster;
use crate::finding::Severity;
use serde_json::{Value, json};

fn example() -> Value {
    serde_yaml_ng::from_str(include_str!("../../../docs/examples/cluster.yaml")).unwrap()
}

fn findings(object: &Value) -> Vec<Finding> {
    cluster(&serde_json::from_value::<Cluster>(object.clone()).unwrap())
}

fn errors(object: &Value) -> Vec<String> {
    findings(object).into_iter().filter(Finding::is_error).map(|finding| finding.path).collect()
}

fn with(path: &str, value: Value) -> Value {
    let mut object = example();
    let (parent, name) = path.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[name] = value;
    object
}

#[test]
fn the_example_is_valid_and_only_what_does_nothing_yet_is_named() {
    let said = findings(&example());
    assert!(said.iter().all(|finding| finding.severity == Severity::Warning), "{said:#?}");
    let ignored: Vec<_> = said.iter().filter(|f| f.kind == Kind::Ignored).map(|f| f.path.as_str()).collect();
    assert_eq!(ignored, [""; 0], "all that it asks for is done");
    assert!(said.iter().any(|f| f.kind == Kind::Advice && f.message.contains("asynchronous")), "{said:#?}");
}

#[test]
fn each_rule_is_reported_at_its_field() {
    for (path, value, reported) in [
        ("/metadata/name", json!("Bad_Name"), "metadata.name"),
        ("/spec/instances", json!(0), "spec.instances"),
        ("/spec/storage/size", json!("lots"), "spec.storage.size"),
        ("/spec/storage", json!({}), "spec.storage.size"),
        ("/spec/postgresql/parameters", json!({"archive_command": "true"}), "spec.postgresql.parameters"),
        ("/spec/postgresql/parameters", json!({"wal_level": "minimal"}), "spec.postgresql.parameters"),
        ("/spec/postgresql/pg_hba", json!(["host all\nall"]), "spec.postgresql.pg_hba[0]"),
        (
            "/spec/bootstrap",
            json!({"initdb": {"database": "postgres", "owner": "app"}}),
            "spec.bootstrap.initdb.database",
        ),
        ("/spec/bootstrap", json!({"initdb": {"owner": "postgres"}}), "spec.bootstrap.initdb.owner"),
        ("/spec/primaryLease", json!({"leaseDurationSeconds": 5}), "spec.primaryLease"),
        ("/spec/stopDelay", json!(-1), "spec.stopDelay"),
        ("/spec/postgresUID", json!(0), "spec.postgresUID"),
        ("/spec/resources/requests/memory", json!("16Gi"), "spec.resources.requests.memory"),
        ("/spec/backup/retentionPolicy", json!("30"), "spec.backup.retentionPolicy"),
        (
            "/spec/backup/barmanObjectStore/destinationPath",
            json!("db"),
            "spec.backup.barmanObjectStore.destinationPath",
        ),
        ("/spec/backup/barmanObjectStore/s3Credentials", json!({}), "spec.backup.barmanObjectStore.s3Credentials"),
        ("/spec/backup/barmanObjectStore/wal/maxParallel", json!(0), "spec.backup.barmanObjectStore.wal.maxParallel"),
        ("/spec/tablespaces", json!([{"name": "fast", "storage": {"size": "1Gi"}}]), "spec.tablespaces"),
        (
            "/spec/replicationSlots",
            json!({"highAvailability": {"slotPrefix": "Bad-"}}),
            "spec.replicationSlots.highAvailability.slotPrefix",
        ),
        (
            "/spec/replicationSlots",
            json!({"synchronizeReplicas": {"excludePatterns": ["("]}}),
            "spec.replicationSlots.synchronizeReplicas.excludePatterns",
        ),
    ] {
        assert_eq!(errors(&with(path, value.clone())), [reported], "{path} = {value}");
    }
}

/// The lists are CNPG's and ours; how long they are is written here, so that no name is lost from them unnoticed.
#[test]
fn every_fixed_and_blocked_parameter_is_refused_by_name() {
    use pgherd_core::pgconf::fixed::{BLOCKED, FIXED, OURS};
    for (list, length, reason) in
        [(FIXED, 30, "is set by the manager"), (BLOCKED, 34, "may not be changed"), (OURS, 5, "may not be changed")]
    {
        assert_eq!(list.len(), length, "{list:?}");
        for name in list {
            for spelling in [(*name).to_owned(), name.to_uppercase()] {
                let said = findings(&with("/spec/postgresql/parameters", json!({ spelling.clone(): "x" })));
                let by_name = |finding: &&Finding| {
                    finding.is_error()
                        && finding.path == "spec.postgresql.parameters"
                        && finding.message.contains(&format!("{spelling:?} {reason}"))
                };
                assert_eq!(said.iter().filter(by_name).count(), 1, "{spelling}: {said:#?}");
            }
        }
    }
}

#[test]
fn a_volume_may_grow_and_not_shrink() {
    let spec = |size: &str| serde_json::from_value::<Cluster>(with("/spec/storage/size", json!(size))).unwrap().spec;
    assert_eq!(change(&spec("100Gi"), &spec("200Gi")), []);
    assert_eq!(change(&spec("100Gi"), &spec("99Gi"))[0].path, "spec.storage.size");
}

#[test]
fn a_maintenance_window_in_which_volumes_are_given_up_is_named_as_without_effect() {
    let named = |window: Value| {
        let said = findings(&with("/spec/nodeMaintenanceWindow", window));
        said.into_iter().find(|finding| finding.path.starts_with("spec.nodeMaintenanceWindow"))
    };
    assert_eq!(named(json!({ "inProgress": true, "reusePVC": true })), None);
    let found = named(json!({ "inProgress": true, "reusePVC": false })).expect("it is named");
    assert!(!found.is_error() && found.message.contains("destroy the instance"), "{found:?}");
}

#[test]
fn another_major_is_refused_for_a_cluster_that_is_there_and_says_what_to_do_instead() {
    let spec = |image: &str| serde_json::from_value::<Cluster>(with("/spec/imageName", json!(image))).unwrap().spec;
    let unnamed = serde_json::from_value::<Cluster>(with("/spec/instances", json!(3))).unwrap().spec;
    assert_eq!(change(&spec("pg:15.2"), &spec("pg:15.8")), []);
    for old in [spec("pg:15.2"), unnamed] {
        let found = change(&old, &spec("pg:16"));
        assert_eq!(found[0].path, "spec.imageName");
        assert!(found[0].is_error() && found[0].message.contains("pg_dump"), "{found:?}");
    }
}

#[test]
fn what_a_major_would_not_start_with_is_refused_by_the_images_tag() {
    let mut object = with("/spec/imageName", json!("ghcr.io/cloudnative-pg/postgresql:16.4"));
    object["spec"]["postgresql"]["parameters"]["io_method"] = json!("worker");
    let said: Vec<_> = findings(&object).into_iter().filter(Finding::is_error).collect();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(
        said[0].path == "spec.postgresql.parameters" && said[0].message.contains("since PostgreSQL 18"),
        "{said:#?}"
    );
    object["spec"]["imageName"] = json!("ghcr.io/cloudnative-pg/postgresql:18.1");
    assert_eq!(errors(&object), [""; 0]);
    for image in ["pg:13", "pg:19"] {
        assert_eq!(errors(&with("/spec/imageName", json!(image))), ["spec.imageName"], "{image}");
    }
    let segments = |size: i32| with("/spec/bootstrap", json!({"initdb": {"walSegmentSize": size}}));
    assert_eq!(errors(&segments(64)), [""; 0]);
    assert_eq!(errors(&segments(3)), ["spec.bootstrap.initdb"]);
    let mut small = segments(64);
    small["spec"]["postgresql"]["parameters"]["min_wal_size"] = json!("80MB");
    assert_eq!(errors(&small), ["spec.postgresql.parameters"]);
}

#[test]
fn a_schedule_of_five_fields_says_how_it_is_read() {
    let raw: Value = serde_yaml_ng::from_str(include_str!("../../../docs/examples/scheduledbackup.yaml")).unwrap();
    let said = scheduled_backup(&serde_json::from_value(raw).unwrap());
    assert!(said.iter().all(|finding| !finding.is_error()), "{said:#?}");
    let paths: Vec<_> = said.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(paths, ["metadata.namespace", "spec.schedule"], "and nothing of it is in vain");
}

#[test]
fn a_schedule_that_cannot_be_read_is_an_error() {
    let raw = json!({"metadata": {"name": "b"}, "apiVersion": "postgresql.cnpg.io/v1", "kind": "ScheduledBackup",
        "spec": {"schedule": "sometimes", "cluster": {"name": "db"}}});
    let said = scheduled_backup(&serde_json::from_value(raw).unwrap());
    assert!(said.iter().any(|finding| finding.is_error() && finding.path == "spec.schedule"), "{said:#?}");
}

#[test]
fn what_synchronous_replication_may_be_is_checked_rule_by_rule() {
    let at = "spec.postgresql.synchronous";
    for (value, reported) in [
        (json!({"method": "any", "number": 0}), "spec.postgresql.synchronous.number"),
        (json!({"method": "first", "number": 3}), "spec.postgresql.synchronous.number"),
        (json!({"method": "any", "number": 1, "standbyNamesPre": ["x"]}), at),
        (json!({"method": "any", "number": 1, "standbyNamesPost": ["x"], "dataDurability": "preferred"}), at),
        (json!({"method": "any", "number": 1, "podFailureDomainKeys": ["a"], "nodeFailureDomainKeys": ["b"]}), at),
        (
            json!({"method": "any", "number": 2, "standbyNamesPre": ["phoenix-guardian-db-2"]}),
            "spec.postgresql.synchronous.standbyNamesPre",
        ),
    ] {
        let object = with("/spec/postgresql/synchronous", value.clone());
        assert_eq!(broken(&object), [reported], "{value}");
    }
    assert_eq!(broken(&with("/spec/maxSyncReplicas", json!(3))), ["spec.maxSyncReplicas"]);
    assert_eq!(broken(&with("/spec/minSyncReplicas", json!(1))), ["spec.minSyncReplicas"]);
    let both = with("/spec/postgresql/synchronous", json!({"method": "any", "number": 1}));
    let mut both = both;
    both["spec"]["maxSyncReplicas"] = json!(1);
    assert_eq!(broken(&both), [at]);
}

/// The rules that are broken, by field.
fn broken(object: &Value) -> Vec<String> {
    findings(object).into_iter().filter(|found| found.kind == Kind::Invalid).map(|finding| finding.path).collect()
}

#[test]
fn a_slots_prefix_stays_while_the_slots_are_there() {
    let spec = |prefix: &str, enabled: bool| {
        let slots = json!({"highAvailability": {"slotPrefix": prefix, "enabled": enabled}});
        serde_json::from_value::<Cluster>(with("/spec/replicationSlots", slots)).unwrap().spec
    };
    assert_eq!(change(&spec("a_", true), &spec("b_", false)), []);
    assert_eq!(change(&spec("a_", true), &spec("b_", true)).len(), 1);
}
