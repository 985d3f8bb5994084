//! Golden plans: `tests/golden/plan/NAME.json` holds what is wanted, what is there, and the whole plan.
//! `UPDATE_GOLDEN=1` writes them anew; the diff is then read by a person.

use super::*;
use crate::cluster::{
    DriftFact, LeaseSeen, MemberPhase, ObjectKind, PodView, Report, Role, SecretKind, ServiceKind, VolumeView,
};
use crate::identity::SystemId;
use crate::lease::{Holder, HolderState, LeaseRecord, Term, Versioned, WalPosition};
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use std::path::PathBuf;

pub(super) const NOW: Instant = Instant(1_000_000_000_000);

pub(super) fn pod(serial: u32, phase: MemberPhase, role: Role) -> PodView {
    let uid = format!("u{serial}");
    let report = Report {
        nonce: format!("n{serial}").as_str().into(),
        pod_uid: uid.as_str().into(),
        incarnation: Some(format!("i{serial}").as_str().into()),
        system_id: Some(SystemId(7)),
        phase,
        position: Some(WalPosition { timeline: TimelineId(1), lsn: Lsn(0x300_0000) }),
        fresh: true,
        ..Report::default()
    };
    PodView {
        name: format!("c-{serial}"),
        serial,
        uid: uid.as_str().into(),
        ip: Some(format!("10.0.0.{serial}")),
        ready: true,
        role: Some(role),
        report: Some(report),
        ..PodView::default()
    }
}

pub(super) fn volume(serial: u32) -> VolumeView {
    let role = Some(if serial == 1 { Role::Primary } else { Role::Replica });
    VolumeView { name: format!("c-{serial}"), serial, has_data: true, role, ..VolumeView::default() }
}

/// Three instances, c-1 open, all well.
pub(super) fn healthy() -> (Desired, Observed) {
    let desired = Desired { name: "c".into(), namespace: "ns".into(), instances: 3, ..Desired::default() };
    let holder = Holder { name: "c-1".into(), pod_uid: "u1".into(), nonce: "n1".into(), address: "10.0.0.1".into() };
    let record = LeaseRecord {
        holder: Some(holder),
        state: HolderState::Open,
        term: Term(1),
        timeline: TimelineId(1),
        takers: vec!["u2".into(), "u3".into()],
        ..LeaseRecord::default()
    };
    let mut observed = Observed {
        pods: vec![
            pod(1, MemberPhase::Primary, Role::Primary),
            pod(2, MemberPhase::Standby, Role::Replica),
            pod(3, MemberPhase::Standby, Role::Replica),
        ],
        volumes: vec![volume(1), volume(2), volume(3)],
        lease: Some(Versioned { version: "77".into(), value: record }),
        ..Observed::default()
    };
    let made = SecretKind::ALL.into_iter().filter(|kind| *kind != SecretKind::Superuser);
    observed.objects.extend(made.map(ObjectKind::Secret));
    observed.objects.extend(ServiceKind::ALL.map(ObjectKind::Service));
    observed.objects.extend([ObjectKind::ServiceAccount, ObjectKind::Role, ObjectKind::RoleBinding]);
    observed.objects.extend([ObjectKind::PrimaryBudget, ObjectKind::ReplicaBudget]);
    observed.status.system_id = Some(SystemId(7));
    observed.status.current_primary = Some("c-1".into());
    observed.status.target_primary = Some("c-1".into());
    (desired, observed)
}

pub(super) fn golden(name: &str, (desired, observed): (Desired, Observed)) -> Plan {
    let plan = plan(&desired, &observed, NOW);
    assert_eq!(check(&observed, &plan), [], "the checker accepts the plan {name}");
    let case = serde_json::json!({ "desired": desired, "observed": observed, "plan": plan });
    let text = format!("{}\n", serde_json::to_string_pretty(&case).unwrap());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/golden/plan/{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "{} differs; UPDATE_GOLDEN=1 writes it anew", path.display());
    plan
}

#[test]
fn a_new_cluster_gets_its_objects_and_one_instance() {
    let (desired, _) = healthy();
    let plan = golden("new-cluster", (desired, Observed::default()));
    let pods = plan.steps.iter().filter(|step| matches!(step, Step::CreatePod { .. })).count();
    assert_eq!((pods, plan.status.phase), (1, Phase::SettingUpPrimary));
}

#[test]
fn the_others_are_cloned_once_the_primary_is_ready() {
    let (desired, mut observed) = healthy();
    observed.pods.truncate(1);
    observed.volumes.truncate(1);
    let plan = golden("first-is-ready", (desired.clone(), observed.clone()));
    assert_eq!(plan.status.phase.to_string(), "Creating a new replica");
    assert!(plan.steps.contains(&Step::CreatePod { serial: 2 }) && plan.steps.contains(&Step::CreatePod { serial: 3 }));
    observed.pods[0].ready = false;
    let waits = super::plan(&desired, &observed, NOW);
    assert!(!waits.steps.iter().any(|step| matches!(step, Step::CreateVolume { .. })));
}

#[test]
fn the_rights_that_an_older_controller_gave_are_brought_up_to_date() {
    let (desired, mut observed) = healthy();
    let drift = DriftFact { kind: ObjectKind::Role, version: "9".into(), anew: false };
    observed.drifted = vec![drift.clone()];
    let plan = golden("rights-drifted", (desired, observed));
    assert_eq!((plan.steps, plan.status.phase), (vec![Step::Update(drift)], Phase::Healthy));
}

#[test]
fn a_healthy_cluster_needs_nothing() {
    let plan = golden("healthy", healthy());
    assert_eq!((plan.steps, plan.status.phase, plan.again), (vec![], Phase::Healthy, None));
}

#[test]
fn a_crash_is_answered_with_an_election_that_names_the_tail() {
    let (desired, mut observed) = healthy();
    let lease = &mut observed.lease.as_mut().unwrap().value;
    lease.state = HolderState::Recovering;
    lease.tail = Some(WalPosition { timeline: TimelineId(1), lsn: Lsn(0x300_0148) });
    observed.pods[0].report.as_mut().unwrap().phase = MemberPhase::Recovering;
    observed.memory.unhealthy_since = Some(NOW);
    let plan = golden("postmaster-crash", (desired, observed));
    assert!(matches!(&plan.steps[0], Step::WriteElection(e) if e.winner == "c-2" && e.tail.is_some()));
    assert_eq!(plan.status.phase.to_string(), "Failing over");
}

#[test]
fn a_lost_node_is_answered_once_a_taker_has_watched_the_lease_lapse() {
    let (desired, mut observed) = healthy();
    observed.pods[0].report.as_mut().unwrap().fresh = false;
    observed.pods[1].report.as_mut().unwrap().lease_seen =
        LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    observed.memory.unhealthy_since = Some(Instant(0));
    let plan = golden("node-lost", (desired, observed));
    assert!(matches!(&plan.steps[0], Step::WriteElection(e) if e.winner == "c-2" && e.tail.is_none()));
}

#[test]
fn the_old_primary_loses_its_label_before_the_new_one_gets_it() {
    let (desired, mut observed) = healthy();
    let lease = &mut observed.lease.as_mut().unwrap().value;
    lease.holder =
        Some(Holder { name: "c-2".into(), pod_uid: "u2".into(), nonce: "n2".into(), address: String::new() });
    lease.term = Term(2);
    lease.timeline = TimelineId(2);
    observed.status.target_primary = Some("c-2".into());
    let plan = golden("new-primary-is-open", (desired, observed));
    let roles: Vec<_> = plan
        .steps
        .iter()
        .map(|step| if let Step::SetRole { pod, role, .. } = step { (pod.as_str(), *role) } else { panic!() })
        .collect();
    assert_eq!(roles, [("c-1", Role::Replica), ("c-2", Role::Primary)]);
}

#[test]
fn a_volume_without_a_pod_gets_it_back_and_a_pod_without_a_volume_is_made_anew() {
    let (desired, mut observed) = healthy();
    observed.pods.remove(1);
    observed.volumes.remove(2);
    let plan = golden("pod-and-volume-lost", (desired, observed));
    assert!(plan.steps.contains(&Step::CreatePod { serial: 2 }));
    assert!(plan.steps.contains(&Step::DeletePod { name: "c-3".into(), uid: "u3".into() }));
}

#[test]
fn the_lowest_free_serial_is_used_again() {
    let (desired, mut observed) = healthy();
    observed.pods.remove(1);
    observed.volumes.remove(1);
    let plan = plan(&desired, &observed, NOW);
    assert!(plan.steps.contains(&Step::CreateVolume { serial: 2 }));
}

#[test]
fn a_cluster_that_lost_all_its_volumes_is_not_started_anew() {
    let (desired, mut observed) = healthy();
    observed.pods.clear();
    observed.volumes.clear();
    let plan = golden("all-volumes-lost", (desired, observed));
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::CreateVolume { .. } | Step::CreatePod { .. })));
    assert_eq!(plan.status.phase, Phase::Unrecoverable);
}

#[test]
fn scaling_down_removes_the_highest_ready_replica_and_never_the_primary() {
    let (mut desired, mut observed) = healthy();
    desired.instances = 2;
    let plan = golden("scale-down", (desired.clone(), observed.clone()));
    assert!(plan.steps.contains(&Step::DeleteVolume { name: "c-3".into() }));
    desired.instances = 1;
    observed.pods[2].uid = "u1".into();
    observed.status.current_primary = Some("c-3".into());
    observed.lease.as_mut().unwrap().value.holder.as_mut().unwrap().name = "c-3".into();
    observed.status.target_primary = Some("c-3".into());
    let plan = super::plan(&desired, &observed, NOW);
    assert!(plan.steps.contains(&Step::DeleteVolume { name: "c-2".into() }));
}

#[test]
fn a_switchover_that_was_asked_for_is_an_election_with_the_primary_still_open() {
    let (desired, mut observed) = healthy();
    observed.status.target_primary = Some("c-3".into());
    let plan = golden("switchover", (desired, observed));
    assert!(matches!(&plan.steps[0], Step::WriteElection(e) if e.winner == "c-3"));
    assert_eq!(plan.status.phase.to_string(), "Switchover in progress");
}

#[test]
fn a_missing_pod_monitor_kind_is_an_event_and_no_error() {
    let (mut desired, observed) = healthy();
    desired.pod_monitor = true;
    let plan = golden("no-pod-monitor-kind", (desired, observed));
    assert!(matches!(&plan.steps[..], [Step::Event { kind: EventKind::Warning, .. }]));
}

#[test]
fn a_refused_spec_stops_no_failover() {
    let (desired, mut observed) = healthy();
    observed.invalid = Some("spec.instances: must be at least 1".into());
    assert_eq!(plan(&desired, &observed, NOW).status.phase.to_string(), "Invalid cluster definition");
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    observed.memory.unhealthy_since = Some(NOW);
    let plan = golden("invalid-spec-and-failover", (desired, observed));
    assert!(matches!(&plan.steps[0], Step::WriteElection(_)));
}

#[test]
fn a_cluster_that_is_deleted_lets_go_of_its_lease_once_its_pods_are_gone() {
    let (mut desired, mut observed) = healthy();
    desired.deleting = true;
    assert_eq!(plan(&desired, &observed, NOW).steps, [], "a pod that stops holds it");
    observed.pods.clear();
    assert_eq!(golden("deleting", (desired, observed)).steps, [Step::ReleaseLeaseObject]);
}
