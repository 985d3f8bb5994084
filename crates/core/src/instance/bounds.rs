//! How long things may take before something else is tried.

use core::time::Duration;

/// A crashed holder that offers its tail recovers in place when nobody has confirmed by then.
pub const TAIL_BOUND: Duration = Duration::from_secs(3);
/// A candidate gives an election up when it cannot get the tail by then.
pub const CANDIDATE_BOUND: Duration = Duration::from_secs(10);
/// A candidate goes on without the WAL of a holder that could not say in its lease that it offers any, if it does not get
/// it by then: it may not reach who was heard by the controller.
pub const UNANNOUNCED_TAIL_BOUND: Duration = Duration::from_secs(3);
/// Between two requests of a candidate to a holder that would not release yet.
pub const ASK_AGAIN: Duration = Duration::from_millis(100);
/// An election that was given up is not run for again before this has passed.
pub const DECLINE_PAUSE: Duration = Duration::from_secs(2);
/// Between two attempts at something that failed.
pub const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// A standby that has an open leader and does not stream for this long is taken through rejoin.
pub const LINK_PATIENCE: Duration = Duration::from_secs(10);
/// A proof of the write path is worth this much of the renewal deadline.
pub const PROOF_FRESH: Duration = Duration::from_secs(3);
/// Between two tries of a renewal that had no answer.
pub const RENEW_RETRY: Duration = Duration::from_millis(500);
/// A restart in place and a crash recovery may take this long before the lease is given up.
pub const RECOVERY_BOUND: Duration = Duration::from_secs(600);
/// A member of the synchronous set may be away for this long before another set is chosen.
pub const MEMBER_PATIENCE: Duration = Duration::from_secs(3);
/// A member whose directory is to be replaced waits this long, at most, to leave the synchronous set.
pub const LEAVE_BOUND: Duration = Duration::from_secs(10);
/// A renewal that has had no answer for so long makes the holder ask its members for pledges.
pub const FAILSAFE_AFTER: Duration = Duration::from_secs(1);
