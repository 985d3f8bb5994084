//! What a manager is told by its environment: the pod's fields and the paths that are CNPG's.

use clap::Args;
use pgherd_core::identity::{Nonce, PodUid};
use pgherd_core::lease::Holder;
use pgherd_postgres::dir::Volume;
use pgherd_proto::names::{LOG_LEVEL_VARIABLE, WAL_MOUNT_VARIABLE};
use std::path::{Path, PathBuf};

/// Environment of the postgres container. Exhaustively taken apart where it is used, so that nothing is read twice.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// metadata.name of this pod.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,
    /// metadata.uid of this pod.
    #[arg(long, env = "POD_UID")]
    pub pod_uid: String,
    /// status.podIP: where the other members reach this one.
    #[arg(long, env = "POD_IP")]
    pub pod_ip: String,
    /// metadata.namespace of the pod and of its Cluster.
    #[arg(long, env = "NAMESPACE")]
    pub namespace: String,
    /// metadata.name of the Cluster.
    #[arg(long, env = "CLUSTER_NAME")]
    pub cluster_name: String,
    /// The node's name, where the pod is told.
    #[arg(long, env = "NODE_NAME", default_value = "")]
    pub node_name: String,
    /// The data directory, on the pod's volume.
    #[arg(long, env = "PGDATA", default_value = "/var/lib/postgresql/data/pgdata")]
    pub pgdata: PathBuf,
    /// Where the volume of WAL is mounted, if there is one.
    #[arg(long, env = WAL_MOUNT_VARIABLE)]
    pub wal_mount: Option<PathBuf>,
    /// Where our own files live in the container.
    #[arg(long, env = "PGHERD_CONTROLLER_DIR", default_value = "/controller")]
    pub controller_dir: PathBuf,
    /// Where the kubelet reads the last words of a container.
    #[arg(long, env = "PGHERD_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,
    /// error, warning, info, debug or trace.
    #[arg(long, env = LOG_LEVEL_VARIABLE, default_value = "info")]
    pub log_level: String,
}

/// The same, with this process' identity.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who would hold the lease.
    pub me: Holder,
    /// Namespace of everything.
    pub namespace: String,
    /// The Cluster, its Lease and the prefix of its Secrets.
    pub cluster: String,
    /// The node.
    pub node: String,
    /// The data directory.
    pub pgdata: PathBuf,
    /// The volume of WAL, where it has one for itself.
    pub wal_mount: Option<PathBuf>,
    /// `/controller`.
    pub controller_dir: PathBuf,
}

/// CNPG's port for postgres; fixed.
pub const POSTGRES_PORT: u16 = 5432;
/// CNPG's status port; fixed.
pub const STATUS_PORT: u16 = 8000;
/// CNPG's metrics port; fixed.
pub const METRICS_PORT: u16 = 9187;

impl Config {
    /// The environment and a nonce that no other process has.
    #[must_use]
    pub fn new(args: &RunArgs, nonce: Nonce) -> Self {
        Self {
            me: Holder {
                name: args.pod_name.clone(),
                pod_uid: PodUid(args.pod_uid.clone()),
                nonce,
                address: args.pod_ip.clone(),
            },
            namespace: args.namespace.clone(),
            cluster: args.cluster_name.clone(),
            node: args.node_name.clone(),
            pgdata: args.pgdata.clone(),
            wal_mount: args.wal_mount.clone(),
            controller_dir: args.controller_dir.clone(),
        }
    }

    /// Postgres' UNIX socket, and our own.
    #[must_use]
    pub fn socket_dir(&self) -> PathBuf {
        self.controller_dir.join("run")
    }

    /// Certificates as files, for postgres and libpq.
    #[must_use]
    pub fn certificates_dir(&self) -> PathBuf {
        self.controller_dir.join("certificates")
    }

    /// The FIFO that postgres logs into.
    #[must_use]
    pub fn log_dir(&self) -> PathBuf {
        self.controller_dir.join("log")
    }

    /// Scratch space.
    #[must_use]
    pub fn temp_dir(&self) -> PathBuf {
        self.controller_dir.join("tmp")
    }

    /// The volume that the data directory is on.
    #[must_use]
    pub fn volume(&self) -> &Path {
        self.pgdata.parent().unwrap_or(Path::new("/"))
    }

    /// That of `pgdata`, with the one of WAL.
    #[must_use]
    pub fn volumes_of(&self, pgdata: &Path) -> Volume {
        Volume::of_pgdata(pgdata).with_wal(self.wal_mount.clone())
    }
}
