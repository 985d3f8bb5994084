//! Labels, annotations and finalizers: CNPG's under `cnpg.io/`, ours under `pgherd.io/`.

/// The cluster that an object belongs to. Pods, volumes, backups.
pub const CLUSTER: &str = "cnpg.io/cluster";
/// The pod that a pod or volume belongs to, by name.
pub const INSTANCE_NAME: &str = "cnpg.io/instanceName";
/// What a pod is: [`POD_ROLE_INSTANCE`].
pub const POD_ROLE: &str = "cnpg.io/podRole";
/// The value of [`POD_ROLE`] on a pod that runs postgres.
pub const POD_ROLE_INSTANCE: &str = "instance";
/// What an instance is to its cluster: [`ROLE_PRIMARY`], [`ROLE_REPLICA`] or [`ROLE_UNHEALTHY`].
pub const INSTANCE_ROLE: &str = "cnpg.io/instanceRole";
/// [`INSTANCE_ROLE`] by its deprecated name, which dashboards still select on.
pub const ROLE_DEPRECATED: &str = "role";
/// `-rw` leads here.
pub const ROLE_PRIMARY: &str = "primary";
/// `-ro` leads here.
pub const ROLE_REPLICA: &str = "replica";
/// An old primary that is being replaced: neither `-rw` nor `-ro` leads here.
pub const ROLE_UNHEALTHY: &str = "unhealthy";
/// What is on a volume: [`PVC_ROLE_DATA`] or [`PVC_ROLE_WAL`].
pub const PVC_ROLE: &str = "cnpg.io/pvcRole";
/// The value of [`PVC_ROLE`] on the volume that has PGDATA.
pub const PVC_ROLE_DATA: &str = "PG_DATA";
/// The value of [`PVC_ROLE`] on the volume that has WAL.
pub const PVC_ROLE_WAL: &str = "PG_WAL";
/// Whose credentials a Secret has: `app` or `superuser`.
pub const USER_TYPE: &str = "cnpg.io/userType";
/// The ScheduledBackup that made a Backup.
pub const SCHEDULED_BACKUP: &str = "cnpg.io/scheduled-backup";
/// Whether a Backup was made by `immediate: true`.
pub const IMMEDIATE_BACKUP: &str = "cnpg.io/immediateBackup";
/// Kubernetes' recommended labels, as CNPG sets them.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// The cluster's name.
pub const APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// The PostgreSQL major version.
pub const APP_VERSION: &str = "app.kubernetes.io/version";
/// `database`.
pub const APP_COMPONENT: &str = "app.kubernetes.io/component";
/// Who manages the object: [`MANAGED_BY`].
pub const APP_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The value of [`APP_MANAGED_BY`].
pub const MANAGED_BY: &str = "pgherd";
/// The value of [`APP_NAME`].
pub const APP_POSTGRESQL: &str = "postgresql";

/// Annotation on pods and volumes: the instance's serial.
pub const NODE_SERIAL: &str = "cnpg.io/nodeSerial";
/// Of a service of `spec.managed.services.additional` (CNPG's).
pub const IS_MANAGED: &str = "cnpg.io/isManaged";
/// What such a service was made of (ours).
pub const MADE_OF: &str = "pgherd.io/made-of";
/// Annotation on pods: the pod spec as it was asked for, JSON.
pub const POD_SPEC: &str = "cnpg.io/podSpec";
/// Annotation on volumes: `initializing`, `ready` or `detached`.
pub const PVC_STATUS: &str = "cnpg.io/pvcStatus";
/// Annotation on the objects that the controller made: its version.
pub const OPERATOR_VERSION: &str = "cnpg.io/operatorVersion";
/// Annotation on a Cluster: JSON list of instances (or `["*"]`) whose postgres is to be down.
pub const FENCED_INSTANCES: &str = "cnpg.io/fencedInstances";
/// Annotation on a Cluster: `on` or `off`.
pub const HIBERNATION: &str = "cnpg.io/hibernation";
/// Annotation on a Cluster: `enabled` turns archiving off.
pub const SKIP_WAL_ARCHIVING: &str = "cnpg.io/skipWalArchiving";
/// Annotation on a Cluster: `enabled` allows an archive that has WAL of another cluster.
pub const SKIP_EMPTY_WAL_ARCHIVE_CHECK: &str = "cnpg.io/skipEmptyWalArchiveCheck";
/// `true` asks for what `postgresql.synchronous.failoverQuorum` asks for, as in CNPG before that field.
pub const FAILOVER_QUORUM: &str = "alpha.cnpg.io/failoverQuorum";
/// Annotation on a Secret or ConfigMap: a change of it reloads the instances (label in CNPG).
pub const RELOAD: &str = "cnpg.io/reload";
/// Annotation on a Cluster: a new value has its instances reload their configuration (CNPG's `kubectl cnpg reload`).
pub const RELOADED_AT: &str = "cnpg.io/reloadedAt";
/// Annotation on a Cluster: a new value restarts its instances.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Annotation that each manager writes on its own pod: [`crate::member::MemberReport`], JSON.
pub const MEMBER: &str = "pgherd.io/member";
/// Annotation on a Cluster: the last spec that passed validation, JSON. It stays in force while the present one is
/// invalid, so that a bad edit never stops a failover.
pub const LAST_VALID_SPEC: &str = "pgherd.io/last-valid-spec";
/// Annotation on a Cluster: JSON of [`crate::cluster::ForcedPromotion`]. `pgherd promote --force` writes it, and the
/// controller takes it off once it has judged it.
pub const FORCE_PROMOTION: &str = "pgherd.io/force-promotion";
/// Annotation on a Cluster: JSON of [`crate::cluster::RestoreRequest`]. `pgherd restore` writes it, and the controller takes
/// it off once it has ruled on it.
pub const RESTORE: &str = "pgherd.io/restore";
/// Annotation on a Cluster: JSON of [`crate::cluster::RestoreRequest`] that the primary is only to look into; it answers in
/// `status.restorePreview`.
pub const RESTORE_PREVIEW: &str = "pgherd.io/restore-preview";
/// Label on a volume that a restore in place has put aside: which.
pub const KEPT_BY: &str = "pgherd.io/kept-by";
/// On a Cluster: `dry-run` has the retention policy say what it would delete, and delete nothing (ours).
pub const RETENTION: &str = "pgherd.io/retention";
/// On a Cluster: a new value asks for a restore drill: any text, or JSON of [`crate::cluster::DrillOrder`].
pub const VERIFY: &str = "pgherd.io/verify";
/// On a Cluster: when restore drills come by themselves, as cron has it, in UTC.
pub const VERIFY_SCHEDULE: &str = "pgherd.io/verifySchedule";
/// On a Cluster: SQL that a restored database has to answer with true.
pub const VERIFY_QUERY: &str = "pgherd.io/verifyQuery";
/// On a Cluster: how long a drill may take, in seconds.
pub const VERIFY_TIMEOUT: &str = "pgherd.io/verifyTimeoutSeconds";
/// Label of a drill's pod: whose archive it restores. It has none of the labels by which services, budgets, managers
/// and elections know an instance.
pub const VERIFIES: &str = "pgherd.io/verifies";
/// Annotation on a drill's pod: what it is to do, JSON of [`crate::cluster::DrillOrder`].
pub const DRILL_ORDER: &str = "pgherd.io/drillOrder";

/// On a Lease: the last holder's pod name; `holderIdentity` is absent once it was released.
pub const LEASE_HOLDER: &str = "pgherd.io/holder";
/// On a Lease: the manager process that holds it.
pub const LEASE_HOLDER_NONCE: &str = "pgherd.io/holder-nonce";
/// On a Lease: the holder's pod UID.
pub const LEASE_HOLDER_POD_UID: &str = "pgherd.io/holder-pod-uid";
/// On a Lease: the request that took it.
pub const LEASE_ATTEMPT: &str = "pgherd.io/attempt";
/// On a Lease: `open`, `recovering`, `promoting` or `released`.
pub const LEASE_STATE: &str = "pgherd.io/state";
/// On a Lease: counts the takes. `leaseTransitions` repeats it for people.
pub const LEASE_TERM: &str = "pgherd.io/term";
/// On a Lease: the timeline reserved for this term.
pub const LEASE_TIMELINE: &str = "pgherd.io/timeline";
/// On a Lease: the term whose take reserved that timeline.
pub const LEASE_TIMELINE_TERM: &str = "pgherd.io/timeline-term";
/// On a Lease: JSON array of the pod UIDs that may take it once it lapses.
pub const LEASE_TAKERS: &str = "pgherd.io/takers";
/// On a Lease: JSON array of [`pgherd_core::lease::ElectableRecord`].
pub const LEASE_RECORDS: &str = "pgherd.io/records";
/// On a Lease: the holder's pod IP.
pub const LEASE_ADDRESS: &str = "pgherd.io/address";
/// On a Lease: JSON of the [`pgherd_core::lease::WalPosition`] where the holder's WAL ends.
pub const LEASE_TAIL: &str = "pgherd.io/tail";
/// On a Lease: JSON of the [`pgherd_core::timeline::Lineage`] of the last timeline that was opened to clients.
pub const LEASE_LINEAGE: &str = "pgherd.io/lineage";
/// Finalizer of the Lease: deleting it by hand must not make room for a second writer.
pub const LEASE_FINALIZER: &str = "pgherd.io/lease";

/// Field manager of what the managers write.
pub const MANAGER_FIELD_MANAGER: &str = "pgherd-manager";
/// Field manager of what the controller writes.
pub const CONTROLLER_FIELD_MANAGER: &str = "pgherd-controller";
