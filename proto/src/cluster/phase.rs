//! `status.phase`: CNPG's exact texts, which its plugin and dashboards compare.

/// The first instance is made.
pub const FIRST_PRIMARY: &str = "Setting up primary";
/// A standby is made.
pub const CREATING_REPLICA: &str = "Creating a new replica";
/// All is as asked for.
pub const HEALTHY: &str = "Cluster in healthy state";
/// The primary is lost, another is on its way.
pub const FAILING_OVER: &str = "Failing over";
/// The user, a drain or a stop asked for another primary.
pub const SWITCHOVER: &str = "Switchover in progress";
/// Instances are being replaced.
pub const UPGRADING: &str = "Upgrading cluster";
/// Another PostgreSQL major.
pub const MAJOR_UPGRADE: &str = "Upgrading Postgres major version";
/// Waits for its turn.
pub const UPGRADE_DELAYED: &str = "Cluster upgrade delayed";
/// `primaryUpdateStrategy: supervised`.
pub const WAITING_FOR_USER: &str = "Waiting for user action";
/// The primary's postgres restarts in its pod.
pub const IN_PLACE_PRIMARY_RESTART: &str = "Primary instance is being restarted in-place";
/// The same for a parameter that standbys must not get before the primary.
pub const IN_PLACE_DECREASE_RESTART: &str = "Primary instance is being restarted without a switchover";
/// Pods are there but not ready.
pub const WAITING_FOR_INSTANCES: &str = "Waiting for the instances to become active";
/// The manager's binary is replaced.
pub const ONLINE_UPGRADING: &str = "Online upgrade in progress";
/// postgres reloads or restarts with new parameters.
pub const APPLYING_CONFIGURATION: &str = "Applying configuration";
/// A replica cluster becomes a primary one.
pub const REPLICA_CLUSTER_PROMOTION: &str = "Promoting to primary cluster";
/// No volume has the database any more.
pub const UNRECOVERABLE: &str = "Cluster is unrecoverable and needs manual intervention";
/// The API server refused an object.
pub const CANNOT_CREATE_OBJECTS: &str = "Unable to create required cluster objects";
/// Ours: the cluster is being brought back out of its archive, in place.
pub const RESTORING: &str = "Restoring in place";
/// Ours: a person wants no pods (annotation `cnpg.io/hibernation`).
pub const HIBERNATED: &str = "Hibernated";
/// The spec is invalid; the last valid one stays in force.
pub const INVALID: &str = "Invalid cluster definition";
/// A volume is full.
pub const NOT_ENOUGH_DISK_SPACE: &str = "Not enough disk space";
