//! ScheduledBackups: whether their cluster is there (most often they were applied to the wrong namespace), and what of
//! them does nothing yet.

use crate::caches::{Caches, Key};
use crate::conditions::{Wanted, ignored, merge, unsupported_fields, write_status};
use kube::{Client, ResourceExt};
use pgherd_proto::cluster::{condition, reason};
use serde_json::json;

/// Says so in the status of each schedule of a cluster of this name.
pub async fn explain(client: &Client, caches: &Caches, key: &Key) {
    let in_each = |namespace| caches.schedules.of(&Key { namespace, name: key.name.clone() });
    let schedules: Vec<_> = caches.schedules.namespaces(&key.name).into_iter().flat_map(in_each).collect();
    if schedules.is_empty() {
        return;
    }
    let known = caches.clusters.namespaces(&key.name);
    for schedule in schedules {
        let Some(namespace) = schedule.namespace() else { continue };
        let problem = problem(&namespace, &known);
        let object = json!({ "metadata": { "annotations": schedule.annotations() }, "spec": schedule.spec });
        let wanted = vec![found(problem.as_deref()), unsupported_fields(&ignored("ScheduledBackup", &object))];
        let before = schedule.status.clone().unwrap_or_default();
        let conditions = merge(before.conditions.clone(), wanted, schedule.metadata.generation);
        if before.error != problem || before.conditions != conditions {
            write_status(client, &*schedule, json!({ "error": problem, "conditions": conditions })).await;
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

fn found(problem: Option<&str>) -> Wanted {
    let reason = if problem.is_some() { reason::CLUSTER_NOT_FOUND } else { reason::CLUSTER_FOUND };
    (condition::CLUSTER_FOUND, problem.is_none(), reason, problem.unwrap_or_default().to_owned())
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
