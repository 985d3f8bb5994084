//! Carries a plan out: one file per resource, the only writers of it. A write is create-only, names the uid or
//! the version it was decided from, or touches fields that nobody else owns: two controllers are harmless.

mod election;
mod events;
mod inherited;
mod labels;
mod lease;
mod managed_services;
mod mounts;
mod objects;
#[cfg(test)]
mod pod_tests;
mod pods;
mod probes;
mod rebuild;
mod renewal;
mod restore;
mod scheduling;
mod secrets;
mod security;
mod services;
#[cfg(test)]
mod shape_tests;
mod status;
mod status_certificates;
#[cfg(test)]
mod tests;
mod volumes;

pub(crate) use inherited::is_ours;
pub use lease::{let_go as let_go_of_lease, let_go_of_deleted as let_go_of_deleted_lease};
pub use pods::{Blueprint, pod_spec};
pub use secrets::read_authority;
pub use status::{mark_invalid, mark_unreadable};

use crate::caches::Caches;
use crate::config::Config;
use crate::memory::Remembered;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::PostParams;
use kube::{Api, Client, Resource};
use pgherd_core::cluster::{Desired, ObjectKind, Observed};
use pgherd_core::plan::{Plan, Step};
use pgherd_core::time::Instant;
use pgherd_proto::cluster::Cluster;
use pgherd_proto::labels as names;
use std::fmt::Debug;

/// A step failed; the look is repeated, and what was done is seen then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server refused, or did not answer.
    #[error("failed to {what}")]
    Write {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// A certificate or password could not be made.
    #[error("failed to make the contents of secret {name}: {reason}")]
    Secret {
        /// The Secret.
        name: String,
        /// Why, without contents.
        reason: String,
    },
}

impl ApplyError {
    /// Somebody else wrote first: not worth a word, the next look sees it.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, ApplyError::Write { source: kube::Error::Api(status), .. } if status.code == 409)
    }
}

/// What every writer needs.
pub struct Target<'a> {
    /// The API server.
    pub client: &'a Client,
    /// The watched objects, for the certificates.
    pub caches: &'a Caches,
    /// What this controller was started with.
    pub config: &'a Config,
    /// The cluster as stored.
    pub cluster: &'a Cluster,
    /// Fields that are accepted and do nothing yet.
    pub ignored: &'a [String],
    /// Its spec in force.
    pub spec: &'a pgherd_proto::cluster::ClusterSpec,
    /// The same as plain values.
    pub desired: &'a Desired,
    /// What there was.
    pub observed: &'a Observed,
}

impl Target<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.desired.namespace)
    }

    /// With the cluster everything goes that names it as its owner.
    fn owner(&self) -> OwnerReference {
        OwnerReference {
            block_owner_deletion: Some(true),
            controller: Some(true),
            ..self.cluster.owner_ref(&()).unwrap_or_default()
        }
    }

    fn meta(&self, name: String) -> ObjectMeta {
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let labels = [
            label(names::CLUSTER, &self.desired.name),
            label(names::APP_NAME, names::APP_POSTGRESQL),
            label(names::APP_INSTANCE, &self.desired.name),
            label(names::APP_COMPONENT, "database"),
            label(names::APP_MANAGED_BY, names::MANAGED_BY),
        ];
        let version = (names::OPERATOR_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let inherited = inherited::of_spec(self.spec);
        ObjectMeta {
            name: Some(name),
            namespace: Some(self.desired.namespace.clone()),
            labels: Some(inherited.labels.into_iter().chain(labels).collect()),
            annotations: Some(inherited.annotations.into_iter().chain([version]).collect()),
            owner_references: Some(vec![self.owner()]),
            ..ObjectMeta::default()
        }
    }

    /// Creates an object; that it is there already is as good.
    async fn create<K>(&self, api: Api<K>, object: &K, what: &str) -> Result<(), ApplyError>
    where
        K: Clone + serde::Serialize + serde::de::DeserializeOwned + Debug,
    {
        let params =
            PostParams { field_manager: Some(names::CONTROLLER_FIELD_MANAGER.to_owned()), ..PostParams::default() };
        match api.create(&params, object).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 && status.reason == "AlreadyExists" => Ok(()),
            Err(source) => Err(ApplyError::Write { what: format!("create {what}"), source }),
        }
    }
}

/// A write that failed, in words.
fn failed(what: impl Into<String>) -> impl FnOnce(kube::Error) -> ApplyError {
    let what = what.into();
    move |source| ApplyError::Write { what, source }
}

/// A deletion: that the object is gone is as good.
fn gone_is_fine<T>(result: Result<T, kube::Error>, what: impl Into<String>) -> Result<(), ApplyError> {
    match result {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(source) => Err(ApplyError::Write { what: what.into(), source }),
    }
}

/// Carries out every step, then the status. A step that fails does not keep the others from being tried, except
/// that a volume without its pod is no use: each is independent of those before it, or is planned again.
///
/// # Errors
/// The first failure, after everything was tried.
pub async fn apply(target: &Target<'_>, plan: &Plan, memory: &mut Remembered, now: Instant) -> Result<(), ApplyError> {
    let mut first = Ok(());
    for step in &plan.steps {
        let result = apply_step(target, step, memory, now).await;
        match (&result, step) {
            (Ok(()), Step::Create(kind)) if !matches!(kind, ObjectKind::Secret(_) | ObjectKind::Service(_)) => {
                memory.seen(now).insert(*kind);
            }
            (Ok(()), Step::Update(drift)) => {
                memory.seen(now).insert(drift.kind);
            }
            (Ok(()), Step::Delete(kind)) => {
                memory.seen(now).remove(kind);
            }
            (Ok(()), Step::SetReplicaBudget { available }) => memory.replica_budget = Some(*available),
            // Nothing is announced that was not written.
            (Err(_), Step::WriteElection(_) | Step::BeginRestore(_) | Step::AdvanceRestore { .. }) => return result,
            _ => {}
        }
        first = first.and(result);
    }
    let inherited = inherited::bring(target).await;
    let services = managed_services::bring(target).await;
    first = first.and(inherited).and(services);
    let status = status::write(target, plan, first.as_ref().err()).await;
    first.and(status)
}

async fn apply_step(target: &Target<'_>, step: &Step, memory: &mut Remembered, now: Instant) -> Result<(), ApplyError> {
    match step {
        Step::Create(ObjectKind::Secret(kind)) => secrets::create(target, *kind).await,
        Step::Create(ObjectKind::Service(kind)) => services::create(target, *kind).await,
        Step::Create(kind) => objects::create(target, *kind).await,
        Step::Update(drift) => objects::update(target, drift).await,
        Step::CreateLease => lease::create(target).await,
        Step::RecreateLease(record) => lease::recreate(target, record).await,
        Step::RenewSecret(kind) => renewal::leaf(target, *kind).await,
        Step::PrepareAuthority => renewal::prepare(target).await,
        Step::SwitchAuthority => renewal::switch(target).await,
        Step::SetReplicaBudget { available } => objects::set_replica_budget(target, *available).await,
        Step::Delete(kind) => objects::delete(target, *kind).await,
        Step::ReleaseLeaseObject => lease::let_go(target.client, &target.desired.namespace, &target.desired.name).await,
        Step::CreateVolume { serial } => volumes::create(target, *serial).await,
        Step::CreateWalVolume { serial } => volumes::create_wal(target, *serial).await,
        Step::MarkVolumeReady { name } => volumes::mark_ready(target, name).await,
        Step::DeleteVolume { name } => volumes::delete(target, name).await,
        Step::CreatePod { serial } => pods::create(target, *serial).await,
        Step::ReplacePod { name, uid } | Step::DeletePod { name, uid } => pods::delete(target, name, uid).await,
        Step::RestartInPlace { instance, nonce } => election::restart(target, instance, nonce).await,
        Step::GrowVolume { name, size } => volumes::grow(target, name, size).await,
        Step::SetVolumeRole { name, role } => volumes::set_role(target, name, *role).await,
        Step::Rebuild { name, uid, version, volumes } => rebuild::rebuild(target, (name, uid, version), volumes).await,
        Step::BeginRestore(fact) => restore::begin(target, fact).await,
        Step::ClearRestoreOrder => restore::clear_order(target).await,
        Step::KeepVolume { name, restore } => volumes::keep(target, name, Some(restore)).await,
        Step::ReviveVolume { name } => volumes::keep(target, name, None).await,
        Step::CloseLease { over, record } => lease::close(target, over, record).await,
        Step::AdvanceRestore { stage, before, instance } => {
            restore::advance(target, *stage, before.as_deref(), instance.as_deref()).await
        }
        Step::SetRole { pod, uid, role } => labels::set_role(target, pod, uid, *role).await,
        Step::WriteElection(fact) => election::write(target, fact).await,
        Step::CancelElection { holder } => election::cancel(target, holder).await,
        Step::WriteRefusal { refusal, keep } => election::refuse(target, refusal, keep.as_deref()).await,
        Step::ClearForce => election::clear_force(target).await,
        Step::ClearRefusal => election::clear_refusal(target).await,
        Step::SetTarget { pod } => election::set_target(target, pod).await,
        Step::Event { kind, reason, message } => events::tell(target, *kind, reason, message, memory, now).await,
    }
}
