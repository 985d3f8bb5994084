//! From nothing known to a role: reading the volume, making the first database, joining, rejoining, offering.

use super::bounds::RETRY_PAUSE;
use super::command::{Command, Op, StartAs};
use super::event::Outcome;
use super::machine::Machine;
use super::phase::{AfterKill, Crashed, Initializing, Phase};
use super::source::Sources;
use super::view::{Data, DataRole, Leader, Volume};
use crate::election::verify;
use crate::lease::{LeaseRecord, Purpose, WalPosition};
use crate::time::Instant;
use core::cmp::Ordering;

/// After so many failures in a row to start behind a leader, the directory goes through rejoin, then a clone.
const FAILURES_BEFORE_REJOIN: u32 = 2;
const FAILURES_BEFORE_CLONE: u32 = 4;
/// After so many clones in a row that failed, the leader itself is copied.
const CLONES_BEFORE_LEADER: u32 = 2;

/// What a fenced instance says.
const FENCED: &str = "fenced by annotation cnpg.io/fencedInstances: postgres stays down until it is lifted";

impl Machine {
    pub(super) fn starting(&mut self, op: Option<Op>, now: Instant) {
        if self.terminating && op.is_none() {
            return self.exit(0);
        }
        match (op, self.volume.clone()) {
            (Some(_), _) => {}
            (None, None) => {
                let op = self.op();
                self.out.push(Command::InspectVolume(op));
                self.phase = Phase::Starting(Some(op));
            }
            (None, Some(volume)) => self.decide(volume, now),
        }
    }

    pub(super) fn volume_read(&mut self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Inspected(volume) => {
                self.remember(&volume);
                self.volume = Some(volume);
                self.phase = Phase::Starting(None);
            }
            Outcome::Failed(why) => self.wait(why, Some(now.plus(RETRY_PAUSE))),
            _ => self.restart(),
        }
    }

    fn remember(&mut self, volume: &Volume) {
        let (fence, max_term) = match volume {
            Volume::Data(data) => {
                self.lineage.clone_from(&data.lineage);
                (data.fence, data.max_term)
            }
            Volume::Damaged(left) => (left.fence, left.max_term),
            Volume::Empty | Volume::Partial(_) => return,
        };
        self.fence = self.fence.max(fence);
        self.term_remembered(max_term);
    }

    fn decide(&mut self, volume: Volume, now: Instant) {
        let Some(cluster) = self.cluster.clone() else { return };
        if self.is_fenced() {
            return self.wait(FENCED, None);
        }
        match volume {
            Volume::Partial(_) => {
                let op = self.op();
                self.out.push(Command::DiscardPartial(op));
                self.phase = Phase::Starting(Some(op));
            }
            Volume::Empty => match (cluster.system_id, self.leader()) {
                (None, _) if cluster.initializer.as_deref().is_none_or(|name| name == self.me.name()) => {
                    let op = self.op();
                    self.out.push(Command::ClaimInitialization(op));
                    self.phase = Phase::Initializing(Initializing::Claiming(op));
                }
                (None, _) => self.wait("another instance initialises the database", None),
                (Some(_), Some(leader)) => self.join(leader),
                (Some(_), None) => self.wait("there is no open primary to clone from", None),
            },
            // Like an empty volume it has no incarnation, so that no record counts it. Nothing is initialised over it.
            Volume::Damaged(damage) => match (cluster.system_id, self.leader()) {
                (Some(_), Some(leader)) => self.join(leader),
                _ => self.wait(format!("{}: waiting for a primary to clone", damage.why), None),
            },
            Volume::Data(data) => self.decide_with_data(&data, &cluster, now),
        }
    }

    fn decide_with_data(&mut self, data: &Data, cluster: &super::view::ClusterView, now: Instant) {
        match cluster.system_id {
            Some(expected) if expected != data.system_id => self.wait(
                format!(
                    "the volume holds database system {} but the cluster is {expected}: refused; \
                     remove the volume to have it cloned anew",
                    data.system_id
                ),
                None,
            ),
            None if cluster.initializer.as_deref() == Some(self.me.name()) => {
                self.phase = Phase::Initializing(Initializing::Taking);
            }
            None => self.wait("the volume holds a database, but the cluster has none yet", None),
            Some(_) => match (self.leader(), data.role) {
                (Some(_), _) if self.replaces(data) && self.leaves_set_first(data, now) => {
                    self.wait("leaving the synchronous set of the primary before the data is replaced", None);
                }
                (Some(leader), _) if data.torn || self.failures >= FAILURES_BEFORE_CLONE => self.join(leader),
                (None, _) if data.torn => self.wait(
                    "it cannot go on by itself (a rewind was interrupted, or WAL was lost): waiting for a primary to clone",
                    None,
                ),
                (Some(leader), DataRole::Standby)
                    if data.end.timeline == leader.timeline && self.failures < FAILURES_BEFORE_REJOIN =>
                {
                    self.start_standby(Some(leader));
                }
                (Some(leader), _) => self.rejoin(leader),
                (None, DataRole::Standby) => self.start_standby(None),
                (None, DataRole::Primary) => match self.went_back() {
                    Some(why) => self.wait(why, None),
                    None => self.phase = Phase::Offering(data.end),
                },
            },
        }
    }

    /// What comes next may give the directory another incarnation.
    fn replaces(&self, data: &Data) -> bool {
        let follows = self.leader().is_some_and(|leader| leader.timeline == data.end.timeline);
        let failing = self.failures >= FAILURES_BEFORE_REJOIN;
        data.torn || data.role == DataRole::Primary || failing || !follows
    }

    pub(super) fn join(&mut self, leader: Leader) {
        let op = self.op();
        let others = self.failed_clones < CLONES_BEFORE_LEADER;
        let sources = if others { Sources::Any } else { Sources::LeaderAlone };
        self.out.push(Command::CloneFrom(op, leader.clone(), sources));
        self.phase = Phase::Joining(op, leader);
    }

    pub(super) fn rejoin(&mut self, leader: Leader) {
        let op = self.op();
        self.out.push(Command::Rejoin(op, leader.clone()));
        self.phase = Phase::Rejoining(op, leader);
    }

    pub(super) fn join_finished(&mut self, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::Failed(why) => {
                self.failed_clones = self.failed_clones.saturating_add(1);
                self.wait(why, Some(now.plus(RETRY_PAUSE)));
            }
            _ => {
                (self.failures, self.failed_clones) = (0, 0);
                self.restart();
            }
        }
    }

    pub(super) fn rejoin_finished(&mut self, leader: Leader, outcome: Outcome, now: Instant) {
        match outcome {
            Outcome::CloneDue(_) => self.join(leader),
            Outcome::Failed(why) => {
                self.failures = self.failures.saturating_add(1);
                self.wait(why, Some(now.plus(RETRY_PAUSE)));
            }
            // Read again: by its system and incarnation it is electable.
            Outcome::Done => {
                let op = self.op();
                self.out.push(Command::InspectVolume(op));
                self.phase = Phase::Rejoining(op, leader);
            }
            outcome => {
                let before = self.failures;
                self.restart();
                if let Outcome::Inspected(volume) = outcome {
                    if let Volume::Data(data) = &volume {
                        self.lineage.clone_from(&data.lineage);
                    }
                    self.volume = Some(volume);
                }
                // It is on the leader's history now: the next start is as a standby, not another rejoin.
                self.failures = if before >= FAILURES_BEFORE_REJOIN { FAILURES_BEFORE_CLONE } else { 0 };
                self.start_standby(Some(leader));
            }
        }
    }

    pub(super) fn waiting(&mut self, until: Option<Instant>, now: Instant) {
        if self.terminating {
            return self.exit(0);
        }
        // Without a time only a change of the world helps: then the reasons are gone through again.
        let over = until.is_none_or(|at| now >= at);
        if over {
            if until.is_some() {
                self.restart();
            } else {
                self.reconsider(now);
            }
        }
    }

    fn reconsider(&mut self, now: Instant) {
        if let Some(volume) = self.volume.clone() {
            self.decide(volume, now);
        } else {
            self.restart();
        }
    }

    pub(super) fn initializing(&mut self, step: Initializing, now: Instant) {
        if self.terminating {
            return self.lose();
        }
        match step {
            Initializing::Taking => self.initializing_take(now),
            Initializing::Opening
                if self.hold.as_ref().is_some_and(|h| h.lease.value.state == crate::lease::HolderState::Open) =>
            {
                self.become_primary();
            }
            _ => {}
        }
    }

    fn initializing_take(&mut self, now: Instant) {
        if self.hold.is_some() {
            let op = self.start_postgres(StartAs::Primary);
            self.phase = Phase::Initializing(Initializing::StartingPostgres(op));
            return;
        }
        let (Some(lease), Some(Volume::Data(data))) = (self.lease.clone(), self.volume.clone()) else { return };
        if self.io.is_some() || self.unresolved.is_some() {
            return;
        }
        // I2: an id that was reserved once is never opened as another history's.
        if data.end.timeline < lease.value.timeline {
            let (own, reserved) = (data.end.timeline, lease.value.timeline);
            return self
                .wait(format!("the new database is on timeline {own}, and {reserved} was reserved before"), None);
        }
        if self.may_take(&lease, now).is_ok() {
            self.take(&lease, Purpose::FirstDatabase(data.end.timeline));
        }
    }

    pub(super) fn initializing_finished(&mut self, step: Initializing, op: Op, outcome: Outcome, now: Instant) {
        let next = |machine: &mut Self| machine.op();
        match (step, outcome) {
            (Initializing::Claiming(o), Outcome::Done) if o == op => {
                let op = next(self);
                self.out.push(Command::InitializeDatabase(op));
                self.phase = Phase::Initializing(Initializing::CreatingDatabase(op));
            }
            (Initializing::CreatingDatabase(o), Outcome::Done) if o == op => self.restart(),
            (Initializing::StartingPostgres(o), Outcome::Done) if o == op => {
                let op = next(self);
                self.out.push(Command::BootstrapDatabase(op));
                self.phase = Phase::Initializing(Initializing::Bootstrapping(op));
            }
            (Initializing::Bootstrapping(o), Outcome::Done) if o == op => {
                let Some(Volume::Data(data)) = self.volume.clone() else { return self.lose() };
                let op = next(self);
                self.out.push(Command::PublishSystemId(op, data.system_id));
                self.phase = Phase::Initializing(Initializing::Publishing(op, data.system_id));
            }
            (Initializing::Publishing(o, _), Outcome::Done) if o == op => {
                self.phase = Phase::Initializing(Initializing::Opening);
            }
            (Initializing::Claiming(o) | Initializing::CreatingDatabase(o), Outcome::Failed(why)) if o == op => {
                self.wait(why, Some(now.plus(RETRY_PAUSE)));
            }
            (
                Initializing::StartingPostgres(o) | Initializing::Bootstrapping(o) | Initializing::Publishing(o, _),
                Outcome::Failed(why),
            ) if o == op => self.lose_and_pause(why, now),
            _ => {}
        }
    }

    /// Its directory is the last writer's: nothing that was acknowledged is missing on it (rule E2).
    pub(super) fn wrote_last(&self, lease: &LeaseRecord) -> bool {
        lease.records.last().is_none_or(|record| Some(&record.writer) == self.incarnation())
    }

    /// A primary's directory without the lease: never opened of its own accord, never thrown away.
    pub(super) fn offering(&mut self, end: WalPosition, now: Instant) {
        if self.hold.as_ref().is_some_and(|hold| hold.lease.value.timeline == end.timeline) {
            self.phase = Phase::Crashed(Crashed::Offered { since: now, end });
            return;
        }
        if self.io.is_some() || self.unresolved.is_some() || self.hold.is_some() {
            return;
        }
        if self.terminating {
            let free = self.lease.as_ref().is_some_and(|lease| lease.value.held_by().is_none());
            if !(free && self.lingers_until.is_some_and(|until| now < until)) {
                self.kill(AfterKill::Exit(0));
            }
            return;
        }
        if self.is_fenced() {
            return;
        }
        if let Some(leader) = self.leader() {
            return self.rejoin(leader);
        }
        let Some(lease) = self.lease.clone() else { return };
        let chosen = self.won().is_some();
        match end.timeline.cmp(&lease.value.timeline) {
            Ordering::Equal => {}
            // A later timeline was reserved: going on with this one would be a second history beside it. As a
            // standby it can be promoted, to a timeline of its own (I2).
            Ordering::Less if chosen => return self.start_standby(None),
            // Nobody reserved this one (L9).
            Ordering::Less | Ordering::Greater => return,
        }
        // Its own lease, from an earlier life of this volume: taken back in place, then handed over or reopened.
        self.chosen_in_place = chosen;
        let named = self.won().is_some_and(|election| election.lease_version == lease.version);
        let own = named
            || lease.value.held_by().is_none() && chosen
            || lease.value.held_by().is_some_and(|holder| holder.name == self.me.holder.name);
        let doubted = !self.wrote_last(&lease.value)
            && self
                .won()
                .is_none_or(|won| verify(&won, &lease.version, &lease.value, self.incarnation(), end).is_err());
        if own && !doubted && self.may_take(&lease, now).is_ok() {
            self.take(&lease, Purpose::InPlace { tail: Some(end) });
        }
    }
}
