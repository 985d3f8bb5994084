//! What can go wrong while a pod's processes are set up.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;

/// All are final for this attempt; the node tries again with back-off.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file could not be read or written.
    #[error("failed to {action} {path}")]
    File {
        /// read, write, create, link.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The spec is not what the node writes.
    #[error("failed to read the container's spec")]
    Spec(#[source] serde_json::Error),
    /// A system call failed.
    #[error("failed to {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// The system's word.
        #[source]
        source: Errno,
    },
    /// A mount failed.
    #[error("failed to mount {path}")]
    Mount {
        /// Where.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: Errno,
    },
    /// The program is not there or is not executable.
    #[error("failed to execute {program}")]
    Execute {
        /// As asked for.
        program: String,
        /// The system's word.
        #[source]
        source: Errno,
    },
    /// A string of the spec has a NUL byte in it, or there is no command.
    #[error("the container has no usable command")]
    Command,
    /// The child could not be started or waited for.
    #[error("failed to run the container")]
    Child(#[source] io::Error),
}

impl SandboxError {
    pub(super) fn system(action: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::System { action, source }
    }

    pub(super) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
