//! The election itself: from one version of the lease and the members' answers to a winner, or a refusal.

use super::ancestry::place;
use super::loss::losses;
use super::rank::{Standing, rank};
use super::switchover::check_target;
use super::{Candidate, Refusal, Rejection, Why, sat};
use crate::cluster::{Desired, ElectionFact, MemberPhase, Observed, PodView, TailFact};
use crate::identity::Incarnation;
use crate::lease::{HolderState, LeaseRecord, Versioned, WalPosition};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Somebody was elected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Election {
    /// What is written to the status.
    pub fact: ElectionFact,
    /// The order of the candidates, best first.
    pub candidates: Vec<Candidate>,
    /// Who could not stand, and why.
    pub rejected: Vec<(String, Rejection)>,
    /// What may be lost by it, if anything is known to be.
    pub may_lose: Option<String>,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// This one.
    Elected(Box<Election>),
    /// Nobody.
    Refused(Refusal),
}

/// Elects from `lease` for the reason `why`, by the reports in `observed` that are fresh (rules E3-E5).
#[must_use]
pub fn elect(desired: &Desired, observed: &Observed, lease: &Versioned<LeaseRecord>, why: &Why) -> Answer {
    if let Why::Switchover { target } = why {
        return match check_target(desired, observed, &lease.value, target) {
            Ok((pod, position)) => elected(lease, why, pod, position, None, Vec::new(), Vec::new(), None, Vec::new()),
            Err(refusal) => Answer::Refused(refusal),
        };
    }
    if let Some(primary) = lease.value.holder.as_ref().filter(|holder| desired.is_fenced(&holder.name)) {
        let members = vec![(primary.name.clone(), Rejection::Fenced)];
        let reason = "the primary is fenced: nothing takes its place until the fence is lifted".to_owned();
        return Answer::Refused(Refusal { reason, members, ..Refusal::default() });
    }
    let (candidates, rejected) = rank(desired, observed, &lease.value, *why == Why::Stale);
    let Some((best, winner)) = candidates.first().and_then(|best| Some((best.clone(), observed.pod(&best.name)?)))
    else {
        let reason = format!("nobody can be elected ({why})");
        return Answer::Refused(Refusal { reason, members: rejected, ..Refusal::default() });
    };
    let tail = find_tail(observed, &lease.value, &best);
    let answered = answered(observed, &lease.value, &best, tail.as_ref());
    let shortages = sat(&lease.value.records, &answered);
    if !shortages.is_empty() {
        let reason = "an acknowledged commit may be missing on all who answered".to_owned();
        return Answer::Refused(Refusal {
            reason,
            losses: losses(observed, lease.value.tail, &candidates),
            members: rejected,
            shortages,
        });
    }
    let may_lose = what_may_be_lost(&lease.value, why, &best, tail.as_ref());
    elected(lease, why, winner, best.position, tail, candidates, rejected, may_lose, answered.into_iter().collect())
}

#[expect(clippy::too_many_arguments, reason = "the fields of one record, put together in one place")]
fn elected(
    lease: &Versioned<LeaseRecord>,
    why: &Why,
    winner: &PodView,
    evidence: WalPosition,
    tail: Option<TailFact>,
    candidates: Vec<Candidate>,
    rejected: Vec<(String, Rejection)>,
    may_lose: Option<String>,
    answered: Vec<Incarnation>,
) -> Answer {
    let fact = ElectionFact {
        winner: winner.name.clone(),
        winner_pod_uid: winner.uid.clone(),
        lease_version: lease.version.clone(),
        holder_nonce: lease.value.holder.as_ref().map(|holder| holder.nonce.clone()).unwrap_or_default(),
        term: lease.value.term,
        reason: why.to_string(),
        evidence,
        tail,
        winner_incarnation: winner.report.as_ref().and_then(|report| report.incarnation.clone()),
        answered,
    };
    Answer::Elected(Box::new(Election { fact, candidates, rejected, may_lose }))
}

/// WAL beyond the winner's that can still be read: the holder's own while it is recovering, which it
/// keeps until the winner has confirmed it, even if the winner lacks nothing; that of a holder which has
/// released and is there still; else any member's.
fn find_tail(observed: &Observed, lease: &LeaseRecord, best: &Candidate) -> Option<TailFact> {
    if let (Some(holder), Some(end)) = (lease.holder.as_ref(), lease.tail) {
        let alive = observed.pod_by_uid(&holder.pod_uid).is_some_and(|pod| {
            pod.report.as_ref().is_none_or(|report| report.nonce == holder.nonce)
                && !pod.dead_nonces.contains(&holder.nonce)
        });
        let recovers = lease.state == HolderState::Recovering;
        let has_more = lease.state == HolderState::Released && end > best.position && holder.name != best.name;
        if alive && (recovers || has_more) {
            let (pod, address) = (holder.name.clone(), holder.address.clone());
            return Some(TailFact { pod, pod_uid: holder.pod_uid.clone(), address, end });
        }
    }
    if best.standing == Standing::Stopped {
        return None;
    }
    let offers = |pod: &PodView| {
        let report = pod.report.as_ref().filter(|report| !pod.dead_nonces.contains(&report.nonce))?;
        let serves = matches!(report.phase, MemberPhase::Recovering | MemberPhase::Released | MemberPhase::Stuck);
        let same = report.system_id.is_none() || report.system_id == observed.status.system_id;
        let end = report.tail.filter(|end| serves && same && *end > best.position)?;
        place(lease, report, end).ok()?;
        Some(TailFact { pod: pod.name.clone(), pod_uid: pod.uid.clone(), address: pod.ip.clone()?, end })
    };
    observed.pods.iter().filter(|pod| pod.name != best.name).filter_map(offers).max_by_key(|tail| tail.end)
}

/// R of rule E4: the data directories that had fenced themselves at the lease's term when they answered and hold no
/// more than the winner will, and the last holder's, where its own end of WAL will be fetched: it writes no more.
/// Somebody else who offers WAL and did not answer might stream again, and acknowledge, before the lease is taken.
fn answered(
    observed: &Observed,
    lease: &LeaseRecord,
    best: &Candidate,
    tail: Option<&TailFact>,
) -> BTreeSet<Incarnation> {
    let reached = tail.map_or(best.position, |tail| tail.end.max(best.position));
    let last = lease.holder.as_ref().map(|holder| &holder.pod_uid);
    let speaks = |pod: &&PodView| {
        let is_source = tail.is_some_and(|tail| Some(&tail.pod_uid) == last && tail.pod_uid == pod.uid);
        let fenced = pod.report.as_ref().is_some_and(|report| {
            report.fresh && report.fence >= lease.term && report.reach().is_some_and(|reach| reach <= reached)
        });
        is_source || (!pod.holds(lease) && fenced)
    };
    let incarnation = |pod: &PodView| pod.report.as_ref().and_then(|report| report.incarnation.clone());
    observed.pods.iter().filter(speaks).filter_map(incarnation).collect()
}

/// Said before it happens: with asynchronous replication a dead volume takes its last commits with it.
fn what_may_be_lost(lease: &LeaseRecord, why: &Why, best: &Candidate, tail: Option<&TailFact>) -> Option<String> {
    let reached = tail.map_or(best.position, |tail| tail.end.max(best.position));
    match lease.tail {
        Some(end) if reached >= end => None,
        Some(end) => Some(format!("WAL between {reached} and {end}, which nobody within reach holds")),
        None if tail.is_some() || !lease.records.is_empty() => None,
        None if best.standing == Standing::Stopped => None,
        None if *why == Why::Released => None,
        None => Some(format!("commits after {reached} that the last primary had not sent to {}", best.name)),
    }
}
