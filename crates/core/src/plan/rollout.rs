//! Changes that reach an instance only by a restart: a new image, new resources, a parameter, a user's request.
//!
//! One instance at a time, standbys first (the most lagging one before the others), the primary last and as
//! `primaryUpdateMethod` and `primaryUpdateStrategy` say; nothing while the primary is being replaced or anybody is
//! missing. A decrease of a parameter that a standby must not have less of than its primary goes the other way round.

use super::Draft;
use super::failover::Outlook;
use super::instances::{Needs, primary_is_well};
use super::step::Step;
use super::wal_volumes;
use crate::cluster::{Desired, Observed, PodView};
use core::cmp::Reverse;

/// What is going on, for the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// All instances are as asked for.
    UpToDate,
    /// Instances are being brought up to date; the reason says which.
    Upgrading(String),
    /// `supervised`: the primary waits for the user.
    WaitsForUser(String),
    /// The primary's postgres restarts where it is.
    RestartsInPlace {
        /// For a smaller parameter: before its standbys.
        decrease: bool,
    },
}

/// Why an instance has to restart.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    /// Its pod is made anew.
    Replace(String),
    /// Only its postgres restarts.
    Restart,
}

impl Work {
    fn of(pod: &PodView) -> Option<Work> {
        let pending = pod.report.as_ref().is_some_and(|report| report.pending_restart);
        pod.outdated.clone().map(Work::Replace).or(pending.then_some(Work::Restart))
    }

    fn why(&self) -> &str {
        match self {
            Work::Replace(why) => why,
            Work::Restart => "a parameter takes effect only after a restart",
        }
    }
}

pub(super) fn plan(
    desired: &Desired,
    observed: &Observed,
    outlook: &Outlook,
    needs: &Needs,
    draft: &mut Draft,
) -> Progress {
    let due: Vec<(&PodView, Work)> =
        observed.pods.iter().filter_map(|pod| Work::of(pod).map(|work| (pod, work))).collect();
    if due.is_empty() {
        return Progress::UpToDate;
    }
    let names: Vec<&str> = due.iter().map(|(pod, _)| pod.name.as_str()).collect();
    let progress = Progress::Upgrading(format!("To be updated: {}", names.join(", ")));
    if let Some(waits) = not_now(desired, observed, outlook, needs) {
        draft.report.waits(format!("{waits}, before {} is updated", names.join(", ")));
        return progress;
    }
    if let Some((pod, work)) = due.iter().find(|(pod, _)| hopeless(desired, observed, pod)) {
        replace(pod, work, draft);
        return progress;
    }
    let Some(primary) = observed.holder_pod().filter(|_| primary_is_well(observed)) else {
        draft.report.waits("a primary that is open, before anybody is updated");
        return progress;
    };
    if let Some(pod) = observed.pods.iter().find(|pod| !pod.ready) {
        draft.report.waits(format!("{} to be ready, before the next one is updated", pod.name));
        return progress;
    }
    let of_primary = due.iter().find(|(pod, _)| pod.uid == primary.uid).map(|(_, work)| work);
    if primary.report.as_ref().is_some_and(|report| report.pending_decrease) {
        return update_primary(desired, observed, primary, &Work::Restart, true, draft);
    }
    let mut standbys: Vec<&(&PodView, Work)> = due.iter().filter(|(pod, _)| pod.uid != primary.uid).collect();
    standbys.sort_by_key(|(pod, _)| (pod.report.as_ref().and_then(|report| report.position), Reverse(pod.serial)));
    match (standbys.first(), of_primary) {
        (Some((pod, work)), _) => {
            if let Some(other) = spare_sync_standby(observed, pod) {
                draft.report.waits(format!("{other} to become a synchronous standby, before {} is updated", pod.name));
            } else {
                replace(pod, work, draft);
            }
            progress
        }
        (None, Some(work)) => update_primary(desired, observed, primary, work, false, draft),
        (None, None) => progress,
    }
}

/// What has to be over first.
fn not_now(desired: &Desired, observed: &Observed, outlook: &Outlook, needs: &Needs) -> Option<String> {
    let settled = *outlook == Outlook::Settled;
    let target = observed.status.target_primary.as_deref();
    let asked = observed.holder().is_some_and(|holder| target.is_some_and(|target| target != holder.name));
    if !settled || asked {
        return Some("the election to be over".to_owned());
    }
    if let Some(pod) = observed.pods.iter().find(|pod| !pod.is_alive()) {
        return Some(format!("{} to be replaced", pod.name));
    }
    // A pod is made anew only where all that it mounts can be had.
    let lacks = |pod: &&PodView| desired.wal_storage.is_some() && wal_volumes::of(observed, pod.serial).is_none();
    if let Some(pod) = observed.pods.iter().find(lacks) {
        return Some(format!("volume {} to be there", desired.wal_volume(pod.serial)));
    }
    (needs.unrecoverable || !needs.incomplete.is_empty()).then(|| "all instances to be there".to_owned())
}

/// It is not ready and not what it should be: perhaps it cannot be ready before it is made anew.
fn hopeless(desired: &Desired, observed: &Observed, pod: &PodView) -> bool {
    let holds = observed.holder().is_some_and(|holder| holder.pod_uid == pod.uid);
    !pod.ready && pod.outdated.is_some() && (desired.instances == 1 || (!holds && primary_is_well(observed)))
}

fn replace(pod: &PodView, work: &Work, draft: &mut Draft) {
    draft.report.does(format!("replace pod {}", pod.name), work.why());
    draft.steps.push(Step::ReplacePod { name: pod.name.clone(), uid: pod.uid.clone() });
}

fn update_primary(
    desired: &Desired,
    observed: &Observed,
    primary: &PodView,
    work: &Work,
    decrease: bool,
    draft: &mut Draft,
) -> Progress {
    if desired.primary_update.supervised {
        draft.report.waits(format!("the user to switch over from {} or to restart it: {}", primary.name, work.why()));
        return Progress::WaitsForUser(format!("{} is to be updated: {}", primary.name, work.why()));
    }
    // One that was refused would be refused again: then the primary hands over as it stops, or restarts in place.
    let refused = observed.status.refusal.as_ref().is_some_and(|refusal| refusal.is_of_switchover);
    let heir = heir(observed, primary).filter(|_| desired.primary_update.by_switchover && !decrease && !refused);
    match (heir, work) {
        (Some(heir), _) => {
            draft.report.does(format!("switch over from {} to {}", primary.name, heir.name), work.why());
            draft.steps.push(Step::SetTarget { pod: heir.name.clone() });
            Progress::Upgrading(format!("Switching over from {} to {}", primary.name, heir.name))
        }
        (None, Work::Replace(_)) => {
            replace(primary, work, draft);
            Progress::Upgrading(format!("Updating the primary {}", primary.name))
        }
        (None, Work::Restart) => {
            let nonce = observed.holder().map(|holder| holder.nonce.clone()).unwrap_or_default();
            let term = observed.lease.as_ref().map(|lease| lease.value.term).unwrap_or_default();
            if observed.status.restart.as_ref().is_some_and(|asked| asked.nonce == nonce && asked.term == term) {
                draft.report.waits(format!("postgres of {} to restart", primary.name));
            } else {
                draft.report.does(format!("restart postgres of {} in place", primary.name), work.why());
                draft.steps.push(Step::RestartInPlace { instance: primary.name.clone(), nonce });
            }
            Progress::RestartsInPlace { decrease }
        }
    }
}

/// The standby that takes over: up to date, and furthest by what it last said. It is looked at again before it does.
fn heir<'a>(observed: &'a Observed, primary: &PodView) -> Option<&'a PodView> {
    let fit = |pod: &&PodView| {
        pod.uid != primary.uid && pod.ready && pod.is_alive() && pod.leaving.is_none() && Work::of(pod).is_none()
    };
    let rank = |pod: &&PodView| (pod.report.as_ref().and_then(|report| report.position), Reverse(pod.serial));
    observed.pods.iter().filter(fit).max_by_key(rank)
}

/// Without `pod` too few would be left to acknowledge commits, and this other standby could, but does not yet.
pub(super) fn spare_sync_standby<'a>(observed: &'a Observed, pod: &PodView) -> Option<&'a str> {
    let record = observed.lease.as_ref()?.value.records.last()?;
    let votes = |pod: &PodView| {
        let own = pod.report.as_ref().and_then(|report| report.incarnation.as_ref());
        own.is_some_and(|own| record.voters.contains(own))
    };
    let others = || observed.pods.iter().filter(|other| other.uid != pod.uid && other.ready && other.is_alive());
    let left = u32::try_from(others().filter(|other| votes(other)).count()).unwrap_or(u32::MAX);
    let holder = observed.holder().map(|holder| &holder.pod_uid);
    let spare = others().find(|other| !votes(other) && Some(&other.uid) != holder)?;
    (votes(pod) && left < record.needed).then_some(spare.name.as_str())
}
