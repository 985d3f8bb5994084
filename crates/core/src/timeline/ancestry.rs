//! Who descends from whom, and where two histories part (`findCommonAncestorTimeline` of pg_rewind).

use super::{History, TimelineId};
use crate::lease::WalPosition;
use crate::lsn::Lsn;

/// Where two histories part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fork {
    /// The last timeline that both went through.
    pub timeline: TimelineId,
    /// Where the first of the two left it; [`Lsn::MAX`] while both are on it still.
    pub lsn: Lsn,
}

/// One timeline's stretch of a history: `[begin, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    timeline: TimelineId,
    begin: Lsn,
    end: Lsn,
}

impl History {
    fn stretches(&self) -> impl Iterator<Item = Stretch> {
        let ends = self.ancestors().iter().map(|a| (a.timeline, a.lsn)).chain([(self.timeline(), Lsn::MAX)]);
        let begins = [Lsn::INVALID].into_iter().chain(self.ancestors().iter().map(|a| a.lsn));
        begins.zip(ends).map(|(begin, (timeline, end))| Stretch { timeline, begin, end })
    }

    /// Where `timeline` begins, if it is this one or an ancestor of it; `0/0` for the first.
    #[must_use]
    pub fn begin_of(&self, timeline: TimelineId) -> Option<Lsn> {
        self.stretches().find(|s| s.timeline == timeline).map(|s| s.begin)
    }

    /// Where `timeline` was left, if it is this one or an ancestor of it; [`Lsn::MAX`] for this one.
    #[must_use]
    pub fn end_of(&self, timeline: TimelineId) -> Option<Lsn> {
        self.stretches().find(|s| s.timeline == timeline).map(|s| s.end)
    }

    /// The timeline that the byte at `lsn` belongs to.
    #[must_use]
    pub fn timeline_at(&self, lsn: Lsn) -> TimelineId {
        self.stretches().find(|s| s.begin <= lsn && lsn < s.end).map_or(self.timeline(), |s| s.timeline)
    }

    /// Whether `timeline` is this one or an ancestor of it.
    #[must_use]
    pub fn descends_from(&self, timeline: TimelineId) -> bool {
        self.begin_of(timeline).is_some()
    }

    /// Whether WAL that ends at `position` is wholly this history's: on one of its timelines, at or past where
    /// that begins, and not past where it was left.
    #[must_use]
    pub fn contains(&self, position: WalPosition) -> bool {
        self.stretches().any(|s| s.timeline == position.timeline && s.begin <= position.lsn && position.lsn <= s.end)
    }

    /// The last point that both histories went through; nothing if they never shared a timeline. Two timelines
    /// of one id that begin at different places are two timelines.
    #[must_use]
    pub fn fork(&self, other: &History) -> Option<Fork> {
        self.stretches()
            .zip(other.stretches())
            .take_while(|(a, b)| a.timeline == b.timeline && a.begin == b.begin)
            .last()
            .map(|(a, b)| Fork { timeline: a.timeline, lsn: a.end.min(b.end) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::tests::histories;
    use super::*;
    use proptest::prelude::*;

    fn history(timeline: u32, text: &str) -> History {
        History::parse(TimelineId(timeline), text).unwrap()
    }

    fn at(timeline: u32, lsn: u64) -> WalPosition {
        WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) }
    }

    #[test]
    fn a_position_is_contained_up_to_where_its_timeline_was_left() {
        let three = history(3, "1\t0/10\t\n2\t0/20\t\n");
        for inside in [at(1, 0), at(1, 0x10), at(2, 0x10), at(2, 0x20), at(3, 0x20), at(3, u64::MAX)] {
            assert!(three.contains(inside), "{inside}");
        }
        for outside in [at(1, 0x11), at(2, 0xF), at(2, 0x21), at(3, 0x1F), at(4, 0x30)] {
            assert!(!three.contains(outside), "{outside}");
        }
    }

    #[test]
    fn each_byte_belongs_to_one_timeline() {
        let three = history(3, "1\t0/10\t\n2\t0/20\t\n");
        let owner = |lsn| three.timeline_at(Lsn(lsn)).0;
        assert_eq!([owner(0), owner(0xF), owner(0x10), owner(0x1F), owner(0x20), owner(u64::MAX)], [1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn histories_fork_where_the_first_of_them_left_the_last_common_timeline() {
        let one = History::of_first(TimelineId(1));
        let two = history(2, "1\t0/10\t\n");
        let three = history(3, "1\t0/8\t\n");
        let four = history(4, "1\t0/10\t\n2\t0/20\t\n");
        let fork = |timeline, lsn| Some(Fork { timeline: TimelineId(timeline), lsn: Lsn(lsn) });
        assert_eq!(one.fork(&one), fork(1, u64::MAX));
        assert_eq!(one.fork(&two), fork(1, 0x10));
        assert_eq!(two.fork(&three), fork(1, 8));
        assert_eq!(two.fork(&four), fork(2, 0x20));
        assert_eq!(four.fork(&three), fork(1, 8));
        assert_eq!(one.fork(&History::of_first(TimelineId(7))), None);
    }

    #[test]
    fn timelines_of_one_id_that_begin_elsewhere_are_not_the_same() {
        let here = history(2, "1\t0/10\t\n");
        let there = history(2, "1\t0/18\t\n");
        assert_eq!(here.fork(&there), Some(Fork { timeline: TimelineId(1), lsn: Lsn(0x10) }));
    }

    proptest! {
        #[test]
        fn forking_is_symmetric_and_lies_on_both(a in histories(), b in histories()) {
            prop_assert_eq!(a.fork(&b), b.fork(&a));
            if let Some(Fork { timeline, lsn }) = a.fork(&b) {
                let both = a.contains(WalPosition { timeline, lsn }) && b.contains(WalPosition { timeline, lsn });
                prop_assert!(both);
            }
        }

        #[test]
        fn a_child_leaves_its_parent_where_it_was_promoted(parent in histories(), bytes in 0_u64..100) {
            let begin = parent.begin_of(parent.timeline()).unwrap().plus(bytes);
            let child = parent.promoted(parent.timeline().next(), begin, "").unwrap();
            prop_assert_eq!(parent.fork(&child), Some(Fork { timeline: parent.timeline(), lsn: begin }));
            prop_assert!(child.descends_from(parent.timeline()) && !parent.descends_from(child.timeline()));
        }
    }
}
