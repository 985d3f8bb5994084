//! The rules of `spec.managed`, and of the extensions that a parameter calls for.

use super::Report;
use crate::cluster::{ClusterSpec, ServiceSelector};
use crate::names::{service_r, service_ro, service_rw};
use pgherd_core::rules::{names, sizes};
use std::collections::BTreeSet;

pub(super) fn check(report: &mut Report, cluster: &str, spec: &ClusterSpec) {
    if let Some(managed) = &spec.managed {
        let mut seen = BTreeSet::new();
        for (index, role) in managed.roles.iter().enumerate() {
            let path = format!("spec.managed.roles[{index}]");
            report.rule(&format!("{path}.name"), names::role(&role.name));
            if !seen.insert(role.name.as_str()) {
                report.invalid(&format!("{path}.name"), "Role name is duplicate of another");
            }
            if role.connection_limit < -1 {
                let message = "Connection limit should be positive, unless defaulting to -1";
                report.invalid(&format!("{path}.connectionLimit"), message);
            }
            if role.disable_password && role.password_secret.is_some() {
                report.invalid(&path, "This role both sets and disables a password");
            }
        }
        services(report, cluster, spec);
    }
    extensions(report, spec);
}

fn services(report: &mut Report, cluster: &str, spec: &ClusterSpec) {
    const AT: &str = "spec.managed.services";
    let Some(services) = spec.managed.as_ref().and_then(|managed| managed.services.as_ref()) else { return };
    if services.disabled_default_services.contains(&ServiceSelector::Rw) {
        report.invalid(&format!("{AT}.disabledDefaultServices"), "service of type RW cannot be disabled.");
    }
    let ours = [service_rw(cluster), service_ro(cluster), service_r(cluster), format!("{cluster}-any")];
    let mut seen = BTreeSet::new();
    for (index, service) in services.additional.iter().enumerate() {
        let path = format!("{AT}.additional[{index}]");
        let name = service.service_template.metadata.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            report.invalid(&path, "name is required");
        } else if ours.iter().any(|reserved| reserved == name) {
            report.invalid(&path, &format!("the service name: '{name}' is reserved for operator use"));
        }
        if !seen.insert(name) {
            report.invalid(&format!("{AT}.additional"), "contains services with the same .metadata.name");
        }
        let selector = service.service_template.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        if selector.is_some_and(|selector| !selector.is_empty()) {
            report.invalid(&path, "selector field is managed by the operator");
        }
    }
}

/// `pg_failover_slots` lives on what standbys tell their primary, and on the slots that are ours.
fn extensions(report: &mut Report, spec: &ClusterSpec) {
    let Some(postgresql) = &spec.postgresql else { return };
    let mut seen = BTreeSet::new();
    for (index, extension) in postgresql.extensions.iter().enumerate() {
        if !seen.insert(extension.name.replace('_', "-")) {
            report.invalid(&format!("spec.postgresql.extensions[{index}].name"), "another extension has this name");
        }
    }
    if !postgresql.parameters.keys().any(|name| name.starts_with("pg_failover_slots.")) {
        return;
    }
    if !sizes::is_on(&postgresql.parameters, "hot_standby_feedback", false) {
        let message = "`hot_standby_feedback` must be enabled to use pg_failover_slots extension";
        report.invalid("spec.postgresql.parameters", message);
    }
    if !spec.replication_slots().high_availability.enabled {
        let message = "High Availability replication slots must be enabled to use pg_failover_slots extension";
        report.invalid("spec.replicationSlots.highAvailability", message);
    }
}
