//! Backups: what of them does nothing, who takes them, which are lost, and what the Cluster's status says of them.

mod attend;
mod explain;
mod silence;
mod summary;
mod waits;

pub use attend::attend;
pub use explain::explain;
pub use silence::Silences;

use crate::caches::{Caches, Key};
use pgherd_proto::backup::Backup;
use std::sync::Arc;

/// The Backups of one cluster.
#[must_use]
pub fn of_cluster(caches: &Caches, key: &Key) -> Vec<Arc<Backup>> {
    caches.backups.of(key)
}
