//! An independent look at a plan: written from the invariants, sharing no code with the planner. A plan that
//! could break one is not applied at all.

use super::{Plan, Step, check_election, check_pairs, check_restart, check_restore};
use crate::cluster::{CertificateFact, ClaimPhase, MemberPhase, Observed, Role, SecretKind, VolumeView};
use crate::lease::{HolderState, LeaseRecord, Term};
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a plan would break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Violation {
    /// More than one pod would be labelled primary (I1).
    TwoPrimaries(Vec<String>),
    /// The election was made from another lease than the one observed (I10).
    UnboundElection,
    /// The holder is open, and nothing says that it is dead, stale, or asked to hand over (I1).
    ElectionOverLivingHolder(String),
    /// The winner is not a pod that is there and stays (I11).
    WinnerIsGone(String),
    /// The answers that the election names are not all there, or not behind a fence of its term (rule E3).
    AnswersMissing(String),
    /// The answers do not satisfy a record of the lease: an acknowledged commit could be missing (I3, rule E4).
    MayLoseCommits {
        /// The record's term.
        term: Term,
    },
    /// Another data directory is there than the one that was elected (I11).
    OtherData(String),
    /// The winner's WAL is not on the history that was opened to clients (I2), or not what the election says.
    WrongHistory(String),
    /// It leaves rule E4 out, and no person accepted the loss of just this instance over just this lease.
    NotDemanded(String),
    /// The primary's volume, or the last one with data, would be deleted (I7).
    DeletesData(String),
    /// The open primary would be deleted with nobody ready to follow.
    DeletesOnlyPrimary(String),
    /// There was a database, and an empty one would be made in its place.
    SecondDatabase(u32),
    /// A second instance would be made before the first has initialised the database.
    TooEarly(u32),
    /// An instance would be restarted while another one is down, or two at once.
    TwoDown(String),
    /// An instance would be restarted while it is open who is primary.
    RestartsDuringElection(String),
    /// An instance would be restarted without whom too few acknowledge commits, while another could do so soon (I4).
    LastSyncStandby(String),
    /// An authority would sign that not everybody has had the time to hear of.
    AuthorityTooSoon,
    /// A lease would be made anew that somebody who did not answer may know better (rule L8).
    LeaseFromHearsay,
    /// A restart in place would be asked of somebody who is not the open primary.
    RestartsAnother(String),
    /// One volume of an instance would go another way than the other: its data or its WAL alone is no database.
    HalfAPair(String),
    /// A restore would do what it may not yet, or not any more.
    RestoreOutOfOrder(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::TwoPrimaries(pods) => write!(f, "{} would be labelled primary", pods.join(" and ")),
            Violation::UnboundElection => f.write_str("the election names another lease than the one that was read"),
            Violation::ElectionOverLivingHolder(holder) => write!(f, "{holder} holds the lease and is open"),
            Violation::WinnerIsGone(winner) => write!(f, "{winner} was elected but is not there to stay"),
            Violation::AnswersMissing(who) => {
                write!(f, "the election counts on {who}, which has not answered behind its fence")
            }
            Violation::MayLoseCommits { term } => {
                write!(f, "commits of term {term} may be missing on all who answered")
            }
            Violation::OtherData(winner) => write!(f, "{winner} has another data directory than the one elected"),
            Violation::WrongHistory(winner) => {
                write!(f, "{winner} does not have the opened history up to the evidence")
            }
            Violation::NotDemanded(winner) => write!(f, "nobody accepted what forcing {winner} would lose"),
            Violation::DeletesData(volume) => write!(f, "volume {volume} holds data that nobody else has"),
            Violation::DeletesOnlyPrimary(pod) => write!(f, "{pod} is the primary and nobody could follow it"),
            Violation::SecondDatabase(serial) => write!(f, "instance {serial} would start an initialised cluster anew"),
            Violation::AuthorityTooSoon => f.write_str("an authority would sign that nobody has heard of yet"),
            Violation::LeaseFromHearsay => {
                f.write_str("the lease would be made anew from less than all instances know")
            }
            Violation::TwoDown(pod) => write!(f, "{pod} would be restarted while another instance is down"),
            Violation::RestartsDuringElection(pod) => write!(f, "{pod} would be restarted during an election"),
            Violation::LastSyncStandby(pod) => write!(f, "commits wait for {pod}, and another could take its place"),
            Violation::RestartsAnother(pod) => write!(f, "{pod} is not the open primary"),
            Violation::HalfAPair(volume) => write!(f, "volume {volume} would be parted from the other of its instance"),
            Violation::RestoreOutOfOrder(what) => f.write_str(what),
            Violation::TooEarly(serial) => write!(f, "instance {serial} comes before the database is initialised"),
        }
    }
}

/// Everything that `plan` would break. Empty: it may be applied.
#[must_use]
pub fn check(observed: &Observed, plan: &Plan) -> Vec<Violation> {
    let mut found: Vec<Violation> = two_primaries(observed, plan).into_iter().collect();
    for step in &plan.steps {
        found.extend(check_restore::step(observed, step));
        match step {
            Step::WriteElection(election) => found.extend(check_election::written(observed, election)),
            Step::DeleteVolume { name } => found.extend(deletes_data(observed, name)),
            Step::Rebuild { name, volumes, .. } => {
                found.extend(volumes.iter().filter_map(|volume| deletes_data(observed, &volume.name)));
                found.extend(check_restart::rebuild(observed, plan, name, volumes));
            }
            Step::CreatePod { serial } => found.extend(check_pairs::pod(observed, *serial)),
            Step::KeepVolume { .. } | Step::ReviveVolume { .. } => {
                found.extend(check_pairs::moves(observed, plan, step));
            }
            Step::DeletePod { name, uid } => {
                let holds = observed.holder().is_some_and(|holder| &holder.pod_uid == uid);
                let open = observed.lease.as_ref().is_some_and(|lease| lease.value.state == HolderState::Open);
                let living = observed.pods.iter().any(|pod| &pod.uid == uid && pod.is_alive());
                let heir = observed.pods.iter().any(|pod| &pod.uid != uid && pod.ready && !pod.deleting);
                let asked = check_restore::is_asked_to_stop(observed) || observed.hibernates();
                found.extend(
                    (holds && open && living && !heir && !asked).then(|| Violation::DeletesOnlyPrimary(name.clone())),
                );
            }
            Step::RecreateLease(record) if hearsay(observed, record) => found.push(Violation::LeaseFromHearsay),
            Step::CreateLease if observed.status.system_id.is_some() => found.push(Violation::LeaseFromHearsay),
            Step::SwitchAuthority if too_soon(observed) => found.push(Violation::AuthorityTooSoon),
            Step::ReplacePod { name, uid } => found.extend(check_restart::replace(observed, plan, name, uid)),
            Step::RestartInPlace { instance, nonce } => {
                found.extend(check_restart::in_place(observed, plan, instance, nonce));
            }
            Step::CreateVolume { serial } => {
                let data = observed.volumes.iter().any(|volume| volume.has_data)
                    || observed.holder_pod().is_some_and(|pod| pod.ready);
                let initialised = observed.status.system_id.is_some();
                found.extend((initialised && !data).then_some(Violation::SecondDatabase(*serial)));
                let others = observed.volumes.iter().any(|volume| volume.serial != *serial);
                let first = check_restore::first(observed).unwrap_or(1);
                found.extend((!initialised && (others || *serial != first)).then_some(Violation::TooEarly(*serial)));
            }
            _ => {}
        }
    }
    found
}

fn two_primaries(observed: &Observed, plan: &Plan) -> Option<Violation> {
    let mut primaries: BTreeSet<&str> =
        observed.pods.iter().filter(|pod| pod.role == Some(Role::Primary)).map(|pod| pod.name.as_str()).collect();
    let before = primaries.len();
    for step in &plan.steps {
        if let Step::SetRole { pod, role, .. } = step {
            if *role == Role::Primary {
                primaries.insert(pod);
            } else {
                primaries.remove(pod.as_str());
            }
            if primaries.len() > 1.max(before.saturating_sub(1)) && *role == Role::Primary {
                return Some(Violation::TwoPrimaries(primaries.into_iter().map(str::to_owned).collect()));
            }
        }
    }
    None
}

/// Ten minutes are many times what any manager takes to read it; one that has ended already is believed by nobody.
fn too_soon(observed: &Observed) -> bool {
    let known = |fact: &CertificateFact| {
        let old = fact.next_since.is_some_and(|since| observed.wall.saturating_sub(since) >= 600);
        fact.next_since.is_some() && (old || fact.expires <= observed.wall)
    };
    !observed.certificates.iter().any(|fact| fact.kind == SecretKind::Ca && known(fact))
}

/// Rule L8: nobody is missing, nothing that anybody has seen is used again, and the last primary holds it, so that all
/// others wait, and for as long as anybody might write.
fn hearsay(observed: &Observed, record: &LeaseRecord) -> bool {
    let fresh: Vec<_> =
        observed.pods.iter().filter_map(|pod| pod.report.as_ref()).filter(|report| report.fresh).collect();
    let all = observed.volumes.iter().all(|volume| {
        let pod = observed.pods.iter().find(|pod| pod.serial == volume.serial);
        pod.and_then(|pod| pod.report.as_ref()).is_some_and(|report| report.fresh)
    });
    let above = fresh.iter().all(|report| {
        let timeline = report.reach().map(|reach| reach.timeline).unwrap_or_default();
        record.term > report.lease_seen.term && record.term > report.fence && record.timeline > timeline
    });
    let long = fresh.iter().all(|report| record.lease_duration >= report.lease_seen.lease_duration);
    let held = record.held_by().map(|holder| holder.name.clone());
    let open = observed.pods.iter().filter(|pod| Some(&pod.name) != held.as_ref()).any(|pod| {
        let phase = pod.report.as_ref().map(|report| report.phase);
        matches!(phase, Some(MemberPhase::Primary | MemberPhase::Promoting | MemberPhase::Stopping))
    });
    observed.lease.is_some()
        || open
        || !all
        || !above
        || !long
        || held.is_none()
        || held != observed.status.current_primary
}

fn deletes_data(observed: &Observed, name: &str) -> Option<Violation> {
    if let Some(wal) = observed.wal_volumes.iter().find(|volume| volume.name == name) {
        return check_pairs::deletes_wal(observed, wal, |data| deletes_data(observed, data));
    }
    let primary = observed.holder().is_some_and(|holder| holder.name == name)
        || observed.status.current_primary.as_deref() == Some(name);
    let volume = observed.volumes.iter().find(|volume| volume.name == name)?;
    // What is lost, or on its way out, is no copy.
    let stays = |other: &VolumeView| other.has_data && !other.deleting && other.phase != Some(ClaimPhase::Lost);
    let only = volume.has_data && !observed.volumes.iter().any(|other| other.name != name && stays(other));
    (primary || only).then(|| Violation::DeletesData(name.to_owned()))
}
