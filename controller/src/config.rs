//! What the controller is started with.

use pgherd_core::cluster::DRAIN_TAINTS;

/// The manager's image where nobody names one: that of this very version.
pub const DEFAULT_MANAGER_IMAGE: &str = concat!("pgherd/pgherd:", env!("CARGO_PKG_VERSION"));

/// Where several controllers decide which of them works, and as whom this one takes part.
#[derive(Clone, Debug)]
pub struct Election {
    /// The lease's namespace.
    pub namespace: String,
    /// Another one in each process.
    pub name: String,
}

/// Settings that are the same for every cluster.
#[derive(Clone, Debug)]
pub struct Config {
    /// Image with the manager's binary, for the init container that brings it into the pods.
    pub manager_image: String,
    /// Port of the managers' status; another one only where a test stands in for them.
    pub status_port: u16,
    /// Taints of nodes that say that a primary there is to hand over.
    pub drain_taints: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            manager_image: String::new(),
            status_port: pgherd_proto::names::STATUS_PORT,
            drain_taints: DRAIN_TAINTS.map(str::to_owned).to_vec(),
        }
    }
}
