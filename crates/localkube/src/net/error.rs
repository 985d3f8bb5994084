//! What can go wrong with the cluster's network.

use std::io;

/// Nothing here is worth a retry by itself: the causes are the host's.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A program of iproute2 or nftables refused.
    #[error("failed to run `{command}`: {stderr}")]
    Tool {
        /// The command line.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// A program could not be started; it is not installed or not in PATH.
    #[error("failed to start `{command}`")]
    Start {
        /// The command line.
        command: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The namespace's file could not be opened.
    #[error("failed to open network namespace {name}")]
    OpenNamespace {
        /// Its name.
        name: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// A runtime could not be built.
    #[error("failed to start a runtime in the network namespace")]
    Runtime(#[source] io::Error),
    /// A socket could not be made.
    #[error("failed to listen on {address}")]
    Listen {
        /// The wished address.
        address: std::net::SocketAddr,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// A pod's link could not be taken over.
    #[error("failed to carry the frames of {link}")]
    Relay {
        /// The bridge's end of it.
        link: String,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// All pod addresses are in use.
    #[error("no pod address is left in 10.213.0.0/24")]
    NoPodAddress,
    /// The host's side has stopped.
    #[error("the host's side of the network has stopped")]
    HostGone,
}
