//! A primary's synchronous set: whom it waits for, and the steps from one set to the next (rules Q1-Q7).

use super::bounds::{LEAVE_BOUND, MEMBER_PATIENCE, RENEW_RETRY};
use super::command::{Command, Op};
use super::event::Outcome;
use super::machine::Machine;
use super::phase::{CandidateStep, Crashed, Initializing, Phase, Promoting};
use super::view::{Data, Volume};
use crate::identity::Incarnation;
use crate::lease::{ElectableRecord, HolderState, LeaseRecord, Term};
use crate::sync::{
    Fitness, Goal, Move, Progress, Stored, SyncMember, SyncSetting, SyncSpec, choose, member_name, next_move,
    own_entry, record_of,
};
use crate::time::Instant;
use std::collections::BTreeMap;

/// The synchronous set of an instance that writes, or is about to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Replication {
    pub progress: Progress,
    step: Option<Step>,
    again: Option<Instant>,
    /// After a crash recovery in place: clients wait for the barrier (hole 11).
    barrier_due: bool,
    /// The shell was told a setting once.
    configured: bool,
    streaming: Option<Vec<String>>,
    /// Since when a member does not stream.
    absent: BTreeMap<String, Instant>,
    /// Since when this member waits to leave the set of its leader (Q7).
    leaving: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Step {
    Setting(Op),
    AwaitingBarrier(Op),
}

impl Machine {
    /// What a take promises: the setting that postgres will have before it writes, and the record of it (Q6).
    pub(super) fn promise(&mut self) -> Option<ElectableRecord> {
        let spec = self.cluster.as_ref().and_then(|cluster| cluster.sync.clone());
        let setting = spec.as_ref().map(|spec| choose(spec.as_ref(), &self.fit(), &SyncSetting::default()));
        let record = setting.as_ref().zip(self.incarnation()).map(|(s, writer)| record_of(s, Term::default(), writer));
        self.replication.progress = Progress::started(setting.unwrap_or_default());
        record
    }

    /// Before postgres is started or promoted as a primary (hole 10).
    pub(super) fn configure_synchronous(&mut self) {
        let setting = self.replication.progress.asked_for();
        self.replication.progress = Progress::started(setting.clone());
        // A standby's start makes the shell forget it; a manager that has just started knows of none.
        let synchronous = self.cluster.as_ref().is_some_and(|cluster| cluster.sync.is_some());
        if synchronous || self.replication.configured || setting != SyncSetting::default() {
            self.replication.configured = true;
            self.out.push(Command::ConfigureSynchronous(setting));
        }
    }

    /// Crash recovery brings commits to light that nobody may have acknowledged.
    pub(super) fn barrier_before_clients(&mut self) {
        self.replication.barrier_due = self.cluster.as_ref().is_some_and(|cluster| cluster.sync.is_some());
    }

    /// Whether pg_hba keeps clients out: until the timeline that postgres chose is known to be the reserved one (I2), from
    /// when a candidate's way to the promotion is free, so that closing takes no time of that; and under synchronous
    /// replication until nothing that they see can be taken back (hole 11). What is ending stays as it was `before`.
    pub(super) fn gated(&self, before: bool) -> bool {
        let stopped = |lease: &LeaseRecord| lease.held_by().is_none() || lease.state == HolderState::Recovering;
        let unchecked = match &self.phase {
            Phase::Candidate(candidate) => {
                candidate.step == CandidateStep::Taking || self.lease.as_ref().is_some_and(|l| stopped(&l.value))
            }
            Phase::Promoting(Promoting::Asked(_)) => true,
            Phase::Killing(..) | Phase::Crashed(Crashed::Killing(_)) | Phase::Stopping(_) | Phase::Exited => before,
            _ => false,
        };
        let synchronous = self.cluster.as_ref().is_some_and(|cluster| cluster.sync.is_some());
        let unreplicated = synchronous
            && match &self.phase {
                Phase::Promoting(_) | Phase::Crashed(Crashed::StartingInPlace(..) | Crashed::Opening(_)) => true,
                Phase::Initializing(Initializing::Claiming(_) | Initializing::CreatingDatabase(_)) => false,
                Phase::Initializing(_) => true,
                Phase::Primary => self.replication.barrier_due,
                _ => false,
            };
        unchecked || unreplicated
    }

    pub(super) fn standbys_sampled(&mut self, streaming: &[String]) {
        self.replication.streaming = Some(streaming.iter().map(|name| member_name(name).to_owned()).collect());
    }

    pub(super) fn keep_synchronous(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Primary) || self.hold.is_none() {
            (self.replication.step, self.replication.again) = (None, None);
            self.replication.absent.clear();
            return;
        }
        self.note_absent(now);
        let Some(next) = self.next_move() else { return };
        let replication = &mut self.replication;
        let setting = replication.progress.asked_for();
        if replication.progress.barrier_passed() || (setting.needed_of_members() == 0 && next == Move::Rest) {
            replication.barrier_due = false;
        }
        let paused = replication.again.is_some_and(|at| now < at);
        match (next, replication.step) {
            (Move::Set(_), Some(Step::Setting(_))) | (Move::AwaitBarrier(..), Some(_)) => {}
            (Move::Set(setting), _) if !paused => {
                replication.progress.setting(setting.clone());
                replication.configured = true;
                let op = self.op();
                self.replication.step = Some(Step::Setting(op));
                self.out.push(Command::SetSynchronous(op, setting));
            }
            (Move::AwaitBarrier(setting, flush), None) if !paused => {
                let op = self.op();
                self.replication.step = Some(Step::AwaitingBarrier(op));
                self.out.push(Command::Barrier(op, setting, flush));
            }
            _ => {}
        }
    }

    pub(super) fn is_synchronous_step(&self, op: Op) -> bool {
        matches!(self.replication.step, Some(Step::Setting(o) | Step::AwaitingBarrier(o)) if o == op)
    }

    pub(super) fn synchronous_finished(&mut self, outcome: &Outcome, now: Instant) {
        let replication = &mut self.replication;
        match (replication.step.take(), outcome) {
            (Some(Step::Setting(_)), Outcome::InForce { flush }) => replication.progress.set(*flush),
            (Some(Step::AwaitingBarrier(_)), Outcome::Done) => replication.progress.acknowledged(),
            _ => replication.again = Some(now.plus(RENEW_RETRY)),
        }
    }

    /// The records that the next renewal is to store.
    pub(super) fn wanted_records(&self, stored: &LeaseRecord) -> Vec<ElectableRecord> {
        match self.next_move() {
            Some(Move::Publish(records)) if matches!(self.phase, Phase::Primary) => records,
            _ => stored.records.clone(),
        }
    }

    /// What rule Q has it do next; nothing while it cannot reach the API (Q5, L7).
    fn next_move(&self) -> Option<Move> {
        let hold = self.hold.as_ref().filter(|_| !self.failsafe.active())?;
        let spec = self.cluster.as_ref()?.sync.as_deref();
        let confirmed = &hold.lease.value;
        let present = self.replication.progress.asked_for();
        let goal = Goal {
            setting: spec.map(|spec| choose(spec, &self.fit_to_stay(spec, &present), &present)),
            barrier: self.replication.barrier_due,
            term: confirmed.term,
            writer: self.incarnation()?.clone(),
        };
        let own = own_entry(confirmed).cloned();
        let sent = self.unanswered_renewals().filter_map(own_entry).filter(|entry| Some(*entry) != own.as_ref());
        let stored =
            Stored { confirmed: confirmed.records.clone(), unresolved: sent.cloned().collect(), own: own.clone() };
        Some(next_move(&self.replication.progress, &goal, &stored))
    }

    /// Those who stream and are to stay; and those of the present set who have been away for a moment only.
    fn fit_to_stay(&self, spec: &SyncSpec, present: &SyncSetting) -> Vec<Fitness> {
        let streams = |name: &String| self.replication.streaming.as_ref().is_some_and(|names| names.contains(name));
        let mut fit: Vec<Fitness> = self.fit().into_iter().filter(|one| streams(&one.member.name)).collect();
        for member in &present.members {
            let since = self.replication.absent.get(&member.name);
            let back_soon = since.is_none_or(|since| self.now.since(*since) < MEMBER_PATIENCE);
            if back_soon && spec.number > 0 && fit.iter().all(|one| one.member.name != member.name) {
                fit.push(Fitness { member: member.clone(), apart: self.apart(&member.name) });
            }
        }
        fit
    }

    /// The members that could acknowledge commits, as far as their reports say.
    fn fit(&self) -> Vec<Fitness> {
        let peers = self.peers.iter().filter(|peer| peer.electable);
        let fitness = |peer: &super::view::Peer| {
            let member = SyncMember { name: peer.name.clone(), incarnation: peer.incarnation.clone()? };
            Some(Fitness { apart: self.apart(&peer.name), member })
        };
        peers.filter_map(fitness).collect()
    }

    /// Both places are known, and they are two.
    fn apart(&self, name: &str) -> bool {
        let place = |name: &str| self.cluster.as_ref().and_then(|cluster| cluster.domains.get(name));
        place(&self.me.holder.name).zip(place(name)).is_some_and(|(here, there)| here != there)
    }

    fn note_absent(&mut self, now: Instant) {
        let Self { peers, replication, .. } = self;
        let streaming = replication.streaming.clone().unwrap_or_default();
        let present = replication.progress.asked_for().members;
        let names = peers.iter().map(|peer| &peer.name).chain(present.iter().map(|member| &member.name));
        let away: Vec<&String> = names.filter(|name| !streaming.contains(name)).collect();
        replication.absent.retain(|name, _| away.contains(&name));
        for name in away {
            replication.absent.entry(name.clone()).or_insert(now);
        }
    }

    /// A member that could not have pledged for a whole leaseDuration, while another could, is no taker: with it
    /// in the list an outage of the API would end the primary (hole 28).
    pub(super) fn out_of_reach(&self, name: &str, now: Instant) -> bool {
        let streams = |name: &String| self.replication.streaming.as_ref().is_some_and(|names| names.contains(name));
        let others = self.peers.iter().any(|peer| peer.electable && streams(&peer.name));
        let away = self.replication.absent.get(name);
        others && away.is_some_and(|since| now.since(*since) >= self.timings.lease_duration)
    }

    /// Rule Q7: a member whose directory is to be replaced leaves the set of its leader first, where that has enough
    /// others to tighten to. The wait is bounded: the record names its data, which will be gone, so safety does
    /// not depend on it.
    pub(super) fn leaves_set_first(&mut self, data: &Data, now: Instant) -> bool {
        let entry = self.lease.as_ref().and_then(|lease| own_entry(&lease.value));
        let enough_others = entry.is_some_and(|entry| {
            let others = entry.voters.iter().filter(|voter| **voter != data.incarnation).count();
            entry.voters.contains(&data.incarnation) && u32::try_from(others).unwrap_or(u32::MAX) >= entry.needed
        });
        if !enough_others {
            self.replication.leaving = None;
            return false;
        }
        let since = *self.replication.leaving.get_or_insert(now);
        now.since(since) < LEAVE_BOUND
    }

    pub(super) fn incarnation(&self) -> Option<&Incarnation> {
        match &self.volume {
            Some(Volume::Data(data)) => Some(&data.incarnation),
            _ => None,
        }
    }
}
