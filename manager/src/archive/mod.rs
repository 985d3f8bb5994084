//! WAL archiving and restoring: `archive_command` and `restore_command` are a tiny client on a UNIX socket
//! (`crates/wal-client`); the resident part answers it.
//!
//! Archiving: a request is answered with success only after the store acknowledged the file, or was seen to hold
//! the same content; meanwhile the files that wait behind it are uploaded, `maxParallel` wide. Nothing is ever
//! dropped: every failure is answered as a failure, and postgres asks again. Without a backup section in the
//! Cluster, success is answered and nothing is stored, as CNPG does.
//! Memory: one segment per core while compressing, plus one compressed segment per upload (`maxParallel`).
//!
//! Restoring: the crashed holder's tail first, then the archive, with a prefetch into a folder outside `pg_wal`.
//! "Not there" is said where it is proven; a standby and a promotion are bounded, a recovery waits and then aborts.

mod aside;
mod control;
mod drain;
mod handle;
mod misses;
mod prefetch;
mod put;
mod reach;
mod ready;
mod restore;
mod restore_policy;
mod server;
mod status;
mod store_config;
mod uploader;

pub use aside::AsideError;
pub use control::{ArchiveRole, Archiving, RestoreMode, StoreConfig, TailAnswer, TailError, TailSource};
pub use drain::DrainError;
pub use handle::{Archive, ArchivePaths};
pub use pgherd_wal_client::wire::SOCKET_VARIABLE;
pub use restore_policy::Bounds;
pub use server::ServeError;
pub use status::{ArchiverStatus, Failure};
pub use store_config::{StoreConfigError, StoreSettings};

#[cfg(test)]
mod archive_tests;
#[cfg(test)]
mod aside_tests;
#[cfg(test)]
mod restore_tests;
#[cfg(test)]
mod testbed;
