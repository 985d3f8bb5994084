//! What a user should know about a cluster that works as written.

use super::Report;
use crate::cluster::ClusterSpec;
use crate::finding::{Finding, Kind};

pub(super) fn give(report: &mut Report, spec: &ClusterSpec) {
    let mut advise = |path: &str, message: &str, hint: &str| {
        report.push(Finding::new(Kind::Advice, path, message).hint(hint));
    };
    if spec.instances > 1 {
        advise(
            "spec.postgresql.synchronous",
            "replication is asynchronous: if the primary's node or volume is lost for good, the commits that no standby \
             has received yet are lost with it. Where its volume can still be read nothing is lost",
            "nothing to do, if a few last commits may be lost with a machine",
        );
    } else {
        advise(
            "spec.instances",
            "a single instance has nobody to fail over to: while its node is down, so is the database",
            "write instances: 3 for a database that outlives a node",
        );
    }
    if spec.backup.as_ref().is_none_or(|backup| backup.barman_object_store.is_none()) {
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
