//! The managers' rights, the disruption budgets, the PodMonitor.

use super::{ApplyError, Target, failed, gone_is_fine};
use crate::observe::pod_monitor_kind;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use pgherd_core::cluster::{ObjectKind, SecretKind};
use pgherd_proto::backup::Backup;
use pgherd_proto::cluster::{BarmanObjectStore, S3Credentials, SecretKeySelector};
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
            let account = ServiceAccount {
                metadata: target.meta(name),
                automount_service_account_token: Some(false),
                ..ServiceAccount::default()
            };
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

/// Only budgets and the quorum are ever wanted no more.
pub(super) async fn delete(target: &Target<'_>, kind: ObjectKind) -> Result<(), ApplyError> {
    let name = match kind {
        ObjectKind::PrimaryBudget => names::primary_budget(&target.desired.name),
        ObjectKind::ReplicaBudget => target.desired.name.clone(),
        ObjectKind::FailoverQuorum => {
            let name = &target.desired.name;
            let deleted = target.api::<FailoverQuorum>().delete(name, &DeleteParams::default()).await;
            return gone_is_fine(deleted, format!("delete FailoverQuorum {name}"));
        }
        _ => return Ok(()),
    };
    let deleted = target.api::<PodDisruptionBudget>().delete(&name, &DeleteParams::default()).await;
    gone_is_fine(deleted, format!("delete budget {name}"))
}

fn rule(group: &str, resources: &[&str], objects: &[String], verbs: &[&str]) -> PolicyRule {
    let all = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(all(resources)),
        resource_names: (!objects.is_empty()).then(|| objects.to_vec()),
        verbs: all(verbs),
        ..PolicyRule::default()
    }
}

/// What a manager needs, of its own cluster and namespace, and no more.
pub(super) fn role(target: &Target<'_>) -> Role {
    let name = &target.desired.name;
    let own = [name.clone()];
    let mut secrets: Vec<String> = SecretKind::ALL.iter().map(|kind| kind.name(name)).collect();
    secrets.extend(target.desired.owner_secret.clone());
    secrets.extend(target.spec.superuser_secret.iter().map(|secret| secret.name.clone()));
    secrets.push(names::secret_superuser(name));
    secrets.extend(store_secrets(target));
    Role {
        metadata: target.meta(name.clone()),
        rules: Some(vec![
            rule(names::API_GROUP, &["clusters"], &own, &["get"]),
            rule(names::API_GROUP, &["clusters"], &[], &["list", "watch"]),
            rule(names::API_GROUP, &["clusters/status"], &own, &["get", "update", "patch"]),
            // Retention removes those whose data it has deleted.
            rule(names::API_GROUP, &["backups"], &[], &["get", "list", "watch", "delete"]),
            rule(names::API_GROUP, &["backups/status"], &[], &["get", "update", "patch"]),
            rule(names::API_GROUP, &["failoverquorums/status"], &own, &["get", "update", "patch"]),
            rule("coordination.k8s.io", &["leases"], &own, &["get", "update"]),
            rule("coordination.k8s.io", &["leases"], &[], &["list", "watch", "create"]),
            rule("", &["pods"], &[], &["get", "list", "watch", "patch"]),
            rule("", &["secrets"], &secrets, &["get", "watch"]),
            rule("", &["events"], &[], &["create", "patch"]),
        ]),
    }
}

/// The secrets that the credentials of object stores are in: its own archive, and those it may be recovered from.
fn store_secrets(target: &Target<'_>) -> Vec<String> {
    let spec = target.spec;
    let own = spec.backup.as_ref().and_then(|backup| backup.barman_object_store.as_ref());
    let others = spec.external_clusters.iter().filter_map(|external| external.barman_object_store.as_ref());
    let of_store = |store: &BarmanObjectStore| named_secrets(store.s3_credentials.as_ref(), store.endpoint_ca.as_ref());
    let mut found: Vec<String> = own.into_iter().chain(others).flat_map(of_store).collect();
    if let Some(source) = spec.recovery().and_then(|recovery| recovery.backup.as_ref()) {
        found.extend(named_secrets(None, source.endpoint_ca.as_ref()));
        let key = ObjectRef::<Backup>::new(&source.name).within(&target.desired.namespace);
        if let Some(status) = target.caches.backups.get(&key).and_then(|backup| backup.status.clone()) {
            found.extend(named_secrets(status.s3_credentials.as_ref(), status.endpoint_ca.as_ref()));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn named_secrets(credentials: Option<&S3Credentials>, authority: Option<&SecretKeySelector>) -> Vec<String> {
    let keys = credentials.into_iter().flat_map(|credentials| {
        [&credentials.access_key_id, &credentials.secret_access_key, &credentials.region, &credentials.session_token]
    });
    keys.flatten().chain(authority).map(|key| key.name.clone()).collect()
}

pub(super) fn binding(target: &Target<'_>) -> RoleBinding {
    let name = &target.desired.name;
    RoleBinding {
        metadata: target.meta(name.clone()),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name.clone(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.clone(),
            namespace: Some(target.desired.namespace.clone()),
            ..Subject::default()
        }]),
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
    let mut monitor = DynamicObject::new(name, &pod_monitor_kind()).data(json!({
        "spec": {
            "selector": { "matchLabels": { labels::CLUSTER: name, labels::POD_ROLE: labels::POD_ROLE_INSTANCE } },
            "podMetricsEndpoints": [{ "port": names::METRICS_PORT_NAME }],
        }
    }));
    monitor.metadata = target.meta(name.clone());
    monitor
}
