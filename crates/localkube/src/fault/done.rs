//! What came of a request.

use serde::{Deserialize, Serialize};

use super::Target;
use crate::net::NetError;
use crate::node::disk::DiskError;

/// Nothing was changed, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// No pod of that name runs here, or several do.
    #[error("no single running pod is called {0}")]
    Pod(String),
    /// The pod has no such process now.
    #[error("{pod} has no {target:?} process now")]
    Process {
        /// The pod.
        pod: String,
        /// Who was looked for.
        target: Target,
    },
    /// nftables or tc refused.
    #[error("failed to change the pod's network")]
    Network(#[from] NetError),
    /// A link can be late by one time only.
    #[error("the link of {0} is late already: heal that first")]
    Late(String),
    /// Pods have no clocks of their own.
    #[error("the clocks of pods are the machine's: start the environment with `--clocks`")]
    Clocks,
    /// There is no such node.
    #[error("there is no node {0}")]
    Node(String),
    /// No controller runs.
    #[error("no controller runs")]
    Controller,
    /// There is no such lasting fault.
    #[error("no lasting fault is called {0}; `pgherd local fault list` shows them")]
    Unknown(String),
    /// The pod has no such volume.
    #[error("{0} has no such volume")]
    Volume(String),
    /// The volume is a directory of this machine's own file system.
    #[error("the volume is a directory: start the environment with `--volumes ext4`")]
    Directory,
    /// The volume hangs already.
    #[error("the volume of {0} hangs: heal that first")]
    Hangs(String),
    /// The volume cannot be changed.
    #[error("failed to change the volume")]
    Disk(#[from] DiskError),
    /// A file cannot be changed.
    #[error("failed to change a file")]
    File(#[source] std::io::Error),
    /// The API refused.
    #[error("the API refused: {0}")]
    Api(String),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// For people.
    pub text: String,
    /// What ends it, if it lasts.
    pub id: Option<String>,
}

impl Done {
    pub(super) fn at_once(text: impl Into<String>) -> Self {
        Self { text: text.into(), id: None }
    }

    pub(super) fn lasts(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self { text: text.into(), id: Some(id.into()) }
    }
}
