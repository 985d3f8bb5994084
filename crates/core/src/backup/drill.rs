//! When a restore drill is due, and what becomes of the one that goes on. One at a time for a cluster.

use super::{ScheduleStep, ScheduleView, Timestamp, plan_schedule};
use crate::identity::PodUid;
use crate::rules::cron::Schedule;
use core::time::Duration;

/// How long a drill may take where nobody says otherwise.
pub const DRILL_WITHIN: Duration = Duration::from_secs(6 * 3600);

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrillView {
    /// The cluster has an archive.
    pub archived: bool,
    /// The id of the request on the Cluster.
    pub request: Option<String>,
    /// The id of the last one that was taken up.
    pub served: Option<String>,
    /// When drills come by themselves.
    pub schedule: Option<Schedule>,
    /// Slots up to here are settled.
    pub checked: Option<Timestamp>,
    /// The one that goes on.
    pub current: Option<DrillRun>,
    /// Every pod of a drill of this cluster.
    pub pods: Vec<DrillPod>,
}

/// A drill that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillRun {
    /// Its pod.
    pub pod: String,
    /// The pod was there: if it is not any more, it has gone.
    pub seen: bool,
    /// Since when.
    pub started: Timestamp,
    /// How long it may take.
    pub within: Duration,
}

/// A pod of a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillPod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: PodUid,
    /// How far it is.
    pub state: DrillPodState,
    /// It is being deleted.
    pub deleting: bool,
}

/// How far a pod is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillPodState {
    /// It does not run yet; why, as far as Kubernetes says it.
    Waiting(String),
    /// It runs.
    Running,
    /// It has ended.
    Ended {
        /// Its last words.
        said: Option<String>,
        /// How, for where it said nothing.
        how: String,
    },
}

/// Why one is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillCause {
    /// Somebody asks for it.
    Request(String),
    /// Its slot has come. Slots that were missed are one.
    Slot(Timestamp),
}

/// What to do. Each is decided from one version of the Cluster, and void on any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrillStep {
    /// Note that one begins, and that all slots until now are settled.
    Order(DrillCause),
    /// The same, and that it failed at once.
    Refuse {
        /// What asked for it.
        cause: DrillCause,
        /// Why it cannot be.
        why: String,
    },
    /// Make its pod. The name is in the order, so that none is made twice.
    MakePod,
    /// Note that its pod is there.
    NotePod,
    /// It has ended: its last words are the result.
    Conclude {
        /// What the pod said.
        said: Option<String>,
        /// How it ended, for where it said nothing.
        how: String,
    },
    /// It is over without a result.
    GiveUp {
        /// Why.
        why: String,
    },
    /// A pod that is no drill's any more; its copy of the data goes with it.
    Delete {
        /// Its name.
        pod: String,
        /// Only this one.
        uid: PodUid,
    },
    /// Note that slots until now are settled: the schedule is new.
    Settle,
    /// Note that there is no schedule, so that one that comes later does not make up for old slots.
    Forget,
    /// Nothing, until then.
    Wait {
        /// A slot or a deadline.
        until: Option<Timestamp>,
    },
}

/// Decides.
#[must_use]
pub fn plan_drill(view: &DrillView, now: Timestamp) -> Vec<DrillStep> {
    let current = |pod: &&DrillPod| view.current.as_ref().is_some_and(|run| run.pod == pod.name);
    let leftovers = view.pods.iter().filter(|pod| !current(pod) && !pod.deleting);
    let mut steps: Vec<DrillStep> =
        leftovers.map(|pod| DrillStep::Delete { pod: pod.name.clone(), uid: pod.uid.clone() }).collect();
    steps.push(match &view.current {
        Some(run) => go_on(run, view.pods.iter().find(current), now),
        // The copy of the last one has gone before the next is made.
        None if !view.pods.is_empty() => DrillStep::Wait { until: None },
        None => begin(view, now),
    });
    steps
}

fn begin(view: &DrillView, now: Timestamp) -> DrillStep {
    let asked = view.request.as_ref().filter(|id| view.served.as_ref() != Some(*id));
    let (cause, until) = match (asked, due(view, now)) {
        (Some(id), _) => (Some(DrillCause::Request(id.clone())), None),
        (None, Ok(slot)) => (Some(DrillCause::Slot(slot)), None),
        (None, Err(DrillStep::Wait { until })) => (None, until),
        (None, Err(step)) => return step,
    };
    match cause {
        None => DrillStep::Wait { until },
        Some(cause) if view.archived => DrillStep::Order(cause),
        Some(cause) => {
            let why = "the cluster has no archive: there is no spec.backup.barmanObjectStore".to_owned();
            DrillStep::Refuse { cause, why }
        }
    }
}

/// The slot that is due, or what is to be done instead.
fn due(view: &DrillView, now: Timestamp) -> Result<Timestamp, DrillStep> {
    match (view.schedule, view.checked) {
        (None, None) => Err(DrillStep::Wait { until: None }),
        (None, Some(_)) => Err(DrillStep::Forget),
        (Some(_), None) => Err(DrillStep::Settle),
        (Some(schedule), Some(checked)) => {
            let (created, checked) = (checked, Some(checked));
            let all = ScheduleView { schedule, immediate: false, suspended: false, created, checked, busy: false };
            match plan_schedule(&all, now) {
                ScheduleStep::Take { slot, .. } => Ok(slot),
                ScheduleStep::Settle => Err(DrillStep::Settle),
                ScheduleStep::Wait { until } => Err(DrillStep::Wait { until }),
            }
        }
    }
}

fn go_on(run: &DrillRun, pod: Option<&DrillPod>, now: Timestamp) -> DrillStep {
    let micros = i64::try_from(run.within.as_micros()).unwrap_or(i64::MAX);
    let deadline = Timestamp::from_micros(run.started.micros().saturating_add(micros));
    let late = deadline <= now;
    let within = run.within.as_secs();
    match pod {
        None if run.seen => DrillStep::GiveUp { why: format!("pod {} went away before it was done", run.pod) },
        None if late => DrillStep::GiveUp { why: format!("pod {} could not be made within {within} s", run.pod) },
        None => DrillStep::MakePod,
        Some(DrillPod { state: DrillPodState::Ended { said, how }, .. }) => {
            DrillStep::Conclude { said: said.clone(), how: how.clone() }
        }
        Some(pod) if pod.deleting => {
            DrillStep::GiveUp { why: format!("pod {} was deleted before it was done", run.pod) }
        }
        Some(pod) if late => {
            let state = match &pod.state {
                DrillPodState::Waiting(why) if why.is_empty() => "it was not started".to_owned(),
                DrillPodState::Waiting(why) => format!("it was not started: {why}"),
                _ => "its pod's log says how far it was".to_owned(),
            };
            DrillStep::GiveUp { why: format!("not done within {within} s; {state}") }
        }
        Some(_) if !run.seen => DrillStep::NotePod,
        Some(_) => DrillStep::Wait { until: Some(deadline) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-11-28 03:00:00")
    }

    fn daily() -> DrillView {
        DrillView {
            archived: true,
            schedule: Some("0 4 * * *".parse().unwrap()),
            checked: Some(at("2026-11-27 04:00:01")),
            ..DrillView::default()
        }
    }

    fn pod(name: &str, state: DrillPodState) -> DrillPod {
        DrillPod { name: name.into(), uid: PodUid("u".into()), state, deleting: false }
    }

    fn running(seen: bool) -> DrillView {
        let run = DrillRun { pod: "c-verify-1".into(), seen, started: at("2026-11-28 02:59:00"), within: DRILL_WITHIN };
        DrillView { current: Some(run), ..daily() }
    }

    fn gives_up(view: &DrillView, now: Timestamp) -> String {
        match plan_drill(view, now).pop() {
            Some(DrillStep::GiveUp { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_is_taken_up_once_and_a_slot_when_it_comes() {
        let asked = DrillView { request: Some("a".into()), ..DrillView { archived: true, ..DrillView::default() } };
        assert_eq!(plan_drill(&asked, now()), [DrillStep::Order(DrillCause::Request("a".into()))]);
        let served = DrillView { served: Some("a".into()), ..asked };
        assert_eq!(plan_drill(&served, now()), [DrillStep::Wait { until: None }]);
        let again = DrillView { request: Some("b".into()), ..served };
        assert_eq!(plan_drill(&again, now()), [DrillStep::Order(DrillCause::Request("b".into()))]);
        let next = at("2026-11-28 04:00:00");
        assert_eq!(plan_drill(&daily(), now()), [DrillStep::Wait { until: Some(next) }]);
        assert_eq!(plan_drill(&daily(), at("2026-11-28 04:00:01")), [DrillStep::Order(DrillCause::Slot(next))]);
        let missed = plan_drill(&daily(), at("2026-12-05 12:00:00"));
        assert_eq!(missed, [DrillStep::Order(DrillCause::Slot(at("2026-12-05 04:00:00")))], "missed slots are one");
        let both = DrillView { request: Some("a".into()), ..daily() };
        let first = plan_drill(&both, at("2026-11-28 04:00:01"));
        assert_eq!(first, [DrillStep::Order(DrillCause::Request("a".into()))], "the order settles the slot with it");
    }

    #[test]
    fn a_schedule_that_is_new_does_not_make_up_for_slots_before_it() {
        assert_eq!(plan_drill(&DrillView { checked: None, ..daily() }, now()), [DrillStep::Settle]);
        assert_eq!(plan_drill(&DrillView { schedule: None, ..daily() }, now()), [DrillStep::Forget]);
    }

    #[test]
    fn without_an_archive_it_is_refused_with_the_reason() {
        let view = DrillView { archived: false, request: Some("a".into()), ..DrillView::default() };
        let [DrillStep::Refuse { cause, why }] = &plan_drill(&view, now())[..] else { panic!() };
        assert_eq!(*cause, DrillCause::Request("a".into()));
        assert!(why.contains("no archive"), "{why}");
    }

    #[test]
    fn its_pod_is_made_noted_and_waited_for_and_nothing_else_begins_meanwhile() {
        let busy = |seen| DrillView { request: Some("b".into()), ..running(seen) };
        assert_eq!(plan_drill(&busy(false), now()), [DrillStep::MakePod]);
        let there = |seen| DrillView { pods: vec![pod("c-verify-1", DrillPodState::Running)], ..busy(seen) };
        assert_eq!(plan_drill(&there(false), now()), [DrillStep::NotePod]);
        let deadline = Some(at("2026-11-28 08:59:00"));
        assert_eq!(plan_drill(&there(true), now()), [DrillStep::Wait { until: deadline }]);
    }

    #[test]
    fn its_last_words_are_the_result_even_after_the_deadline() {
        let state = DrillPodState::Ended { said: Some("{}".into()), how: "exit code 0".into() };
        let view = DrillView { pods: vec![pod("c-verify-1", state)], ..running(true) };
        let expected = [DrillStep::Conclude { said: Some("{}".into()), how: "exit code 0".into() }];
        assert_eq!(plan_drill(&view, now()), expected);
        assert_eq!(plan_drill(&view, at("2026-11-29 03:00:00")), expected);
    }

    #[test]
    fn one_that_comes_to_nothing_says_why() {
        let late = at("2026-11-28 09:00:00");
        let with = |state| DrillView { pods: vec![pod("c-verify-1", state)], ..running(true) };
        let waiting = with(DrillPodState::Waiting("0/3 nodes are available".into()));
        assert_eq!(gives_up(&waiting, late), "not done within 21600 s; it was not started: 0/3 nodes are available");
        assert!(gives_up(&with(DrillPodState::Running), late).contains("log"));
        assert_eq!(gives_up(&running(true), now()), "pod c-verify-1 went away before it was done");
        let mut deleted = with(DrillPodState::Running);
        deleted.pods[0].deleting = true;
        assert_eq!(gives_up(&deleted, now()), "pod c-verify-1 was deleted before it was done");
        assert!(gives_up(&running(false), late).contains("could not be made"));
    }

    #[test]
    fn what_is_left_of_another_is_deleted_first() {
        let left = pod("c-verify-0", DrillPodState::Running);
        let delete = DrillStep::Delete { pod: "c-verify-0".into(), uid: PodUid("u".into()) };
        let view = DrillView { request: Some("a".into()), pods: vec![left.clone()], ..daily() };
        assert_eq!(plan_drill(&view, now()), [delete.clone(), DrillStep::Wait { until: None }]);
        let beside = DrillView { pods: vec![left.clone()], ..running(false) };
        assert_eq!(plan_drill(&beside, now()), [delete, DrillStep::MakePod]);
        let going = DrillView { pods: vec![DrillPod { deleting: true, ..left }], ..view };
        assert_eq!(plan_drill(&going, now()), [DrillStep::Wait { until: None }], "once is enough");
    }
}
