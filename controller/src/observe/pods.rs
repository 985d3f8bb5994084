//! Pods and volume claims as `core` sees them.

use core::time::Duration;
use k8s_openapi::api::core::v1::{ContainerState, PersistentVolumeClaim, Pod, PodCondition, Volume};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use pgherd_core::cluster::{
    ClaimPhase, DomainKeys, KeptVolume, LeaseSeen, NodeView, PodPhase, PodView, Report, Role, VolumeView, ZONE,
    serial_of, serial_of_wal,
};
use pgherd_core::identity::{Nonce, PodUid};
use pgherd_core::rules::quantity::quantity as quantity_of;
use pgherd_proto::labels;
use pgherd_proto::member::MemberReport;
use pgherd_proto::names::{POSTGRES_CONTAINER, WAL_VOLUME};
use std::collections::BTreeMap;

/// What is known of a pod beside what it says itself.
#[derive(Default)]
pub struct Around<'a> {
    /// Its node.
    pub node: Option<&'a NodeView>,
    /// Taints that say that a node is to be left.
    pub drain_taints: &'a [String],
    /// How failure domains are told apart.
    pub domain_keys: Option<&'a DomainKeys>,
    /// Its place, as it was last written into the status.
    pub place: Option<&'a BTreeMap<String, String>>,
}

/// A pod of `cluster`; `None` for pods that are not instances.
#[must_use]
pub fn pod_view(cluster: &str, pod: &Pod, around: &Around<'_>) -> Option<PodView> {
    let name = pod.name_any();
    let serial = serial_of(cluster, &name)?;
    let status = pod.status.clone().unwrap_or_default();
    let uid = PodUid(pod.uid()?);
    let conditions = status.conditions.unwrap_or_default();
    let report = pod.annotations().get(labels::MEMBER).and_then(|text| serde_json::from_str::<MemberReport>(text).ok());
    Some(PodView {
        counts_on_holder: false,
        serial,
        version: pod.resource_version().unwrap_or_default(),
        ip: status.pod_ip.filter(|ip| !ip.is_empty()),
        phase: match status.phase.as_deref() {
            Some("Pending") => PodPhase::Pending,
            Some("Succeeded") => PodPhase::Succeeded,
            Some("Failed") => PodPhase::Failed,
            Some("Unknown") => PodPhase::Unknown,
            _ => PodPhase::Running,
        },
        ready: conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        unschedulable: conditions.iter().find_map(unschedulable),
        zone: around.node.and_then(|node| node.labels.get(ZONE)).or_else(|| pod.labels().get(ZONE)).cloned(),
        leaving: around.node.and_then(|node| node.leaving(around.drain_taints)),
        place: around.domain_keys.map(|keys| keys.place(pod.labels(), around.node, around.place)).unwrap_or_default(),
        role: role(pod.labels()),
        outdated: None,
        restarts_after: restarts_after(pod),
        dead_nonces: dead_nonces(pod),
        has_wal_volume: pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).any(is_of_wal),
        // A report of another pod of this name was copied with its annotations: it is nobody's word.
        report: report.filter(|report| report.pod_uid == uid).map(|report| report_view(&report, false)),
        name,
        uid,
    })
}

/// What the scheduler says of a pod that it finds no node for.
fn unschedulable(condition: &PodCondition) -> Option<String> {
    let found = condition.type_ == "PodScheduled" && condition.status == "False";
    let waits = found && condition.reason.as_deref() == Some("Unschedulable");
    waits.then(|| condition.message.clone().unwrap_or_default())
}

fn is_of_wal(volume: &Volume) -> bool {
    volume.name == WAL_VOLUME && volume.persistent_volume_claim.is_some()
}

/// The nonces in the termination messages of this pod's postgres container (hole 17). A reason that the
/// kubelet makes up for a container it has lost sight of is no proof.
fn dead_nonces(pod: &Pod) -> Vec<Nonce> {
    let nonce = |state: ContainerState| {
        let terminated = state.terminated.filter(|end| end.reason.as_deref() != Some("ContainerStatusUnknown"))?;
        let message = terminated.message?;
        let line = message.lines().next()?.trim();
        (!line.is_empty()).then(|| Nonce(line.to_owned()))
    };
    let statuses = pod.status.iter().filter_map(|status| status.container_statuses.as_ref()).flatten();
    let postgres = statuses.filter(|status| status.name == POSTGRES_CONTAINER);
    postgres.flat_map(|status| [status.state.clone(), status.last_state.clone()]).flatten().filter_map(nonce).collect()
}

/// What the kubelet says of a postgres container that it starts again later: `back-off 1m20s restarting failed
/// container=...`. Something else than that is not understood, and then it may start at any time.
fn restarts_after(pod: &Pod) -> Option<Duration> {
    let statuses = pod.status.iter().filter_map(|status| status.container_statuses.as_ref()).flatten();
    let waiting = statuses.filter(|status| status.name == POSTGRES_CONTAINER).find_map(|status| {
        status.state.as_ref()?.waiting.as_ref().filter(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"))
    })?;
    let wait = waiting.message.as_deref()?.strip_prefix("back-off ")?.split(' ').next()?;
    let (minutes, seconds) = wait.split_once('m').unwrap_or(("0", wait));
    let seconds: u64 = seconds.strip_suffix('s')?.parse().ok()?;
    let minutes: u64 = minutes.parse().ok()?;
    Some(Duration::from_secs(minutes.checked_mul(60)?.checked_add(seconds)?))
}

/// A member's report; `fresh` if it is an answer to this look's question.
#[must_use]
pub fn report_view(report: &MemberReport, fresh: bool) -> Report {
    Report {
        nonce: report.nonce.clone(),
        pod_uid: report.pod_uid.clone(),
        incarnation: report.incarnation.clone(),
        system_id: report.system_id,
        phase: report.phase,
        message: report.message.clone(),
        lease_seen: LeaseSeen {
            version: report.lease_seen.resource_version.clone(),
            stale: report.lease_seen.stale,
            term: report.lease_seen.term,
            lease_duration: report.lease_seen.lease_duration,
        },
        position: report.position,
        tail: report.tail,
        fence: report.fence,
        lineage: report.lineage.clone(),
        pending_restart: report.pending_restart,
        pending_decrease: report.pending_restart_for_decrease,
        damaged: report.damaged,
        fresh,
    }
}

/// A volume claim of `cluster` that a restore has put aside.
#[must_use]
pub fn kept_view(cluster: &str, claim: &PersistentVolumeClaim) -> Option<KeptVolume> {
    let by = claim.labels().get(labels::KEPT_BY)?.clone();
    let name = claim.name_any();
    let serial = serial_of(cluster, &name).or_else(|| serial_of_wal(cluster, &name))?;
    Some(KeptVolume { serial, by, name })
}

/// A volume claim of `cluster` for data; `None` for one that a restore has put aside.
#[must_use]
pub fn volume_view(cluster: &str, claim: &PersistentVolumeClaim) -> Option<VolumeView> {
    view_of(claim, serial_of(cluster, &claim.name_any())?)
}

/// The same for WAL.
#[must_use]
pub fn wal_volume_view(cluster: &str, claim: &PersistentVolumeClaim) -> Option<VolumeView> {
    view_of(claim, serial_of_wal(cluster, &claim.name_any())?)
}

fn view_of(claim: &PersistentVolumeClaim, serial: u32) -> Option<VolumeView> {
    if claim.labels().contains_key(labels::KEPT_BY) {
        return None;
    }
    let bytes = |quantity: Option<&Quantity>| quantity.and_then(|text| quantity_of(&text.0).ok());
    let spec = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref()?.get("storage"));
    let status = claim.status.as_ref();
    let capacity = status.and_then(|status| status.capacity.as_ref()?.get("storage"));
    let (requested, capacity) = (bytes(spec), bytes(capacity));
    Some(VolumeView {
        name: claim.name_any(),
        serial,
        version: claim.resource_version().unwrap_or_default(),
        phase: match status.and_then(|status| status.phase.as_deref()) {
            Some("Pending") => Some(ClaimPhase::Pending),
            Some("Bound") => Some(ClaimPhase::Bound),
            Some("Lost") => Some(ClaimPhase::Lost),
            _ => None,
        },
        has_data: claim.annotations().get(labels::PVC_STATUS).is_some_and(|status| status == "ready"),
        deleting: claim.metadata.deletion_timestamp.is_some(),
        resizing: capacity.is_some_and(|capacity| requested.is_some_and(|requested| capacity < requested)),
        requested,
        role: role(claim.labels()),
    })
}

fn role(present: &BTreeMap<String, String>) -> Option<Role> {
    match present.get(labels::INSTANCE_ROLE).map(String::as_str) {
        Some(labels::ROLE_PRIMARY) => Some(Role::Primary),
        Some(labels::ROLE_REPLICA) => Some(Role::Replica),
        Some(labels::ROLE_UNHEALTHY) => Some(Role::Unhealthy),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: serde_json::Value) -> Pod {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_pod_is_read_with_its_report_and_the_nonces_of_dead_managers() {
        let report =
            r#"{"nonce":"n2","podUID":"u","phase":"standby","systemID":"7","position":{"timeline":1,"lsn":"0/1"}}"#;
        let view = pod_view(
            "c",
            &pod(serde_json::json!({
                "metadata": {"name": "c-2", "uid": "u", "labels": {"cnpg.io/instanceRole": "replica"},
                             "annotations": {"pgherd.io/member": report}},
                "status": {"phase": "Running", "podIP": "10.0.0.2", "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{"name": "postgres", "image": "", "imageID": "", "ready": true, "restartCount": 1,
                        "lastState": {"terminated": {"exitCode": 137, "message": "n1\n"}}}]}
            })),
            &Around::default(),
        )
        .unwrap();
        assert_eq!((view.serial, view.ready, view.role), (2, true, Some(Role::Replica)));
        assert_eq!(view.dead_nonces, ["n1".into()]);
        assert!(view.report.is_some_and(|report| !report.fresh && report.system_id.is_some()));
    }

    #[test]
    fn another_pods_report_and_a_container_that_was_only_lost_sight_of_prove_nothing() {
        let view = pod_view(
            "c",
            &pod(serde_json::json!({
                "metadata": {"name": "c-2", "uid": "u", "annotations": {"pgherd.io/member": "{\"podUID\":\"other\"}"}},
                "status": {"containerStatuses": [{"name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "n1"}}}]}
            })),
            &Around::default(),
        )
        .unwrap();
        assert_eq!((view.report, view.dead_nonces), (None, vec![]));
    }

    #[test]
    fn when_a_container_is_started_again_is_what_the_kubelet_says() {
        let wait = |message: &str| {
            let status = serde_json::json!({"name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}}});
            let pod = serde_json::json!({
                "metadata": {"name": "c-2", "uid": "u"}, "status": {"containerStatuses": [status]}});
            restarts_after(&serde_json::from_value(pod).unwrap()).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("back-off 10s restarting failed container=postgres pod=c-2_ns(u)"), Some(10));
        assert_eq!(wait("back-off 1m20s restarting failed container=postgres"), Some(80));
        assert_eq!(wait("back-off 5m0s restarting failed container=postgres"), Some(300));
        for other in ["", "back-off", "back-off soon", "back-off 1h restarting"] {
            assert_eq!(wait(other), None, "{other}");
        }
    }

    #[test]
    fn a_volume_that_was_put_aside_is_none_of_the_clusters() {
        let claim = |labels: serde_json::Value| -> PersistentVolumeClaim {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "c-2", "labels": labels}})).unwrap()
        };
        let (own, aside) = (claim(serde_json::json!({})), claim(serde_json::json!({labels::KEPT_BY: "r1"})));
        assert!(volume_view("c", &own).is_some() && kept_view("c", &own).is_none());
        let kept = KeptVolume { name: "c-2".into(), serial: 2, by: "r1".into() };
        assert_eq!((volume_view("c", &aside), kept_view("c", &aside)), (None, Some(kept)));
        let mut wal = own.clone();
        wal.metadata.name = Some("c-2-wal".into());
        assert_eq!(volume_view("c", &wal), None);
        assert!(
            wal_volume_view("c", &wal).is_some_and(|view| view.serial == 2) && wal_volume_view("c", &own).is_none()
        );
    }

    #[test]
    fn the_phase_of_a_claim_and_what_keeps_a_pod_from_a_node_are_read() {
        let claim = |phase: &str| -> PersistentVolumeClaim {
            let claim =
                serde_json::json!({"metadata": {"name": "c-2", "resourceVersion": "5"}, "status": {"phase": phase}});
            serde_json::from_value(claim).unwrap()
        };
        let phase = |text: &str| volume_view("c", &claim(text)).unwrap().phase;
        assert_eq!((phase("Bound"), phase("Pending")), (Some(ClaimPhase::Bound), Some(ClaimPhase::Pending)));
        assert_eq!((phase("Lost"), phase("")), (Some(ClaimPhase::Lost), None));
        assert_eq!(volume_view("c", &claim("Lost")).unwrap().version, "5");
        let view = |status: &str, reason: &str| {
            let condition = serde_json::json!({"type": "PodScheduled", "status": status, "reason": reason,
                "message": "0/3 nodes are available"});
            let pod = pod(serde_json::json!({"metadata": {"name": "c-2", "uid": "u", "resourceVersion": "8"},
                "status": {"conditions": [condition]}}));
            pod_view("c", &pod, &Around::default()).unwrap()
        };
        assert_eq!(view("False", "Unschedulable").unschedulable.as_deref(), Some("0/3 nodes are available"));
        assert_eq!(view("False", "Unschedulable").version, "8");
        assert_eq!(view("False", "SchedulingGated").unschedulable, None, "somebody holds it back on purpose");
        assert_eq!(view("True", "").unschedulable, None);
    }

    #[test]
    fn a_pod_that_is_no_instance_is_not_counted() {
        assert_eq!(
            pod_view("c", &pod(serde_json::json!({"metadata": {"name": "c-pooler", "uid": "u"}})), &Around::default()),
            None
        );
    }

    #[test]
    fn where_a_pod_is_and_whether_it_may_stay_is_told_by_its_node_and_else_by_its_own_labels() {
        let labels = |zone: &str| BTreeMap::from([(ZONE.to_owned(), zone.to_owned())]);
        let node = NodeView { name: "n1".into(), unschedulable: true, labels: labels("a"), ..NodeView::default() };
        let pod = pod(serde_json::json!({"metadata": {"name": "c-1", "uid": "u", "labels": {ZONE: "of-the-pod"}}}));
        let keys = DomainKeys { keys: vec![ZONE.into()], of_nodes: true };
        let seen = Around { node: Some(&node), domain_keys: Some(&keys), ..Around::default() };
        let view = pod_view("c", &pod, &seen).unwrap();
        assert_eq!((view.zone.as_deref(), view.place), (Some("a"), labels("a")));
        assert_eq!(view.leaving.as_deref(), Some("node n1 is cordoned"));
        let before = labels("b");
        let unseen = Around { place: Some(&before), domain_keys: Some(&keys), ..Around::default() };
        let view = pod_view("c", &pod, &unseen).unwrap();
        assert_eq!((view.zone.as_deref(), view.leaving, view.place), (Some("of-the-pod"), None, labels("b")));
    }
}
