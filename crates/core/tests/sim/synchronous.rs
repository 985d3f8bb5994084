//! Synchronous replication as postgres does it: each walsender goes by its own copy of the setting, lets go of waiting
//! commits by the positions that it was told, and hears of a new setting when it gets round to it.

use super::node::Postgres;
use super::world::{MEMBERS, World};
use pgherd_core::instance::{Op, Outcome};
use pgherd_core::lsn::Lsn;
use pgherd_core::sync::SyncSetting;

const LOOK_AGAIN: u64 = 15;
const STEP_WITHIN: u64 = 5_000;

/// One walsender of a primary.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its copy of `synchronous_standby_names`.
    pub copy: SyncSetting,
    /// What its standby has said that it has flushed.
    pub flushed: usize,
    /// The connection: a standby that comes back has another one.
    pub link: u64,
    /// It connected by the name that settings have.
    pub counts: bool,
}

impl World {
    /// The walsenders follow the connections of the standbys.
    pub fn connect(&mut self, leader: usize, standby: usize) {
        let link = self.nodes[standby].link;
        let counts = self.nodes[standby].following.as_ref().is_some_and(|leader| leader.counts_me);
        let copy = self.nodes[leader].setting.clone();
        let senders = &mut self.nodes[leader].senders;
        if senders.get(&standby).is_none_or(|sender| sender.link != link) {
            senders.insert(standby, Sender { copy, flushed: 0, link, counts });
        }
    }

    pub fn disconnect_all_but(&mut self, standby: usize, leader: Option<usize>) {
        for at in (0..MEMBERS).filter(|at| Some(*at) != leader) {
            self.nodes[at].senders.remove(&standby);
        }
    }

    /// A standby has flushed, and says so; the word is under way for a while, and may outlive its sender's fence.
    pub fn acknowledges(&mut self, leader: usize, standby: usize) {
        let (link, postmaster) = (self.nodes[standby].link, self.nodes[leader].postmaster);
        let flushed = self.nodes[standby].disk.data.as_ref().map_or(0, |data| data.wal.len());
        let delay = if self.dice.percent(3) { self.dice.between(20, 400) } else { self.dice.between(1, 8) };
        self.later(delay, move |w| {
            let node = &mut w.nodes[leader];
            if node.postmaster != postmaster || node.postgres != Postgres::Primary {
                return;
            }
            if let Some(sender) = node.senders.get_mut(&standby).filter(|sender| sender.link == link) {
                sender.flushed = sender.flushed.max(flushed);
                w.release_waiters(leader, standby);
            }
        });
    }

    /// SyncRepReleaseWaiters, in the walsender of `standby`.
    fn release_waiters(&mut self, leader: usize, standby: usize) {
        let names = |at: usize, sender: &Sender| {
            sender.counts && sender.copy.members.iter().any(|member| member.name == self.nodes[at].name)
        };
        let senders = &self.nodes[leader].senders;
        let Some(sender) = senders.get(&standby).filter(|sender| names(standby, sender)) else { return };
        let mut flushed: Vec<usize> =
            senders.iter().filter(|(at, other)| names(**at, other)).map(|(_, other)| other.flushed).collect();
        flushed.sort_unstable_by(|a, b| b.cmp(a));
        let needed = sender.copy.needed as usize;
        if let Some(upto) = needed.checked_sub(1).and_then(|last| flushed.get(last).copied()) {
            self.let_go(leader, upto);
        }
    }

    pub fn let_go(&mut self, leader: usize, upto: usize) {
        let (done, waiting) = self.nodes[leader].waiting.iter().copied().partition(|(_, lsn)| *lsn <= upto);
        self.nodes[leader].waiting = waiting;
        let done: Vec<(u64, usize)> = done;
        for (id, _) in done {
            self.acknowledge(leader, id);
        }
    }

    /// The file, the reload, each walsender in its own time; then WAL that is later than all of it (Q4).
    pub fn set_synchronous(&mut self, at: usize, op: Op, setting: SyncSetting) {
        let (generation, postmaster) = (self.nodes[at].generation, self.nodes[at].postmaster);
        self.nodes[at].configured = Some(setting.clone());
        let reload = self.dice.between(2, 60);
        self.later_for(at, reload, move |w| {
            if w.nodes[at].postmaster != postmaster || w.nodes[at].postgres != Postgres::Primary {
                return w.answer(at, generation, op, Outcome::Failed("no postgres".to_owned()));
            }
            w.nodes[at].setting = setting.clone();
            if setting.needed == 0 {
                w.let_go(at, usize::MAX);
            }
            for standby in w.nodes[at].senders.keys().copied().collect::<Vec<_>>() {
                let late = if w.dice.percent(10) { w.dice.between(500, 6_000) } else { w.dice.between(1, 120) };
                w.later_for(at, late, move |w| {
                    // Whenever it gets round to it, it reads what the file says then.
                    let node = &mut w.nodes[at];
                    if let Some(sender) = node.senders.get_mut(&standby) {
                        sender.copy = node.setting.clone();
                        w.release_waiters(at, standby);
                        w.settings_go_with_the_record();
                    }
                });
            }
            w.settings_go_with_the_record();
            w.in_force(at, op, setting, STEP_WITHIN);
        });
    }

    fn in_force(&mut self, at: usize, op: Op, setting: SyncSetting, left: u64) {
        let (generation, postmaster) = (self.nodes[at].generation, self.nodes[at].postmaster);
        self.later_for(at, LOOK_AGAIN, move |w| {
            let node = &w.nodes[at];
            if node.postmaster != postmaster || node.postgres != Postgres::Primary || left < LOOK_AGAIN {
                w.answer(at, generation, op, Outcome::Failed("not in force everywhere".to_owned()));
            } else if node.senders.values().all(|sender| sender.copy == setting) {
                w.write_record(at);
                let flush = Lsn(w.nodes[at].disk.data.as_ref().map_or(0, |data| data.wal.len()) as u64);
                w.answer(at, generation, op, Outcome::InForce { flush });
            } else {
                w.in_force(at, op, setting, left - LOOK_AGAIN);
            }
        });
    }

    pub fn barrier(&mut self, at: usize, op: Op, setting: SyncSetting, lsn: Lsn, left: u64) {
        let (generation, postmaster) = (self.nodes[at].generation, self.nodes[at].postmaster);
        self.later_for(at, LOOK_AGAIN, move |w| {
            if w.nodes[at].postmaster != postmaster || w.nodes[at].postgres != Postgres::Primary || left < LOOK_AGAIN {
                return w.answer(at, generation, op, Outcome::Failed("the barrier was not reached".to_owned()));
            }
            let reached = |(standby, sender): &(&usize, &Sender)| {
                let data = w.nodes[**standby].disk.data.as_ref();
                let incarnation = data.map(|data| data.incarnation.to_string());
                let named =
                    |member: &pgherd_core::sync::SyncMember| Some(&member.incarnation.0) == incarnation.as_ref();
                sender.flushed as u64 >= lsn.0 && setting.members.iter().any(named)
            };
            let there = w.nodes[at].senders.iter().filter(reached).count();
            if there >= setting.needed_of_members() as usize {
                w.answer(at, generation, op, Outcome::Done);
            } else {
                w.barrier(at, op, setting, lsn, left - LOOK_AGAIN);
            }
        });
    }
}
