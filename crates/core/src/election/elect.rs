//! The election itself: from one version of the lease and the members' answers to a winner, or a refusal.

use super::ancestry::place;
use super::loss::{Loss, losses};
use super::rank::{Standing, rank};
use super::switchover::check_target;
use super::{Candidate, Refusal, Rejection, Why, binding, drain, force, sat, switchover};
use crate::cluster::{Desired, ElectionFact, MemberPhase, Observed, PodView, TailFact};
use crate::identity::Incarnation;
use crate::lease::{HolderState, LeaseRecord, Versioned, WalPosition};
use crate::sync::own_entry;
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
    /// Nobody yet: these count on the holder for a moment more, and may hold WAL that the best of the others lacks.
    Awaits(Vec<String>),
}

/// What an election found out, beside who won it.
#[derive(Default)]
struct Findings {
    tail: Option<TailFact>,
    candidates: Vec<Candidate>,
    rejected: Vec<(String, Rejection)>,
    may_lose: Option<String>,
    answered: BTreeSet<Incarnation>,
    accepted_loss: Option<u64>,
}

/// Elects from `lease` for the reason `why`, by the reports in `observed` that are fresh (rules E3-E5).
#[must_use]
pub fn elect(desired: &Desired, observed: &Observed, lease: &Versioned<LeaseRecord>, why: &Why) -> Answer {
    match why {
        Why::Switchover { target } => match check_target(desired, observed, &lease.value, target) {
            Ok((pod, position)) => elected(lease, why, pod, position, Findings::default()),
            Err(rejection) => Answer::Refused(switchover::refusal(target, rejection)),
        },
        Why::Drain { because } => match drain::choose(desired, observed, &lease.value) {
            Ok((pod, position, rejected)) => {
                elected(lease, why, pod, position, Findings { rejected, ..Findings::default() })
            }
            Err(rejected) => Answer::Refused(drain::refusal(because, rejected)),
        },
        Why::Released | Why::Recovering | Why::ProofOfDeath | Why::Stale => replace(desired, observed, lease, why),
    }
}

/// The primary is gone, or going: whoever has most takes its place.
fn replace(desired: &Desired, observed: &Observed, lease: &Versioned<LeaseRecord>, why: &Why) -> Answer {
    if let Some(primary) = lease.value.holder.as_ref().filter(|holder| desired.is_fenced(&holder.name)) {
        let members = vec![(primary.name.clone(), Rejection::Fenced)];
        let reason = "the primary is fenced: nothing takes its place until the fence is lifted".to_owned();
        return Answer::Refused(Refusal { reason, members, ..Refusal::default() });
    }
    let (candidates, rejected) = rank(desired, observed, &lease.value, *why == Why::Stale);
    let Some((best, winner)) = candidates.first().and_then(|best| Some((best.clone(), observed.pod(&best.name)?)))
    else {
        let reason = format!("nobody can be elected ({why})");
        let force = force::judge(observed, lease, why, &[], &rejected).and_then(Result::err);
        return Answer::Refused(Refusal { reason, members: rejected, force, ..Refusal::default() });
    };
    let awaited = counting_on_holder(observed, &lease.value, why);
    if !awaited.is_empty() {
        return Answer::Awaits(awaited);
    }
    let tail = find_tail(observed, &lease.value, &best);
    let answered = answered(observed, &lease.value, &best, tail.as_ref());
    let shortages = sat(&binding(&lease.value, best.position), &answered);
    if shortages.is_empty() {
        let may_lose = what_may_be_lost(&lease.value, why, &best, tail.as_ref());
        let findings = Findings { tail, candidates, rejected, may_lose, answered, accepted_loss: None };
        return elected(lease, why, winner, best.position, findings);
    }
    let losses = losses(observed, &lease.value, &candidates);
    match force::judge(observed, lease, why, &losses, &rejected) {
        Some(Ok(loss)) => forced(observed, lease, why, &loss, candidates, rejected),
        verdict => Answer::Refused(Refusal {
            reason: "an acknowledged commit may be missing on all who answered".to_owned(),
            members: rejected,
            shortages,
            losses,
            names: names(observed, &lease.value),
            force: verdict.and_then(Result::err),
        }),
    }
}

/// Whether the holder itself is heard before an election, without a fence: its lease lapsed without a word of where its
/// WAL ends, and no record says who else has all of it that was acknowledged.
#[must_use]
pub fn hears_holder(lease: &LeaseRecord, why: &Why) -> bool {
    *why == Why::Stale && lease.records.is_empty()
}

/// Whose word an asynchronous election waits for (E3): with no record of who has what, a member that is not heard may
/// have commits that all others lack. It ends by the members' own clocks. A holder that gave up says where its WAL ends.
fn counting_on_holder(observed: &Observed, lease: &LeaseRecord, why: &Why) -> Vec<String> {
    if !lease.records.is_empty() || !matches!(why, Why::Stale | Why::ProofOfDeath) {
        return Vec::new();
    }
    observed.pods.iter().filter(|pod| pod.counts_on_holder).map(|pod| pod.name.clone()).collect()
}

/// A person accepts the loss: only rule E4 is left out.
fn forced(
    observed: &Observed,
    lease: &Versioned<LeaseRecord>,
    why: &Why,
    loss: &Loss,
    candidates: Vec<Candidate>,
    rejected: Vec<(String, Rejection)>,
) -> Answer {
    let chosen = candidates.iter().find(|candidate| candidate.name == loss.instance).cloned();
    let Some((chosen, winner)) = chosen.and_then(|chosen| Some((chosen, observed.pod(&loss.instance)?))) else {
        let reason = format!("{} is not there any more", loss.instance);
        return Answer::Refused(Refusal { reason, members: rejected, ..Refusal::default() });
    };
    let tail = answered_tail(observed, &lease.value, &chosen);
    let answered = answered(observed, &lease.value, &chosen, tail.as_ref());
    let may_lose = Some(format!("{} bytes of WAL or more, with the commits in them: it was forced", loss.bytes));
    let accepted_loss = Some(loss.bytes);
    let findings = Findings { tail, candidates, rejected, may_lose, answered, accepted_loss };
    elected(lease, why, winner, chosen.position, findings)
}

/// Who has which data directory. The last holder's is known by its record even if nothing is left of its pod.
fn names(observed: &Observed, lease: &LeaseRecord) -> Vec<(Incarnation, String)> {
    let own = |pod: &PodView| Some((pod.report.as_ref()?.incarnation.clone()?, pod.name.clone()));
    let last = own_entry(lease).zip(lease.holder.as_ref()).map(|(entry, by)| (entry.writer.clone(), by.name.clone()));
    observed.pods.iter().filter_map(own).chain(last).collect()
}

fn elected(
    lease: &Versioned<LeaseRecord>,
    why: &Why,
    winner: &PodView,
    evidence: WalPosition,
    findings: Findings,
) -> Answer {
    let Findings { tail, candidates, rejected, may_lose, answered, accepted_loss } = findings;
    let fact = ElectionFact {
        winner: winner.name.clone(),
        winner_pod_uid: winner.uid.clone(),
        lease_version: lease.version.clone(),
        holder_nonce: lease.value.holder.as_ref().map(|holder| holder.nonce.clone()).unwrap_or_default(),
        term: lease.value.term,
        reason: why.reason(&winner.name),
        evidence,
        tail,
        winner_incarnation: winner.report.as_ref().and_then(|report| report.incarnation.clone()),
        answered: answered.into_iter().collect(),
        accepted_loss,
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

/// The same, of somebody who answered: nobody is forced at the price of waiting for one who is silent.
pub(super) fn answered_tail(observed: &Observed, lease: &LeaseRecord, best: &Candidate) -> Option<TailFact> {
    let answers = |pod: &PodView| pod.report.as_ref().is_some_and(|report| report.fresh);
    find_tail(observed, lease, best).filter(|tail| observed.pod_by_uid(&tail.pod_uid).is_some_and(answers))
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
