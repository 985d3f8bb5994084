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
    /// Watches stay open and tell nothing new, as from a server that lags behind.
    StaleWatches,
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

/// Which volume of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Volume {
    /// That of its data.
    #[default]
    Data,
    /// That of its WAL; that of its data, where WAL has none of its own.
    Wal,
}

/// What is wrong with a volume. Only volumes that are file systems of their own can have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFault {
    /// It is full.
    Full {
        /// But for so many bytes.
        leave: u64,
    },
    /// No more files can be made.
    NoInodes,
    /// Writes wait and do not end (state D, which SIGKILL does not end either).
    Hung,
    /// It became read-only over an error. Its users are killed when that is healed.
    ReadOnly,
    /// The device under it writes nothing any more: whoever syncs gets EIO. What is cached can be read. Its users are
    /// killed when that is healed.
    IoErrors,
}

impl std::fmt::Display for DiskFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full { leave: 0 } => f.write_str("full"),
            Self::Full { leave } => write!(f, "full but for {leave} bytes"),
            Self::NoInodes => f.write_str("without inodes"),
            Self::Hung => f.write_str("hung"),
            Self::ReadOnly => f.write_str("read-only"),
            Self::IoErrors => f.write_str("failing with I/O errors"),
        }
    }
}

/// What happens to a WAL file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WalDamage {
    /// It is not there any more.
    Missing,
    /// Its second half is.
    Truncated,
}

/// What is damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// 512 bytes of a page.
    Page {
        /// The file below PGDATA; the largest relation of users if absent.
        file: Option<String>,
        /// Which page of it.
        block: u32,
    },
    /// A WAL file.
    Wal {
        /// Its name; the newest complete one if absent.
        segment: Option<String>,
        /// What happens to it.
        how: WalDamage,
    },
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
        /// Milliseconds that each packet waits, in each direction.
        delay: Option<u32>,
    },
    /// A pod resolves no names any more, as when DNS is dead. A new service brings all of them back.
    NoNames {
        /// A pod.
        pod: String,
    },
    /// A pod's clocks are off, for the processes of its containers alone.
    Clock {
        /// A pod.
        pod: String,
        /// Milliseconds that are added to the wall clock.
        wall: i64,
        /// Milliseconds that are added to the clocks that nobody can set, as after a pause of the machine.
        steady: i64,
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
    /// Something is wrong with a volume.
    Disk {
        /// Where.
        pod: String,
        /// Which.
        volume: Volume,
        /// What.
        what: DiskFault,
    },
    /// Data on the disk are damaged.
    Damage {
        /// Where.
        pod: String,
        /// What.
        what: Damage,
    },
    /// The pod and its claims are deleted, and its data with them. There is no way back.
    LoseVolume {
        /// Where.
        pod: String,
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
