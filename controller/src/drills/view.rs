//! A cluster's drills as `core` sees them.

use crate::caches::{Caches, Key};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgherd_core::backup::{DrillPod, DrillPodState, DrillRun, DrillView, Timestamp};
use pgherd_core::identity::PodUid;
use pgherd_core::rules::cron::Schedule;
use pgherd_proto::cluster::{Cluster, Drill, DrillOrder, drill_phase};

/// What there is of `cluster`'s drills.
pub(super) fn view(cluster: &Cluster, caches: &Caches, key: &Key) -> DrillView {
    let drill = cluster.drill().cloned().unwrap_or_default();
    let pods = caches.drills.of(key);
    DrillView {
        archived: cluster.spec.object_store().is_some(),
        request: cluster.drill_request().and_then(|order| order.id),
        served: drill.request.clone(),
        schedule: cluster.drill_schedule().and_then(|text| text.parse::<Schedule>().ok()),
        checked: drill.checked_at.as_deref().and_then(|text| text.parse().ok()),
        current: current(&drill),
        pods: pods.iter().filter_map(|pod| pod_view(pod)).collect(),
    }
}

fn current(drill: &Drill) -> Option<DrillRun> {
    let seen = match drill.phase.as_deref()? {
        drill_phase::ORDERED => false,
        drill_phase::RUNNING => true,
        _ => return None,
    };
    let started = drill.started_at.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    Some(DrillRun {
        pod: drill.pod.clone().unwrap_or_default(),
        seen,
        // Without it, it is late: it cannot be waited for for ever.
        started: started.unwrap_or(Timestamp::from_seconds(0)),
        within: drill.order.as_ref().map_or_else(|| DrillOrder::default().within(), DrillOrder::within),
    })
}

fn pod_view(pod: &Pod) -> Option<DrillPod> {
    Some(DrillPod {
        name: pod.name_any(),
        uid: PodUid(pod.uid()?),
        state: state(pod),
        deleting: pod.metadata.deletion_timestamp.is_some(),
    })
}

fn state(pod: &Pod) -> DrillPodState {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let ended = containers.iter().find_map(|container| container.state.as_ref()?.terminated.clone());
    let over = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    if let Some(end) = ended {
        let reason = end.reason.filter(|reason| !reason.is_empty()).map(|reason| format!(" ({reason})"));
        let how = format!("its container ended with {}{}", end.exit_code, reason.unwrap_or_default());
        return DrillPodState::Ended { said: end.message, how };
    }
    if over {
        let why = [status.reason, status.message].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let how = if why.is_empty() { "its pod failed".to_owned() } else { format!("its pod failed: {why}") };
        return DrillPodState::Ended { said: None, how };
    }
    if containers.iter().any(|container| container.state.as_ref().is_some_and(|state| state.running.is_some())) {
        return DrillPodState::Running;
    }
    let waiting = containers.iter().find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        Some([waiting.reason.clone(), waiting.message.clone()].into_iter().flatten().collect::<Vec<_>>().join(": "))
    });
    let unscheduled = status.conditions.unwrap_or_default().into_iter().find(|condition| condition.status == "False");
    DrillPodState::Waiting(waiting.or(unscheduled.and_then(|condition| condition.message)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(status: &Value) -> DrillPodState {
        let pod = json!({"metadata": {"name": "c-verify-1", "uid": "u"}, "status": status});
        state(&serde_json::from_value(pod).unwrap())
    }

    fn container(state: &Value) -> Value {
        json!({"name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
    }

    #[test]
    fn a_pods_state_is_read_with_its_last_words_or_with_why_there_are_none() {
        let ended = container(&json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "{}"}}));
        let how = "its container ended with 1 (Error)".to_owned();
        let expected = DrillPodState::Ended { said: Some("{}".into()), how };
        assert_eq!(of(&json!({"phase": "Failed", "containerStatuses": [ended]})), expected);
        let evicted = of(&json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long"}));
        let how = "its pod failed: DeadlineExceeded: too long".to_owned();
        assert_eq!(evicted, DrillPodState::Ended { said: None, how });
        let runs = container(&json!({"running": {}}));
        assert_eq!(of(&json!({"phase": "Running", "containerStatuses": [runs]})), DrillPodState::Running);
        let condition = json!({"type": "PodScheduled", "status": "False", "message": "0/3 nodes"});
        let pending = of(&json!({"phase": "Pending", "conditions": [condition]}));
        assert_eq!(pending, DrillPodState::Waiting("0/3 nodes".into()));
    }

    #[test]
    fn only_one_that_goes_on_is_current() {
        let drill = |phase: &str| Drill { phase: Some(phase.into()), pod: Some("p".into()), ..Drill::default() };
        assert_eq!(current(&drill("ordered")).map(|run| run.seen), Some(false));
        assert_eq!(current(&drill("running")).map(|run| run.seen), Some(true));
        assert_eq!((current(&drill("proven")), current(&drill("failed"))), (None, None));
    }
}
