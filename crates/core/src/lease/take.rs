//! Rules L2 and L3: who may take the lease, what a take writes, and when it makes a holder.

use super::{ElectableRecord, Holder, HolderState, LeaseRecord, Term, Timings, Versioned, WalPosition};
use crate::identity::{AttemptId, Nonce, PodUid};
use crate::sync::joined;
use crate::time::Instant;
use crate::timeline::TimelineId;
use core::time::Duration;

/// Why a lease may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ground {
    /// Its holder gave it up after its last process was gone.
    Released,
    /// It was watched unchanged by one of its takers for a whole leaseDuration, its holder's or the taker's own,
    /// whichever is longer.
    Lapsed,
    /// A terminated container carries the holder's nonce.
    ProofOfDeath,
    /// It names this very process, which has no hold and writes nothing: its hold ran out, or the answer to its take
    /// came too late.
    OwnName,
    /// The holder's own volume is here, under this manager's lock, and the lease was watched unchanged for a
    /// whole leaseDuration: its manager is gone, and with it its PID namespace (hole 27).
    VolumeInherited,
}

/// Why a lease may not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Somebody may still be writing.
    #[error("{holder} holds the lease and may be writing for another {left:?}")]
    Held {
        /// The holder's pod.
        holder: String,
        /// Until the lease lapses for this observer.
        left: Duration,
    },
    /// It is older than what was seen of it (rule L9).
    #[error("{why}")]
    WentBack {
        /// For people.
        why: String,
    },
    /// Only the members that the holder counts on may take without its consent (hole 13).
    #[error("{holder} holds the lease and does not list this pod among its takers")]
    NotATaker {
        /// The holder's pod.
        holder: String,
    },
}

/// Rule L2: may `me`, whose manager holds the lock of its volume and has no hold, take this version of the lease?
/// Of postgres it has at most one that is in recovery.
///
/// # Errors
/// [`Refusal`] says who holds it, and for how long.
pub fn may_take(
    lease: &LeaseRecord,
    me: &Holder,
    watched: Duration,
    timings: Timings,
    dead: &[Nonce],
) -> Result<Ground, Refusal> {
    let Some(holder) = lease.held_by() else { return Ok(Ground::Released) };
    if dead.contains(&holder.nonce) {
        return Ok(Ground::ProofOfDeath);
    }
    if holder.nonce == me.nonce {
        return Ok(Ground::OwnName);
    }
    let heir = holder.name == me.name && holder.pod_uid != me.pod_uid;
    if !heir && !lease.takers.contains(&me.pod_uid) {
        return Err(Refusal::NotATaker { holder: holder.name.clone() });
    }
    match lease.lapses_after(timings).checked_sub(watched) {
        None | Some(Duration::ZERO) if heir => Ok(Ground::VolumeInherited),
        None | Some(Duration::ZERO) => Ok(Ground::Lapsed),
        Some(left) => Err(Refusal::Held { holder: holder.name.clone(), left }),
    }
}

/// What a take is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// To open the database that initdb has just made, on the timeline that it made.
    FirstDatabase(TimelineId),
    /// To promote: the next timeline is reserved with the term (I2).
    Promotion,
    /// To go on writing the timeline that this data directory already has (rule E2).
    InPlace {
        /// The end of valid WAL on this volume, offered to the standbys first.
        tail: Option<WalPosition>,
    },
}

/// The record that a take writes over `before`. What its writer promises under synchronous replication (`own`, at
/// whichever term) is appended to the records and replaces none (hole 7).
#[must_use]
pub fn taken(
    before: &LeaseRecord,
    me: Holder,
    attempt: AttemptId,
    purpose: Purpose,
    takers: Vec<PodUid>,
    own: Option<ElectableRecord>,
) -> LeaseRecord {
    let (state, timeline, tail) = match purpose {
        Purpose::FirstDatabase(timeline) => (HolderState::Promoting, timeline, None),
        Purpose::Promotion => (HolderState::Promoting, before.timeline.next(), None),
        Purpose::InPlace { tail } => {
            (HolderState::Recovering, before.timeline.max(tail.map(|t| t.timeline).unwrap_or_default()), tail)
        }
    };
    let term = before.term.next();
    let timeline_term = match purpose {
        Purpose::FirstDatabase(_) | Purpose::Promotion => term,
        Purpose::InPlace { .. } if timeline == before.timeline => before.timeline_term,
        // Promoted by nobody who held the lease.
        Purpose::InPlace { .. } => Term::default(),
    };
    LeaseRecord {
        holder: Some(me),
        attempt,
        state,
        term,
        timeline,
        timeline_term,
        takers,
        records: joined(&before.records, own.map(|own| ElectableRecord { term, ..own })),
        tail,
        lineage: before.lineage.clone(),
        // Nothing of the last holder's: the taker writes its own.
        lease_duration: Duration::ZERO,
    }
}

/// The right to write until a deadline, on this process' clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The last confirmed record and its version.
    pub lease: Versioned<LeaseRecord>,
    /// When the last good request was *sent*, plus renewDeadline (hole 19).
    pub deadline: Instant,
}

impl Hold {
    /// Rule L3: the answer to one's own take makes a holder, unless it arrives after its deadline.
    #[must_use]
    pub fn from_answer(lease: Versioned<LeaseRecord>, sent: Instant, now: Instant, timings: Timings) -> Option<Hold> {
        let deadline = sent.plus(timings.renew_deadline);
        (now < deadline).then_some(Hold { lease, deadline })
    }

    /// Rule L4: a confirmed renewal moves the deadline, never backwards.
    pub fn renewed(&mut self, lease: Versioned<LeaseRecord>, sent: Instant, timings: Timings) {
        self.lease = lease;
        self.deadline = self.deadline.max(sent.plus(timings.renew_deadline));
    }

    /// Rule L7: a round of pledges, sent then, is worth as much.
    pub fn extended(&mut self, sent: Instant, timings: Timings) {
        self.deadline = self.deadline.max(sent.plus(timings.renew_deadline));
    }

    /// Rule L5: past the deadline everything of postgres is killed.
    #[must_use]
    pub fn overdue(&self, now: Instant) -> bool {
        now >= self.deadline
    }
}

/// What a conflict on a renewal means (rule L4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// The stored record is one's own: go on from its version. Its age is not adopted (hole 14).
    Adopt,
    /// Somebody else's: kill.
    Lost,
}

/// Reads the record that a renewal ran into.
#[must_use]
pub fn conflict(mine: &Nonce, stored: &LeaseRecord) -> Conflict {
    match stored.held_by() {
        Some(holder) if holder.nonce == *mine => Conflict::Adopt,
        _ => Conflict::Lost,
    }
}

/// Rule L6: the record that gives the lease up; the holder stays on it as the last one, with where its WAL ends.
#[must_use]
pub fn released(before: &LeaseRecord, tail: Option<WalPosition>) -> LeaseRecord {
    LeaseRecord { state: HolderState::Released, tail, lease_duration: Duration::ZERO, ..before.clone() }
}
