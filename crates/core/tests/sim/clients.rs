//! Clients that write wherever they can, and replication.

use super::directory::{Directory, Record};
use super::node::Postgres;
use super::oracle::Acknowledged;
use super::world::{MEMBERS, World};

impl World {
    /// Worst case: a client that still has a connection writes there, whatever the services say.
    pub fn clients_write(&mut self) {
        for at in 0..MEMBERS {
            let node = &self.nodes[at];
            if node.postgres == Postgres::Primary && !node.gated && !node.wedged {
                self.see_what_was_recovered(at);
                let id = self.write_record(at);
                let end = self.nodes[at].disk.data.as_ref().map_or(0, |data| data.wal.len());
                self.nodes[at].waiting.push((id, end));
                if self.nodes[at].setting.needed == 0 {
                    self.let_go(at, usize::MAX);
                }
            }
        }
        let pause = self.dice.between(20, 60);
        self.later(pause, World::clients_write);
    }

    /// A client is told of its commit.
    pub fn acknowledge(&mut self, at: usize, id: u64) {
        self.may_commit(at);
        let now = self.elapsed();
        self.oracle.acknowledged.push(Acknowledged { id, at: now });
        self.oracle.last_commit = now;
    }

    /// Hole 11: after a crash recovery every commit on the volume can be read, acknowledged or not; what a client has
    /// read must not vanish.
    fn see_what_was_recovered(&mut self, at: usize) {
        let Some(end) = self.nodes[at].recovered.take().filter(|_| self.sync.is_some()) else { return };
        let now = self.elapsed();
        let wal = self.nodes[at].disk.data.iter().flat_map(|data| &data.wal).take(end);
        self.oracle.acknowledged.extend(wal.map(|record| Acknowledged { id: record.id, at: now }));
    }

    pub fn write_record(&mut self, at: usize) -> u64 {
        let id = self.next_id();
        if let Some(data) = &mut self.nodes[at].disk.data {
            let timeline = data.end().timeline.0;
            data.wal.push(Record { timeline, id });
        }
        id
    }

    pub fn replicate(&mut self) {
        for at in 0..MEMBERS {
            let leader = self.leader_of(at);
            self.nodes[at].streaming = leader.is_some();
            self.disconnect_all_but(at, leader);
            if let Some(leader) = leader {
                self.connect(leader, at);
                if self.dice.percent(70) && !self.nodes[at].wedged {
                    self.ship(leader, at);
                    self.acknowledges(leader, at);
                }
            }
            self.restore_tail(at);
        }
        self.later(20, World::replicate);
    }

    /// Whose walsender this member hangs on, if all fits.
    fn leader_of(&self, at: usize) -> Option<usize> {
        let node = &self.nodes[at];
        let leader = node.following.as_ref().filter(|_| node.postgres == Postgres::Standby && node.reaches_peers())?;
        let from = self.nodes.iter().position(|other| other.uid == leader.pod_uid)?;
        let source = &self.nodes[from];
        let open = source.postgres == Postgres::Primary && source.reaches_peers();
        (open && fits(node.disk.data.as_ref()?, source.disk.data.as_ref()?)).then_some(from)
    }

    pub fn ship(&mut self, from: usize, to: usize) {
        let Some(source) = self.nodes[from].disk.data.clone() else { return };
        if let Some(data) = &mut self.nodes[to].disk.data {
            data.receive(&source, usize::MAX);
        }
    }

    /// restore_command: WAL that a crashed member offers, as far as it is valid.
    fn restore_tail(&mut self, at: usize) {
        let node = &self.nodes[at];
        let Some(fact) = node.tail_source.as_ref().filter(|_| node.postgres == Postgres::Standby) else { return };
        let Some(source) = self.nodes.iter().find(|other| other.uid == fact.pod_uid && other.offered.is_some()) else {
            return;
        };
        let reached = node.reaches_peers() && source.reaches_peers() && source.machine.is_some() && !source.frozen;
        let (Some(from), Some(mine)) = (source.disk.data.as_ref(), node.disk.data.as_ref()) else { return };
        if reached && fits(mine, from) {
            let (from, to) = (from.clone(), fact.end.lsn.0 as usize);
            if let Some(data) = &mut self.nodes[at].disk.data {
                data.receive(&from, to);
            }
        }
    }
}

fn fits(mine: &Directory, theirs: &Directory) -> bool {
    mine.is_prefix_of(theirs)
}
