//! The checker's look at elections: rules E3-E5 and the invariants I1-I3, I10 and I11, written anew from their text.

use super::Violation;
use crate::cluster::{ElectionFact, Observed, PodView, Report};
use crate::identity::Incarnation;
use crate::lease::{ElectableRecord, Holder, HolderState, LeaseRecord, Term, Versioned, WalPosition};
use crate::timeline::{Lineage, TimelineId};

/// What writing this election would break.
pub(super) fn written(observed: &Observed, election: &ElectionFact) -> Vec<Violation> {
    let Some(lease) = observed.lease.as_ref() else { return vec![Violation::UnboundElection] };
    if lease.version != election.lease_version || lease.value.term != election.term {
        return vec![Violation::UnboundElection];
    }
    let winner = observed.pods.iter().find(|pod| pod.uid == election.winner_pod_uid && !pod.deleting);
    let Some(winner) = winner else { return vec![Violation::WinnerIsGone(election.winner.clone())] };
    let mut found = Vec::new();
    let handover = hands_over(observed, lease, election, winner);
    found.extend(over_living_holder(observed, lease, handover));
    if let Some(report) = &winner.report {
        found.extend(wrong_data(observed, &lease.value, election, report));
        found.extend(wrong_history(&lease.value, election, report));
    }
    // Of a handover, what the old primary acknowledges until it stops is in the WAL that the winner must have.
    if !handover {
        found.extend(unanswered(observed, &lease.value, election));
        found.extend(loses_commits(observed, lease, election));
    }
    found
}

/// The primary is open and was asked to make room, by a person or by its node.
fn hands_over(observed: &Observed, lease: &Versioned<LeaseRecord>, election: &ElectionFact, winner: &PodView) -> bool {
    let holder = lease.value.holder.as_ref();
    if lease.value.state != HolderState::Open || is_dead(observed, holder) || lapsed(observed, lease) {
        return false;
    }
    let person = observed.status.target_primary.as_ref() == Some(&election.winner);
    let pod = holder.and_then(|holder| observed.pods.iter().find(|pod| pod.uid == holder.pod_uid));
    let drained = pod.is_some_and(|holder| {
        holder.leaving.is_some() && winner.leaving.is_none() && winner.node != holder.node && winner.ready
    });
    person || drained
}

/// Somebody else watched this very version of the lease for its whole duration.
fn lapsed(observed: &Observed, lease: &Versioned<LeaseRecord>) -> bool {
    let holder = lease.value.holder.as_ref().map(|holder| &holder.nonce);
    observed.pods.iter().filter_map(|pod| pod.report.as_ref()).any(|report| {
        report.lease_seen.stale && report.lease_seen.version == lease.version && Some(&report.nonce) != holder
    })
}

fn is_dead(observed: &Observed, holder: Option<&Holder>) -> bool {
    holder.is_some_and(|holder| observed.pods.iter().any(|pod| pod.dead_nonces.contains(&holder.nonce)))
}

/// I1: whoever is open, or about to be, is proven dead, has let the lease lapse, or hands over.
fn over_living_holder(observed: &Observed, lease: &Versioned<LeaseRecord>, handover: bool) -> Option<Violation> {
    let (HolderState::Open | HolderState::Promoting, Some(holder)) = (lease.value.state, &lease.value.holder) else {
        return None;
    };
    let over = is_dead(observed, Some(holder)) || lapsed(observed, lease);
    (!over && !handover).then(|| Violation::ElectionOverLivingHolder(holder.name.clone()))
}

/// I11: the directory that was elected is the one that is there, and it is of this database.
fn wrong_data(observed: &Observed, lease: &LeaseRecord, election: &ElectionFact, report: &Report) -> Option<Violation> {
    let named = election.winner_incarnation.is_some() || lease.records.is_empty();
    let same = election.winner_incarnation.as_ref().is_none_or(|own| report.incarnation.as_ref() == Some(own));
    let system = observed.status.system_id.is_none_or(|expected| report.system_id.is_none_or(|own| own == expected));
    (!named || !same || !system).then(|| Violation::OtherData(election.winner.clone()))
}

/// I2: what the winner is said to have, it said it had; and it lies on the timelines that were opened to clients.
fn wrong_history(lease: &LeaseRecord, election: &ElectionFact, report: &Report) -> Option<Violation> {
    let at = election.evidence;
    let has = [report.position, report.tail]
        .into_iter()
        .flatten()
        .any(|end| end.lsn >= at.lsn && end.timeline >= at.timeline);
    let told = has || at == WalPosition::default();
    let reserved = at.timeline <= lease.timeline;
    let opened = lease.lineage.as_ref().is_none_or(|opened| {
        let inside = match left_at(opened, at.timeline) {
            Left::Never => at.timeline >= opened.timeline,
            Left::At(left) => at.lsn.0 <= left,
            Left::Unknown => false,
        };
        // Two timelines of one id that began at different places are two histories.
        let shared = at.timeline.min(opened.timeline);
        let agrees = report.lineage.as_ref().is_none_or(|own| {
            let knows = own.timeline == shared || own.ancestors.iter().any(|left| left.timeline == shared);
            let past = own.timeline >= at.timeline;
            !past || (knows && begins_at(own, shared) == begins_at(opened, shared))
        });
        inside && agrees
    });
    (!told || !reserved || !opened).then(|| Violation::WrongHistory(election.winner.clone()))
}

/// Where a history left a timeline.
enum Left {
    /// It is its last, or a later one.
    Never,
    /// There.
    At(u64),
    /// It was never on it.
    Unknown,
}

fn left_at(history: &Lineage, timeline: TimelineId) -> Left {
    match history.ancestors.iter().find(|left| left.timeline == timeline) {
        Some(left) => Left::At(left.lsn.0),
        None if timeline >= history.timeline => Left::Never,
        None => Left::Unknown,
    }
}

/// Where the timeline before it was left.
fn begins_at(history: &Lineage, timeline: TimelineId) -> Option<WalPosition> {
    history.ancestors.iter().filter(|left| left.timeline < timeline).max_by_key(|left| left.timeline).copied()
}

/// E3: whoever is counted among those who answered did so now, behind a fence of this term, and has no more than the
/// winner will; but for the last writer, whose whole WAL the winner fetches.
fn unanswered(observed: &Observed, lease: &LeaseRecord, election: &ElectionFact) -> Option<Violation> {
    let reached = election.tail.as_ref().map_or(election.evidence, |tail| tail.end.max(election.evidence));
    let counts = |incarnation: &Incarnation| {
        observed.pods.iter().filter(|pod| owns(pod, incarnation)).any(|pod| {
            let source = election.tail.as_ref().is_some_and(|tail| tail.pod_uid == pod.uid);
            let writer = lease.holder.as_ref().is_some_and(|holder| holder.pod_uid == pod.uid);
            let behind = pod.report.as_ref().is_some_and(|report| {
                let more = report.position.max(report.tail).is_none_or(|end| end > reached);
                report.fresh && report.fence >= lease.term && !more
            });
            (source && writer) || behind
        })
    };
    let missing = election.answered.iter().find(|incarnation| !counts(incarnation))?;
    let name = observed.pods.iter().find(|pod| owns(pod, missing)).map(|pod| pod.name.clone());
    Some(Violation::AnswersMissing(name.unwrap_or_else(|| missing.to_string())))
}

fn owns(pod: &PodView, incarnation: &Incarnation) -> bool {
    pod.report.as_ref().is_some_and(|report| report.incarnation.as_ref() == Some(incarnation))
}

/// E4 and I3: of each record its writer answered, or so many of its voters that every set of those who acknowledged
/// has one among them. Or a person gave up just what is lost.
fn loses_commits(observed: &Observed, lease: &Versioned<LeaseRecord>, election: &ElectionFact) -> Option<Violation> {
    if let Some(accepted) = election.accepted_loss {
        return (!demanded(observed, lease, election, accepted))
            .then(|| Violation::NotDemanded(election.winner.clone()));
    }
    let (before, begins) = settled(&lease.value);
    let escapes = |record: &&ElectableRecord| {
        if record.term < before && election.evidence.lsn.0 >= begins {
            return false;
        }
        let mut silent = record.voters.clone();
        silent.sort();
        silent.dedup();
        silent.retain(|voter| !election.answered.contains(voter));
        // A commit may be acknowledged by those alone who have not answered.
        let enough = u64::try_from(silent.len()).unwrap_or(u64::MAX) >= u64::from(record.needed);
        !election.answered.contains(&record.writer) && enough
    };
    lease.value.records.iter().find(escapes).map(|record| Violation::MayLoseCommits { term: record.term })
}

/// Terms below the first number left nothing that was acknowledged at or past the second, an LSN: the timeline that is
/// written now, and was opened, was reserved in the first and begins at the second. Zero if that is not so.
fn settled(lease: &LeaseRecord) -> (Term, u64) {
    let opened = lease.lineage.as_ref().filter(|opened| opened.timeline == lease.timeline);
    let begins = opened.and_then(|opened| begins_at(opened, opened.timeline));
    begins.map_or((Term(0), 0), |parent| (lease.timeline_term, parent.lsn.0))
}

/// The annotation is about this pod and this lease, its holder is gone by L2, and its number is what is known to be
/// lost now.
fn demanded(observed: &Observed, lease: &Versioned<LeaseRecord>, election: &ElectionFact, accepted: u64) -> bool {
    let over = match lease.value.state {
        HolderState::Released => true,
        HolderState::Recovering | HolderState::Open | HolderState::Promoting => {
            is_dead(observed, lease.value.holder.as_ref()) || lapsed(observed, lease)
        }
    };
    let reached = election.tail.as_ref().map_or(election.evidence, |tail| tail.end.max(election.evidence));
    let gap = lease.value.tail.map_or(0, |end| end.lsn.0.saturating_sub(reached.lsn.0));
    let asked = observed.force.as_ref().is_some_and(|force| {
        force.pod_uid == election.winner_pod_uid
            && force.lease_version == lease.version
            && force.term == lease.value.term
            && force.accepted_loss == accepted
    });
    over && asked && accepted >= gap
}
