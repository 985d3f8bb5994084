//! Timelines: their ids, their histories, who descends from whom, and how an instance comes back.

mod ancestry;
mod divergence;
mod history;
mod id;
mod lineage;
mod stand_in;

pub use ancestry::Fork;
pub use divergence::{Leader, LocalCopy, RecloneReason, RefuseReason, Rejoin, rejoin};
pub use history::{History, HistoryError, Switch};
pub use id::TimelineId;
pub use lineage::Lineage;
pub use stand_in::{BLANK, is_stand_in};
