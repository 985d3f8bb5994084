//! What the controller is started with.

/// The manager's image where nobody names one: that of this very version.
pub const DEFAULT_MANAGER_IMAGE: &str = concat!("pgherd/pgherd:", env!("CARGO_PKG_VERSION"));

/// Settings that are the same for every cluster.
#[derive(Clone, Debug)]
pub struct Config {
    /// Image with the manager's binary, for the init container that brings it into the pods.
    pub manager_image: String,
    /// Port of the managers' status; another one only where a test stands in for them.
    pub status_port: u16,
}
