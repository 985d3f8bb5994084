//! The controller's share of the Cluster's status, written only where it differs.

use super::{ApplyError, Target, failed};
use crate::clock;
use crate::conditions::{Wanted, merge, unsupported_fields};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use pgherd_core::cluster::PodView;
use pgherd_core::plan::{Domains, ElectionState, HibernationNote, Phase, Plan, StatusUpdate, TopologyNote};
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

/// The lease cannot be read: nothing is decided, and condition `PrimaryElected` says so.
///
/// # Errors
/// [`ApplyError`].
pub async fn mark_unreadable(client: &Client, cluster: &Cluster, why: &str) -> Result<(), ApplyError> {
    let before = cluster.status.clone().unwrap_or_default();
    let message = format!("{why}; nobody can be elected, or take it, until it is put right or deleted");
    let wanted = (condition::PRIMARY_ELECTED, false, reason::LEASE_UNREADABLE, message);
    let conditions = merge(before.conditions.clone(), vec![wanted], cluster.metadata.generation);
    let wanted = Map::from_iter([("conditions".to_owned(), json!(conditions))]);
    patch(client, cluster, changed(&before, wanted)).await
}

fn changed(before: &ClusterStatus, mut wanted: Map<String, Value>) -> Map<String, Value> {
    let stored = serde_json::to_value(before).unwrap_or_default();
    let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == "";
    wanted.retain(|name, value| match stored.get(name) {
        Some(known) => known != value && !(value.is_null() && name == "certificates"),
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
    let before = target.cluster.status.as_ref().and_then(|status| status.topology.as_ref());
    let topology = replacing(before, &topology(&target.observed.pods));
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
        "certificates": super::status_certificates::patch(target),
        "selector": format!("{}={},{}={}", labels::CLUSTER, desired.name, labels::POD_ROLE, labels::POD_ROLE_INSTANCE),
        "observedGeneration": desired.generation,
    }) else {
        return Map::new();
    };
    fields
}

/// Where the instances are. How many nodes they use is not known while one of them has no node yet.
fn topology(pods: &[PodView]) -> Topology {
    let placed: Option<BTreeSet<&str>> = pods.iter().map(|pod| pod.node.as_deref()).collect();
    let nodes_used = placed.as_ref().and_then(|nodes| i32::try_from(nodes.len()).ok()).unwrap_or_default();
    let place = |pod: &PodView| (!pod.place.is_empty()).then(|| (pod.name.clone(), pod.place.clone()));
    let instances = pods.iter().filter_map(place).collect();
    Topology { instances, successfully_extracted: nodes_used > 0, nodes_used, ..Topology::default() }
}

/// As a merge patch: instances and labels that were there before and are not any more are taken away.
fn replacing(before: Option<&Topology>, now: &Topology) -> Value {
    let mut patch = json!(now);
    let before = before.filter(|before| before.instances != now.instances);
    let (Some(before), Value::Object(fields)) = (before, &mut patch) else { return patch };
    let instances = fields.entry("instances").or_insert_with(|| json!({}));
    for (name, labels) in &before.instances {
        let kept = now.instances.contains_key(name);
        let Value::Object(instances) = instances else { break };
        let entry = instances.entry(name).or_insert(Value::Null);
        if let (true, Value::Object(entry)) = (kept, entry) {
            for key in labels.keys() {
                entry.entry(key).or_insert(Value::Null);
            }
        }
    }
    patch
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
        wanted.push(election(status));
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
    wanted.extend(status.topology.as_ref().map(topology_condition));
    wanted.extend(status.hibernation.as_ref().map(hibernation_condition));
    let mut known = before.conditions.clone();
    // They say nothing of a cluster that asks for nothing.
    known.retain(|one| status.topology.is_some() || one.type_ != condition::SYNC_REPLICATION_TOPOLOGY_SATISFIED);
    known.retain(|one| status.hibernation.is_some() || one.type_ != condition::HIBERNATION);
    merge(known, wanted, Some(target.desired.generation))
}

/// Whether what fails together with the primary is never all that has a commit.
fn topology_condition(note: &TopologyNote) -> Wanted {
    let (satisfied, reason) = match note.domains {
        Domains::Satisfied => (true, reason::TOPOLOGY_SATISFIED),
        Domains::TooFewElsewhere => (false, reason::INSUFFICIENT_CROSS_DOMAIN_REPLICAS),
        Domains::Unknown => (false, reason::TOPOLOGY_NOT_EXTRACTED),
    };
    (condition::SYNC_REPLICATION_TOPOLOGY_SATISFIED, satisfied, reason, note.message.clone())
}

/// How far a hibernation is, in CNPG's words.
fn hibernation_condition(note: &HibernationNote) -> Wanted {
    let (done, reason) = match note {
        HibernationNote::Hibernated => (true, reason::HIBERNATED),
        HibernationNote::DeletingPods => (false, reason::DELETING_PODS),
        HibernationNote::WaitingPodsDeletion(_) => (false, reason::WAITING_PODS_DELETION),
        HibernationNote::NotYet(_) => (false, reason::HIBERNATION_WAITS),
    };
    (condition::HIBERNATION, done, reason, note.to_string())
}

/// Whether there is a primary that need not be replaced; else how its election stands, and what keeps it.
fn election(status: &StatusUpdate) -> (&'static str, bool, &'static str, String) {
    let Some(note) = &status.election else {
        return (condition::PRIMARY_ELECTED, true, reason::PRIMARY_IS_ELECTED, "No election is due".to_owned());
    };
    let (well, reason) = match note.state {
        ElectionState::HandoverRefused => (true, reason::HANDOVER_REFUSED),
        ElectionState::Waits => (false, reason::ELECTION_WAITS),
        ElectionState::Elected => (false, reason::ELECTION_UNDER_WAY),
        ElectionState::Forced => (false, reason::ELECTION_FORCED),
        ElectionState::Refused => (false, reason::ELECTION_REFUSED),
        ElectionState::Fenced => (false, reason::PRIMARY_FENCED),
    };
    (condition::PRIMARY_ELECTED, well, reason, note.message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_once_all_instances_have_one() {
        let pod = |node: &Option<&str>| PodView { node: node.map(str::to_owned), ..PodView::default() };
        let of = |nodes: &[Option<&str>]| {
            let seen = topology(&nodes.iter().map(pod).collect::<Vec<_>>());
            (seen.successfully_extracted, seen.nodes_used)
        };
        assert_eq!(of(&[Some("a"), Some("b"), Some("a")]), (true, 2));
        assert_eq!(of(&[Some("a"), None]), (false, 0));
        assert_eq!(of(&[]), (false, 0));
    }

    #[test]
    fn an_instance_that_went_and_a_label_that_went_leave_the_topology() {
        let place = |labels: &[(&str, &str)]| labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let pod = |name: &str, labels| PodView { name: name.into(), place: place(labels), ..PodView::default() };
        let before = topology(&[pod("c-1", &[("zone", "a"), ("rack", "1")]), pod("c-2", &[("zone", "b")])]);
        let now = topology(&[pod("c-1", &[("zone", "a")]), pod("c-3", &[("zone", "c")]), pod("c-4", &[])]);
        let patch = replacing(Some(&before), &now);
        let wanted = json!({ "c-1": { "zone": "a", "rack": null }, "c-2": null, "c-3": { "zone": "c" } });
        assert_eq!(patch["instances"], wanted);
        assert_eq!(replacing(Some(&now), &now), json!(now), "nothing is written again");
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
