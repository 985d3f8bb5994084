//! Rule L8: the lease of an initialised cluster is gone, which only somebody's hand can have done.
//!
//! Its holder makes it anew from memory. Once the last holder must have stopped, the controller does: as held by the
//! last known primary, so that a whole leaseDuration runs before anybody may take it; with a term and a timeline above
//! everything that any instance has seen; and only if every instance answers, since one that does not may know more, and
//! no other says that it may write: a holder that does not reach the API lives on by pledges (L7), for as long as it gets
//! them, and the status may not have heard of its promotion. If the last primary is there and its data are lost, the
//! lease is made anew as held by nobody who lives, so that the others elect one of them when its time is over.

use super::Draft;
use super::step::{EventKind, Step};
use crate::cluster::{Desired, MemberPhase, Observed, PodView, RefusalFact, Report, VolumeView};
use crate::identity::{AttemptId, Incarnation, Nonce};
use crate::lease::{ElectableRecord, Holder, HolderState, LeaseRecord, Term, Timings};
use crate::time::Instant;

/// The reason of its Events.
const LEASE_DELETED: &str = "LeaseDeleted";

/// Whether there is a lease to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostLease {
    /// There is one, or there never was.
    No,
    /// Its holder may do it until then.
    HolderHasTime(Instant),
    /// Every instance is to be asked what it knows.
    Ask,
}

/// Whether the lease is lost, and whose turn it is.
#[must_use]
pub fn lost_lease(desired: &Desired, observed: &Observed, now: Instant) -> LostLease {
    if observed.lease.is_some() || observed.status.system_id.is_none() || observed.hibernates() {
        return LostLease::No;
    }
    // After that it has no right to write left that it could store.
    let bound = desired.timings.renew_deadline.saturating_add(Timings::KILL_BUDGET);
    let until = observed.memory.lease_lost_since.unwrap_or(now).plus(bound);
    if now < until { LostLease::HolderHasTime(until) } else { LostLease::Ask }
}

pub(super) fn plan(desired: &Desired, observed: &Observed, now: Instant, draft: &mut Draft) {
    match lost_lease(desired, observed, now) {
        LostLease::No => {}
        LostLease::HolderHasTime(until) => {
            draft.look_again(until.since(now));
            draft.report.waits("the holder of the deleted lease to make it anew");
        }
        LostLease::Ask => match recreated(desired, observed) {
            Ok(record) => {
                let name = record.holder.as_ref().map(|holder| holder.name.clone()).unwrap_or_default();
                let message = format!("the lease was deleted; made anew as held by {name}, in term {}", record.term);
                draft.report.does("make the deleted lease anew", &message);
                draft.steps.push(Step::RecreateLease(Box::new(record)));
                draft.tell(EventKind::Warning, LEASE_DELETED, message);
            }
            Err(missing) => {
                draft.report.does_not("make the deleted lease anew", missing.join("; "));
                draft.look_again(crate::lease::Timings::KILL_BUDGET);
                let reason = "the lease was deleted, and not every instance says what it knows".to_owned();
                let refusal = RefusalFact { reason, missing, ..RefusalFact::default() };
                if observed.status.refusal.as_ref() != Some(&refusal) {
                    let message = format!("{}: {}", refusal.reason, refusal.missing.join("; "));
                    draft.tell(EventKind::Warning, LEASE_DELETED, message);
                    draft.steps.push(Step::WriteRefusal { refusal, keep: None });
                }
            }
        },
    }
}

/// The lease as it is made anew, or who keeps it from being.
fn recreated(desired: &Desired, observed: &Observed) -> Result<LeaseRecord, Vec<String>> {
    let reports: Vec<&Report> = observed.pods.iter().filter_map(answer).collect();
    let answers = |volume: &VolumeView| {
        let of_it = |pod: &&PodView| pod.serial == volume.serial;
        observed.pods.iter().filter(of_it).any(|pod| answer(pod).is_some() || has_lost_its_data(observed, pod))
    };
    let volumes = observed.volumes.iter().filter(|volume| !answers(volume));
    let mut missing: Vec<String> = volumes.map(|volume| format!("{} does not answer", volume.name)).collect();
    let name = observed.status.current_primary.clone().unwrap_or_default();
    let emptied = observed.pod(&name).filter(|pod| has_lost_its_data(observed, pod));
    let primary = observed.pod(&name).and_then(|pod| Some((pod, answer(pod).or_else(|| emptied?.report.as_ref())?)));
    if primary.is_none() {
        missing.push(format!("the last primary {name:?} does not answer"));
    }
    let others = observed.pods.iter().filter(|pod| pod.name != name);
    let writers = others.filter(|pod| pod.report.as_ref().is_some_and(may_write));
    missing.extend(writers.map(|pod| format!("{} may still write, and makes it anew itself once it can", pod.name)));
    if emptied.is_some() && desired.synchronous {
        let lost = observed.pods.iter().filter(|pod| pod.name != name && has_lost_its_data(observed, pod));
        missing
            .extend(lost.map(|pod| format!("{} has lost its data as well, and may alone have had a commit", pod.name)));
    }
    let unknown = reports.iter().any(|report| report.incarnation.is_none());
    if unknown && desired.synchronous {
        missing.push("not every instance knows its data directory".to_owned());
    }
    let Some((pod, report)) = primary.filter(|_| missing.is_empty()) else { return Err(missing) };
    let fresh = observed.pods.iter().filter(|pod| is_fresh(pod)).filter_map(|pod| pod.report.as_ref());
    let seen = fresh.flat_map(|report| [report.lease_seen.term, report.fence]);
    let term = seen.chain(observed.status.election.iter().map(|election| election.term)).max().unwrap_or_default();
    let held = reports.iter().flat_map(|report| [report.position, report.tail]).flatten().map(|at| at.timeline);
    let known = reports.iter().filter_map(|report| report.lineage.as_ref()).map(|lineage| lineage.timeline);
    let timeline = held.chain(known).chain(observed.status.timeline).max().unwrap_or_default();
    let others = || reports.iter().filter(|other| other.pod_uid != report.pod_uid);
    // Nobody has the directory of that name, so that every other instance is needed.
    let lost = emptied.map(|pod| Incarnation(format!("lost-by-{}", pod.uid)));
    let writer = lost.clone().or_else(|| report.incarnation.clone());
    let record = writer.filter(|_| desired.synchronous).map(|writer| ElectableRecord {
        term,
        writer,
        voters: others().filter_map(|other| other.incarnation.clone()).collect(),
        needed: 1,
    });
    let durations = reports.iter().map(|report| report.lease_seen.lease_duration);
    let opened = matches!(report.phase, MemberPhase::Primary | MemberPhase::Recovering | MemberPhase::Released);
    Ok(LeaseRecord {
        holder: Some(Holder {
            name,
            pod_uid: pod.uid.clone(),
            nonce: if lost.is_some() { Nonce(format!("lost-by-{}", pod.uid)) } else { report.nonce.clone() },
            address: pod.ip.clone().unwrap_or_default(),
        }),
        attempt: AttemptId(format!("anew-{}", term.next())),
        state: HolderState::Open,
        term: term.next(),
        timeline: timeline.next(),
        timeline_term: Term::default(),
        takers: others().map(|other| other.pod_uid.clone()).collect(),
        records: record.into_iter().collect(),
        tail: None,
        lineage: report.lineage.clone().filter(|_| opened),
        // Whoever held it goes by the timings that it was started with.
        lease_duration: durations.max().unwrap_or_default().max(desired.timings.lease_duration),
    })
}

/// Its postgres is open for clients, or about to be, or not yet known to be gone.
fn may_write(report: &Report) -> bool {
    matches!(report.phase, MemberPhase::Primary | MemberPhase::Promoting | MemberPhase::Stopping)
}

fn is_fresh(pod: &PodView) -> bool {
    pod.report.as_ref().is_some_and(|report| report.fresh)
}

/// Its volume is empty, or what is on it is of no use, and it says so: it has nothing to tell, and waits for a primary to
/// be cloned from.
fn has_lost_its_data(observed: &Observed, pod: &PodView) -> bool {
    let Some(report) = pod.report.as_ref().filter(|report| report.fresh && report.system_id.is_none()) else {
        return false;
    };
    report.damaged || observed.volumes.iter().any(|volume| volume.serial == pod.serial && !volume.has_data)
}

/// What it answered in this round.
fn answer(pod: &PodView) -> Option<&Report> {
    pod.report.as_ref().filter(|report| report.fresh && report.system_id.is_some())
}
