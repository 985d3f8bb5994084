//! The machine: facts in, commands out.

use super::command::{ArchiveMode, Command, Op, StartAs};
use super::doubt::Unresolved;
use super::event::{Event, Link, Outcome};
use super::failsafe::Failsafe;
use super::keeping::{LeaseIo, Proof};
use super::phase::{AfterKill, Crashed, Initializing, Phase, Promoting, Standby, StepDown, SteppingDown};
use super::replicating::Replication;
use super::view::{ClusterView, Leader, Me, Peer, Volume};
use crate::cluster::{ElectionFact, RestartFact, TailFact, is_fenced};
use crate::election::is_current;
use crate::identity::{AttemptId, Nonce};
use crate::lease::{Hold, HolderState, LeaseRecord, Observation, Term, Timings, Versioned, WalPosition};
use crate::sync::own_entry;
use crate::time::Instant;
use crate::timeline::Lineage;

/// A chain of transitions within one event is never longer than this.
const MAX_STEPS: usize = 8;

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    pub(super) me: Me,
    pub(super) now: Instant,
    pub(super) timings: Timings,
    pub(super) phase: Phase,
    pub(super) cluster: Option<ClusterView>,
    pub(super) lease: Option<Versioned<LeaseRecord>>,
    pub(super) observation: Observation,
    pub(super) peers: Vec<Peer>,
    pub(super) dead: Vec<Nonce>,
    pub(super) volume: Option<Volume>,
    pub(super) fence: Term,
    /// The highest term that was seen by this process, or by an earlier one on this volume.
    pub(super) max_term: Term,
    /// The lease as it is, while its term is below one that was seen (L9).
    pub(super) regressed: Option<LeaseRecord>,
    /// The lease that this instance holds is not there any more (L8).
    pub(super) missing: bool,
    pub(super) hold: Option<Hold>,
    pub(super) io: Option<LeaseIo>,
    pub(super) unresolved: Option<Unresolved>,
    /// Renewals since the last confirmed one that had no answer: each may be stored.
    pub(super) unanswered: Vec<LeaseRecord>,
    pub(super) replication: Replication,
    pub(super) failsafe: Failsafe,
    pub(super) proof: Proof,
    pub(super) terminating: bool,
    pub(super) declined: Option<Declined>,
    /// Told to stop, but it offers its WAL until then, or until somebody has taken the lease.
    pub(super) lingers_until: Option<Instant>,
    pub(super) link: Option<Link>,
    /// The history of the last timeline that this directory was seen on.
    pub(super) lineage: Option<Lineage>,
    pub(super) failures: u32,
    pub(super) failed_clones: u32,
    pub(super) chosen_in_place: bool,
    /// The last restart that was asked for and begun.
    pub(super) restarted: Option<RestartFact>,
    /// The postmaster that is being started has ended already.
    pub(super) start_is_void: bool,
    /// A SIGKILL to everything spares nobody but PID 1: the watchdog went with the rest.
    pub(super) watchdog_is_gone: bool,
    pub(super) out: Vec<Command>,
    applied: Applied,
    ops: u64,
}

/// An election that is not run for again before `until`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Declined {
    pub election: ElectionFact,
    pub until: Instant,
    /// The WAL that it names did not come: somebody else should be elected.
    pub lacks_wal: bool,
}

/// What the shell was last told; settled again after each event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Applied {
    archive: Option<ArchiveMode>,
    tail: Option<TailFact>,
    offered: Option<WalPosition>,
    armed: Option<Instant>,
    configuration: Option<String>,
    gated: bool,
    remembered: Term,
}

impl Machine {
    /// A manager that has just started, and knows nothing.
    #[must_use]
    pub fn new(me: Me, timings: Timings) -> Self {
        Self {
            me,
            now: Instant::default(),
            timings,
            phase: Phase::Starting(None),
            cluster: None,
            lease: None,
            observation: Observation::default(),
            peers: Vec::new(),
            dead: Vec::new(),
            volume: None,
            fence: Term::default(),
            max_term: Term::default(),
            regressed: None,
            missing: false,
            hold: None,
            io: None,
            unresolved: None,
            unanswered: Vec::new(),
            replication: Replication::default(),
            failsafe: Failsafe::default(),
            proof: Proof::default(),
            terminating: false,
            declined: None,
            lingers_until: None,
            link: None,
            lineage: None,
            failures: 0,
            failed_clones: 0,
            chosen_in_place: false,
            restarted: None,
            start_is_void: false,
            watchdog_is_gone: false,
            out: Vec::new(),
            applied: Applied::default(),
            ops: 0,
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The right to write that it has, if any.
    #[must_use]
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_ref()
    }

    /// The lease as it was last seen.
    #[must_use]
    pub fn lease(&self) -> Option<&Versioned<LeaseRecord>> {
        self.lease.as_ref()
    }

    /// Fingerprint of the configuration that the Cluster asks for, once it was seen.
    #[must_use]
    pub fn configuration(&self) -> Option<&str> {
        self.cluster.as_ref().map(|cluster| cluster.configuration.as_str())
    }

    /// Takes one event in and says what to do.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Command> {
        self.now = now;
        self.note(event, now);
        self.resolve_take(now);
        self.declined.take_if(|declined| now >= declined.until);
        self.fence_if_overdue(now);
        for _ in 0..MAX_STEPS {
            let before = self.phase.clone();
            self.advance(now);
            if self.phase == before {
                break;
            }
        }
        self.keep_lease(now);
        self.keep_synchronous(now);
        self.keep_failsafe(now);
        self.settle();
        core::mem::take(&mut self.out)
    }

    fn note(&mut self, event: Event, now: Instant) {
        match event {
            Event::Ticked => {}
            Event::ClusterSeen(cluster) => self.cluster = Some(cluster),
            Event::LeaseSeen(lease) => self.lease_seen(lease, now),
            Event::LeaseMissing => self.lease_missing(),
            Event::FoundWriting => self.found_writing(),
            Event::PeersSeen(peers) => self.peers = peers,
            Event::DeathsSeen(nonces) => {
                for nonce in nonces.into_iter().filter(|n| *n != self.me.holder.nonce) {
                    if !self.dead.contains(&nonce) {
                        self.dead.push(nonce);
                    }
                }
            }
            Event::PostgresExited(why) => self.postgres_exited(why, now),
            Event::LinkSampled(link) => self.link = Some(link),
            Event::LineageRead(lineage) => self.lineage = Some(lineage),
            Event::TerminationRequested => self.terminating = true,
            Event::FenceRequested(op, call) => self.fence_requested(op, call.term, now),
            Event::TailConfirmed(op, call) => self.tail_confirmed(op, &call),
            Event::StandbysSampled(names) => self.standbys_sampled(&names),
            Event::PledgeAsked(op, call) => self.pledge_asked(op, &call, now),
            Event::Finished(op, outcome) => self.finished(op, outcome, now),
        }
    }

    fn finished(&mut self, op: Op, outcome: Outcome, now: Instant) {
        let outcome = self.as_started(op, outcome);
        self.watchdog_is_gone |= self.is_kill(op);
        if self.io.as_ref().is_some_and(|io| io.op == op) {
            return self.lease_answered(outcome, now);
        }
        if self.proof.op == Some(op) {
            return self.proof_answered(&outcome, now);
        }
        if self.failsafe.is_round(op) {
            return self.pledges_in(outcome, now);
        }
        if self.is_synchronous_step(op) {
            return self.synchronous_finished(&outcome, now);
        }
        match self.phase.clone() {
            Phase::Starting(Some(o)) if o == op => self.volume_read(outcome, now),
            Phase::Initializing(step) => self.initializing_finished(step, op, outcome, now),
            Phase::Joining(o, _) if o == op => self.join_finished(outcome, now),
            Phase::Rejoining(o, leader) if o == op => self.rejoin_finished(leader, outcome, now),
            Phase::Standby(step) => self.standby_finished(step, op, outcome, now),
            Phase::Candidate(candidate) => self.candidate_finished(candidate, op, outcome, now),
            Phase::Promoting(Promoting::Asked(o)) if o == op => self.promotion_finished(outcome),
            Phase::Crashed(step) => self.crashed_finished(step, op, outcome, now),
            Phase::SteppingDown(step) => self.step_down_finished(step, op, outcome, now),
            Phase::Stopping(o) if o == op => self.kill(AfterKill::Exit(0)),
            Phase::Killing(o, then) if o == op => self.killed(then, outcome),
            _ => {}
        }
    }

    fn killed(&mut self, then: AfterKill, outcome: Outcome) {
        match (outcome, then) {
            (Outcome::Failed(_) | Outcome::Unknown { .. }, then) => self.kill(then),
            (_, AfterKill::Restart) => self.restart(),
            (_, AfterKill::Pause(until, why)) => {
                self.wait(format!("postgres is started again soon; it failed: {why}"), Some(until));
            }
            (_, AfterKill::Exit(code)) => self.exit(code),
        }
    }

    fn advance(&mut self, now: Instant) {
        match self.phase.clone() {
            Phase::Starting(op) => self.starting(op, now),
            Phase::Waiting { until, .. } => self.waiting(until, now),
            Phase::Initializing(step) => self.initializing(step, now),
            Phase::Joining(..) | Phase::Rejoining(..) if self.terminating => self.kill(AfterKill::Exit(0)),
            Phase::Standby(step) => self.standby(step, now),
            Phase::Candidate(candidate) => self.candidate(candidate, now),
            Phase::Promoting(Promoting::Asked(_)) if self.terminating => self.lose(),
            Phase::Promoting(step) => self.promoting(step),
            Phase::Primary => self.primary(),
            Phase::Crashed(step) => self.crashed(step, now),
            Phase::Offering(end) => self.offering(end, now),
            Phase::SteppingDown(step) => self.stepping_down(step),
            Phase::Joining(..) | Phase::Rejoining(..) | Phase::Stopping(_) | Phase::Killing(..) | Phase::Exited => {}
        }
    }

    /// Outputs that follow from the state alone: told again only when they change.
    fn settle(&mut self) {
        let before = self.applied.clone();
        let wanted = Applied {
            archive: Some(self.archive_mode()),
            tail: self.tail_to_use(),
            offered: self.tail_to_offer(),
            armed: self.armed_until(before.armed),
            configuration: self.running_configuration().or_else(|| before.configuration.clone()),
            gated: self.gated(before.gated),
            remembered: self.max_term,
        };
        if wanted.archive != before.archive {
            self.out.extend(wanted.archive.map(Command::Archive));
        }
        if wanted.tail != before.tail {
            self.out.push(Command::UseTail(wanted.tail.clone()));
        }
        if wanted.offered != before.offered {
            self.out.push(Command::OfferTail(wanted.offered));
        }
        if wanted.configuration != before.configuration && before.configuration.is_some() {
            self.out.push(Command::ApplyConfiguration);
        }
        // Before postgres is started or promoted.
        if wanted.gated != before.gated {
            self.out.insert(0, Command::GateClients(wanted.gated));
        }
        // Before a promotion of that term: it is on disk by the time that this one opens.
        if wanted.remembered > before.remembered {
            self.out.insert(0, Command::RememberTerm(wanted.remembered));
        }
        // First of all: the watchdog is armed before postgres is started or promoted (hole 20).
        if wanted.armed != before.armed || (self.watchdog_is_gone && wanted.armed.is_some()) {
            self.watchdog_is_gone = false;
            self.out.insert(0, wanted.armed.map_or(Command::DisarmWatchdog, Command::ArmWatchdog));
        }
        self.applied = wanted;
    }

    fn archive_mode(&self) -> ArchiveMode {
        match &self.phase {
            // From before the promotion on: an archiver that is refused comes back only after a minute.
            Phase::Promoting(Promoting::Asked(_)) => ArchiveMode::Unchecked,
            Phase::Primary
            | Phase::Promoting(_)
            | Phase::Initializing(Initializing::StartingPostgres(_) | Initializing::Bootstrapping(_))
            | Phase::Initializing(Initializing::Publishing(..) | Initializing::Opening)
            | Phase::Crashed(Crashed::StartingInPlace(..) | Crashed::Opening(_)) => ArchiveMode::Primary,
            Phase::Crashed(_) | Phase::SteppingDown(_) | Phase::Stopping(_) | Phase::Killing(..) | Phase::Exited => {
                ArchiveMode::Stopping
            }
            _ => ArchiveMode::Standby,
        }
    }

    fn tail_to_offer(&self) -> Option<WalPosition> {
        match &self.phase {
            Phase::Offering(end) | Phase::Crashed(Crashed::Offered { end, .. } | Crashed::Releasing(_, end)) => {
                Some(*end)
            }
            _ => None,
        }
    }

    fn tail_to_use(&self) -> Option<TailFact> {
        match &self.phase {
            Phase::Candidate(candidate) if candidate.election.tail.is_some() => candidate.election.tail.clone(),
            Phase::Standby(_) | Phase::Candidate(_) => self.lease.as_ref().and_then(|lease| {
                let stopped = matches!(lease.value.state, HolderState::Recovering | HolderState::Released);
                let holder = lease.value.holder.as_ref().filter(|_| stopped)?;
                let end = lease.value.tail?;
                (holder.nonce != self.me.holder.nonce).then(|| TailFact {
                    pod: holder.name.clone(),
                    pod_uid: holder.pod_uid.clone(),
                    address: holder.address.clone(),
                    end,
                })
            }),
            _ => None,
        }
    }

    /// With a hold, its deadline. Without one, an armed watchdog stays armed until every process of postgres is
    /// known to be gone: it goes on killing while the deadline is past.
    fn armed_until(&self, before: Option<Instant>) -> Option<Instant> {
        match (&self.hold, &self.phase) {
            (Some(hold), _) => Some(hold.deadline),
            (None, Phase::Killing(..)) => before,
            (None, Phase::SteppingDown(s)) if !matches!(s.step, StepDown::Releasing(_)) => before,
            (None, _) => None,
        }
    }

    fn running_configuration(&self) -> Option<String> {
        let running = matches!(self.phase, Phase::Primary | Phase::Standby(Standby::Running { .. }));
        self.cluster.as_ref().filter(|_| running).map(|c| c.configuration.clone())
    }

    /// The open holder, if it is somebody that this member may follow (rule E3: a term above its fence).
    pub(super) fn leader(&self) -> Option<Leader> {
        let lease = &self.lease.as_ref()?.value;
        if self.went_back().is_some() {
            return None;
        }
        let holder = lease.held_by().filter(|_| lease.state == HolderState::Open)?;
        // One that does not renew is nobody to go through a rejoin or a clone for: its followers stay electable.
        let silent = self.has_lapsed(self.lease.as_ref()?, self.now);
        if silent || self.dead.contains(&holder.nonce) {
            return None;
        }
        let same_volume = holder.name == self.me.holder.name;
        (!same_volume && lease.term > self.fence).then(|| Leader {
            name: holder.name.clone(),
            pod_uid: holder.pod_uid.clone(),
            address: holder.address.clone(),
            term: lease.term,
            timeline: lease.timeline,
            counts_me: own_entry(lease)
                .is_none_or(|entry| self.incarnation().is_some_and(|mine| entry.voters.contains(mine))),
        })
    }

    /// The controller's election, if it is about the lease as it is now and was not declined.
    pub(super) fn election(&self) -> Option<&ElectionFact> {
        let election = self.cluster.as_ref()?.election.as_ref()?;
        let lease = &self.lease.as_ref()?.value;
        let declined = self.declined.as_ref().is_some_and(|declined| declined.election == *election);
        (is_current(election, lease) && !declined).then_some(election)
    }

    /// The election, if this pod won it.
    pub(super) fn won(&self) -> Option<ElectionFact> {
        self.election().filter(|e| e.winner_pod_uid == self.me.holder.pod_uid).cloned()
    }

    /// The election, if another pod won it.
    pub(super) fn lost_to(&self) -> Option<&ElectionFact> {
        self.election().filter(|e| e.winner_pod_uid != self.me.holder.pod_uid)
    }

    /// Whether the user wants postgres to be down here.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| is_fenced(&cluster.fenced, self.me.name()))
    }

    /// A restart in place that this very process was asked for, and has not begun.
    pub(super) fn restart_due(&self) -> Option<RestartFact> {
        let asked = self.cluster.as_ref()?.restart.clone()?;
        (asked.nonce == self.me.holder.nonce && self.restarted.as_ref() != Some(&asked)).then_some(asked)
    }

    /// Whether that version was seen unchanged for the whole duration that counts for it.
    pub(super) fn has_lapsed(&self, lease: &Versioned<LeaseRecord>, now: Instant) -> bool {
        self.observation.age(&lease.version, now) >= lease.value.lapses_after(self.timings)
    }

    pub(super) fn electable_peers(&self) -> bool {
        self.peers.iter().any(|peer| peer.electable)
    }

    pub(super) fn start_postgres(&mut self, how: StartAs) -> Op {
        let op = self.op();
        self.start_is_void = false;
        if how == StartAs::Primary {
            self.configure_synchronous();
        }
        self.out.push(Command::StartPostgres(op, how));
        op
    }

    /// That postgres ended may be known before that it had started: such a start has failed.
    fn as_started(&self, op: Op, outcome: Outcome) -> Outcome {
        let start = match self.phase {
            Phase::Standby(Standby::StartingPostgres(start, _))
            | Phase::Initializing(Initializing::StartingPostgres(start))
            | Phase::Crashed(Crashed::StartingInPlace(start, _)) => start == op,
            _ => false,
        };
        if start && self.start_is_void { Outcome::Failed("postgres ended as it started".to_owned()) } else { outcome }
    }

    fn is_kill(&self, op: Op) -> bool {
        match self.phase {
            Phase::Killing(kill, _)
            | Phase::Crashed(Crashed::Killing(kill))
            | Phase::SteppingDown(SteppingDown { step: StepDown::Killing(kill), .. }) => kill == op,
            _ => false,
        }
    }

    pub(super) fn op(&mut self) -> Op {
        self.ops = self.ops.saturating_add(1);
        Op(self.ops)
    }

    pub(super) fn attempt(&mut self) -> AttemptId {
        let op = self.op();
        AttemptId(format!("{}-{}", self.me.holder.nonce, op.0))
    }

    /// SIGKILL to everything: it needs nobody's help (I6).
    pub(super) fn kill(&mut self, then: AfterKill) {
        let op = self.op();
        self.out.push(Command::KillEverything(op));
        self.phase = Phase::Killing(op, then);
    }

    pub(super) fn restart(&mut self) {
        self.phase = Phase::Starting(None);
        self.volume = None;
        self.link = None;
    }

    pub(super) fn exit(&mut self, code: u8) {
        self.out.push(Command::Exit(code));
        self.phase = Phase::Exited;
    }

    pub(super) fn wait(&mut self, why: impl Into<String>, until: Option<Instant>) {
        self.phase = Phase::Waiting { until, why: why.into() };
    }
}
