//! The checker's look at restarts: one instance at a time, and none that would stop what runs.

use super::{GivenUp, Plan, Step, Violation};
use crate::cluster::{ClaimPhase, Observed};
use crate::identity::{Nonce, PodUid};
use crate::lease::HolderState;

/// What deleting this pod, to have it made anew, would break.
pub(super) fn replace(observed: &Observed, plan: &Plan, name: &str, uid: &PodUid) -> Vec<Violation> {
    let mut found = Vec::new();
    let Some(pod) = observed.pod_by_uid(uid) else { return found };
    let volume = observed.volumes.iter().find(|volume| volume.serial == pod.serial);
    found.extend(volume.is_none_or(|volume| volume.deleting).then(|| Violation::DeletesData(name.to_owned())));
    // One that is down and alone, or down and no primary, loses nothing by it.
    let alone = observed.pods.len() == 1;
    let holds = observed.holder().is_some_and(|holder| &holder.pod_uid == uid);
    let others_down = observed.pods.iter().any(|other| &other.uid != uid && !(other.ready && other.is_alive()));
    let down = disruptions(plan) > 1 || (pod.ready && others_down);
    found.extend(down.then(|| Violation::TwoDown(name.to_owned())));
    let election = !settled(observed, plan) && (!alone || pod.ready);
    found.extend(election.then(|| Violation::RestartsDuringElection(name.to_owned())));
    found.extend((!holds && waited_for(observed, uid)).then(|| Violation::LastSyncStandby(name.to_owned())));
    found
}

/// What having the primary restart its postgres would break.
pub(super) fn in_place(observed: &Observed, plan: &Plan, instance: &str, nonce: &Nonce) -> Vec<Violation> {
    let mut found = Vec::new();
    let is_primary = observed.holder().is_some_and(|holder| holder.name == instance && &holder.nonce == nonce);
    found.extend((!is_primary).then(|| Violation::RestartsAnother(instance.to_owned())));
    found.extend((disruptions(plan) > 1).then(|| Violation::TwoDown(instance.to_owned())));
    found.extend((!settled(observed, plan)).then(|| Violation::RestartsDuringElection(instance.to_owned())));
    found
}

/// What giving this instance and its volumes up would break, beside what each volume is to the cluster.
pub(super) fn rebuild(observed: &Observed, plan: &Plan, name: &str, volumes: &[GivenUp]) -> Vec<Violation> {
    let mut found = Vec::new();
    let primaries = [&observed.status.current_primary, &observed.status.target_primary];
    let holds = observed.holder().is_some_and(|holder| holder.name == name);
    let primary = holds || primaries.iter().any(|primary| primary.as_deref() == Some(name));
    let source = observed.holder_pod().is_some_and(|pod| pod.ready && pod.is_alive());
    found.extend((primary || !source).then(|| Violation::DeletesData(name.to_owned())));
    found.extend((disruptions(plan) > 1).then(|| Violation::TwoDown(name.to_owned())));
    found.extend((!settled(observed, plan)).then(|| Violation::RestartsDuringElection(name.to_owned())));
    // Its own, and no data that could be had.
    let serial = observed.pod(name).map(|pod| pod.serial);
    let foreign = |given: &&GivenUp| {
        let volume = observed.all_volumes().find(|volume| volume.name == given.name);
        volume.is_none_or(|volume| Some(volume.serial) != serial || volume.version != given.version)
    };
    found.extend(volumes.iter().filter(foreign).map(|given| Violation::DeletesData(given.name.clone())));
    let unusable = observed.pod(name).is_some_and(|pod| pod.unschedulable.is_some())
        || observed.all_volumes().any(|volume| Some(volume.serial) == serial && volume.phase == Some(ClaimPhase::Lost));
    found.extend((!unusable).then(|| Violation::DeletesData(name.to_owned())));
    found
}

fn disruptions(plan: &Plan) -> usize {
    let stops = |step: &&Step| {
        matches!(
            step,
            Step::ReplacePod { .. } | Step::RestartInPlace { .. } | Step::DeletePod { .. } | Step::Rebuild { .. }
        )
    };
    plan.steps.iter().filter(stops).count()
}

/// Somebody is open, nobody else is asked for, and the plan does not change that.
fn settled(observed: &Observed, plan: &Plan) -> bool {
    let open = observed.lease.as_ref().is_some_and(|lease| lease.value.state == HolderState::Open);
    let target = observed.status.target_primary.as_ref();
    let asked = observed.holder().is_none_or(|holder| target.is_some_and(|target| *target != holder.name));
    let elects = plan.steps.iter().any(|step| matches!(step, Step::WriteElection(_) | Step::SetTarget { .. }));
    open && !asked && !elects
}

/// It counts among those who acknowledge, too few of whom would be left, although a ready standby is no voter yet.
fn waited_for(observed: &Observed, uid: &PodUid) -> bool {
    let Some(record) = observed.lease.as_ref().and_then(|lease| lease.value.records.last()) else { return false };
    let holder = observed.holder().map(|holder| holder.pod_uid.clone());
    let (mut voters, mut spare, mut own) = (0_u32, 0_u32, false);
    for pod in observed.pods.iter().filter(|pod| Some(&pod.uid) != holder.as_ref()) {
        let incarnation = pod.report.as_ref().and_then(|report| report.incarnation.clone());
        let votes = incarnation.is_some_and(|incarnation| record.voters.contains(&incarnation));
        match (&pod.uid == uid, pod.ready && !pod.deleting, votes) {
            (true, _, votes) => own = votes,
            (false, true, true) => voters = voters.saturating_add(1),
            (false, true, false) => spare = spare.saturating_add(1),
            (false, false, _) => {}
        }
    }
    own && voters < record.needed && spare > 0
}
