//! The right to write: rules L1-L6 and the record they are about (`docs/protocol.md`).

mod observe;
mod record;
mod standstill;
mod take;
#[cfg(test)]
mod tests;

pub use observe::Observation;
pub use record::{
    ElectableRecord, Holder, HolderState, LeaseRecord, Term, Timings, TimingsError, Versioned, WalPosition,
};
pub use standstill::{Session, stand_still};
pub use take::{Conflict, Ground, Hold, Purpose, Refusal, conflict, may_take, released, taken};
