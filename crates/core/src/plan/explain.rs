//! An election that does not happen, or has not yet, in words: who is eligible, who is not and why, what it waits for.

use crate::cluster::{Desired, ElectionFact, Observed};
use crate::election::{Candidate, Next, Refusal, Rejection, Waiting, Why, prospects, why};
use serde::{Deserialize, Serialize};

/// How an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ElectionState {
    /// It waits for something, and is held then.
    Waits,
    /// Somebody was chosen and has yet to take the lease.
    Elected,
    /// The same, against rule E4.
    Forced,
    /// Nobody can be chosen.
    Refused,
    /// The primary is well and was to hand over; nobody can take over.
    HandoverRefused,
    /// The user's fence keeps everybody from it.
    Fenced,
}

/// What condition `PrimaryElected` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ElectionNote {
    /// How it stands.
    pub state: ElectionState,
    /// For people.
    pub message: String,
}

/// Of an election that is waited for.
pub(super) fn next(desired: &Desired, observed: &Observed, next: &Next) -> Option<ElectionNote> {
    let Next::Wait { waiting, .. } = next else { return None };
    let due = why(observed);
    let cause = due.as_ref().map(|why| format!("{why}; ")).unwrap_or_default();
    let state = match (waiting, &observed.status.election) {
        (Waiting::Winner(_), Some(election)) => return Some(elected(election)),
        (Waiting::Winner(_), None) => ElectionState::Elected,
        (Waiting::Fence(_), _) => ElectionState::Fenced,
        (
            Waiting::FailoverDelay
            | Waiting::Members(_)
            | Waiting::RecoversInPlace
            | Waiting::Return(_)
            | Waiting::WentBack { .. },
            _,
        ) => ElectionState::Waits,
    };
    // A time that counts down would be another text at every look.
    let bound = match waiting {
        Waiting::FailoverDelay => format!(" of {} s", desired.failover_delay.as_secs()),
        _ => String::new(),
    };
    let standing = match (observed.lease.as_ref(), due) {
        (Some(lease), Some(why)) => {
            let (candidates, rejected) = prospects(desired, observed, &lease.value, &why);
            standing(&candidates, &rejected)
        }
        _ => String::new(),
    };
    Some(ElectionNote { state, message: format!("{cause}waits for {waiting}{bound}{standing}") })
}

/// Of one that was just held.
pub(super) fn elected(fact: &ElectionFact) -> ElectionNote {
    let (state, loss) = match fact.accepted_loss {
        Some(bytes) => (ElectionState::Forced, format!(", forced at the loss of {bytes} bytes of WAL or more")),
        None => (ElectionState::Elected, String::new()),
    };
    ElectionNote { state, message: format!("{}: {} is the next primary{loss}", fact.reason, fact.winner) }
}

/// Of one that was refused. A switchover is asked for once, and its refusal stays in `status.electionRefusal`.
pub(super) fn refused(why: &Why, refusal: &Refusal) -> Option<ElectionNote> {
    let state = match why {
        Why::Switchover { .. } => return None,
        Why::Drain { .. } => ElectionState::HandoverRefused,
        Why::Released | Why::Recovering | Why::ProofOfDeath | Why::Stale => ElectionState::Refused,
    };
    let lines = refusal.lines();
    let details = if lines.is_empty() { String::new() } else { format!(": {}", lines.join("; ")) };
    Some(ElectionNote { state, message: format!("{}{details}", refusal.reason) })
}

fn standing(candidates: &[Candidate], rejected: &[(String, Rejection)]) -> String {
    let fit: Vec<String> =
        candidates.iter().map(|candidate| format!("{} ({})", candidate.name, candidate.position)).collect();
    let unfit: Vec<String> = rejected.iter().map(|(name, why)| format!("{name} {why}")).collect();
    let eligible = if fit.is_empty() { "nobody".to_owned() } else { fit.join(", ") };
    let others = if unfit.is_empty() { String::new() } else { format!("; not eligible: {}", unfit.join(", ")) };
    format!("; eligible by what they last said: {eligible}{others}")
}
