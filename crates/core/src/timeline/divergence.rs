//! Coming back: how a data directory that was here before joins the leader of today.
//!
//! Only what is certain is thrown away: WAL past the point where the leader's history left ours. Nothing is
//! decided about a directory that may be more recent than the leader, or another database's: somebody must look.

use super::{Fork, History, TimelineId};
use crate::identity::SystemId;
use crate::lease::WalPosition;
use crate::lsn::Lsn;

/// What this instance's data directory holds, from `pg_control`, `pg_wal` and the newest local `.history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCopy {
    /// `pg_control`'s system identifier.
    pub system_id: SystemId,
    /// The history of the newest timeline that was written or replayed here.
    pub history: History,
    /// End of the last valid record in the local WAL. A crashed instance's control file alone does not show
    /// it; nothing if no WAL could be read.
    pub end_of_wal: Option<Lsn>,
    /// Where the latest checkpoint's record lies, from `pg_control`: the data files go at least up to here.
    pub checkpoint: WalPosition,
    /// `Minimum recovery ending location`, if the copy was a standby: the data files may hold up to here.
    pub min_recovery: Option<WalPosition>,
    /// `wal_log_hints` or data checksums are on (as `pg_control` says), without which pg_rewind cannot see which blocks changed.
    pub rewindable: bool,
}

/// What the leader says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Its system identifier.
    pub system_id: SystemId,
    /// The history of the timeline it writes.
    pub history: History,
}

/// What to do with the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejoin {
    /// It is on the leader's timeline: start as its standby.
    AlreadyFollowing,
    /// It is on an ancestor, at or before where the leader left it: start as its standby, and replay will cross over.
    FastForward,
    /// It holds WAL that the leader does not: archive every `.ready`, wait for the leader's first checkpoint
    /// on its timeline, then pg_rewind back to this point.
    Rewind {
        /// Where the leader's history left ours.
        from: Fork,
    },
    /// Copy the leader's data into a new directory; the old one stays until the new one streams (I7).
    Reclone {
        /// Why nothing cheaper will do.
        reason: RecloneReason,
    },
    /// Touch nothing, start nothing, say so.
    Refuse {
        /// What somebody must look at.
        reason: RefuseReason,
    },
}

/// Why a directory cannot be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecloneReason {
    /// Neither `wal_log_hints` nor checksums.
    #[error("its WAL parted from the leader's at {} on timeline {}, and without wal_log_hints or data checksums pg_rewind cannot work", .0.lsn, .0.timeline)]
    NoHintBits(Fork),
    /// The two never shared a timeline.
    #[error("its history shares no timeline with the leader's")]
    NoCommonTimeline,
    /// The local WAL could not be read, so nobody knows how far the data files go.
    #[error("the end of its WAL could not be found")]
    EndUnknown,
}

/// Why nothing may be decided without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefuseReason {
    /// Another database lies on the volume: it may be its only copy.
    #[error(
        "the data directory belongs to system {local}, the leader to system {leader}: move it away or delete the volume"
    )]
    OtherSystem {
        /// On this volume.
        local: SystemId,
        /// The leader's.
        leader: SystemId,
    },
    /// This copy went through a promotion that the leader has not heard of (rule L9): it may be the better one.
    #[error(
        "the data directory is on timeline {local}, the leader on the older timeline {leader}: check which of them has the data you want"
    )]
    LeaderBehind {
        /// On this volume.
        local: TimelineId,
        /// The leader's.
        leader: TimelineId,
    },
}

impl LocalCopy {
    /// How far this copy goes: the WAL's end, and never less than what the data files may hold.
    fn end(&self) -> Option<WalPosition> {
        let timeline = self.history.timeline();
        let floor = self.min_recovery.map_or(self.checkpoint.lsn, |p| p.lsn.max(self.checkpoint.lsn));
        self.end_of_wal.map(|lsn| WalPosition { timeline, lsn: lsn.max(floor) })
    }
}

/// How the local copy joins the leader.
///
/// A running standby that streams from the leader never needs to ask; this is for a start, and for a change of leader.
#[must_use]
pub fn rejoin(local: &LocalCopy, leader: &Leader) -> Rejoin {
    if local.system_id != leader.system_id {
        let reason = RefuseReason::OtherSystem { local: local.system_id, leader: leader.system_id };
        return Rejoin::Refuse { reason };
    }
    if local.history.timeline() > leader.history.timeline() {
        let reason = RefuseReason::LeaderBehind { local: local.history.timeline(), leader: leader.history.timeline() };
        return Rejoin::Refuse { reason };
    }
    let Some(end) = local.end() else { return Rejoin::Reclone { reason: RecloneReason::EndUnknown } };
    let Some(fork) = local.history.fork(&leader.history) else {
        return Rejoin::Reclone { reason: RecloneReason::NoCommonTimeline };
    };
    if fork.timeline == end.timeline && end.lsn <= fork.lsn {
        let same = end.timeline == leader.history.timeline();
        return if same { Rejoin::AlreadyFollowing } else { Rejoin::FastForward };
    }
    if local.rewindable {
        Rejoin::Rewind { from: fork }
    } else {
        Rejoin::Reclone { reason: RecloneReason::NoHintBits(fork) }
    }
}

#[cfg(test)]
#[path = "divergence_tests.rs"]
mod tests;
