//! Why a manager did not answer, or not as it should.

use core::time::Duration;
use http::StatusCode;

/// No answer that could be used. What was asked for may have happened all the same, unless it was refused.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The address is not that of a pod. Asking again does not help before the pod has one.
    #[error("failed to dial {address:?}: that is not an IP address")]
    Address {
        /// As given.
        address: String,
    },
    /// The deadline passed. Asking again may help.
    #[error("failed to get an answer from {address} within {within:?}")]
    Late {
        /// Its pod IP.
        address: String,
        /// The deadline.
        within: Duration,
    },
    /// It was not reached, or the exchange broke off. Asking again may help.
    #[error("failed to speak to {address}")]
    Broken {
        /// Its pod IP.
        address: String,
        /// At which point, and how.
        #[source]
        source: ExchangeError,
    },
    /// It answered, and refused: the text says why.
    #[error("{address} refused: {status} {body}")]
    Refused {
        /// Its pod IP.
        address: String,
        /// HTTP status, not 2xx.
        status: StatusCode,
        /// The beginning of its words.
        body: String,
    },
    /// It answered something else than was asked for: another version, or no manager.
    #[error("failed to understand the answer of {address}")]
    Answer {
        /// Its pod IP.
        address: String,
        /// What was wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl CallError {
    /// The HTTP status of a refusal.
    #[must_use]
    pub fn refusal(&self) -> Option<StatusCode> {
        if let Self::Refused { status, .. } = self { Some(*status) } else { None }
    }
}

/// Where an exchange broke.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// TCP.
    #[error("failed to connect")]
    Connect(#[source] std::io::Error),
    /// TLS: it is no manager of this cluster, or it does not take us for a member.
    #[error("failed to agree on TLS")]
    Tls(#[source] std::io::Error),
    /// The request cannot be put into words: a path with a blank in it.
    #[error("failed to phrase the request")]
    Request(#[source] http::Error),
    /// HTTP.
    #[error("failed to exchange request and answer")]
    Http(#[source] hyper::Error),
    /// The answer broke off, or was longer than allowed.
    #[error("failed to read the answer")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
}
