//! Why a Lease cannot be read. None of these is ever taken for "nobody holds it".

use pgherd_core::lease::HolderState;

/// The Lease is not what a manager wrote. Reading it again helps only after somebody has mended it.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// It was never stored.
    #[error("failed to read the lease: it has no resourceVersion")]
    Unversioned,
    /// Somebody holds it who does not write our annotations (a CNPG instance, for one).
    #[error("failed to read the lease: {0:?} holds it, and did not write who it is (annotation pgherd.io/state)")]
    Foreign(String),
    /// An annotation is missing.
    #[error("failed to read the lease: annotation {0} is missing")]
    Missing(&'static str),
    /// An annotation does not read as what it should be.
    #[error("failed to read annotation {name} of the lease: {value:?}")]
    Malformed {
        /// The annotation.
        name: &'static str,
        /// What it holds.
        value: String,
        /// Why that is not it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `spec.holderIdentity` and the annotations contradict each other.
    #[error(
        "failed to read the lease: its state is {state:?} with holder {annotated:?}, but spec.holderIdentity is {identity:?}"
    )]
    Contradiction {
        /// The annotated state.
        state: HolderState,
        /// The annotated holder.
        annotated: Option<String>,
        /// `spec.holderIdentity`.
        identity: Option<String>,
    },
}
