//! Instances whose volume cannot be had: it is lost, was never made, or is where no node is. What they have is given up
//! and they are made anew from the primary, one at a time. The primary itself is nobody's to mend in this way.

use super::Draft;
use super::instances::Needs;
use super::out_of_reach::is_out_of_reach;
use super::spared;
use super::step::{EventKind, GivenUp, Step};
use crate::cluster::{ClaimPhase, Desired, Observed, PodView, VolumeView};
use crate::identity::PodUid;
use crate::time::Instant;
use core::time::Duration;

/// A provisioner may be slow, and a node may come back. By the controller's own monotonic clock, from when it first saw
/// it so: no wall clock can make it shorter, and another controller begins to count anew.
const PATIENCE: Duration = Duration::from_secs(600);

/// Why an instance's volume cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stranding {
    /// A claim has lost its volume.
    Lost,
    /// A claim has no volume yet, nothing was ever on it, and its pod waits for a node.
    Unbound,
    /// No node can have the volumes.
    OutOfReach,
}

/// The pods that are stranded now, and why: the controller remembers since when.
pub fn strandings(observed: &Observed) -> impl Iterator<Item = (PodUid, Stranding)> {
    observed.pods.iter().filter_map(|pod| Some((pod.uid.clone(), stranding(observed, pod)?)))
}

fn stranding(observed: &Observed, pod: &PodView) -> Option<Stranding> {
    let volumes: Vec<&VolumeView> = volumes(observed, pod).collect();
    // What is on its way out already is made anew by itself.
    if !pod.is_alive() || volumes.is_empty() || volumes.iter().any(|volume| volume.deleting) {
        return None;
    }
    if volumes.iter().any(|volume| is_lost(volume)) {
        return Some(Stranding::Lost);
    }
    let message = pod.unschedulable.as_ref().filter(|_| pod.node.is_none())?;
    if volumes.iter().any(|volume| is_unbound(volume)) {
        return Some(Stranding::Unbound);
    }
    let bound = volumes.iter().all(|volume| volume.phase == Some(ClaimPhase::Bound));
    (bound && is_out_of_reach(message)).then_some(Stranding::OutOfReach)
}

pub(super) fn plan(desired: &Desired, observed: &Observed, now: Instant, needs: &mut Needs, draft: &mut Draft) {
    for pod in &observed.pods {
        let Some(stranding) = stranding(observed, pod) else { continue };
        let since = observed.memory.stranded_since.get(&pod.uid).copied().unwrap_or(now);
        let left = PATIENCE.saturating_sub(now.since(since));
        if stranding != Stranding::Lost && !left.is_zero() {
            draft.look_again(left);
            draft.report.waits(format!("the volume of {}, which cannot be had yet", pod.name));
            continue;
        }
        let gone = given_up(observed, pod, stranding);
        let why = explained(pod, stranding, &gone);
        if let Some(refusal) = spared::why(desired, observed, pod, draft) {
            draft.report.does_not(format!("rebuild {}", pod.name), format!("{why}, but {refusal}"));
            let said = format!("{}: {why}; it is not made anew: {refusal}", pod.name);
            needs.stranded.push(said.clone());
            draft.tell(EventKind::Warning, "InstanceStranded", said);
            continue;
        }
        draft.report.does(format!("rebuild {}", pod.name), &why);
        draft.tell(EventKind::Warning, "RebuildingInstance", format!("{}: {why}; it is made anew", pod.name));
        let given = gone.iter().map(|volume| GivenUp { name: volume.name.clone(), version: volume.version.clone() });
        let (name, uid, version) = (pod.name.clone(), pod.uid.clone(), pod.version.clone());
        draft.steps.push(Step::Rebuild { name, uid, version, volumes: given.collect() });
        if !needs.incomplete.contains(&pod.serial) {
            needs.incomplete.push(pod.serial);
        }
    }
}

fn volumes<'a>(observed: &'a Observed, pod: &PodView) -> impl Iterator<Item = &'a VolumeView> + use<'a> {
    let serial = pod.serial;
    observed.all_volumes().filter(move |volume| volume.serial == serial)
}

pub(super) fn is_lost(volume: &VolumeView) -> bool {
    volume.phase == Some(ClaimPhase::Lost)
}

fn is_unbound(volume: &VolumeView) -> bool {
    volume.phase == Some(ClaimPhase::Pending) && !volume.has_data
}

/// Which of its volumes it is about, as far as that is known.
fn is_faulty(stranding: Stranding, volume: &VolumeView) -> bool {
    match stranding {
        Stranding::Lost => is_lost(volume),
        Stranding::Unbound => is_unbound(volume),
        Stranding::OutOfReach => true,
    }
}

/// WAL is of no use without its data. Data whose WAL alone is gone is kept until a clone of it streams.
fn given_up<'a>(observed: &'a Observed, pod: &PodView, stranding: Stranding) -> Vec<&'a VolumeView> {
    let data = observed.volumes.iter().any(|volume| volume.serial == pod.serial && is_faulty(stranding, volume));
    volumes(observed, pod).filter(|volume| data || is_faulty(stranding, volume)).collect()
}

fn explained(pod: &PodView, stranding: Stranding, gone: &[&VolumeView]) -> String {
    let faulty = gone.iter().filter(|volume| is_faulty(stranding, volume));
    let names = faulty.map(|volume| volume.name.as_str()).collect::<Vec<_>>().join(", ");
    let said = pod.unschedulable.as_deref().unwrap_or_default();
    match stranding {
        Stranding::Lost => format!("claim {names} has lost its volume"),
        Stranding::Unbound => format!("claim {names} has had no volume for ten minutes ({said})"),
        Stranding::OutOfReach => format!("no node has been able to have {names} for ten minutes ({said})"),
    }
}
