//! The managers' rights, the disruption budgets, the PodMonitor.

use super::{ApplyError, Target, failed, gone_is_fine};
use crate::account;
use crate::monitor;
use crate::observe::pod_monitor_kind;
use crate::rights::{self, Rights};
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use pgherd_core::cluster::{DriftFact, ObjectKind};
use pgherd_proto::failover_quorum::{FailoverQuorum, FailoverQuorumSpec};
use pgherd_proto::{labels, names};
use serde_json::json;
use std::collections::BTreeMap;

pub(super) async fn create(target: &Target<'_>, kind: ObjectKind) -> Result<(), ApplyError> {
    let name = target.desired.name.clone();
    let what = format!("{kind} of {name}");
    match kind {
        ObjectKind::ServiceAccount => {
            // The pods' token is projected; no long-lived one is made.
            let (mut metadata, wanted) = (target.meta(name), account::wanted(target.spec));
            metadata.labels.get_or_insert_default().extend(wanted.labels);
            metadata.annotations.get_or_insert_default().extend(wanted.annotations);
            let account =
                ServiceAccount { metadata, automount_service_account_token: Some(false), ..ServiceAccount::default() };
            target.create(target.api::<ServiceAccount>(), &account, &what).await
        }
        ObjectKind::Role => target.create(target.api::<Role>(), &role(target), &what).await,
        ObjectKind::RoleBinding => target.create(target.api::<RoleBinding>(), &binding(target), &what).await,
        ObjectKind::PrimaryBudget | ObjectKind::ReplicaBudget => {
            let budget = budget(target, kind);
            target.create(target.api::<PodDisruptionBudget>(), &budget, &what).await
        }
        ObjectKind::PodMonitor => {
            let kind = pod_monitor_kind();
            let monitors =
                Api::<DynamicObject>::namespaced_with(target.client.clone(), &target.desired.namespace, &kind);
            target.create(monitors, &pod_monitor(target), &what).await
        }
        ObjectKind::FailoverQuorum => {
            let mut quorum = FailoverQuorum::new(&name, FailoverQuorumSpec::default());
            quorum.metadata = target.meta(name);
            target.create(target.api::<FailoverQuorum>(), &quorum, &what).await
        }
        ObjectKind::Secret(_) | ObjectKind::Service(_) => Ok(()),
    }
}

pub(super) async fn set_replica_budget(target: &Target<'_>, available: u32) -> Result<(), ApplyError> {
    let patch = Patch::Merge(json!({ "spec": { "minAvailable": available } }));
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = target.api::<PodDisruptionBudget>().patch(&target.desired.name, &params, &patch).await;
    patched.map_err(failed("set the budget of the replicas")).map(drop)
}

/// Only budgets, the quorum and a service or two are ever wanted no more.
pub(super) async fn delete(target: &Target<'_>, kind: ObjectKind) -> Result<(), ApplyError> {
    let name = match kind {
        ObjectKind::PrimaryBudget => names::primary_budget(&target.desired.name),
        ObjectKind::ReplicaBudget => target.desired.name.clone(),
        ObjectKind::FailoverQuorum => {
            let name = &target.desired.name;
            let deleted = target.api::<FailoverQuorum>().delete(name, &DeleteParams::default()).await;
            return gone_is_fine(deleted, format!("delete FailoverQuorum {name}"));
        }
        ObjectKind::Service(kind) => {
            let name = kind.name(&target.desired.name);
            let deleted = target.api::<Service>().delete(&name, &DeleteParams::default()).await;
            return gone_is_fine(deleted, format!("delete service {name}"));
        }
        _ => return Ok(()),
    };
    let deleted = target.api::<PodDisruptionBudget>().delete(&name, &DeleteParams::default()).await;
    gone_is_fine(deleted, format!("delete budget {name}"))
}

pub(super) fn role(target: &Target<'_>) -> Role {
    let rights = rights_of(target);
    Role { metadata: target.meta(target.desired.name.clone()), rules: Some(rights.rules) }
}

fn rights_of(target: &Target<'_>) -> Rights {
    let around = rights::around(target.caches, target.cluster, target.desired, target.spec);
    rights::wanted(target.desired, target.spec, &around)
}

pub(super) fn binding(target: &Target<'_>) -> RoleBinding {
    let rights = rights_of(target);
    RoleBinding {
        metadata: target.meta(target.desired.name.clone()),
        role_ref: rights.role_ref,
        subjects: Some(rights.subjects),
    }
}

/// Makes a drifted object what it would be made as today, over the version that was looked at: somebody else's write in
/// between is looked at first.
pub(super) async fn update(target: &Target<'_>, drift: &DriftFact) -> Result<(), ApplyError> {
    let name = &target.desired.name;
    let what = format!("bring {} of {name} up to date", drift.kind);
    let metadata = json!({ "resourceVersion": drift.version, "annotations": target.meta(name.clone()).annotations });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match drift.kind {
        ObjectKind::ServiceAccount => {
            let wanted = account::wanted(target.spec);
            let metadata = json!({ "resourceVersion": drift.version, "labels": wanted.labels,
                "annotations": wanted.annotations });
            let patch = Patch::Merge(json!({ "metadata": metadata }));
            target.api::<ServiceAccount>().patch(name, &params, &patch).await.map_err(failed(what)).map(drop)
        }
        ObjectKind::Role => {
            let patch = Patch::Merge(json!({ "metadata": metadata, "rules": role(target).rules }));
            target.api::<Role>().patch(name, &params, &patch).await.map_err(failed(what)).map(drop)
        }
        ObjectKind::RoleBinding if drift.anew => {
            let over = Preconditions { resource_version: Some(drift.version.clone()), uid: None };
            let only = DeleteParams { preconditions: Some(over), ..DeleteParams::default() };
            gone_is_fine(target.api::<RoleBinding>().delete(name, &only).await, what.clone())?;
            target.create(target.api::<RoleBinding>(), &binding(target), &what).await
        }
        ObjectKind::RoleBinding => {
            let patch = Patch::Merge(json!({ "metadata": metadata, "subjects": binding(target).subjects }));
            target.api::<RoleBinding>().patch(name, &params, &patch).await.map_err(failed(what)).map(drop)
        }
        ObjectKind::PodMonitor => {
            let kind = pod_monitor_kind();
            let monitors =
                Api::<DynamicObject>::namespaced_with(target.client.clone(), &target.desired.namespace, &kind);
            let spec = monitor::spec(name, &target.desired.namespace, target.spec);
            let patch = Patch::Merge(json!({ "metadata": metadata, "spec": spec }));
            monitors.patch(name, &params, &patch).await.map_err(failed(what)).map(drop)
        }
        _ => Ok(()),
    }
}

/// The primary is not evicted before it has handed over; of three replicas or more, all but two may not go.
pub(super) fn budget(target: &Target<'_>, kind: ObjectKind) -> PodDisruptionBudget {
    let desired = target.desired;
    let minimum = i32::try_from(desired.instances.saturating_sub(2)).unwrap_or(i32::MAX);
    let (name, role, available) = match kind {
        ObjectKind::PrimaryBudget => (names::primary_budget(&desired.name), labels::ROLE_PRIMARY, 1),
        _ => (desired.name.clone(), labels::ROLE_REPLICA, minimum),
    };
    let selector =
        [(labels::CLUSTER.to_owned(), desired.name.clone()), (labels::INSTANCE_ROLE.to_owned(), role.to_owned())];
    PodDisruptionBudget {
        metadata: target.meta(name),
        spec: Some(PodDisruptionBudgetSpec {
            min_available: Some(IntOrString::Int(available)),
            selector: Some(LabelSelector { match_labels: Some(BTreeMap::from(selector)), ..LabelSelector::default() }),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

pub(super) fn pod_monitor(target: &Target<'_>) -> DynamicObject {
    let name = &target.desired.name;
    let spec = monitor::spec(name, &target.desired.namespace, target.spec);
    let mut monitor = DynamicObject::new(name, &pod_monitor_kind()).data(json!({ "spec": spec }));
    monitor.metadata = target.meta(name.clone());
    monitor
}
