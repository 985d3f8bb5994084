//! What a user should know about a cluster that works as written.

use super::Report;
use crate::cluster::{ClusterSpec, DataDurability};
use crate::finding::{Finding, Kind};
use pgherd_core::rules::sizes::switch;

pub(super) fn give(report: &mut Report, spec: &ClusterSpec) {
    let mut advise = |path: &str, message: &str, hint: &str| {
        report.push(Finding::new(Kind::Advice, path, message).hint(hint));
    };
    let synchronous = spec.postgresql.as_ref().and_then(|postgresql| postgresql.synchronous.as_ref());
    if spec.instances > 1 && synchronous.is_none() && spec.max_sync_replicas == 0 {
        advise(
            "spec.postgresql.synchronous",
            "replication is asynchronous: if the primary's node or volume is lost for good, the commits that no standby \
             has received yet are lost with it. Where its volume can still be read nothing is lost",
            "nothing to do, if a few last commits may be lost with a machine; otherwise write method: any, number: 1",
        );
    } else if spec.instances <= 1 {
        advise(
            "spec.instances",
            "a single instance has nobody to fail over to: while its node is down, so is the database",
            "write instances: 3 for a database that outlives a node",
        );
    }
    if let Some(synchronous) = synchronous
        && synchronous.data_durability == DataDurability::Required
        && i64::from(synchronous.number) + 1 == i64::from(spec.instances)
    {
        advise(
            "spec.postgresql.synchronous.number",
            "each commit waits for every standby: while one of them is away, nothing can be written",
            "write fewer than instances - 1, or dataDurability: preferred",
        );
    }
    let commit = spec.postgresql.as_ref().and_then(|postgresql| postgresql.parameters.get("synchronous_commit"));
    if let Some(commit) =
        commit.filter(|value| ["off", "local", "remote_write", "false", "no", "0"].contains(&value.as_str()))
        && (synchronous.is_some() || spec.max_sync_replicas > 0)
    {
        advise(
            "spec.postgresql.parameters",
            &format!(
                "synchronous_commit is {commit}: a commit is acknowledged before a standby has it on disk, and may be lost"
            ),
            "remove synchronous_commit, and set it only in the sessions that can afford it",
        );
    }
    match spec.object_store() {
        None => advise(
            "spec.backup",
            "WAL is not archived: nothing can be recovered once the volumes are lost",
            "add backup.barmanObjectStore with a bucket",
        ),
        Some(_) => {
            let timeout = parameter(spec, "archive_timeout").unwrap_or("5min");
            let off = timeout.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0";
            let within = if off { "however long that took to fill".to_owned() } else { format!("{timeout} at most") };
            advise(
                "spec.backup.barmanObjectStore",
                &format!(
                    "if all volumes are lost at once, so are the commits since the last WAL file was archived: {within}"
                ),
                "nothing to do, if that is little enough; otherwise set archive_timeout in postgresql.parameters",
            );
            if spec.backup.as_ref().is_some_and(|backup| backup.retention_policy.is_none()) {
                advise(
                    "spec.backup.retentionPolicy",
                    "backups and WAL are kept for ever: the bucket only grows",
                    "write retentionPolicy: 30d, for one",
                );
            }
        }
    }
    if let Some(synchronous) = synchronous
        && synchronous.data_durability == DataDurability::Preferred
    {
        advise(
            "spec.postgresql.synchronous.dataDurability",
            "while no standby is there, commits are acknowledged by the primary alone: if its volume is lost for good in \
             that time, they are lost with it",
            "write dataDurability: required, if writes should rather wait",
        );
    }
    let (fsync, pages) = (parameter(spec, "fsync"), parameter(spec, "full_page_writes"));
    for (name, value) in [("fsync", fsync), ("full_page_writes", pages)] {
        if value.and_then(switch) == Some(false) {
            advise(
                "spec.postgresql.parameters",
                &format!("{name} is off: a crash of a node may damage the data for good, on every instance"),
                "remove it",
            );
        }
    }
    let initdb = spec.bootstrap.as_ref().and_then(|bootstrap| bootstrap.initdb.as_ref());
    if let Some(initdb) = initdb.filter(|initdb| initdb.locale.is_some() && initdb.locale_collate.is_none()) {
        advise(
            "spec.bootstrap.initdb.locale",
            &format!(
                "{:?} is for messages, money and dates: text is sorted by localeCollate, which is C where it is not given, \
                 as with CNPG",
                initdb.locale.as_deref().unwrap_or_default()
            ),
            "write localeCollate and localeCType too, if they should be the same",
        );
    }
    if let Some(smart) = spec.smart_shutdown_timeout.filter(|smart| *smart >= spec.stop_delay) {
        advise(
            "spec.smartShutdownTimeout",
            &format!(
                "{smart} s of waiting for clients leave nothing of stopDelay ({} s): it is skipped",
                spec.stop_delay
            ),
            "make stopDelay longer than smartShutdownTimeout",
        );
    }
    if spec.affinity.as_ref().is_some_and(|affinity| affinity.enable_pod_anti_affinity == Some(false))
        && spec.instances > 1
    {
        advise(
            "spec.affinity.enablePodAntiAffinity",
            "the instances may all run on one node, and be lost with it",
            "remove it, or set it to true",
        );
    }
}

/// A parameter by its name, whatever its case.
fn parameter<'a>(spec: &'a ClusterSpec, name: &str) -> Option<&'a str> {
    let all = &spec.postgresql.as_ref()?.parameters;
    all.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
