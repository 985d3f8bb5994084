//! ScheduledBackups whose cluster is not there: most often they were applied to the wrong namespace.

use crate::caches::{Caches, Key};
use crate::clock;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use pgherd_proto::labels;
use pgherd_proto::scheduled_backup::ScheduledBackup;
use serde_json::json;

const CLUSTER_FOUND: &str = "ClusterFound";

/// Says in the status of each schedule of a cluster of this name whether that cluster is there.
pub async fn explain(client: &Client, caches: &Caches, key: &Key) {
    for schedule in caches.schedules.state_filter(|schedule| schedule.spec.cluster.name == key.name) {
        let Some(namespace) = schedule.namespace() else { continue };
        let known: Vec<String> =
            caches.keys().into_iter().filter(|known| known.name == key.name).map(|known| known.namespace).collect();
        let problem = problem(&namespace, &known);
        let before = schedule.status.clone().unwrap_or_default();
        if before.error == problem {
            continue;
        }
        let status = json!({ "error": problem, "conditions": conditions(&before.conditions, problem.as_deref()) });
        let body = json!({ "metadata": { "resourceVersion": schedule.resource_version() }, "status": status });
        let params =
            PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let schedules = Api::<ScheduledBackup>::namespaced(client.clone(), &namespace);
        if let Err(error) = schedules.patch_status(&schedule.name_any(), &params, &Patch::Merge(body)).await {
            tracing::debug!(schedule = %schedule.name_any(), %namespace, %error, "the schedule's status was not written");
        }
    }
}

/// What is wrong with a schedule of `namespace`, if its cluster is only in these others.
fn problem(namespace: &str, known: &[String]) -> Option<String> {
    let missing = format!("cluster not found in namespace {namespace}");
    match known {
        _ if known.iter().any(|known| known == namespace) => None,
        [] => Some(missing),
        [one] => Some(format!("{missing}; there is one in {one}")),
        many => Some(format!("{missing}; there are some in {}", many.join(", "))),
    }
}

fn conditions(before: &[Condition], problem: Option<&str>) -> Vec<Condition> {
    let mut all: Vec<Condition> = before.iter().filter(|condition| condition.type_ != CLUSTER_FOUND).cloned().collect();
    all.push(Condition {
        type_: CLUSTER_FOUND.to_owned(),
        status: if problem.is_some() { "False" } else { "True" }.to_owned(),
        reason: if problem.is_some() { "ClusterNotFound" } else { "ClusterFound" }.to_owned(),
        message: problem.unwrap_or_default().to_owned(),
        last_transition_time: clock::stamp(),
        observed_generation: None,
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_in_the_wrong_namespace_is_told_where_its_cluster_is() {
        assert_eq!(
            problem("default", &["phoenix-guardian".to_owned()]).unwrap(),
            "cluster not found in namespace default; there is one in phoenix-guardian"
        );
        assert_eq!(problem("a", &["b".to_owned(), "a".to_owned()]), None);
        assert_eq!(problem("a", &[]).unwrap(), "cluster not found in namespace a");
    }
}
