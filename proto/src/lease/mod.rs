//! The Lease object and the record that the rules speak of, both ways.
//!
//! The record lives in annotations (`crate::labels::LEASE_*`); `spec` repeats a part of it for people and for
//! CNPG's tools, and is only believed where it agrees.

mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use error::LeaseError;
pub use read::{read, read_record};
pub use write::{empty, to_lease};
