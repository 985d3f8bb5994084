//! What the objects of a cluster are called (CNPG's names).

use core::fmt;
use serde::{Deserialize, Serialize};

/// The name of an instance's pod and volume.
#[must_use]
pub fn instance_name(cluster: &str, serial: u32) -> String {
    format!("{cluster}-{serial}")
}

/// The name of the volume of WAL of an instance.
#[must_use]
pub fn wal_volume_name(instance: &str) -> String {
    format!("{instance}-wal")
}

/// The serial in the name of a volume of WAL, if it belongs to this cluster.
#[must_use]
pub fn serial_of_wal(cluster: &str, name: &str) -> Option<u32> {
    serial_of(cluster, name.strip_suffix("-wal")?)
}

/// The serial in an instance's name, if it belongs to this cluster. Zero and leading zeros are nobody's.
#[must_use]
pub fn serial_of(cluster: &str, name: &str) -> Option<u32> {
    let digits = name.strip_prefix(cluster)?.strip_prefix('-')?;
    (!digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// The secrets of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretKind {
    /// `-ca`: the cluster's own authority. First, since the others are signed with it.
    Ca,
    /// `-server`: what postgres and the managers show.
    Server,
    /// `-replication`: client certificate of `streaming_replica`.
    Replication,
    /// `-instance-tls`: what the managers and their postgres use of all that (ours).
    Instances,
    /// `-app`: the owner's credentials.
    App,
    /// `-superuser`: the superuser's credentials, where he may sign in.
    Superuser,
}

impl SecretKind {
    /// In the order in which they must be made.
    pub const ALL: [SecretKind; 6] = [
        SecretKind::Ca,
        SecretKind::Server,
        SecretKind::Replication,
        SecretKind::Instances,
        SecretKind::App,
        SecretKind::Superuser,
    ];

    /// The object's name.
    #[must_use]
    pub fn name(self, cluster: &str) -> String {
        let suffix = match self {
            SecretKind::Ca => "ca",
            SecretKind::Server => "server",
            SecretKind::Replication => "replication",
            SecretKind::Instances => "instance-tls",
            SecretKind::App => "app",
            SecretKind::Superuser => "superuser",
        };
        format!("{cluster}-{suffix}")
    }
}

/// The services of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// `-rw`: the primary.
    Rw,
    /// `-ro`: the standbys.
    Ro,
    /// `-r`: every instance.
    R,
}

impl ServiceKind {
    /// All of them.
    pub const ALL: [ServiceKind; 3] = [ServiceKind::Rw, ServiceKind::Ro, ServiceKind::R];

    /// The object's name.
    #[must_use]
    pub fn name(self, cluster: &str) -> String {
        let suffix = match self {
            ServiceKind::Rw => "rw",
            ServiceKind::Ro => "ro",
            ServiceKind::R => "r",
        };
        format!("{cluster}-{suffix}")
    }
}

/// An object that a cluster needs once, beside its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectKind {
    /// A Secret.
    Secret(SecretKind),
    /// A Service.
    Service(ServiceKind),
    /// The managers' ServiceAccount.
    ServiceAccount,
    /// What the managers may do.
    Role,
    /// Joins the two.
    RoleBinding,
    /// PodDisruptionBudget `<c>-primary`, minAvailable 1.
    PrimaryBudget,
    /// PodDisruptionBudget `<c>`, minAvailable N-2, with three instances or more.
    ReplicaBudget,
    /// PodMonitor, where its CRD is there.
    PodMonitor,
    /// FailoverQuorum `<c>`: what commits wait for, for tools. Its status is the primary's to write.
    FailoverQuorum,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectKind::Secret(kind) => write!(f, "Secret {}", kind.name("")),
            ObjectKind::Service(kind) => write!(f, "Service {}", kind.name("")),
            ObjectKind::ServiceAccount => f.write_str("ServiceAccount"),
            ObjectKind::Role => f.write_str("Role"),
            ObjectKind::RoleBinding => f.write_str("RoleBinding"),
            ObjectKind::PrimaryBudget => f.write_str("PodDisruptionBudget of the primary"),
            ObjectKind::ReplicaBudget => f.write_str("PodDisruptionBudget of the replicas"),
            ObjectKind::PodMonitor => f.write_str("PodMonitor"),
            ObjectKind::FailoverQuorum => f.write_str("FailoverQuorum"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_read_back_only_from_a_name_of_its_own_cluster() {
        assert_eq!(serial_of("db", &instance_name("db", 12)), Some(12));
        for other in ["db", "db-", "db-0", "db-01", "db-x", "dbx-1", "db-1-wal", "db-rw", "db-99999999999"] {
            assert_eq!(serial_of("db", other), None, "{other}");
        }
        assert_eq!(serial_of("db", "db-2-1"), None, "that is cluster db-2");
    }
}
