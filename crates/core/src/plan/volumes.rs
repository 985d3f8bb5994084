//! Volumes that are there: they grow with `spec.storage.size` or `spec.walStorage.size`, and carry the role of their
//! instance.

use super::Draft;
use super::step::Step;
use crate::cluster::{Desired, Observed, PodView, Storage, VolumeView};
use crate::rules::quantity::quantity;

pub(super) fn plan(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    let data = observed.volumes.iter().map(|volume| (volume, Some((&desired.storage, "spec.storage"))));
    let wal = desired.wal_storage.as_ref().map(|storage| (storage, "spec.walStorage"));
    let wal = observed.wal_volumes.iter().map(|volume| (volume, wal));
    for (volume, storage) in data.chain(wal).filter(|(volume, _)| !volume.deleting) {
        if let Some((storage, field)) = storage {
            grow(storage, field, volume, draft);
        }
        let pod = observed.pods.iter().find(|pod| pod.serial == volume.serial);
        if let Some(role) = pod.and_then(|pod: &PodView| pod.role).filter(|role| volume.role != Some(*role)) {
            draft.steps.push(Step::SetVolumeRole { name: volume.name.clone(), role });
        }
    }
}

fn grow(storage: &Storage, field: &str, volume: &VolumeView, draft: &mut Draft) {
    let (Ok(wanted), Some(requested)) = (quantity(&storage.size), volume.requested) else { return };
    if requested >= wanted {
        return;
    }
    let (name, size) = (volume.name.clone(), storage.size.clone());
    if storage.grows {
        draft.report.does(format!("grow volume {name} to {size}"), format!("{field}.size is larger"));
        draft.steps.push(Step::GrowVolume { name, size });
    } else {
        draft.report.does_not(format!("grow volume {name}"), format!("{field}.resizeInUseVolumes is false"));
    }
}
