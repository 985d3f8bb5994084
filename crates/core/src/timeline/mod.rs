//! Timelines: their ids, their histories, and who descends from whom.

mod id;

pub use id::TimelineId;
