//! Which instance takes which Backup, and which one nobody takes any more.

use super::archiving::{ArchivingFailure, Gate, judge_archiving};
use super::attempt::{AGAIN_AFTER, AttemptEnd, CutOff, Verdict, judge_attempt};
use crate::cluster::{MemberPhase, PodView};
use crate::identity::Nonce;
use core::cmp::Reverse;
use core::time::Duration;

/// A Backup under way that is not written to for so long is dead: its manager writes every other second.
pub const SILENT_FOR: Duration = Duration::from_secs(15);

/// Where a Backup is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackupFrom {
    /// Only the primary.
    Primary,
    /// A standby, or the primary where there is none.
    #[default]
    PreferStandby,
}

/// How far a Backup is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// Nobody takes it yet.
    Pending {
        /// For how long, since it was made or since its last attempt.
        waited: Duration,
        /// For how long WAL archiving has held it up.
        held: Duration,
    },
    /// A manager does.
    UnderWay {
        /// Its pod.
        pod: String,
        /// The process.
        nonce: Nonce,
        /// For how long nothing was written to it.
        silent: Duration,
    },
    /// It ended.
    Done,
}

/// One Backup of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupView {
    /// `metadata.name`.
    pub name: String,
    /// Its age, for the order: the creation in seconds since the Unix epoch.
    pub created: i64,
    /// Where it is to be taken.
    pub from: BackupFrom,
    /// Attempts that were cut off.
    pub earlier: usize,
    /// How far it is.
    pub state: BackupState,
}

/// What to do about a Backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupStep {
    /// Tell a manager to take it.
    Start {
        /// The Backup.
        backup: String,
        /// The pod.
        pod: String,
        /// The process in it.
        nonce: Nonce,
    },
    /// Its attempt was cut off: it is pending once more.
    Again {
        /// The Backup.
        backup: String,
        /// What cut it off.
        by: CutOff,
        /// Why, for people.
        why: String,
    },
    /// It is not begun while WAL archiving fails.
    Hold {
        /// The Backup.
        backup: String,
        /// Why, for people.
        why: String,
    },
    /// Nobody takes it any more.
    Fail {
        /// The Backup.
        backup: String,
        /// Why, for people.
        why: String,
    },
    /// It has to wait.
    Wait {
        /// The Backup.
        backup: String,
        /// For what, for people.
        why: String,
    },
}

/// Decides for all Backups of one cluster: one at a time, the oldest first. `failing` is why WAL archiving fails, if it
/// is known to.
#[must_use]
pub fn plan_backups(
    backups: &[BackupView],
    pods: &[PodView],
    failing: Option<ArchivingFailure<'_>>,
) -> Vec<BackupStep> {
    let mut steps = Vec::new();
    let mut taken: Option<&str> = None;
    for backup in backups {
        let BackupState::UnderWay { pod, nonce, silent } = &backup.state else { continue };
        match lost(pods, pod, nonce, *silent) {
            Some(by) => {
                let name = backup.name.clone();
                steps.push(match judge_attempt(&AttemptEnd::CutOff(by.clone()), backup.earlier) {
                    Verdict::Again { why } => BackupStep::Again { backup: name, by, why },
                    Verdict::Fail { why } => BackupStep::Fail { backup: name, why },
                });
            }
            None => taken = Some(&backup.name),
        }
    }
    let waiting = |backup| match backup {
        &BackupView { state: BackupState::Pending { waited, held }, .. } => Some((backup, waited, held)),
        _ => None,
    };
    let mut pending: Vec<(&BackupView, Duration, Duration)> = backups.iter().filter_map(waiting).collect();
    pending.sort_by_key(|(backup, ..)| (backup.created, backup.name.as_str()));
    for (backup, waited, held) in pending {
        let name = backup.name.clone();
        if let Some(other) = taken {
            steps.push(BackupStep::Wait { backup: name, why: format!("{other} is taken first") });
            continue;
        }
        match judge_archiving(failing, held) {
            Gate::Hold { why } => steps.push(BackupStep::Hold { backup: name, why }),
            Gate::Fail { why } => steps.push(BackupStep::Fail { backup: name, why }),
            // Why it is tried again stands in its status meanwhile.
            Gate::Open if backup.earlier > 0 && waited < AGAIN_AFTER => {}
            Gate::Open => steps.push(match choose(pods, backup.from) {
                Ok((pod, nonce)) => {
                    taken = Some(&backup.name);
                    BackupStep::Start { backup: name, pod, nonce }
                }
                Err(why) => BackupStep::Wait { backup: name, why: why.to_owned() },
            }),
        }
    }
    steps
}

/// Why a backup under way will never end by itself.
fn lost(pods: &[PodView], pod: &str, nonce: &Nonce, silent: Duration) -> Option<CutOff> {
    let Some(view) = pods.iter().find(|view| view.name == pod) else {
        return Some(CutOff::PodGone(pod.to_owned()));
    };
    let other = view.report.as_ref().is_some_and(|report| report.nonce != *nonce);
    if view.is_finished() || other || view.dead_nonces.contains(nonce) {
        return Some(CutOff::ManagerEnded(pod.to_owned()));
    }
    (silent >= SILENT_FOR).then(|| CutOff::Silent { pod: pod.to_owned(), silent })
}

/// The most advanced standby that serves, or the primary.
fn choose(pods: &[PodView], from: BackupFrom) -> Result<(String, Nonce), &'static str> {
    let serving = |phase: MemberPhase| {
        let ready = pods.iter().filter(|pod| pod.is_alive() && pod.ready);
        ready.filter_map(move |pod| Some((pod, pod.report.as_ref().filter(|report| report.phase == phase)?)))
    };
    let standby = serving(MemberPhase::Standby)
        .filter(|_| from == BackupFrom::PreferStandby)
        .min_by_key(|(pod, report)| (pod.leaving.is_some(), Reverse(report.position), pod.serial));
    let chosen = standby.or_else(|| serving(MemberPhase::Primary).next());
    let none = match from {
        BackupFrom::Primary => "no primary is ready",
        BackupFrom::PreferStandby => "no instance is ready",
    };
    chosen.map(|(pod, report)| (pod.name.clone(), report.nonce.clone())).ok_or(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Report;
    use crate::lease::WalPosition;
    use crate::lsn::Lsn;
    use crate::timeline::TimelineId;

    fn pod(serial: u32, phase: MemberPhase, lsn: u64) -> PodView {
        let position = Some(WalPosition { timeline: TimelineId(1), lsn: Lsn(lsn) });
        let report = Report { nonce: Nonce(format!("n{serial}")), phase, position, ..Report::default() };
        PodView { name: format!("c-{serial}"), serial, ready: true, report: Some(report), ..PodView::default() }
    }

    /// A primary and two standbys, of which the third is ahead.
    fn pods() -> Vec<PodView> {
        vec![pod(1, MemberPhase::Primary, 30), pod(2, MemberPhase::Standby, 10), pod(3, MemberPhase::Standby, 20)]
    }

    fn pending(name: &str, created: i64) -> BackupView {
        let state = BackupState::Pending { waited: Duration::ZERO, held: Duration::ZERO };
        BackupView { name: name.into(), created, from: BackupFrom::PreferStandby, earlier: 0, state }
    }

    fn under_way(pod: &str, nonce: &str, silent: u64) -> BackupView {
        let state = BackupState::UnderWay { pod: pod.into(), nonce: nonce.into(), silent: Duration::from_secs(silent) };
        BackupView { state, ..pending("b", 0) }
    }

    fn start(backup: &str, pod: &str, nonce: &str) -> BackupStep {
        BackupStep::Start { backup: backup.into(), pod: pod.into(), nonce: nonce.into() }
    }

    #[test]
    fn the_most_advanced_standby_that_serves_takes_it_and_else_the_primary() {
        let one = [pending("b", 0)];
        let mut pods = pods();
        assert_eq!(plan_backups(&one, &pods, None), [start("b", "c-3", "n3")]);
        pods[2].ready = false;
        assert_eq!(plan_backups(&one, &pods, None), [start("b", "c-2", "n2")]);
        pods[1].deleting = true;
        assert_eq!(plan_backups(&one, &pods, None), [start("b", "c-1", "n1")]);
        pods[0].report = None;
        let none = BackupStep::Wait { backup: "b".into(), why: "no instance is ready".into() };
        assert_eq!(plan_backups(&one, &pods, None), [none]);
    }

    #[test]
    fn the_primary_takes_it_where_that_is_asked_for() {
        let one = [BackupView { from: BackupFrom::Primary, ..pending("b", 0) }];
        assert_eq!(plan_backups(&one, &pods(), None), [start("b", "c-1", "n1")]);
        let waits = plan_backups(&one, &pods()[1..], None);
        assert_eq!(waits, [BackupStep::Wait { backup: "b".into(), why: "no primary is ready".into() }]);
    }

    #[test]
    fn one_is_taken_at_a_time_the_oldest_first() {
        let many = [pending("new", 7), pending("z", 5), pending("a", 5)];
        let wait = |backup: &str| BackupStep::Wait { backup: backup.into(), why: "a is taken first".into() };
        assert_eq!(plan_backups(&many, &pods(), None), [start("a", "c-3", "n3"), wait("z"), wait("new")]);
        let busy = [under_way("c-2", "n2", 3), pending("new", 7)];
        let waits = BackupStep::Wait { backup: "new".into(), why: "b is taken first".into() };
        assert_eq!(plan_backups(&busy, &pods(), None), [waits]);
    }

    #[test]
    fn a_backup_whose_manager_is_gone_or_silent_is_tried_again_and_holds_nobody_up() {
        let mut dead = pods();
        dead[1].dead_nonces = vec!["n2".into()];
        for (backup, pods, said) in [
            (under_way("c-9", "n9", 0), pods(), "c-9 that took it is gone"),
            (under_way("c-2", "n0", 0), pods(), "the manager of c-2 ended"),
            (under_way("c-2", "n2", 0), dead, "the manager of c-2 ended"),
            (under_way("c-2", "n2", 15), pods(), "nothing about it for 15 s"),
        ] {
            let steps = plan_backups(&[backup, pending("next", 1)], &pods, None);
            let [BackupStep::Again { why, .. }, BackupStep::Start { backup, .. }] = steps.as_slice() else {
                panic!("{steps:?}")
            };
            assert!(why.contains(said) && backup == "next", "{why}");
        }
        let third = BackupView { earlier: 2, ..under_way("c-9", "n9", 0) };
        let steps = plan_backups(&[third], &pods(), None);
        assert!(matches!(steps.as_slice(), [BackupStep::Fail { why, .. }] if why.contains("3 attempts")), "{steps:?}");
        assert!(plan_backups(&[under_way("c-2", "n2", 14)], &pods(), None).is_empty());
    }

    #[test]
    fn another_attempt_begins_after_a_pause_and_nobody_waits_for_that_pause() {
        let again = |seconds| {
            let state = BackupState::Pending { waited: Duration::from_secs(seconds), held: Duration::ZERO };
            BackupView { earlier: 1, state, ..pending("cut", 0) }
        };
        assert_eq!(plan_backups(&[again(9), pending("next", 1)], &pods(), None), [start("next", "c-3", "n3")]);
        let first = plan_backups(&[again(10), pending("next", 1)], &pods(), None);
        assert_eq!(first.first(), Some(&start("cut", "c-3", "n3")));
    }

    #[test]
    fn while_archiving_fails_none_is_begun_and_none_waits_for_ever() {
        let held = |name: &str, seconds| {
            let state = BackupState::Pending { waited: Duration::ZERO, held: Duration::from_secs(seconds) };
            BackupView { state, ..pending(name, 0) }
        };
        let both = [held("long", 600), held("short", 599)];
        let steps = plan_backups(&both, &pods(), Some(ArchivingFailure { why: "403 AccessDenied", lasting: false }));
        let [BackupStep::Fail { backup, .. }, BackupStep::Hold { why, .. }] = steps.as_slice() else {
            panic!("{steps:?}")
        };
        assert!(backup == "long" && why.contains("403 AccessDenied"), "{why}");
        assert_eq!(plan_backups(&both[1..], &pods(), None), [start("short", "c-3", "n3")], "it works again");
    }
}
