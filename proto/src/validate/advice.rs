//! What a user should know about a cluster that works as written.

use super::Report;
use crate::cluster::{ClusterSpec, DataDurability};
use crate::finding::{Finding, Kind};

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
    if spec.object_store().is_none() {
        advise(
            "spec.backup",
            "WAL is not archived: nothing can be recovered once the volumes are lost",
            "add backup.barmanObjectStore with a bucket",
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
