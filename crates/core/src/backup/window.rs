//! What can be recovered: the first and the last moment, for status, metrics and people.

use super::{Archived, Entry, Span, Timestamp};
use crate::lsn::Lsn;
use crate::timeline::{History, TimelineId};
use crate::wal::SegmentName;

/// From when to when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// When the oldest complete backup ended (CNPG's `firstRecoverabilityPoint`).
    pub first: Option<Timestamp>,
    /// When the newest complete backup ended (`lastSuccessfulBackup`).
    pub last_backup: Option<Timestamp>,
    /// When the last WAL that can be replayed was stored; nothing where there is a hole before it.
    pub last: Option<Timestamp>,
    /// Up to where WAL can be replayed from the newest backup.
    pub last_lsn: Option<Lsn>,
    /// The first segment that is missing although there is WAL after it, from the oldest backup on.
    pub hole: Option<SegmentName>,
}

/// The window of a cluster that is on `timeline`. Only backups that it descends from count.
#[must_use]
pub fn window(entries: &[Entry], archived: &Archived, timeline: TimelineId) -> Window {
    let along = archived.history(timeline).unwrap_or_else(|| History::of_first(timeline));
    let mut spans: Vec<&Span> = entries.iter().filter_map(Entry::span).filter(|s| along.contains(s.end)).collect();
    spans.sort_by_key(|span| span.end_time);
    let (Some(oldest), Some(newest)) = (spans.first(), spans.last()) else { return Window::default() };
    let size = archived.segment_size();
    let missing = |span: &Span| archived.first_missing(&along, size.segment_of(span.begin.lsn));
    let last = archived.last(&along);
    let holed = |span: &Span| last.is_some_and(|last| last > missing(span));
    let number = missing(oldest);
    let at = along.timeline_at(size.start_of(number));
    Window {
        first: Some(oldest.end_time),
        last_backup: Some(newest.end_time),
        last: archived.newest_along(&along).filter(|_| !holed(newest)).max(Some(newest.end_time)),
        last_lsn: Some(size.start_of(missing(newest)).max(newest.end.lsn)),
        hole: holed(oldest).then(|| SegmentName::new(at, number, size)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::archived::tests::{history, with};
    use super::super::entry::tests::complete;
    use super::*;
    use crate::wal::SegmentSize;

    fn minute(at: i64) -> Option<Timestamp> {
        Some(Timestamp::from_seconds(at * 60))
    }

    #[test]
    fn the_window_reaches_from_the_oldest_backup_to_the_last_wal_of_the_timeline() {
        let mut archived = Archived::default();
        with(&mut archived, 1, 2..=9, 50);
        with(&mut archived, 2, 7..=12, 60);
        archived.add_history(history(2, &[(1, 7)]));
        let entries = [complete("20261101T000000", 1, (3, 4), 10), complete("20261102T000000", 2, (9, 9), 40)];
        let now = window(&entries, &archived, TimelineId(2));
        assert_eq!((now.first, now.last_backup, now.last), (minute(10), minute(40), minute(60)));
        assert_eq!((now.last_lsn, now.hole), (Some(Lsn(13 * SegmentSize::DEFAULT.bytes())), None));
        let of_one = window(&entries, &archived, TimelineId(1));
        assert_eq!((of_one.last_backup, of_one.last), (minute(10), minute(50)), "the other is no backup of timeline 1");
        assert_eq!(window(&[], &archived, TimelineId(1)), Window::default());
    }

    #[test]
    fn a_hole_is_named_and_what_lies_behind_it_is_not_promised() {
        let mut archived = Archived::default();
        with(&mut archived, 1, 2..=5, 50);
        with(&mut archived, 1, 7..=9, 60);
        let entries = [complete("20261101T000000", 1, (3, 4), 10)];
        let now = window(&entries, &archived, TimelineId(1));
        assert_eq!(now.hole.map(|name| name.to_string()).as_deref(), Some("000000010000000000000006"));
        assert_eq!((now.last, now.last_lsn), (minute(10), Some(Lsn(6 * SegmentSize::DEFAULT.bytes()))));
        let after = [entries[0].clone(), complete("20261102T000000", 1, (7, 7), 40)];
        let now = window(&after, &archived, TimelineId(1));
        assert_eq!((now.last, now.hole.is_some()), (minute(60), true), "the newest backup lies behind the hole");
    }
}
