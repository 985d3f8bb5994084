//! What an instance says about itself: to its pod's annotation, and to people.

use super::machine::Machine;
use super::phase::{Crashed, Phase, Standby};
use super::view::Volume;
use crate::cluster::MemberPhase;
use crate::identity::{Incarnation, SystemId};
use crate::lease::{HolderState, Term, WalPosition};
use crate::time::Instant;
use crate::timeline::Lineage;
use core::time::Duration;

/// What is reported when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What it is doing.
    pub phase: MemberPhase,
    /// Why, where that helps.
    pub message: String,
    /// Of its data directory.
    pub incarnation: Option<Incarnation>,
    /// Of its data directory.
    pub system_id: Option<SystemId>,
    /// Its data directory is of no use.
    pub damaged: bool,
    /// The lease as it sees it: version, the highest term that was seen, state, and whether it has lapsed.
    pub lease: Option<(String, Term, HolderState, bool)>,
    /// How long a holder may write that it knows of, itself included, is below this.
    pub lease_duration: Duration,
    /// Its position, as last read.
    pub position: Option<WalPosition>,
    /// The end of WAL that it offers.
    pub tail: Option<WalPosition>,
    /// The highest term that it has promised to follow nobody of.
    pub fence: Term,
    /// The history of the timeline that `position` is on.
    pub lineage: Option<Lineage>,
}

impl Machine {
    /// The report as of `now`. The lease's version is only given once it has lapsed: it changes with each renewal,
    /// and a report is only written when it changes.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        let data = match &self.volume {
            Some(Volume::Data(data)) => Some(data),
            _ => None,
        };
        let tail = match &self.phase {
            Phase::Offering(end) | Phase::Crashed(Crashed::Offered { end, .. } | Crashed::Releasing(_, end)) => {
                Some(*end)
            }
            _ => None,
        };
        let position = self.link.map(|link| link.position).or(data.map(|d| d.end));
        let fits = |lineage: &&Lineage| position.is_some_and(|at| at.timeline == lineage.timeline);
        Report {
            phase: self.member_phase(),
            message: match &self.phase {
                Phase::Waiting { why, .. } => why.clone(),
                _ if self.member_phase() == MemberPhase::Stuck => "the WAL of the last primary did not come".to_owned(),
                Phase::Standby(Standby::Running { leader: Some(leader), .. }) if self.cannot_follow() => {
                    format!("does not stream from {} although that is open", leader.name)
                }
                _ => self.went_back().unwrap_or_default(),
            },
            incarnation: data.map(|d| d.incarnation.clone()),
            system_id: data.map(|d| d.system_id),
            damaged: matches!(self.volume, Some(Volume::Damaged(_))),
            lease: self.lease_as_reported(now),
            lease_duration: self
                .lease
                .as_ref()
                .map_or(self.timings.lease_duration, |lease| lease.value.lapses_after(self.timings)),
            position,
            tail,
            fence: self.fence,
            lineage: self.lineage.as_ref().filter(fits).cloned(),
        }
    }

    /// The term is the highest that any manager of this volume has seen: a deleted lease is made anew above it (L8),
    /// and members that have forgotten the lease itself would refuse a lower one for good (L9).
    fn lease_as_reported(&self, now: Instant) -> Option<(String, Term, HolderState, bool)> {
        let Some(lease) = &self.lease else {
            let seen = self.max_term > Term::default();
            return seen.then(|| (String::new(), self.max_term, HolderState::default(), false));
        };
        let taker = lease.value.takers.contains(&self.me.holder.pod_uid);
        let lapsed = lease.value.held_by().is_some_and(|h| h.nonce != self.me.holder.nonce)
            && taker
            && self.has_lapsed(lease, now);
        let version = if lapsed || lease.value.held_by().is_none() { lease.version.clone() } else { String::new() };
        Some((version, lease.value.term.max(self.max_term), lease.value.state, lapsed))
    }

    fn member_phase(&self) -> MemberPhase {
        match &self.phase {
            Phase::Starting(_) => MemberPhase::Starting,
            Phase::Waiting { .. } => MemberPhase::Stuck,
            Phase::Initializing(_) => MemberPhase::Initializing,
            Phase::Joining(..) => MemberPhase::Joining,
            Phase::Rejoining(..) => MemberPhase::Rejoining,
            Phase::Standby(_) if self.declined.as_ref().is_some_and(|d| d.lacks_wal) => MemberPhase::Stuck,
            Phase::Standby(_) => MemberPhase::Standby,
            Phase::Candidate(_) => MemberPhase::Candidate,
            Phase::Promoting(_) => MemberPhase::Promoting,
            Phase::Primary => MemberPhase::Primary,
            Phase::Crashed(_) => MemberPhase::Recovering,
            Phase::Offering(_) => MemberPhase::Released,
            Phase::SteppingDown(_) | Phase::Stopping(_) | Phase::Killing(..) | Phase::Exited => MemberPhase::Stopping,
        }
    }
}
