//! Which backup a recovery begins with, and along which timeline; or why there is none, and what there is instead.
//!
//! CNPG's rule: for a time or a position the newest backup that ended before it, else the newest one. Beyond it: only
//! backups that the target timeline descends from count, a restore point or a transaction begins with the oldest
//! (nobody knows where they are before they are found), and what cannot work is refused before anything is fetched.

use super::refusal::{Available, Refusal};
use super::{Archived, BackupId, Entry, RecoveryTarget, Span, Target, TargetTimeline, Timestamp};
use crate::lsn::Lsn;
use crate::timeline::{History, TimelineId};
use crate::wal::{SegmentName, SegmentSize};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How far the clocks of a store and of a server may be apart before a time is called beyond the archive. Within it
/// postgres tells, at the end.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// What a recovery does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The backup.
    pub backup: BackupId,
    /// From where to where it reaches.
    pub span: Span,
    /// `recovery_target_timeline`.
    pub along: History,
    /// All WAL from the backup up to here is in the archive.
    pub covered: Lsn,
}

/// The WAL that an archive had when a recovery began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// All from the backup up to here.
    pub until: Lsn,
    /// In segments of this size.
    pub segment: SegmentSize,
}

impl Choice {
    /// What a recovery to the end of the archive has to have replayed.
    #[must_use]
    pub fn covers(&self) -> Covered {
        Covered { until: self.covered, segment: self.span.segment_size }
    }
}

impl Covered {
    /// The segment that a replay along `along` reads at this position: of two timelines that have it, the later one's.
    #[must_use]
    pub fn segment_at(&self, along: &History, lsn: Lsn) -> SegmentName {
        let number = self.segment.segment_of(lsn);
        let last = Lsn(self.segment.start_of(number.next()).0.saturating_sub(1));
        SegmentName::new(along.timeline_at(last), number, self.segment)
    }
}

/// Chooses.
///
/// # Errors
/// [`Refusal`], with what could be recovered.
pub fn choose(entries: &[Entry], archived: &Archived, wanted: &RecoveryTarget) -> Result<Choice, Refusal> {
    let mut complete: Vec<(&BackupId, &Span)> =
        entries.iter().filter_map(|entry| Some((&entry.id, entry.span()?))).collect();
    complete.sort_by_key(|(_, span)| span.end_time);
    if complete.is_empty() {
        return Err(Refusal::NoBackup { unusable: entries.len() });
    }
    let candidates = match &wanted.backup {
        Some(id) => vec![named(entries, id)?],
        None => complete.clone(),
    };
    let along = timeline(&candidates, archived, wanted.timeline)?;
    let along = narrowed(along, archived, &wanted.target);
    let on_it: Vec<_> = candidates.iter().filter(|(_, span)| along.contains(span.end)).copied().collect();
    let Some(oldest) = on_it.first() else {
        let backups = candidates.iter().map(|(id, _)| (*id).clone()).collect();
        return Err(Refusal::OtherTimeline { timeline: along.timeline(), backups });
    };
    let available = available(oldest, &along, archived);
    let found = match wanted.target {
        Target::Xid(_) | Target::Name(_) => Some(oldest),
        _ => on_it.iter().rev().find(|(_, span)| ends_before(span, &wanted.target)),
    };
    let Some((id, span)) = found else {
        return Err(Refusal::TooEarly { target: wanted.target.clone(), available });
    };
    let missing = archived.first_missing(&along, archived.segment_size().segment_of(span.begin.lsn));
    let name = |number| {
        SegmentName::new(along.timeline_at(archived.segment_size().start_of(number)), number, archived.segment_size())
    };
    if missing <= archived.segment_size().segment_ending_at(span.end.lsn) {
        return Err(Refusal::WalMissing { backup: (*id).clone(), segment: name(missing) });
    }
    let covered = archived.segment_size().start_of(missing);
    match wanted.target {
        Target::Lsn(lsn) if lsn > covered => return Err(Refusal::TooLate { target: wanted.target.clone(), available }),
        Target::Time(at) if archived.newest_along(&along).is_some_and(|newest| at > later(newest, CLOCKS_APART)) => {
            return Err(Refusal::TooLate { target: wanted.target.clone(), available });
        }
        // Postgres would take a hole for the end of the archive, and leave out all that was committed after it.
        Target::Latest if archived.last(&along).is_some_and(|last| last > missing) => {
            return Err(Refusal::Hole { segment: name(missing), covered });
        }
        _ => {}
    }
    Ok(Choice { backup: (*id).clone(), span: (*span).clone(), along, covered })
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_micros(time.micros().saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
}

fn named<'a>(entries: &'a [Entry], id: &BackupId) -> Result<(&'a BackupId, &'a Span), Refusal> {
    let unknown = || Refusal::UnknownBackup {
        id: id.clone(),
        backups: entries.iter().filter(|entry| entry.span().is_some()).map(|entry| entry.id.clone()).collect(),
    };
    let entry = entries.iter().find(|entry| entry.id == *id).ok_or_else(unknown)?;
    entry.span().map(|span| (&entry.id, span)).ok_or_else(|| Refusal::NotComplete { id: id.clone() })
}

fn ends_before(span: &Span, target: &Target) -> bool {
    match target {
        Target::Time(at) => span.end_time <= *at,
        Target::Lsn(lsn) => span.end.lsn <= *lsn,
        Target::Latest | Target::Immediate | Target::Xid(_) | Target::Name(_) => true,
    }
}

/// `latest` is the highest timeline that some backup leads to: a higher one that none leads to (one that forked off
/// before the first backup) would make every recovery impossible.
fn timeline(
    candidates: &[(&BackupId, &Span)],
    archived: &Archived,
    wanted: TargetTimeline,
) -> Result<History, Refusal> {
    let known = |timeline| archived.history(timeline).ok_or(Refusal::UnknownTimeline { timeline });
    let newest = candidates.last().map_or(TimelineId::FIRST, |(_, span)| span.end.timeline);
    match wanted {
        TargetTimeline::Id(timeline) => known(timeline),
        TargetTimeline::Current => known(newest),
        TargetTimeline::Latest => {
            let leads = |history: &History| candidates.iter().any(|(_, span)| history.contains(span.end));
            let highest = archived.timelines().into_iter().rev().filter_map(|id| archived.history(id)).find(leads);
            highest.map_or_else(|| known(newest), Ok)
        }
    }
}

/// A position that lies segments before its timeline began is recovered along the ancestor that it is on: what is
/// replayed is the same, and postgres would write the history of the new timeline as if it had been on the later one.
fn narrowed(along: History, archived: &Archived, target: &Target) -> History {
    let Target::Lsn(lsn) = target else { return along };
    let (owner, size) = (along.timeline_at(*lsn), archived.segment_size());
    let before = along.end_of(owner).is_some_and(|end| size.segment_of(*lsn) < size.segment_of(end));
    let ancestor = archived.history(owner).filter(|_| owner != along.timeline() && before);
    ancestor.unwrap_or(along)
}

fn available((id, span): &(&BackupId, &Span), along: &History, archived: &Archived) -> Available {
    let size = archived.segment_size();
    let covered = size.start_of(archived.first_missing(along, size.segment_of(span.begin.lsn)));
    Available {
        oldest: (*id).clone(),
        first: span.end_time,
        first_lsn: span.end.lsn,
        last: archived.newest_along(along),
        last_lsn: covered.max(span.end.lsn),
    }
}

#[cfg(test)]
#[path = "choose_tests.rs"]
mod tests;
