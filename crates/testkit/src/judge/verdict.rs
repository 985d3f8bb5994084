//! All rules together.

use super::archive::{Archive, gaps};
use super::database::Database;
use super::restored::unrestored;
use super::rows::{balance, excused, misplaced};
use super::writers::{backwards, double_writes, lease_breaches, unleased};
use crate::history::{Change, Event, Outcome, Where};
use pgherd_core::lsn::Lsn;
use pgherd_core::wal::SegmentSize;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many examples of each breach a verdict quotes.
const EXAMPLES: usize = 5;

/// What was agreed before the run: the judge's only knowledge of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Synchronous replication is required: nothing that was acknowledged may be lost, whatever happened.
    pub required: bool,
    /// Spans of `CLOCK_BOOTTIME` in which the old volume could not be read: what was acknowledged in them may be lost
    /// where replication is asynchronous.
    pub unreadable: Vec<(u64, u64)>,
    /// The volume of an instance was taken away, and with it WAL that it had not archived: the archive may have gaps, which
    /// are counted, and cannot be restored then.
    #[serde(default)]
    pub volume_lost: bool,
}

/// Everything that is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What was agreed.
    pub case: Case,
    /// Of all clients.
    pub events: Vec<Event>,
    /// Every version of the lease, in its order.
    pub lease: Vec<Change>,
    /// The final databases, by instance.
    pub databases: BTreeMap<String, Database>,
    /// The archive at the end; absent if it could not be listed.
    pub archive: Option<Archive>,
    /// What a recovery from the archive alone ended with; absent if it did not come to an end.
    pub restored: Option<Database>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Attempts that were acknowledged, reads not counted.
    pub acknowledged: u64,
    /// Attempts of unknown end.
    pub unknown: u64,
    /// Reads.
    pub reads: u64,
    /// Reigns (an instance on a timeline) that acknowledged something.
    pub reigns: u64,
    /// Acknowledged, and in none of the databases.
    pub lost_acknowledged: u64,
    /// Those of them that may not be.
    pub lost_unexcused: u64,
    /// Acknowledged by an older reign after a newer one had acknowledged.
    pub double_writes: u64,
    /// Files that the archive lacks because a volume was lost before it had archived them.
    #[serde(default)]
    pub archive_gaps: u64,
    /// A recovery from the archive alone ended with what the cluster ended with.
    #[serde(default)]
    pub restored: bool,
    /// Every breach of a rule, for people; empty if all hold.
    pub breaches: Vec<String>,
}

impl Verdict {
    /// Every rule holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.breaches.is_empty()
    }

    fn breach<T: core::fmt::Debug>(&mut self, what: &str, examples: &[T]) {
        if !examples.is_empty() {
            let some: Vec<String> = examples.iter().take(EXAMPLES).map(|one| format!("{one:?}")).collect();
            self.breaches.push(format!("{} {what}: {}", examples.len(), some.join(", ")));
        }
    }
}

/// Judges.
#[must_use]
pub fn judge(evidence: &Evidence) -> Verdict {
    let Evidence { case, events, lease, databases, archive, restored } = evidence;
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let reigns: BTreeSet<_> = acknowledged(events).map(|(_, at)| (at.timeline, at.instance.as_str())).collect();
    let unknown = events.iter().filter(|event| event.outcome == Outcome::Unknown).count();
    let reads = events.iter().filter(|event| event.at.as_ref().is_some_and(|at| at.timeline == 0)).count();
    let mut verdict = Verdict {
        acknowledged: count(acknowledged(events).count()),
        unknown: count(unknown),
        reads: count(reads),
        reigns: count(reigns.len()),
        ..Verdict::default()
    };
    let double = double_writes(events);
    verdict.double_writes = count(double.len());
    verdict.breach("acknowledged by two writers at once", &double);
    verdict.breach("acknowledged on an older timeline than the same client saw before", &backwards(events));
    verdict.breach("wrote without the lease", &unleased(events, lease));
    verdict.breach("changes of the lease go back, or give a term to two", &lease_breaches(lease));
    if databases.is_empty() {
        verdict.breaches.push("there is no database to hold the promises against".to_owned());
    }
    for (instance, database) in databases {
        let found = misplaced(events, database);
        let unexcused: Vec<_> =
            found.lost.iter().filter(|event| case.required || !excused(event, &case.unreadable)).collect();
        verdict.lost_acknowledged = verdict.lost_acknowledged.max(count(found.lost.len()));
        verdict.lost_unexcused = verdict.lost_unexcused.max(count(unexcused.len()));
        verdict.breach(&format!("acknowledged and not in {instance}"), &unexcused);
        verdict.breach(&format!("refused and yet in {instance}"), &found.refused);
        verdict.breach(&format!("more than once in {instance}"), &found.twice);
        verdict.breach(&format!("in {instance} and from nobody"), &found.foreign);
        verdict.breach(&format!("accounts of {instance} with a wrong balance"), &balance(&[], database).accounts);
    }
    let mut contents = databases.values();
    if let Some(first) = contents.next()
        && contents.any(|other| other != first)
    {
        let sizes: Vec<_> = databases.iter().map(|(name, d)| (name, d.rows.len(), d.transfers.len())).collect();
        verdict.breach("instances do not agree (rows, transfers)", &sizes);
    }
    let astray = balance(events, &Database::default()).reads;
    if astray > 0 {
        verdict.breaches.push(format!("{astray} reads saw another sum of all accounts than there is"));
    }
    match archive {
        None => verdict.breaches.push("the archive could not be listed".to_owned()),
        Some(archive) => verdict.archived(case, events, databases, archive),
    }
    verdict.recovered(events, databases, restored.as_ref());
    verdict
}

impl Verdict {
    fn archived(&mut self, case: &Case, events: &[Event], databases: &BTreeMap<String, Database>, archive: &Archive) {
        let Some(database) = databases.values().next() else { return };
        let lost: BTreeSet<(u64, i32)> =
            misplaced(events, database).lost.iter().map(|event| (event.began, event.client)).collect();
        let kept = acknowledged(events).filter(|(event, _)| !lost.contains(&(event.began, event.client)));
        let positions: Vec<Lsn> = kept.map(|(_, at)| at.lsn).collect();
        let (Some(first), Some(last)) = (positions.iter().min(), positions.iter().max()) else { return };
        match gaps(archive, SegmentSize::DEFAULT, *first, *last) {
            Ok(missing) if case.volume_lost => self.archive_gaps = u64::try_from(missing.len()).unwrap_or(u64::MAX),
            Ok(missing) => self.breach("files that a restore would want are not in the archive", &missing),
            Err(why) => self.breaches.push(format!("the archive cannot be restored: {why}")),
        }
    }

    fn recovered(&mut self, events: &[Event], databases: &BTreeMap<String, Database>, restored: Option<&Database>) {
        let Some(kept) = databases.values().next() else { return };
        // Beyond a gap there is nothing to recover, and the gap is told.
        if self.archive_gaps > 0 {
            return;
        }
        let Some(restored) = restored else {
            self.breaches.push("the archive was not recovered from".to_owned());
            return;
        };
        self.restored = kept == restored;
        let lacking = unrestored(events, kept, restored);
        self.breach("acknowledged, kept, and not in what the archive recovers", &lacking);
        if lacking.is_empty() && !self.restored {
            let sizes = [kept, restored].map(|one| (one.rows.len(), one.transfers.len()));
            self.breach("the archive recovers another database than the cluster's (rows, transfers)", &sizes);
        }
    }
}

fn acknowledged(events: &[Event]) -> impl Iterator<Item = (&Event, &Where)> {
    let written = events.iter().filter(|event| event.outcome == Outcome::Acknowledged);
    written.filter_map(|event| event.at.as_ref().filter(|at| at.timeline > 0).map(|at| (event, at)))
}
