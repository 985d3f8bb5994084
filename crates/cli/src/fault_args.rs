//! The command line of `pgherd local fault`.

use clap::{Subcommand, ValueEnum};

/// Which processes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Who {
    /// The parent of all postgres processes.
    Postmaster,
    /// One client's backend.
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
    /// PID 1; everything in the container dies with it.
    Manager,
    /// The manager's watchdog.
    Watchdog,
    /// Every process of the containers.
    Container,
    /// Every process of the containers, and the namespaces.
    Pod,
}

/// Which packets are dropped, as the pod sees it.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// It can send, and hears nothing.
    In,
    /// It hears, and cannot send.
    Out,
}

/// What is wrong with the controller.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ControllerWhat {
    /// kill -9; it is started again.
    Kill,
    /// SIGSTOP.
    Freeze,
    /// A second one beside it.
    Double,
    /// It cannot reach the API.
    Apart,
}

/// What is wrong with a volume.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DiskWhat {
    /// No space is left.
    Full,
    /// No more files can be made.
    NoInodes,
    /// Writes wait and do not end.
    Hung,
    /// Writes fail. To heal it, its users are killed.
    ReadOnly,
    /// The device writes nothing any more: syncs fail with EIO. To heal it, its users are killed.
    IoErrors,
}

/// What happens to a WAL file.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum WalWhat {
    /// It is gone.
    Missing,
    /// Its second half is.
    Truncated,
}

/// Faults. A pod is NAME, NAMESPACE/NAME or a UID. What lasts has an id and is listed by `list`; `heal` ends it.
#[derive(Debug, Subcommand)]
pub enum FaultVerb {
    /// kill -9.
    Kill {
        /// Which processes.
        who: Who,
        /// Where.
        pod: String,
    },
    /// SIGSTOP.
    Freeze {
        /// Which processes.
        who: Who,
        /// Where.
        pod: String,
    },
    /// SIGCONT for the whole pod.
    Resume {
        /// Which.
        pod: String,
    },
    /// Drop packets between pods and others.
    Partition {
        /// Pods that are cut off, with commas between.
        pod: String,
        /// From whom: a pod, api, s3, pods (all others), clients, controller, or all (but the node's probes).
        #[arg(required = true)]
        from: Vec<String>,
        /// In which direction, as the pod sees it.
        #[arg(long, value_enum, default_value_t)]
        way: Direction,
        /// Come and go: milliseconds cut, milliseconds open.
        #[arg(long, value_name = "CUT,OPEN")]
        flap: Option<String>,
        /// Drop only so many of 100 packets.
        #[arg(long)]
        percent: Option<u8>,
    },
    /// Make a pod's link slow.
    Link {
        /// Which pod.
        pod: String,
        /// Kilobits a second, in each direction.
        #[arg(long)]
        kbit: Option<u32>,
        /// Milliseconds that each packet waits, in each direction.
        #[arg(long)]
        delay: Option<u32>,
    },
    /// Let a pod resolve no names, as when DNS is dead.
    NoNames {
        /// Which pod.
        pod: String,
    },
    /// Let the clocks of a pod be off (wants `up --clocks`).
    Clock {
        /// Which pod.
        pod: String,
        /// Seconds by which its wall clock is ahead; less than none is behind.
        #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
        wall: i64,
        /// Seconds by which its other clocks are ahead, those that nobody can set.
        #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
        steady: i64,
    },
    /// Delete a pod's object at once while its processes run on.
    ForceDelete {
        /// Which.
        pod: String,
    },
    /// A kubelet that neither hears the API nor reports to it.
    KubeletApart {
        /// A pod, or node/NAME.
        of: String,
    },
    /// Kill everything on a node, and its kubelet.
    NodeLost {
        /// Its name.
        node: String,
    },
    /// A volume that is full, hangs, is read-only or fails (wants `up --volumes ext4`).
    Disk {
        /// Whose.
        pod: String,
        /// What is wrong.
        what: DiskWhat,
        /// The volume of WAL, where it has one.
        #[arg(long)]
        wal: bool,
        /// Bytes that stay free, with `full`.
        #[arg(long, default_value_t = 0)]
        leave: u64,
    },
    /// Write 512 bytes of nonsense into a page of a relation.
    DamagePage {
        /// Where.
        pod: String,
        /// The file below PGDATA, as base/5/16400 (default: the largest relation of users).
        #[arg(long)]
        file: Option<String>,
        /// Which page of it.
        #[arg(long, default_value_t = 0)]
        block: u32,
    },
    /// Take a WAL file away, or half of it.
    DamageWal {
        /// Where.
        pod: String,
        /// What happens to it.
        how: WalWhat,
        /// Its name (default: the newest complete one).
        #[arg(long)]
        segment: Option<String>,
    },
    /// Delete a pod with its claims, and so its data.
    LoseVolume {
        /// Which pod.
        pod: String,
    },
    /// S3: off, silent, slow=MILLISECONDS, rate=BYTES (a second), status=CODE, reset=BYTES (then the connection is
    /// reset), ack-lost (writes are done, their answers lost), truncated=BYTES (of each answer), none.
    S3 {
        /// What is wrong.
        what: String,
    },
    /// API: off, silent, slow=MILLISECONDS, errors=COUNTxSTATUS, stale-watches, drop-watches,
    /// forget (410), none.
    Api {
        /// What is wrong.
        what: String,
    },
    /// The controller.
    Controller {
        /// What is wrong.
        what: ControllerWhat,
    },
    /// kill -9 of the controller.
    KillController,
    /// What lasts now.
    List,
    /// End a lasting fault by its id, those of a pod, or all.
    Heal {
        /// From `list`; all if absent.
        id: Option<String>,
        /// Those that were put on this pod.
        #[arg(long, conflicts_with = "id")]
        pod: Option<String>,
    },
}
