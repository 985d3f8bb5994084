//! What the user wants, as plain values that have passed validation.

use super::{DomainKeys, SecretKind, ServiceKind};
use crate::identity::PodUid;
use crate::lease::Timings;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `spec.affinity` about instances of one cluster on one topology domain (CNPG's `podAntiAffinityType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AntiAffinity {
    /// `enablePodAntiAffinity: false`.
    Off,
    /// The scheduler tries to keep instances apart (weight 100).
    #[default]
    Preferred,
    /// A pod stays unscheduled rather than beside another.
    Required,
}

/// `spec.storage`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// A Kubernetes quantity.
    pub size: String,
    /// The storage class; the cluster's default when absent.
    pub class: Option<String>,
    /// `resizeInUseVolumes`: volumes grow with `size`.
    pub grows: bool,
}

/// `spec.resources` of the postgres container: name to quantity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// What the scheduler sets aside.
    pub requests: BTreeMap<String, String>,
    /// What the kernel enforces.
    pub limits: BTreeMap<String, String>,
}

/// `spec.primaryUpdateMethod` and `spec.primaryUpdateStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrimaryUpdate {
    /// `switchover`: a standby that is up to date takes over first. Else postgres restarts where it is.
    pub by_switchover: bool,
    /// `supervised`: only the user's own switchover or restart reaches the primary.
    pub supervised: bool,
}

/// The cluster that the user asked for. Defaults are CNPG's, except the lease timings, which are ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Desired {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.uid`: initdb happens once per uid.
    pub uid: PodUid,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `spec.instances`.
    pub instances: u32,
    /// `spec.imageName`.
    pub image: String,
    /// `spec.postgresUID`.
    pub postgres_uid: i64,
    /// `spec.postgresGID`.
    pub postgres_gid: i64,
    /// `spec.storage`.
    pub storage: Storage,
    /// `spec.walStorage`: WAL has a volume of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_storage: Option<Storage>,
    /// `spec.resources`.
    pub resources: Resources,
    /// `spec.affinity.podAntiAffinityType`.
    pub anti_affinity: AntiAffinity,
    /// `spec.affinity.topologyKey`.
    pub topology_key: String,
    /// `spec.bootstrap.initdb.database`.
    pub database: String,
    /// `spec.bootstrap.initdb.owner`.
    pub owner: String,
    /// `spec.bootstrap.initdb.secret.name`: the user's own credentials in place of a generated `-app`.
    pub owner_secret: Option<String>,
    /// The superuser may sign in (`spec.enableSuperuserAccess`), and the user brings no `spec.superuserSecret`.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub superuser_secret: bool,
    /// `spec.serviceAccountName`: one of the user's in place of the one that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Secrets of certificates that the user brings (`spec.certificates`): they are not made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<SecretKind>,
    /// `spec.managed.services.disabledDefaultServices`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disabled_services: Vec<ServiceKind>,
    /// `spec.primaryLease`.
    pub timings: Timings,
    /// Commits wait for standbys (`spec.postgresql.synchronous`, or `minSyncReplicas`).
    pub synchronous: bool,
    /// How many standbys a commit waits for; zero where it waits for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub sync_number: u32,
    /// `failoverQuorum`: the electable record is mirrored in a FailoverQuorum.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub failover_quorum: bool,
    /// How failure domains are told apart.
    #[serde(skip_serializing_if = "DomainKeys::is_empty")]
    pub domain_keys: DomainKeys,
    /// How a change reaches the primary.
    pub primary_update: PrimaryUpdate,
    /// `spec.failoverDelay`: how long an unhealthy primary is waited for.
    pub failover_delay: Duration,
    /// `spec.startDelay`: how long the startup probe tries.
    pub start_delay: Duration,
    /// `spec.stopDelay`: the grace that a pod has to stop.
    pub stop_delay: Duration,
    /// `spec.monitoring.enablePodMonitor`.
    pub pod_monitor: bool,
    /// `spec.enablePDB`.
    pub disruption_budgets: bool,
    /// Annotation `cnpg.io/fencedInstances`: names, or `*`.
    pub fenced: Vec<String>,
    /// `spec.nodeMaintenanceWindow`: nodes are worked on, and instances wait for theirs.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub nodes_in_maintenance: bool,
}

impl Default for Desired {
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: String::new(),
            uid: PodUid::default(),
            generation: 0,
            deleting: false,
            instances: 1,
            image: String::new(),
            postgres_uid: 26,
            postgres_gid: 26,
            storage: Storage::default(),
            wal_storage: None,
            resources: Resources::default(),
            anti_affinity: AntiAffinity::default(),
            topology_key: "kubernetes.io/hostname".to_owned(),
            database: "app".to_owned(),
            owner: "app".to_owned(),
            owner_secret: None,
            superuser_secret: false,
            service_account: None,
            brought: Vec::new(),
            disabled_services: Vec::new(),
            timings: Timings::default(),
            synchronous: false,
            sync_number: 0,
            failover_quorum: false,
            domain_keys: DomainKeys::default(),
            primary_update: PrimaryUpdate::default(),
            failover_delay: Duration::ZERO,
            start_delay: Duration::from_secs(3600),
            stop_delay: Duration::from_secs(1800),
            pod_monitor: false,
            disruption_budgets: true,
            fenced: Vec::new(),
            nodes_in_maintenance: false,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Whether a list of annotation `cnpg.io/fencedInstances` names this instance, or everybody.
#[must_use]
pub fn is_fenced(fenced: &[String], instance: &str) -> bool {
    fenced.iter().any(|name| name == "*" || name == instance)
}

impl Desired {
    /// Whether the user has fenced this instance (annotation `cnpg.io/fencedInstances`).
    #[must_use]
    pub fn is_fenced(&self, instance: &str) -> bool {
        is_fenced(&self.fenced, instance)
    }

    /// The ServiceAccount of the pods.
    #[must_use]
    pub fn account(&self) -> &str {
        self.service_account.as_deref().unwrap_or(&self.name)
    }

    /// The pod name of one serial.
    #[must_use]
    pub fn instance(&self, serial: u32) -> String {
        super::instance_name(&self.name, serial)
    }

    /// The name of one serial's volume of WAL.
    #[must_use]
    pub fn wal_volume(&self, serial: u32) -> String {
        super::wal_volume_name(&self.instance(serial))
    }
}
