//! What keeps an environment from coming up or going down.

use std::io;
use std::path::PathBuf;

use super::endpoint::EndpointError;
use crate::api::{ApiError, ServerError, TlsError};
use crate::net::NetError;
use crate::node::sandbox::SandboxError;
use crate::s3::S3Error;

/// Final for this attempt; the message says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Something that the machine lacks, as preflight found.
    #[error("this machine cannot run a local environment:\n{0}")]
    Preflight(String),
    /// Another daemon has this state directory.
    #[error("environment {0} is up already; `pgherd local down` ends it")]
    AlreadyUp(String),
    /// There is no daemon for this state directory.
    #[error("no environment is up in {0}; `pgherd local up` starts one")]
    NotUp(PathBuf),
    /// A file could not be read or written.
    #[error("failed to use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// A manifest is not YAML, or a stored file not JSON.
    #[error("failed to read {path}: {why}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Objects that are new are invalid; the text says which, why, and what to do.
    #[error("the manifests cannot be applied, and nothing of them was:\n{0}")]
    Invalid(String),
    /// What is given for S3 cannot be used.
    #[error("failed to use the S3 endpoint")]
    Endpoint(#[from] EndpointError),
    /// The API refused an object.
    #[error("failed to apply {what}: {why}")]
    Apply {
        /// Kind and name.
        what: String,
        /// The API's answer.
        why: String,
    },
    /// The real API server cannot be worked for.
    #[error("failed to work for the API server that was given")]
    Upstream(#[from] crate::upstream::UpstreamError),
    /// The namespaces of an environment without root could not be made.
    #[error("failed to become root in namespaces of its own")]
    Rootless(#[from] SandboxError),
    /// The network could not be set up.
    #[error("failed to set up the network")]
    Network(#[from] NetError),
    /// The API server could not be made.
    #[error("failed to start the API server")]
    Api(#[from] ServerError),
    /// Its certificates could not be made.
    #[error("failed to make the API server's certificates")]
    Tls(#[from] TlsError),
    /// The embedded S3 could not be started.
    #[error("failed to start the embedded S3")]
    S3(#[from] S3Error),
    /// A runtime or process could not be started.
    #[error("failed to start the daemon")]
    Start(#[source] io::Error),
    /// The daemon ended before it was ready.
    #[error("the daemon ended before it was ready; the end of {log} says:\n{tail}")]
    Died {
        /// Its log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The daemon refused a request.
    #[error("{0}")]
    Refused(String),
}

impl DaemonError {
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub(super) fn apply(what: impl Into<String>) -> impl FnOnce(ApiError) -> Self {
        let what = what.into();
        move |error| Self::Apply { what, why: error.to_string() }
    }
}
