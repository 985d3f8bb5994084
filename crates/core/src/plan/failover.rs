//! The election's place in a plan: what is written, withdrawn, refused or waited for.

use super::step::{EventKind, Step};
use super::{Draft, explain};
use crate::cluster::{Desired, LossFact, Observed, RefusalFact};
use crate::election::{
    Answer, Election, Loss, Next, Refusal, Waiting, Why, elect, force_is_void, next, target_may_yet,
};
use crate::lease::{HolderState, LeaseRecord, Versioned};
use crate::time::Instant;
use core::time::Duration;

/// Between two tries to elect while nobody can be: members that could not answer may do so soon.
const RETRY_REFUSED: Duration = Duration::from_millis(250);
/// Between two tries while members count on the holder: mostly they have yet to see what another saw just now.
const RETRY_UNFENCED: Duration = Duration::from_millis(100);
/// Between two looks for somebody who could take over from a primary on a node that is to be left.
const RETRY_DRAIN: Duration = Duration::from_secs(2);

/// What is going on about the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// Nothing.
    Settled,
    /// It is being replaced after a failure, or because it gave up.
    FailingOver(String),
    /// It is fenced by the user, and nobody takes its place.
    Fenced(String),
    /// It is handing over on request.
    SwitchingOver(String),
}

pub(super) fn plan(desired: &Desired, observed: &Observed, now: Instant, draft: &mut Draft) -> Outlook {
    let next = next(desired, observed, now);
    let void = observed.force.as_ref().and_then(|force| force_is_void(force, observed.lease.as_ref()));
    match (&next, void) {
        (_, Some(void)) => refuse_force(observed, &void, draft),
        (Next::Nothing | Next::Cancel { .. }, None) => refuse_force(observed, "no election is due", draft),
        _ => {}
    }
    draft.election = explain::next(desired, observed, &next);
    match next {
        Next::Nothing => {
            settle(observed, draft);
            Outlook::Settled
        }
        Next::Wait { until, waiting } => {
            draft.look_again(until.since(now));
            draft.report.waits(waiting.to_string());
            match (waiting, observed.status.election.as_ref()) {
                (Waiting::Winner(winner), Some(election)) if election.reason.starts_with("switchover") => {
                    Outlook::SwitchingOver(format!("Switching over to {winner}"))
                }
                (Waiting::Fence(primary), _) => Outlook::Fenced(format!("The primary {primary} is fenced")),
                (Waiting::Winner(winner), _) => Outlook::FailingOver(format!("Failing over to {winner}")),
                (waiting, _) => Outlook::FailingOver(format!("Waiting for {waiting}")),
            }
        }
        Next::Cancel { holder, reason } => {
            draft.report.does(format!("keep {holder} as the primary"), reason);
            draft.steps.push(Step::CancelElection { holder });
            Outlook::Settled
        }
        Next::Ask { why } => ask(desired, observed, &why, now, draft),
    }
}

fn ask(desired: &Desired, observed: &Observed, why: &Why, now: Instant, draft: &mut Draft) -> Outlook {
    let Some(lease) = observed.lease.as_ref() else { return Outlook::Settled };
    match elect(desired, observed, lease, why) {
        Answer::Elected(election) => elected(observed, why, *election, draft),
        Answer::Refused(refusal) => match target_may_yet(observed, why, &refusal, now) {
            Some(until) => awaits_target(&refusal, until.since(now), draft),
            None => refused(observed, lease, why, &refusal, draft),
        },
        Answer::Awaits(members) => {
            let waiting = Waiting::Members(members).to_string();
            draft.report.waits(&waiting);
            draft.look_again(RETRY_UNFENCED);
            Outlook::FailingOver(format!("Waiting for {waiting}"))
        }
    }
}

/// Nobody hands over yet, and nothing is refused.
fn awaits_target(refusal: &Refusal, left: Duration, draft: &mut Draft) -> Outlook {
    let waiting = format!("the target of the switchover: {}", refusal.lines().join("; "));
    draft.report.waits(&waiting);
    draft.look_again(left.min(RETRY_REFUSED));
    Outlook::SwitchingOver(format!("Waiting for {waiting}"))
}

fn elected(observed: &Observed, why: &Why, election: Election, draft: &mut Draft) -> Outlook {
    let Election { fact, candidates, rejected, may_lose } = election;
    draft.report.does(format!("elect {} over lease version {}", fact.winner, fact.lease_version), &fact.reason);
    for candidate in candidates.iter().filter(|candidate| candidate.name != fact.winner) {
        let why_not =
            if fact.accepted_loss.is_some() { "another was demanded; it has" } else { "it comes after, with" };
        draft.report.does_not(format!("elect {}", candidate.name), format!("{why_not} {}", candidate.position));
    }
    for (member, rejection) in &rejected {
        draft.report.does_not(format!("elect {member}"), format!("it {rejection}"));
    }
    if let Some(tail) = &fact.tail {
        draft.report.notes(format!("{} fetches the WAL up to {} from {}", fact.winner, tail.end, tail.pod));
    }
    let (reason, outlook) = if why.is_handover() {
        ("SwitchingOver", Outlook::SwitchingOver(format!("Switching over to {}", fact.winner)))
    } else if fact.accepted_loss.is_some() {
        ("ForcedPromotion", Outlook::FailingOver(format!("Forced to fail over to {}", fact.winner)))
    } else {
        ("FailingOver", Outlook::FailingOver(format!("Failing over to {}", fact.winner)))
    };
    draft.election = Some(explain::elected(&fact));
    let loss = may_lose.as_ref().map(|loss| format!("; may be lost: {loss}")).unwrap_or_default();
    let kind = if may_lose.is_some() { EventKind::Warning } else { EventKind::Normal };
    draft.report.0.extend(may_lose.map(|loss| super::Line::Notes { what: format!("may be lost: {loss}") }));
    let message = format!("{}: {} is the next primary{loss}", fact.reason, fact.winner);
    let forced = fact.accepted_loss.is_some();
    draft.steps.push(Step::WriteElection(Box::new(fact)));
    draft.tell(kind, reason, message);
    match &observed.force {
        Some(_) if forced => draft.steps.push(Step::ClearForce),
        Some(force) if force_is_void(force, observed.lease.as_ref()).is_none() => {
            refuse_force(observed, "an election could be held without it", draft);
        }
        _ => {}
    }
    outlook
}

fn refused(
    observed: &Observed,
    lease: &Versioned<LeaseRecord>,
    why: &Why,
    refusal: &Refusal,
    draft: &mut Draft,
) -> Outlook {
    for (member, rejection) in &refusal.members {
        draft.report.does_not(format!("elect {member}"), format!("it {rejection}"));
    }
    draft.election = explain::refused(why, refusal);
    if let Some(why_not) = &refusal.force {
        refuse_force(observed, why_not, draft);
    }
    let fact = fact(observed, lease, why, refusal);
    let asked = fact.is_of_switchover;
    if asked || observed.status.refusal.as_ref() != Some(&fact) {
        let keep = if asked { observed.holder().map(|holder| holder.name.clone()) } else { None };
        let message = format!("{}: {}", refusal.reason, refusal.lines().join("; "));
        let reason = if fact.is_of_drain { "DrainRefused" } else { "ElectionRefused" };
        draft.steps.push(Step::WriteRefusal { refusal: fact, keep });
        draft.tell(EventKind::Warning, reason, message);
    }
    match why {
        Why::Switchover { .. } => Outlook::Settled,
        Why::Drain { .. } => {
            draft.look_again(RETRY_DRAIN);
            Outlook::Settled
        }
        _ => {
            draft.look_again(RETRY_REFUSED);
            Outlook::FailingOver(refusal.reason.clone())
        }
    }
}

/// The refusal as the status has it.
fn fact(observed: &Observed, lease: &Versioned<LeaseRecord>, why: &Why, refusal: &Refusal) -> RefusalFact {
    let loss = |loss: &Loss| {
        let pod_uid = observed.pod(&loss.instance).map(|pod| pod.uid.clone()).unwrap_or_default();
        LossFact { instance: loss.instance.clone(), pod_uid, bytes: loss.bytes }
    };
    let losses: Vec<LossFact> = refusal.losses.iter().map(loss).collect();
    let about = if losses.is_empty() { None } else { Some(lease) };
    RefusalFact {
        reason: refusal.reason.clone(),
        missing: refusal.lines(),
        is_of_switchover: matches!(why, Why::Switchover { .. }),
        is_of_drain: matches!(why, Why::Drain { .. }),
        losses,
        lease_version: about.map(|lease| lease.version.clone()).unwrap_or_default(),
        term: about.map(|lease| lease.value.term).unwrap_or_default(),
    }
}

/// A demand is judged once: what was accepted then says nothing of what would be lost later.
fn refuse_force(observed: &Observed, why: &str, draft: &mut Draft) {
    if let Some(force) = &observed.force {
        let message = format!("{} is not forced to be the primary: {why}", force.instance);
        draft.report.does_not(format!("force {} to be the primary", force.instance), why);
        draft.steps.push(Step::ClearForce);
        draft.tell(EventKind::Warning, "ForcedPromotionRefused", message);
    }
}

/// Nobody is to be replaced: the status says who is primary, and the refusal of an election that has become
/// unnecessary goes. That of a switchover stays, for whoever asked.
fn settle(observed: &Observed, draft: &mut Draft) {
    if observed.lease.as_ref().is_none_or(|lease| lease.value.state != HolderState::Open) {
        return;
    }
    if let (Some(holder), None) = (observed.holder(), observed.status.target_primary.as_ref()) {
        draft.steps.push(Step::SetTarget { pod: holder.name.clone() });
    }
    if observed.status.refusal.as_ref().is_some_and(|refusal| !refusal.is_of_switchover) {
        draft.steps.push(Step::ClearRefusal);
    }
}
