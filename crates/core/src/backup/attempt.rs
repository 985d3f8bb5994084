//! An attempt at a Backup that ended without one: whether the same Backup is tried again.

use crate::timeline::TimelineId;
use core::fmt;
use core::time::Duration;

/// So often one Backup is tried, the first time included.
pub const MOST_ATTEMPTS: usize = 3;

/// From one attempt to the next: by then a failover has settled who follows whom.
pub const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What took the instance away from its backup: a failover, a promotion, a restart. Nothing is wrong with the data, the
/// store or the settings, so another attempt may well succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// Its postgres or its pod stopped.
    Stopped,
    /// This instance became the primary.
    Promoted(String),
    /// Some instance was promoted, and this one followed it.
    NewTimeline {
        /// The timeline that the backup began on.
        from: TimelineId,
        /// The one that the instance is on now.
        to: TimelineId,
    },
    /// The pod is not there any more.
    PodGone(String),
    /// The manager of this pod ended, or another one runs in it.
    ManagerEnded(String),
    /// The manager of this pod is not heard of: its node or its network may be gone.
    Silent {
        /// The pod.
        pod: String,
        /// For how long.
        silent: Duration,
    },
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("the instance was stopped during the backup"),
            Self::Promoted(pod) => write!(f, "{pod} was promoted during the backup"),
            Self::NewTimeline { from, to } => {
                write!(f, "an instance was promoted during the backup: timeline {from} became {to}")
            }
            Self::PodGone(pod) => write!(f, "the pod {pod} that took it is gone"),
            Self::ManagerEnded(pod) => write!(f, "the manager of {pod} ended while it took the backup"),
            Self::Silent { pod, silent } => {
                write!(f, "the manager of {pod} has said nothing about it for {} s", silent.as_secs())
            }
        }
    }
}

/// How an attempt ended that made no backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// By no fault of its own.
    CutOff(CutOff),
    /// For a reason that the next attempt would meet as well, or that a person has to know of.
    Failed(String),
}

/// What becomes of the Backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is `pending` once more.
    Again {
        /// Why, for people.
        why: String,
    },
    /// It is `failed`.
    Fail {
        /// Why, for people.
        why: String,
    },
}

/// Decides, after `earlier` attempts that were cut off before this one.
#[must_use]
pub fn judge_attempt(end: &AttemptEnd, earlier: usize) -> Verdict {
    let this = earlier.saturating_add(1);
    match end {
        AttemptEnd::Failed(why) => Verdict::Fail { why: why.clone() },
        AttemptEnd::CutOff(by) if this < MOST_ATTEMPTS => {
            Verdict::Again { why: format!("attempt {this} of {MOST_ATTEMPTS} was cut off, another follows: {by}") }
        }
        AttemptEnd::CutOff(by) => Verdict::Fail { why: format!("{by} (the last of {MOST_ATTEMPTS} attempts)") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_that_a_failover_a_promotion_or_a_restart_cut_off_is_tried_again_and_not_for_ever() {
        for by in [
            CutOff::Stopped,
            CutOff::Promoted("c-2".into()),
            CutOff::NewTimeline { from: TimelineId(1), to: TimelineId(2) },
            CutOff::PodGone("c-2".into()),
            CutOff::ManagerEnded("c-2".into()),
            CutOff::Silent { pod: "c-2".into(), silent: Duration::from_secs(15) },
        ] {
            let said = by.to_string();
            let end = AttemptEnd::CutOff(by);
            for earlier in 0..MOST_ATTEMPTS - 1 {
                let Verdict::Again { why } = judge_attempt(&end, earlier) else { panic!("{said}") };
                assert!(why.starts_with(&format!("attempt {} of 3", earlier + 1)) && why.ends_with(&said), "{why}");
            }
            for earlier in [MOST_ATTEMPTS - 1, MOST_ATTEMPTS, usize::MAX] {
                assert!(matches!(judge_attempt(&end, earlier), Verdict::Fail { why } if why.starts_with(&said)));
            }
        }
    }

    #[test]
    fn any_other_failure_is_final_at_the_first_attempt() {
        let end = AttemptEnd::Failed("a page is bad".into());
        assert_eq!(judge_attempt(&end, 0), Verdict::Fail { why: "a page is bad".into() });
    }
}
