//! The election's place in a plan: what is written, withdrawn, refused or waited for.

use super::Draft;
use super::step::{EventKind, Step};
use crate::cluster::{Desired, Observed, RefusalFact};
use crate::election::{Answer, Election, Next, Refusal, Waiting, Why, elect, next};
use crate::lease::HolderState;
use crate::time::Instant;
use core::time::Duration;

/// Between two tries to elect while nobody can be: members that could not answer may do so soon.
const RETRY_REFUSED: Duration = Duration::from_millis(250);

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
    match next(desired, observed, now) {
        Next::Nothing => {
            settle(observed, draft);
            Outlook::Settled
        }
        Next::Wait { until, waiting } => {
            draft.look_again(until.since(now));
            draft.report.waits(describe(&waiting));
            match (waiting, observed.status.election.as_ref()) {
                (Waiting::Winner(winner), Some(election)) if election.reason.starts_with("switchover") => {
                    Outlook::SwitchingOver(format!("Switching over to {winner}"))
                }
                (Waiting::Fence(primary), _) => Outlook::Fenced(format!("The primary {primary} is fenced")),
                (Waiting::Winner(winner), _) => Outlook::FailingOver(format!("Failing over to {winner}")),
                (waiting, _) => Outlook::FailingOver(format!("Waiting for {}", describe(&waiting))),
            }
        }
        Next::Cancel { holder, reason } => {
            draft.report.does(format!("keep {holder} as the primary"), reason);
            draft.steps.push(Step::CancelElection { holder });
            Outlook::Settled
        }
        Next::Ask { why } => ask(desired, observed, &why, draft),
    }
}

fn ask(desired: &Desired, observed: &Observed, why: &Why, draft: &mut Draft) -> Outlook {
    let Some(lease) = observed.lease.as_ref() else { return Outlook::Settled };
    match elect(desired, observed, lease, why) {
        Answer::Elected(election) => elected(why, *election, draft),
        Answer::Refused(refusal) => refused(observed, why, &refusal, draft),
    }
}

fn elected(why: &Why, election: Election, draft: &mut Draft) -> Outlook {
    let Election { fact, candidates, rejected, may_lose } = election;
    draft.report.does(format!("elect {} over lease version {}", fact.winner, fact.lease_version), &fact.reason);
    for candidate in candidates.iter().skip(1) {
        draft
            .report
            .does_not(format!("elect {}", candidate.name), format!("it comes after, with {}", candidate.position));
    }
    for (member, rejection) in &rejected {
        draft.report.does_not(format!("elect {member}"), format!("it {rejection}"));
    }
    if let Some(tail) = &fact.tail {
        draft.report.notes(format!("{} fetches the WAL up to {} from {}", fact.winner, tail.end, tail.pod));
    }
    let (reason, outlook) = match why {
        Why::Switchover { .. } => {
            ("SwitchingOver", Outlook::SwitchingOver(format!("Switching over to {}", fact.winner)))
        }
        _ => ("FailingOver", Outlook::FailingOver(format!("Failing over to {}", fact.winner))),
    };
    let loss = may_lose.as_ref().map(|loss| format!("; may be lost: {loss}")).unwrap_or_default();
    let kind = if may_lose.is_some() { EventKind::Warning } else { EventKind::Normal };
    draft.report.0.extend(may_lose.map(|loss| super::Line::Notes { what: format!("may be lost: {loss}") }));
    let message = format!("{}: {} is the next primary{loss}", fact.reason, fact.winner);
    draft.steps.push(Step::WriteElection(Box::new(fact)));
    draft.steps.push(Step::Event { kind, reason: reason.to_owned(), message });
    outlook
}

fn refused(observed: &Observed, why: &Why, refusal: &Refusal, draft: &mut Draft) -> Outlook {
    for (member, rejection) in &refusal.members {
        draft.report.does_not(format!("elect {member}"), format!("it {rejection}"));
    }
    let switchover = matches!(why, Why::Switchover { .. });
    let fact = RefusalFact { reason: refusal.reason.clone(), missing: refusal.lines(), is_of_switchover: switchover };
    if switchover || observed.status.refusal.as_ref() != Some(&fact) {
        let keep = if switchover { observed.holder().map(|holder| holder.name.clone()) } else { None };
        let message = format!("{}: {}", refusal.reason, refusal.lines().join("; "));
        draft.steps.push(Step::WriteRefusal { refusal: fact, keep });
        draft.steps.push(Step::Event { kind: EventKind::Warning, reason: "ElectionRefused".to_owned(), message });
    }
    if switchover {
        return Outlook::Settled;
    }
    draft.look_again(RETRY_REFUSED);
    Outlook::FailingOver(refusal.reason.clone())
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

fn describe(waiting: &Waiting) -> String {
    match waiting {
        Waiting::Winner(winner) => format!("{winner} to take the lease"),
        Waiting::FailoverDelay => "spec.failoverDelay".to_owned(),
        Waiting::Members(members) => format!("{} to say what they hold", members.join(", ")),
        Waiting::Fence(primary) => format!("the fence around {primary} to be lifted"),
        Waiting::RecoversInPlace => "the only instance to recover in place".to_owned(),
    }
}
