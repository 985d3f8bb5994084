//! What the manager tells the archive's two halves: where to, whether, and how patiently.

use async_trait::async_trait;
use bytes::Bytes;
use pgherd_backup::WalArchive;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::WalName;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A place to archive to, ready to be used.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The archive.
    pub archive: WalArchive,
    /// `wal.maxParallel`: uploads at once, and segments prefetched.
    pub max_parallel: NonZeroUsize,
}

/// What is known about where WAL goes.
#[derive(Clone, Debug, Default)]
pub enum Archiving {
    /// The Cluster has not been read yet: requests wait, and then fail. Nothing may be dropped on a guess.
    #[default]
    Unknown,
    /// The Cluster has no backup section: success without storing anything, as CNPG does.
    Off,
    /// There.
    To(StoreConfig),
}

/// Whether this instance's WAL is the cluster's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArchiveRole {
    /// It has promoted: its files are archived.
    Primary,
    /// It is promoting with the lease in hand, and which timeline postgres chose is not known yet: requests wait.
    Unchecked,
    /// Anything else: requests are refused.
    #[default]
    Other,
}

/// How a file that cannot be had is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreMode {
    /// A standby asks again and again, and has other ways: an outage is bounded, and answered as not there.
    Standby {
        /// The timeline of its leader, once it has had one. A history above it is somebody's who never opened, or who
        /// was cut off: following it would be a fork.
        newest: Option<TimelineId>,
    },
    /// On the way to promotion: postgres takes the first timeline for which there is no history file.
    Promoting {
        /// The timeline that is being replayed; its own history is never invented.
        from: TimelineId,
        /// The timeline that the lease reserved. Its history, and any above, is not there; those between exist.
        reserved: TimelineId,
    },
    /// Recovery from the archive alone: an outage is waited for, then the recovery is aborted.
    Recovery {
        /// The timeline that is replayed.
        along: TimelineId,
        /// The last id that some archive of this database system has a history of: the recovery ends on a later one.
        taken: TimelineId,
    },
}

impl Default for RestoreMode {
    fn default() -> Self {
        Self::Standby { newest: None }
    }
}

/// The crashed holder's manager did not serve a file.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to fetch from the old holder: {0}")]
pub struct TailError(pub String);

/// What the old holder's volume gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TailAnswer {
    /// The file.
    Content(Bytes),
    /// All that the old holder has of it is in `pg_wal` already, where postgres looks next.
    Here,
    /// The old holder has none of that name.
    Absent,
}

/// The old holder's volume, over its manager (`GET /pg/wal/<name>`).
#[async_trait]
pub trait TailSource: Send + Sync {
    /// The file, as far as it is not here.
    async fn fetch(&self, name: WalName) -> Result<TailAnswer, TailError>;
}

/// All of it, as one value that is watched.
#[derive(Clone, Default)]
pub(super) struct Control {
    /// Goes up when what is known about files and the store no longer holds.
    pub generation: u64,
    pub archiving: Archiving,
    pub role: ArchiveRole,
    pub mode: RestoreMode,
    pub tail: Option<Arc<dyn TailSource>>,
    pub stopping: bool,
}
