//! One pod: its manager, its postgres, its volume, and what is wrong with it just now.

use super::directory::Disk;
use super::synchronous::Sender;
use super::world::World;
use pgherd_core::cluster::{LeaseSeen, MemberPhase, Report};
use pgherd_core::identity::{Nonce, PodUid};
use pgherd_core::instance::{Event, Leader, Link, Machine, Me, Op, Outcome, Peer};
use pgherd_core::lease::{Holder, Timings};
use pgherd_core::sync::SyncSetting;
use pgherd_core::time::Instant;
use std::collections::BTreeMap;

/// What postgres is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Postgres {
    Down,
    Starting,
    Standby,
    /// Clients can write.
    Primary,
}

pub struct Node {
    pub name: String,
    pub uid: PodUid,
    pub nonce: Nonce,
    /// Counts the managers: what an earlier one asked for is not answered.
    pub generation: u64,
    pub machine: Option<Machine>,
    /// Events that a frozen manager has yet to hear of.
    pub pending: Vec<Event>,
    pub frozen: bool,
    pub off: bool,
    pub cut_from_api: bool,
    pub cut_from_peers: bool,
    pub loses_answers: bool,
    /// Its disk hangs: nothing reaches it.
    pub wedged: bool,
    /// The last look at its volume that its manager asked for.
    pub inspecting: Option<Op>,
    /// In milliseconds: what the watch of the lease has yet to tell comes after this.
    pub watched_until: u64,
    pub disk: Disk,
    pub postgres: Postgres,
    /// Counts the postmasters.
    pub postmaster: u64,
    pub stopping: bool,
    pub following: Option<Leader>,
    pub streaming: bool,
    pub armed: Option<Instant>,
    pub tail_source: Option<pgherd_core::cluster::TailFact>,
    pub offered: Option<pgherd_core::lease::WalPosition>,
    /// What the machine last told to be configured, until a standby is started.
    pub configured: Option<SyncSetting>,
    /// What the running postgres gives to its new walsenders.
    pub setting: SyncSetting,
    pub senders: BTreeMap<usize, Sender>,
    /// Commits that wait for acknowledgements: id, and where they end.
    pub waiting: Vec<(u64, usize)>,
    pub gated: bool,
    /// Where WAL ended when crash recovery began in place: what is before is visible to whoever gets in.
    pub recovered: Option<usize>,
    /// Counts its connections to primaries.
    pub link: u64,
    /// As the API has them.
    pub annotation: Option<Report>,
    pub dead_nonces: Vec<Nonce>,
}

impl Node {
    pub fn new(at: usize) -> Self {
        let name = format!("c-{}", at + 1);
        Self {
            uid: PodUid(format!("uid-{name}")),
            nonce: Nonce(format!("{name}.0")),
            name,
            generation: 0,
            machine: None,
            pending: Vec::new(),
            frozen: false,
            off: false,
            cut_from_api: false,
            cut_from_peers: false,
            loses_answers: false,
            wedged: false,
            inspecting: None,
            watched_until: 0,
            disk: Disk::default(),
            postgres: Postgres::Down,
            postmaster: 0,
            stopping: false,
            following: None,
            streaming: false,
            armed: None,
            tail_source: None,
            offered: None,
            configured: None,
            setting: SyncSetting::default(),
            senders: BTreeMap::new(),
            waiting: Vec::new(),
            gated: false,
            recovered: None,
            link: 0,
            annotation: None,
            dead_nonces: Vec::new(),
        }
    }

    pub fn reaches_peers(&self) -> bool {
        !self.cut_from_peers && !self.off
    }

    fn report(&self, machine: &Machine, now: Instant) -> Report {
        let report = machine.report(now);
        let (version, term, _, stale) = report.lease.unwrap_or_default();
        Report {
            nonce: self.nonce.clone(),
            pod_uid: self.uid.clone(),
            incarnation: report.incarnation,
            system_id: report.system_id,
            phase: report.phase,
            message: report.message,
            lease_seen: LeaseSeen { version, stale, term, lease_duration: report.lease_duration },
            position: report.position,
            tail: report.tail,
            fence: report.fence,
            lineage: report.lineage,
            damaged: report.damaged,
            fresh: false,
            ..Report::default()
        }
    }
}

impl World {
    /// The container starts: another process, another nonce.
    pub fn boot(&mut self, at: usize) {
        let Some(node) = self.nodes.get_mut(at).filter(|node| node.machine.is_none() && !node.off) else { return };
        node.generation += 1;
        node.nonce = Nonce(format!("{}.{}.{}", node.name, node.uid, node.generation));
        let (name, pod_uid, nonce) = (node.name.clone(), node.uid.clone(), node.nonce.clone());
        let address = name.clone();
        node.machine = Some(Machine::new(Me { holder: Holder { name, pod_uid, nonce, address } }, Timings::default()));
        (node.frozen, node.following, node.armed, node.offered, node.tail_source) = (false, None, None, None, None);
        (node.configured, node.gated) = (None, false);
        node.pending.clear();
        self.note(|w| format!("{} boots as {}", w.nodes[at].name, w.nodes[at].nonce));
        self.list(at);
        let generation = self.nodes[at].generation;
        self.beat(at, generation);
        self.sample(at, generation);
    }

    fn beat(&mut self, at: usize, generation: u64) {
        self.later(100, move |w| {
            if w.lives(at, generation) {
                w.tell(at, Event::Ticked);
                w.beat(at, generation);
            }
        });
    }

    fn sample(&mut self, at: usize, generation: u64) {
        self.later(200, move |w| {
            if w.lives(at, generation) {
                let node = &w.nodes[at];
                if let (Postgres::Standby, Some(data)) = (node.postgres, &node.disk.data) {
                    let link = Link { streaming: node.streaming, position: data.end() };
                    let crossed = Event::LineageRead(data.lineage());
                    w.tell(at, Event::LinkSampled(link));
                    w.tell(at, crossed);
                }
                if w.nodes[at].postgres == Postgres::Primary {
                    let names = w.nodes[at].senders.keys().map(|standby| w.nodes[*standby].name.clone()).collect();
                    w.tell(at, Event::StandbysSampled(names));
                }
                w.sample(at, generation);
            }
        });
    }

    pub fn lives(&self, at: usize, generation: u64) -> bool {
        self.nodes[at].generation == generation && self.nodes[at].machine.is_some()
    }

    pub fn tell(&mut self, at: usize, event: Event) {
        let now = self.now;
        let node = &mut self.nodes[at];
        let Some(machine) = node.machine.as_mut() else { return };
        if node.frozen {
            node.pending.push(event);
            return;
        }
        let before = machine.phase().clone();
        let quiet =
            matches!(event, Event::Ticked | Event::LinkSampled(_) | Event::StandbysSampled(_) | Event::LineageRead(_));
        let words = if self.keep_log && !quiet { format!("{event:?}") } else { String::new() };
        let commands = machine.handle(event, now);
        let after = machine.phase().clone();
        if self.keep_log && !words.is_empty() {
            self.note(|w| format!("{} hears {words}", w.nodes[at].name));
        }
        if before != after {
            self.note(|w| format!("{} is {after:?}", w.nodes[at].name));
        }
        for command in commands {
            self.carry_out(at, command);
        }
        self.publish(at);
    }

    pub fn answer(&mut self, at: usize, generation: u64, op: Op, outcome: Outcome) {
        if self.lives(at, generation) {
            self.tell(at, Event::Finished(op, outcome));
        }
    }

    /// The annotation follows the report, unless only a position has changed.
    fn publish(&mut self, at: usize) {
        let node = &self.nodes[at];
        let Some(machine) = node.machine.as_ref().filter(|_| !node.cut_from_api) else { return };
        let report = node.report(machine, self.now);
        let known = node.annotation.as_ref().map(|known| Report { position: report.position, ..known.clone() });
        if known.as_ref() == Some(&report) {
            return;
        }
        let generation = node.generation;
        let delay = self.dice.between(2, 20);
        self.later(delay, move |w| {
            if w.lives(at, generation) && !w.nodes[at].cut_from_api {
                w.nodes[at].annotation = Some(report);
                w.pods_changed();
            }
        });
    }

    pub fn fresh_report(&self, at: usize) -> Option<Report> {
        let node = &self.nodes[at];
        let mut report = node.report(node.machine.as_ref()?, self.now);
        report.fresh = true;
        if node.postgres == Postgres::Standby {
            report.position = node.disk.data.as_ref().map(|data| data.end());
            report.lineage = node.disk.data.as_ref().map(super::directory::Directory::lineage);
        }
        Some(report)
    }

    pub fn peers_of(&self, at: usize) -> Vec<Peer> {
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != at);
        let peer = |(_, node): (usize, &Node)| Peer {
            name: node.name.clone(),
            pod_uid: node.uid.clone(),
            electable: node.annotation.as_ref().is_some_and(|report| {
                report.pod_uid == node.uid
                    && matches!(report.phase, MemberPhase::Standby | MemberPhase::Candidate)
                    && report.system_id.is_some()
            }),
            incarnation: node.annotation.as_ref().and_then(|report| report.incarnation.clone()),
            address: node.name.clone(),
            fence: node.annotation.as_ref().map(|report| report.fence).unwrap_or_default(),
        };
        others.map(peer).collect()
    }
}
