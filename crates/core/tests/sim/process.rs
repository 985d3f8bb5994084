//! Postgres as a process: starting, promoting, stopping, dying, and the watchdog that sees to the last.

use super::directory::Record;
use super::node::Postgres;
use super::world::{MEMBERS, World};
use pgherd_core::instance::{DataRole, Event, Machine, Op, Outcome, Phase, StartAs, Stop};
use pgherd_core::time::Instant;
use pgherd_core::timeline::TimelineId;

impl World {
    pub fn start_postgres(&mut self, at: usize, op: Op, how: StartAs) {
        self.guarded(at, how == StartAs::Primary, "starts");
        let primary = how == StartAs::Primary;
        let node = &mut self.nodes[at];
        if node.postgres != Postgres::Down {
            self.oracle.violated("a second postmaster".to_owned());
            return;
        }
        node.postmaster += 1;
        node.stopping = false;
        node.postgres = Postgres::Starting;
        let leader = match how {
            StartAs::Primary => None,
            StartAs::Standby(leader) => {
                node.configured = None;
                leader
            }
        };
        if let Some(data) = &mut node.disk.data {
            data.role = if primary { DataRole::Primary } else { DataRole::Standby };
        }
        let postmaster = node.postmaster;
        self.follow(at, leader);
        let fails = self.dice.percent(2);
        self.after(at, (80, 500), op, move |w, at| {
            let node = &mut w.nodes[at];
            if fails || node.postmaster != postmaster || node.postgres != Postgres::Starting {
                if node.postmaster == postmaster {
                    node.postgres = Postgres::Down;
                }
                return Outcome::Failed("postgres ended while it started".to_owned());
            }
            node.postgres = if primary { Postgres::Primary } else { Postgres::Standby };
            if primary {
                let crashed = |machine: &Machine| matches!(machine.phase(), Phase::Crashed(_));
                let end = w.nodes[at].disk.data.as_ref().map(|data| data.wal.len());
                w.nodes[at].recovered = end.filter(|_| w.nodes[at].machine.as_ref().is_some_and(crashed));
                w.write_record(at);
                w.opens_with_its_setting(at);
            }
            Outcome::Done
        });
    }

    /// Hole 20: nothing that can write begins without a hold and a watchdog.
    fn guarded(&mut self, at: usize, writes: bool, does: &str) {
        let node = &self.nodes[at];
        let holds = node.machine.as_ref().is_some_and(|machine| machine.hold().is_some());
        if writes && !(holds && node.armed.is_some()) {
            let why = format!("{} {does} as a primary without a hold or a watchdog", node.name);
            self.oracle.violated(why);
        }
    }

    pub fn promote(&mut self, at: usize, op: Op, reserved: TimelineId) {
        self.guarded(at, true, "is promoted");
        let postmaster = self.nodes[at].postmaster;
        let fails = self.dice.percent(2);
        self.after(at, (40, 300), op, move |w, at| {
            let node = &w.nodes[at];
            if fails || node.postgres != Postgres::Standby || node.postmaster != postmaster {
                return Outcome::Failed("promotion failed".to_owned());
            }
            w.is_promoted(at, reserved.0);
            let id = w.next_id();
            let node = &mut w.nodes[at];
            node.postgres = Postgres::Primary;
            node.following = None;
            if let Some(data) = &mut node.disk.data {
                data.wal.push(Record { timeline: reserved.0, id });
                data.role = DataRole::Primary;
            }
            w.nodes[at].recovered = None;
            w.opens_with_its_setting(at);
            let lineage = w.nodes[at].disk.data.as_ref().map(super::directory::Directory::lineage);
            Outcome::Promoted(reserved, lineage)
        });
    }

    pub fn stop_postgres(&mut self, at: usize, op: Op, how: Stop) {
        self.nodes[at].stopping = true;
        let postmaster = self.nodes[at].postmaster;
        let (least, most) = if how.checkpoint_first { (100, 1_500) } else { (20, 300) };
        self.after(at, (least, most), op, move |w, at| {
            if how.fast.is_some() && w.nodes[at].postmaster == postmaster && w.nodes[at].postgres == Postgres::Primary {
                // The shutdown checkpoint goes out to whoever streams.
                w.write_record(at);
                for to in 0..MEMBERS {
                    let uid = w.nodes[at].uid.clone();
                    let follows = w.nodes[to].following.as_ref().is_some_and(|leader| leader.pod_uid == uid);
                    if follows && w.nodes[to].streaming && w.nodes[to].reaches_peers() && w.nodes[at].reaches_peers() {
                        w.ship(at, to);
                    }
                }
            }
            if w.nodes[at].postmaster == postmaster {
                w.kill_postgres(at);
            }
            Outcome::Done
        });
    }

    pub fn kill_postgres(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.postmaster += 1;
        node.postgres = Postgres::Down;
        node.streaming = false;
        node.senders.clear();
        // Clients that waited never learn what became of their commits.
        node.waiting.clear();
    }

    /// Hole 10: nobody writes before the setting is there.
    fn opens_with_its_setting(&mut self, at: usize) {
        if self.sync.is_some() && self.nodes[at].configured.is_none() {
            let name = self.nodes[at].name.clone();
            self.oracle.violated(format!("{name} writes without having been told whom to wait for"));
        }
        self.nodes[at].setting = self.nodes[at].configured.clone().unwrap_or_default();
        self.settings_go_with_the_record();
    }

    /// It dies unasked: the manager hears of it, unless it was about to stop it.
    pub fn crash_postgres(&mut self, at: usize) {
        if self.nodes[at].postgres == Postgres::Down {
            return;
        }
        self.note(|w| format!("{}: postgres dies", w.nodes[at].name));
        let asked = self.nodes[at].stopping;
        self.kill_postgres(at);
        if !asked {
            self.later_for(at, 1, move |w| w.tell(at, Event::PostgresExited("signal 9".to_owned())));
        }
    }

    pub fn arm(&mut self, at: usize, deadline: Instant) {
        self.nodes[at].armed = Some(deadline);
        let look = deadline.since(self.now).as_millis() as u64 + 1;
        let delay = look + self.dice.between(0, 50);
        // It is a process of its own: it looks also while the manager is frozen.
        self.later_for(at, delay, move |w| {
            if w.nodes[at].armed == Some(deadline) {
                w.crash_postgres(at);
            }
        });
    }

    /// PID 1 is gone, and with it everything in its namespace.
    pub fn end_container(&mut self, at: usize, proof: bool) {
        self.note(|w| format!("{} ends", w.nodes[at].nonce));
        self.kill_postgres(at);
        let node = &mut self.nodes[at];
        (node.machine, node.armed, node.offered, node.frozen) = (None, None, None, false);
        node.pending.clear();
        if proof {
            let nonce = node.nonce.clone();
            let delay = self.dice.between(20, 400);
            self.later(delay, move |w| {
                w.nodes[at].dead_nonces.push(nonce);
                w.pods_changed();
            });
        }
    }
}
