//! Restore in place, stage by stage: what an order comes to, who stops, which volumes are put aside or come back, when
//! the lease of the old history is closed (ADR 0013). What it makes out of the archive is made as a first instance is.

use super::Draft;
use super::instances::{count, free_serials, primary_is_well};
use super::step::{EventKind, Step};
use crate::cluster::{Desired, MemberPhase, Observed};
use crate::lease::{LeaseRecord, Versioned};
use crate::restore::{RestoreFact, Revival, Ruling, Stage, closed, rule};
use crate::time::Instant;
use core::time::Duration;
use std::collections::BTreeSet;

/// Until what holds an order up is over.
const LATER: Duration = Duration::from_secs(1);

/// What else is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Everything; the reason is for the status, while a restore goes on.
    Beside(Option<String>),
    /// Nothing about instances, elections and labels.
    Alone(String),
}

pub(super) fn plan(desired: &Desired, observed: &Observed, now: Instant, draft: &mut Draft) -> Course {
    let current = observed.status.restore.as_ref();
    if let Some(begun) = order(observed, draft) {
        return Course::Alone(begun);
    }
    let Some(restore) = current.filter(|restore| restore.stage.is_under_way()) else { return Course::Beside(None) };
    match restore.stage {
        Stage::Stopping => stopping(desired, observed, restore, now, draft),
        Stage::Closing => closing(desired, observed, restore, draft),
        Stage::Restoring => Course::Beside(Some(restoring(observed, restore, draft))),
        Stage::Reviving => reviving(observed, restore, draft),
        Stage::Joining => joining(desired, observed, restore, draft),
        Stage::Done => Course::Beside(None),
    }
}

/// Rules on what a person asks for; answers with what was begun.
fn order(observed: &Observed, draft: &mut Draft) -> Option<String> {
    let order = observed.restore_order.as_ref()?;
    let kept: BTreeSet<String> = observed.kept.iter().map(|kept| kept.by.clone()).collect();
    let kept: Vec<String> = kept.into_iter().collect();
    match rule(order, observed.status.restore.as_ref(), &kept) {
        Ruling::Known => {
            draft.steps.push(Step::ClearRestoreOrder);
            None
        }
        Ruling::Later(what) => {
            draft.report.waits(what);
            draft.look_again(LATER);
            None
        }
        Ruling::Refused(why) => {
            draft.report.does_not("restore in place", &why);
            draft.steps.push(Step::ClearRestoreOrder);
            draft.tell(EventKind::Warning, "RestoreRefused", why);
            None
        }
        Ruling::Begin(fact) => {
            let what = match &fact.revives {
                None => "the cluster is to be restored out of its archive".to_owned(),
                Some(Revival { restore, .. }) => format!("back to the volumes of before restore {restore}"),
            };
            draft.report.does("begin a restore", &what);
            draft.steps.push(Step::BeginRestore(fact));
            draft.tell(EventKind::Normal, "RestoreBegun", what.clone());
            Some(what)
        }
    }
}

/// The old primary first, by itself and in order; once it has released, everybody else; then their volumes are put aside.
fn stopping(desired: &Desired, observed: &Observed, restore: &RestoreFact, now: Instant, draft: &mut Draft) -> Course {
    // Rule L8 brings a lease back that was deleted: only then is it known who may write.
    let Some(lease) = &observed.lease else { return Course::Beside(Some("Waiting for the lost lease".to_owned())) };
    if let Some(holder) = lease.value.held_by().filter(|_| !restore.holder_is_dead) {
        if let Some(pod) = observed.holder_pod().filter(|pod| pod.is_alive() && pod.holds(&lease.value)) {
            draft.report.does(format!("delete pod {}", pod.name), "the cluster is restored: its primary stops first");
            draft.steps.push(Step::DeletePod { name: pod.name.clone(), uid: pod.uid.clone() });
        }
        let gone = observed.pod(&holder.name).is_none();
        let way = if gone { "; if it is dead for good, order it again with --old-primary-is-dead" } else { "" };
        let reason = format!("Stopping: {} has yet to release the lease{way}", holder.name);
        return Course::Beside(Some(reason));
    }
    let mut waits: Vec<&str> = Vec::new();
    for pod in &observed.pods {
        waits.push(&pod.name);
        if !pod.deleting {
            draft.report.does(format!("delete pod {}", pod.name), "the cluster is restored");
            draft.steps.push(Step::DeletePod { name: pod.name.clone(), uid: pod.uid.clone() });
        }
    }
    if !waits.is_empty() {
        return Course::Alone(format!("Stopping {}", waits.join(", ")));
    }
    if let Some(left) = lapses_in(desired, observed, lease, now) {
        draft.look_again(left);
        return Course::Alone("Stopping: the lease of the dead primary has yet to lapse".to_owned());
    }
    for volume in observed.all_volumes().filter(|volume| !volume.deleting) {
        draft.report.does(format!("put volume {} aside", volume.name), "it has the history of before");
        draft.steps.push(Step::KeepVolume { name: volume.name.clone(), restore: restore.id.clone() });
    }
    if observed.all_volumes().next().is_none() {
        advance(Stage::Closing, Some(lease), None, draft);
    }
    Course::Alone("Stopping: the old volumes are put aside".to_owned())
}

/// A lease that is held has to be seen unchanged for as long as anybody who may take it waits, whatever a person says.
fn lapses_in(desired: &Desired, observed: &Observed, lease: &Versioned<LeaseRecord>, now: Instant) -> Option<Duration> {
    lease.value.held_by()?;
    let since = observed.memory.version_since.unwrap_or(now);
    let left = lease.value.lapses_after(desired.timings).saturating_sub(now.since(since));
    (!left.is_zero()).then_some(left)
}

/// Over the version that is on record, and no other: whoever took the lease since is stopped first.
fn closing(desired: &Desired, observed: &Observed, restore: &RestoreFact, draft: &mut Draft) -> Course {
    let reason = || Course::Alone("Closing the old history".to_owned());
    let Some(lease) = &observed.lease else {
        draft.report.does_not("go on with the restore", "its lease was deleted: undo it");
        return reason();
    };
    if restore.has_closed(&lease.value) {
        match restore.revives {
            Some(_) => advance(Stage::Reviving, None, None, draft),
            None => {
                let first = free_serials(observed).next().map(|serial| desired.instance(serial));
                advance(Stage::Restoring, None, first, draft);
            }
        }
        return reason();
    }
    let known = restore.before.as_ref().is_some_and(|before| before.version == lease.version);
    let volumes = observed.all_volumes().count();
    if !known || !observed.pods.is_empty() || volumes > 0 {
        draft.report.does("stop once more", "somebody was there meanwhile");
        advance(Stage::Stopping, None, None, draft);
        return reason();
    }
    let record = closed(restore, &lease.value, observed.status.timeline.unwrap_or_default());
    draft.report.does(format!("close the lease at term {}", record.term), "nobody of the old history is left");
    draft.steps.push(Step::CloseLease { over: lease.version.clone(), record: Box::new(record) });
    reason()
}

/// The instance is made by the ordinary plan; here is only how far it is.
fn restoring(observed: &Observed, restore: &RestoreFact, draft: &mut Draft) -> String {
    let name = restore.instance.clone().unwrap_or_default();
    let report = observed.pod(&name).and_then(|pod| pod.report.as_ref());
    let stuck = report.filter(|report| report.phase != MemberPhase::Initializing && !report.message.is_empty());
    if observed.lease.is_none() {
        draft.report.does_not("go on with the restore", "its lease was deleted: undo it");
    }
    match stuck {
        Some(report) => format!("Restoring {name} out of the archive: {}", report.message),
        None => format!("Restoring {name} out of the archive"),
    }
}

fn reviving(observed: &Observed, restore: &RestoreFact, draft: &mut Draft) -> Course {
    let of = restore.revives.as_ref().map(|revival| revival.restore.as_str()).unwrap_or_default();
    let mut left = observed.kept.iter().filter(|kept| kept.by == of).peekable();
    if left.peek().is_none() {
        advance(Stage::Joining, None, None, draft);
    }
    for kept in left {
        draft.report.does(format!("take volume {} back", kept.name), "the restore is undone");
        draft.steps.push(Step::ReviveVolume { name: kept.name.clone() });
    }
    Course::Alone("Going back to the volumes of before".to_owned())
}

fn joining(desired: &Desired, observed: &Observed, restore: &RestoreFact, draft: &mut Draft) -> Course {
    let ready = observed.pods.iter().filter(|pod| pod.ready && pod.is_alive()).count();
    if primary_is_well(observed) && count(ready) >= desired.instances && observed.status.system_id.is_some() {
        advance(Stage::Done, None, None, draft);
        let kept = observed.kept.len();
        let message = match restore.revives {
            Some(_) => format!("back on the volumes of before; {kept} volumes of what was gone back from are kept"),
            None => format!("restored; {kept} old volumes are kept until a person drops them"),
        };
        draft.tell(EventKind::Normal, "RestoreDone", message);
        return Course::Beside(None);
    }
    Course::Beside(Some(format!("{ready} of {} instances are ready", desired.instances)))
}

fn advance(stage: Stage, before: Option<&Versioned<LeaseRecord>>, instance: Option<String>, draft: &mut Draft) {
    draft.report.does(format!("go on to stage {stage:?} of the restore"), "what comes before it is done");
    draft.steps.push(Step::AdvanceRestore { stage, before: before.cloned().map(Box::new), instance });
}
