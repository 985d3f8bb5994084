//! Commands carried out: at once where only this member is concerned, as a job or a request where others can come
//! between.

use super::limits::Limits;
use super::state::{Job, Postgres, Put, SYSTEM, Slot, State, first_data};
use crate::shared::Shared;
use pgherd_core::identity::{Incarnation, Nonce, PodUid};
use pgherd_core::instance::{
    Command, DataRole, Event, Leader, LeaderWord, Offer, Op, Outcome, Phase, PledgeCall, PledgeRound, Source, Sources,
    StartAs, choose_source,
};
use pgherd_core::lease::{HolderState, LeaseRecord};
use pgherd_core::lsn::Lsn;
use pgherd_core::sync::{SyncSetting, own_entry, safe};
use std::collections::VecDeque;

/// Events that may follow from one; a machine that goes round and round makes more.
const AT_ONCE: u32 = 1000;

/// Events that follow from what is being carried out.
type Queue = VecDeque<(usize, Event)>;

impl State {
    /// Tells one machine, and carries out what it says, until nothing more follows at once.
    pub fn tell(&mut self, limits: &Limits, slot: usize, event: Event) {
        let mut queue = Queue::from([(slot, event)]);
        let mut left = AT_ONCE;
        while let Some((at, event)) = queue.pop_front() {
            if left == 0 {
                return self.violated(format!("instance {at} goes on and on without a pause: {event:?}"));
            }
            left -= 1;
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
            Command::CloneFrom(op, leader, sources) => {
                let source = self.source_of(&leader, sources);
                done(op, self.copy(at, &source, source != leader.pod_uid, op));
            }
            Command::Rejoin(op, leader) => done(op, self.copy(at, &leader.pod_uid, false, op)),
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
                self.guarded(limits, at, "starts");
                self.on(at, |slot| {
                    let recovers = slot.machine.as_ref().is_some_and(|m| matches!(m.phase(), Phase::Crashed(_)));
                    slot.unreplicated = limits.sync > 0 && recovers;
                    slot.jobs.push(Job::StartPrimary(op));
                    slot.disk.data.iter_mut().for_each(|data| data.role = DataRole::Primary);
                });
            }
            Command::Promote(op, timeline) => {
                self.guarded(limits, at, "is promoted");
                self.on(at, |slot| slot.jobs.push(Job::Promote(op, timeline)));
            }
            Command::StopPostgres(op, how) => {
                // Without a fast phase nothing is sent to the standbys any more.
                if how.fast.is_some() {
                    self.stop(at);
                } else {
                    self.kill(at);
                }
                // A backend in the kernel outlives its postmaster.
                if limits.slow_kills && slot.postgres.writes() {
                    self.on(at, |now| {
                        (now.postgres, now.armed) = (Postgres::Primary { postmaster: false }, slot.armed);
                    });
                }
                done(op, Outcome::Done);
            }
            // One loop goes on until nothing is left, whoever began it.
            Command::KillEverything(op) if limits.slow_kills => self.on(at, |slot| {
                slot.jobs.retain(|job| !matches!(job, Job::Kill(_)));
                slot.jobs.push(Job::Kill(op));
            }),
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
            Command::Fence(_, term) => {
                if self.is_bound(limits, at) {
                    self.violated(format!("{} fences itself although it has pledged", slot.uid));
                }
                self.on(at, |slot| {
                    slot.disk.data.iter_mut().for_each(|data| data.fence = data.fence.max(term));
                    slot.following = None;
                });
                let who =
                    slot.disk.data.as_ref().map(|data| (data.incarnation.clone(), term)).filter(|_| limits.sync > 0);
                self.store.change(|store| store.answers.extend(who));
            }
            Command::PutLease { .. } if slot.has_none && slot.machine.as_ref().is_some_and(|m| m.hold().is_some()) => {
                self.violated(format!("{} renews a lease that it knows to be gone", slot.uid));
            }
            Command::PutLease { op, over, record } => self.send(limits, at, op, Some(over), record),
            Command::CreateLease { op, record } => self.send(limits, at, op, None, record),
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
            Command::ConfigureSynchronous(setting) => self.on(at, |slot| slot.setting = setting),
            Command::SetSynchronous(op, setting) => {
                self.on(at, |slot| slot.setting = setting);
                done(op, Outcome::InForce { flush: slot.end().lsn });
            }
            Command::Barrier(op, setting, _) => done(op, self.barrier(at, &setting)),
            Command::GateClients(gated) => self.on(at, |slot| slot.gated = gated),
            Command::RememberTerm(term) => {
                self.on(at, |slot| slot.disk.data.iter_mut().for_each(|data| data.max_term = data.max_term.max(term)));
            }
            Command::Alarm(_) if self.spent.deletes > 0 || self.spent.set_backs > 0 => {}
            Command::Alarm(why) => self.violated(format!("a needless alarm: {why}")),
            Command::AnnouncePrimary(_)
            | Command::UseTail(_)
            | Command::Archive(_)
            | Command::ApplyConfiguration
            | Command::RefuseFence(..) => {}
            Command::Exit(_) => self.end(at, true),
        }
    }

    fn send(&mut self, limits: &Limits, at: usize, op: Op, over: Option<String>, record: LeaseRecord) {
        self.check_put(limits, at, &record);
        let put = Put {
            slot: at,
            generation: self.slots.get(at).map_or(0, |slot| slot.generation),
            op,
            creates: over.is_none(),
            over: over.unwrap_or_default(),
            record,
            sent: self.now(at),
            answer: None,
            given_up: false,
            superseded: false,
        };
        for before in self.puts.iter_mut().filter(|before| before.slot == at) {
            before.change(|before| before.superseded = true);
        }
        self.puts.push(Shared::new(put));
    }

    /// Whoever streams has everything: is that enough of the setting's members, by data directory?
    fn barrier(&mut self, at: usize, setting: &SyncSetting) -> Outcome {
        let streams = |to: &usize| self.streams(*to, at);
        let directory = |to: usize| self.slots.get(to)?.disk.data.as_ref().map(|data| data.incarnation.clone());
        let there: Vec<_> = (0..self.slots.len()).filter(streams).filter_map(directory).collect();
        let have = setting.members.iter().filter(|member| there.contains(&member.incarnation)).count();
        if u32::try_from(have).unwrap_or(0) < setting.needed_of_members() {
            return Outcome::Failed("not enough of them stream".to_owned());
        }
        self.on(at, |slot| slot.unreplicated = false);
        Outcome::Done
    }

    /// A request of this manager is under way.
    pub fn awaits_answer(&self, at: usize) -> bool {
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
            slot.jobs.retain(|job| matches!(job, Job::Kill(_) | Job::Prove(..) | Job::Inspect(_)));
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
    fn guarded(&mut self, limits: &Limits, at: usize, does: &str) {
        let now = self.now(at);
        let Some(slot) = self.slots.get(at) else { return };
        let hold = slot.machine.as_ref().and_then(|machine| machine.hold()).map(|hold| hold.deadline);
        if hold.is_none_or(|deadline| now >= deadline) || slot.armed.is_none_or(|deadline| Some(deadline) != hold) {
            return self.violated(format!("{} {does} as a primary without a hold or a watchdog", slot.uid));
        }
        // Hole 10: its setting is there before it writes.
        let lease = slot.machine.as_ref().and_then(|machine| machine.hold()).map(|hold| &hold.lease.value);
        let unsafe_setting = lease.and_then(own_entry).is_some_and(|entry| !safe(&slot.setting, entry));
        if limits.sync > 0 && unsafe_setting {
            self.violated(format!("{} {does} by a setting that its record does not know", slot.uid));
        }
    }

    /// Hole 26 and rule L6, at the sending.
    fn check_put(&mut self, limits: &Limits, at: usize, record: &LeaseRecord) {
        let now = self.now(at);
        let Some(slot) = self.slots.get(at).cloned() else { return };
        let hung = slot.wedged.is_some_and(|since| {
            now.since(since).as_secs() > limits.timings_of(at, slot.generation).renew_deadline.as_secs()
        });
        let renews = record.state != HolderState::Released && slot.postgres.writes();
        if hung && renews {
            self.violated(format!("{} renews although nothing can be written", slot.uid));
        }
        // From the moment of sending it is no holder (hole 15).
        let holds = slot.machine.as_ref().is_some_and(|machine| machine.hold().is_some());
        if record.state == HolderState::Released && holds {
            self.violated(format!("{} releases, and holds on", slot.uid));
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

    /// Whom a clone is taken from.
    fn source_of(&self, leader: &Leader, sources: Sources) -> PodUid {
        let open = self.slot_of(&leader.pod_uid);
        let standbys = self.slots.iter().enumerate().filter(|(at, _)| open.is_some_and(|open| self.streams(*at, open)));
        let offer = |slot: &Slot| {
            let (end, name, address) = (slot.end(), slot.uid.0.clone(), slot.uid.0.clone());
            Offer { name, address, timeline: end.timeline, follows: true, flushed: Some(end.lsn) }
        };
        let offers: Vec<Offer> = standbys.map(|(_, slot)| offer(slot)).collect();
        let streaming = offers.iter().map(|offer| offer.name.clone()).collect();
        match choose_source(leader, sources, Some(&LeaderWord { streaming, keeps_wal: true }), &offers) {
            Source::Leader(_) => leader.pod_uid.clone(),
            Source::Standby { address, .. } => PodUid(address),
        }
    }

    /// A clone, or a rewind: the source's history in a new incarnation.
    fn copy(&mut self, at: usize, source: &PodUid, standby: bool, op: Op) -> Outcome {
        let source = self.slot_of(source).and_then(|from| self.slots.get(from));
        let wanted = if standby { Postgres::Standby } else { Postgres::Primary { postmaster: true } };
        let up = source.filter(|source| source.postgres == wanted);
        let Some(data) = up.and_then(|source| source.disk.data.clone()) else {
            return Outcome::Failed("the source is not up".to_owned());
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
