//! Whether there is anything to elect now, from observations that cost nothing. Whom to ask follows from it.

use super::{Why, drain, is_switchover, why};
use crate::cluster::{Desired, MemberPhase, Observed, PodView};
use crate::identity::PodUid;
use crate::lease::{HolderState, LeaseRecord, Term, Versioned};
use crate::time::Instant;
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// How long a winner has to show that it is at work before another is looked for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a winner that is at work has to take the lease.
const WORKING_PATIENCE: Duration = Duration::from_secs(15);
/// How long a switchover may take to make the primary release.
const SWITCHOVER_PATIENCE: Duration = Duration::from_secs(60);
/// Lifting a fence changes the Cluster, which wakes us.
const FENCED: Duration = Duration::from_secs(30);
/// A lease that was not renewed for so long is said to wait for its holder: longer than any start of a pod in its place.
const LEFT_ALONE: Duration = Duration::from_secs(30);
/// A lease that is behind what its members have seen is put right by its holder sooner than that, if it has one; and a take
/// that the members heard of first is read by then.
const SET_BACK: Duration = Duration::from_secs(5);
/// How long an election waits for members that are just starting and may hold more WAL.
const GATHERING: Duration = Duration::from_secs(2);

/// What an election waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Waiting {
    /// The winner is on its way.
    Winner(String),
    /// `spec.failoverDelay` is not over.
    FailoverDelay,
    /// These are starting, and may hold WAL that nobody else has.
    Members(Vec<String>),
    /// The last primary recovers in place; it is the only instance.
    RecoversInPlace,
    /// The last primary is fenced by the user: nothing takes its place until that is lifted.
    Fence(String),
    /// Nobody who is left was named to take the lease over from this one (hole 13), which no longer renews it.
    Return(String),
    /// The lease is older than what this member has seen of it (L9): no member changes its role by it.
    WentBack {
        /// The member that has seen the latest.
        member: String,
        /// The term that it has seen.
        seen: Term,
        /// That of the lease.
        term: Term,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiting::Winner(winner) => write!(f, "{winner} to take the lease"),
            Waiting::FailoverDelay => f.write_str("spec.failoverDelay"),
            Waiting::Members(members) => write!(f, "{} to say what they hold", members.join(", ")),
            Waiting::Fence(primary) => write!(f, "the fence around {primary} to be lifted"),
            Waiting::Return(holder) => write!(
                f,
                "{holder} to come back: it does not renew its lease, and none of the others was named to take that over \
                 (\"Nobody may take the lease\" in the runbook)"
            ),
            Waiting::WentBack { member, seen, term } => write!(
                f,
                "a person: the lease is at term {term}, and {member} has seen term {seen} of it; it was restored or edited \
                 (\"A lease that went back\" in the runbook)"
            ),
            Waiting::RecoversInPlace => f.write_str("the only instance to recover in place"),
        }
    }
}

/// What to do about the primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Next {
    /// Nothing: somebody holds the lease, or nobody ever has.
    Nothing,
    /// Look again no later than this.
    Wait {
        /// When.
        until: Instant,
        /// For what.
        waiting: Waiting,
    },
    /// Ask the members, then [`super::elect`]. They are fenced first unless the primary hands over itself.
    Ask {
        /// Why.
        why: Why,
    },
    /// The election written last is void, and the holder goes on.
    Cancel {
        /// The holder.
        holder: String,
        /// Why it is void.
        reason: String,
    },
}

/// Whether an election is due, is under way, or has come to nothing.
#[must_use]
pub fn next(desired: &Desired, observed: &Observed, now: Instant) -> Next {
    let Some(lease) = observed.lease.as_ref().filter(|_| !observed.hibernates()) else { return Next::Nothing };
    if observed.status.restore.as_ref().is_some_and(|restore| restore.suspends_elections(&lease.value)) {
        return Next::Nothing;
    }
    if let Some(waiting) = went_back(observed, lease, now) {
        return waiting;
    }
    let Some(why) = why(observed) else {
        return left_alone(observed, lease, now).unwrap_or_else(|| while_held(observed, lease, now));
    };
    if let Some(fenced) = lease.value.holder.as_ref().filter(|holder| desired.is_fenced(&holder.name)) {
        return Next::Wait { until: now.plus(FENCED), waiting: Waiting::Fence(fenced.name.clone()) };
    }
    if let Some(waiting) = under_way(observed, lease, &why, now) {
        return waiting;
    }
    let since = observed.memory.unhealthy_since.unwrap_or(now);
    let delayed = since.plus(desired.failover_delay);
    if why.is_failure() && now < delayed {
        return Next::Wait { until: delayed, waiting: Waiting::FailoverDelay };
    }
    if desired.instances == 1 && observed.pods.len() == 1 && recovers_in_place(observed, &why) {
        return Next::Wait { until: now.plus(WORKING_PATIENCE), waiting: Waiting::RecoversInPlace };
    }
    let silent = silent_members(observed);
    let gathered = since.plus(GATHERING);
    if !silent.is_empty() && now < gathered && !tail_is_reached(observed, &lease.value) {
        return Next::Wait { until: gathered, waiting: Waiting::Members(silent) };
    }
    Next::Ask { why }
}

/// The pod that held the lease is alive and will open again by itself.
fn recovers_in_place(observed: &Observed, why: &Why) -> bool {
    matches!(why, Why::Recovering | Why::ProofOfDeath) && observed.holder_pod().is_some_and(PodView::is_alive)
}

/// An election of this term whose winner is at work. One made from a lease that has not been released is
/// void on any other version of it, since the winner must take exactly what was watched (hole 18).
fn under_way(observed: &Observed, lease: &Versioned<LeaseRecord>, why: &Why, now: Instant) -> Option<Next> {
    let election = observed.status.election.as_ref().filter(|e| e.term == lease.value.term)?;
    let winner = observed.pod_by_uid(&election.winner_pod_uid).filter(|pod| pod.is_alive())?;
    let bound = match why {
        Why::Released => true,
        Why::Recovering => election.tail.as_ref().map(|tail| tail.end) == lease.value.tail,
        Why::ProofOfDeath | Why::Stale => election.lease_version == lease.version && !is_switchover(election),
        Why::Switchover { .. } | Why::Drain { .. } => false,
    };
    let working = current(winner).is_some_and(|phase| matches!(phase, MemberPhase::Candidate | MemberPhase::Promoting));
    let start = observed.memory.lease_since.max(observed.memory.election_since);
    let until = start.plus(if working { WORKING_PATIENCE } else { PATIENCE });
    (bound && now < until).then(|| Next::Wait { until, waiting: Waiting::Winner(election.winner.clone()) })
}

/// Rule L9: the lease has been for a while what it was before something that a member has seen. Who holds it by its own
/// word may have been replaced long ago; and whoever replaced it has stopped, or would have put it right.
fn went_back(observed: &Observed, lease: &Versioned<LeaseRecord>, now: Instant) -> Option<Next> {
    let since = observed.memory.version_since?;
    let alive = observed.pods.iter().filter(|pod| pod.is_alive());
    let seen = alive.filter_map(|pod| Some((pod.report.as_ref()?.lease_seen.term, &pod.name)));
    let (seen, member) = seen.max_by_key(|(seen, _)| *seen).filter(|(seen, _)| *seen > lease.value.term)?;
    let waiting = Waiting::WentBack { member: member.clone(), seen, term: lease.value.term };
    (now.since(since) >= SET_BACK).then(|| Next::Wait { until: now.plus(FENCED), waiting })
}

/// The lease is not renewed, and no instance that is there may say so: new pods were not named in it yet. By itself only
/// its holder ends that, on its volume.
fn left_alone(observed: &Observed, lease: &Versioned<LeaseRecord>, now: Instant) -> Option<Next> {
    let holder = lease.value.held_by()?;
    let silent = observed.memory.version_since.is_some_and(|since| now.since(since) >= LEFT_ALONE);
    let is_there = |uid: &PodUid| observed.pod_by_uid(uid).is_some_and(PodView::is_alive);
    let left = silent && !lease.value.takers.iter().any(is_there);
    left.then(|| Next::Wait { until: now.plus(FENCED), waiting: Waiting::Return(holder.name.clone()) })
}

/// What to do while somebody holds the lease and is well: follow a request, or withdraw what is void.
fn while_held(observed: &Observed, lease: &Versioned<LeaseRecord>, now: Instant) -> Next {
    let (Some(holder), Some(target)) = (lease.value.held_by(), observed.status.target_primary.as_ref()) else {
        return Next::Nothing;
    };
    if lease.value.state != HolderState::Open {
        return Next::Nothing;
    }
    if &holder.name == target {
        return drain::why(observed, holder).map_or(Next::Nothing, |why| Next::Ask { why });
    }
    let ours = observed.status.election.as_ref().filter(|election| &election.winner == target);
    let Some(election) = ours else { return Next::Ask { why: Why::Switchover { target: target.clone() } } };
    let cancel = |reason: &str| Next::Cancel { holder: holder.name.clone(), reason: reason.to_owned() };
    if election.term < lease.value.term {
        return cancel("another instance has taken the lease since");
    }
    if !is_switchover(election) {
        return if election.lease_version == lease.version {
            Next::Wait { until: now.plus(PATIENCE), waiting: Waiting::Winner(target.clone()) }
        } else {
            cancel("the primary has renewed its lease: false alarm")
        };
    }
    let until = observed.memory.election_since.plus(SWITCHOVER_PATIENCE);
    let alive = observed.pod_by_uid(&election.winner_pod_uid).is_some_and(PodView::is_alive);
    match (alive, now < until) {
        (true, true) => Next::Wait { until, waiting: Waiting::Winner(target.clone()) },
        (false, _) => cancel("the chosen instance is gone"),
        (true, false) => cancel("the primary did not hand over in time"),
    }
}

/// The phase a member is in, unless the manager that said so is dead.
fn current(pod: &PodView) -> Option<MemberPhase> {
    pod.report.as_ref().filter(|report| !pod.dead_nonces.contains(&report.nonce)).map(|report| report.phase)
}

/// Members with data on their volume whose manager has yet to say what, and may do so while an election waits for it.
fn silent_members(observed: &Observed) -> Vec<String> {
    let has_data = |pod: &PodView| observed.volumes.iter().any(|v| v.serial == pod.serial && v.has_data);
    let soon = |pod: &PodView| pod.restarts_after.is_none_or(|wait| wait < GATHERING);
    let silent = |pod: &&PodView| {
        pod.is_alive() && has_data(pod) && soon(pod) && current(pod).is_none_or(|phase| phase == MemberPhase::Starting)
    };
    observed.pods.iter().filter(silent).map(|pod| pod.name.clone()).collect()
}

/// Somebody is known to have everything: waiting for others would bring nothing.
fn tail_is_reached(observed: &Observed, lease: &LeaseRecord) -> bool {
    lease.tail.is_some_and(|tail| {
        lease.state == HolderState::Recovering
            || observed.pods.iter().filter_map(|pod| pod.report.as_ref()).any(|report| {
                report.phase == MemberPhase::Standby && report.position.is_some_and(|position| position >= tail)
            })
    })
}
