//! What an instance knows about the world: facts read by the shell, never decided by it.

use crate::cluster::{ElectionFact, RestartFact};
use crate::identity::{Incarnation, PodUid, SystemId};
use crate::lease::{Holder, Term, WalPosition};
use crate::sync::SyncSpec;
use crate::timeline::{Lineage, TimelineId};
use core::time::Duration;
use std::collections::BTreeMap;

/// The Cluster, as far as one instance is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ClusterView {
    /// `status.systemID`: set once a database exists.
    pub system_id: Option<SystemId>,
    /// The instance that initialises the database (`status.initialization.instance`).
    pub initializer: Option<String>,
    /// `spec.instances`.
    pub instances: u32,
    /// `status.currentPrimary`.
    pub current_primary: Option<String>,
    /// `status.election`.
    pub election: Option<ElectionFact>,
    /// `spec.stopDelay`: how long a stop at the pod's end may take.
    pub stop_delay: Duration,
    /// `spec.smartShutdownTimeout`, where the user set one.
    pub smart_shutdown: Option<Duration>,
    /// `spec.switchoverDelay`: how long a primary may take to stop for a switchover.
    pub switchover_delay: Duration,
    /// Fingerprint of everything that ends up in postgres' configuration.
    pub configuration: String,
    /// The synchronous replication asked for; `None` for asynchronous replication.
    pub sync: Option<Box<SyncSpec>>,
    /// Where each instance is whose place is known: the values of the labels by which failure domains are told apart.
    pub domains: BTreeMap<String, Vec<String>>,
    /// Instances whose postgres is to be down (annotation `cnpg.io/fencedInstances`): names, or `*`.
    pub fenced: Vec<String>,
    /// `status.restart`: the primary that shall restart its postgres where it is.
    pub restart: Option<RestartFact>,
}

/// Another member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Pod name.
    pub name: String,
    /// Pod UID.
    pub pod_uid: PodUid,
    /// It follows, or could: its last report said so and its pod is not being deleted.
    pub electable: bool,
    /// Its data directory, by its last report.
    pub incarnation: Option<Incarnation>,
    /// Where its manager listens (pod IP); empty while it has none.
    pub address: String,
    /// Highest term that it has promised to follow nobody of, by its last report (rule E3).
    pub fence: Term,
}

/// What a data directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataRole {
    /// It was last written as a primary's.
    Primary,
    /// It has a standby.signal.
    Standby,
}

/// A data directory that initdb, a clone or a restore completed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Data {
    /// `Database system identifier`.
    pub system_id: SystemId,
    /// New at each initdb, clone and rewind.
    pub incarnation: Incarnation,
    /// What it was last used as.
    pub role: DataRole,
    /// End of valid WAL, read from pg_wal and not from the control file alone.
    pub end: WalPosition,
    /// The history of the timeline of `end`; nothing where its file is not there or cannot be read.
    pub lineage: Option<Lineage>,
    /// A pg_rewind began and did not end well: fit for nothing but to be replaced by a clone.
    pub torn: bool,
    /// Highest term that this directory has promised not to follow.
    pub fence: Term,
    /// Highest term that was seen by any manager of this volume.
    pub max_term: Term,
}

/// What is on the volume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Volume {
    /// Nothing of ours.
    Empty,
    /// A half-made directory, left by a kill in the middle: never served.
    Partial(String),
    /// A database of ours that says nothing of itself any more: to be replaced by a clone, and nothing else.
    Damaged(Damage),
    /// A database.
    Data(Data),
}

/// What is left of a database whose control file is gone or no longer whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Damage {
    /// For people.
    pub why: String,
    /// As [`Data`] has it: promises outlive what is damaged.
    pub fence: Term,
    /// As [`Data`] has it.
    pub max_term: Term,
}

/// The primary that a standby follows: always a pod, never a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    /// Pod name.
    pub name: String,
    /// Pod UID.
    pub pod_uid: PodUid,
    /// Pod IP.
    pub address: String,
    /// Its term.
    pub term: Term,
    /// The timeline it writes.
    pub timeline: TimelineId,
    /// Its record names this member's data directory, or it has none: only then may what this member acknowledges
    /// release a commit, and it connects by its own name ([`crate::sync::streaming_name`]).
    pub counts_me: bool,
}

/// Who this manager is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Me {
    /// The holder that it would be.
    pub holder: Holder,
}

impl Me {
    /// Pod name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.holder.name
    }
}
