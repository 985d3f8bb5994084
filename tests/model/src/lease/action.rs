//! What can happen next.

use super::limits::Limits;
use super::state::{Job, Postgres, State};
use pgherd_core::cluster::{ElectionFact, TailFact};
use pgherd_core::identity::PodUid;
use pgherd_core::instance::{Event, Op, Outcome, Phase, TailCall};
use pgherd_core::lease::HolderState;

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
        if waits && put.answer.is_some() {
            actions.push(Action::Answer(at));
        }
        if waits && spent.losses < limits.losses {
            actions.push(Action::GiveUp(at));
        }
    }
    for (at, slot) in state.slots.iter().enumerate() {
        if slot.awake() {
            let cut = limits.cut && at == 0;
            if !cut && slot.seen < state.store.newest() {
                actions.push(Action::Watch(at));
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
                let confirms = matches!(slot.jobs.get(job), Some(Job::Confirm(..)));
                actions.extend((confirms && spent.losses < limits.losses).then_some(Action::Fail(at, job)));
            }
            if spent.freezes < limits.freezes {
                actions.push(Action::Freeze(at));
            }
            if spent.terminations < limits.terminations {
                actions.push(Action::Terminate(at));
            }
        }
        let electable = slot.machine.is_some() && slot.disk.data.is_some() && !(limits.cut && at == 0);
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
    if spent.edits < limits.edits && state.store.leases.len() <= limits.writes {
        actions.push(Action::Touch);
    }
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
        }
    }

    /// Whether a job can come to its end now.
    pub fn can_finish(&self, slot: usize, job: usize) -> bool {
        let Some(slot) = self.slots.get(slot) else { return false };
        match slot.jobs.get(job) {
            Some(Job::Prove(..)) => slot.writable(),
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
            Job::Pledges(op, sent, _, _, by) => (op, Outcome::Pledged { sent, by }),
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
            answered: Vec::new(),
            accepted_loss: None,
        };
        self.store.change(|store| store.elections.push(fact));
    }

    /// A pod that shares the name of a living process waits for nothing: it has another volume.
    pub fn may_boot(&self, at: usize) -> bool {
        self.slots.get(at).is_some_and(|slot| !self.retired(&slot.uid))
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
                domain: Vec::new(),
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
