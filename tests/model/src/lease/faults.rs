//! Time, and what goes wrong.

use super::limits::Limits;
use super::state::{Job, Postgres, Slot, State};
use crate::shared::Shared;
use pgherd_core::instance::{Event, Link, Machine};

impl State {
    /// A second passes: the watchdogs look first, at their latest; then every manager that is awake.
    pub fn tick(&mut self, limits: &Limits) {
        self.tick += 1;
        for at in 0..self.slots.len() {
            self.watchdog(limits, at);
        }
        for at in 0..self.slots.len() {
            self.beat(limits, at);
        }
    }

    /// What a manager hears without being asked: once in a second.
    pub fn beat(&mut self, limits: &Limits, at: usize) {
        self.watchdog(limits, at);
        if !self.slots.get(at).is_some_and(|slot| slot.awake()) {
            return;
        }
        self.sample(limits, at);
        if limits.joins == 0 && limits.doubles == 0 {
            self.see_peers(limits, at);
        }
        self.tell(limits, at, Event::Ticked);
    }

    /// The state of a standby's link, where it has changed.
    fn sample(&mut self, limits: &Limits, at: usize) {
        let Some(slot) = self.slots.get(at).cloned() else { return };
        if limits.sync > 0 && slot.postgres.writes() {
            return self.sample_standbys(limits, at);
        }
        if slot.postgres != Postgres::Standby {
            return;
        }
        let from = slot.following.as_ref().and_then(|leader| self.slot_of(&leader.pod_uid));
        let source = from.filter(|from| self.streams(at, *from)).and_then(|from| self.slots.get(from));
        if let Some(end) = source.map(|source| source.end()).filter(|end| *end > slot.end()) {
            self.on(at, |slot| slot.disk.data.iter_mut().for_each(|data| data.end = end));
        }
        let position = self.slots.get(at).map(|slot| slot.end()).unwrap_or_default();
        let streaming = from.is_some_and(|from| self.streams(at, from));
        let link = Some(Link { streaming, position });
        if slot.link != link {
            self.on(at, |slot| slot.link = link);
            self.tell(limits, at, Event::LinkSampled(Link { streaming, position }));
        }
    }

    /// Who streams from a primary, where that has changed.
    fn sample_standbys(&mut self, limits: &Limits, at: usize) {
        let streaming = (0..self.slots.len()).filter(|to| self.streams(*to, at));
        let names: Vec<String> = streaming.filter_map(|to| self.slots.get(to)).map(|slot| slot.name.clone()).collect();
        if self.slots.get(at).is_some_and(|slot| slot.standbys != names) {
            self.on(at, |slot| slot.standbys.clone_from(&names));
            self.tell(limits, at, Event::StandbysSampled(names));
        }
    }

    /// The other pods, where they have changed.
    pub fn see_peers(&mut self, limits: &Limits, at: usize) {
        let peers = self.peers_of(at);
        if self.slots.get(at).is_some_and(|slot| slot.peers != peers) {
            self.on(at, |slot| slot.peers.clone_from(&peers));
            self.tell(limits, at, Event::PeersSeen(peers));
        }
    }

    /// Rule L5: whatever its manager does, past the deadline everything is killed within k.
    fn watchdog(&mut self, limits: &Limits, at: usize) {
        let now = self.now(at);
        let Some(slot) = self.slots.get(at).cloned() else { return };
        let past = slot.armed.is_some_and(|deadline| now.since(deadline).as_secs() >= limits.kill && now >= deadline);
        if !past || slot.postgres == Postgres::Down && slot.jobs.is_empty() {
            return;
        }
        let void = |job: &Job| match job {
            Job::Promote(op, _) | Job::StartPrimary(op) => Some(*op),
            _ => None,
        };
        let dropped: Vec<_> = slot.jobs.iter().filter_map(void).collect();
        self.on(at, |slot| {
            slot.postgres = Postgres::Down;
            slot.jobs.retain(|job| void(job).is_none());
        });
        for op in dropped {
            self.void(limits, at, op);
        }
        self.tell(limits, at, Event::PostgresExited("killed by the watchdog".to_owned()));
    }

    /// The postmaster dies, and its backends go on for a while.
    pub fn crash(&mut self, limits: &Limits, at: usize) {
        self.on(at, |slot| slot.postgres = Postgres::Primary { postmaster: false });
        self.tell(limits, at, Event::PostgresExited("a signal".to_owned()));
    }

    /// Another manager in the same pod, on the same volume.
    pub fn boot(&mut self, limits: &Limits, at: usize) {
        let seen = self.store.newest().saturating_sub(1);
        let elections = self.store.elections.len();
        self.on(at, |slot| {
            slot.generation += 1;
            slot.machine = Some(Machine::new(slot.me(), limits.timings_of(at, slot.generation)));
            slot.seen = seen;
            slot.elections = elections;
            slot.deaths = 0;
            (slot.misses, slot.has_none) = (false, false);
            slot.pledged = None;
            slot.standbys.clear();
        });
        self.see_cluster(limits, at);
        self.see_peers(limits, at);
    }

    /// What has happened meanwhile is heard now, the deadline first.
    pub fn thaw(&mut self, limits: &Limits, at: usize) {
        let pending = self.slots.get(at).and_then(|slot| slot.frozen.clone()).unwrap_or_default();
        self.on(at, |slot| slot.frozen = None);
        for event in pending {
            self.tell(limits, at, event);
        }
    }

    /// A pod is deleted by force: another of its name, on a volume of its own that was copied from the first.
    pub fn replace(&mut self, at: usize) {
        self.spent.doubles += 1;
        let Some(slot) = self.slots.get(at) else { return };
        let uid = format!("{}'", slot.uid);
        let mut double = Slot::new(&slot.name, &uid);
        double.disk = slot.disk.clone();
        self.slots.push(Shared::new(double));
    }

    /// The controller adds a member.
    pub fn join(&mut self) {
        self.spent.joined += 1;
        let name = format!("c-{}", self.slots.len() + 1);
        let uid = format!("u{}", self.slots.len() + 1);
        self.slots.push(Shared::new(Slot::new(&name, &uid)));
    }
}
