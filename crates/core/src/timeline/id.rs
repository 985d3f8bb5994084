//! A timeline id (PostgreSQL documentation, "Timelines").

use core::fmt;
use serde::{Deserialize, Serialize};

/// A timeline id. Postgres counts from 1; 0 stands for "none yet" and only appears in an empty lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimelineId(pub u32);

impl TimelineId {
    /// The first timeline of every database system.
    pub const FIRST: TimelineId = TimelineId(1);

    /// The id after this one, saturating.
    #[must_use]
    pub fn next(self) -> TimelineId {
        TimelineId(self.0.saturating_add(1))
    }
}

impl fmt::Display for TimelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
