//! What can be asked for; the same words on the command line, on the control socket and in tests.

use serde::{Deserialize, Serialize};

use crate::s3::S3Fault;

/// Which processes of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The parent of all postgres processes.
    Postmaster,
    /// One client's backend, else one of the postmaster's other children.
    Backend,
    /// PID 1 of the container; everything in it dies with it.
    Manager,
    /// Every process of every container, and the namespaces.
    Pod,
}

/// What is wrong with the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiFault {
    /// Connections are reset.
    Off,
    /// Connections are taken and nothing moves on them.
    Silent,
    /// Every answer comes so many milliseconds late.
    Slow(u64),
    /// So many requests are answered with an HTTP status.
    Errors {
        /// How many.
        count: u32,
        /// With what.
        status: u16,
    },
}

/// One fault. `pod` is `NAMESPACE/NAME`, or `NAME` where that is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultRequest {
    /// SIGKILL.
    Kill {
        /// Whom.
        target: Target,
        /// Where.
        pod: String,
    },
    /// SIGSTOP.
    Freeze {
        /// Whom.
        target: Target,
        /// Where.
        pod: String,
    },
    /// SIGCONT for every process of a pod.
    Resume {
        /// Where.
        pod: String,
    },
    /// Packets between the two are dropped, both ways. One side is a pod, the other a pod, `api`, `s3` or `all` (all but
    /// the node's probes).
    Partition {
        /// A pod.
        pod: String,
        /// From whom.
        from: String,
    },
    /// Something is wrong with S3.
    S3 {
        /// What.
        what: S3Fault,
    },
    /// Something is wrong with the API, for everyone but the node.
    Api {
        /// What.
        what: ApiFault,
    },
    /// Ends every fault that lasts: partitions, frozen processes, S3, API.
    Heal,
}
