//! What the Cluster's status says that decisions depend on.

use pgherd_core::cluster::{RefusalFact, StatusFacts};
use pgherd_core::identity::SystemId;
use pgherd_core::timeline::TimelineId;
use pgherd_proto::cluster::{Cluster, ElectionStatus, RestartStatus};

/// Reads the status; one that is absent says nothing.
#[must_use]
pub fn facts(cluster: &Cluster) -> StatusFacts {
    let status = cluster.status.clone().unwrap_or_default();
    StatusFacts {
        system_id: status.system_id.as_deref().and_then(|id| id.parse().ok()).map(SystemId),
        initializing: status.initialization.map(|initialization| initialization.instance),
        current_primary: status.current_primary,
        target_primary: status.target_primary,
        election: status.election.as_ref().map(ElectionStatus::to_fact),
        refusal: status.election_refusal.map(|refusal| RefusalFact {
            is_of_switchover: refusal.reason.ends_with(pgherd_core::election::SWITCHOVER_REFUSED),
            reason: refusal.reason,
            missing: refusal.missing,
        }),
        phase: status.phase,
        timeline: status.timeline_id.and_then(|id| u32::try_from(id).ok()).map(TimelineId),
        restart: status.restart.as_ref().map(RestartStatus::to_fact),
    }
}
