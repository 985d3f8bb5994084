//! One instant of the modelled cluster: machines, what surrounds each, the stored lease, requests under way.

use super::limits::Limits;
use crate::shared::Shared;
use pgherd_core::cluster::ElectionFact;
use pgherd_core::identity::{Incarnation, Nonce, PodUid, SystemId};
use pgherd_core::instance::{
    ClusterView, Data, DataRole, Event, Leader, Link, Machine, Me, Op, Outcome, Peer, PledgeCall, Volume,
};
use pgherd_core::lease::{Holder, LeaseRecord, Term, Versioned, WalPosition};
use pgherd_core::lsn::Lsn;
use pgherd_core::sync::{Pledge, SyncSetting};
use pgherd_core::time::Instant;
use pgherd_core::timeline::TimelineId;

/// One tick of the model is a second of every clock.
pub const TICK: u64 = 1_000_000_000;
/// The one database.
pub const SYSTEM: SystemId = SystemId(7);

/// What runs of postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Postgres {
    /// Nothing.
    Down,
    /// It replays.
    Standby,
    /// Clients can commit; without its postmaster backends may go on for a while (hole 16).
    Primary {
        /// The postmaster lives.
        postmaster: bool,
    },
}

impl Postgres {
    /// Whether somebody may commit through it.
    pub fn writes(self) -> bool {
        matches!(self, Postgres::Primary { .. })
    }
}

/// A command that takes its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// Promote to this timeline.
    Promote(Op, TimelineId),
    /// Start as a primary.
    StartPrimary(Op),
    /// SIGKILL to everything.
    Kill(Op),
    /// Read the volume.
    Inspect(Op),
    /// Prove the write path; begun then.
    Prove(Op, Instant),
    /// A round of pledges: when it was sent, what is asked, who is yet to be asked, who said yes.
    Pledges(Op, Instant, PledgeCall, Vec<PodUid>, Vec<Pledge>),
    /// Ask the crashed holder to release: its slot's uid, the term, what the candidate has.
    Confirm(Op, PodUid, Term, WalPosition),
}

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk {
    /// The database, if there is one.
    pub data: Option<Data>,
}

/// One pod, and the process in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Pod name; two slots may have the same.
    pub name: String,
    /// Pod uid; no two slots have the same.
    pub uid: PodUid,
    /// Counts its managers.
    pub generation: u8,
    /// The manager, while it runs.
    pub machine: Option<Machine>,
    /// It stands still; what it has yet to hear.
    pub frozen: Option<Vec<Event>>,
    /// Seconds that its clock is ahead of the slowest.
    pub ahead: u8,
    /// Since when nothing can be written.
    pub wedged: Option<Instant>,
    /// What runs.
    pub postgres: Postgres,
    /// Past this the watchdog kills.
    pub armed: Option<Instant>,
    /// It does not reach the API.
    pub cut: bool,
    /// Its node is lost for good.
    pub gone: bool,
    /// To whom, for which term and when it pledged itself.
    pub pledged: Option<(Nonce, Term, Instant)>,
    /// Its watch has told that the lease is not there.
    pub misses: bool,
    /// Nor has anything later than that said that there is one.
    pub has_none: bool,
    /// `synchronous_standby_names` of its postgres.
    pub setting: SyncSetting,
    /// pg_hba keeps clients out.
    pub gated: bool,
    /// A crash recovery in place has brought commits to light that no barrier has followed (hole 11).
    pub unreplicated: bool,
    /// Its walsenders, as it was last told.
    pub standbys: Vec<String>,
    /// Its volume.
    pub disk: Disk,
    /// Commands under way.
    pub jobs: Vec<Job>,
    /// How many stored versions its watch has told of.
    pub seen: usize,
    /// How many elections it has been told of.
    pub elections: usize,
    /// The deaths that it has been told of.
    pub deaths: usize,
    /// As it was last told.
    pub peers: Vec<Peer>,
    /// As it was last told.
    pub link: Option<Link>,
    /// Whom its walreceiver follows.
    pub following: Option<Leader>,
    /// The WAL that it serves.
    pub offered: Option<WalPosition>,
}

impl Slot {
    /// A pod without a process.
    pub fn new(name: &str, uid: &str) -> Self {
        Self {
            name: name.to_owned(),
            uid: PodUid::from(uid),
            generation: 0,
            machine: None,
            frozen: None,
            ahead: 0,
            wedged: None,
            postgres: Postgres::Down,
            armed: None,
            cut: false,
            gone: false,
            pledged: None,
            misses: false,
            has_none: false,
            setting: SyncSetting::default(),
            gated: false,
            unreplicated: false,
            standbys: Vec::new(),
            disk: Disk { data: None },
            jobs: Vec::new(),
            seen: 0,
            elections: 0,
            deaths: 0,
            peers: Vec::new(),
            link: None,
            following: None,
            offered: None,
        }
    }

    /// The manager that runs, or ran last.
    pub fn nonce(&self) -> Nonce {
        Nonce(format!("{}.{}", self.uid.0, self.generation))
    }

    /// Who it is.
    pub fn me(&self) -> Me {
        Me {
            holder: Holder {
                name: self.name.clone(),
                pod_uid: self.uid.clone(),
                nonce: self.nonce(),
                address: self.uid.0.clone(),
            },
        }
    }

    /// Its manager can act now.
    pub fn awake(&self) -> bool {
        self.machine.is_some() && self.frozen.is_none()
    }

    /// End of its WAL.
    pub fn end(&self) -> WalPosition {
        self.disk.data.as_ref().map(|data| data.end).unwrap_or_default()
    }

    /// What a look at the volume finds.
    pub fn inspect(&self) -> Volume {
        self.disk.data.clone().map_or(Volume::Empty, Volume::Data)
    }

    /// It can write to its volume, and so prove it.
    pub fn writable(&self) -> bool {
        self.wedged.is_none()
    }
}

/// A PUT of the lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Put {
    /// Who sent it.
    pub slot: usize,
    /// Which manager of that slot.
    pub generation: u8,
    /// To be answered with.
    pub op: Op,
    /// The version that it replaces; without one the API server compares nothing.
    pub over: String,
    /// It is a POST (L8).
    pub creates: bool,
    /// What it stores.
    pub record: LeaseRecord,
    /// When it left.
    pub sent: Instant,
    /// What the API server did, once it has.
    pub answer: Option<Outcome>,
    /// Its sender no longer waits.
    pub given_up: bool,
    /// Its sender has lost the lease since, and sent another: it does not listen to this one's answer any more.
    pub superseded: bool,
}

/// How often what has gone wrong already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Elections.
    pub elections: u8,
    /// Requests given up on.
    pub losses: u8,
    /// Postmasters that died.
    pub crashes: u8,
    /// Managers that died.
    pub deaths: u8,
    /// Managers that stood still.
    pub freezes: u8,
    /// Write paths that hung.
    pub wedges: u8,
    /// Ticks that one clock gained on the others.
    pub drift: u8,
    /// Pods replaced by another of the same name.
    pub doubles: u8,
    /// Pods that joined.
    pub joined: u8,
    /// Leases touched by hand.
    pub edits: u8,
    /// SIGTERM.
    pub terminations: u8,
    /// Requests to fence.
    pub fences: u8,
    /// Nodes lost.
    pub lost: u8,
    /// Members cut off.
    pub cuts: u8,
    /// Promotions to another timeline.
    pub misled: u8,
    /// Leases deleted.
    pub deletes: u8,
    /// Leases set back.
    pub set_backs: u8,
}

/// The API server's part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// Versions of the lease that no run looks at any more.
    pub forgotten: usize,
    /// Every later version of the lease, the newest last.
    pub leases: Vec<LeaseRecord>,
    /// Every election written, the newest last.
    pub elections: Vec<ElectionFact>,
    /// Nonces of containers known to have terminated.
    pub dead: Vec<Nonce>,
    /// A database exists.
    pub system: Option<SystemId>,
    /// Who initialises it.
    pub initializer: Option<String>,
    /// Timelines that somebody promoted to.
    pub promoted: Vec<TimelineId>,
    /// Since when the lease is not there.
    pub missing: Option<Instant>,
    /// Who has fenced itself, and at which term.
    pub answers: Vec<(Incarnation, Term)>,
}

impl Store {
    /// How many versions there have been; the newest one's resourceVersion.
    pub fn newest(&self) -> usize {
        self.forgotten + self.leases.len()
    }

    /// The lease now.
    pub fn lease(&self) -> Versioned<LeaseRecord> {
        self.version(self.newest())
    }

    /// The lease as it was.
    pub fn version(&self, count: usize) -> Versioned<LeaseRecord> {
        let at = count.checked_sub(self.forgotten + 1);
        let value = at.and_then(|at| self.leases.get(at)).cloned().unwrap_or_default();
        Versioned { version: count.to_string(), value }
    }

    /// The Cluster as a manager sees it that knows of so many elections.
    pub fn cluster(&self, limits: &Limits, elections: usize) -> ClusterView {
        let instances = u32::try_from(limits.instances).unwrap_or(u32::MAX);
        ClusterView {
            sync: limits.spec().map(Box::new),
            system_id: self.system,
            initializer: self.initializer.clone(),
            instances,
            election: elections.checked_sub(1).and_then(|at| self.elections.get(at)).cloned(),
            configuration: "a".to_owned(),
            ..ClusterView::default()
        }
    }
}

/// One state of the model.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    /// What every clock showed at the beginning, in seconds.
    pub epoch: u64,
    /// Seconds since then.
    pub tick: u64,
    /// The pods.
    pub slots: Vec<Shared<Slot>>,
    /// The API server.
    pub store: Shared<Store>,
    /// Requests under way, in the order of their sending.
    pub puts: Vec<Shared<Put>>,
    /// The faults so far.
    pub spent: Spent,
    /// What a step has done that no step may.
    pub broken: Option<String>,
}

impl State {
    /// The clock of one slot.
    pub fn now(&self, slot: usize) -> Instant {
        let ahead = self.slots.get(slot).map_or(0, |slot| u64::from(slot.ahead));
        Instant((self.epoch + self.tick + ahead) * TICK)
    }

    /// Notes a broken rule; the first one counts.
    pub fn violated(&mut self, why: impl Into<String>) {
        self.broken.get_or_insert(why.into());
    }

    /// The slot of a pod.
    pub fn slot_of(&self, uid: &PodUid) -> Option<usize> {
        self.slots.iter().position(|slot| slot.uid == *uid)
    }
}

/// A new database on timeline 1.
pub fn first_data(incarnation: &str) -> Data {
    Data {
        system_id: SYSTEM,
        incarnation: incarnation.into(),
        role: DataRole::Primary,
        end: WalPosition { timeline: TimelineId(1), lsn: Lsn(1) },
        torn: false,
        lineage: None,
        fence: Term::default(),
        max_term: Term::default(),
    }
}
