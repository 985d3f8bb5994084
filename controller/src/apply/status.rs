//! The controller's share of the Cluster's status, written only where it differs.

use super::{ApplyError, Target, failed};
use crate::clock;
use crate::conditions::{Wanted, merge, unsupported_fields};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use pgherd_core::plan::{Phase, Plan, StatusUpdate};
use pgherd_proto::cluster::{Cluster, ClusterStatus, Topology, condition, phase, reason};
use pgherd_proto::labels;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) async fn write(target: &Target<'_>, plan: &Plan, failure: Option<&ApplyError>) -> Result<(), ApplyError> {
    if target.desired.deleting {
        return Ok(());
    }
    let before = target.cluster.status.clone().unwrap_or_default();
    let mut wanted = fields(target, &plan.status);
    if let Some(failure) =
        failure.filter(|failure| !failure.is_conflict() && plan.status.phase == Phase::SettingUpPrimary)
    {
        wanted.insert("phase".to_owned(), json!(phase::CANNOT_CREATE_OBJECTS));
        wanted.insert("phaseReason".to_owned(), json!(failure.to_string()));
    }
    let conditions = conditions(target, &plan.status, &before);
    if before.conditions != conditions {
        wanted.insert("conditions".to_owned(), json!(conditions));
    }
    patch(target.client, target.cluster, changed(&before, wanted)).await
}

/// The spec was refused and no earlier one is known: the phase says so, and nothing else is done.
///
/// # Errors
/// [`ApplyError`].
pub async fn mark_invalid(client: &Client, cluster: &Cluster, why: &str) -> Result<(), ApplyError> {
    let before = cluster.status.clone().unwrap_or_default();
    let wanted = Map::from_iter([
        ("phase".to_owned(), json!(phase::INVALID)),
        ("phaseReason".to_owned(), json!(why)),
        ("observedGeneration".to_owned(), json!(cluster.metadata.generation)),
    ]);
    patch(client, cluster, changed(&before, wanted)).await
}

fn changed(before: &ClusterStatus, mut wanted: Map<String, Value>) -> Map<String, Value> {
    let stored = serde_json::to_value(before).unwrap_or_default();
    let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == "";
    wanted.retain(|name, value| match stored.get(name) {
        Some(known) => known != value,
        None => !is_empty(value),
    });
    wanted
}

async fn patch(client: &Client, cluster: &Cluster, status: Map<String, Value>) -> Result<(), ApplyError> {
    if status.is_empty() {
        return Ok(());
    }
    let clusters = Api::<Cluster>::namespaced(client.clone(), &cluster.namespace().unwrap_or_default());
    // Conditions are one list: the managers' ones in it must not be written over from an old copy.
    let version = status.contains_key("conditions").then_some(cluster.metadata.resource_version.as_ref()).flatten();
    let metadata = version.map_or_else(|| json!({}), |version| json!({ "resourceVersion": version }));
    let body = json!({ "metadata": metadata, "status": status });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = clusters.patch_status(&cluster.name_any(), &params, &Patch::Merge(body)).await;
    patched.map_err(failed("write the status")).map(drop)
}

fn fields(target: &Target<'_>, status: &StatusUpdate) -> Map<String, Value> {
    let desired = target.desired;
    let failing = matches!(status.phase, Phase::FailingOver);
    let since = target.cluster.status.as_ref().and_then(|s| s.current_primary_failing_since_timestamp.clone());
    let failing_since = failing.then(|| since.unwrap_or_else(clock::wall));
    let topology = topology(target.observed.pods.iter().map(|pod| pod.node.as_deref()));
    let latest = target.observed.pods.iter().map(|pod| pod.serial).max();
    let Value::Object(fields) = json!({
        "phase": status.phase.to_string(),
        "phaseReason": status.reason,
        "instances": status.instances,
        "readyInstances": status.ready,
        "instanceNames": status.names,
        "instancesStatus": {
            "healthy": status.healthy, "replicating": status.replicating, "failed": status.failed,
        },
        "topology": topology,
        "pvcCount": status.volumes,
        "healthyPVC": status.healthy_volumes,
        "initializingPVC": status.initializing_volumes,
        "danglingPVC": status.dangling_volumes,
        "resizingPVC": status.resizing_volumes,
        "timelineID": status.timeline,
        "currentPrimaryFailingSinceTimestamp": failing_since,
        "latestGeneratedNode": latest,
        "writeService": pgherd_proto::names::service_rw(&desired.name),
        "readService": pgherd_proto::names::service_r(&desired.name),
        "image": desired.image,
        "selector": format!("{}={},{}={}", labels::CLUSTER, desired.name, labels::POD_ROLE, labels::POD_ROLE_INSTANCE),
        "observedGeneration": desired.generation,
    }) else {
        return Map::new();
    };
    fields
}

/// Where the instances are; not known while one of them has no node yet.
fn topology<'a>(nodes: impl Iterator<Item = Option<&'a str>>) -> Topology {
    let placed: Option<BTreeSet<&str>> = nodes.collect();
    let nodes_used = placed.as_ref().and_then(|nodes| i32::try_from(nodes.len()).ok()).unwrap_or_default();
    Topology { successfully_extracted: nodes_used > 0, nodes_used, ..Topology::default() }
}

fn conditions(target: &Target<'_>, status: &StatusUpdate, before: &ClusterStatus) -> Vec<Condition> {
    let ready = status.phase == Phase::Healthy;
    let consistent = status.foreign.is_empty();
    let mut wanted: Vec<Wanted> = vec![
        (
            condition::READY,
            ready,
            if ready { reason::CLUSTER_IS_READY } else { reason::CLUSTER_IS_NOT_READY },
            if ready { "Cluster is Ready".to_owned() } else { status.phase.to_string() },
        ),
        (
            condition::INITIALIZED,
            status.initialized,
            if status.initialized { "DatabaseInitialized" } else { "DatabaseNotInitialized" },
            if status.initialized { "The database exists".to_owned() } else { "There is no database yet".to_owned() },
        ),
        unsupported_fields(target.ignored),
    ];
    if status.initialized {
        wanted.push((
            condition::CONSISTENT_SYSTEM_ID,
            consistent,
            if consistent { reason::UNIQUE_SYSTEM_ID } else { reason::MISMATCHING_SYSTEM_ID },
            if consistent {
                "A single system identifier was found".to_owned()
            } else {
                format!("another database system is on {}", status.foreign.join(", "))
            },
        ));
    }
    merge(before.conditions.clone(), wanted, Some(target.desired.generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_once_all_instances_have_one() {
        let of = |nodes: &[Option<&str>]| {
            let seen = topology(nodes.iter().copied());
            (seen.successfully_extracted, seen.nodes_used)
        };
        assert_eq!(of(&[Some("a"), Some("b"), Some("a")]), (true, 2));
        assert_eq!(of(&[Some("a"), None]), (false, 0));
        assert_eq!(of(&[]), (false, 0));
    }

    #[test]
    fn only_what_differs_is_written() {
        let before = ClusterStatus { phase: Some("a".into()), ready_instances: Some(2), ..ClusterStatus::default() };
        let wanted = Map::from_iter([
            ("phase".to_owned(), json!("b")),
            ("readyInstances".to_owned(), json!(2)),
            ("danglingPVC".to_owned(), json!([])),
            ("timelineID".to_owned(), Value::Null),
        ]);
        assert_eq!(changed(&before, wanted), Map::from_iter([("phase".to_owned(), json!("b"))]));
    }
}
