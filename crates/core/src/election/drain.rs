//! A primary whose node is to be left hands over to a standby elsewhere, before anybody evicts it (as CNPG does).

use super::switchover::check_target;
use super::{Refusal, Rejection, Why};
use crate::cluster::{Desired, Observed, PodView};
use crate::lease::{Holder, LeaseRecord, WalPosition};
use core::cmp::Reverse;

/// How the reason ends for which a primary stays on a node that is to be left.
pub const DRAIN_REFUSED: &str = "and nobody elsewhere can take over from it";

/// Whoever takes over, what it has, and those who cannot.
type Heir<'a> = (&'a PodView, WalPosition, Vec<(String, Rejection)>);

/// Whether `holder`, who is open, is to be moved.
pub(super) fn why(observed: &Observed, holder: &Holder) -> Option<Why> {
    let pod = observed.pod_by_uid(&holder.pod_uid).filter(|pod| pod.is_alive())?;
    let because = pod.leaving.as_ref()?;
    Some(Why::Drain { because: format!("{because}, where the primary {} runs", pod.name) })
}

/// Why the primary stays where it is.
pub(super) fn refusal(because: &str, rejected: Vec<(String, Rejection)>) -> Refusal {
    Refusal { reason: format!("{because}, {DRAIN_REFUSED}"), members: rejected, ..Refusal::default() }
}

/// The standby that takes over, else why each of them cannot: one that a switchover could go to, on another node, which stays. Of several the one
/// that has most; then one in the primary's zone; then the lowest serial.
pub(super) fn choose<'a>(
    desired: &Desired,
    observed: &'a Observed,
    lease: &LeaseRecord,
) -> Result<Heir<'a>, Vec<(String, Rejection)>> {
    let primary = observed.holder_pod();
    let (mut fit, mut rejected) = (Vec::new(), Vec::new());
    for pod in observed.pods.iter().filter(|pod| primary.is_none_or(|primary| primary.uid != pod.uid)) {
        match judge(desired, observed, lease, pod, primary) {
            Ok(position) => fit.push((pod, position)),
            Err(rejection) => rejected.push((pod.name.clone(), rejection)),
        }
    }
    let zone = primary.and_then(|primary| primary.zone.as_ref());
    let key = |(pod, position): &(&PodView, WalPosition)| {
        (*position, zone.is_some() && pod.zone.as_ref() == zone, Reverse(pod.serial))
    };
    match fit.into_iter().max_by_key(key) {
        Some((pod, position)) => Ok((pod, position, rejected)),
        None => Err(rejected),
    }
}

fn judge(
    desired: &Desired,
    observed: &Observed,
    lease: &LeaseRecord,
    pod: &PodView,
    primary: Option<&PodView>,
) -> Result<WalPosition, Rejection> {
    if primary.is_some_and(|primary| primary.node == pod.node) {
        return Err(Rejection::OnTheSameNode);
    }
    if let Some(why) = &pod.leaving {
        return Err(Rejection::NodeIsLeft(why.clone()));
    }
    check_target(desired, observed, lease, &pod.name).map(|(_, position)| position)
}
