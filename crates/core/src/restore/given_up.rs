//! How much WAL a restore leaves behind.

use crate::backup::{Archived, Choice, Target, Timestamp};
use crate::lease::WalPosition;
use crate::wal::SegmentName;

/// Bytes of WAL, at most, between the target and `written`, the end of what was written. Nothing where the two are on
/// different timelines. A time is looked for by when each segment was stored (`stored`): what was stored before it was
/// committed before it. Where a transaction or a restore point is nobody knows, but after the backup's end.
#[must_use]
pub fn given_up(
    choice: &Choice,
    archived: &Archived,
    stored: &[(SegmentName, Option<Timestamp>)],
    target: &Target,
    written: WalPosition,
) -> Option<u64> {
    if !choice.along.contains(written) {
        return None;
    }
    let size = archived.segment_size();
    let from = match target {
        Target::Latest => choice.covered,
        Target::Lsn(lsn) => *lsn,
        Target::Immediate | Target::Xid(_) | Target::Name(_) => choice.span.end.lsn,
        Target::Time(at) => {
            let before = stored.iter().filter(|(_, time)| time.is_some_and(|time| time <= *at));
            let ends = before.filter_map(|(name, _)| {
                let end = size.start_of(name.number(size)?.next());
                // A segment of a branch that was left says nothing of this one.
                (choice.along.timeline_at(size.start_of(name.number(size)?)) == name.timeline()).then_some(end)
            });
            ends.max().unwrap_or(choice.span.end.lsn).max(choice.span.end.lsn)
        }
    };
    Some(written.lsn.0.saturating_sub(from.0))
}
