//! Commands carried out: at once where only this member is concerned, as a job or a request where others can come
//! between.

use super::limits::Limits;
use super::state::{Job, Postgres, Put, SYSTEM, Slot, State, first_data};
use crate::shared::Shared;
use pgherd_core::identity::{Incarnation, Nonce};
use pgherd_core::instance::{Command, DataRole, Event, Leader, Op, Outcome, PledgeCall, PledgeRound, StartAs};
use pgherd_core::lease::HolderState;
use pgherd_core::lsn::Lsn;
use std::collections::VecDeque;

/// Events that follow from what is being carried out.
type Queue = VecDeque<(usize, Event)>;

impl State {
    /// Tells one machine, and carries out what it says, until nothing more follows at once.
    pub fn tell(&mut self, limits: &Limits, slot: usize, event: Event) {
        let mut queue = Queue::from([(slot, event)]);
        while let Some((at, event)) = queue.pop_front() {
            let now = self.now(at);
            let Some(slot) = self.slots.get_mut(at) else { continue };
            if slot.frozen.is_some() {
                slot.change(|slot| slot.frozen.get_or_insert_default().push(event));
                continue;
            }
            if slot.machine.is_none() {
                continue;
            }
            let commands =
                slot.change(|slot| slot.machine.as_mut().map(|machine| machine.handle(event, now)).unwrap_or_default());
            for command in commands {
                self.carry_out(limits, at, command, &mut queue);
            }
        }
    }

    fn carry_out(&mut self, limits: &Limits, at: usize, command: Command, queue: &mut Queue) {
        let now = self.now(at);
        let Some(slot) = self.slots.get(at).cloned() else { return };
        let mut done = |op: Op, outcome: Outcome| queue.push_back((at, Event::Finished(op, outcome)));
        match command {
            // While a renewal is in flight a holder that steps down reads again and again.
            Command::InspectVolume(op) if self.awaits_answer(at) => {
                self.on(at, |slot| slot.jobs.push(Job::Inspect(op)));
            }
            Command::InspectVolume(op) => {
                if slot.postgres != Postgres::Down {
                    self.violated("a volume is read while postgres runs on it");
                }
                done(op, Outcome::Inspected(slot.inspect()));
            }
            Command::DiscardPartial(op) | Command::BootstrapDatabase(op) => done(op, Outcome::Done),
            Command::ClaimInitialization(op) => done(op, self.claim(&slot.name)),
            Command::InitializeDatabase(op) => {
                self.on(at, |slot| slot.disk.data = Some(first_data(&slot.nonce().0)));
                done(op, Outcome::Done);
            }
            Command::CloneFrom(op, leader) | Command::Rejoin(op, leader) => done(op, self.copy(at, &leader, op)),
            Command::StartPostgres(op, StartAs::Standby(leader)) => {
                self.on(at, |slot| {
                    slot.postgres = Postgres::Standby;
                    slot.following = leader;
                    slot.link = None;
                    slot.disk.data.iter_mut().for_each(|data| data.role = DataRole::Standby);
                });
                done(op, Outcome::Done);
            }
            Command::StartPostgres(op, StartAs::Primary) => {
                self.guarded(at, "starts");
                self.on(at, |slot| {
                    slot.jobs.push(Job::StartPrimary(op));
                    slot.disk.data.iter_mut().for_each(|data| data.role = DataRole::Primary);
                });
            }
            Command::Promote(op, timeline) => {
                self.guarded(at, "is promoted");
                self.on(at, |slot| slot.jobs.push(Job::Promote(op, timeline)));
            }
            Command::StopPostgres(op, _) => {
                self.stop(at);
                done(op, Outcome::Done);
            }
            Command::KillEverything(op) if limits.slow_kills => self.on(at, |slot| slot.jobs.push(Job::Kill(op))),
            Command::KillEverything(op) => {
                self.kill(at);
                done(op, Outcome::Done);
            }
            Command::Follow(leader) => self.on(at, |slot| slot.following = leader),
            Command::AwaitPosition(op, to) => done(op, self.fetch(at, to)),
            Command::ConfirmTail(op, holder, term) => {
                let job = Job::Confirm(op, holder.pod_uid, term, holder.end);
                self.on(at, |slot| slot.jobs.push(job));
            }
            Command::LookForProof(op, _, nonce) => {
                let dead = self.store.dead.contains(&nonce);
                done(op, if dead { Outcome::Done } else { Outcome::NotFound });
            }
            Command::Fence(_, term) => self.on(at, |slot| {
                slot.disk.data.iter_mut().for_each(|data| data.fence = data.fence.max(term));
                slot.following = None;
            }),
            Command::PutLease { op, over, record } => {
                self.check_put(limits, at, &record);
                let put = Put {
                    slot: at,
                    generation: slot.generation,
                    op,
                    over,
                    record,
                    sent: now,
                    answer: None,
                    given_up: false,
                };
                self.puts.push(Shared::new(put));
            }
            Command::ProveWritePath { op, sql } => match (sql, slot.postgres) {
                _ if !slot.writable() => self.on(at, |slot| slot.jobs.push(Job::Prove(op, now))),
                (true, Postgres::Primary { postmaster: true }) | (false, _) => done(op, Outcome::Proven(now)),
                (true, _) => done(op, Outcome::Failed("postgres does not answer".to_owned())),
            },
            Command::ArmWatchdog(deadline) => self.on(at, |slot| slot.armed = Some(deadline)),
            Command::DisarmWatchdog => {
                if slot.postgres.writes() {
                    self.violated("a watchdog is disarmed under a primary");
                }
                self.on(at, |slot| slot.armed = None);
            }
            Command::PublishSystemId(op, id) => {
                self.store.change(|store| store.system = Some(id));
                done(op, Outcome::Done);
            }
            Command::OfferTail(end) => self.on(at, |slot| slot.offered = end),
            Command::AnswerTail(op, answer) => {
                if let Some((asker, op)) = self.asker(op) {
                    queue.push_back((
                        asker,
                        Event::Finished(op, answer.map_or_else(Outcome::Failed, Outcome::Released)),
                    ));
                }
            }
            Command::AskPledges(op, _) if !limits.failsafe => done(op, Outcome::Failed("nobody answers".to_owned())),
            Command::AskPledges(op, round) => {
                let PledgeRound { nonce, term, round: number, lease_duration, members } = round;
                let call = PledgeCall { nonce, term, round: number, lease_duration };
                let members = members.into_iter().map(|member| member.pod_uid).collect();
                self.on(at, |slot| slot.jobs.push(Job::Pledges(op, now, call, members, Vec::new())));
            }
            Command::AnswerPledge(op, answer) => self.pledged(op, answer.ok()),
            Command::SetSynchronous(op, _) | Command::Barrier(op, ..) => {
                self.violated("this model has no synchronous replication");
                done(op, Outcome::Done);
            }
            // Nobody deletes the lease here, nor edits it.
            Command::CreateLease { op, .. } => {
                self.violated("a lease that is there is made again");
                done(op, Outcome::NotFound);
            }
            Command::RememberTerm(term) => {
                self.on(at, |slot| slot.disk.data.iter_mut().for_each(|data| data.max_term = data.max_term.max(term)));
            }
            Command::Alarm(why) => self.violated(format!("a needless alarm: {why}")),
            Command::AnnouncePrimary(_)
            | Command::ConfigureSynchronous(_)
            | Command::GateClients(_)
            | Command::UseTail(_)
            | Command::Archive(_)
            | Command::ApplyConfiguration
            | Command::RefuseFence(..) => {}
            Command::Exit(_) => self.end(at, true),
        }
    }

    fn awaits_answer(&self, at: usize) -> bool {
        let generation = self.slots.get(at).map_or(0, |slot| slot.generation);
        self.puts.iter().any(|put| put.slot == at && put.generation == generation && !put.given_up)
    }

    /// Changes one slot.
    pub fn on(&mut self, at: usize, by: impl FnOnce(&mut Slot)) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.change(by);
        }
    }

    /// Everything of postgres is gone, the watchdog with it.
    pub fn kill(&mut self, at: usize) {
        self.on(at, |slot| {
            slot.postgres = Postgres::Down;
            slot.armed = None;
            slot.following = None;
            slot.jobs.retain(|job| matches!(job, Job::Kill(_) | Job::Prove(..)));
        });
    }

    /// The container ends; `proof` is whether the kubelet will say of whom it was.
    pub fn end(&mut self, at: usize, proof: bool) {
        let Some(slot) = self.slots.get(at) else { return };
        let (nonce, generation): (Nonce, u8) = (slot.nonce(), slot.generation);
        self.kill(at);
        self.on(at, |slot| {
            slot.machine = None;
            slot.frozen = None;
            slot.offered = None;
            slot.jobs.clear();
            slot.peers.clear();
            slot.link = None;
        });
        // What is on its way may land all the same; an answer has nobody to reach.
        self.puts.retain(|put| put.slot != at || put.generation != generation || put.answer.is_none());
        for put in self.puts.iter_mut().filter(|put| put.slot == at && put.generation == generation) {
            put.change(|put| put.given_up = true);
        }
        if proof {
            self.store.change(|store| store.dead.push(nonce));
        }
    }

    /// Hole 20: nothing that can write begins without a hold and a watchdog.
    fn guarded(&mut self, at: usize, does: &str) {
        let now = self.now(at);
        let Some(slot) = self.slots.get(at) else { return };
        let hold = slot.machine.as_ref().and_then(|machine| machine.hold()).map(|hold| hold.deadline);
        if hold.is_none_or(|deadline| now >= deadline) || slot.armed.is_none_or(|deadline| Some(deadline) != hold) {
            self.violated(format!("{} {does} as a primary without a hold or a watchdog", slot.uid));
        }
    }

    /// Hole 26 and rule L6, at the sending.
    fn check_put(&mut self, limits: &Limits, at: usize, record: &pgherd_core::lease::LeaseRecord) {
        let now = self.now(at);
        let Some(slot) = self.slots.get(at).cloned() else { return };
        let hung = slot.wedged.is_some_and(|since| now.since(since).as_secs() > limits.deadline);
        let renews = record.state != HolderState::Released && slot.postgres.writes();
        if hung && renews {
            self.violated(format!("{} renews although nothing can be written", slot.uid));
        }
        if record.state == HolderState::Released && slot.postgres.writes() {
            self.violated(format!("{} releases before its last process is gone", slot.uid));
        }
    }

    fn claim(&mut self, name: &str) -> Outcome {
        if self.store.system.is_some() || self.store.initializer.as_deref().is_some_and(|other| other != name) {
            return Outcome::Failed("claimed by another".to_owned());
        }
        self.store.change(|store| store.initializer = Some(name.to_owned()));
        Outcome::Done
    }

    /// A clone, or a rewind: the leader's history in a new incarnation.
    fn copy(&mut self, at: usize, leader: &Leader, op: Op) -> Outcome {
        let source = self.slot_of(&leader.pod_uid).and_then(|from| self.slots.get(from));
        let open = source.filter(|source| source.postgres == Postgres::Primary { postmaster: true });
        let Some(data) = open.and_then(|source| source.disk.data.clone()) else {
            return Outcome::Failed("the leader is not open".to_owned());
        };
        self.on(at, |slot| {
            let fence = slot.disk.data.as_ref().map(|data| data.fence).unwrap_or_default();
            let max_term = slot.disk.data.as_ref().map(|data| data.max_term).unwrap_or_default();
            let incarnation = Incarnation(format!("{}.{}", slot.nonce(), op.0));
            slot.disk.data = Some(pgherd_core::instance::Data {
                role: DataRole::Standby,
                incarnation,
                fence,
                max_term,
                system_id: SYSTEM,
                ..data
            });
        });
        Outcome::Done
    }

    /// WAL that a stopped primary offers, as far as somebody does.
    fn fetch(&mut self, at: usize, to: pgherd_core::lease::WalPosition) -> Outcome {
        let here = self.slots.get(at).is_some_and(|slot| slot.end() >= to);
        let offered = self.slots.iter().any(|slot| slot.awake() && slot.offered.is_some_and(|end| end >= to));
        if here {
            Outcome::Done
        } else if offered {
            self.on(at, |slot| slot.disk.data.iter_mut().for_each(|data| data.end = to));
            Outcome::Done
        } else {
            Outcome::Failed("it did not come".to_owned())
        }
    }

    /// A stop in order: the shutdown checkpoint reaches whoever streams.
    fn stop(&mut self, at: usize) {
        let Some(slot) = self.slots.get(at).cloned() else { return };
        if slot.postgres.writes() {
            let end = slot.end();
            self.on(at, |slot| {
                slot.disk.data.iter_mut().for_each(|data| data.end.lsn = Lsn(end.lsn.0 + 1));
            });
            let end = self.slots.get(at).map(|slot| slot.end()).unwrap_or_default();
            for to in 0..self.slots.len() {
                if self.streams(to, at) {
                    self.on(to, |slot| slot.disk.data.iter_mut().for_each(|data| data.end = end));
                }
            }
        }
        self.kill(at);
    }

    /// Whether `to` streams from `from`.
    pub fn streams(&self, to: usize, from: usize) -> bool {
        let (Some(to), Some(from)) = (self.slots.get(to), self.slots.get(from)) else { return false };
        let follows = to.following.as_ref().is_some_and(|leader| leader.pod_uid == from.uid);
        follows && to.postgres == Postgres::Standby && from.postgres == Postgres::Primary { postmaster: true }
    }
}
