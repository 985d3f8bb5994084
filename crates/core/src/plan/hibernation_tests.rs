//! Plans of a cluster that is to hibernate, and of one that wakes.

use super::hibernation::HibernationNote;
use super::tests::{NOW, healthy};
use super::*;
use crate::election::{Next, next};
use crate::lease::HolderState;

fn delete(serial: u32) -> Step {
    Step::DeletePod { name: format!("c-{serial}"), uid: format!("u{serial}").as_str().into() }
}

#[test]
fn the_standbys_stop_first_and_the_primary_last() {
    let (desired, mut observed) = healthy();
    observed.hibernate = true;
    let first = plan(&desired, &observed, NOW);
    assert_eq!(check(&observed, &first), []);
    assert_eq!(first.steps, [delete(2), delete(3)]);
    assert_eq!(first.status.hibernation, Some(HibernationNote::DeletingPods));
    observed.pods[1].deleting = true;
    observed.pods.remove(2);
    let waits = plan(&desired, &observed, NOW);
    assert_eq!(waits.steps, []);
    assert_eq!(waits.status.hibernation, Some(HibernationNote::WaitingPodsDeletion("c-2".into())));
    observed.pods.truncate(1);
    let last = plan(&desired, &observed, NOW);
    assert_eq!(last.steps, [delete(1)]);
    assert_eq!(check(&observed, &last), [], "it is asked for, although nobody could follow");
}

#[test]
fn a_cluster_that_hibernates_elects_nobody_and_makes_nothing() {
    let (desired, mut observed) = healthy();
    observed.hibernate = true;
    observed.pods.clear();
    let lease = observed.lease.as_mut().unwrap();
    lease.value.state = HolderState::Released;
    assert_eq!(next(&desired, &observed, NOW), Next::Nothing);
    let sleeps = plan(&desired, &observed, NOW);
    assert_eq!(sleeps.steps, []);
    assert_eq!(
        (sleeps.status.phase, sleeps.status.hibernation),
        (Phase::Hibernated, Some(HibernationNote::Hibernated))
    );
    assert_eq!(sleeps.status.volumes, 3);
}

#[test]
fn a_cluster_that_wakes_gets_a_pod_for_every_volume() {
    let (desired, mut observed) = healthy();
    observed.pods.clear();
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    let wakes = plan(&desired, &observed, NOW);
    for serial in 1..=3 {
        assert!(wakes.steps.contains(&Step::CreatePod { serial }), "{:?}", wakes.steps);
    }
    assert_eq!(wakes.status.hibernation, None);
}

#[test]
fn hibernation_waits_for_the_first_database() {
    let (desired, _) = healthy();
    let observed = Observed { hibernate: true, ..Observed::default() };
    let made = plan(&desired, &observed, NOW);
    assert!(made.steps.contains(&Step::CreatePod { serial: 1 }));
    assert!(matches!(made.status.hibernation, Some(HibernationNote::NotYet(_))));
}
