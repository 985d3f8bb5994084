//! Restore drills: a pod that restores the newest backup, checks it and goes. The decisions are core's; what was decided
//! stands in the Cluster's status before anything is made, so that the death of this process loses nothing.

mod attend;
mod pod;
mod record;
mod view;

pub use attend::attend;
