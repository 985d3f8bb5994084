//! What must hold at each instant, and at the end.

use super::node::Postgres;
use super::world::World;
use core::time::Duration;
use pgherd_core::sync::{own_entry, safe};
use std::collections::{BTreeMap, BTreeSet};

/// The watchdog looks every 50 ms, and killing takes a moment.
const KILL_GRACE: Duration = Duration::from_millis(150);

/// A commit that a client was told of.
pub struct Acknowledged {
    pub id: u64,
    pub at: u64,
}

#[derive(Default)]
pub struct Oracle {
    pub violation: Option<String>,
    pub acknowledged: Vec<Acknowledged>,
    pub last_commit: u64,
    /// Timeline to who promoted to it, and when.
    promoted: BTreeMap<u32, (usize, u64)>,
    /// Who was open for writes last.
    last_primary: Option<usize>,
    excused: BTreeSet<u64>,
    /// Whose volume could not be read, from when to when.
    pub unreadable: Vec<(usize, u64, u64)>,
}

impl Oracle {
    pub fn violated(&mut self, why: String) {
        self.violation.get_or_insert(why);
    }
}

impl World {
    /// I1: whoever commits is the only one who could, under a lease of its own whose deadline has not passed.
    pub fn may_commit(&mut self, at: usize) {
        let node = &self.nodes[at];
        let others: Vec<&str> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(other, node)| *other != at && node.postgres == Postgres::Primary && !node.gated)
            .map(|(_, node)| node.name.as_str())
            .collect();
        let holder = self.lease.value.held_by();
        let wrong = if !others.is_empty() {
            Some(format!("{} and {} are open for writes", node.name, others.join(", ")))
        } else if node.armed.is_none_or(|deadline| self.now > deadline.plus(KILL_GRACE)) {
            Some(format!("{} commits after its deadline", node.name))
        } else if holder.is_none_or(|holder| holder.nonce != node.nonce) {
            Some(format!("{} commits although the lease is {:?}'s", node.name, holder.map(|h| h.nonce.clone())))
        } else {
            None
        };
        if let Some(why) = wrong {
            self.oracle.violated(why);
        }
        self.oracle.last_primary = Some(at);
    }

    /// I2: a timeline is promoted to once, and only the reserved one by its holder.
    pub fn is_promoted(&mut self, at: usize, timeline: u32) {
        let elapsed = self.elapsed();
        let name = self.nodes[at].name.clone();
        if let Some((other, when)) = self.oracle.promoted.insert(timeline, (at, elapsed)) {
            let other = self.nodes[other].name.clone();
            self.oracle.violated(format!("{name} promotes to timeline {timeline}, as {other} did at {when} ms"));
        }
        self.loses_only_what_nobody_could_read(at);
    }

    /// I3 as far as asynchronous replication goes: a promotion misses what was acknowledged only where the volume
    /// of the primary before it could not be read.
    fn loses_only_what_nobody_could_read(&mut self, at: usize) {
        let missing = self.missing_on(at);
        let (Some(before), Some(first)) = (self.oracle.last_primary, missing.first()) else { return };
        let now = self.elapsed();
        let unreadable = self.sync.is_none()
            && self.oracle.unreadable.iter().any(|(who, from, to)| {
                *who == before
                    && *from <= now
                    && self.oracle.last_commit <= to.saturating_add(KILL_GRACE.as_millis() as u64)
            });
        if unreadable {
            self.oracle.excused.extend(missing.iter().map(|(id, _)| *id));
        } else {
            let (promoted, before) = (&self.nodes[at].name, &self.nodes[before].name);
            let why =
                format!("{promoted} is promoted without {} commits of {before}, from {} ms on", missing.len(), first.1);
            self.oracle.violated(why);
        }
    }

    /// What was acknowledged, is not excused, and is not on this volume: id, and when.
    fn missing_on(&self, at: usize) -> Vec<(u64, u64)> {
        let wal = self.nodes[at].disk.data.iter().flat_map(|data| &data.wal);
        let there: BTreeSet<u64> = wal.map(|record| record.id).collect();
        let lost = |commit: &&Acknowledged| !there.contains(&commit.id) && !self.oracle.excused.contains(&commit.id);
        self.oracle.acknowledged.iter().filter(lost).map(|commit| (commit.id, commit.at)).collect()
    }

    /// Q1, at every instant: each setting in force in a walsender is safe with the record that is stored.
    pub fn settings_go_with_the_record(&mut self) {
        let lease = &self.lease.value;
        let (Some(holder), Some(record)) = (lease.held_by(), own_entry(lease)) else { return };
        let writes = |node: &&super::node::Node| node.nonce == holder.nonce && node.postgres == Postgres::Primary;
        let Some(node) = self.nodes.iter().find(writes) else { return };
        let settings = node.senders.values().map(|sender| &sender.copy).chain([&node.setting]);
        if let Some(wrong) = settings.into_iter().find(|setting| !safe(setting, record)) {
            let why = format!("{} has {wrong:?} in force, and {record:?} is stored", node.name);
            self.oracle.violated(why);
        }
    }

    /// One primary, open; two that stream from it; and clients that write.
    pub fn is_whole(&self) -> bool {
        let primaries = self.nodes.iter().filter(|node| node.postgres == Postgres::Primary).count();
        let standbys = self.nodes.iter().filter(|node| node.postgres == Postgres::Standby && node.streaming).count();
        let open = self.lease.value.state == pgherd_core::lease::HolderState::Open;
        let reports = |node: &super::node::Node| node.annotation.as_ref().is_some_and(|r| r.system_id.is_some());
        let writes = self.elapsed() < self.oracle.last_commit + 500;
        primaries == 1 && standbys == self.nodes.len() - 1 && open && writes && self.nodes.iter().all(reports)
    }

    /// At the end the primary has all that no promotion was excused for.
    pub fn everything_is_there(&self) -> Result<(), String> {
        let primary = self.nodes.iter().position(|node| node.postgres == Postgres::Primary);
        let missing = self.missing_on(primary.ok_or("no primary")?);
        match missing.first() {
            None => Ok(()),
            Some((_, when)) => Err(format!("{} acknowledged commits are missing, from {when} ms on", missing.len())),
        }
    }
}
