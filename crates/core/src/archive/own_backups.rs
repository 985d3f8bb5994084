//! The base backups of an archive by whose they are: what is another database system's is neither counted nor deleted.

use crate::backup::retention::{self, Plan};
use crate::backup::{Archived, BackupId, Entry, Keep, Timestamp};
use crate::identity::SystemId;
use crate::rules::retention::Retention;
use crate::timeline::TimelineId;

/// A backup is of another database system than the cluster: nothing is proven by it, and nothing made of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("backup {backup} is of database system {found}, and the cluster is {own}")]
pub struct OtherSystem {
    /// The backup.
    pub backup: BackupId,
    /// Its `systemid`.
    pub found: SystemId,
    /// The cluster's.
    pub own: SystemId,
}

/// Whether a backup is of the cluster's database. One that does not say whose it is may be.
///
/// # Errors
/// [`OtherSystem`].
pub fn of_own_system(backup: &BackupId, found: Option<SystemId>, own: SystemId) -> Result<(), OtherSystem> {
    match found {
        Some(found) if found != own => Err(OtherSystem { backup: backup.clone(), found, own }),
        Some(_) | None => Ok(()),
    }
}

/// Backups, by whether they are of the cluster's own database system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnBackups {
    own: Vec<Entry>,
    others: Vec<Entry>,
}

impl OwnBackups {
    /// Sorts backups by their `systemid`; where it is absent, as in what no `backup.info` tells of, they are its own.
    #[must_use]
    pub fn sort(backups: impl IntoIterator<Item = (Entry, Option<SystemId>)>, own: SystemId) -> Self {
        let mut sorted = Self::default();
        for (entry, system) in backups {
            let side = if of_own_system(&entry.id, system, own).is_ok() { &mut sorted.own } else { &mut sorted.others };
            side.push(entry);
        }
        sorted
    }

    /// Those of the cluster itself.
    #[must_use]
    pub fn own(&self) -> &[Entry] {
        &self.own
    }

    /// Those of other systems.
    #[must_use]
    pub fn others(&self) -> &[Entry] {
        &self.others
    }

    /// What retention makes redundant among its own. Those of others stay with the WAL that makes them consistent, and
    /// replace nothing.
    #[must_use]
    pub fn plan(&self, archived: &Archived, policy: Retention, now: Timestamp, current: TimelineId) -> Plan {
        let own = retention::plan(&self.own, archived, policy, now, current);
        if self.others.is_empty() {
            return own;
        }
        let kept = |entry: &Entry| Entry { keep: Some(Keep::Standalone), ..entry.clone() };
        let all: Vec<Entry> = self.own.iter().cloned().chain(self.others.iter().map(kept)).collect();
        let mut plan = retention::plan(&all, archived, policy, now, current);
        // A rest goes for a later backup of its own only, and a backup of another's is none that stays of ours.
        (plan.remove, plan.stay) = (own.remove, own.stay);
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::BackupInfo;
    use crate::wal::{SegmentName, SegmentNo, SegmentSize, WalName};

    const OWN: SystemId = SystemId(7);

    /// A backup of a day in November 2026, in segment ten times its number.
    fn backup(day: u8, system: &str, status: &str) -> (Entry, Option<SystemId>) {
        let segment = u32::from(day) * 10;
        let text = format!(
            "status={status}\nversion=150018\ntimeline=1\nsystemid={system}\n\
             begin_xlog=0/{segment:X}000028\nend_xlog=0/{segment:X}000100\n\
             begin_wal=0000000100000000{segment:08X}\nend_wal=0000000100000000{segment:08X}\n\
             begin_time=2026-11-{day:02} 00:00:00+00:00\nend_time=2026-11-{day:02} 00:00:00+00:00\n"
        );
        let info = BackupInfo::parse(&text).unwrap();
        (Entry::new(format!("202611{day:02}T000000").parse().unwrap(), Some(&info), None), info.system)
    }

    fn planned(backups: Vec<(Entry, Option<SystemId>)>) -> (Vec<String>, Vec<String>, Vec<u64>) {
        let mut archived = Archived::new(SegmentSize::DEFAULT);
        let segment = |number| SegmentName::new(TimelineId(1), SegmentNo(number), SegmentSize::DEFAULT);
        for number in 5..=65 {
            archived.add_segment(segment(number), Some("2026-11-07 00:00:00Z".parse().unwrap()));
        }
        let now = "2026-11-07 00:00:00Z".parse().unwrap();
        let plan = OwnBackups::sort(backups, OWN).plan(&archived, "2d".parse().unwrap(), now, TimelineId(1));
        let gone = plan.remove.iter().map(|(id, _)| id.to_string()).collect();
        let stay = plan.stay.iter().map(ToString::to_string).collect();
        (gone, stay, (5..=65).filter(|number| plan.removes(WalName::Segment(segment(*number)))).collect())
    }

    #[test]
    fn a_backup_of_another_system_is_neither_deleted_nor_counted_and_keeps_its_wal() {
        let ours = |day| backup(day, "7", "DONE");
        let (gone, stay, wal) = planned(vec![ours(1), backup(2, "8", "DONE"), ours(3), ours(6)]);
        assert_eq!((gone, stay.len()), (vec!["20261101T000000".to_owned()], 2));
        assert_eq!(wal, (5..=19).chain(21..=29).collect::<Vec<_>>(), "the other one's is in segment 20");
        // That of the third is before the window, and would replace the first if it were ours.
        let (gone, stay, wal) = planned(vec![ours(1), backup(3, "8", "DONE"), ours(6)]);
        assert_eq!((gone, stay.len(), wal), (vec![], 2, (5..=9).collect()));
    }

    #[test]
    fn where_only_another_system_has_backups_nothing_is_deleted() {
        let theirs = |day| backup(day, "8", "DONE");
        assert_eq!(planned(vec![theirs(1), theirs(3), theirs(6)]), (vec![], vec![], vec![]));
    }

    #[test]
    fn what_is_left_of_a_failed_backup_goes_for_a_later_one_of_the_same_system() {
        let (gone, ..) = planned(vec![backup(1, "7", "FAILED"), backup(2, "8", "FAILED"), backup(3, "8", "DONE")]);
        assert_eq!(gone, Vec::<String>::new());
        let later = backup(6, "7", "DONE");
        let (gone, ..) = planned(vec![backup(1, "7", "FAILED"), backup(2, "8", "FAILED"), later]);
        assert_eq!(gone, ["20261101T000000"]);
    }

    #[test]
    fn a_backup_that_does_not_say_whose_it_is_may_be_the_clusters() {
        let id: BackupId = "20261101T000000".parse().unwrap();
        assert_eq!(of_own_system(&id, None, OWN), Ok(()));
        assert_eq!(of_own_system(&id, Some(OWN), OWN), Ok(()));
        let other = of_own_system(&id, Some(SystemId(8)), OWN).unwrap_err().to_string();
        assert_eq!(other, "backup 20261101T000000 is of database system 8, and the cluster is 7");
        let sorted = OwnBackups::sort([backup(1, "None", "DONE"), backup(2, "8", "DONE")], OWN);
        assert_eq!((sorted.own().len(), sorted.others().len()), (1, 1));
    }
}
