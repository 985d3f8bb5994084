//! One small trait over object stores, for a WAL archive and backups.
//!
//! Purpose: the calls an archive needs, with errors that tell the caller what to do. Neighbours: `backup`
//! lays barman-cloud's tree over it; nothing below it but the SDK. Invariants: I5, an object is only ever
//! created, never replaced ([`ObjectStore::put_new`] and, in parts, [`ObjectStore::complete_upload`] are the only ways
//! to write); a [`StoreError::NotFound`] is
//! proven by the store's own answer, never guessed from a failure.
//!
//! [`conformance`] is the one suite that every implementation passes.

pub mod conformance;
mod error;
mod faulty;
mod location;
mod memory;
mod s3;
mod store;
#[cfg(feature = "test-server")]
pub mod test_server;

pub use error::{StoreError, Then};
pub use faulty::{Fault, FaultControl, Faulty};
pub use location::{Location, LocationError};
pub use memory::MemoryStore;
pub use s3::{Encryption, S3Config, S3Credentials, S3Store, Timeouts};
pub use store::{LEAST_PART, MOST_PARTS, ObjectInfo, ObjectStore, Page, Put, PutOptions, Upload, list_all};
