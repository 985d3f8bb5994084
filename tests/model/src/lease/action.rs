//! What can happen next.

use super::controller::Controller;
use super::limits::Limits;
use super::state::{Job, Postgres, Slot, State, TICK};
use pgherd_core::cluster::{ElectionFact, TailFact};
use pgherd_core::identity::PodUid;
use pgherd_core::instance::{Event, FenceCall, Op, Outcome, Phase, TailCall};
use pgherd_core::lease::{HolderState, LeaseRecord};
use pgherd_core::time::Instant;

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A second passes on every clock.
    Tick,
    /// A PUT reaches the API server.
    Land(usize),
    /// Its answer reaches the sender.
    Answer(usize),
    /// Its sender gives it up.
    GiveUp(usize),
    /// A watch of the lease tells of the next version.
    Watch(usize),
    /// A member sees the Cluster as it is.
    SeeCluster(usize),
    /// A member hears which containers have terminated.
    SeeDeaths(usize),
    /// A member sees the other pods as they are.
    SeePeers(usize),
    /// A command that takes its time comes to its end.
    Finish(usize, usize),
    /// It fails instead.
    Fail(usize, usize),
    /// The member of this place in a round of pledges is asked.
    Pledge(usize, usize, usize),
    /// Some controller elects a member, from this version of the lease.
    Elect(usize, usize),
    /// A postmaster dies; its backends do not.
    Crash(usize),
    /// A container dies, its proof included.
    Die(usize),
    /// A container starts.
    Boot(usize),
    /// A manager stands still.
    Freeze(usize),
    /// It goes on.
    Thaw(usize),
    /// A disk hangs.
    Wedge(usize),
    /// A clock gains a second on the others.
    Gain(usize),
    /// A pod is deleted by force; its process lives, and a pod of the same name is made on another volume.
    Replace(usize),
    /// A new member joins.
    Join,
    /// Somebody touches the lease.
    Touch,
    /// SIGTERM.
    Terminate(usize),
    /// Some controller has a member fence itself.
    Fence(usize),
    /// A node is lost, and nobody will ever say what became of it.
    Lose(usize),
    /// A member does not reach the API any more.
    Cut(usize),
    /// Postgres takes another timeline than it was told to.
    Mislead(usize, usize),
    /// Somebody deletes the lease.
    Delete,
    /// Somebody sets it back.
    SetBack,
    /// A member sees that it is gone.
    SeeMissing(usize),
    /// The controller makes it anew (L8).
    Recreate,
}

/// All that can happen in `state`.
pub fn possible(limits: &Limits, state: &State, actions: &mut Vec<Action>) {
    let spent = &state.spent;
    if state.tick < limits.ticks {
        actions.push(Action::Tick);
    }
    for (at, put) in state.puts.iter().enumerate() {
        let waits = state.slots.get(put.slot).is_some_and(|slot| slot.awake()) && !put.given_up;
        if state.can_land(limits, at) {
            actions.push(Action::Land(at));
        }
        if waits && put.answer.is_some() && !state.is_cut(put.slot) {
            actions.push(Action::Answer(at));
        }
        if waits && spent.losses < limits.losses {
            actions.push(Action::GiveUp(at));
        }
    }
    for (at, slot) in state.slots.iter().enumerate() {
        if slot.awake() {
            let cut = slot.cut;
            if !cut && slot.seen < state.store.newest() {
                actions.push(Action::Watch(at));
            }
            let newest = slot.seen == state.store.newest();
            if !cut && newest && state.store.missing.is_some() && !slot.misses {
                actions.push(Action::SeeMissing(at));
            }
            if !cut && slot.elections < state.store.elections.len() {
                actions.push(Action::SeeCluster(at));
            }
            if !cut && slot.deaths < state.store.dead.len() {
                actions.push(Action::SeeDeaths(at));
            }
            if (limits.joins > 0 || limits.doubles > 0) && !cut && slot.peers != state.peers_of(at) {
                actions.push(Action::SeePeers(at));
            }
            for job in 0..slot.jobs.len() {
                actions.extend(state.can_finish(at, job).then_some(Action::Finish(at, job)));
                if let Some(Job::Pledges(_, _, _, members, _)) = slot.jobs.get(job) {
                    actions.extend((0..members.len()).map(|member| Action::Pledge(at, job, member)));
                }
                let promotes = matches!(slot.jobs.get(job), Some(Job::Promote(..)));
                actions.extend((promotes && spent.misled < limits.misled).then_some(Action::Mislead(at, job)));
                let confirms = matches!(slot.jobs.get(job), Some(Job::Confirm(..)));
                actions.extend((confirms && spent.losses < limits.losses).then_some(Action::Fail(at, job)));
            }
            if spent.freezes < limits.freezes {
                actions.push(Action::Freeze(at));
            }
            if spent.terminations < limits.terminations {
                actions.push(Action::Terminate(at));
            }
            if spent.fences < limits.fences && slot.postgres == Postgres::Standby {
                actions.push(Action::Fence(at));
            }
            if spent.cuts < limits.cuts && slot.postgres.writes() && !cut {
                actions.push(Action::Cut(at));
            }
        }
        let electable = slot.machine.is_some() && slot.disk.data.is_some() && !slot.cut;
        if spent.elections < limits.elections && electable {
            let newest = state.store.newest();
            actions.extend(
                (newest.saturating_sub(1).max(state.store.forgotten + 1)..=newest)
                    .map(|version| Action::Elect(at, version)),
            );
        }
        if slot.frozen.is_some() {
            actions.push(Action::Thaw(at));
        }
        if slot.machine.is_none() && state.may_boot(at) {
            actions.push(Action::Boot(at));
        }
        if slot.machine.is_some() {
            if spent.crashes < limits.crashes && slot.postgres == (Postgres::Primary { postmaster: true }) {
                actions.push(Action::Crash(at));
            }
            if spent.deaths < limits.deaths {
                actions.push(Action::Die(at));
            }
            // Where nobody was named yet as a taker, nobody may follow it without proof (hole 13).
            let lease = state.store.leases.last();
            let named =
                lease.is_some_and(|l| !l.takers.is_empty() && l.held_by().is_some_and(|h| h.pod_uid == slot.uid));
            if spent.lost < limits.lost && slot.postgres.writes() && named {
                actions.push(Action::Lose(at));
            }
            if spent.wedges < limits.wedges && slot.wedged.is_none() && slot.postgres.writes() {
                actions.push(Action::Wedge(at));
            }
            if spent.doubles < limits.doubles && slot.postgres.writes() {
                actions.push(Action::Replace(at));
            }
        }
        if spent.drift < limits.drift {
            actions.push(Action::Gain(at));
        }
    }
    if spent.joined < limits.joins {
        actions.push(Action::Join);
    }
    let room = state.store.leases.len() <= limits.writes;
    if spent.deletes < limits.deletes && state.store.missing.is_none() {
        actions.push(Action::Delete);
    }
    if room && state.store.missing.is_some() {
        actions.push(Action::Recreate);
    }
    if room && spent.edits < limits.edits && state.store.missing.is_none() {
        actions.push(Action::Touch);
    }
    if room && spent.set_backs < limits.set_backs && state.store.missing.is_none() && all_know(state) {
        actions.push(Action::SetBack);
    }
}

/// There is a later term than at the beginning, and every volume remembers it.
fn all_know(state: &State) -> bool {
    let term = state.store.lease().value.term;
    let later = state.store.leases.first().is_some_and(|first| first.term < term);
    later && state.slots.iter().filter_map(|slot| slot.disk.data.as_ref()).all(|data| data.max_term >= term)
}

fn slot_name(state: &State, at: usize) -> String {
    state.slots.get(at).map(|slot| slot.uid.0.clone()).unwrap_or_default()
}

fn steps_down(slot: &Slot) -> bool {
    slot.machine.as_ref().is_some_and(|machine| matches!(machine.phase(), Phase::SteppingDown(_)))
}

impl State {
    /// Takes one step.
    pub fn take(&mut self, limits: &Limits, action: &Action) {
        match *action {
            Action::Tick => self.tick(limits),
            Action::Land(put) => self.land(limits, put),
            Action::Answer(put) => self.answered(limits, put),
            Action::GiveUp(put) => {
                self.spent.losses += 1;
                self.give_up(limits, put);
            }
            Action::Watch(slot) => self.watch(limits, slot),
            Action::SeeCluster(slot) => self.see_cluster(limits, slot),
            Action::SeeDeaths(slot) => self.see_deaths(limits, slot),
            Action::SeePeers(slot) => self.see_peers(limits, slot),
            Action::Finish(slot, job) => self.finish(limits, slot, job),
            Action::Pledge(slot, job, member) => self.ask_pledge(limits, slot, job, member),
            Action::Fail(slot, job) => {
                self.spent.losses += 1;
                self.fail(limits, slot, job);
            }
            Action::Elect(slot, version) => self.elect_from(slot, version),
            Action::Crash(slot) => {
                self.spent.crashes += 1;
                self.crash(limits, slot);
            }
            Action::Die(slot) => {
                self.spent.deaths += 1;
                self.end(slot, true);
            }
            Action::Boot(slot) => self.boot(limits, slot),
            Action::Freeze(slot) => {
                self.spent.freezes += 1;
                self.on(slot, |slot| slot.frozen = Some(Vec::new()));
            }
            Action::Thaw(slot) => self.thaw(limits, slot),
            Action::Wedge(slot) => {
                self.spent.wedges += 1;
                let now = self.now(slot);
                self.on(slot, |slot| slot.wedged = Some(now));
            }
            Action::Gain(slot) => {
                self.spent.drift += 1;
                self.on(slot, |slot| slot.ahead += 1);
                self.beat(limits, slot);
            }
            Action::Replace(slot) => self.replace(slot),
            Action::Join => self.join(),
            Action::Touch => {
                self.spent.edits += 1;
                self.store.change(|store| store.leases.extend(store.leases.last().cloned()));
            }
            Action::Terminate(slot) => {
                self.spent.terminations += 1;
                self.tell(limits, slot, Event::TerminationRequested);
            }
            Action::Fence(slot) => {
                self.spent.fences += 1;
                let term = self.store.lease().value.term;
                self.tell(limits, slot, Event::FenceRequested(Op(u64::MAX), FenceCall { term }));
            }
            Action::Lose(slot) => {
                self.spent.lost += 1;
                self.end(slot, false);
                self.on(slot, |slot| slot.gone = true);
            }
            Action::Cut(slot) => {
                self.spent.cuts += 1;
                self.on(slot, |slot| slot.cut = true);
            }
            Action::Mislead(slot, job) => {
                self.spent.misled += 1;
                self.mislead(limits, slot, job);
            }
            Action::Delete => {
                self.spent.deletes += 1;
                let now = Instant((self.epoch + self.tick) * TICK);
                self.store.change(|store| store.missing = Some(now));
            }
            Action::SetBack => self.set_back(),
            Action::SeeMissing(slot) => self.see_missing(limits, slot),
            Action::Recreate => {
                let record = Controller::default().recreated(limits, self);
                record.into_iter().for_each(|record| self.made_anew(record));
            }
        }
        self.deliver_news(limits);
    }

    /// Whether a job can come to its end now.
    pub fn can_finish(&self, at: usize, job: usize) -> bool {
        let Some(slot) = self.slots.get(at) else { return false };
        match slot.jobs.get(job) {
            Some(Job::Prove(..)) => slot.writable(),
            // It would only be read again, as long as a renewal is in flight.
            Some(Job::Inspect(_)) if steps_down(slot) => !self.awaits_answer(at),
            Some(Job::Confirm(_, to, ..)) => {
                self.slot_of(to).and_then(|to| self.slots.get(to)).is_some_and(|to| to.awake())
            }
            Some(_) => true,
            None => false,
        }
    }

    /// A job comes to its end.
    pub fn finish(&mut self, limits: &Limits, at: usize, job: usize) {
        let Some(job) = self.slots.get(at).and_then(|slot| slot.jobs.get(job).cloned()) else { return };
        self.on(at, |slot| slot.jobs.retain(|other| *other != job));
        let (op, outcome) = match job {
            Job::Kill(op) => {
                self.kill(at);
                (op, Outcome::Done)
            }
            Job::Pledges(op, sent, _, _, by) => {
                let holds = self.slots.get(at).and_then(|slot| slot.machine.as_ref()).and_then(|m| m.hold());
                let before = holds.map(|hold| hold.deadline);
                self.tell(limits, at, Event::Finished(op, Outcome::Pledged { sent, by: by.clone() }));
                return self.check_round(limits, at, before, &by);
            }
            Job::Inspect(op) => {
                let found = self.slots.get(at).map(|slot| slot.inspect());
                (op, found.map_or(Outcome::NotFound, Outcome::Inspected))
            }
            Job::Prove(op, began) => (op, Outcome::Proven(began)),
            Job::StartPrimary(op) => {
                self.on(at, |slot| slot.postgres = Postgres::Primary { postmaster: true });
                (op, Outcome::Done)
            }
            Job::Promote(op, timeline) => {
                self.promoted(at, timeline);
                (op, Outcome::Promoted(timeline, None))
            }
            Job::Confirm(op, to, term, position) => {
                let Some(holder) = self.slot_of(&to) else { return };
                let candidate = self.slots.get(at).map(|slot| slot.name.clone()).unwrap_or_default();
                let position = position.max(self.slots.get(at).map(|slot| slot.end()).unwrap_or_default());
                let request = self.request(at, op);
                return self.tell(
                    limits,
                    holder,
                    Event::TailConfirmed(request, TailCall { term, position, candidate }),
                );
            }
        };
        self.tell(limits, at, Event::Finished(op, outcome));
    }

    /// Postgres found the history file of the reserved timeline somewhere, and took the next one (hole 30).
    fn mislead(&mut self, limits: &Limits, at: usize, job: usize) {
        let Some(Job::Promote(op, reserved)) = self.slots.get(at).and_then(|slot| slot.jobs.get(job).cloned()) else {
            return;
        };
        self.on(at, |slot| {
            slot.jobs.remove(job);
        });
        self.promoted(at, reserved.next());
        // Nobody was let onto it: the next who reserves it is the first.
        self.store.change(|store| store.promoted.retain(|known| *known != reserved.next()));
        self.tell(limits, at, Event::Finished(op, Outcome::Promoted(reserved.next(), None)));
    }

    /// Rule L8: above everything that any volume has seen, or its members refuse it for good (L9).
    fn made_anew(&mut self, record: LeaseRecord) {
        let seen = self.slots.iter().filter_map(|slot| slot.disk.data.as_ref()).map(|data| data.max_term).max();
        if seen.is_some_and(|seen| seen >= record.term) {
            self.violated(format!("the lease is made anew in term {}, which was seen before", record.term));
        }
        self.stored(record);
    }

    /// A request between members has no answer.
    pub fn fail(&mut self, limits: &Limits, at: usize, job: usize) {
        let Some(Job::Confirm(op, ..)) = self.slots.get(at).and_then(|slot| slot.jobs.get(job).cloned()) else {
            return;
        };
        self.on(at, |slot| {
            slot.jobs.remove(job);
        });
        self.tell(limits, at, Event::Finished(op, Outcome::Failed("no answer".to_owned())));
    }

    /// Whatever some controller may have decided from what it once read (rule E5 is what binds it).
    fn elect_from(&mut self, at: usize, version: usize) {
        self.spent.elections += 1;
        let Some(slot) = self.slots.get(at) else { return };
        let lease = self.store.version(version);
        let holder = lease.value.holder.clone();
        let recovers = lease.value.state == HolderState::Recovering;
        let tail = holder.as_ref().zip(lease.value.tail).filter(|_| recovers).map(|(holder, end)| TailFact {
            pod: holder.name.clone(),
            pod_uid: holder.pod_uid.clone(),
            address: holder.address.clone(),
            end,
        });
        let answers = self.store.answers.iter().filter(|(_, term)| *term >= lease.value.term);
        let answered = answers.map(|(incarnation, _)| incarnation.clone()).collect();
        let fact = ElectionFact {
            winner: slot.name.clone(),
            winner_pod_uid: slot.uid.clone(),
            lease_version: lease.version,
            holder_nonce: holder.map(|holder| holder.nonce).unwrap_or_default(),
            term: lease.value.term,
            reason: "any controller".to_owned(),
            evidence: slot.end(),
            tail,
            winner_incarnation: slot.disk.data.as_ref().map(|data| data.incarnation.clone()),
            answered,
            accepted_loss: None,
        };
        self.store.change(|store| store.elections.push(fact));
    }

    /// A pod that shares the name of a living process waits for nothing: it has another volume.
    pub fn may_boot(&self, at: usize) -> bool {
        self.slots.get(at).is_some_and(|slot| !self.retired(&slot.uid) && !slot.gone)
    }

    /// Its pod object is gone: the kubelet starts no container for it any more.
    fn retired(&self, uid: &PodUid) -> bool {
        let position = self.slot_of(uid);
        let name = position.and_then(|at| self.slots.get(at)).map(|slot| slot.name.clone());
        self.slots.iter().skip(position.map_or(0, |at| at + 1)).any(|later| Some(&later.name) == name.as_ref())
    }

    /// What the API shows of the other pods: those that exist, with their last report.
    pub fn peers_of(&self, at: usize) -> Vec<pgherd_core::instance::Peer> {
        let mine = self.slots.get(at).map(|slot| slot.uid.clone()).unwrap_or_default();
        let others = self.slots.iter().filter(|slot| slot.uid != mine && !self.retired(&slot.uid));
        others
            .map(|slot| pgherd_core::instance::Peer {
                name: slot.name.clone(),
                pod_uid: slot.uid.clone(),
                incarnation: slot.disk.data.as_ref().map(|data| data.incarnation.clone()),
                address: slot.uid.0.clone(),
                fence: slot.disk.data.as_ref().map(|data| data.fence).unwrap_or_default(),
                electable: slot
                    .machine
                    .as_ref()
                    .is_some_and(|machine| matches!(machine.phase(), Phase::Standby(_) | Phase::Candidate(_))),
            })
            .collect()
    }

    /// A promotion is done: clients may commit on `timeline` (I2).
    fn promoted(&mut self, at: usize, timeline: pgherd_core::timeline::TimelineId) {
        if self.store.promoted.contains(&timeline) || timeline.0 < 2 {
            self.violated(format!("timeline {timeline} is promoted to a second time"));
        }
        // Nobody has looked yet which timeline postgres chose.
        if self.slots.get(at).is_some_and(|slot| !slot.gated) {
            self.violated(format!("clients are let in by {} before its timeline was checked", slot_name(self, at)));
        }
        self.store.change(|store| store.promoted.push(timeline));
        self.on(at, |slot| {
            slot.postgres = Postgres::Primary { postmaster: true };
            slot.following = None;
            for data in slot.disk.data.iter_mut() {
                data.role = pgherd_core::instance::DataRole::Primary;
                data.end.timeline = timeline;
                data.end.lsn.0 += 1;
            }
        });
    }

    /// The outcome of a command that will not come to its end.
    pub fn void(&mut self, limits: &Limits, at: usize, op: Op) {
        self.tell(limits, at, Event::Finished(op, Outcome::Failed("postgres was killed".to_owned())));
    }
}
