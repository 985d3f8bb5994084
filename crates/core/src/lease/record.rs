//! What the Lease object stores: the only record of who may write that counts.

use crate::identity::{AttemptId, Incarnation, Nonce, PodUid};
use crate::lsn::Lsn;
use crate::timeline::{Lineage, TimelineId};
use core::fmt;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Counts the takes of a lease: each take makes the next term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one, saturating.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }

    /// The first take makes term 1: nobody wrote in the one before.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A position in one timeline's WAL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WalPosition {
    /// The timeline of the last record.
    pub timeline: TimelineId,
    /// Where that record ends.
    pub lsn: Lsn,
}

impl fmt::Display for WalPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on timeline {}", self.lsn, self.timeline)
    }
}

/// What the holder says it is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HolderState {
    /// Serving clients.
    Open,
    /// Its postgres died; it holds the lease while its WAL is handed over or replayed in place.
    Recovering,
    /// It has taken the lease and is becoming the primary.
    Promoting,
    /// Nobody holds the lease.
    #[default]
    Released,
}

/// Who holds the lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// The pod's name, for people and for the services.
    pub name: String,
    /// The pod's UID.
    pub pod_uid: PodUid,
    /// The manager process.
    pub nonce: Nonce,
    /// Where standbys reach it (pod IP).
    pub address: String,
}

/// Who may be elected without losing an acknowledged commit (rules Q1-Q7).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ElectableRecord {
    /// The term whose writer published it.
    pub term: Term,
    /// The writer's data directory.
    pub writer: Incarnation,
    /// The members (V), by data directory, that may have acknowledged; the writer is not among them.
    pub voters: Vec<Incarnation>,
    /// How many of them (W) had to acknowledge each commit.
    pub needed: u32,
}

/// The stored record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaseRecord {
    /// The last holder; it holds still unless `state` is [`HolderState::Released`].
    pub holder: Option<Holder>,
    /// The take that made this term.
    pub attempt: AttemptId,
    /// What the holder is doing.
    pub state: HolderState,
    /// Counts the takes.
    pub term: Term,
    /// The timeline that this term's holder writes, reserved before it is used (I2).
    pub timeline: TimelineId,
    /// The term whose take reserved [`LeaseRecord::timeline`]: whatever was acknowledged in an earlier one lies before that
    /// timeline begins. Zero where that is not known.
    #[serde(default, skip_serializing_if = "Term::is_unknown")]
    pub timeline_term: Term,
    /// Who may take a lease that was not released once it lapses (hole 13).
    pub takers: Vec<PodUid>,
    /// Who may be elected, under synchronous replication.
    pub records: Vec<ElectableRecord>,
    /// End of the holder's valid WAL, where it is known: of a crashed postgres, or of a shutdown checkpoint.
    pub tail: Option<WalPosition>,
    /// The history of the last timeline that was opened to clients: whoever is elected must lie on it. It is
    /// written when a primary opens, so while one is promoting it is older than [`LeaseRecord::timeline`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
    /// L of whoever wrote it (`spec.leaseDurationSeconds`): a process goes by the timings that it was started with, so
    /// its holder's may be others than the observer's. Zero where that is not known, and in a released lease.
    #[serde(default, skip_serializing_if = "Duration::is_zero")]
    pub lease_duration: Duration,
}

impl LeaseRecord {
    /// Who holds it now; nobody once it was released.
    #[must_use]
    pub fn held_by(&self) -> Option<&Holder> {
        if self.state == HolderState::Released { None } else { self.holder.as_ref() }
    }

    /// How long an observer that goes by `own` must have seen it unchanged before it lapses: the longer of the two
    /// durations. The holder's deadline lies below its own duration, and may lie above the observer's.
    #[must_use]
    pub fn lapses_after(&self, own: Timings) -> Duration {
        self.lease_duration.max(own.lease_duration)
    }
}

/// A value and the `resourceVersion` it was read at (I10: every decision names the version it was made from).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// `metadata.resourceVersion`, compared for equality only.
    pub version: String,
    /// What was stored at it.
    pub value: T,
}

/// `spec.primaryLease` (CNPG field names); ours default to 8/5/2 s, CNPG's to 15/10/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timings {
    /// L: how long a lease must be seen unchanged before it may be taken, at least ([`LeaseRecord::lapses_after`]).
    pub lease_duration: Duration,
    /// D: how long after sending its last good renewal a holder may write.
    pub renew_deadline: Duration,
    /// How often a holder renews.
    pub retry_period: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(8),
            renew_deadline: Duration::from_secs(5),
            retry_period: Duration::from_secs(2),
        }
    }
}

/// The timings would let two instances write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingsError {
    /// `(D + k)(1 + r) < L(1 - r)` does not hold.
    #[error(
        "leaseDurationSeconds ({lease:?}) must exceed renewDeadlineSeconds ({deadline:?}) by more than a second, \
         the time that killing postgres may take and the clocks may drift"
    )]
    NoRoomToFence {
        /// L.
        lease: Duration,
        /// D.
        deadline: Duration,
    },
    /// A holder could not try twice before its deadline.
    #[error("renewDeadlineSeconds ({deadline:?}) must be more than 1.2 times retryPeriodSeconds ({retry:?})")]
    NoRoomToRetry {
        /// D.
        deadline: Duration,
        /// The renewal period.
        retry: Duration,
    },
}

impl Timings {
    /// k: the watchdog's period and the time a kill may take.
    pub const KILL_BUDGET: Duration = Duration::from_secs(1);
    /// r: how far two clocks may drift apart, in parts per million.
    pub const DRIFT_PPM: u64 = 500;

    /// Checks `(D + k)(1 + r) < L(1 - r)` and CNPG's `D > 1.2 retry`.
    ///
    /// # Errors
    /// [`TimingsError`] names the two fields that contradict each other.
    pub fn check(self) -> Result<Self, TimingsError> {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let slow =
            micros(self.renew_deadline.saturating_add(Self::KILL_BUDGET)).saturating_mul(1_000_000 + Self::DRIFT_PPM);
        let fast = micros(self.lease_duration).saturating_mul(1_000_000 - Self::DRIFT_PPM);
        if slow >= fast {
            return Err(TimingsError::NoRoomToFence { lease: self.lease_duration, deadline: self.renew_deadline });
        }
        if micros(self.renew_deadline).saturating_mul(10) <= micros(self.retry_period).saturating_mul(12) {
            return Err(TimingsError::NoRoomToRetry { deadline: self.renew_deadline, retry: self.retry_period });
        }
        Ok(self)
    }
}
