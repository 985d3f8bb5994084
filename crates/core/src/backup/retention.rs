//! What a recovery window (`retentionPolicy`) makes redundant: backups, the WAL that only they needed, and the rests of
//! failed ones. A plan that can be printed before anything is deleted.
//!
//! As barman's `RECOVERY WINDOW OF n DAYS` (`retention_policies.py`): the newest complete backup that ended before the
//! window begins stays, and everything after it. Beyond barman: that holds for every timeline that something in the
//! window is on, so that a backup of a branch that was left never makes the base of the living one redundant (I7).

use super::{Archived, BackupId, Entry, Keep, Span, Timestamp};
use crate::backup::entry::State;
use crate::rules::retention::Retention;
use crate::timeline::TimelineId;
use crate::wal::{SegmentNo, SegmentSize, WalName};
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400;

/// What is to be deleted, and what stays and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Backups to delete, oldest first.
    pub remove: Vec<(BackupId, Redundant)>,
    /// Complete backups that stay, oldest first.
    pub stay: Vec<BackupId>,
    /// When the oldest backup that stays ended, on the cluster's own timeline.
    pub first: Option<Timestamp>,
    /// Why nothing can be deleted.
    pub blocked: Option<String>,
    size: SegmentSize,
    cuts: BTreeMap<TimelineId, Cut>,
    protected: Vec<(TimelineId, SegmentNo, SegmentNo)>,
}

/// Why a backup may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redundant {
    /// Everything in the window can be recovered from this newer one.
    Newer(BackupId),
    /// It failed, and this complete one was begun after it.
    Failed(BackupId),
    /// It was never finished, and this complete one was begun after it.
    Rest(BackupId),
}

/// Which WAL of a timeline may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Before(SegmentNo),
    All,
}

impl Plan {
    /// Whether a file of the WAL archive may go. Never a history file: they are small, and the way through.
    #[must_use]
    pub fn removes(&self, name: WalName) -> bool {
        let Some(segment) = name.segment_name() else { return false };
        let (timeline, Some(number)) = (segment.timeline(), segment.number(self.size)) else { return false };
        let kept = |(on, first, last): &(TimelineId, SegmentNo, SegmentNo)| {
            *on == timeline && *first <= number && number <= *last
        };
        match self.cuts.get(&timeline) {
            Some(Cut::Before(first)) => number < *first && !self.protected.iter().any(kept),
            Some(Cut::All) => !self.protected.iter().any(kept),
            None => false,
        }
    }

    /// Whether any WAL of a timeline may go.
    #[must_use]
    pub fn cuts(&self, timeline: TimelineId) -> bool {
        self.cuts.contains_key(&timeline)
    }
}

/// When the window begins.
#[must_use]
pub fn begin(policy: Retention, now: Timestamp) -> Timestamp {
    let seconds = i64::try_from(policy.days()).unwrap_or(i64::MAX).saturating_mul(DAY);
    Timestamp::from_seconds(now.seconds().saturating_sub(seconds))
}

/// Plans for a cluster that is on timeline `current`.
#[must_use]
pub fn plan(entries: &[Entry], archived: &Archived, policy: Retention, now: Timestamp, current: TimelineId) -> Plan {
    let begin = begin(policy, now);
    let mut complete: Vec<(&Entry, &Span)> = entries.iter().filter_map(|e| Some((e, e.span()?))).collect();
    complete.sort_by_key(|(_, span)| span.end_time);
    let needed = needed(archived, begin, current);
    if let Some(unknown) = needed.iter().find(|timeline| archived.history(**timeline).is_none()) {
        let blocked = Some(format!("the archive has no history of timeline {unknown}, so nobody knows what it needs"));
        let stay = complete.iter().map(|(entry, _)| entry.id.clone()).collect();
        return Plan { stay, blocked, ..Plan::default() };
    }
    let anchors: BTreeSet<&BackupId> =
        needed.iter().filter_map(|timeline| anchor(&complete, archived, begin, *timeline)).collect();
    let newer = |than: &Span| {
        let later = |(entry, span): &&(&Entry, &Span)| anchors.contains(&entry.id) && span.end_time > than.end_time;
        complete.iter().rfind(later).map(|(entry, _)| entry.id.clone())
    };
    let mut planned = Plan { size: archived.segment_size(), ..Plan::default() };
    let mut staying = Vec::new();
    for (entry, span) in &complete {
        let goes = entry.keep.is_none() && span.end_time < begin && !anchors.contains(&entry.id);
        match newer(span).filter(|_| goes) {
            Some(newer) => planned.remove.push((entry.id.clone(), Redundant::Newer(newer))),
            None => staying.push((*entry, *span)),
        }
    }
    planned.remove.extend(entries.iter().filter_map(|entry| rest(entry, &staying, now)));
    planned.remove.sort_by(|(a, _), (b, _)| a.cmp(b));
    planned.stay = staying.iter().map(|(entry, _)| entry.id.clone()).collect();
    cut_wal(&mut planned, &staying, archived, &needed);
    let along = archived.history(current);
    let leads = |(entry, span): &&(&Entry, &Span)| {
        entry.keep != Some(Keep::Standalone) && along.as_ref().is_some_and(|along| along.contains(span.end))
    };
    planned.first = staying.iter().find(leads).map(|(_, span)| span.end_time);
    planned
}

/// Timelines that something in the window is on; one whose objects have no time may be.
fn needed(archived: &Archived, begin: Timestamp, current: TimelineId) -> Vec<TimelineId> {
    let in_window =
        |id: &TimelineId| archived.has_wal(*id) && archived.newest(*id).is_none_or(|newest| newest >= begin);
    let all = archived.timelines().into_iter().filter(|id| *id == current || in_window(id));
    let mut needed: Vec<TimelineId> = all.chain([current]).collect();
    needed.dedup();
    needed
}

/// The newest complete backup before the window that leads to the timeline. One that is kept with nothing but its own
/// WAL leads nowhere.
fn anchor<'a>(
    complete: &[(&'a Entry, &Span)],
    archived: &Archived,
    begin: Timestamp,
    timeline: TimelineId,
) -> Option<&'a BackupId> {
    let along = archived.history(timeline)?;
    let fits = |(entry, span): &&(&Entry, &Span)| {
        entry.keep != Some(Keep::Standalone) && span.end_time <= begin && along.contains(span.end)
    };
    complete.iter().rfind(fits).map(|(entry, _)| &entry.id)
}

/// What is left of a backup that never became one: of a failed one at once, of one that may still run after a day;
/// but only when a complete one was begun after it.
fn rest(entry: &Entry, staying: &[(&Entry, &Span)], now: Timestamp) -> Option<(BackupId, Redundant)> {
    let begun = entry.begun().filter(|_| entry.keep.is_none())?;
    let later = staying.iter().rfind(|(_, span)| span.begin_time > begun).map(|(other, _)| other.id.clone())?;
    match entry.state {
        State::Failed => Some((entry.id.clone(), Redundant::Failed(later))),
        State::Unfinished if now.seconds().saturating_sub(begun.seconds()) > DAY => {
            Some((entry.id.clone(), Redundant::Rest(later)))
        }
        State::Unfinished | State::Complete(_) => None,
    }
}

fn cut_wal(plan: &mut Plan, staying: &[(&Entry, &Span)], archived: &Archived, needed: &[TimelineId]) {
    let size = archived.segment_size();
    let (alone, full): (Vec<_>, Vec<_>) = staying.iter().partition(|(entry, _)| entry.keep == Some(Keep::Standalone));
    for (_, span) in alone {
        let (first, last) = (size.segment_of(span.begin.lsn), size.segment_of(span.end.lsn));
        plan.protected.extend([span.begin.timeline, span.end.timeline].map(|timeline| (timeline, first, last)));
    }
    for timeline in archived.timelines().into_iter().filter(|timeline| archived.has_wal(*timeline)) {
        let Some(along) = archived.history(timeline) else { continue };
        let leads = |span: &Span| span.begin.timeline == timeline || along.contains(span.end);
        let firsts = full.iter().filter(|(_, span)| leads(span)).map(|(_, span)| size.segment_of(span.begin.lsn));
        match firsts.min() {
            Some(first) => drop(plan.cuts.insert(timeline, Cut::Before(first))),
            // Nothing leads to it any more, and nothing of it is in the window.
            None if !needed.contains(&timeline) && !full.is_empty() => drop(plan.cuts.insert(timeline, Cut::All)),
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
