//! Volumes of WAL: the pair is made, kept, taken back and deleted together, and one that is lost costs no more than a clone.

use super::restore_tests::World;
use super::tests::{NOW, golden, healthy};
use super::*;
use crate::cluster::{KeptVolume, Storage, VolumeView};
use crate::restore::Stage;

fn wal(serial: u32) -> VolumeView {
    VolumeView { name: format!("c-{serial}-wal"), serial, has_data: true, ..VolumeView::default() }
}

/// As [`healthy`], with a volume of WAL each.
fn paired() -> (Desired, Observed) {
    let (mut desired, mut observed) = healthy();
    desired.wal_storage = Some(Storage { size: "1Gi".into(), class: None, grows: true });
    observed.wal_volumes = vec![wal(1), wal(2), wal(3)];
    observed.pods.iter_mut().for_each(|pod| pod.has_wal_volume = true);
    for volume in &mut observed.wal_volumes {
        volume.role = observed.volumes.iter().find(|data| data.serial == volume.serial).unwrap().role;
    }
    (desired, observed)
}

fn planned((desired, observed): &(Desired, Observed)) -> Vec<Step> {
    let plan = plan(desired, observed, NOW);
    assert_eq!(check(observed, &plan), [], "{:#?}", plan.report);
    plan.steps
}

#[test]
fn a_new_instance_gets_both_volumes_before_its_pod() {
    let (mut desired, mut observed) = paired();
    desired.instances = 4;
    assert_eq!(
        planned(&(desired.clone(), observed.clone())),
        [Step::CreateVolume { serial: 4 }, Step::CreateWalVolume { serial: 4 }, Step::CreatePod { serial: 4 }]
    );
    // One that an earlier instance of that number has left is used again; one that is on its way out is not.
    observed.wal_volumes.push(wal(4));
    let cluster = (desired, observed);
    assert_eq!(planned(&cluster), [Step::CreateVolume { serial: 4 }, Step::CreatePod { serial: 4 }]);
    let (desired, mut observed) = cluster;
    observed.wal_volumes[3].deleting = true;
    assert!(planned(&(desired, observed)).contains(&Step::CreatePod { serial: 5 }));
}

#[test]
fn volumes_that_are_added_are_there_before_the_first_standby_restarts_and_the_primary_hands_over_last() {
    let (mut desired, mut observed) = paired();
    desired.primary_update.by_switchover = true;
    observed.wal_volumes.clear();
    for pod in &mut observed.pods {
        pod.has_wal_volume = false;
        pod.outdated = Some("spec.volumes has changed".into());
    }
    let plan = golden("wal-volumes-are-added", (desired.clone(), observed.clone()));
    assert_eq!(plan.steps, [1, 2, 3].map(|serial| Step::CreateWalVolume { serial }));
    let replaced =
        |serial: u32| [Step::ReplacePod { name: format!("c-{serial}"), uid: format!("u{serial}").as_str().into() }];
    observed.wal_volumes = paired().1.wal_volumes;
    assert_eq!(planned(&(desired.clone(), observed.clone())), replaced(3), "each of them is there");
    for standby in &mut observed.pods[1..] {
        (standby.outdated, standby.has_wal_volume) = (None, true);
    }
    assert_eq!(planned(&(desired, observed)), [Step::SetTarget { pod: "c-2".into() }]);
}

#[test]
fn an_instance_that_has_lost_its_wal_alone_is_made_anew_but_not_the_only_one_that_serves() {
    let (desired, mut observed) = paired();
    observed.wal_volumes.remove(1);
    let cluster = (desired, observed);
    assert_eq!(planned(&cluster), [Step::DeletePod { name: "c-2".into(), uid: "u2".into() }]);
    let (desired, mut observed) = cluster;
    observed.pods.remove(1);
    assert_eq!(
        planned(&(desired.clone(), observed.clone())),
        [Step::CreateWalVolume { serial: 2 }, Step::CreatePod { serial: 2 }]
    );
    observed.wal_volumes.insert(1, VolumeView { deleting: true, ..wal(2) });
    assert_eq!(planned(&(desired, observed.clone())), [], "the one of before has yet to go");
    let fast = Plan { steps: vec![Step::CreatePod { serial: 2 }], ..super::plan(&Desired::default(), &observed, NOW) };
    assert_eq!(check(&observed, &fast), [Violation::HalfAPair("c-2-wal".into())]);

    let (mut desired, mut observed) = paired();
    desired.instances = 1;
    observed.pods.truncate(1);
    observed.volumes.truncate(1);
    observed.wal_volumes.clear();
    assert!(!planned(&(desired, observed)).iter().any(|step| matches!(step, Step::DeletePod { .. })));
}

#[test]
fn scaling_down_takes_both_and_what_an_interrupted_one_left() {
    let (mut desired, mut observed) = paired();
    desired.instances = 2;
    let steps = planned(&(desired.clone(), observed.clone()));
    for name in ["c-3", "c-3-wal"] {
        assert!(steps.contains(&Step::DeleteVolume { name: name.into() }), "{steps:?}");
    }
    observed.pods.pop();
    observed.volumes.pop();
    assert!(planned(&(desired.clone(), observed.clone())).contains(&Step::DeleteVolume { name: "c-3-wal".into() }));
    // What a restore has put aside is nobody's to sweep.
    observed.kept = vec![KeptVolume { name: "c-3".into(), serial: 3, by: "r1".into() }];
    assert!(!planned(&(desired, observed.clone())).iter().any(|step| matches!(step, Step::DeleteVolume { .. })));
    let bad = |name: &str| {
        let steps = vec![Step::DeleteVolume { name: name.into() }];
        check(&observed, &Plan { steps, ..super::plan(&Desired::default(), &observed, NOW) })
    };
    assert_eq!(bad("c-3-wal"), [Violation::DeletesData("c-3-wal".into())], "it is half of what is kept");
    assert_eq!(bad("c-1-wal"), [Violation::DeletesData("c-1".into())], "it is the primary's");
    assert_eq!(bad("c-2-wal"), []);
}

#[test]
fn both_grow_each_by_its_own_size() {
    let (mut desired, mut observed) = paired();
    desired.wal_storage = Some(Storage { size: "3Gi".into(), class: None, grows: true });
    desired.storage = Storage { size: "2Gi".into(), class: None, grows: true };
    observed.wal_volumes[0].requested = Some(1 << 30);
    observed.wal_volumes[1].requested = Some(3 << 30);
    observed.volumes[0].requested = Some(2 << 30);
    let grown = planned(&(desired, observed));
    assert_eq!(grown, [Step::GrowVolume { name: "c-1-wal".into(), size: "3Gi".into() }]);
}

#[test]
fn wal_is_marked_ready_with_its_data_and_both_are_counted() {
    let (desired, mut observed) = paired();
    observed.wal_volumes[1].has_data = false;
    let plan = plan(&desired, &observed, NOW);
    assert_eq!(plan.steps, [Step::MarkVolumeReady { name: "c-2-wal".into() }]);
    assert_eq!(plan.status.volumes, 6);
    assert_eq!(plan.status.initializing_volumes, ["c-2-wal"]);
}

#[test]
fn a_restore_keeps_pairs_and_an_undo_takes_them_back_however_often_the_controller_is_killed() {
    for steps in [1, 2, 3, usize::MAX] {
        let mut world = World::of(paired(), steps);
        world.order("r1", false);
        world.run(Stage::Done);
        let kept = |world: &World| {
            let mut names: Vec<_> = world.observed.kept.iter().map(|kept| kept.name.clone()).collect();
            names.sort_unstable();
            names
        };
        let of_wal = |world: &World| {
            let mut serials: Vec<_> = world.observed.wal_volumes.iter().map(|volume| volume.serial).collect();
            serials.sort_unstable();
            serials
        };
        let before = ["c-1", "c-1-wal", "c-2", "c-2-wal", "c-3", "c-3-wal"];
        assert_eq!((kept(&world), of_wal(&world)), (before.map(str::to_owned).to_vec(), vec![4, 5, 6]), "{steps}");
        world.order("u1", true);
        world.look();
        world.run(Stage::Done);
        assert_eq!(of_wal(&world), [1, 2, 3], "{steps}");
        assert_eq!(kept(&world), ["c-4", "c-4-wal", "c-5", "c-5-wal", "c-6", "c-6-wal"], "{steps}");
    }
}

#[test]
fn half_a_pair_is_neither_put_aside_nor_taken_back() {
    let (_, mut observed) = paired();
    let judged = |observed: &Observed, step: Step| {
        let plan = Plan { steps: vec![step], ..super::plan(&Desired::default(), &Observed::default(), NOW) };
        check(observed, &plan).contains(&Violation::HalfAPair("c-2-wal".into()))
    };
    assert!(judged(&observed, Step::KeepVolume { name: "c-2".into(), restore: "r1".into() }));
    observed.kept = ["c-2", "c-2-wal"].map(|name| KeptVolume { name: name.into(), serial: 2, by: "r1".into() }).into();
    assert!(judged(&observed, Step::ReviveVolume { name: "c-2".into() }));
}
