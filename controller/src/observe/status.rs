//! What the Cluster's status says that decisions depend on.

use pgherd_core::cluster::{ForceFact, RefusalFact, StatusFacts};
use pgherd_core::election::{DRAIN_REFUSED, SWITCHOVER_REFUSED};
use pgherd_core::timeline::TimelineId;
use pgherd_proto::cluster::{Cluster, ElectionStatus, ForcedPromotion, LossStatus, RestartStatus, RestoreStatus};
use pgherd_proto::labels;

/// Reads the status; one that is absent says nothing.
#[must_use]
pub fn facts(cluster: &Cluster) -> StatusFacts {
    let status = cluster.status.clone().unwrap_or_default();
    StatusFacts {
        system_id: cluster.database(),
        initializing: cluster.initializer(),
        restore: status.restore.as_ref().map(RestoreStatus::to_fact),
        current_primary: status.current_primary,
        target_primary: status.target_primary,
        election: status.election.as_ref().map(ElectionStatus::to_fact),
        refusal: status.election_refusal.map(|refusal| RefusalFact {
            is_of_switchover: refusal.reason.ends_with(SWITCHOVER_REFUSED),
            is_of_drain: refusal.reason.ends_with(DRAIN_REFUSED),
            losses: refusal.losses.iter().map(LossStatus::to_fact).collect(),
            lease_version: refusal.lease_version,
            term: refusal.term,
            reason: refusal.reason,
            missing: refusal.missing,
        }),
        phase: status.phase,
        timeline: status.timeline_id.and_then(|id| u32::try_from(id).ok()).map(TimelineId),
        restart: status.restart.as_ref().map(RestartStatus::to_fact),
    }
}

/// What a person demands of the election. A demand that cannot be read is about no lease, and so refused aloud.
#[must_use]
pub fn force(cluster: &Cluster) -> Option<ForceFact> {
    let text = cluster.metadata.annotations.as_ref()?.get(labels::FORCE_PROMOTION)?;
    Some(serde_json::from_str::<ForcedPromotion>(text).map(|demand| demand.to_fact()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::lease::Term;
    use serde_json::json;

    fn cluster(annotation: &str, status: &serde_json::Value) -> Cluster {
        let metadata = json!({ "name": "c", "annotations": { labels::FORCE_PROMOTION: annotation } });
        let object = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": metadata,
            "spec": {}, "status": status });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_demand_is_read_whole_and_a_damaged_one_is_about_no_lease() {
        let whole = r#"{"instance":"c-2","podUID":"u2","leaseVersion":"77","term":4,"acceptLossBytes":512}"#;
        let read = force(&cluster(whole, &json!({}))).unwrap();
        assert_eq!((read.instance.as_str(), read.lease_version.as_str(), read.term), ("c-2", "77", Term(4)));
        assert_eq!((read.pod_uid, read.accepted_loss), ("u2".into(), 512));
        let half = force(&cluster(r#"{"instance":"c-2"}"#, &json!({}))).unwrap();
        assert_eq!(half, ForceFact::default());
    }

    #[test]
    fn a_refusal_that_was_written_is_read_back_the_same() {
        let status = json!({ "electionRefusal": { "reason": "because", "missing": ["c-1 does not answer"],
            "leaseVersion": "77", "term": 4, "losses": [{ "instance": "c-2", "podUID": "u2", "bytes": 512 }] } });
        let read = facts(&cluster("", &status)).refusal.unwrap();
        assert_eq!((read.lease_version.as_str(), read.term, read.losses[0].bytes), ("77", Term(4), 512));
        let of = |reason: &str| {
            let refusal = facts(&cluster("", &json!({ "electionRefusal": { "reason": reason } }))).refusal.unwrap();
            (refusal.is_of_switchover, refusal.is_of_drain)
        };
        assert_eq!(of(&format!("c-2 {SWITCHOVER_REFUSED}")), (true, false));
        assert_eq!(of(&format!("node n1 is cordoned, {DRAIN_REFUSED}")), (false, true));
    }
}
