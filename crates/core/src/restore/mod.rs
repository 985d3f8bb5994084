//! Restore in place: the same cluster as it once was, out of its own archive, on volumes beside the old ones
//! (ADR 0013). The stages, and what an order comes to; `plan::restore` walks through them.

mod close;
mod given_up;
mod order;
#[cfg(test)]
mod tests;

pub use close::{attempt_of, closed};
pub use given_up::given_up;
pub use order::{Ruling, rule};

use crate::lease::{LeaseRecord, Versioned};
use serde::{Deserialize, Serialize};

/// How far a restore is. Each stage is written before anything of it is done, and can be begun again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The holder stops and releases by the ordinary rules; then all pods go, and their volumes are put aside.
    #[default]
    Stopping,
    /// Nobody is left. The old history's lease is on record, and is written over by one of a higher term that nobody
    /// who knew the old one can take.
    Closing,
    /// One instance is made out of the archive.
    Restoring,
    /// The volumes that are gone back to are the cluster's again.
    Reviving,
    /// There is a database; the other instances come.
    Joining,
    /// All instances are there.
    Done,
}

impl Stage {
    /// Whether there is anything left to do.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        self != Stage::Done
    }
}

/// What is gone back to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revival {
    /// The restore that has put the volumes aside.
    pub restore: String,
    /// The lease as it was then; absent where that restore had not closed it yet, so that it still is as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseRecord>,
}

/// `status.restore` as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreFact {
    /// Which: the volumes that it puts aside carry it, and so does the lease that it writes.
    pub id: String,
    /// The last order that it goes by.
    pub order: String,
    /// How far it is.
    pub stage: Stage,
    /// The instance that is made out of the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The lease that it closes, as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Versioned<LeaseRecord>>,
    /// It goes back to volumes instead of to the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revives: Option<Revival>,
    /// A person has seen to it that a holder which does not release is dead, and stays dead.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub holder_is_dead: bool,
}

/// What a person asks for (annotation `pgherd.io/restore`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoreOrder {
    /// One for each order.
    pub id: String,
    /// Back to the volumes that the last restore has put aside.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub undo: bool,
    /// [`RestoreFact::holder_is_dead`].
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub holder_is_dead: bool,
    /// Also while there are volumes of an earlier restore, which nothing goes back to afterwards.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub keep_both: bool,
}

impl RestoreFact {
    /// Whether nobody may be elected. While the last holder has not released, the ordinary rules go on: they are what
    /// ends it. From its release on nobody takes its place, until there is a history again to go on with.
    #[must_use]
    pub fn suspends_elections(&self, lease: &LeaseRecord) -> bool {
        match self.stage {
            Stage::Stopping => self.holder_is_dead || lease.held_by().is_none(),
            Stage::Closing | Stage::Restoring | Stage::Reviving => true,
            Stage::Joining | Stage::Done => false,
        }
    }

    /// Why the volumes that were put aside may not be dropped yet (I7); nothing where they may.
    #[must_use]
    pub fn keeps_old(&self, is_healthy: bool) -> Option<String> {
        match (self.stage, is_healthy) {
            (Stage::Done, true) => None,
            (Stage::Done, false) => Some("the cluster is not healthy, and they may be needed to go back to".to_owned()),
            _ => Some(format!("restore {} is under way, and they are what it can be undone by", self.id)),
        }
    }

    /// Whether the lease is the one that it wrote.
    #[must_use]
    pub fn has_closed(&self, lease: &LeaseRecord) -> bool {
        lease.attempt == attempt_of(&self.id)
    }
}
