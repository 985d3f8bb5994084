//! Rule E5: what the winner checks for itself before it takes.

use super::{Shortage, binding, sat};
use crate::cluster::ElectionFact;
use crate::identity::Incarnation;
use crate::lease::{HolderState, LeaseRecord, Versioned, WalPosition};
use std::collections::BTreeSet;

/// Why the winner does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Another data directory was elected than the one that is here now (hole 8).
    #[error("the data directory has been replaced since the election")]
    OtherData,
    /// The answers that it was made from do not satisfy the records of the lease as they are now.
    #[error("the election does not satisfy the records of the lease: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Short(Vec<Shortage>),
    /// A person accepted a loss over another version of the lease.
    #[error("the election was forced over another version of the lease")]
    OtherLease,
}

/// Whether `election` holds for `lease` as it is now at `version`, for a winner on the directory `mine` that has reached `reached`,
/// which is no less than the election's evidence. Where that is the end of the last writer's WAL, nothing that any
/// record speaks of can be missing. One that a person forced need not satisfy the records, of that one version.
///
/// # Errors
/// [`Doubt`] says what is wrong; another election may be right.
pub fn verify(
    election: &ElectionFact,
    version: &str,
    lease: &LeaseRecord,
    mine: Option<&Incarnation>,
    reached: WalPosition,
) -> Result<(), Doubt> {
    if lease.records.is_empty() || lease.tail.is_some_and(|end| reached >= end) {
        return Ok(());
    }
    if mine.is_none() || election.winner_incarnation.as_ref() != mine {
        return Err(Doubt::OtherData);
    }
    if election.accepted_loss.is_some() {
        return if election.lease_version == version { Ok(()) } else { Err(Doubt::OtherLease) };
    }
    let answered: BTreeSet<Incarnation> = election.answered.iter().cloned().collect();
    let shortages = sat(&binding(lease, election.evidence), &answered);
    if shortages.is_empty() { Ok(()) } else { Err(Doubt::Short(shortages)) }
}

/// Whether `election` is about the holder and the term that `lease` has now: one of an earlier term knows nothing of
/// what was written since.
#[must_use]
pub fn is_current(election: &ElectionFact, lease: &LeaseRecord) -> bool {
    let nonce = lease.holder.as_ref().map(|holder| holder.nonce.clone()).unwrap_or_default();
    lease.term == election.term && nonce == election.holder_nonce
}

/// Whether it was made from the very version that is to be taken, or from one that offers the same tail still
/// (hole 6): what is not released is taken by nothing else.
#[must_use]
pub fn is_named(election: &ElectionFact, lease: &Versioned<LeaseRecord>) -> bool {
    let tail = election.tail.as_ref().map(|tail| tail.end);
    let same_tail = lease.value.state == HolderState::Recovering && tail.is_some() && tail == lease.value.tail;
    election.lease_version == lease.version || same_tail
}
