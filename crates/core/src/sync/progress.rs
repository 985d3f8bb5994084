//! From the setting in force to the one that is wanted, step by step (rules Q2-Q6).

use super::{SyncSetting, loosened, record_of, safe_for_all};
use crate::identity::Incarnation;
use crate::lease::{ElectableRecord, Term};
use crate::lsn::Lsn;

/// How far the settings of this primary are. Wherever it stands, each setting in `in_force` is safe with each record
/// that may be stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// Each of these may be in force in some walsender; the last one was asked for last. Never empty.
    in_force: Vec<SyncSetting>,
    /// The last alone is in force, everywhere, and this was the end of WAL then (Q4).
    proven: Option<Lsn>,
    /// What is before that position was acknowledged under it (Q3).
    barrier: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::started(SyncSetting::default())
    }
}

impl Progress {
    /// Postgres was started, or promoted, with this in its configuration: no walsender is older than it.
    #[must_use]
    pub fn started(setting: SyncSetting) -> Self {
        Self { in_force: vec![setting], proven: None, barrier: false }
    }

    /// What was asked for last.
    #[must_use]
    pub fn asked_for(&self) -> SyncSetting {
        self.in_force.last().cloned().unwrap_or_default()
    }

    /// Everything that may be in force somewhere.
    #[must_use]
    pub fn in_force(&self) -> &[SyncSetting] {
        &self.in_force
    }

    /// Everything before the position at which the one setting took effect was acknowledged under it.
    #[must_use]
    pub fn barrier_passed(&self) -> bool {
        self.barrier
    }

    /// A setting was sent to postgres: from now on it may be in force.
    pub fn setting(&mut self, setting: SyncSetting) {
        self.in_force.retain(|known| *known != setting);
        self.in_force.push(setting);
        (self.proven, self.barrier) = (None, false);
    }

    /// It is in force in every walsender, and WAL ended there at `flush`.
    pub fn set(&mut self, flush: Lsn) {
        self.in_force = vec![self.asked_for()];
        (self.proven, self.barrier) = (Some(flush), false);
    }

    /// The members have acknowledged up to that end.
    pub fn acknowledged(&mut self) {
        self.barrier = self.proven.is_some();
    }
}

/// Where the primary wants to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Goal {
    /// The setting; `None` for asynchronous replication, which promises nothing.
    pub setting: Option<SyncSetting>,
    /// A barrier is due even where the records are right already: after a crash recovery in place (hole 11).
    pub barrier: bool,
    /// The primary's term.
    pub term: Term,
    /// Its data directory.
    pub writer: Incarnation,
}

/// The records of the lease, as far as the holder knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stored {
    /// The whole list, as last confirmed.
    pub confirmed: Vec<ElectableRecord>,
    /// The holder's own entry in it.
    pub own: Option<ElectableRecord>,
    /// Its own entries in lists that were sent since and had no answer: each may be stored (hole 4).
    pub unresolved: Vec<ElectableRecord>,
}

impl Stored {
    /// Every own entry that may be stored.
    #[must_use]
    pub fn may_be_stored(&self) -> Vec<ElectableRecord> {
        self.own.iter().chain(&self.unresolved).cloned().collect()
    }
}

/// The next step. What it says is said again until it has happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// All is as it should be, or an answer has to come first.
    Rest,
    /// Store these records, by the lease's compare-and-swap.
    Publish(Vec<ElectableRecord>),
    /// Put the setting in force in every walsender.
    Set(SyncSetting),
    /// Wait until the members have acknowledged up to here under it.
    AwaitBarrier(SyncSetting, Lsn),
}

/// Rules Q1-Q6: loosen by publishing first and setting when it is confirmed; tighten by setting, proving, waiting
/// for the barrier and publishing then.
#[must_use]
pub fn next_move(progress: &Progress, goal: &Goal, stored: &Stored) -> Move {
    let Some(wanted) = &goal.setting else { return towards_asynchronous(progress, stored) };
    let may_be_stored = stored.may_be_stored();
    if progress.in_force == [wanted.clone()] {
        return once_set(progress, goal, wanted, stored);
    }
    if safe_for_all(wanted, &may_be_stored) {
        return Move::Set(wanted.clone());
    }
    let settings: Vec<SyncSetting> = progress.in_force.iter().chain([wanted]).cloned().collect();
    match loosened(&may_be_stored, &settings, goal.term, &goal.writer) {
        // It is stored, and an earlier one that may be stored as well is in the way: the next renewal tells.
        Some(record) if stored.own.as_ref() == Some(&record) => Move::Rest,
        Some(record) => {
            let others = stored.confirmed.iter().filter(|known| Some(*known) != stored.own.as_ref());
            Move::Publish(others.cloned().chain([record]).collect())
        }
        None => Move::Rest,
    }
}

fn once_set(progress: &Progress, goal: &Goal, wanted: &SyncSetting, stored: &Stored) -> Move {
    let trimmed = vec![record_of(wanted, goal.term, &goal.writer)];
    let published = stored.confirmed == trimmed && stored.unresolved.is_empty();
    let waited = progress.barrier || wanted.needed_of_members() == 0;
    match progress.proven {
        _ if published && (waited || !goal.barrier) => Move::Rest,
        None => Move::Set(wanted.clone()),
        Some(flush) if !waited => Move::AwaitBarrier(wanted.clone(), flush),
        Some(_) => Move::Publish(trimmed),
    }
}

fn towards_asynchronous(progress: &Progress, stored: &Stored) -> Move {
    if !(stored.confirmed.is_empty() && stored.unresolved.is_empty()) {
        return Move::Publish(Vec::new());
    }
    let nobody = SyncSetting::default();
    if progress.in_force == [nobody.clone()] { Move::Rest } else { Move::Set(nobody) }
}
