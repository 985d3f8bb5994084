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
    /// Every client's backend.
    Backends,
    /// Every walsender.
    Walsender,
    /// The walreceiver of a standby.
    Walreceiver,
    /// The checkpointer.
    Checkpointer,
    /// The startup process, which replays WAL.
    Startup,
    /// The postmaster and all its children.
    Postgres,
    /// PID 1 of the container; everything in it dies with it.
    Manager,
    /// The manager's watchdog.
    Watchdog,
    /// Every process of every container; the namespaces stay.
    Container,
    /// Every process of every container, and the namespaces.
    Pod,
}

/// What is wrong with the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiFault {
    /// Nothing any more.
    None,
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
    /// Every connection that is open now is reset, and with it every watch.
    DropWatches,
    /// As if everybody had been away for long: open connections are reset, and versions of before answer 410.
    Forget,
}

/// Which packets are dropped, as the pod sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Both.
    #[default]
    Both,
    /// Those that come to the pod: it can send, and hears nothing.
    In,
    /// Those that leave it: it hears, and cannot send.
    Out,
}

/// A cut that comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flap {
    /// Milliseconds for which it is cut.
    pub cut: u64,
    /// Milliseconds for which it is not.
    pub open: u64,
}

/// A cut of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Pods that are cut off, each for itself.
    pub pods: Vec<String>,
    /// From whom: a pod, or `api`, `s3`, `pods` (every other pod), `clients` (who comes through a service), `controller`,
    /// `all` (all but the node's probes).
    pub from: Vec<String>,
    /// In which direction.
    #[serde(default)]
    pub way: Way,
    /// Coming and going.
    #[serde(default)]
    pub flap: Option<Flap>,
    /// Only so many of 100 packets, at random. All of them if absent.
    #[serde(default)]
    pub percent: Option<u8>,
}

/// What is wrong with the controller. There are two if `Doubled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControllerFault {
    /// SIGKILL; it is started again.
    Kill,
    /// SIGSTOP.
    Freeze,
    /// A second one runs beside it.
    Double,
    /// It cannot reach the API: nothing moves on its connections.
    Apart,
}

/// One fault. `pod` is `NAMESPACE/NAME`, `NAME` where that is enough, or a UID.
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
    /// Packets between the two are dropped, both ways. One side is a pod, the other as in [`Cut::from`].
    Partition {
        /// A pod.
        pod: String,
        /// From whom.
        from: String,
    },
    /// Packets are dropped, in one direction, or now and then, or some of them.
    Cut(Cut),
    /// A pod's link is slow.
    Link {
        /// A pod.
        pod: String,
        /// Kilobits a second in each direction.
        kbit: Option<u32>,
        /// Milliseconds that each packet waits. Needs netem in the kernel.
        delay: Option<u32>,
    },
    /// The pod's object is deleted at once while its processes run on: its kubelet does not hear of it. Healed, the
    /// kubelet ends what it finds.
    ForceDelete {
        /// Where.
        pod: String,
    },
    /// The kubelet of a pod, or of `node/NAME`, neither hears the API nor reports to it; what runs runs on, and is
    /// restarted when it ends.
    KubeletApart {
        /// Whose.
        of: String,
    },
    /// A node is gone: everything on it is killed, and its kubelet does nothing.
    NodeLost {
        /// Its name.
        node: String,
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
    /// Something is wrong with the controller.
    Controller {
        /// What.
        what: ControllerFault,
    },
    /// Ends one lasting fault, by the id that [`super::Lasting`] has.
    HealOne {
        /// Which.
        id: String,
    },
    /// Ends every lasting fault that was put on one pod.
    HealPod {
        /// Which.
        pod: String,
    },
    /// Ends every fault that lasts.
    Heal,
}
