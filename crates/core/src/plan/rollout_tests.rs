//! Golden plans of changes that need restarts, and what the checker says of plans that would stop too much.

use super::tests::{NOW, golden, healthy};
use super::*;
use crate::cluster::{MemberPhase, ObjectKind, Observed, RefusalFact, RestartFact, Role};
use crate::lease::{ElectableRecord, Term};
use crate::lsn::Lsn;

fn outdated(observed: &mut Observed, serials: &[usize]) {
    for serial in serials {
        observed.pods[serial - 1].outdated = Some("spec.containers[postgres].image differs".into());
    }
}

fn pending(observed: &mut Observed, serials: &[usize]) {
    for serial in serials {
        observed.pods[serial - 1].report.as_mut().unwrap().pending_restart = true;
    }
}

fn replace(serial: u32) -> Step {
    Step::ReplacePod { name: format!("c-{serial}"), uid: format!("u{serial}").as_str().into() }
}

fn in_place() -> Step {
    Step::RestartInPlace { instance: "c-1".into(), nonce: "n1".into() }
}

#[test]
fn a_new_image_reaches_the_most_lagging_standby_first() {
    let (desired, mut observed) = healthy();
    outdated(&mut observed, &[1, 2, 3]);
    observed.pods[1].report.as_mut().unwrap().position.as_mut().unwrap().lsn = Lsn(0x100);
    let plan = golden("rollout-standby-first", (desired, observed));
    assert_eq!((plan.steps, plan.status.phase), (vec![replace(2)], Phase::Upgrading));
}

#[test]
fn nobody_else_is_restarted_before_the_last_one_is_ready_again() {
    let (desired, mut observed) = healthy();
    outdated(&mut observed, &[1, 2]);
    observed.pods[2].ready = false;
    assert_eq!(plan(&desired, &observed, NOW).steps, []);
    observed.pods[2].deleting = true;
    assert_eq!(plan(&desired, &observed, NOW).steps, []);
    observed.pods.pop();
    let made = plan(&desired, &observed, NOW).steps;
    assert_eq!(made, [Step::CreatePod { serial: 3 }], "it comes back first");
}

#[test]
fn a_pod_that_cannot_become_ready_as_it_is_does_not_stop_its_own_update() {
    let (desired, mut observed) = healthy();
    outdated(&mut observed, &[2, 3]);
    observed.pods[2].ready = false;
    assert_eq!(plan(&desired, &observed, NOW).steps, [replace(3)]);
    assert_eq!(check(&observed, &plan(&desired, &observed, NOW)), []);
}

#[test]
fn the_primary_comes_last_and_hands_over_as_it_stops() {
    let (desired, mut observed) = healthy();
    outdated(&mut observed, &[1]);
    let plan = golden("rollout-primary", (desired, observed));
    assert_eq!(plan.steps, [replace(1)]);
}

#[test]
fn by_switchover_an_instance_that_is_up_to_date_takes_over_first() {
    let (mut desired, mut observed) = healthy();
    desired.primary_update.by_switchover = true;
    outdated(&mut observed, &[1]);
    observed.pods[2].report.as_mut().unwrap().position.as_mut().unwrap().lsn = Lsn(0x400_0000);
    let plan = golden("rollout-switchover", (desired.clone(), observed.clone()));
    assert_eq!(plan.steps, [Step::SetTarget { pod: "c-3".into() }]);
    let refusal = RefusalFact { is_of_switchover: true, ..RefusalFact::default() };
    observed.status.refusal = Some(refusal);
    assert_eq!(super::plan(&desired, &observed, NOW).steps, [replace(1)], "the same one would be refused again");
}

#[test]
fn supervised_the_primary_waits_for_the_user_and_the_standbys_do_not() {
    let (mut desired, mut observed) = healthy();
    desired.primary_update.supervised = true;
    outdated(&mut observed, &[1, 3]);
    assert_eq!(plan(&desired, &observed, NOW).steps, [replace(3)]);
    observed.pods[2].outdated = None;
    let plan = golden("rollout-supervised", (desired, observed));
    assert_eq!((plan.steps, plan.status.phase.to_string().as_str()), (vec![], "Waiting for user action"));
}

#[test]
fn a_parameter_restarts_the_standbys_and_then_postgres_alone_on_the_primary() {
    let (desired, mut observed) = healthy();
    pending(&mut observed, &[1, 2]);
    assert_eq!(plan(&desired, &observed, NOW).steps, [replace(2)]);
    observed.pods[1].report.as_mut().unwrap().pending_restart = false;
    let plan = golden("rollout-parameter", (desired.clone(), observed.clone()));
    assert_eq!((plan.steps, plan.status.phase), (vec![in_place()], Phase::RestartingInPlace));
    observed.status.restart = Some(RestartFact {
        instance: "c-1".into(),
        nonce: "n1".into(),
        term: observed.lease.as_ref().unwrap().value.term,
        id: "1".into(),
    });
    assert_eq!(super::plan(&desired, &observed, NOW).steps, [], "it was asked for already");
}

#[test]
fn a_decrease_that_standbys_could_not_follow_begins_with_the_primary() {
    let (mut desired, mut observed) = healthy();
    desired.primary_update.by_switchover = true;
    pending(&mut observed, &[1, 2, 3]);
    observed.pods[0].report.as_mut().unwrap().pending_decrease = true;
    let plan = golden("rollout-decrease", (desired, observed));
    assert_eq!((plan.steps, plan.status.phase), (vec![in_place()], Phase::RestartingForDecrease));
}

#[test]
fn a_single_instance_is_updated_too_and_even_if_it_never_got_ready() {
    let (mut desired, mut observed) = healthy();
    desired.instances = 1;
    observed.pods.truncate(1);
    observed.volumes.truncate(1);
    observed.objects.remove(&ObjectKind::ReplicaBudget);
    outdated(&mut observed, &[1]);
    let made = plan(&desired, &observed, NOW);
    assert_eq!((check(&observed, &made), made.steps), (vec![], vec![replace(1)]));
    observed.pods[0].ready = false;
    let made = plan(&desired, &observed, NOW);
    assert_eq!((check(&observed, &made), made.steps), (vec![], vec![replace(1)]));
}

#[test]
fn nobody_is_updated_during_a_switchover() {
    let (desired, mut observed) = healthy();
    outdated(&mut observed, &[3]);
    observed.status.target_primary = Some("c-2".into());
    let made = plan(&desired, &observed, NOW);
    assert!(!made.steps.iter().any(|step| matches!(step, Step::ReplacePod { .. })), "{:?}", made.steps);
}

#[test]
fn a_synchronous_standby_is_restarted_once_another_has_taken_its_place() {
    let (desired, mut observed) = healthy();
    outdated(&mut observed, &[2]);
    let record = ElectableRecord { term: Term(1), writer: "i1".into(), voters: vec!["i2".into()], needed: 1 };
    observed.lease.as_mut().unwrap().value.records = vec![record];
    assert_eq!(plan(&desired, &observed, NOW).steps, []);
    observed.lease.as_mut().unwrap().value.records[0].voters.push("i3".into());
    assert_eq!(plan(&desired, &observed, NOW).steps, [replace(2)]);
    observed.lease.as_mut().unwrap().value.records[0].voters.pop();
    observed.pods.pop();
    observed.volumes.pop();
    observed.objects.remove(&ObjectKind::ReplicaBudget);
    let two = Desired { instances: 2, ..desired };
    assert_eq!(plan(&two, &observed, NOW).steps, [replace(2)], "with two instances writers have to wait");
}

#[test]
fn the_checker_refuses_restarts_that_would_stop_too_much() {
    let (desired, observed) = healthy();
    let with = |observed: &Observed, steps: Vec<Step>| {
        let plan = Plan { steps, ..plan(&desired, observed, NOW) };
        check(observed, &plan)
    };
    let two_down = |name: &str| Violation::TwoDown(name.into());
    assert_eq!(with(&observed, vec![replace(2)]), []);
    assert_eq!(with(&observed, vec![replace(2), replace(3)]), [two_down("c-2"), two_down("c-3")]);
    assert_eq!(with(&observed, vec![in_place(), replace(3)]), [two_down("c-1"), two_down("c-3")]);
    let mut other_down = observed.clone();
    other_down.pods[2].ready = false;
    assert_eq!(with(&other_down, vec![replace(2)]), [two_down("c-2")]);
    let mut asked = observed.clone();
    asked.status.target_primary = Some("c-3".into());
    assert_eq!(with(&asked, vec![replace(2)]), [Violation::RestartsDuringElection("c-2".into())]);
    let mut bare = observed.clone();
    bare.volumes.remove(1);
    assert_eq!(with(&bare, vec![replace(2)]), [Violation::DeletesData("c-2".into())]);
    let stranger = Step::RestartInPlace { instance: "c-2".into(), nonce: "n2".into() };
    assert_eq!(with(&observed, vec![stranger]), [Violation::RestartsAnother("c-2".into())]);
    let mut synchronous = observed;
    let record = ElectableRecord { term: Term(1), writer: "i1".into(), voters: vec!["i2".into()], needed: 1 };
    synchronous.lease.as_mut().unwrap().value.records = vec![record];
    assert_eq!(with(&synchronous, vec![replace(2)]), [Violation::LastSyncStandby("c-2".into())]);
    assert_eq!(with(&synchronous, vec![replace(3)]), []);
}

#[test]
fn volumes_grow_where_they_may_and_carry_their_instances_role() {
    let (mut desired, mut observed) = healthy();
    desired.storage.size = "2Gi".into();
    desired.storage.grows = true;
    observed.volumes[1].requested = Some(1 << 30);
    observed.volumes[2].requested = Some(2 << 30);
    observed.volumes[0].role = None;
    let plan = golden("volumes-grow", (desired.clone(), observed.clone()));
    let grow = Step::GrowVolume { name: "c-2".into(), size: "2Gi".into() };
    let label = Step::SetVolumeRole { name: "c-1".into(), role: Role::Primary };
    assert_eq!(plan.steps, [label, grow]);
    desired.storage.grows = false;
    let kept = super::plan(&desired, &observed, NOW);
    assert!(!kept.steps.iter().any(|step| matches!(step, Step::GrowVolume { .. })));
}

#[test]
fn a_fenced_primary_has_no_successor_and_is_not_asked_for_one() {
    let (mut desired, mut observed) = healthy();
    desired.fenced = vec!["c-1".into()];
    observed.lease.as_mut().unwrap().value.state = crate::lease::HolderState::Released;
    observed.pods[0].ready = false;
    observed.pods[0].report.as_mut().unwrap().phase = MemberPhase::Released;
    observed.memory.unhealthy_since = Some(NOW);
    let plan = golden("fenced-primary", (desired.clone(), observed.clone()));
    assert!(!plan.steps.iter().any(|step| matches!(step, Step::WriteElection(_))));
    desired.fenced.clear();
    let lifted = super::plan(&desired, &observed, NOW);
    assert!(lifted.steps.iter().any(|step| matches!(step, Step::WriteElection(_))));
}
