//! What keeps a container from starting.

use std::io;
use std::path::PathBuf;

use crate::api::ApiError;
use crate::net::NetError;

/// The node tries again with back-off; people see it as the reason why a container waits.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The pod is not a pod.
    #[error("failed to read the pod")]
    Pod(#[source] serde_json::Error),
    /// A volume or variable refers to something that is not there.
    #[error("{0} not found")]
    Missing(String),
    /// What the image stands for is not on this machine.
    #[error("{0}")]
    Image(String),
    /// A kind of volume or variable that this node does not know.
    #[error("{0} is not supported by the local node")]
    Unsupported(String),
    /// A path of the pod leads out of where it belongs.
    #[error("{0} is not an allowed path")]
    Path(String),
    /// A file could not be written.
    #[error("failed to write {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// A process could not be started.
    #[error("failed to start a process of the pod")]
    Process(#[source] io::Error),
    /// The sandbox ended at once.
    #[error("the sandbox did not come up")]
    Sandbox,
    /// The network refused.
    #[error("failed to join the pod to the network")]
    Network(#[from] NetError),
    /// The API refused.
    #[error("failed to ask the API: {0}")]
    Api(String),
}

impl From<ApiError> for NodeError {
    fn from(error: ApiError) -> Self {
        Self::Api(error.to_string())
    }
}

impl NodeError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}
