//! A lease that was deleted by hand: who makes it anew, from what, and when nobody does.

use super::tests::{NOW, golden, healthy};
use super::*;
use crate::cluster::{MemberPhase, Observed};
use crate::lease::{HolderState, Term};
use crate::timeline::TimelineId;

fn lost() -> (Desired, Observed) {
    let (desired, mut observed) = healthy();
    observed.lease = None;
    observed.memory.lease_lost_since = Some(Instant(0));
    observed.pods[2].report.as_mut().unwrap().lease_seen.term = Term(7);
    observed.pods[1].report.as_mut().unwrap().fence = Term(8);
    observed.status.timeline = Some(TimelineId(4));
    (desired, observed)
}

fn made(steps: &[Step]) -> Option<&crate::lease::LeaseRecord> {
    steps.iter().find_map(|step| if let Step::RecreateLease(record) = step { Some(record.as_ref()) } else { None })
}

#[test]
fn l8_a_lost_lease_is_made_anew_above_everything_that_anybody_has_seen() {
    let plan = golden("lease-deleted", lost());
    let record = made(&plan.steps).expect("it is made anew");
    assert_eq!((record.term, record.timeline), (Term(9), TimelineId(5)));
    assert_eq!((record.state, record.held_by().map(|holder| holder.name.as_str())), (HolderState::Open, Some("c-1")));
    assert_eq!((record.takers.len(), record.records.len()), (2, 0));
}

#[test]
fn l8_who_waits_for_the_last_holder_waits_by_the_longest_timings_that_anybody_goes_by() {
    let (desired, mut observed) = lost();
    let own = made(&plan(&desired, &observed, NOW).steps).unwrap().lease_duration;
    assert_eq!(own, desired.timings.lease_duration);
    let longer = core::time::Duration::from_secs(30);
    observed.pods[0].report.as_mut().unwrap().lease_seen.lease_duration = longer;
    let plan = plan(&desired, &observed, NOW);
    let record = made(&plan.steps).unwrap().clone();
    assert_eq!(record.lease_duration, longer);
    assert_eq!(check(&observed, &plan), []);
    let shorter = crate::lease::LeaseRecord { lease_duration: own, ..record };
    let forced = Plan { steps: vec![Step::RecreateLease(Box::new(shorter))], ..plan };
    assert_eq!(check(&observed, &forced), [Violation::LeaseFromHearsay]);
}

#[test]
fn l8_under_synchronous_replication_every_other_instance_may_have_to_be_asked() {
    let (mut desired, observed) = lost();
    desired.synchronous = true;
    let plan = plan(&desired, &observed, NOW);
    let record = made(&plan.steps).unwrap();
    assert_eq!(record.records[0].voters, ["i2".into(), "i3".into()]);
    let alone = [crate::identity::Incarnation::from("i2")].into();
    assert_eq!(crate::election::sat(&record.records, &alone).len(), 1);
}

#[test]
fn l8_the_holder_has_the_time_that_it_may_write_to_do_it_itself() {
    let (desired, mut observed) = lost();
    observed.memory.lease_lost_since = Some(NOW);
    let plan = plan(&desired, &observed, NOW);
    assert!(made(&plan.steps).is_none() && plan.again.is_some());
    assert!(matches!(lost_lease(&desired, &observed, NOW), LostLease::HolderHasTime(_)));
}

#[test]
fn l8_while_somebody_does_not_answer_nothing_is_made_and_it_is_said_who() {
    let (desired, mut observed) = lost();
    observed.pods[2].report.as_mut().unwrap().fresh = false;
    let plan = golden("lease-deleted-one-silent", (desired, observed.clone()));
    assert!(made(&plan.steps).is_none());
    let said =
        |step: &Step| matches!(step, Step::WriteRefusal { refusal, .. } if refusal.missing == ["c-3 does not answer"]);
    assert!(plan.steps.iter().any(said), "{:?}", plan.steps);
    let (_, whole) = lost();
    let record = made(&super::plan(&Desired::default(), &whole, NOW).steps).cloned().unwrap();
    let forced = Plan { steps: vec![Step::RecreateLease(Box::new(record))], ..plan };
    assert_eq!(check(&observed, &forced), [Violation::LeaseFromHearsay]);
    assert_eq!(check(&whole, &forced), []);
    let empty = Plan { steps: vec![Step::CreateLease], ..forced };
    assert_eq!(check(&whole, &empty), [Violation::LeaseFromHearsay]);
}

#[test]
fn l8_while_another_than_the_status_knows_of_may_write_nothing_is_made() {
    let (desired, observed) = lost();
    let record = made(&plan(&desired, &observed, NOW).steps).cloned().unwrap();
    for phase in [MemberPhase::Primary, MemberPhase::Promoting, MemberPhase::Stopping] {
        // Promoted without the API having heard of it, and alive by pledges.
        let mut observed = observed.clone();
        observed.pods[1].report.as_mut().unwrap().phase = phase;
        let plan = plan(&desired, &observed, NOW);
        assert!(made(&plan.steps).is_none(), "{phase:?}");
        let said = |step: &Step| matches!(step, Step::WriteRefusal { refusal, .. } if refusal.missing.iter().any(|why| why.contains("c-2 may still write")));
        assert!(plan.steps.iter().any(said), "{:?}", plan.steps);
        let forced = Plan { steps: vec![Step::RecreateLease(Box::new(record.clone()))], ..plan };
        assert_eq!(check(&observed, &forced), [Violation::LeaseFromHearsay]);
    }
}

#[test]
fn l8_a_member_with_an_empty_volume_keeps_no_lease_from_being_made_but_what_it_saw_counts() {
    for (has_data, synchronous) in [(true, false), (true, true), (false, false), (false, true)] {
        let (mut desired, mut observed) = lost();
        desired.synchronous = synchronous;
        observed.volumes[2].has_data = has_data;
        let report = observed.pods[2].report.as_mut().unwrap();
        (report.system_id, report.incarnation, report.lease_seen.term) = (None, None, Term(11));
        let plan = plan(&desired, &observed, NOW);
        let term = made(&plan.steps).map(|record| record.term);
        assert_eq!(term, (!has_data).then_some(Term(12)), "has data: {has_data}, synchronous: {synchronous}");
        assert!(has_data || check(&observed, &plan).is_empty());
    }
}

#[test]
fn budgets_follow_the_number_of_instances() {
    let (mut desired, mut observed) = healthy();
    observed.replica_budget = Some(1);
    assert_eq!(plan(&desired, &observed, NOW).steps, []);
    desired.instances = 4;
    let grown = plan(&desired, &observed, NOW).steps;
    assert!(grown.contains(&Step::SetReplicaBudget { available: 2 }), "{grown:?}");
    desired.instances = 2;
    let shrunk = plan(&desired, &observed, NOW).steps;
    assert!(shrunk.contains(&Step::Delete(crate::cluster::ObjectKind::ReplicaBudget)), "{shrunk:?}");
}

#[test]
fn l8_the_lease_is_made_anew_as_nobodys_who_lives_where_the_last_primary_has_lost_its_volume_too() {
    let (mut desired, mut observed) = lost();
    desired.synchronous = true;
    observed.volumes[0].has_data = false;
    let report = observed.pods[0].report.as_mut().unwrap();
    (report.system_id, report.incarnation, report.position) = (None, None, None);
    report.phase = MemberPhase::Joining;
    let nonce = report.nonce.clone();
    let plan = plan(&desired, &observed, NOW);
    assert_eq!(check(&observed, &plan), []);
    let record = made(&plan.steps).expect("it is made anew");
    let holder = record.held_by().unwrap();
    assert!(holder.name == "c-1" && holder.nonce != nonce, "{holder:?}");
    // Whoever may have acknowledged the last commit with it is among the others, and all of them are needed to know.
    let others = ["i2".into(), "i3".into()];
    assert_eq!(record.records[0].voters, others);
    for alone in &others {
        assert_eq!(crate::election::sat(&record.records, &[alone.clone()].into()).len(), 1);
    }
    assert!(crate::election::sat(&record.records, &others.clone().into()).is_empty());
    // A volume that is not known to be empty may hold what nobody else has.
    observed.volumes[0].has_data = true;
    assert!(made(&super::plan(&desired, &observed, NOW).steps).is_none());
    // One that is known to be damaged holds nothing that anybody could read.
    observed.pods[0].report.as_mut().unwrap().damaged = true;
    let plan = super::plan(&desired, &observed, NOW);
    assert_eq!(check(&observed, &plan), []);
    assert_eq!(made(&plan.steps).map(|record| record.records[0].voters.clone()), Some(others.to_vec()));
}

#[test]
fn l8_a_standby_that_has_lost_its_data_with_the_primary_may_alone_have_had_a_commit() {
    for synchronous in [false, true] {
        let (mut desired, mut observed) = lost();
        desired.synchronous = synchronous;
        for pod in [0, 2] {
            let report = observed.pods[pod].report.as_mut().unwrap();
            (report.system_id, report.incarnation, report.position) = (None, None, None);
            (report.phase, report.damaged) = (MemberPhase::Stuck, true);
        }
        let plan = plan(&desired, &observed, NOW);
        assert_eq!(made(&plan.steps).is_some(), !synchronous, "{:?}", plan.steps);
        let said = format!("{:?}", plan.steps);
        assert_eq!(said.contains("c-3 has lost its data as well"), synchronous, "{said}");
        // The primary has everything that was acknowledged.
        observed.pods[0].report = lost().1.pods[0].report.clone();
        assert!(made(&super::plan(&desired, &observed, NOW).steps).is_some());
    }
}
