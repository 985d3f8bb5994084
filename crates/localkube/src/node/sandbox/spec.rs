//! What the node tells a container's processes: one JSON file per attempt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SandboxError;

/// One attempt of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The process that holds the pod's namespaces.
    pub pause: i32,
    /// An empty directory over which the root is mounted, in the container's own mount namespace only.
    pub root: PathBuf,
    /// What is mounted below the root, in this order.
    pub mounts: Vec<Mount>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Where the program starts; `/` if empty.
    pub working_dir: String,
    /// User of the program.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// It becomes that user in a user namespace of its own, since here there is only one.
    pub own_identity: bool,
    /// The log; rotated to `.1` at 10 MiB.
    pub log: PathBuf,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: PathBuf,
    /// Not writable in the container.
    pub read_only: bool,
    /// What is there.
    pub kind: MountKind,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MountKind {
    /// A file or directory of the host.
    Bind(PathBuf),
    /// Memory, with a limit in bytes if there is one. Gone with the container.
    Memory(Option<u64>),
}

impl ContainerSpec {
    /// Reads one.
    ///
    /// # Errors
    /// If the file is not there or is something else.
    pub fn read(path: &Path) -> Result<Self, SandboxError> {
        let text = std::fs::read(path).map_err(SandboxError::file("read", path))?;
        serde_json::from_slice(&text).map_err(SandboxError::Spec)
    }
}
