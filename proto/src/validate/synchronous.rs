//! The rules of synchronous replication and of replication slots.

use super::Report;
use crate::cluster::{ClusterSpec, DataDurability, SynchronousReplication};
use crate::finding::{Finding, Kind};
use crate::labels;
use pgherd_core::rules::synchronous as rules;

pub(super) fn check(report: &mut Report, cluster: &str, spec: &ClusterSpec, instances: u32, annotation: Option<&str>) {
    let postgresql = spec.postgresql.as_ref();
    let synchronous = postgresql.and_then(|postgresql| postgresql.synchronous.as_ref());
    let (least, most) = (i64::from(spec.min_sync_replicas), i64::from(spec.max_sync_replicas));
    report.rule("spec.postgresql.synchronous", rules::one_form(synchronous.is_some(), least, most));
    if most != 0 {
        report.rule("spec.maxSyncReplicas", rules::most(most, instances));
    }
    report.rule("spec.minSyncReplicas", rules::least(least, most.max(0)));
    if let Some(constraint) = postgresql.and_then(|postgresql| postgresql.sync_replica_election_constraint.as_ref()) {
        let labels = constraint.node_labels_anti_affinity.len();
        let path = "spec.postgresql.syncReplicaElectionConstraint.nodeLabelsAntiAffinity";
        report.rule(path, rules::election_constraint(constraint.enabled, labels));
    }
    let quorum = annotation.map(|text| report.quorum(text));
    match synchronous {
        Some(synchronous) => explicit(report, cluster, synchronous, instances),
        None if quorum == Some(Some(true)) => {
            let error: Result<(), _> = Err(rules::SynchronousError::QuorumOfNothing);
            report.rule("spec.postgresql.synchronous", error);
        }
        None => {}
    }
    slots(report, spec);
}

fn explicit(report: &mut Report, cluster: &str, synchronous: &SynchronousReplication, instances: u32) {
    const AT: &str = "spec.postgresql.synchronous";
    let names = || synchronous.standby_names_pre.iter().chain(&synchronous.standby_names_post).map(String::as_str);
    let others = names().count();
    let preferred = synchronous.data_durability == DataDurability::Preferred;
    report.rule(AT, rules::durability(preferred, others));
    if let Some(number) =
        report.rule(&format!("{AT}.number"), rules::number(i64::from(synchronous.number), instances, others))
    {
        let active = synchronous.failover_quorum.unwrap_or(!preferred);
        report.rule(AT, rules::failover_quorum(active, number, others));
    }
    let (pods, nodes) = (synchronous.pod_failure_domain_keys.len(), synchronous.node_failure_domain_keys.len());
    report.rule(AT, rules::failure_domains(pods, nodes));
    for name in names() {
        report.rule(&format!("{AT}.standbyNamesPre"), rules::standby_name(name));
    }
    report.rule(&format!("{AT}.standbyNamesPre"), rules::standby_names(names(), cluster));
    if let Some(most) = synchronous.max_standby_names_from_cluster.filter(|most| *most < 0) {
        let message = format!("maxStandbyNamesFromCluster is {most}: it must be 0 or more");
        report.push(Finding::new(Kind::Invalid, format!("{AT}.maxStandbyNamesFromCluster"), message));
    }
}

fn slots(report: &mut Report, spec: &ClusterSpec) {
    const AT: &str = "spec.replicationSlots";
    let slots = spec.replication_slots();
    let prefix = &slots.high_availability.slot_prefix;
    report.rule(&format!("{AT}.highAvailability.slotPrefix"), rules::slot_prefix(prefix));
    report.rule(&format!("{AT}.updateInterval"), rules::update_interval(i64::from(slots.update_interval)));
    for why in slots.synchronize_replicas.unreadable() {
        let path = format!("{AT}.synchronizeReplicas.excludePatterns");
        let message = format!("Cannot configure synchronizeReplicas. Invalid regexes were found: {why}");
        report.push(Finding::new(Kind::Invalid, path, message));
    }
}

impl Report {
    /// The boolean of the annotation, if it is one.
    fn quorum(&mut self, text: &str) -> Option<bool> {
        match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => {
                let message = "Invalid failoverQuorum annotation value, expected boolean.";
                self.push(Finding::new(
                    Kind::Invalid,
                    format!("metadata.annotations.{}", labels::FAILOVER_QUORUM),
                    message,
                ));
                None
            }
        }
    }
}
