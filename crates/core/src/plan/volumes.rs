//! Volumes that are there: they grow with `spec.storage.size`, and carry the role of their instance.

use super::Draft;
use super::step::Step;
use crate::cluster::{Desired, Observed, PodView, VolumeView};
use crate::rules::quantity::quantity;

pub(super) fn plan(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    let wanted = quantity(&desired.storage.size).ok();
    for volume in observed.volumes.iter().filter(|volume| !volume.deleting) {
        grow(desired, volume, wanted, draft);
        let pod = observed.pods.iter().find(|pod| pod.serial == volume.serial);
        if let Some(role) = pod.and_then(|pod: &PodView| pod.role).filter(|role| volume.role != Some(*role)) {
            draft.steps.push(Step::SetVolumeRole { name: volume.name.clone(), role });
        }
    }
}

fn grow(desired: &Desired, volume: &VolumeView, wanted: Option<u64>, draft: &mut Draft) {
    let (Some(wanted), Some(requested)) = (wanted, volume.requested) else { return };
    if requested >= wanted {
        return;
    }
    let (name, size) = (volume.name.clone(), desired.storage.size.clone());
    if desired.storage.grows {
        draft.report.does(format!("grow volume {name} to {size}"), "spec.storage.size is larger");
        draft.steps.push(Step::GrowVolume { name, size });
    } else {
        draft.report.does_not(format!("grow volume {name}"), "spec.storage.resizeInUseVolumes is false");
    }
}
