//! The lease between two histories: released, and of a term that is above everything of the old one.

use super::RestoreFact;
use crate::identity::AttemptId;
use crate::lease::{HolderState, LeaseRecord};
use crate::timeline::TimelineId;

/// By this the lease is recognised that a restore has written.
#[must_use]
pub fn attempt_of(restore: &str) -> AttemptId {
    AttemptId(format!("restore-{restore}"))
}

/// The record that closes the history of `lease`, where nobody holds it. It is what a take and a release in one would
/// leave (L2, L6): the term is the next one, so that every election, fence and pledge of the old one is void; and no
/// timeline is given out twice, by the lease or by what the status has seen (`highest`).
///
/// Out of the archive there are no records yet: whom commits wait for is told anew by whoever opens. On volumes that
/// are gone back to, records, lineage and tail are those of the time when they were put aside: whoever is elected there
/// must have all that was acknowledged then.
#[must_use]
pub fn closed(restore: &RestoreFact, lease: &LeaseRecord, highest: TimelineId) -> LeaseRecord {
    let old = restore.revives.as_ref().and_then(|revival| revival.lease.clone()).unwrap_or_default();
    LeaseRecord {
        holder: old.holder,
        attempt: attempt_of(&restore.id),
        state: HolderState::Released,
        term: lease.term.max(old.term).next(),
        timeline: lease.timeline.max(old.timeline).max(highest),
        records: old.records,
        tail: old.tail,
        lineage: old.lineage,
        ..LeaseRecord::default()
    }
}
