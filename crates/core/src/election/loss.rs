//! What would be lost if a person made somebody the primary whom no election may choose.

use super::Candidate;
use super::ancestry::place;
use super::elect::answered_tail;
use crate::cluster::Observed;
use crate::lease::{LeaseRecord, WalPosition};
use crate::timeline::Lineage;
use core::fmt;
use serde::{Deserialize, Serialize};

/// One instance that could be forced, and what is known to be missing on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    /// The instance.
    pub instance: String,
    /// Where its WAL ends.
    pub position: WalPosition,
    /// The furthest that anybody is known to have had.
    pub furthest: WalPosition,
    /// Bytes of WAL between the two. Acknowledged commits may lie beyond even that.
    pub bytes: u64,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, position, furthest: _, bytes } = self;
        write!(f, "{instance} has WAL up to {position}: forcing it loses {bytes} bytes or more")
    }
}

/// For each of those who answered and might be forced. What is known of is what lies on the opened history (hole 9), up to
/// where its last timeline begins at least, whoever has that still. Positions on two timelines of it can be told apart by
/// their LSNs alone: a child begins where its parent was left.
pub(super) fn losses(observed: &Observed, lease: &LeaseRecord, candidates: &[Candidate]) -> Vec<Loss> {
    let system = observed.status.system_id;
    let reports = observed.pods.iter().filter_map(|pod| pod.report.as_ref());
    let said = reports.filter(|report| system.is_none() || report.system_id == system);
    let placed = said.filter_map(|report| place(lease, report, report.reach()?).ok());
    let begins = lease.lineage.as_ref().and_then(Lineage::begins);
    let Some(furthest) = placed.chain(lease.tail).chain(begins).max() else { return Vec::new() };
    let loss = |candidate: &Candidate| {
        let fetched = answered_tail(observed, lease, candidate).map(|tail| tail.end);
        let reached = fetched.unwrap_or_default().max(candidate.position);
        let bytes = furthest.lsn.0.saturating_sub(reached.lsn.0);
        Loss { instance: candidate.name.clone(), position: candidate.position, furthest, bytes }
    };
    candidates.iter().map(loss).collect()
}
