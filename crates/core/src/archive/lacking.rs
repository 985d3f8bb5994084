//! What a standby lacks of a segment that the crashed holder serves: seldom all of it, mostly nothing.

use crate::lease::WalPosition;
use crate::wal::{SegmentName, SegmentSize};

/// Bytes of a WAL page (`XLOG_BLCKSZ`, as every packaged postgres has it).
const PAGE: u64 = 8192;

/// The part of a segment that is to be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// It is here up to where the tail ends: postgres finds it in `pg_wal`.
    Nothing,
    /// These bytes of it. What follows them is no WAL: the tail ends there.
    Part {
        /// The first byte. Below `known` the holder's bytes must be those that are here, else it is another WAL.
        from: u64,
        /// Where that begins which is not here.
        known: u64,
        /// Behind the last byte.
        to: u64,
    },
}

/// What to fetch of `segment` for whoever has everything up to `held` on disk, of a tail that ends at `end`.
///
/// Only what is received and flushed counts as held; without it, and on another timeline, all of it is lacking.
#[must_use]
pub fn lacking(segment: SegmentName, size: SegmentSize, held: Option<WalPosition>, end: WalPosition) -> Lacking {
    let whole = Lacking::Part { from: 0, known: 0, to: size.bytes() };
    let Some(start) = segment.start(size) else { return whole };
    if segment.timeline() != end.timeline {
        return whole;
    }
    if start >= end.lsn {
        return Lacking::Nothing;
    }
    let within = |lsn: crate::lsn::Lsn| lsn.0.saturating_sub(start.0).min(size.bytes());
    let to = within(end.lsn).next_multiple_of(PAGE).min(size.bytes());
    let known = held.filter(|held| held.timeline == end.timeline).map_or(0, |held| within(held.lsn));
    if known >= within(end.lsn) {
        return Lacking::Nothing;
    }
    // A page more than is needed, to see that it is the same WAL.
    let from = (known - known % PAGE).saturating_sub(PAGE);
    Lacking::Part { from, known, to }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsn::Lsn;
    use crate::timeline::TimelineId;
    use crate::wal::SegmentNo;
    use proptest::prelude::*;

    const SIZE: SegmentSize = SegmentSize::DEFAULT;
    const WHOLE: Lacking = Lacking::Part { from: 0, known: 0, to: 16 << 20 };

    fn at(timeline: u32, lsn: u64) -> WalPosition {
        WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) }
    }

    fn asked(timeline: u32, number: u64, held: Option<WalPosition>, end: WalPosition) -> Lacking {
        lacking(SegmentName::new(TimelineId(timeline), SegmentNo(number), SIZE), SIZE, held, end)
    }

    #[test]
    fn whoever_has_everything_fetches_nothing() {
        let end = at(1, 0x5_020_070);
        for held in [end, at(1, 0x5_020_071), at(1, 0x6_000_000)] {
            assert_eq!(asked(1, 5, Some(held), end), Lacking::Nothing);
        }
        assert_eq!(asked(1, 6, None, end), Lacking::Nothing, "the tail ends before: what lies there is recycled");
    }

    #[test]
    fn what_is_missing_is_fetched_from_a_page_before_it_to_the_end_of_the_tail() {
        let end = at(1, 0x5_020_070);
        let part = Lacking::Part { from: 0x1_c000, known: 0x1_ff00, to: 0x2_2000 };
        assert_eq!(asked(1, 5, Some(at(1, 0x5_01f_f00)), end), part);
        let early = Lacking::Part { from: 0, known: 0x10, to: 0x2_2000 };
        assert_eq!(asked(1, 5, Some(at(1, 0x5_000_010)), end), early);
    }

    #[test]
    fn a_segment_that_is_not_here_is_fetched_as_far_as_the_tail_goes() {
        let end = at(1, 0x5_020_070);
        let to = Lacking::Part { from: 0, known: 0, to: 0x2_2000 };
        assert_eq!(asked(1, 5, None, end), to);
        assert_eq!(asked(1, 5, Some(at(1, 0x4_fff_000)), end), to);
        assert_eq!(asked(1, 4, None, end), WHOLE);
    }

    #[test]
    fn on_another_timeline_nothing_counts_as_held() {
        let end = at(2, 0x5_020_070);
        assert_eq!(asked(1, 5, Some(at(1, 0x5_020_070)), end), WHOLE);
        assert_eq!(asked(2, 5, Some(at(1, 0x5_020_070)), end), Lacking::Part { from: 0, known: 0, to: 0x2_2000 });
    }

    proptest! {
        #[test]
        fn what_is_held_and_what_is_fetched_make_the_tail_whole(held in 0_u64..1 << 26, end in 1_u64..1 << 26, no in 0_u64..5) {
            let start = no << 24;
            match asked(1, no, Some(at(1, held)), at(1, end)) {
                Lacking::Nothing => prop_assert!(held >= end.min(start + SIZE.bytes()) || start >= end),
                Lacking::Part { from, known, to } => {
                    prop_assert!(from <= known && known < to && to <= SIZE.bytes());
                    prop_assert!(start + known <= held || known == 0);
                    prop_assert!(start + to >= end.min(start + SIZE.bytes()));
                }
            }
        }
    }
}
