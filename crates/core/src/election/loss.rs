//! What would be lost if a person made somebody the primary whom no election may choose.

use super::Candidate;
use crate::cluster::Observed;
use crate::lease::WalPosition;
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
    /// Bytes of WAL between the two, where they are on one timeline. Acknowledged commits may lie beyond even that.
    pub bytes: Option<u64>,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, position, furthest, bytes } = self;
        match bytes {
            Some(bytes) => write!(f, "{instance} has WAL up to {position}: forcing it loses {bytes} bytes or more"),
            None => {
                write!(f, "{instance} has WAL up to {position}: forcing it loses all since, up to {furthest} or more")
            }
        }
    }
}

/// For each of those who answered and might be forced; `tail` is where the last primary's WAL ends, if it said so.
pub(super) fn losses(observed: &Observed, tail: Option<WalPosition>, candidates: &[Candidate]) -> Vec<Loss> {
    let said = observed.pods.iter().filter_map(|pod| pod.report.as_ref()).filter_map(|report| report.reach());
    let Some(furthest) = said.chain(tail).max() else { return Vec::new() };
    let loss = |candidate: &Candidate| {
        let position = candidate.position;
        let same = position.timeline == furthest.timeline;
        let bytes = same.then(|| furthest.lsn.0.saturating_sub(position.lsn.0));
        Loss { instance: candidate.name.clone(), position, furthest, bytes }
    };
    candidates.iter().map(loss).collect()
}
