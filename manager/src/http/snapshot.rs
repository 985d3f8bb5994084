//! What the server answers from: the driver's and the sampler's last words, each with its time.

use crate::sampler::{Look, Rooms, WalFiles};
use core::time::Duration;
use pgherd_core::identity::{Incarnation, Nonce, PodUid, SystemId};
use pgherd_core::lease::Term;
use pgherd_core::sync::Quorum;
use pgherd_core::time::Instant;
use pgherd_core::timeline::TimelineId;
use pgherd_proto::member::Phase;
use std::sync::Arc;

/// Who this instance is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Pod name.
    pub pod: String,
    /// Pod UID.
    pub pod_uid: PodUid,
    /// This manager process.
    pub nonce: Nonce,
    /// Cluster name.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// The node, where it is known.
    pub node: String,
}

/// What this instance is to its cluster, by the lease and not by what postgres believes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Holds the lease, or is about to write under it.
    Primary,
    /// Follows.
    Standby,
    /// Neither: starting, stopped, stuck.
    #[default]
    None,
}

/// What the supervisor knows of the postmaster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PostgresState {
    /// There is no process.
    #[default]
    Down,
    /// There is one, which does not accept connections yet.
    Starting,
    /// It accepts connections.
    Running,
    /// It was told to stop.
    Stopping,
}

/// The lease as this instance holds or sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseView {
    /// Until when this instance may write (L3, L4); `None` while it does not hold the lease.
    pub deadline: Option<Instant>,
    /// When the last good renewal was sent, or the lease was last seen to change.
    pub renewed_at: Option<Instant>,
    /// The term last seen.
    pub term: Term,
    /// The pod that holds it, by name.
    pub holder: Option<String>,
    /// Whether this data directory is a voter of the newest record: it may be what a commit was acknowledged by.
    /// Absent without synchronous replication.
    pub voter: Option<bool>,
}

/// The phase as the member's annotation has it.
#[must_use]
pub const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Initializing => "initializing",
        Phase::Joining => "joining",
        Phase::Rejoining => "rejoining",
        Phase::Standby => "standby",
        Phase::Candidate => "candidate",
        Phase::Promoting => "promoting",
        Phase::Primary => "primary",
        Phase::Recovering => "recovering",
        Phase::Released => "released",
        Phase::Stopping => "stopping",
        Phase::Stuck => "stuck",
    }
}

/// The uploader's word, for status and metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ArchiveView {
    /// Segments archived since the manager started.
    pub archived: u64,
    /// Bytes of WAL archived since the manager started, before compression.
    pub archived_bytes: u64,
    /// Attempts that failed since the manager started.
    pub failed: u64,
    /// Why the last attempt failed, until one succeeds.
    pub error: Option<String>,
    /// The same in one fixed word: `outage`, `throttled`, `forbidden`, `clock_skewed`, `misconfigured`, ...
    pub error_kind: Option<&'static str>,
    /// Until nothing waits, if it goes on as in the last minute; absent while the queue does not get shorter.
    pub caught_up_in: Option<core::time::Duration>,
}

/// What only the Cluster's status knows. Times are seconds since 1970; absent where there is no such backup.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterFacts {
    /// Distinct nodes of the instances; `None` until the controller has seen them all placed.
    pub nodes_used: Option<u64>,
    /// First time to which a recovery is possible.
    pub first_recoverable_at: Option<f64>,
    /// When the last good backup ended.
    pub last_backup_at: Option<f64>,
    /// When the last failed backup ended.
    pub last_failed_backup_at: Option<f64>,
    /// Last time to which a recovery is possible.
    pub last_recoverable_at: Option<f64>,
    /// When a restore drill last failed.
    pub last_failed_drill_at: Option<f64>,
    /// What a restore drill proved last.
    pub proven: Option<ProvenFacts>,
}

/// What a restore drill proved, and how long each part of it took, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProvenFacts {
    /// The moment that was restored.
    pub instant: f64,
    /// All of it.
    pub total: f64,
    /// The base backup.
    pub fetch: f64,
    /// WAL.
    pub replay: f64,
    /// The checks.
    pub checks: f64,
}

/// What the driver publishes. One writer: the driver.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceSnapshot {
    /// Who this is.
    pub identity: Identity,
    /// Where the instance machine stands.
    pub phase: Phase,
    /// Why, for people.
    pub message: String,
    /// What it is to the cluster.
    pub role: Role,
    /// The lease.
    pub lease: LeaseView,
    /// The postmaster.
    pub postgres: PostgresState,
    /// When the driver's loop last turned.
    pub loop_at: Instant,
    /// The database system of the volume.
    pub system_id: Option<SystemId>,
    /// The data directory.
    pub incarnation: Option<Incarnation>,
    /// The timeline of the control file or of the last promotion.
    pub timeline: TimelineId,
    /// Hash of the configuration that postgres loaded.
    pub config_hash: String,
    /// The user asked for this instance to be fenced.
    pub fenced: bool,
    /// A standby that does not get to stream from its open leader: what it serves only gets older.
    pub cannot_follow: bool,
    /// `pg_rewind` or a re-clone is at work.
    pub rejoining: bool,
    /// GET /pg/wal/<name> is on: a crashed primary hands over its tail.
    pub serves_tail: bool,
    /// What commits wait for, as the lease says it too; of a primary.
    pub quorum: Option<Quorum>,
    /// A restart is pending that only a user's switchover brings about.
    pub switchover_required: bool,
    /// The archive.
    pub archive: ArchiveView,
    /// The Cluster as last seen.
    pub cluster: Option<ClusterFacts>,
    /// What the startup probe asks of a standby beyond what it always asks.
    pub startup: Strategy,
    /// The same of the readiness probe.
    pub readiness: Strategy,
}

/// What a probe asks of a standby (`spec.probes.*.type`). Whether postgres answers a query is asked always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strategy {
    /// `streaming`: it receives from the primary.
    pub streams: bool,
    /// `maximumLag`: and has replayed all but this many bytes.
    pub most_behind: Option<u64>,
}

/// One look at postgres. One writer: the sampler.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// What SQL said, or why it said nothing.
    pub postgres: Result<Look, String>,
    /// What is in `pg_wal`; known while postgres is down too.
    pub files: WalFiles,
    /// How large its volumes are; known then too.
    pub rooms: Rooms,
    /// When it was asked; the answer is at least this old.
    pub taken_at: Instant,
    /// How long it took.
    pub took: Duration,
    /// Samples taken since the manager started.
    pub count: u64,
    /// Those of them that postgres did not answer.
    pub errors: u64,
}

/// All that one answer rests on.
#[derive(Clone, Debug)]
pub struct View {
    /// The driver's last word.
    pub instance: Arc<InstanceSnapshot>,
    /// The sampler's last word.
    pub sample: Option<Arc<Sampled>>,
    /// The time of the request.
    pub now: Instant,
    /// The same moment by the wall clock, in seconds since 1970: only to say how long ago postgres did what.
    pub wall_seconds: f64,
}

impl View {
    /// A sample older than this says nothing about now: three periods of the sampler.
    pub const MAX_SAMPLE_AGE: Duration = Duration::from_secs(3);
    /// A driver whose loop has not turned for this long is taken for dead.
    pub const MAX_LOOP_AGE: Duration = Duration::from_secs(20);

    /// How old the sample is.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.sample.as_ref().map(|sample| self.now.since(sample.taken_at))
    }

    /// What postgres said, if it said it recently.
    ///
    /// # Errors
    /// Why there is nothing to go by, for people.
    pub fn fresh(&self) -> Result<&Look, String> {
        let sampled = self.sample.as_deref().ok_or_else(|| "postgres has not been asked yet".to_owned())?;
        let age = self.now.since(sampled.taken_at);
        if age > Self::MAX_SAMPLE_AGE {
            return Err(format!("the last sample of postgres is {:.1} s old", age.as_secs_f64()));
        }
        sampled.postgres.as_ref().map_err(|error| format!("postgres does not answer: {error}"))
    }

    /// Whether this instance holds a lease that has not run out.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.instance.lease.deadline.is_some_and(|deadline| self.now < deadline)
    }

    /// How long ago the driver's loop turned.
    #[must_use]
    pub fn loop_age(&self) -> Duration {
        self.now.since(self.instance.loop_at)
    }
}
