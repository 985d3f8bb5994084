//! Which parts of unfinished objects nobody will complete: others may be backing up into the same folder.

use super::{BackupId, Timestamp};
use core::time::Duration;
use std::collections::BTreeSet;

/// Whoever has begun an object that long ago is not going to complete it. Longer than the largest backup takes.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Whether nobody writes an object any more whose first part was sent at `begun`, for a backup with this id. `ended` are
/// the backups that are known to be over.
#[must_use]
pub fn is_left_over(id: &BackupId, begun: Option<Timestamp>, ended: &BTreeSet<BackupId>, now: Timestamp) -> bool {
    let age = |begun: Timestamp| now.micros().saturating_sub(begun.micros());
    let long = i64::try_from(ABANDONED_AFTER.as_micros()).unwrap_or(i64::MAX);
    ended.contains(id) || begun.is_some_and(|begun| age(begun) > long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_left_over_when_their_backup_is_known_to_be_over_or_nobody_can_still_be_writing() {
        let id = |text: &str| text.parse::<BackupId>().unwrap();
        let ended = BTreeSet::from([id("20261101T000000")]);
        let now: Timestamp = "2026-11-20 00:00:00Z".parse().unwrap();
        let at = |text: &str| Some(text.parse().unwrap());
        let other = id("20261119T000000");
        assert!(is_left_over(&id("20261101T000000"), None, &ended, now), "its Backup failed");
        assert!(!is_left_over(&other, None, &ended, now), "nobody knows whose it is, or since when");
        assert!(!is_left_over(&other, at("2026-11-13 00:00:01Z"), &ended, now), "another's may still be on its way");
        assert!(is_left_over(&other, at("2026-11-12 23:59:59Z"), &ended, now));
        assert!(!is_left_over(&other, at("2026-12-12 00:00:00Z"), &ended, now), "clocks differ");
    }
}
