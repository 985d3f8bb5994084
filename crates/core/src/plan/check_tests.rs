//! Each mutant of a plan that could break an invariant is caught.

use super::tests::{NOW, healthy, volume};
use super::*;
use crate::cluster::{ElectionFact, Observed, Role};
use crate::lease::{HolderState, Term, WalPosition};

fn with(observed: &Observed, steps: Vec<Step>) -> Vec<Violation> {
    let (desired, _) = healthy();
    let plan = Plan { steps, ..plan(&desired, observed, NOW) };
    check(observed, &plan)
}

fn election(winner: u32) -> ElectionFact {
    ElectionFact {
        winner: format!("c-{winner}"),
        winner_pod_uid: format!("u{winner}").as_str().into(),
        lease_version: "77".into(),
        holder_nonce: "n1".into(),
        term: Term(1),
        reason: "because".into(),
        evidence: WalPosition::default(),
        tail: None,
        winner_incarnation: None,
        answered: Vec::new(),
        accepted_loss: None,
    }
}

#[test]
fn i1_two_pods_are_never_labelled_primary() {
    let (_, observed) = healthy();
    let make = |pod: &str, uid: &str, role| Step::SetRole { pod: pod.into(), uid: uid.into(), role };
    let found = with(&observed, vec![make("c-2", "u2", Role::Primary), make("c-1", "u1", Role::Replica)]);
    assert!(matches!(&found[..], [Violation::TwoPrimaries(_)]), "the order counts");
    assert_eq!(with(&observed, vec![make("c-1", "u1", Role::Replica), make("c-2", "u2", Role::Primary)]), []);
}

#[test]
fn i1_nobody_is_elected_over_a_living_holder() {
    let (_, mut observed) = healthy();
    let steps = vec![Step::WriteElection(Box::new(election(2)))];
    assert_eq!(with(&observed, steps.clone()), [Violation::ElectionOverLivingHolder("c-1".into())]);
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    assert_eq!(with(&observed, steps), []);
}

#[test]
fn i10_an_election_from_another_lease_is_not_written() {
    let (_, mut observed) = healthy();
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    let other = ElectionFact { lease_version: "76".into(), ..election(2) };
    assert_eq!(with(&observed, vec![Step::WriteElection(Box::new(other))]), [Violation::UnboundElection]);
}

#[test]
fn i11_a_winner_is_a_pod_and_not_a_name() {
    let (_, mut observed) = healthy();
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    observed.pods[1].uid = "another".into();
    let steps = vec![Step::WriteElection(Box::new(election(2)))];
    assert_eq!(with(&observed, steps), [Violation::WinnerIsGone("c-2".into())]);
}

#[test]
fn i7_the_last_data_and_the_primarys_are_not_deleted() {
    let (_, mut observed) = healthy();
    let delete = |name: &str| vec![Step::DeleteVolume { name: name.into() }];
    assert_eq!(with(&observed, delete("c-1")), [Violation::DeletesData("c-1".into())]);
    assert_eq!(with(&observed, delete("c-2")), []);
    observed.volumes = vec![volume(2)];
    assert_eq!(with(&observed, delete("c-2")), [Violation::DeletesData("c-2".into())]);
}

#[test]
fn a_primary_that_nobody_could_follow_is_not_deleted() {
    let (_, mut observed) = healthy();
    let steps = vec![Step::DeletePod { name: "c-1".into(), uid: "u1".into() }];
    assert_eq!(with(&observed, steps.clone()), []);
    observed.pods.truncate(1);
    assert_eq!(with(&observed, steps), [Violation::DeletesOnlyPrimary("c-1".into())]);
}

#[test]
fn a_database_is_made_once_and_by_one() {
    let (_, mut observed) = healthy();
    observed.pods.clear();
    observed.volumes.clear();
    let first = vec![Step::CreateVolume { serial: 1 }];
    assert_eq!(with(&observed, first.clone()), [Violation::SecondDatabase(1)]);
    observed.status.system_id = None;
    assert_eq!(with(&observed, first), []);
    assert_eq!(with(&observed, vec![Step::CreateVolume { serial: 2 }]), [Violation::TooEarly(2)]);
}
