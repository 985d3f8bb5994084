//! What goes wrong, and when it is over.

use super::directory::Directory;
use super::node::Postgres;
use super::world::{MEMBERS, World};
use pgherd_core::identity::PodUid;
use pgherd_core::instance::Event;
use pgherd_core::lease::{HolderState, Term};
use pgherd_core::sync::{Durability, Method, SyncSpec};

/// The cluster has come up by then, as a rule: a fault may meet it in the making, too.
const FIRST: u64 = 4_000;
const LAST: u64 = 45_000;
/// Two of [`World::strike`]: a volume is lost, and that of whoever takes over next.
const VOLUME: u64 = 12;
const SUCCESSOR: u64 = 18;

/// How bad it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every volume can be read again soon: processes die and are restarted with proof, answers get lost.
    Gentle,
    /// Also partitions, frozen processes, lost nodes, pods replaced without proof, a lost volume.
    Harsh,
    /// The same, with commits that wait for one other member, or two.
    Required(u32),
    /// The same, with commits that wait for another member while there is one.
    Preferred,
}

impl Kind {
    /// Numbers of [`World::strike`].
    fn strikes(self) -> Vec<u64> {
        let everywhere = [14, 15, 16, 17];
        match self {
            Kind::Gentle => (0..6).chain([15, 16]).collect(),
            Kind::Harsh => (0..13).chain(everywhere).chain([SUCCESSOR]).collect(),
            // A quorum that is partly gone for good has nobody to elect.
            Kind::Required(2) | Kind::Preferred => (0..12).chain(everywhere).collect(),
            Kind::Required(_) => (0..14).chain(everywhere).chain([SUCCESSOR]).collect(),
        }
    }

    pub fn replication(self) -> Option<SyncSpec> {
        let spec = |number, durability| SyncSpec {
            method: Method::Any,
            number,
            legacy_minimum: None,
            max_from_cluster: None,
            pre: Vec::new(),
            post: Vec::new(),
            durability,
            failover_quorum: true,
        };
        match self {
            Kind::Gentle | Kind::Harsh => None,
            Kind::Required(number) => Some(spec(number, Durability::Required)),
            Kind::Preferred => Some(spec(1, Durability::Preferred)),
        }
    }
}

pub fn schedule(world: &mut World, kind: Kind) {
    let count = if kind.replication().is_some() { world.dice.between(3, 11) } else { world.dice.between(2, 7) };
    let mut healed = FIRST;
    let mut volumes_lost = 0;
    for _ in 0..count {
        let at = world.dice.between(FIRST, LAST);
        let member = world.dice.between(0, MEMBERS as u64) as usize;
        let of_primary = world.dice.percent(60);
        let lasts = world.dice.between(200, 15_000);
        let kinds = kind.strikes();
        let which = kinds[world.dice.between(0, kinds.len() as u64) as usize];
        let takes_one = [VOLUME, SUCCESSOR].contains(&which);
        let which = if takes_one && volumes_lost > 0 { 0 } else { which };
        volumes_lost += u64::from(takes_one);
        healed = healed.max(at + lasts + 1_000);
        world.later(at, move |w| {
            let member = if of_primary { w.primary().unwrap_or(member) } else { member };
            w.strike(which, member, lasts);
        });
    }
    world.healed_at = healed;
}

impl World {
    fn primary(&self) -> Option<usize> {
        let holder = self.lease.value.held_by()?;
        self.nodes.iter().position(|node| node.name == holder.name)
    }

    fn strike(&mut self, which: u64, at: usize, lasts: u64) {
        let names = [
            "postmaster dies",
            "manager dies",
            "answers get lost",
            "SIGTERM",
            "switchover",
            "controller down",
            "cut from API",
            "isolated",
            "frozen",
            "node lost",
            "manager dies, proven late",
            "pod replaced",
            "volume lost",
            "cut from peers",
            "disk hangs",
            "two controllers",
            "lease touched",
            "lease deleted",
            "successor's volume lost",
        ];
        self.note(|w| format!("FAULT {} of {} for {lasts} ms", names[which as usize], w.nodes[at].name));
        match which {
            0 => self.crash_postgres(at),
            1 => self.restart_container(at, true, 200, 900),
            2 => {
                self.nodes[at].loses_answers = true;
                self.later(lasts.min(5_000), move |w| w.nodes[at].loses_answers = false);
            }
            3 => self.tell(at, Event::TerminationRequested),
            4 => {
                let standby = self.nodes[at].postgres == Postgres::Standby;
                let target = if standby { at } else { (at + 1) % MEMBERS };
                self.status.target_primary = Some(self.nodes[target].name.clone());
                self.cluster_changed();
            }
            5 => {
                self.controllers[0].down = true;
                self.later(lasts, |w| {
                    w.controllers[0].down = false;
                    w.wake_controllers();
                });
            }
            6 | 7 => self.cut(at, which == 7, lasts),
            13 => {
                self.nodes[at].cut_from_peers = true;
                self.later(lasts, move |w| w.nodes[at].cut_from_peers = false);
            }
            14 => {
                self.unreadable(at, lasts + 10_000);
                self.nodes[at].wedged = true;
                self.later(lasts, move |w| w.nodes[at].wedged = false);
            }
            15 => {
                self.controllers[1].down = false;
                self.wake_controllers();
                self.later(lasts, |w| w.controllers[1].down = true);
            }
            16 => self.touch_lease(),
            // Before there is a database its making is the controller's plain work.
            17 if self.status.system_id.is_some() => self.delete_lease(),
            17 => {}
            SUCCESSOR => {
                let (term, until) = (self.lease.value.term, self.elapsed() + lasts);
                self.unreadable(at, 20_000);
                self.restart_container(at, true, 5_000, 9_000);
                self.await_successor(term, until);
            }
            8 => self.freeze(at, lasts),
            9 => {
                self.unreadable(at, lasts + 5_000);
                self.nodes[at].off = true;
                self.end_container(at, false);
                let nonce = self.nodes[at].nonce.clone();
                self.later(lasts, move |w| {
                    w.nodes[at].off = false;
                    w.nodes[at].dead_nonces.push(nonce);
                    w.pods_changed();
                    w.boot(at);
                });
            }
            10 => {
                // The kubelet says so much later.
                self.unreadable(at, 30_000);
                let nonce = self.nodes[at].nonce.clone();
                self.restart_container(at, false, 200, 9_000);
                let late = self.dice.between(5_000, 25_000);
                self.later(late, move |w| {
                    w.nodes[at].dead_nonces.push(nonce);
                    w.pods_changed();
                });
            }
            11 => {
                self.unreadable(at, 20_000);
                let generation = self.nodes[at].generation;
                self.restart_container(at, false, 500, 9_000);
                self.nodes[at].uid = PodUid(format!("uid-{}-{generation}", self.nodes[at].name));
            }
            // Nobody comes back from the loss of the only data there are.
            _ if self.sound_others(at).next().is_none() => self.restart_container(at, true, 500, 9_000),
            _ => {
                self.unreadable(at, u64::MAX / 2);
                self.restart_container(at, true, 500, 9_000);
                match lasts % 3 {
                    0 => self.nodes[at].disk = super::directory::Disk::default(),
                    // Its WAL is on a volume of its own, and that one alone is lost.
                    1 => self.lose_wal(at),
                    _ => self.nodes[at].disk.data.iter_mut().for_each(|data| data.damaged = true),
                }
            }
        }
    }

    /// Whoever is open by a later term than this, before that moment, loses its volume, as soon as another member has come
    /// to the timeline that it opened: before that its data are the only ones that can be gone on with (ADR 23).
    fn await_successor(&mut self, term: Term, until: u64) {
        let after = self.dice.between(1, 300);
        self.later(after, move |w| {
            let opened = w.lease.value.term > term && w.lease.value.state == HolderState::Open;
            match w.primary().filter(|at| opened && w.is_followed(*at)) {
                Some(at) => {
                    let how = w.dice.between(0, 3);
                    w.strike(VOLUME, at, how);
                }
                None if w.elapsed() < until => w.await_successor(term, until),
                None => {}
            }
        });
    }

    fn is_followed(&self, at: usize) -> bool {
        let Some(own) = self.nodes[at].disk.data.as_ref() else { return false };
        let begins = own.lineage().begins().map_or(0, |left| left.lsn.0);
        self.sound_others(at).any(|data| data.is_prefix_of(own) && data.end().lsn.0 >= begins)
    }

    fn sound_others(&self, at: usize) -> impl Iterator<Item = &Directory> {
        let others = self.nodes.iter().enumerate().filter(move |(other, _)| *other != at);
        others.filter_map(|(_, node)| node.disk.data.as_ref()).filter(|data| data.is_sound())
    }

    /// What the manager finds: data up to some checkpoint, fit only to be cloned anew, under a name that acknowledged nothing.
    fn lose_wal(&mut self, at: usize) {
        let incarnation = self.next_id();
        if let Some(data) = &mut self.nodes[at].disk.data {
            data.torn = true;
            data.incarnation = incarnation;
            data.wal.truncate(data.wal.len() / 2);
        }
    }

    fn unreadable(&mut self, at: usize, lasts: u64) {
        let from = self.elapsed();
        self.oracle.unreadable.push((at, from, from + lasts));
    }

    fn restart_container(&mut self, at: usize, proof: bool, least: u64, most: u64) {
        if self.nodes[at].machine.is_some() {
            self.end_container(at, proof);
        }
        let delay = self.dice.between(least, most);
        self.later(delay, move |w| w.boot(at));
    }

    fn cut(&mut self, at: usize, from_all: bool, lasts: u64) {
        self.unreadable(at, lasts + 10_000);
        (self.nodes[at].cut_from_api, self.nodes[at].cut_from_peers) =
            (true, from_all || self.nodes[at].cut_from_peers);
        self.later(lasts, move |w| {
            (w.nodes[at].cut_from_api, w.nodes[at].cut_from_peers) = (false, false);
            w.note(|w| format!("{} is no longer cut off", w.nodes[at].name));
            w.list(at);
        });
    }

    /// The manager stands still; the watchdog does not.
    fn freeze(&mut self, at: usize, lasts: u64) {
        self.unreadable(at, lasts + 10_000);
        self.nodes[at].frozen = true;
        let generation = self.nodes[at].generation;
        self.later(lasts, move |w| {
            if w.lives(at, generation) {
                w.nodes[at].frozen = false;
                w.note(|w| format!("{} thaws", w.nodes[at].name));
                for event in core::mem::take(&mut w.nodes[at].pending) {
                    w.tell(at, event);
                }
            }
        });
    }
}
