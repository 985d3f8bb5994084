//! Physical replication slots: which there should be on a primary and on a standby, and how to get there.
//!
//! Names and the division of work are CNPG's: the primary has one slot for each other instance, each standby keeps
//! copies of them (all but its own) and of the users' slots, and moves them after the primary's.

mod plan;

pub use plan::{Policy, SlotFact, SlotStep, cap_megabytes, on_primary, on_standby, slot_name};

#[cfg(test)]
mod tests;
