//! From watched objects, and one fresh read of the lease, to what `core` sees.

pub(crate) mod certificates;
mod lacked;
mod pods;
mod status;

pub use lacked::Lacked;
pub use pods::{Around, kept_view, pod_view, report_view, volume_view, wal_volume_view};
pub use status::{facts, force};

use crate::account;
use crate::caches::{Caches, Key};
use crate::config::Config;
use crate::memory::Remembered;
use crate::monitor;
use crate::rights::{self, Rights};
use crate::tls::CertificateNames;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use pgherd_core::cluster::{Desired, DriftFact, ObjectKind, Observed, SecretKind, ServiceKind};
use pgherd_core::lease::{LeaseRecord, Versioned};
use pgherd_core::time::Instant;
use pgherd_proto::cluster::{Cluster, ClusterSpec, EmbeddedObjectMetadata};
use pgherd_proto::failover_quorum::FailoverQuorum;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Something could not be read; the look is repeated.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The API server did not answer as it should.
    #[error("failed to read {what}")]
    Read {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The lease is not ours, or damaged. Deciding nothing is all that is safe (rule L9).
    #[error("failed to make sense of the lease")]
    Lease(#[source] pgherd_proto::lease::LeaseError),
}

/// PodMonitors, whose CRD may be absent.
#[must_use]
pub fn pod_monitor_kind() -> ApiResource {
    ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("monitoring.coreos.com", "v1", "PodMonitor"))
}

/// Reads the lease, past all caches: an election is decided from it (rule E1).
///
/// # Errors
/// [`ObserveError`].
pub async fn read_lease(client: &Client, key: &Key) -> Result<Option<Versioned<LeaseRecord>>, ObserveError> {
    let read = |source| ObserveError::Read { what: "the lease", source };
    let lease = Api::<Lease>::namespaced(client.clone(), &key.namespace).get_opt(&key.name).await.map_err(read)?;
    lease.map(|lease| pgherd_proto::lease::read(&lease).map_err(ObserveError::Lease)).transpose()
}

/// Everything about one cluster. The reports in it are the members' annotations.
///
/// # Errors
/// [`ObserveError`].
pub async fn observe(
    client: &Client,
    caches: &Caches,
    config: &Config,
    stored: (&Cluster, &ClusterSpec, &Desired),
    memory: &mut Remembered,
    now: Instant,
) -> Result<Observed, ObserveError> {
    let (cluster, spec, desired) = stored;
    let key = Key { namespace: desired.namespace.clone(), name: desired.name.clone() };
    let lease = read_lease(client, &key).await?;
    let places = cluster.status.as_ref().and_then(|status| status.topology.as_ref()).map(|seen| &seen.instances);
    let view = |pod: &Arc<Pod>| {
        let node = pod.spec.as_ref().and_then(|spec| caches.nodes.get(spec.node_name.as_ref()?));
        let around = Around {
            node: node.as_ref(),
            drain_taints: &config.drain_taints,
            domain_keys: Some(&desired.domain_keys),
            place: places.and_then(|places| places.get(&pod.name_any())),
        };
        pod_view(&key.name, pod, &around)
    };
    let mut pods: Vec<_> = caches.pods.of(&key).iter().filter_map(view).collect();
    let claims = caches.claims.of(&key);
    let mut volumes: Vec<_> = claims.iter().filter_map(|claim| volume_view(&key.name, claim)).collect();
    let wal = claims.iter().filter_map(|claim| wal_volume_view(&key.name, claim));
    let mut wal_volumes: Vec<_> = wal.collect();
    wal_volumes.sort_by_key(|volume| volume.serial);
    let kept = claims.iter().filter_map(|claim| kept_view(&key.name, claim)).collect();
    pods.sort_by_key(|pod| pod.serial);
    volumes.sort_by_key(|volume| volume.serial);
    let pod_monitors_served = desired.pod_monitor
        && (memory.seen(now).contains(&ObjectKind::PodMonitor) || caches.lacked.serves_pod_monitors(client, now).await);
    let budgets_served = !desired.disruption_budgets
        || memory.seen(now).contains(&ObjectKind::PrimaryBudget)
        || caches.lacked.serves_budgets(client, now).await;
    let names = CertificateNames::of(&key.name, &key.namespace, spec);
    let seen = certificates::look(client, caches, &names, (&key.namespace, &key.name), memory, now).await;
    let mut observed = Observed {
        pods,
        volumes,
        wal_volumes,
        kept,
        objects: watched_objects(caches, &key),
        lease,
        status: facts(cluster),
        pod_monitors_served,
        force: force(cluster),
        hibernate: cluster.hibernates(),
        restore_order: cluster.restore_order(),
        wall: jiff::Timestamp::now().as_second(),
        certificates: seen.facts,
        expirations: seen.expirations,
        unusable_certificates: seen.unusable,
        ..Observed::default()
    };
    let around = rights::around(caches, cluster, desired, spec);
    let rights = rights::wanted(desired, spec, &around);
    memory.rights_are_news(&rights, now);
    let account = account::wanted(spec);
    memory.account_is_news(&account, now);
    observed.drifted = drifted(client, desired, (&rights, &account), memory, now).await?;
    if pod_monitors_served {
        let wanted = monitor::spec(&key.name, &key.namespace, spec);
        memory.monitor_is_news(&wanted, now);
        observed.drifted.extend(monitor_drift(client, desired, &wanted, memory, now).await?);
    }
    observed.objects.extend(observed.drifted.iter().map(|drift| drift.kind));
    observed.budgets_unserved = !budgets_served;
    observed.objects.extend(unwatched_objects(client, desired, budgets_served, memory, now).await?);
    observed.replica_budget = memory.replica_budget.filter(|_| observed.objects.contains(&ObjectKind::ReplicaBudget));
    let election = cluster.status.as_ref().and_then(|status| status.election.as_ref());
    let text = election.map(|election| format!("{}@{}", election.winner_pod_uid, election.at)).unwrap_or_default();
    observed.memory = memory.note(&observed, &text, now);
    Ok(observed)
}

fn watched_objects(caches: &Caches, key: &Key) -> BTreeSet<ObjectKind> {
    let (secrets, services) = (caches.secrets.names(key), caches.services.names(key));
    let secret = |kind: &SecretKind| secrets.contains(&kind.name(&key.name));
    let service = |kind: &ServiceKind| services.contains(&kind.name(&key.name));
    let secrets = SecretKind::ALL.into_iter().filter(secret).map(ObjectKind::Secret);
    secrets.chain(ServiceKind::ALL.into_iter().filter(service).map(ObjectKind::Service)).collect()
}

/// The managers' rights, and the account that has them, where they are there and not as they should be. Those that are as
/// they should be are seen.
async fn drifted(
    client: &Client,
    desired: &Desired,
    (wanted, metadata): (&Rights, &EmbeddedObjectMetadata),
    memory: &mut Remembered,
    now: Instant,
) -> Result<Vec<DriftFact>, ObserveError> {
    let read = |source| ObserveError::Read { what: "the managers' rights", source };
    let (namespace, name, owner) = (&desired.namespace, &desired.name, &desired.uid.0);
    let seen = memory.seen(now).clone();
    let mut found = Vec::new();
    // One of the user's is his to make.
    if desired.service_account.is_none() && !seen.contains(&ObjectKind::ServiceAccount) {
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
        let account = accounts.get_metadata_opt(name).await.map_err(read)?;
        found.extend(account.map(|a| (ObjectKind::ServiceAccount, account::drift(&a, metadata, owner))));
    }
    if !seen.contains(&ObjectKind::Role) {
        let role = Api::<Role>::namespaced(client.clone(), namespace).get_opt(name).await.map_err(read)?;
        found.extend(role.map(|role| (ObjectKind::Role, rights::role_drift(&role, wanted, owner))));
    }
    if !seen.contains(&ObjectKind::RoleBinding) {
        let binding = Api::<RoleBinding>::namespaced(client.clone(), namespace).get_opt(name).await.map_err(read)?;
        found.extend(binding.map(|b| (ObjectKind::RoleBinding, rights::binding_drift(&b, wanted, owner))));
    }
    let good = found.iter().filter(|(_, drift)| drift.is_none()).map(|(kind, _)| *kind);
    memory.seen(now).extend(good);
    Ok(found.into_iter().filter_map(|(_, drift)| drift).collect())
}

/// The same of the PodMonitor.
async fn monitor_drift(
    client: &Client,
    desired: &Desired,
    wanted: &Value,
    memory: &mut Remembered,
    now: Instant,
) -> Result<Option<DriftFact>, ObserveError> {
    if memory.seen(now).contains(&ObjectKind::PodMonitor) {
        return Ok(None);
    }
    let kind = pod_monitor_kind();
    let monitors = Api::<DynamicObject>::namespaced_with(client.clone(), &desired.namespace, &kind);
    let stored = match monitors.get_opt(&desired.name).await {
        // No such kind any more: that is a 404 too, without the reason that the client looks for.
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        found => found.map_err(|source| ObserveError::Read { what: "the PodMonitor", source })?,
    };
    let Some(stored) = stored else { return Ok(None) };
    let drift = monitor::drift(&stored, wanted, &desired.uid.0);
    if drift.is_none() {
        memory.seen(now).insert(ObjectKind::PodMonitor);
    }
    Ok(drift)
}

/// Objects that nobody but us changes: asked for now and then, not watched.
async fn unwatched_objects(
    client: &Client,
    desired: &Desired,
    budgets_served: bool,
    memory: &mut Remembered,
    now: Instant,
) -> Result<BTreeSet<ObjectKind>, ObserveError> {
    let (namespace, name) = (desired.namespace.as_str(), desired.name.as_str());
    let seen = memory.seen(now).clone();
    let mut ask: Vec<ObjectKind> = Vec::new();
    ask.extend(budgets_served.then_some([ObjectKind::PrimaryBudget, ObjectKind::ReplicaBudget]).into_iter().flatten());
    // One that is not wanted is looked for now and then, and taken away.
    let quorum = desired.failover_quorum || !memory.looked_for_quorum;
    ask.extend(quorum.then_some(ObjectKind::FailoverQuorum));
    for kind in ask {
        if seen.contains(&kind) {
            continue;
        }
        let found = match kind {
            ObjectKind::PrimaryBudget => {
                let budgets = Api::<PodDisruptionBudget>::namespaced(client.clone(), namespace);
                there(budgets, &pgherd_proto::names::primary_budget(name)).await
            }
            ObjectKind::ReplicaBudget => {
                let found = Api::<PodDisruptionBudget>::namespaced(client.clone(), namespace).get_opt(name).await;
                found.map(|budget| {
                    memory.replica_budget = budget.as_ref().and_then(min_available);
                    budget.is_some()
                })
            }
            ObjectKind::FailoverQuorum => {
                memory.looked_for_quorum = true;
                there(Api::<FailoverQuorum>::namespaced(client.clone(), namespace), name).await
            }
            // Looked at by those who know what they should be, or watched.
            ObjectKind::ServiceAccount
            | ObjectKind::Role
            | ObjectKind::RoleBinding
            | ObjectKind::PodMonitor
            | ObjectKind::Secret(_)
            | ObjectKind::Service(_) => Ok(false),
        };
        if found.map_err(|source| ObserveError::Read { what: "the cluster's objects", source })? {
            memory.seen(now).insert(kind);
        }
    }
    Ok(memory.seen(now).clone())
}

fn min_available(budget: &PodDisruptionBudget) -> Option<u32> {
    match budget.spec.as_ref()?.min_available.as_ref()? {
        IntOrString::Int(number) => u32::try_from(*number).ok(),
        IntOrString::String(_) => None,
    }
}

async fn there<K>(api: Api<K>, name: &str) -> Result<bool, kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match api.get_metadata_opt(name).await {
        // No object, and no such kind either: that is a 404 too, without the reason that the client looks for.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        found => Ok(found?.is_some()),
    }
}
