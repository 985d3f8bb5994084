//! Volumes of WAL: the other half of an instance's pair. It is there before a pod is made that mounts it, and goes, is put
//! aside and comes back together with the half that has the data.

use super::Draft;
use super::instances::{count, delete, may_go, primary_is_well, serials};
use super::step::Step;
use crate::cluster::{Desired, Observed, VolumeView};

/// The one of this serial.
pub(super) fn of(observed: &Observed, serial: u32) -> Option<&VolumeView> {
    observed.wal_volumes.iter().find(|volume| volume.serial == serial)
}

/// What the instance lacks of it, where WAL is to have a volume; says whether the rest of the instance may go on.
pub(super) fn complete(desired: &Desired, observed: &Observed, serial: u32, draft: &mut Draft) -> bool {
    if desired.wal_storage.is_none() {
        return true;
    }
    let name = desired.wal_volume(serial);
    let pod = observed.pods.iter().find(|pod| pod.serial == serial);
    match (of(observed, serial), pod) {
        (Some(volume), None) if volume.deleting => {
            draft.report.waits(format!("volume {name} to be gone"));
            false
        }
        (Some(volume), Some(_)) if volume.deleting => {
            draft.report.notes(format!("volume {name} goes with its pod, and is made anew"));
            true
        }
        (Some(_), _) => true,
        // Its database is of no use without; the manager sees that, and clones it anew.
        (None, Some(pod)) if pod.has_wal_volume && pod.is_alive() => {
            if may_go(observed, pod) {
                delete(pod, "its volume of WAL is gone: the instance is made anew", draft);
            } else {
                let what = format!("replace pod {}, whose volume of WAL is gone", pod.name);
                draft.report.does_not(what, "it is the primary, and no standby is ready to take over");
            }
            false
        }
        (None, Some(pod)) if pod.has_wal_volume => true,
        (None, _) => {
            add(desired, observed, serial, draft);
            true
        }
    }
}

/// Of an instance that is made, or of one that had its WAL beside its data.
pub(super) fn add(desired: &Desired, observed: &Observed, serial: u32, draft: &mut Draft) {
    if desired.wal_storage.is_some() && of(observed, serial).is_none() {
        let name = desired.wal_volume(serial);
        draft.report.does(format!("create volume {name}"), "spec.walStorage: WAL has a volume of its own");
        draft.steps.push(Step::CreateWalVolume { serial });
    }
}

/// It has WAL where the other half has a database and the pod mounts both.
pub(super) fn mark_ready(observed: &Observed, draft: &mut Draft) {
    let used = |serial: u32| {
        let data = observed.volumes.iter().any(|volume| volume.serial == serial && volume.has_data);
        data && observed.pods.iter().any(|pod| pod.serial == serial && pod.has_wal_volume && pod.ready)
    };
    for volume in observed.wal_volumes.iter().filter(|volume| !volume.has_data && used(volume.serial)) {
        draft.steps.push(Step::MarkVolumeReady { name: volume.name.clone() });
    }
}

/// Goes with the other half.
pub(super) fn remove(observed: &Observed, serial: u32, draft: &mut Draft) {
    if let Some(volume) = of(observed, serial).filter(|volume| !volume.deleting) {
        draft.steps.push(Step::DeleteVolume { name: volume.name.clone() });
    }
}

/// What is left of an instance whose other half is gone, and which is not made again.
pub(super) fn sweep(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    let all = serials(observed);
    if count(all.len()) < desired.instances || !primary_is_well(observed) {
        return;
    }
    let kept = |serial: u32| observed.kept.iter().any(|kept| kept.serial == serial);
    for volume in &observed.wal_volumes {
        if !volume.deleting && !all.contains(&volume.serial) && !kept(volume.serial) {
            draft.report.does(format!("delete volume {}", volume.name), "the data that its WAL was of is gone");
            draft.steps.push(Step::DeleteVolume { name: volume.name.clone() });
        }
    }
}
