//! A switchover that somebody asked for: the target is given, and only looked at.

use super::rank::{Standing, judge};
use super::{Refusal, Rejection, Why};
use crate::cluster::{Desired, Observed, PodView};
use crate::lease::{LeaseRecord, WalPosition};
use crate::time::Instant;
use core::time::Duration;

/// How far behind a target may be, in bytes: the last of it is sent while the primary stops, and writes wait.
pub const MAX_SWITCHOVER_LAG: u64 = 128 * 1024 * 1024;

/// How long a target has to show that it can take over, from the time of the request: one that has only just begun has
/// not reported yet, and it is the kubelet that says whether it is ready, by a probe that the user may have made slow.
const TARGET_PATIENCE: Duration = Duration::from_secs(11);

/// How the reason ends for which a switchover was refused.
pub const SWITCHOVER_REFUSED: &str = "cannot take over";

/// Why nobody is switched over to.
pub(super) fn refusal(target: &str, rejection: Rejection) -> Refusal {
    Refusal {
        reason: format!("{target} {SWITCHOVER_REFUSED}"),
        members: vec![(target.to_owned(), rejection)],
        ..Refusal::default()
    }
}

/// Until when the switchover is asked for again instead of being refused: what stands against the target may be over in
/// a moment. Nothing, where it will not be, or where it has had its time.
#[must_use]
pub fn target_may_yet(observed: &Observed, why: &Why, refusal: &Refusal, now: Instant) -> Option<Instant> {
    if !matches!(why, Why::Switchover { .. }) {
        return None;
    }
    let until = observed.memory.asked_since.unwrap_or(now).plus(TARGET_PATIENCE);
    (now < until && refusal.members.iter().all(|(_, rejection)| rejection.may_pass())).then_some(until)
}

/// The target, if it can take over without making writers wait long.
pub(super) fn check_target<'a>(
    desired: &Desired,
    observed: &'a Observed,
    lease: &LeaseRecord,
    target: &str,
) -> Result<(&'a PodView, WalPosition), Rejection> {
    let pod = observed.pod(target).ok_or(Rejection::Missing)?;
    let (standing, position) = judge(desired, observed, lease, pod, false)?;
    if standing == Standing::Standby && !pod.ready {
        return Err(Rejection::NotReady);
    }
    if standing != Standing::Standby {
        let phase = pod.report.as_ref().map(|report| report.phase).unwrap_or_default();
        return Err(Rejection::Busy(phase));
    }
    let primary = observed.holder_pod().and_then(|pod| pod.report.as_ref()).and_then(|report| report.position);
    let lag = primary.map_or(0, |primary| primary.lsn.0.saturating_sub(position.lsn.0));
    if lag > MAX_SWITCHOVER_LAG {
        return Err(Rejection::Lags(lag));
    }
    Ok((pod, position))
}
