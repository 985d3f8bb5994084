//! The right to write: rules L1-L6 and the record they are about (`docs/protocol.md`).

mod record;

pub use record::{ElectableRecord, Holder, HolderState, LeaseRecord, Term, Timings, TimingsError, Versioned, WalPosition};
