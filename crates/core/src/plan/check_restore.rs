//! The checker's look at a restore in place: written from what must hold, not from how it is planned.

use super::{Step, Violation};
use crate::cluster::{Observed, serial_of};
use crate::lease::HolderState;
use crate::restore::{RestoreFact, Stage};

/// What this step would break.
pub(super) fn step(observed: &Observed, step: &Step) -> Option<Violation> {
    let restore = observed.status.restore.as_ref();
    let wrong = |what: String| Some(Violation::RestoreOutOfOrder(what));
    match step {
        Step::CreateVolume { serial } | Step::CreateWalVolume { serial } | Step::CreatePod { serial }
            if is_kept(observed, *serial) =>
        {
            wrong(format!("instance {serial} would come up on a volume that was put aside"))
        }
        Step::KeepVolume { name, .. } => {
            let volume = observed.all_volumes().find(|volume| &volume.name == name);
            let used = volume.is_some_and(|volume| observed.pods.iter().any(|pod| pod.serial == volume.serial));
            let stops = restore.is_some_and(|restore| restore.stage == Stage::Stopping);
            let free = nobody_holds(observed, restore);
            (used || !stops || !free).then(|| Violation::RestoreOutOfOrder(format!("volume {name} is in use")))
        }
        Step::ReviveVolume { name } => {
            let revives = restore.filter(|restore| restore.stage == Stage::Reviving);
            // One that was never closed has the lease that its volumes go with.
            let closed = |restore: &RestoreFact| {
                let untouched = restore.revives.as_ref().is_some_and(|revival| revival.restore == restore.id);
                untouched || observed.lease.as_ref().is_some_and(|lease| restore.has_closed(&lease.value))
            };
            let fit = revives.is_some_and(closed);
            (!fit).then(|| Violation::RestoreOutOfOrder(format!("volume {name} has another history than the lease")))
        }
        Step::CloseLease { over, record } => {
            let before = restore.and_then(|restore| restore.before.as_ref());
            let lease = observed.lease.as_ref().filter(|lease| &lease.version == over);
            let known = before.is_some_and(|before| &before.version == over);
            let above =
                lease.is_some_and(|lease| record.term > lease.value.term && record.timeline >= lease.value.timeline);
            let empty = observed.pods.is_empty() && observed.all_volumes().next().is_none();
            let released = record.state == HolderState::Released && record.takers.is_empty();
            let fit = known && above && empty && released && nobody_holds(observed, restore);
            if fit { None } else { wrong("the lease would be closed while somebody may write under it".to_owned()) }
        }
        Step::WriteElection(election) => {
            let value = observed.lease.as_ref().map(|lease| &lease.value);
            let off = restore.zip(value).is_some_and(|(restore, lease)| restore.suspends_elections(lease));
            off.then(|| Violation::RestoreOutOfOrder(format!("{} would be elected in a restore", election.winner)))
        }
        _ => None,
    }
}

/// A person has asked for the cluster to stop.
pub(super) fn is_asked_to_stop(observed: &Observed) -> bool {
    observed.status.restore.as_ref().is_some_and(|restore| restore.stage == Stage::Stopping)
}

/// The serial of the instance that is made out of the archive.
pub(super) fn first(observed: &Observed) -> Option<u32> {
    let restore = observed.status.restore.as_ref().filter(|restore| restore.stage == Stage::Restoring)?;
    let name = restore.instance.as_ref()?;
    let (cluster, _) = name.rsplit_once('-')?;
    serial_of(cluster, name)
}

fn is_kept(observed: &Observed, serial: u32) -> bool {
    observed.kept.iter().any(|kept| kept.serial == serial)
}

/// The lease is released, or a person has seen to it that its holder is dead.
fn nobody_holds(observed: &Observed, restore: Option<&RestoreFact>) -> bool {
    let dead = restore.is_some_and(|restore| restore.holder_is_dead);
    observed.lease.as_ref().is_some_and(|lease| dead || lease.value.held_by().is_none())
}
