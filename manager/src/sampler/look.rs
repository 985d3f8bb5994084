//! One look at a running postgres: its sample, and what only the metrics want.

use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::SegmentSize;
use pgherd_postgres::sample::{Receiver, Role, Sample};

/// `pg_stat_wal`, from PostgreSQL 14 on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WalCounters {
    /// Records.
    pub records: u64,
    /// Full page images.
    pub full_page_images: u64,
    /// Bytes.
    pub bytes: u64,
    /// Times that the WAL buffers were full.
    pub buffers_full: u64,
    /// Writes; in PostgreSQL 18 they are counted in `pg_stat_io`.
    pub writes: Option<f64>,
    /// Syncs.
    pub syncs: Option<f64>,
    /// Milliseconds of writing; 0 without `track_wal_io_timing`.
    pub write_millis: Option<f64>,
    /// Milliseconds of syncing.
    pub sync_millis: Option<f64>,
    /// When the counters last started from zero. RFC 3339.
    pub stats_reset: String,
}

/// The settings that bound `pg_wal`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalLimits {
    /// `min_wal_size`.
    pub min: u64,
    /// `max_wal_size`.
    pub max: u64,
    /// `wal_keep_size`.
    pub keep: u64,
    /// `max_slot_wal_keep_size`; None where slots are not bounded.
    pub slots_max: Option<u64>,
}

/// A sample and what goes with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// What `/pg/status` and most metrics show.
    pub sample: Sample,
    /// WAL statistics, where the major has them.
    pub wal: Option<WalCounters>,
    /// What bounds `pg_wal`, where it was asked.
    pub limits: Option<WalLimits>,
    /// `wal_segment_size`.
    pub segment_size: SegmentSize,
    /// `pg_stat_wal_receiver.latest_end_lsn`: the end of WAL that the sender last reported.
    pub sender_end: Option<Lsn>,
}

impl Look {
    /// `pg_is_in_recovery()`.
    #[must_use]
    pub fn in_recovery(&self) -> bool {
        !self.sample.is_primary()
    }

    /// The timeline that is written or followed.
    #[must_use]
    pub fn timeline(&self) -> TimelineId {
        match &self.sample.role {
            Role::Primary { timeline, .. } | Role::Standby { timeline, .. } => *timeline,
        }
    }

    /// The end of WAL of a primary.
    #[must_use]
    pub fn written(&self) -> Option<Lsn> {
        match &self.sample.role {
            Role::Primary { written, .. } => Some(*written),
            Role::Standby { .. } => None,
        }
    }

    /// What a standby received.
    #[must_use]
    pub fn received(&self) -> Option<Lsn> {
        match &self.sample.role {
            Role::Primary { .. } => None,
            Role::Standby { received, .. } => *received,
        }
    }

    /// What a standby replayed.
    #[must_use]
    pub fn replayed(&self) -> Option<Lsn> {
        match &self.sample.role {
            Role::Primary { .. } => None,
            Role::Standby { replayed, .. } => *replayed,
        }
    }

    /// Whether replay was paused.
    #[must_use]
    pub fn replay_paused(&self) -> bool {
        matches!(&self.sample.role, Role::Standby { replay_paused: true, .. })
    }

    /// Seconds behind; 0 on a primary.
    #[must_use]
    pub fn lag_seconds(&self) -> f64 {
        match &self.sample.role {
            Role::Primary { .. } => 0.0,
            Role::Standby { lag_seconds, .. } => *lag_seconds,
        }
    }

    /// The receiver of a standby.
    #[must_use]
    pub fn receiver(&self) -> Option<&Receiver> {
        match &self.sample.role {
            Role::Primary { .. } => None,
            Role::Standby { receiver, .. } => receiver.as_ref(),
        }
    }

    /// Whether a WAL receiver streams.
    #[must_use]
    pub fn receives(&self) -> bool {
        self.receiver().is_some_and(|receiver| receiver.status == "streaming")
    }

    /// Bytes that the sender reported and this standby has not replayed; `None` while nothing is received.
    #[must_use]
    pub fn replay_lag_bytes(&self) -> Option<u64> {
        self.receiver()?;
        let end = self.sender_end?.max(self.received().unwrap_or_default());
        Some(end.0.saturating_sub(self.replayed().unwrap_or_default().0))
    }

    /// How many standbys stream from this instance.
    #[must_use]
    pub fn streaming_standbys(&self) -> usize {
        self.sample.replication.iter().filter(|replica| replica.state == "streaming").count()
    }

    /// How many standbys each commit waits for: the number in `synchronous_standby_names`, or 1 for a plain
    /// list of names; 0 when it is empty.
    #[must_use]
    pub fn expected_sync(&self) -> u64 {
        let names = self.sample.synchronous_standby_names.trim();
        if names.is_empty() {
            return 0;
        }
        let head = names.split_once('(').map_or("", |(head, _)| head);
        head.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(1)
    }

    /// How many standbys are connected as synchronous ones now.
    #[must_use]
    pub fn observed_sync(&self) -> usize {
        self.sample
            .replication
            .iter()
            .filter(|replica| matches!(replica.sync_state.as_str(), "sync" | "quorum"))
            .count()
    }
}
