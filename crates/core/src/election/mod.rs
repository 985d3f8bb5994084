//! Who shall be primary next: rules E1-E6 of `docs/protocol.md`, for the controller.
//!
//! [`next`] says from cheap observations whether an election is needed and whom to ask first; [`elect`]
//! decides once the answers are in. Both are level-triggered and bound to the lease they were given (I10).

mod ancestry;
mod drain;
mod elect;
mod evidence;
mod force;
mod loss;
mod next;
mod rank;
mod refusal;
mod satisfy;
mod switchover;
#[cfg(test)]
mod tests;
mod why;

pub use drain::DRAIN_REFUSED;
pub use elect::{Answer, Election, elect, hears_holder};
pub use evidence::{Doubt, is_current, is_named, verify};
pub use force::void as force_is_void;
pub use loss::Loss;
pub use next::{Next, Waiting, next};
pub use rank::{Candidate, Standing, prospects};
pub use refusal::{Refusal, Rejection};
pub use satisfy::{Shortage, binding, sat};
pub use switchover::{MAX_SWITCHOVER_LAG, SWITCHOVER_REFUSED, target_may_yet};
pub use why::{Why, is_switchover, why};
