//! What stands in for the history of a timeline id that was reserved and given up.
//!
//! Postgres takes timeline ids for gapless: a standby asks its primary for the history of every id between its own and
//! the primary's, and its receiver dies of one that is missing; a restore to the latest timeline stops below a gap
//! (`WalRcvFetchTimeLineHistoryFiles`, `findNewestTimeLine`). A stand-in says of the id that it left its parent where the
//! next timeline did, so that it is true wherever it is read alone: a timeline that nothing was written on
//! (docs/adr/0012-stand-ins-for-histories.md).

use super::{History, TimelineId};

/// The first line: a comment to postgres, and how such a file is known.
const MARK: &str = "# pgherd: reserved for a promotion that did not take place";

/// A file of this name exists, and no more is said: enough while postgres looks for an id that is free. Left where a
/// standby finds it, it would be a timeline that descends from nothing.
pub const BLANK: &str = "# pgherd: reserved for a promotion that did not take place\n";

/// Whether the content of a history file is a stand-in's, blank or not.
#[must_use]
pub fn is_stand_in(content: &[u8]) -> bool {
    content.starts_with(MARK.as_bytes())
}

impl History {
    /// The timeline that this one left, if it left any.
    #[must_use]
    pub fn parent(&self) -> Option<TimelineId> {
        self.ancestors().last().map(|left| left.timeline)
    }

    /// The ids between its parent's parent and itself, its parent's among them: what its promotion and the one before
    /// it may have given up.
    pub fn recent(&self) -> impl Iterator<Item = TimelineId> + use<> {
        let left = self.ancestors().iter().rev().nth(1).map_or(TimelineId::FIRST, |left| left.timeline);
        (left.0.saturating_add(1)..self.timeline().0).map(TimelineId)
    }

    /// The file that stands in for the history of `id`; nothing for an id that is in this history, or beyond it. It is
    /// the same whichever descendant of this timeline makes it.
    #[must_use]
    pub fn stand_in(&self, id: TimelineId) -> Option<String> {
        if id <= TimelineId::FIRST || id >= self.timeline() || self.descends_from(id) {
            return None;
        }
        let before = self.ancestors().iter().filter(|left| left.timeline < id).cloned().collect();
        let lines = History::new(id, before).ok()?;
        Some(format!("{MARK}\n{lines}"))
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

    #[test]
    fn an_id_that_was_given_up_left_its_parent_where_the_next_timeline_did() {
        let five = history(5, "1\t0/10\tfirst\n3\t0/20\tsecond\n");
        let stand_in = |id| five.stand_in(TimelineId(id));
        assert_eq!(stand_in(2).as_deref(), Some(format!("{MARK}\n1\t0/10\tfirst\n").as_str()));
        assert_eq!(stand_in(4).as_deref(), Some(format!("{MARK}\n1\t0/10\tfirst\n3\t0/20\tsecond\n").as_str()));
        for none in [0, 1, 3, 5, 6] {
            assert_eq!(stand_in(none), None, "{none}");
        }
    }

    #[test]
    fn what_the_last_two_promotions_may_have_given_up_is_recent() {
        let recent = |timeline, text| history(timeline, text).recent().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(recent(1, ""), [0_u32; 0]);
        assert_eq!(recent(2, "1\t0/1\t\n"), [0_u32; 0]);
        assert_eq!(recent(4, "1\t0/1\t\n"), [2, 3]);
        assert_eq!(recent(9, "1\t0/1\t\n4\t0/2\t\n7\t0/3\t\n"), [5, 6, 7, 8]);
    }

    #[test]
    fn a_stand_in_is_known_by_its_first_line() {
        assert!(
            is_stand_in(BLANK.as_bytes())
                && is_stand_in(history(3, "1\t0/1\t\n").stand_in(TimelineId(2)).unwrap().as_bytes())
        );
        assert!(!is_stand_in(b"1\t0/1\twhy\n") && !is_stand_in(b""));
        assert_eq!(BLANK.trim_end(), MARK);
    }

    proptest! {
        #[test]
        fn a_stand_in_is_a_timeline_of_its_own_that_parts_where_its_id_says(of in histories(), child in 1_u32..4, bytes in 0_u64..9) {
            let begin = of.begin_of(of.timeline()).unwrap().plus(bytes);
            let child = of.promoted(TimelineId(of.timeline().0 + child), begin, "").unwrap();
            for id in (0..=child.timeline().0).map(TimelineId) {
                let Some(text) = child.stand_in(id) else { continue };
                let read = History::parse(id, &text).unwrap();
                let fork = child.fork(&read).unwrap();
                prop_assert_eq!(Some(fork.timeline), read.parent());
                prop_assert_eq!(Some(fork.lsn), child.end_of(fork.timeline));
                let further = child.promoted(child.timeline().next(), begin.plus(1), "").unwrap();
                prop_assert_eq!(further.stand_in(id), Some(text));
            }
        }
    }
}
