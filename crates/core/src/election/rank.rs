//! Who comes first among those who may be elected.

use super::ancestry::{contradiction, place};
use super::{Rejection, Why};
use crate::cluster::{Desired, MemberPhase, Observed, PodView};
use crate::lease::{LeaseRecord, WalPosition};
use core::cmp::Reverse;
use serde::{Deserialize, Serialize};

/// How ready a candidate is to become primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Replays WAL: promotes at once, and can fetch what it lacks.
    Standby,
    /// Holds the data of a stopped or crashed primary: must recover first.
    Stopped,
}

/// One who may be elected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The pod's name.
    pub name: String,
    /// How ready it is.
    pub standing: Standing,
    /// The last WAL on its volume.
    pub position: WalPosition,
    /// Its node is to be left: an equal goes first.
    pub leaving: bool,
    /// It ran as the last holder: something was wrong there, so an equal goes first.
    pub was_holder: bool,
    /// It is where the last holder was.
    pub same_zone: bool,
    /// Its serial.
    pub serial: u32,
}

impl Candidate {
    /// Better candidates have smaller keys: (timeline, standing, flushed LSN, a node that stays, not the last
    /// holder, zone, serial).
    /// Whoever is not on the last timeline may have diverged from it, and could not fetch its end. Terms must not order candidates (hole 9).
    fn key(&self) -> impl Ord + use<> {
        (
            Reverse(self.position.timeline),
            self.standing,
            Reverse(self.position),
            self.leaving,
            self.was_holder,
            !self.same_zone,
            self.serial,
        )
    }
}

/// Sorts members into candidates, best first, and those who are not, with the reason.
pub(super) fn rank(
    desired: &Desired,
    observed: &Observed,
    lease: &LeaseRecord,
    must_be_taker: bool,
) -> (Vec<Candidate>, Vec<(String, Rejection)>) {
    let home = lease.holder.as_ref().and_then(|holder| observed.pod(&holder.name)).and_then(|pod| pod.zone.clone());
    let (mut candidates, mut rejected) = (Vec::new(), Vec::new());
    for pod in &observed.pods {
        match judge(desired, observed, lease, pod, must_be_taker) {
            Ok((standing, position)) => candidates.push(Candidate {
                name: pod.name.clone(),
                standing,
                position,
                leaving: pod.leaving.is_some(),
                was_holder: lease.holder.as_ref().is_some_and(|holder| holder.name == pod.name),
                same_zone: home.is_some() && pod.zone == home,
                serial: pod.serial,
            }),
            Err(rejection) => rejected.push((pod.name.clone(), rejection)),
        }
    }
    reject_contradictions(observed, &mut candidates, &mut rejected);
    candidates.sort_by_key(Candidate::key);
    (candidates, rejected)
}

/// Who could be elected and who could not, by what the members last said of themselves: nobody was asked for it.
#[must_use]
pub fn prospects(
    desired: &Desired,
    observed: &Observed,
    lease: &LeaseRecord,
    why: &Why,
) -> (Vec<Candidate>, Vec<(String, Rejection)>) {
    let mut believed = observed.clone();
    for report in believed.pods.iter_mut().filter_map(|pod| pod.report.as_mut()) {
        report.fresh = true;
    }
    rank(desired, &believed, lease, *why == Why::Stale)
}

/// Where the lease has no history to hold them against, members that contradict each other all step back: one of
/// them was promoted by hand, and electing it could take the other's commits away.
fn reject_contradictions(
    observed: &Observed,
    candidates: &mut Vec<Candidate>,
    rejected: &mut Vec<(String, Rejection)>,
) {
    let report = |name: &str| observed.pod(name).and_then(|pod| pod.report.as_ref());
    let names: Vec<String> = candidates.iter().map(|candidate| candidate.name.clone()).collect();
    let against = |name: &str| {
        let own = report(name)?;
        let others = names.iter().filter(|other| *other != name);
        others.into_iter().find_map(|other| Some((other.clone(), contradiction(own, report(other)?)?)))
    };
    candidates.retain(|candidate| match against(&candidate.name) {
        Some((member, timeline)) => {
            rejected.push((candidate.name.clone(), Rejection::Contradicts { member, timeline }));
            false
        }
        None => true,
    });
}

/// What a member must be to take part in any election; the rest depends on the reason for it.
pub(super) fn judge(
    desired: &Desired,
    observed: &Observed,
    lease: &LeaseRecord,
    pod: &PodView,
    must_be_taker: bool,
) -> Result<(Standing, WalPosition), Rejection> {
    if pod.deleting {
        return Err(Rejection::BeingDeleted);
    }
    if pod.is_finished() {
        return Err(Rejection::Finished);
    }
    if desired.is_fenced(&pod.name) {
        return Err(Rejection::Fenced);
    }
    let report = pod.report.as_ref().filter(|report| report.fresh).ok_or(Rejection::Unreachable)?;
    if lease.held_by().is_some_and(|holder| holder.nonce == report.nonce) {
        return Err(Rejection::IsTheHolder);
    }
    let standing = match report.phase {
        MemberPhase::Standby | MemberPhase::Candidate => Standing::Standby,
        MemberPhase::Recovering | MemberPhase::Released => Standing::Stopped,
        busy => return Err(Rejection::Busy(busy)),
    };
    let position = match standing {
        Standing::Standby => report.position,
        Standing::Stopped => report.reach(),
    };
    let system = report.system_id.ok_or(Rejection::NoData)?;
    let position = position.ok_or(Rejection::NoPosition)?;
    if observed.status.system_id.is_some_and(|expected| expected != system) {
        return Err(Rejection::WrongSystem(system));
    }
    let position = place(lease, report, position)?;
    if must_be_taker && !lease.takers.contains(&pod.uid) {
        return Err(Rejection::NotATaker);
    }
    Ok((standing, position))
}
