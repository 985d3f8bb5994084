//! The checker's look at pairs: the volume of an instance's WAL is nothing without the one of its data, and the other way
//! round.

use super::{Plan, Step, Violation};
use crate::cluster::{Observed, VolumeView};

/// A pod on a volume that is on its way out comes up without its WAL.
pub(super) fn pod(observed: &Observed, serial: u32) -> Option<Violation> {
    let going = observed.wal_volumes.iter().find(|volume| volume.serial == serial && volume.deleting)?;
    Some(Violation::HalfAPair(going.name.clone()))
}

/// What is put aside, or comes back, does so with the other half: in this plan, or it was on its way before.
pub(super) fn moves(observed: &Observed, plan: &Plan, step: &Step) -> Option<Violation> {
    let halves: Vec<&str> = match step {
        Step::KeepVolume { name, .. } => {
            let serial = observed.all_volumes().find(|volume| volume.name == *name)?.serial;
            let same = observed.all_volumes().filter(|volume| volume.serial == serial && !volume.deleting);
            same.map(|volume| &*volume.name).collect()
        }
        Step::ReviveVolume { name } => {
            let found = observed.kept.iter().find(|kept| kept.name == *name)?;
            let same = observed.kept.iter().filter(|kept| kept.serial == found.serial && kept.by == found.by);
            same.map(|kept| &*kept.name).collect()
        }
        _ => return None,
    };
    let moved = |half: &str| {
        plan.steps.iter().any(|step| match step {
            Step::KeepVolume { name, .. } | Step::ReviveVolume { name } => name == half,
            _ => false,
        })
    };
    halves.into_iter().find(|half| !moved(half)).map(|half| Violation::HalfAPair(half.to_owned()))
}

/// WAL may go where its data may, and where there is none left. What is put aside stays whole.
pub(super) fn deletes_wal(
    observed: &Observed,
    wal: &VolumeView,
    data_may_not: impl Fn(&str) -> Option<Violation>,
) -> Option<Violation> {
    if observed.kept.iter().any(|kept| kept.serial == wal.serial) {
        return Some(Violation::DeletesData(wal.name.clone()));
    }
    let data = observed.volumes.iter().find(|volume| volume.serial == wal.serial)?;
    data_may_not(&data.name)
}
