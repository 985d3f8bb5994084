//! Why an instance whose volume cannot be had is not made anew, or not yet: it is the primary, somebody has put it on
//! hold, or what it would be made from is not safe.

use super::Draft;
use super::instances::{count, primary_is_well, serials};
use super::rollout::spare_sync_standby;
use super::step::Step;
use super::stranded::is_lost;
use super::wal_volumes;
use crate::cluster::{Desired, Observed, PodView, VolumeView};

/// What keeps it as it is, for people.
pub(super) fn why(desired: &Desired, observed: &Observed, pod: &PodView, draft: &Draft) -> Option<String> {
    let primary = [&observed.status.current_primary, &observed.status.target_primary];
    let holds = observed.holder().is_some_and(|holder| holder.name == pod.name || holder.pod_uid == pod.uid);
    if holds || primary.iter().any(|primary| primary.as_deref() == Some(pod.name.as_str())) {
        let way = "it is the primary: promote another instance, and this one is made anew; where there is none, bring \
                   the volume or a node of its zone back, or restore the cluster from a backup";
        return Some(way.to_owned());
    }
    let words = |text: &str| Some(text.to_owned());
    if desired.is_fenced(&pod.name) {
        return words("it is fenced");
    }
    if desired.nodes_in_maintenance {
        return words("spec.nodeMaintenanceWindow is in progress, and instances wait for their nodes");
    }
    let restores = observed.status.restore.as_ref().is_some_and(|restore| restore.stage.is_under_way());
    if restores || observed.hibernate || observed.restore_order.is_some() {
        return words("a hibernation or a restore was asked for");
    }
    let target = observed.status.target_primary.as_ref();
    let asked = observed.holder().is_none_or(|holder| target.is_some_and(|target| *target != holder.name));
    if asked || observed.status.system_id.is_none() || !primary_is_well(observed) {
        return words("there is no primary, open and ready, to clone it from");
    }
    let copy = |volume: &&VolumeView| volume.has_data && !volume.deleting && !is_lost(volume);
    if !observed.volumes.iter().filter(copy).any(|volume| volume.serial != pod.serial) {
        return words("no other instance is known to have the data on a volume");
    }
    if count(serials(observed).len()) > desired.instances {
        return words("there are more instances than spec.instances: scaling down comes first");
    }
    if let Some(other) = busy(observed, pod, draft) {
        return Some(format!("{other} comes first"));
    }
    let spare = spare_sync_standby(observed, pod).filter(|_| pod.ready);
    spare.map(|spare| format!("commits wait for it until {spare} is a synchronous standby"))
}

/// One at a time: who goes, or is made, or was chosen a moment ago.
fn busy(observed: &Observed, pod: &PodView, draft: &Draft) -> Option<String> {
    let stopped = draft.steps.iter().find_map(|step| match step {
        Step::Rebuild { name, .. } | Step::DeletePod { name, .. } | Step::ReplacePod { name, .. } => Some(name),
        _ => None,
    });
    let going = observed.pods.iter().find(|other| other.uid != pod.uid && other.deleting).map(|other| &other.name);
    let made = observed.volumes.iter().find(|volume| {
        let waits = observed.pods.iter().any(|pod| pod.serial == volume.serial && pod.unschedulable.is_some());
        let made = !volume.has_data && !waits && !is_lost(volume);
        let wal = wal_volumes::of(observed, volume.serial).is_some_and(|wal| wal.deleting);
        volume.serial != pod.serial && (volume.deleting || wal || made)
    });
    stopped.or(going).or(made.map(|volume| &volume.name)).cloned()
}
