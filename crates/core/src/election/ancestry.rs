//! Whether a member's WAL lies on the one history that was ever opened to clients (hole 9, rule E4).
//!
//! Ids alone do not tell: an instance that was promoted behind everybody's back takes the next id, and so does the
//! election after it. The lease has the history of the last timeline that was opened; each member has its own.

use super::Rejection;
use crate::cluster::Report;
use crate::lease::{LeaseRecord, WalPosition};
use crate::timeline::{History, Lineage, TimelineId};

/// Where `position` really lies, if that is on the lease's history. A member counts as being on a timeline only
/// with WAL past the point where that timeline begins; until then it is on the parent.
pub(super) fn place(lease: &LeaseRecord, report: &Report, position: WalPosition) -> Result<WalPosition, Rejection> {
    if position.timeline > lease.timeline {
        return Err(Rejection::Forked(position));
    }
    let own = history(report.lineage.as_ref()).filter(|own| own.descends_from(position.timeline));
    let Some(opened) = history(lease.lineage.as_ref()) else {
        return Ok(own.map_or(position, |own| at(&own, position)));
    };
    let known = own.as_ref().unwrap_or(&opened);
    let position = at(known, position);
    if position.timeline <= opened.timeline() && !opened.contains(position) {
        return Err(Rejection::Diverged { position, left: opened.end_of(position.timeline) });
    }
    // Who cannot say where it comes from is judged by its position alone.
    let Some(own) = own else { return Ok(position) };
    let shared = opened.fork(&own).map(|fork| fork.timeline);
    let needed = position.timeline.min(opened.timeline());
    if shared.is_some_and(|shared| shared >= needed) {
        return Ok(position);
    }
    Err(Rejection::OtherHistory { timeline: needed, begins: own.begin_of(needed), expected: opened.begin_of(needed) })
}

/// A timeline that two members know and that began at different places: one of them was not elected to it, and
/// nobody here can say which.
pub(super) fn contradiction(one: &Report, other: &Report) -> Option<TimelineId> {
    let (one, other) = (history(one.lineage.as_ref())?, history(other.lineage.as_ref())?);
    let ids = one.ancestors().iter().map(|left| left.timeline).chain([one.timeline()]);
    ids.into_iter().find(|id| other.begin_of(*id).is_some_and(|begin| one.begin_of(*id) != Some(begin)))
}

/// A damaged history says nothing.
fn history(lineage: Option<&Lineage>) -> Option<History> {
    lineage.and_then(|lineage| lineage.history().ok())
}

fn at(history: &History, position: WalPosition) -> WalPosition {
    let begins = history.begin_of(position.timeline);
    if begins.is_none_or(|begin| begin < position.lsn || history.ancestors().is_empty()) {
        return position;
    }
    // The last timeline on the way here of which there is any WAL; the first has no beginning.
    let ids = history.ancestors().iter().map(|left| left.timeline).filter(|id| *id < position.timeline);
    let timeline = ids.rev().find(|id| history.begin_of(*id).is_some_and(|begin| begin < position.lsn));
    timeline.map_or(position, |timeline| WalPosition { timeline, ..position })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsn::Lsn;

    fn on(timeline: u32, lsn: u64) -> WalPosition {
        WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) }
    }

    fn lineage(timeline: u32, left: &[(u32, u64)]) -> Option<Lineage> {
        let ancestors = left.iter().map(|(id, lsn)| on(*id, *lsn)).collect();
        Some(Lineage { timeline: TimelineId(timeline), ancestors })
    }

    /// Timeline 3 was opened, which left 1 for 2 at 0x10 and 2 for 3 at 0x20; 4 is reserved.
    fn lease() -> LeaseRecord {
        let lineage = lineage(3, &[(1, 0x10), (2, 0x20)]);
        LeaseRecord { timeline: TimelineId(4), lineage, ..LeaseRecord::default() }
    }

    fn placed(own: Option<Lineage>, position: WalPosition) -> Result<WalPosition, Rejection> {
        place(&lease(), &Report { lineage: own, ..Report::default() }, position)
    }

    #[test]
    fn wal_on_the_opened_history_counts_whoever_has_it() {
        for inside in [on(1, 0x8), on(1, 0x10), on(2, 0x18), on(3, 0x21), on(3, 0x999)] {
            assert_eq!(placed(None, inside), Ok(inside));
        }
        assert_eq!(placed(lineage(2, &[(1, 0x10)]), on(2, 0x18)), Ok(on(2, 0x18)));
    }

    #[test]
    fn wal_past_the_point_where_its_timeline_was_left_is_a_fork() {
        let left = |lsn| Some(Lsn(lsn));
        let gone = |position, left| Err(Rejection::Diverged { position, left });
        assert_eq!(placed(None, on(1, 0x11)), gone(on(1, 0x11), left(0x10)));
        assert_eq!(placed(lineage(2, &[(1, 0x10)]), on(2, 0x30)), gone(on(2, 0x30), left(0x20)));
    }

    #[test]
    fn a_reserved_id_that_was_used_for_another_history_is_seen() {
        let other =
            Rejection::OtherHistory { timeline: TimelineId(3), begins: Some(Lsn(0x1C)), expected: Some(Lsn(0x20)) };
        assert_eq!(placed(lineage(3, &[(1, 0x10), (2, 0x1C)]), on(3, 0x40)), Err(other));
        assert!(matches!(placed(lineage(2, &[(1, 0x12)]), on(2, 0x18)), Err(Rejection::OtherHistory { .. })));
    }

    #[test]
    fn a_timeline_above_the_opened_one_must_descend_from_it() {
        assert_eq!(placed(lineage(4, &[(1, 0x10), (2, 0x20), (3, 0x30)]), on(4, 0x31)), Ok(on(4, 0x31)));
        assert!(matches!(
            placed(lineage(4, &[(1, 0x10), (2, 0x18)]), on(4, 0x31)),
            Err(Rejection::OtherHistory { .. })
        ));
        assert_eq!(placed(None, on(5, 0x31)), Err(Rejection::Forked(on(5, 0x31))));
    }

    #[test]
    fn a_timeline_without_wal_of_its_own_is_its_parent_still() {
        let own = lineage(4, &[(1, 0x10), (2, 0x20), (3, 0x30)]);
        assert_eq!(placed(own.clone(), on(4, 0x30)), Ok(on(3, 0x30)));
        assert_eq!(placed(own.clone(), on(4, 0x18)), Ok(on(2, 0x18)));
        assert_eq!(placed(own, on(4, 0x8)), Ok(on(1, 0x8)));
        assert_eq!(placed(None, on(2, 0x10)), Ok(on(1, 0x10)), "by the lease's history as well");
    }

    #[test]
    fn without_a_history_in_the_lease_members_are_held_against_each_other() {
        let report = |lineage| Report { lineage, ..Report::default() };
        let (one, other) = (report(lineage(2, &[(1, 0x10)])), report(lineage(2, &[(1, 0x18)])));
        assert_eq!(contradiction(&one, &other), Some(TimelineId(2)));
        assert_eq!(contradiction(&one, &report(lineage(3, &[(1, 0x18)]))), None, "3 may have left 1 later");
        assert_eq!(contradiction(&one, &report(None)), None);
        assert_eq!(contradiction(&one, &one), None);
        let none = LeaseRecord { timeline: TimelineId(2), ..LeaseRecord::default() };
        assert_eq!(place(&none, &one, on(2, 0x40)), Ok(on(2, 0x40)));
    }

    #[test]
    fn the_first_timeline_has_no_beginning() {
        let lease = LeaseRecord { timeline: TimelineId(1), lineage: lineage(1, &[]), ..LeaseRecord::default() };
        assert_eq!(place(&lease, &Report::default(), on(1, 0)), Ok(on(1, 0)));
    }
}
