//! What one member says about itself: its pod's annotation, or its answer when it is fenced.

use crate::identity::{Incarnation, Nonce, PodUid, SystemId};
use crate::lease::{Term, WalPosition};
use crate::timeline::Lineage;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What a member's manager is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberPhase {
    /// The manager looks around.
    #[default]
    Starting,
    /// initdb.
    Initializing,
    /// Base backup from the primary.
    Joining,
    /// pg_rewind or a new clone after having been primary.
    Rejoining,
    /// Replays, and usually streams.
    Standby,
    /// Elected; fetches the tail.
    Candidate,
    /// Has taken the lease.
    Promoting,
    /// Serves writes.
    Primary,
    /// Its postgres died while it held the lease.
    Recovering,
    /// Gave the lease back.
    Released,
    /// Shutting down.
    Stopping,
    /// Cannot go on by itself; the message says why.
    Stuck,
}

/// The lease as a member last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseSeen {
    /// Its resourceVersion.
    pub version: String,
    /// It watched that version unchanged for a whole leaseDuration, and is one of the takers (rule L2).
    pub stale: bool,
    /// The term of that lease.
    #[serde(skip_serializing_if = "is_zero")]
    pub term: Term,
    /// The longest leaseDuration that it knows of, of the lease's holder or its own; zero where it does not say.
    #[serde(skip_serializing_if = "Duration::is_zero")]
    pub lease_duration: Duration,
}

fn is_zero(term: &Term) -> bool {
    term.0 == 0
}

/// A member's word about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// The manager process that speaks.
    pub nonce: Nonce,
    /// Its pod.
    pub pod_uid: PodUid,
    /// Its data directory.
    pub incarnation: Option<Incarnation>,
    /// The database system in it.
    pub system_id: Option<SystemId>,
    /// What it is doing.
    pub phase: MemberPhase,
    /// Why, for people.
    pub message: String,
    /// The lease as it sees it.
    pub lease_seen: LeaseSeen,
    /// The last WAL that it has flushed. In an annotation it may be long behind.
    pub position: Option<WalPosition>,
    /// End of valid WAL on its volume, which it serves to others.
    pub tail: Option<WalPosition>,
    /// The highest term that it has promised to follow nobody of (rule E3).
    pub fence: Term,
    /// The history of the timeline that `position` is on, from the volume; absent where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
    /// Some parameter takes effect only after a restart of postgres.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub pending_restart: bool,
    /// One of those is smaller than before, and standbys refuse to start with less than the primary has
    /// (`max_connections` and its like): the primary must restart first.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub pending_decrease: bool,
    /// What is on its volume can be used by nobody: like an empty one it is waiting to be cloned anew.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub damaged: bool,
    /// Answered in this round, after its fence (rule E3); false for an annotation.
    pub fresh: bool,
}

impl Report {
    /// The furthest WAL this member can bring, by its position or the tail it serves.
    #[must_use]
    pub fn reach(&self) -> Option<WalPosition> {
        self.position.max(self.tail)
    }
}
