//! Commands carried out: each takes its time, and most can fail.

use super::directory::Directory;
use super::node::{Node, Postgres};
use super::world::World;
use pgherd_core::identity::Nonce;
use pgherd_core::instance::{
    Command, DataRole, Leader, LeaderWord, Offer, Op, Outcome, Source, Sources, choose_source,
};
use pgherd_core::time::Instant;

impl World {
    pub fn carry_out(&mut self, at: usize, command: Command) {
        if !matches!(command, Command::ProveWritePath { .. } | Command::ArmWatchdog(_) | Command::PutLease { .. }) {
            self.note(|w| format!("{} does {command:?}", w.nodes[at].name));
        }
        match command {
            Command::InspectVolume(op) if self.nodes[at].wedged => {
                self.nodes[at].inspecting = Some(op);
                self.later_for(at, 100, move |w| w.carry_out(at, Command::InspectVolume(op)));
            }
            Command::InspectVolume(op) => {
                self.nodes[at].inspecting = Some(op);
                self.after(at, (10, 150), op, move |w, at| {
                    // On a disk that hung an answer may come that nobody waits for any more.
                    if w.nodes[at].postgres != Postgres::Down && w.nodes[at].inspecting == Some(op) {
                        w.oracle.violated("a volume is read while postgres runs".to_owned());
                    }
                    Outcome::Inspected(w.nodes[at].disk.inspect())
                });
            }
            Command::DiscardPartial(op) => self.after(at, (5, 50), op, |w, at| {
                w.nodes[at].disk.partial = false;
                Outcome::Done
            }),
            Command::ClaimInitialization(op) => self.after(at, (5, 50), op, World::claim),
            Command::InitializeDatabase(op) => {
                self.nodes[at].disk.partial = true;
                self.after(at, (300, 900), op, World::initdb);
            }
            Command::CloneFrom(op, leader, sources) => {
                self.nodes[at].disk.partial = true;
                let source = self.source_of(at, &leader, sources);
                self.after(at, (300, 1500), op, move |w, at| w.clone_from(at, &leader, &source));
            }
            Command::Rejoin(op, leader) => self.rejoin(at, op, leader),
            Command::StartPostgres(op, how) => self.start_postgres(at, op, how),
            Command::BootstrapDatabase(op) => self.after(at, (50, 200), op, primary_only),
            Command::PublishSystemId(op, id) => self.after(at, (5, 30), op, move |w, at| {
                if w.nodes[at].cut_from_api {
                    return Outcome::Failed("cut off".to_owned());
                }
                w.status.system_id = Some(id);
                w.cluster_changed();
                Outcome::Done
            }),
            Command::StopPostgres(op, how) => self.stop_postgres(at, op, how),
            Command::KillEverything(op) => {
                self.nodes[at].stopping = true;
                self.after(at, (1, 40), op, |w, at| {
                    w.kill_postgres(at);
                    w.nodes[at].armed = None;
                    Outcome::Done
                });
            }
            Command::Follow(leader) => {
                let delay = self.dice.between(5, 60);
                self.later_for(at, delay, move |w| w.follow(at, leader));
            }
            Command::AwaitPosition(op, to) => self.await_position(at, op, to, 9_000),
            Command::ConfirmTail(op, holder, term) => self.confirm_tail(at, op, &holder, term),
            Command::LookForProof(op, pod, nonce) => self.after(at, (5, 30), op, move |w, at| w.look(at, &pod, &nonce)),
            Command::Promote(op, timeline) => self.promote(at, op, timeline),
            Command::Fence(op, term) => self.fence(at, op, term),
            Command::RefuseFence(op, why) => self.refuse_fence(op, &why),
            Command::PutLease { op, over, record } => self.put_lease(at, op, over, record),
            Command::CreateLease { op, record } => {
                let sent = self.now;
                self.after(at, (5, 30), op, move |w, at| {
                    if w.nodes[at].cut_from_api {
                        return Outcome::Unknown { why: "cut off".to_owned(), sent };
                    }
                    match w.make_lease(record) {
                        Some(version) => Outcome::Stored { version, sent },
                        None => Outcome::Conflicted(w.lease.clone()),
                    }
                });
            }
            Command::RememberTerm(term) => {
                let delay = self.dice.between(2, 60);
                self.later_for(at, delay, move |w| w.nodes[at].disk.max_term = w.nodes[at].disk.max_term.max(term));
            }
            Command::Alarm(_) if self.lease_touched => {}
            Command::Alarm(why) => self.oracle.violated(format!("a needless alarm: {why}")),
            Command::ProveWritePath { op, sql } => self.prove(at, op, sql),
            Command::ArmWatchdog(deadline) => self.arm(at, deadline),
            Command::DisarmWatchdog => {
                if self.nodes[at].postgres == Postgres::Primary {
                    self.oracle.violated("a watchdog is disarmed under a primary".to_owned());
                }
                self.nodes[at].armed = None;
            }
            Command::AnnouncePrimary(_) => {
                let name = self.nodes[at].name.clone();
                let delay = self.dice.between(5, 30);
                self.later_for(at, delay, move |w| {
                    if !w.nodes[at].cut_from_api {
                        w.status.current_primary = Some(name);
                        w.cluster_changed();
                    }
                });
            }
            Command::UseTail(source) => self.nodes[at].tail_source = source,
            Command::OfferTail(end) => self.nodes[at].offered = end,
            Command::Archive(_) | Command::ApplyConfiguration => {}
            Command::ConfigureSynchronous(setting) => self.nodes[at].configured = Some(setting),
            Command::GateClients(gated) => self.nodes[at].gated = gated,
            Command::SetSynchronous(op, setting) => self.set_synchronous(at, op, setting),
            Command::Barrier(op, setting, lsn) => self.barrier(at, op, setting, lsn, 5_000),
            Command::AskPledges(op, round) => self.ask_pledges(at, op, round),
            Command::AnswerPledge(op, answer) => self.answer_pledge(op, answer),
            Command::AnswerTail(op, answer) => self.answer_tail(op, answer),
            Command::Exit(_) => {
                self.end_container(at, true);
                let delay = self.dice.between(200, 1_200);
                self.later(delay, move |w| w.boot(at));
            }
        }
    }

    /// Does something for this manager and no later one.
    pub fn later_for(&mut self, at: usize, ms: u64, act: impl FnOnce(&mut World) + 'static) {
        let generation = self.nodes[at].generation;
        self.later(ms, move |w| {
            if w.lives(at, generation) {
                act(w);
            }
        });
    }

    pub fn after(
        &mut self,
        at: usize,
        (least, most): (u64, u64),
        op: Op,
        act: impl FnOnce(&mut World, usize) -> Outcome + 'static,
    ) {
        let generation = self.nodes[at].generation;
        let delay = self.dice.between(least, most);
        self.later_for(at, delay, move |w| {
            let outcome = act(w, at);
            w.answer(at, generation, op, outcome);
        });
    }

    /// Rule E3: nobody of a term that it has promised not to follow, and with the earlier terms promised first.
    pub fn follow(&mut self, at: usize, leader: Option<Leader>) {
        let node = &mut self.nodes[at];
        node.link += 1;
        node.following = leader.filter(|leader| leader.term > node.disk.fence);
        if let Some(leader) = &node.following {
            node.disk.fence = node.disk.fence.max(pgherd_core::lease::Term(leader.term.0.saturating_sub(1)));
        }
    }

    fn claim(&mut self, at: usize) -> Outcome {
        let name = self.nodes[at].name.clone();
        let taken = self.status.initializing.as_ref().is_some_and(|other| *other != name);
        if self.nodes[at].cut_from_api || taken || self.status.system_id.is_some() {
            return Outcome::Failed("claimed by another, or out of reach".to_owned());
        }
        self.status.initializing = Some(name);
        self.cluster_changed();
        Outcome::Done
    }

    fn initdb(&mut self, at: usize) -> Outcome {
        if self.status.system_id.is_some() {
            self.oracle.violated("initdb in a cluster that has a database".to_owned());
        }
        let incarnation = self.next_id();
        let disk = &mut self.nodes[at].disk;
        disk.partial = false;
        disk.data =
            Some(Directory { incarnation, role: DataRole::Primary, torn: false, damaged: false, wal: Vec::new() });
        self.write_record(at);
        if let Some(record) = self.nodes[at].disk.data.as_mut().and_then(|data| data.wal.first_mut()) {
            record.timeline = 1;
        }
        Outcome::Done
    }

    /// Whom core has it copied from.
    fn source_of(&self, at: usize, leader: &Leader, sources: Sources) -> Source {
        let streams = |node: &&Node| {
            let follows = node.following.as_ref().is_some_and(|whom| whom.pod_uid == leader.pod_uid);
            node.postgres == Postgres::Standby && node.streaming && follows && node.reaches_peers()
        };
        let standbys = self.nodes.iter().filter(streams).filter(|_| self.nodes[at].reaches_peers());
        let offers: Vec<Offer> = standbys
            .filter_map(|node| {
                let end = node.disk.data.as_ref()?.end();
                let (timeline, flushed) = (end.timeline, Some(end.lsn));
                Some(Offer { name: node.name.clone(), address: node.name.clone(), timeline, follows: true, flushed })
            })
            .collect();
        let streaming = offers.iter().map(|offer| offer.name.clone()).collect();
        choose_source(leader, sources, Some(&LeaderWord { streaming, keeps_wal: true }), &offers)
    }

    /// A standby's directory is not the one that core knew any more, where it died or was cut off since.
    fn copied(&self, at: usize, leader: &Leader, source: &Source) -> Option<&Directory> {
        let Source::Standby { name, .. } = source else { return self.open_source(at, leader) };
        let node = self.nodes.iter().find(|node| node.name == *name)?;
        let there = node.postgres == Postgres::Standby && node.reaches_peers() && self.nodes[at].reaches_peers();
        node.disk.data.as_ref().filter(|_| there)
    }

    fn clone_from(&mut self, at: usize, leader: &Leader, source: &Source) -> Outcome {
        let incarnation = self.next_id();
        let Some(source) = self.copied(at, leader, source) else { return Outcome::Failed("no source".to_owned()) };
        let wal = source.wal.clone();
        let disk = &mut self.nodes[at].disk;
        disk.partial = false;
        disk.data = Some(Directory { incarnation, role: DataRole::Standby, torn: false, damaged: false, wal });
        Outcome::Done
    }

    fn rejoin(&mut self, at: usize, op: Op, leader: Leader) {
        let Some(source) = self.open_source(at, &leader) else {
            return self.after(at, (10, 100), op, |_, _| Outcome::Failed("no source".to_owned()));
        };
        let ahead = self.nodes[at].disk.data.as_ref().is_some_and(|mine| mine.is_prefix_of(source));
        if ahead {
            return self.after(at, (10, 100), op, |w, at| {
                if let Some(data) = &mut w.nodes[at].disk.data {
                    data.role = DataRole::Standby;
                }
                Outcome::Done
            });
        }
        if self.dice.percent(15) {
            return self.after(at, (10, 100), op, |_, _| Outcome::CloneDue("no common history".to_owned()));
        }
        if let Some(data) = &mut self.nodes[at].disk.data {
            data.torn = true;
        }
        self.after(at, (100, 800), op, move |w, at| {
            let incarnation = w.next_id();
            let Some(source) = w.open_source(at, &leader) else { return Outcome::CloneDue("torn".to_owned()) };
            let wal = source.wal.clone();
            w.nodes[at].disk.data =
                Some(Directory { incarnation, role: DataRole::Standby, torn: false, damaged: false, wal });
            Outcome::Done
        });
    }

    fn open_source(&self, at: usize, leader: &Leader) -> Option<&Directory> {
        let source = self.nodes.iter().find(|other| other.uid == leader.pod_uid)?;
        let open = source.postgres == Postgres::Primary && source.reaches_peers() && self.nodes[at].reaches_peers();
        source.disk.data.as_ref().filter(|_| open)
    }

    fn look(&mut self, at: usize, pod: &str, nonce: &Nonce) -> Outcome {
        if self.nodes[at].cut_from_api {
            return Outcome::Failed("cut off".to_owned());
        }
        let dead = self.nodes.iter().any(|node| node.name == pod && node.dead_nonces.contains(nonce));
        if dead { Outcome::Done } else { Outcome::NotFound }
    }

    fn prove(&mut self, at: usize, op: Op, sql: bool) {
        let began: Instant = self.now;
        self.prove_since(at, op, sql, began);
    }

    /// On a disk that hangs it has no end.
    fn prove_since(&mut self, at: usize, op: Op, sql: bool, began: Instant) {
        if self.nodes[at].wedged {
            return self.later_for(at, 100, move |w| w.prove_since(at, op, sql, began));
        }
        self.after(at, (1, 20), op, move |w, at| {
            if sql && w.nodes[at].postgres != Postgres::Primary {
                return Outcome::Failed("no postgres".to_owned());
            }
            Outcome::Proven(began)
        });
    }
}

fn primary_only(world: &mut World, at: usize) -> Outcome {
    if world.nodes[at].postgres == Postgres::Primary {
        Outcome::Done
    } else {
        Outcome::Failed("postgres is gone".to_owned())
    }
}
