//! What WAL an archive holds: per timeline, as ranges of segments, so that 100,000 objects cost little.

use super::Timestamp;
use crate::timeline::{History, TimelineId};
use crate::wal::{SegmentName, SegmentNo, SegmentSize};
use std::collections::BTreeMap;

/// The WAL of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archived {
    size: SegmentSize,
    histories: BTreeMap<TimelineId, History>,
    timelines: BTreeMap<TimelineId, Stretch>,
}

/// The segments of one timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// First and last of each run without a hole, ascending.
    runs: Vec<(SegmentNo, SegmentNo)>,
    /// When the last of its objects was stored, by the store's clock.
    newest: Option<Timestamp>,
    /// Some object has no time, or no number that goes with the size of segments.
    unclear: bool,
}

impl Archived {
    /// An archive without WAL, of segments of this size.
    #[must_use]
    pub fn new(size: SegmentSize) -> Self {
        Self { size, ..Self::default() }
    }

    /// The size of its segments.
    #[must_use]
    pub fn segment_size(&self) -> SegmentSize {
        self.size
    }

    /// A history file was read.
    pub fn add_history(&mut self, history: History) {
        self.histories.insert(history.timeline(), history);
    }

    /// A whole segment is there. Cheapest in the order of a listing.
    pub fn add_segment(&mut self, name: SegmentName, modified: Option<Timestamp>) {
        let stretch = self.timelines.entry(name.timeline()).or_default();
        stretch.newest = stretch.newest.max(modified);
        stretch.unclear |= modified.is_none();
        match name.number(self.size) {
            Some(number) => stretch.add(number),
            None => stretch.unclear = true,
        }
    }

    /// Every timeline that has a segment or a history, ascending.
    #[must_use]
    pub fn timelines(&self) -> Vec<TimelineId> {
        let mut all: Vec<_> = self.timelines.keys().chain(self.histories.keys()).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The history of a timeline; nothing where it is not known. Only timeline 1 has none of its own.
    #[must_use]
    pub fn history(&self, timeline: TimelineId) -> Option<History> {
        let first = || (timeline == TimelineId::FIRST).then(|| History::of_first(timeline));
        self.histories.get(&timeline).cloned().or_else(first)
    }

    /// When the last segment of a timeline was stored; nothing where it has none, or one without a time.
    #[must_use]
    pub fn newest(&self, timeline: TimelineId) -> Option<Timestamp> {
        self.timelines.get(&timeline).filter(|stretch| !stretch.unclear).and_then(|stretch| stretch.newest)
    }

    /// Whether any segment of a timeline is there.
    #[must_use]
    pub fn has_wal(&self, timeline: TimelineId) -> bool {
        self.timelines.contains_key(&timeline)
    }

    /// The first segment at or after `from` that a recovery along `history` would not find.
    #[must_use]
    pub fn first_missing(&self, history: &History, from: SegmentNo) -> SegmentNo {
        let mut at = from;
        while let Some(last) = self.lineage(history).filter_map(|(stretch, range)| stretch.reaches(at, range)).max() {
            at = last.next();
        }
        at
    }

    /// The last segment that there is along `history`, whatever is missing before it.
    #[must_use]
    pub fn last(&self, history: &History) -> Option<SegmentNo> {
        let last = |(stretch, (begin, end)): (&Stretch, (SegmentNo, SegmentNo))| {
            stretch
                .runs
                .iter()
                .rev()
                .map(|(first, last)| (*first, (*last).min(end)))
                .find_map(|(first, last)| (first <= last && begin <= last).then_some(last))
        };
        self.lineage(history).filter_map(last).max()
    }

    /// When the last segment along `history` was stored.
    #[must_use]
    pub fn newest_along(&self, history: &History) -> Option<Timestamp> {
        self.lineage(history).filter_map(|(stretch, _)| stretch.newest).max()
    }

    /// The stretches of a history that there are segments of, with the segments that may be used of each: the one
    /// with the switch point exists on both timelines.
    fn lineage<'a>(&'a self, history: &'a History) -> impl Iterator<Item = (&'a Stretch, (SegmentNo, SegmentNo))> + 'a {
        let ids = history.ancestors().iter().map(|switch| switch.timeline).chain([history.timeline()]);
        ids.filter_map(|id| {
            let (begin, end) = (history.begin_of(id)?, history.end_of(id)?);
            let range = (self.size.segment_of(begin), self.size.segment_of(end));
            Some((self.timelines.get(&id)?, range))
        })
    }
}

impl Stretch {
    fn add(&mut self, number: SegmentNo) {
        match self.runs.last_mut() {
            Some((_, last)) if last.next() == number => *last = number,
            Some((_, last)) if *last < number => self.runs.push((number, number)),
            None => self.runs.push((number, number)),
            Some(_) => self.insert(number),
        }
    }

    /// Out of order: put in its place, and joined with its neighbours.
    fn insert(&mut self, number: SegmentNo) {
        if self.runs.iter().any(|(first, last)| *first <= number && number <= *last) {
            return;
        }
        self.runs.push((number, number));
        self.runs.sort_unstable();
        let mut joined: Vec<(SegmentNo, SegmentNo)> = Vec::with_capacity(self.runs.len());
        for (first, last) in self.runs.drain(..) {
            match joined.last_mut() {
                Some((_, end)) if end.next() >= first => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        self.runs = joined;
    }

    /// The last segment of the run that holds `at`, within the range.
    fn reaches(&self, at: SegmentNo, (begin, end): (SegmentNo, SegmentNo)) -> Option<SegmentNo> {
        if at < begin || at > end {
            return None;
        }
        let index = self.runs.partition_point(|(first, _)| *first <= at).checked_sub(1)?;
        self.runs.get(index).filter(|(_, last)| at <= *last).map(|(_, last)| (*last).min(end))
    }
}

#[cfg(test)]
pub(in crate::backup) mod tests {
    use super::*;
    use crate::lsn::Lsn;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const MIB16: SegmentSize = SegmentSize::DEFAULT;

    /// Segments `first..=last` of a timeline, the last stored at minute `minute`.
    pub fn with(archived: &mut Archived, timeline: u32, numbers: core::ops::RangeInclusive<u64>, minute: i64) {
        for number in numbers {
            let name = SegmentName::new(TimelineId(timeline), SegmentNo(number), MIB16);
            archived.add_segment(name, Some(Timestamp::from_seconds(minute * 60)));
        }
    }

    /// `timeline` left its ancestors at these segments, in the middle of each.
    pub fn history(timeline: u32, left: &[(u32, u64)]) -> History {
        let lines =
            left.iter().map(|(id, segment)| format!("{id}\t{}\tno reason\n", Lsn(segment * MIB16.bytes() + 64)));
        History::parse(TimelineId(timeline), &lines.collect::<String>()).unwrap()
    }

    #[test]
    fn a_recovery_goes_over_the_switch_of_timelines_and_stops_at_a_hole() {
        let mut archived = Archived::default();
        with(&mut archived, 1, 3..=9, 1);
        with(&mut archived, 2, 7..=12, 2);
        with(&mut archived, 2, 14..=15, 3);
        let two = history(2, &[(1, 7)]);
        archived.add_history(two.clone());
        let missing = |history: &History, from| archived.first_missing(history, SegmentNo(from)).0;
        assert_eq!([missing(&two, 3), missing(&two, 13), missing(&two, 14)], [13, 13, 16]);
        assert_eq!(missing(&History::of_first(TimelineId(1)), 3), 10);
        assert_eq!(missing(&two, 2), 2);
        assert_eq!(archived.last(&two), Some(SegmentNo(15)));
        assert_eq!(archived.newest_along(&two), Some(Timestamp::from_seconds(180)));
        assert_eq!(archived.timelines(), [TimelineId(1), TimelineId(2)]);
    }

    #[test]
    fn what_an_old_timeline_wrote_after_it_was_left_is_nobodys() {
        let mut archived = Archived::default();
        with(&mut archived, 1, 3..=20, 1);
        assert_eq!(archived.first_missing(&history(2, &[(1, 7)]), SegmentNo(3)), SegmentNo(8));
        assert_eq!(archived.last(&history(2, &[(1, 7)])), Some(SegmentNo(7)));
    }

    proptest! {
        #[test]
        fn runs_are_the_numbers_that_were_added(numbers in proptest::collection::vec(0_u64..60, 0..80), from in 0_u64..60) {
            let mut archived = Archived::default();
            for number in &numbers {
                with(&mut archived, 1, *number..=*number, 1);
            }
            let set: BTreeSet<u64> = numbers.into_iter().collect();
            let expected = (from..).find(|number| !set.contains(number)).unwrap();
            let first = History::of_first(TimelineId(1));
            prop_assert_eq!(archived.first_missing(&first, SegmentNo(from)).0, expected);
            prop_assert_eq!(archived.last(&first).map(|last| last.0), set.last().copied());
        }
    }
}
