//! Joint records (hole 7): a take appends its own entry and replaces none, so that an election must satisfy all of
//! them until a barrier has shown that the newest holds for everything.

use crate::lease::{ElectableRecord, LeaseRecord, Term};

/// `before` with one more entry. An older one that says the same of the same writer asks nothing more of an
/// election, and goes.
#[must_use]
pub fn joined(before: &[ElectableRecord], own: Option<ElectableRecord>) -> Vec<ElectableRecord> {
    let Some(own) = own else { return before.to_vec() };
    let same = |old: &ElectableRecord| {
        old.term == own.term || (old.writer == own.writer && old.voters == own.voters && old.needed == own.needed)
    };
    let mut records: Vec<ElectableRecord> = before.iter().filter(|old| !same(old)).cloned().collect();
    records.push(own);
    records
}

/// The entry of the lease's own term: what its writer promises. Absent where it writes asynchronously.
#[must_use]
pub fn own_entry(lease: &LeaseRecord) -> Option<&ElectableRecord> {
    lease.records.last().filter(|record| record.term == lease.term)
}

/// The records of a holder that raises its own term (rule E6): what it promises goes with it.
#[must_use]
pub fn own_raised(lease: &LeaseRecord, to: Term) -> Vec<ElectableRecord> {
    let raise = |record: &ElectableRecord| {
        let term = if record.term == lease.term { to } else { record.term };
        ElectableRecord { term, ..record.clone() }
    };
    lease.records.iter().map(raise).collect()
}
