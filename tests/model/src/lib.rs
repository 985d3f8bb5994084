//! Core's own decisions, driven by a model checker (stateright) through every order of events within stated bounds.
//!
//! [`lease`] runs whole `instance::Machine`s with clocks, an API server that loses and delays, and faults: I1, I2 and
//! liveness. [`quorum`] runs the rules of the synchronous set and of elections without any clock: I3, I4. [`table`]
//! lists the runs, [`report`] says what they found, [`mutants`] are mistakes that they must notice. `docs/explanation/model.md` says what is covered and what is not.

pub mod lease;
pub mod mutants;
pub mod quorum;
pub mod report;
pub mod runs;
mod shared;
pub mod table;
