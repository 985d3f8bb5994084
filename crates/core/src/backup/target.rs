//! Where a recovery is to stop (PostgreSQL documentation, "Recovery Target"), and the settings that say so.

use super::{BackupId, Timestamp};
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use core::fmt;

/// Where to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// At the end of the archive.
    #[default]
    Latest,
    /// As soon as the data are consistent.
    Immediate,
    /// At the first commit that was stamped later.
    Time(Timestamp),
    /// At a position in WAL.
    Lsn(Lsn),
    /// At the commit of a transaction.
    Xid(u64),
    /// At a restore point (`pg_create_restore_point`).
    Name(String),
}

/// Along which timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetTimeline {
    /// The last that there is.
    #[default]
    Latest,
    /// That of the backup.
    Current,
    /// This one.
    Id(TimelineId),
}

/// All of `bootstrap.recovery.recoveryTarget`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryTarget {
    /// Where to stop.
    pub target: Target,
    /// Along which timeline.
    pub timeline: TargetTimeline,
    /// The backup to begin with; chosen by the target where it is absent.
    pub backup: Option<BackupId>,
    /// Whether to stop just before the target and not just after it.
    pub exclusive: bool,
}

impl RecoveryTarget {
    /// The `recovery_target*` settings along a timeline that was chosen. `promote`, since a recovery that does not
    /// reach its target ends with an error before that (`StartupXLOG`: "recovery ended before configured recovery
    /// target was reached").
    #[must_use]
    pub fn settings(&self, along: TimelineId) -> Vec<(&'static str, String)> {
        let mut settings = vec![
            ("recovery_target_timeline", along.to_string()),
            ("recovery_target_action", "promote".to_owned()),
            ("recovery_target_inclusive", if self.exclusive { "off" } else { "on" }.to_owned()),
        ];
        settings.extend(match &self.target {
            Target::Latest => None,
            Target::Immediate => Some(("recovery_target", "immediate".to_owned())),
            Target::Time(at) => Some(("recovery_target_time", at.utc().to_string())),
            Target::Lsn(at) => Some(("recovery_target_lsn", at.to_string())),
            Target::Xid(id) => Some(("recovery_target_xid", id.to_string())),
            Target::Name(point) => Some(("recovery_target_name", point.clone())),
        });
        settings
    }

    /// Whether the reason in the new timeline's history file (`getRecoveryStopReason` in `xlogrecovery.c`) is that of
    /// this target: postgres' own word for having reached it.
    #[must_use]
    pub fn is_reached_by(&self, reason: &str) -> bool {
        match &self.target {
            Target::Latest => reason.contains("no recovery target specified"),
            Target::Immediate => reason.contains("reached consistency"),
            Target::Time(_) | Target::Xid(_) => {
                (reason.starts_with("before ") || reason.starts_with("after ")) && !reason.contains(" LSN ")
            }
            Target::Lsn(_) => reason.contains(" LSN "),
            Target::Name(name) => *reason == format!("at restore point \"{name}\""),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("the end of the archive"),
            Self::Immediate => f.write_str("the end of the backup"),
            Self::Time(at) => write!(f, "{}", at.utc()),
            Self::Lsn(at) => write!(f, "LSN {at}"),
            Self::Xid(id) => write!(f, "transaction {id}"),
            Self::Name(name) => write!(f, "restore point {name:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(target: Target, exclusive: bool) -> Vec<String> {
        let wanted = RecoveryTarget { target, exclusive, ..RecoveryTarget::default() };
        wanted.settings(TimelineId(3)).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn a_target_becomes_one_setting_and_the_timeline_is_a_number() {
        let common = ["recovery_target_timeline=3", "recovery_target_action=promote", "recovery_target_inclusive=on"];
        assert_eq!(settings(Target::Latest, false), common);
        for (target, said) in [
            (Target::Immediate, "recovery_target=immediate"),
            (Target::Lsn(Lsn(0x1_0000_0010)), "recovery_target_lsn=1/10"),
            (Target::Xid(731), "recovery_target_xid=731"),
            (Target::Name("before it".into()), "recovery_target_name=before it"),
            (
                Target::Time("2026-11-23 11:15:00.5+01:00".parse().unwrap()),
                "recovery_target_time=2026-11-23 10:15:00.500000+00:00",
            ),
        ] {
            let said_all = settings(target, false);
            assert_eq!((said_all.len(), said_all.last().map(String::as_str)), (4, Some(said)));
        }
        assert!(settings(Target::Xid(1), true).contains(&"recovery_target_inclusive=off".to_owned()));
    }

    #[test]
    fn the_target_is_reached_when_the_new_timeline_says_so() {
        let reached =
            |target: Target, reason: &str| RecoveryTarget { target, ..RecoveryTarget::default() }.is_reached_by(reason);
        let time = || Target::Time(Timestamp::from_seconds(0));
        for (target, reason) in [
            (Target::Latest, "no recovery target specified"),
            (Target::Immediate, "reached consistency"),
            (time(), "before 2026-11-23 10:15:01.123456+00"),
            (Target::Xid(731), "after transaction 731"),
            (Target::Lsn(Lsn(16)), "after LSN 0/3000060"),
            (Target::Name("x".into()), "at restore point \"x\""),
        ] {
            assert!(reached(target.clone(), reason), "{target}");
            let other = if target == Target::Latest { "reached consistency" } else { "no recovery target specified" };
            assert!(!reached(target, other));
        }
        assert!(
            !reached(time(), "after LSN 0/3000060") && !reached(Target::Name("y".into()), "at restore point \"x\"")
        );
    }
}
