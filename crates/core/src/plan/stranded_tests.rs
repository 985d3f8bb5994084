//! An instance whose volume cannot be had is made anew, once that is sure and nothing is lost by it.

use super::tests::{NOW, healthy};
use super::*;
use crate::cluster::{ClaimPhase, Storage, VolumeView};
use crate::lease::{ElectableRecord, HolderState, Term};
use crate::restore::{RestoreFact, RestoreOrder, Stage};

const AWAY: &str = "0/3 nodes are available: 3 node(s) had volume node affinity conflict.";
const CORDONED: &str =
    "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had volume node affinity conflict.";
const TEN_MINUTES: Duration = Duration::from_secs(600);

type Cluster = (Desired, Observed);

/// All volumes are bound, and all versions are known.
fn bound() -> Cluster {
    let (desired, mut observed) = healthy();
    for pod in &mut observed.pods {
        pod.version = format!("p{}", pod.serial);
        pod.node = Some("n".into());
    }
    for volume in &mut observed.volumes {
        (volume.version, volume.phase) = (format!("v{}", volume.serial), Some(ClaimPhase::Bound));
    }
    (desired, observed)
}

/// The pod of this instance is new, and has had no node for so long.
fn waits(observed: &mut Observed, at: usize, message: &str, long: Duration) {
    let pod = &mut observed.pods[at];
    (pod.ready, pod.node, pod.report, pod.unschedulable) = (false, None, None, Some(message.into()));
    let since = Instant(NOW.0 - u64::try_from(long.as_nanos()).unwrap());
    observed.memory.stranded_since.insert(pod.uid.clone(), since);
}

fn lost(at: usize) -> Cluster {
    let (desired, mut observed) = bound();
    observed.volumes[at].phase = Some(ClaimPhase::Lost);
    (desired, observed)
}

fn planned((desired, observed): &Cluster) -> Plan {
    let plan = plan(desired, observed, NOW);
    assert_eq!(check(observed, &plan), [], "{:#?}", plan.report);
    plan
}

/// Who is rebuilt, and which of its claims go.
fn rebuilt(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let rebuilt = plan.steps.iter().filter_map(|step| match step {
        Step::Rebuild { name, volumes, .. } => Some((name.clone(), volumes.iter().map(|v| v.name.clone()).collect())),
        _ => None,
    });
    rebuilt.collect()
}

fn is_rebuilt(cluster: &Cluster) -> bool {
    !rebuilt(&planned(cluster)).is_empty()
}

/// It is left alone, and an Event and the phase's reason say why.
fn is_refused(cluster: &Cluster, why: &str) {
    let plan = planned(cluster);
    assert_eq!(rebuilt(&plan), [], "{why}");
    let told = plan.steps.iter().any(|step| {
        matches!(step, Step::Event { reason, message, .. } if reason == "InstanceStranded" && message.contains(why))
    });
    assert!(told && plan.status.reason.contains(why), "{why}: {}\n{:#?}", plan.status.reason, plan.steps);
}

#[test]
fn a_standby_whose_claim_has_lost_its_volume_is_made_anew_at_once_under_its_own_name() {
    let cluster = lost(1);
    let plan = planned(&cluster);
    let volumes = vec![GivenUp { name: "c-2".into(), version: "v2".into() }];
    let wanted = Step::Rebuild { name: "c-2".into(), uid: "u2".into(), version: "p2".into(), volumes };
    assert!(plan.steps.contains(&wanted), "{:#?}", plan.steps);
    let told = |step: &Step| matches!(step, Step::Event { reason, .. } if reason == "RebuildingInstance");
    assert!(plan.steps.iter().any(told));
    assert_eq!(plan.status.reason, "Creating c-2");
    // Its pod stops and its claim waits for that, then both are gone.
    let (desired, mut observed) = cluster;
    (observed.pods[1].deleting, observed.volumes[1].deleting) = (true, true);
    assert_eq!(planned(&(desired.clone(), observed.clone())).steps, []);
    observed.pods.remove(1);
    assert_eq!(planned(&(desired.clone(), observed.clone())).steps, []);
    observed.volumes.remove(1);
    let steps = planned(&(desired, observed)).steps;
    assert_eq!(steps, [Step::CreateVolume { serial: 2 }, Step::CreatePod { serial: 2 }]);
}

#[test]
fn a_claim_that_never_had_a_volume_is_made_anew_after_ten_minutes() {
    let of = |long: Duration| {
        let (desired, mut observed) = bound();
        (observed.volumes[2].phase, observed.volumes[2].has_data) = (Some(ClaimPhase::Pending), false);
        waits(&mut observed, 2, "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.", long);
        (desired, observed)
    };
    let early = planned(&of(TEN_MINUTES.saturating_sub(Duration::from_secs(3))));
    assert_eq!((rebuilt(&early), early.again), (vec![], Some(Duration::from_secs(3))));
    assert_eq!(rebuilt(&planned(&of(TEN_MINUTES))), [("c-3".to_owned(), vec!["c-3".to_owned()])]);
    let (desired, mut observed) = of(TEN_MINUTES);
    observed.volumes[2].has_data = true;
    assert!(!is_rebuilt(&(desired.clone(), observed.clone())), "somebody has said that there is a database on it");
    observed.volumes[2].has_data = false;
    observed.pods[2].unschedulable = None;
    assert!(!is_rebuilt(&(desired, observed)), "its pod has a node, and the volume is being made");
}

#[test]
fn a_volume_that_no_node_can_have_is_given_up_after_ten_minutes_and_one_of_a_cordoned_node_never() {
    let of = |message: &str, long: Duration| {
        let (desired, mut observed) = bound();
        waits(&mut observed, 1, message, long);
        (desired, observed)
    };
    assert!(is_rebuilt(&of(AWAY, TEN_MINUTES)));
    assert!(!is_rebuilt(&of(AWAY, Duration::from_secs(599))));
    assert!(!is_rebuilt(&of(CORDONED, Duration::from_secs(1000))));
    let (desired, mut observed) = of(AWAY, TEN_MINUTES);
    observed.memory.stranded_since.clear();
    assert!(!is_rebuilt(&(desired.clone(), observed)), "a controller that knows nothing of before begins to count");
    let (_, mut observed) = of(AWAY, TEN_MINUTES);
    observed.volumes[1].phase = None;
    assert!(!is_rebuilt(&(desired, observed)), "nobody says what of the claim");
}

#[test]
fn the_primarys_own_volume_is_not_mended_by_deleting_it_and_a_person_is_told_what_to_do() {
    is_refused(&lost(0), "it is the primary: promote another instance");
    let (desired, mut observed) = lost(1);
    observed.status.current_primary = Some("c-2".into());
    is_refused(&(desired, observed), "it is the primary");
    // The only one, which is gone and cannot come back.
    let (mut desired, mut observed) = bound();
    desired.instances = 1;
    observed.pods.truncate(1);
    observed.volumes.truncate(1);
    waits(&mut observed, 0, AWAY, TEN_MINUTES);
    observed.pods[0].uid = "u1-new".into();
    observed.memory.stranded_since.insert("u1-new".into(), Instant(0));
    is_refused(&(desired, observed), "bring the volume or a node of its zone back");
}

#[test]
fn an_instance_that_a_person_has_put_on_hold_is_left_alone() {
    let (mut desired, observed) = lost(1);
    desired.fenced = vec!["c-2".into()];
    is_refused(&(desired, observed), "it is fenced");
    let (mut desired, observed) = lost(1);
    desired.nodes_in_maintenance = true;
    is_refused(&(desired, observed), "spec.nodeMaintenanceWindow is in progress");
    let (desired, mut observed) = lost(1);
    observed.hibernate = true;
    assert!(!is_rebuilt(&(desired, observed)), "its volumes are kept");
}

#[test]
fn nothing_is_given_up_while_a_restore_is_asked_for_or_under_way() {
    for stage in [Stage::Stopping, Stage::Closing, Stage::Restoring, Stage::Reviving, Stage::Joining] {
        let (desired, mut observed) = lost(1);
        observed.status.restore = Some(RestoreFact { id: "r1".into(), stage, ..RestoreFact::default() });
        assert_eq!(rebuilt(&plan(&desired, &observed, NOW)), [], "{stage:?}");
    }
    let (desired, mut observed) = lost(1);
    observed.restore_order = Some(RestoreOrder { id: "r1".into(), ..RestoreOrder::default() });
    assert_eq!(rebuilt(&plan(&desired, &observed, NOW)), []);
}

#[test]
fn it_needs_a_primary_that_is_open_alive_and_ready_and_another_copy_of_the_data() {
    let no_primary = "there is no primary, open and ready";
    let (desired, mut observed) = lost(1);
    observed.pods[0].ready = false;
    is_refused(&(desired.clone(), observed), no_primary);
    let (_, mut observed) = lost(1);
    observed.pods[0].deleting = true;
    is_refused(&(desired.clone(), observed), no_primary);
    let (_, mut observed) = lost(1);
    observed.lease.as_mut().unwrap().value.state = HolderState::Recovering;
    is_refused(&(desired.clone(), observed), no_primary);
    let (_, mut observed) = lost(1);
    observed.status.target_primary = Some("c-3".into());
    is_refused(&(desired.clone(), observed), no_primary);
    // The others are lost as well, or are not known to have any.
    let (_, mut observed) = lost(1);
    observed.volumes[0].phase = Some(ClaimPhase::Lost);
    observed.volumes[2].phase = Some(ClaimPhase::Lost);
    is_refused(&(desired, observed), "no other instance is known to have the data");
}

#[test]
fn one_instance_at_a_time_and_scaling_down_comes_first() {
    let (desired, mut observed) = lost(1);
    observed.volumes[2].phase = Some(ClaimPhase::Lost);
    let plan = planned(&(desired.clone(), observed.clone()));
    assert_eq!(rebuilt(&plan), [("c-2".to_owned(), vec!["c-2".to_owned()])]);
    assert!(plan.status.reason.contains("c-2 comes first"), "{}", plan.status.reason);
    // It is there again, and being cloned.
    observed.volumes[1] = VolumeView { has_data: false, phase: Some(ClaimPhase::Bound), ..observed.volumes[1].clone() };
    (observed.pods[1].ready, observed.pods[1].report) = (false, None);
    is_refused(&(desired.clone(), observed.clone()), "c-2 comes first");
    observed.volumes[1].has_data = true;
    assert_eq!(rebuilt(&planned(&(desired, observed))), [("c-3".to_owned(), vec!["c-3".to_owned()])]);
    let (mut desired, observed) = lost(1);
    desired.instances = 2;
    is_refused(&(desired, observed), "scaling down comes first");
}

#[test]
fn nobody_is_updated_while_another_is_rebuilt() {
    let (desired, mut observed) = lost(1);
    observed.pods[2].outdated = Some("spec.containers[postgres].image has changed".into());
    let plan = planned(&(desired, observed));
    assert!(!rebuilt(&plan).is_empty() && !plan.steps.iter().any(|step| matches!(step, Step::ReplacePod { .. })));
}

#[test]
fn a_standby_that_commits_wait_for_goes_once_another_can_take_its_place() {
    let (desired, mut observed) = lost(1);
    let record = ElectableRecord { term: Term(1), writer: "i1".into(), voters: vec!["i2".into()], needed: 1 };
    observed.lease.as_mut().unwrap().value.records = vec![record];
    is_refused(&(desired.clone(), observed.clone()), "commits wait for it until c-3 is a synchronous standby");
    observed.lease.as_mut().unwrap().value.records[0].voters = vec!["i2".into(), "i3".into()];
    assert!(is_rebuilt(&(desired, observed)));
}

/// As [`bound`], with a volume of WAL each.
fn paired() -> Cluster {
    let (mut desired, mut observed) = bound();
    desired.wal_storage = Some(Storage { size: "1Gi".into(), class: None, grows: true });
    observed.pods.iter_mut().for_each(|pod| pod.has_wal_volume = true);
    let wal = |data: &VolumeView| VolumeView { name: format!("{}-wal", data.name), ..data.clone() };
    observed.wal_volumes = observed.volumes.iter().map(wal).collect();
    (desired, observed)
}

#[test]
fn of_a_pair_both_go_with_the_data_and_wal_goes_alone() {
    let claims = |cluster: &Cluster| rebuilt(&planned(cluster)).pop().unwrap().1;
    let (desired, mut observed) = paired();
    observed.volumes[1].phase = Some(ClaimPhase::Lost);
    assert_eq!(claims(&(desired.clone(), observed)), ["c-2", "c-2-wal"]);
    let (_, mut observed) = paired();
    waits(&mut observed, 1, AWAY, TEN_MINUTES);
    assert_eq!(claims(&(desired.clone(), observed)), ["c-2", "c-2-wal"], "it is not said which of them is away");
    let (_, mut observed) = paired();
    observed.wal_volumes[1].phase = Some(ClaimPhase::Lost);
    let cluster = (desired.clone(), observed);
    assert_eq!(claims(&cluster), ["c-2-wal"], "the data is kept until a clone of it streams");
    // One that was added, in a class that nobody serves.
    let (_, mut observed) = paired();
    let wal = &mut observed.wal_volumes[1];
    (wal.phase, wal.has_data) = (Some(ClaimPhase::Pending), false);
    waits(&mut observed, 1, "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.", TEN_MINUTES);
    assert_eq!(claims(&(desired, observed)), ["c-2-wal"]);
}

#[test]
fn i7_no_plan_for_any_mix_of_claims_and_pods_gives_up_the_primary_or_the_last_copy() {
    let phases = [Some(ClaimPhase::Bound), Some(ClaimPhase::Pending), Some(ClaimPhase::Lost), None];
    let messages = [None, Some(AWAY), Some(CORDONED)];
    let kinds: Vec<_> = phases
        .iter()
        .flat_map(|phase| messages.map(|message| (*phase, message)))
        .flat_map(|(phase, message)| [true, false].map(|data| (phase, message, data)))
        .collect();
    let mut count = 0;
    for one in &kinds {
        for two in &kinds {
            for three in &kinds {
                let (desired, mut observed) = bound();
                for (at, (phase, message, data)) in [one, two, three].into_iter().enumerate() {
                    (observed.volumes[at].phase, observed.volumes[at].has_data) = (*phase, *data);
                    if let Some(message) = message {
                        waits(&mut observed, at, message, TEN_MINUTES);
                    }
                }
                let cluster = (desired, observed);
                let plan = planned(&cluster);
                let given = rebuilt(&plan);
                assert!(given.len() <= 1 && given.iter().all(|(name, _)| name != "c-1"), "{given:?}");
                let left = |volume: &&VolumeView| {
                    let goes = given.iter().any(|(name, _)| *name == volume.name);
                    !goes && volume.has_data && volume.phase != Some(ClaimPhase::Lost)
                };
                assert!(given.is_empty() || cluster.1.volumes.iter().any(|volume| left(&volume)), "{given:?}");
                count += given.len();
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn i7_a_rebuild_that_the_planner_would_not_make_is_refused() {
    let judged = |cluster: &Cluster, step: Step| {
        let plan = Plan { steps: vec![step], ..plan(&cluster.0, &cluster.1, NOW) };
        check(&cluster.1, &plan)
    };
    let step = |name: &str, volumes: &[(&str, &str)]| {
        let given = volumes.iter().map(|(name, version)| GivenUp { name: (*name).into(), version: (*version).into() });
        let uid = format!("u{}", name.trim_start_matches("c-")).as_str().into();
        Step::Rebuild { name: name.into(), uid, version: "p".into(), volumes: given.collect() }
    };
    assert_eq!(judged(&lost(1), step("c-2", &[("c-2", "v2")])), []);
    let refused = |name: &str| Violation::DeletesData(name.into());
    assert_eq!(judged(&lost(1), step("c-2", &[("c-2", "v1")])), [refused("c-2")], "another version");
    assert_eq!(judged(&lost(1), step("c-2", &[("c-3", "v3")])), [refused("c-3")], "another's volume");
    assert_eq!(judged(&bound(), step("c-2", &[("c-2", "v2")])), [refused("c-2")], "nothing is wrong with it");
    assert!(judged(&lost(0), step("c-1", &[("c-1", "v1")])).contains(&refused("c-1")));
    let (desired, mut observed) = lost(1);
    observed.pods[0].ready = false;
    assert_eq!(judged(&(desired, observed), step("c-2", &[("c-2", "v2")])), [refused("c-2")], "nobody to clone from");
    let (desired, mut observed) = lost(1);
    (observed.volumes[0].has_data, observed.volumes[2].phase) = (false, Some(ClaimPhase::Lost));
    assert!(judged(&(desired, observed), step("c-2", &[("c-2", "v2")])).contains(&refused("c-2")), "the last copy");
    let (desired, mut observed) = lost(1);
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    let during = judged(&(desired, observed), step("c-2", &[("c-2", "v2")]));
    assert!(during.contains(&Violation::RestartsDuringElection("c-2".into())), "{during:?}");
}
