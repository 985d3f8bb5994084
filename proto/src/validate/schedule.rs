//! The rules of Backup and ScheduledBackup.

use super::Report;
use crate::backup::{Backup, BackupMethod};
use crate::finding::{Finding, Kind};
use crate::scheduled_backup::ScheduledBackup;
use crate::unsupported;
use pgherd_core::rules::{cluster as rules, cron::Schedule};

/// Everything that is to be said about a Backup.
#[must_use]
pub fn backup(backup: &Backup) -> Vec<Finding> {
    let mut report = Report::default();
    report.rule("spec.cluster.name", rules::cluster_name(&backup.spec.cluster.name));
    method(&mut report, backup.spec.method);
    unused(&mut report, "Backup", serde_json::to_value(backup));
    report.into_findings()
}

/// Everything that is to be said about a ScheduledBackup.
#[must_use]
pub fn scheduled_backup(scheduled: &ScheduledBackup) -> Vec<Finding> {
    let mut report = Report::default();
    let spec = &scheduled.spec;
    report.rule("spec.cluster.name", rules::cluster_name(&spec.cluster.name));
    let schedule = report.rule("spec.schedule", spec.schedule.parse::<Schedule>());
    if schedule.is_some() && spec.schedule.split_whitespace().count() == 5 {
        report.push(
            Finding::new(
                Kind::Advice,
                "spec.schedule",
                format!(
                    "{:?} has five fields and is read as minute, hour, day, month, weekday, as cron does; CNPG takes the \
                     first field for seconds",
                    spec.schedule
                ),
            )
            .hint(format!("write \"0 {}\" to mean the same for both", spec.schedule)),
        );
    }
    if scheduled.metadata.namespace.is_none() {
        report.push(
            Finding::new(
                Kind::Advice,
                "metadata.namespace",
                format!("without a namespace it is applied where kubectl stands; it only finds Cluster {:?} of its own namespace", spec.cluster.name),
            )
            .hint("write the Cluster's namespace into it"),
        );
    }
    method(&mut report, spec.method);
    unused(&mut report, "ScheduledBackup", serde_json::to_value(scheduled));
    report.into_findings()
}

fn method(report: &mut Report, method: BackupMethod) {
    if method != BackupMethod::BarmanObjectStore {
        report.push(
            Finding::new(Kind::Refused, "spec.method", "only barmanObjectStore is supported")
                .hint("write method: barmanObjectStore, or leave it out"),
        );
    }
}

fn unused(report: &mut Report, kind: &str, json: serde_json::Result<serde_json::Value>) {
    for finding in json.map(|json| unsupported::used(kind, &json)).unwrap_or_default() {
        report.push(finding);
    }
}
