//! Scaling down: one instance at a time, never the primary, its volume with it.

use super::Draft;
use super::instances::{count, primary_is_well, serials};
use super::step::Step;
use super::wal_volumes;
use crate::cluster::{Desired, Observed};

pub(super) fn plan(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    wal_volumes::sweep(desired, observed, draft);
    let all = serials(observed);
    if count(all.len()) <= desired.instances || observed.status.system_id.is_none() {
        return;
    }
    if !primary_is_well(observed) {
        return draft.report.does_not("scale down", "there is no open primary, and any volume may be needed");
    }
    if let Some(pod) = observed.pods.iter().find(|pod| pod.deleting) {
        return draft.report.waits(format!("pod {} to be gone before scaling down further", pod.name));
    }
    let kept = |name: &str| {
        observed.holder().is_some_and(|holder| holder.name == name)
            || [&observed.status.current_primary, &observed.status.target_primary]
                .iter()
                .any(|n| n.as_deref() == Some(name))
    };
    let ready = |serial: &u32| observed.pods.iter().any(|pod| pod.serial == *serial && pod.ready);
    let orphan = |serial: &u32| !observed.pods.iter().any(|pod| pod.serial == *serial);
    let candidates: Vec<u32> = all.iter().copied().filter(|serial| !kept(&desired.instance(*serial))).collect();
    let highest = |pick: &dyn Fn(&u32) -> bool| candidates.iter().copied().filter(|serial| pick(serial)).max();
    // What a scaling down that was interrupted has left goes first; then CNPG's choice.
    let Some(serial) = highest(&orphan).or_else(|| highest(&ready)).or_else(|| highest(&|_| true)) else { return };
    let name = desired.instance(serial);
    draft.report.does(format!("remove instance {name} and its volume"), "more instances than spec.instances");
    for pod in observed.pods.iter().filter(|pod| pod.serial == serial) {
        draft.steps.push(Step::DeletePod { name: name.clone(), uid: pod.uid.clone() });
    }
    if observed.volumes.iter().any(|volume| volume.serial == serial && !volume.deleting) {
        draft.steps.push(Step::DeleteVolume { name });
    }
    wal_volumes::remove(observed, serial, draft);
}
