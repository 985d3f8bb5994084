//! The rules of a Cluster.

use super::{Report, advice, bootstrap, managed, object_store, pods, references, synchronous, volumes};
use crate::cel;
use crate::cluster::{Cluster, ClusterSpec};
use crate::finding::{Finding, Kind};
use crate::labels;
use crate::unsupported;
use k8s_openapi::api::core::v1::ResourceRequirements;
use pgherd_core::rules::{
    bounds, cluster as rules, cron::Schedule, majors, parameters, quantity, retention::Retention,
};

/// Everything that is to be said about `cluster`. It can be used if no finding is an error.
#[must_use]
pub fn cluster(cluster: &Cluster) -> Vec<Finding> {
    let mut report = Report::default();
    let name = cluster.metadata.name.as_deref().unwrap_or_default();
    report.rule("metadata.name", rules::cluster_name(name));
    let spec = &cluster.spec;
    let instances = report.rule("spec.instances", rules::instances(i64::from(spec.instances)));
    volumes::check(&mut report, spec);
    postgresql(&mut report, spec, instances.unwrap_or(1));
    let annotations = cluster.metadata.annotations.as_ref();
    let quorum = annotations.and_then(|all| all.get(labels::FAILOVER_QUORUM)).map(String::as_str);
    synchronous::check(&mut report, name, spec, instances.unwrap_or(1), quorum);
    bootstrap::check(&mut report, spec);
    references::check(&mut report, spec);
    managed::check(&mut report, name, spec);
    pods::check(&mut report, spec);
    hibernation(&mut report, cluster);
    numbers(&mut report, spec);
    if let Some(resources) = &spec.resources {
        limits(&mut report, resources);
    }
    if let Some(backup) = &spec.backup {
        if let Some(policy) = backup.retention_policy.as_deref().filter(|policy| !policy.is_empty()) {
            report.rule("spec.backup.retentionPolicy", policy.parse::<Retention>());
        }
        if let Some(store) = &backup.barman_object_store {
            object_store::check(&mut report, "spec.backup.barmanObjectStore", store);
        }
    }
    drills(&mut report, cluster);
    // The types here are plain data with string keys: they always have a JSON.
    let json = serde_json::to_value(cluster).unwrap_or_default();
    for finding in cel::broken("Cluster", &json).into_iter().chain(unsupported::used("Cluster", &json)) {
        report.push(finding);
    }
    advice::give(&mut report, spec);
    report.into_findings()
}

fn hibernation(report: &mut Report, cluster: &Cluster) {
    let given = cluster.metadata.annotations.as_ref().and_then(|all| all.get(labels::HIBERNATION));
    if given.is_some_and(|value| value != "on" && value != "off") {
        let path = format!("metadata.annotations.{}", labels::HIBERNATION);
        report.invalid(&path, "Annotation value for hibernation should be \"on\" or \"off\"");
    }
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

fn postgresql(report: &mut Report, spec: &ClusterSpec, instances: u32) {
    let major = spec.postgres_major();
    let Some(postgresql) = &spec.postgresql else { return };
    for error in major.map(|major| majors::check(major, &postgresql.parameters)).unwrap_or_default() {
        report.rule::<(), _>("spec.postgresql.parameters", Err(error));
    }
    let archiving = spec.object_store().is_some();
    for error in parameters::check(&postgresql.parameters, instances, archiving) {
        report.rule::<(), _>("spec.postgresql.parameters", Err(error));
    }
    for (index, line) in postgresql.pg_hba.iter().enumerate().filter(|(_, line)| line.contains("${podselector:")) {
        let message = format!("{line:?} refers to podSelectorRefs, which are not supported: write an address");
        report.invalid(&format!("spec.postgresql.pg_hba[{index}]"), &message);
    }
    for (field, lines) in [("pg_hba", &postgresql.pg_hba), ("pg_ident", &postgresql.pg_ident)] {
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(['\n', '\r', '\0'])) {
            let path = format!("spec.postgresql.{field}[{index}]");
            report.push(Finding::new(Kind::Invalid, path, format!("{line:?} is more than one line: split it")));
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
