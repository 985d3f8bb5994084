//! Pods and their volumes: each serial has both; nothing is made out of nothing once there was a database.

use super::Draft;
use super::step::Step;
use super::wal_volumes;
use crate::cluster::{Desired, MemberPhase, Observed, PodView, VolumeView};
use crate::lease::HolderState;
use std::collections::BTreeSet;

/// What the instances lack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Nothing is left of the database.
    pub unrecoverable: bool,
    /// Serials without a pod, or without data yet.
    pub incomplete: Vec<u32>,
    /// What is said of instances whose volume cannot be had.
    pub stranded: Vec<String>,
}

pub(super) fn plan(desired: &Desired, observed: &Observed, draft: &mut Draft) -> Needs {
    if is_unrecoverable(observed) {
        draft.report.does_not(
            "create instances",
            "no volume of this initialised cluster is left: a new, empty \
                              database would pretend to be the old one",
        );
        return Needs { unrecoverable: true, ..Needs::default() };
    }
    let serials = serials(observed);
    for volume in observed.volumes.iter().filter(|volume| !volume.has_data && holds_database(observed, volume)) {
        draft.steps.push(Step::MarkVolumeReady { name: volume.name.clone() });
    }
    wal_volumes::mark_ready(observed, draft);
    // Any volume that is gone back to may be the one that has most.
    let restores = observed.status.restore.as_ref().is_some_and(|restore| restore.stage.is_under_way());
    let surplus = !restores && count(serials.len()) > desired.instances;
    for serial in &serials {
        complete(desired, observed, *serial, surplus, draft);
    }
    add_missing(desired, observed, &serials, draft);
    let lacks = |serial: &u32| {
        let volume = observed.volumes.iter().find(|volume| volume.serial == *serial);
        let pod = observed.pods.iter().any(|pod| pod.serial == *serial && !pod.is_finished());
        !pod || volume.is_none_or(|volume| !volume.has_data && !holds_database(observed, volume))
    };
    let missing = (1..=desired.instances).filter(|_| count(serials.len()) < desired.instances);
    let incomplete: BTreeSet<u32> = serials.iter().copied().filter(lacks).chain(missing).collect();
    Needs { incomplete: incomplete.into_iter().collect(), ..Needs::default() }
}

/// Serials that have a pod or a volume.
pub(super) fn serials(observed: &Observed) -> BTreeSet<u32> {
    observed.pods.iter().map(|pod| pod.serial).chain(observed.volumes.iter().map(|volume| volume.serial)).collect()
}

/// Serials that nobody has, the lowest first: also those of volumes that were put aside are taken.
pub(super) fn free_serials(observed: &Observed) -> impl Iterator<Item = u32> + use<> {
    let kept = observed.kept.iter().map(|kept| kept.serial);
    let going = observed.wal_volumes.iter().filter(|volume| volume.deleting).map(|volume| volume.serial);
    let taken: BTreeSet<u32> = serials(observed).into_iter().chain(kept).chain(going).collect();
    (1..=u32::MAX).filter(move |serial| !taken.contains(serial))
}

/// There is a primary, open to clients and ready: others can be cloned from it, or go.
pub(super) fn primary_is_well(observed: &Observed) -> bool {
    let open = observed.lease.as_ref().is_some_and(|lease| lease.value.state == HolderState::Open);
    open && observed.holder_pod().is_some_and(|pod| pod.ready && pod.is_alive())
}

pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// There was a database, and every volume that is left is known to be empty.
fn is_unrecoverable(observed: &Observed) -> bool {
    let empty = |volume: &VolumeView| {
        let pod = observed.pods.iter().find(|pod| pod.serial == volume.serial);
        let said = pod.and_then(|pod| pod.report.as_ref()).filter(|report| report.phase != MemberPhase::Starting);
        !volume.has_data && said.is_some_and(|report| report.system_id.is_none())
    };
    observed.status.system_id.is_some() && observed.volumes.iter().all(empty) && !primary_is_well(observed)
}

/// Its member says that the cluster's database is on it.
fn holds_database(observed: &Observed, volume: &VolumeView) -> bool {
    let expected = observed.status.system_id;
    let pod = observed.pods.iter().find(|pod| pod.serial == volume.serial);
    let report = pod.and_then(|pod| pod.report.as_ref());
    expected.is_some() && report.is_some_and(|report| report.system_id == expected)
}

/// Gives a serial what it lacks of its pair.
fn complete(desired: &Desired, observed: &Observed, serial: u32, surplus: bool, draft: &mut Draft) {
    let name = desired.instance(serial);
    let pod = observed.pods.iter().find(|pod| pod.serial == serial);
    let volume = observed.volumes.iter().find(|volume| volume.serial == serial);
    let surplus = surplus && pod.is_none();
    if volume.is_some_and(|volume| !volume.deleting)
        && !surplus
        && !wal_volumes::complete(desired, observed, serial, draft)
    {
        return;
    }
    match (volume, pod) {
        (Some(volume), None) if volume.deleting => draft.report.waits(format!("volume {name} to be gone")),
        (Some(_), None) if surplus => {}
        (Some(_), None) => {
            draft.report.does(format!("create pod {name}"), "its volume has none");
            draft.steps.push(Step::CreatePod { serial });
        }
        (_, Some(pod)) if pod.deleting => draft.report.waits(format!("pod {name} to be gone")),
        (Some(_), Some(pod)) if pod.is_finished() => delete(pod, "it has ended; it comes back on its volume", draft),
        (Some(volume), Some(_)) if volume.deleting => {
            draft.report.notes(format!("volume {name} goes with its pod, and both are made anew"));
        }
        (None, Some(pod)) if may_go(observed, pod) => delete(pod, "its volume is gone; both are made anew", draft),
        (None, Some(_)) => draft.report.does_not(
            format!("replace pod {name}, whose volume is gone"),
            "it is the primary, and no standby is ready to take over",
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
}

pub(super) fn delete(pod: &PodView, why: &str, draft: &mut Draft) {
    draft.report.does(format!("delete pod {}", pod.name), why);
    draft.steps.push(Step::DeletePod { name: pod.name.clone(), uid: pod.uid.clone() });
}

/// Not the primary, or not the only one that serves.
pub(super) fn may_go(observed: &Observed, pod: &PodView) -> bool {
    let holds = observed.holder().is_some_and(|holder| holder.pod_uid == pod.uid);
    !holds || observed.pods.iter().any(|other| other.uid != pod.uid && other.ready && other.is_alive())
}

/// New instances: the first by itself, the others once there is a primary to clone. The lowest free serials.
fn add_missing(desired: &Desired, observed: &Observed, serials: &BTreeSet<u32>, draft: &mut Draft) {
    let lacking = desired.instances.saturating_sub(count(serials.len()));
    if lacking == 0 {
        return;
    }
    let initialised = observed.status.system_id.is_some();
    let (number, why) = match (initialised, serials.is_empty()) {
        (false, true) => (1, "the cluster's first instance"),
        (false, false) => return draft.report.waits("the first instance to initialise the database"),
        (true, _) if !primary_is_well(observed) => return draft.report.waits("a primary to clone from"),
        (true, _) => (lacking, "fewer instances than spec.instances"),
    };
    for serial in free_serials(observed).take(usize::try_from(number).unwrap_or(usize::MAX)) {
        draft.report.does(format!("create volume and pod {}", desired.instance(serial)), why);
        draft.steps.push(Step::CreateVolume { serial });
        wal_volumes::add(desired, observed, serial, draft);
        draft.steps.push(Step::CreatePod { serial });
    }
}
