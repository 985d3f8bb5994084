//! The rules of a Cluster.

use super::{Report, advice, object_store, synchronous};
use crate::cluster::{Cluster, ClusterSpec, StorageConfiguration};
use crate::finding::{Finding, Kind};
use crate::labels;
use crate::unsupported;
use k8s_openapi::api::core::v1::ResourceRequirements;
use pgherd_core::rules::{
    bounds, cluster as rules, cron::Schedule, majors, parameters, quantity, retention::Retention, wal_sizes,
};

/// Everything that is to be said about `cluster`. It can be used if no finding is an error.
#[must_use]
pub fn cluster(cluster: &Cluster) -> Vec<Finding> {
    let mut report = Report::default();
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    report.rule("metadata.name", rules::cluster_name(name));
    let spec = &cluster.spec;
    let instances = report.rule("spec.instances", rules::instances(i64::from(spec.instances)));
    storage(&mut report, spec.storage.as_ref());
    postgresql(&mut report, spec, instances.unwrap_or(1));
    let annotations = cluster.metadata.annotations.as_ref();
    let quorum = annotations.and_then(|all| all.get(labels::FAILOVER_QUORUM)).map(String::as_str);
    synchronous::check(&mut report, name, spec, instances.unwrap_or(1), quorum);
    bootstrap(&mut report, spec);
    numbers(&mut report, spec);
    if let Some(resources) = &spec.resources {
        limits(&mut report, resources);
    }
    if let Some(backup) = &spec.backup {
        if let Some(policy) = backup.retention_policy.as_deref().filter(|policy| !policy.is_empty()) {
            report.rule("spec.backup.retentionPolicy", policy.parse::<Retention>());
        }
        if let Some(store) = &backup.barman_object_store {
            object_store::check(&mut report, "spec.backup.barmanObjectStore", store, true);
        }
    }
    drills(&mut report, cluster);
    // The types here are plain data with string keys: they always have a JSON.
    for finding in serde_json::to_value(cluster).map(|json| unsupported::used("Cluster", &json)).unwrap_or_default() {
        report.push(finding);
    }
    advice::give(&mut report, spec);
    report.into_findings()
}

/// A schedule that nobody can read would be a proof that never comes.
fn drills(report: &mut Report, cluster: &Cluster) {
    let path = |name: &str| format!("metadata.annotations.{name}");
    if let Some(schedule) = cluster.drill_schedule() {
        report.rule(&path(labels::VERIFY_SCHEDULE), schedule.parse::<Schedule>());
    }
    let timeout = cluster.metadata.annotations.as_ref().and_then(|all| all.get(labels::VERIFY_TIMEOUT));
    if timeout.is_some_and(|text| text.parse::<u32>().is_ok_and(|seconds| seconds > 0)) {
        return;
    }
    if let Some(text) = timeout {
        let message = format!("{text:?} is no number of seconds");
        report.push(Finding::new(Kind::Invalid, path(labels::VERIFY_TIMEOUT), message));
    }
}

fn storage(report: &mut Report, storage: Option<&StorageConfiguration>) {
    match storage {
        Some(storage) if !storage.size.is_empty() => {
            report.rule("spec.storage.size", quantity::storage_size(&storage.size));
        }
        _ => report.push(
            Finding::new(Kind::Invalid, "spec.storage.size", "is required and missing")
                .hint("write size: 10Gi, for one"),
        ),
    }
}

fn postgresql(report: &mut Report, spec: &ClusterSpec, instances: u32) {
    let major = rules::image_major(spec.postgres_image());
    report.rule("spec.imageName", major.map_or(Ok(()), majors::supported));
    let Some(postgresql) = &spec.postgresql else { return };
    for error in major.map(|major| majors::check(major, &postgresql.parameters)).unwrap_or_default() {
        report.rule::<(), _>("spec.postgresql.parameters", Err(error));
    }
    let archiving = spec.object_store().is_some();
    for error in parameters::check(&postgresql.parameters, instances, archiving) {
        report.rule::<(), _>("spec.postgresql.parameters", Err(error));
    }
    for (field, lines) in [("pg_hba", &postgresql.pg_hba), ("pg_ident", &postgresql.pg_ident)] {
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(['\n', '\r', '\0'])) {
            let path = format!("spec.postgresql.{field}[{index}]");
            report.push(Finding::new(Kind::Invalid, path, format!("{line:?} is more than one line: split it")));
        }
    }
}

fn bootstrap(report: &mut Report, spec: &ClusterSpec) {
    let app = spec.application();
    let path = if spec.recovery().is_some() { "spec.bootstrap.recovery" } else { "spec.bootstrap.initdb" };
    let database = format!("{path}.database");
    report.rule(&database, rules::database_name("database", &app.database));
    report.rule(&format!("{path}.owner"), rules::owner_name("owner", &app.owner));
    let segment = i64::from(spec.initdb().wal_segment_size.unwrap_or(16));
    let size = report.rule("spec.bootstrap.initdb.walSegmentSize", wal_sizes::segment(segment));
    let given = spec.postgresql.as_ref().map(|postgresql| &postgresql.parameters).filter(|_| spec.recovery().is_none());
    for error in given.zip(size).map(|(given, size)| wal_sizes::check(given, size)).unwrap_or_default() {
        report.rule::<(), _>("spec.postgresql.parameters", Err(error));
    }
    let own = |name: &str| ["postgres", "template0", "template1"].contains(&name);
    if own(&app.database) {
        let message = format!("{:?} is postgres' own database: choose another", app.database);
        report.push(Finding::new(Kind::Invalid, database, message));
    }
    if spec.bootstrap.as_ref().is_some_and(|bootstrap| bootstrap.initdb.is_some() && bootstrap.recovery.is_some()) {
        let message = "initdb and recovery are both set: the first database is made in one way";
        report.push(Finding::new(Kind::Invalid, "spec.bootstrap", message));
    }
    if let Some(recovery) = spec.recovery() {
        report.rule("spec.bootstrap.recovery", spec.recovery_archive(recovery));
        report.rule("spec.bootstrap.recovery.recoveryTarget", recovery.target());
    }
    for (index, external) in spec.external_clusters.iter().enumerate() {
        if let Some(store) = &external.barman_object_store {
            object_store::check(report, &format!("spec.externalClusters[{index}].barmanObjectStore"), store, false);
        }
    }
}

fn numbers(report: &mut Report, spec: &ClusterSpec) {
    for (field, value) in [
        ("startDelay", Some(spec.start_delay)),
        ("stopDelay", Some(spec.stop_delay)),
        ("smartShutdownTimeout", spec.smart_shutdown_timeout),
        ("switchoverDelay", Some(spec.switchover_delay)),
        ("failoverDelay", Some(spec.failover_delay)),
    ] {
        if let Some(value) = value {
            report.rule(&format!("spec.{field}"), bounds::delay_seconds(field, i64::from(value)));
        }
    }
    report.rule("spec.postgresUID", bounds::postgres_id("postgresUID", spec.postgres_uid));
    report.rule("spec.postgresGID", bounds::postgres_id("postgresGID", spec.postgres_gid));
    report.rule("spec.primaryLease", spec.timings().check());
    if let Some(lease) = &spec.primary_lease {
        for (field, value) in [
            ("leaseDurationSeconds", lease.lease_duration_seconds),
            ("renewDeadlineSeconds", lease.renew_deadline_seconds),
            ("retryPeriodSeconds", lease.retry_period_seconds),
            ("releasedLeaseDurationSeconds", lease.released_lease_duration_seconds),
        ] {
            if value < 1 {
                let path = format!("spec.primaryLease.{field}");
                report.push(Finding::new(Kind::Invalid, path, format!("{field} is {value}: it must be 1 or more")));
            }
        }
    }
}

/// Kubernetes refuses a pod whose requests exceed its limits; better to hear it of the Cluster.
fn limits(report: &mut Report, resources: &ResourceRequirements) {
    for (side, values) in [("requests", &resources.requests), ("limits", &resources.limits)] {
        for (name, value) in values.iter().flatten() {
            report.rule(&format!("spec.resources.{side}.{name}"), quantity::quantity(&value.0));
        }
    }
    for (name, request) in resources.requests.iter().flatten() {
        let Some(limit) = resources.limits.as_ref().and_then(|limits| limits.get(name)) else { continue };
        if let (Ok(wanted), Ok(most)) = (quantity::quantity(&request.0), quantity::quantity(&limit.0))
            && wanted > most
        {
            let message = format!("requests {} of {name}, more than its limit {}", request.0, limit.0);
            report.push(Finding::new(Kind::Invalid, format!("spec.resources.requests.{name}"), message));
        }
    }
}
