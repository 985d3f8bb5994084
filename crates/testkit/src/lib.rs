//! What tests and the demo share: a writer that journals what was acknowledged, a checker that reads the journal
//! and the database and nothing else, and waiting for a condition with a deadline.
//!
//! Neighbours: `tests/` and the demo's program use it; no production crate does.

pub mod bed;
pub mod chaos;
pub mod checker;
pub mod demo;
pub mod failover;
pub mod fence;
pub mod history;
pub mod journal;
pub mod judge;
pub mod machine;
pub mod recovery;
pub mod scenario;
pub mod wait;
pub mod writer;
