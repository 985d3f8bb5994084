//! What the objects of a cluster are called (CNPG's names), and where things lie in a pod.

/// Argument of a manager: CNPG's tools reach the status port by TLS where they find it.
pub const STATUS_PORT_TLS: &str = "--status-port-tls";
/// Port of postgres, and its name in pods and services.
pub const POSTGRES_PORT: u16 = 5432;
/// Port of the metrics.
pub const METRICS_PORT: u16 = 9187;
/// Port of probes, status and control, over TLS.
pub const STATUS_PORT: u16 = 8000;
/// Name of [`POSTGRES_PORT`] in pods and services.
pub const POSTGRES_PORT_NAME: &str = "postgresql";
/// Name of [`METRICS_PORT`] in pods, which PodMonitors select on.
pub const METRICS_PORT_NAME: &str = "metrics";
/// Name of [`STATUS_PORT`] in pods.
pub const STATUS_PORT_NAME: &str = "status";
/// Name of [`POSTGRES_PORT`] in services.
pub const SERVICE_PORT_NAME: &str = "postgres";

/// The container that runs the manager and its postgres.
pub const POSTGRES_CONTAINER: &str = "postgres";
/// The init container that brings the manager's binary.
pub const BOOTSTRAP_CONTAINER: &str = "bootstrap-controller";
/// Volume of the data directory.
pub const DATA_VOLUME: &str = "pgdata";
/// Volume of WAL, where it has one for itself.
pub const WAL_VOLUME: &str = "pg-wal";
/// Volume of everything that a restart may forget.
pub const SCRATCH_VOLUME: &str = "scratch-data";
/// Volume of shared memory.
pub const SHM_VOLUME: &str = "shm";

/// Where the data volume is mounted.
pub const DATA_MOUNT: &str = "/var/lib/postgresql/data";
/// Where the volume of WAL is mounted.
pub const WAL_MOUNT: &str = "/var/lib/postgresql/wal";
/// `PGDATA`.
pub const PGDATA: &str = "/var/lib/postgresql/data/pgdata";
/// Where the manager's own files are.
pub const CONTROLLER_DIR: &str = "/controller";
/// The manager's binary in the pod.
pub const MANAGER_BINARY: &str = "/controller/manager";
/// The program that postgres runs for each WAL file: in an image and in a pod it lies beside the manager.
pub const WAL_CLIENT: &str = "wal-client";
/// The authorities of the manager's image, for a postgres image that has none.
pub const AUTHORITIES: &str = "/controller/ca-certificates.crt";
/// Where the sockets of postgres and of the manager are.
pub const RUN_DIR: &str = "/controller/run";
/// Where the certificates are.
pub const CERTIFICATES_DIR: &str = "/controller/certificates";
/// `TMPDIR`.
pub const TMP_DIR: &str = "/controller/tmp";
/// What a restore drill's pod is to do, JSON of [`crate::cluster::DrillOrder`].
pub const DRILL_ORDER_VARIABLE: &str = "PGHERD_DRILL_ORDER";
/// Where a manager reads that there is a volume of WAL: its mount point.
pub const WAL_MOUNT_VARIABLE: &str = "PGHERD_WAL_MOUNT";
/// Where a manager reads how much it logs.
pub const LOG_LEVEL_VARIABLE: &str = "PGHERD_LOG_LEVEL";
/// Where the manager writes its nonce at start, so that a terminated container can be told from another.
pub const TERMINATION_LOG: &str = "/dev/termination-log";

/// The role that standbys connect as, by certificate.
pub const REPLICATION_USER: &str = "streaming_replica";
/// Common name of the controller's client certificate.
pub const CONTROLLER_COMMON_NAME: &str = "pgherd-controller";
/// Common name of the managers' certificates, which they show each other.
pub const MANAGER_COMMON_NAME: &str = "pgherd-manager";

/// Group of the API.
pub const API_GROUP: &str = "postgresql.cnpg.io";
/// Version of the API.
pub const API_VERSION: &str = "postgresql.cnpg.io/v1";

/// The pod of one instance, and its PGDATA volume.
#[must_use]
pub fn instance(cluster: &str, serial: u32) -> String {
    pgherd_core::cluster::instance_name(cluster, serial)
}

/// The serial of an instance of `cluster`; `None` if the name is not of this cluster.
#[must_use]
pub fn serial(cluster: &str, instance: &str) -> Option<u32> {
    pgherd_core::cluster::serial_of(cluster, instance)
}

/// Service that leads to the primary.
#[must_use]
pub fn service_rw(cluster: &str) -> String {
    format!("{cluster}-rw")
}

/// Service that leads to the standbys.
#[must_use]
pub fn service_ro(cluster: &str) -> String {
    format!("{cluster}-ro")
}

/// Service that leads to every instance.
#[must_use]
pub fn service_r(cluster: &str) -> String {
    format!("{cluster}-r")
}

/// Secret with the application's credentials.
#[must_use]
pub fn secret_app(cluster: &str) -> String {
    format!("{cluster}-app")
}

/// Secret with the superuser's credentials.
#[must_use]
pub fn secret_superuser(cluster: &str) -> String {
    format!("{cluster}-superuser")
}

/// Secret with the cluster's certificate authority.
#[must_use]
pub fn secret_ca(cluster: &str) -> String {
    format!("{cluster}-ca")
}

/// Secret with what postgres and the managers show to clients.
#[must_use]
pub fn secret_server(cluster: &str) -> String {
    format!("{cluster}-server")
}

/// Secret with the client certificate of [`REPLICATION_USER`].
#[must_use]
pub fn secret_replication(cluster: &str) -> String {
    format!("{cluster}-replication")
}

/// Secret with everything that the instances use: the managers' own certificate, and what postgres has of others.
#[must_use]
pub fn secret_instances(cluster: &str) -> String {
    format!("{cluster}-instance-tls")
}

/// The Lease is called as its cluster.
#[must_use]
pub fn lease(cluster: &str) -> String {
    cluster.to_owned()
}

/// PodDisruptionBudget of the primary; that of the replicas is called as the cluster.
#[must_use]
pub fn primary_budget(cluster: &str) -> String {
    format!("{cluster}-primary")
}

/// Replication slot of a standby (CNPG's default prefix).
#[must_use]
pub fn slot(instance: &str) -> String {
    let mut slot = "_cnpg_".to_owned();
    slot.extend(instance.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }));
    slot
}
