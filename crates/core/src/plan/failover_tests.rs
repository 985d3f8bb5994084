//! Golden plans of drains, of elections that do not happen, and of those that a person forces.

use super::tests::{NOW, golden, healthy};
use super::*;
use crate::cluster::{Desired, ForceFact, LeaseSeen, MemberPhase, Observed, RefusalFact};
use crate::election::{DRAIN_REFUSED, is_switchover};
use crate::lease::{ElectableRecord, HolderState, Term, WalPosition};
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use core::time::Duration;

/// c-1's node is cordoned; each instance is on a node of its own.
fn drained() -> (Desired, Observed) {
    let (desired, mut observed) = healthy();
    for pod in &mut observed.pods {
        pod.node = Some(format!("n{}", pod.serial));
    }
    observed.pods[0].leaving = Some("node n1 is cordoned".into());
    (desired, observed)
}

fn election(plan: &Plan) -> Option<&crate::cluster::ElectionFact> {
    plan.steps.iter().find_map(|step| if let Step::WriteElection(fact) = step { Some(fact.as_ref()) } else { None })
}

fn refusal(plan: &Plan) -> Option<&RefusalFact> {
    plan.steps.iter().find_map(|step| if let Step::WriteRefusal { refusal, .. } = step { Some(refusal) } else { None })
}

fn at(lsn: u64) -> WalPosition {
    WalPosition { timeline: TimelineId(1), lsn: Lsn(lsn) }
}

#[test]
fn a_primary_on_a_node_that_is_drained_hands_over_to_a_standby_elsewhere() {
    let plan = golden("drain", drained());
    let fact = election(&plan).unwrap();
    assert_eq!((fact.winner.as_str(), plan.status.phase), ("c-2", Phase::Switchover));
    assert!(is_switchover(fact), "{}", fact.reason);
    let (desired, mut observed) = drained();
    observed.pods[2].report.as_mut().unwrap().position = Some(at(0x300_0100));
    assert_eq!(election(&super::plan(&desired, &observed, NOW)).unwrap().winner, "c-3", "whoever has most");
}

#[test]
fn a_standby_on_a_node_that_is_left_as_well_or_on_the_same_one_does_not_take_over() {
    let (desired, mut observed) = drained();
    observed.pods[1].leaving = Some("node n2 has taint karpenter.sh/disrupted".into());
    assert_eq!(election(&plan(&desired, &observed, NOW)).unwrap().winner, "c-3");
    observed.pods[2].node = Some("n1".into());
    let plan = golden("drain-refused", (desired.clone(), observed.clone()));
    let told = refusal(&plan).unwrap();
    assert!(told.reason.ends_with(DRAIN_REFUSED) && told.is_of_drain);
    assert_eq!(
        told.missing,
        ["c-2 is to be moved as well: node n2 has taint karpenter.sh/disrupted", "c-3 is on the same node"]
    );
    let note = plan.status.election.clone().unwrap();
    assert_eq!((note.state, plan.status.phase), (ElectionState::HandoverRefused, Phase::Healthy));
    assert!(plan.again.is_some(), "it is tried again");
    observed.status.refusal = Some(told.clone());
    let again = super::plan(&desired, &observed, NOW);
    assert_eq!(again.steps, [], "and said once");
    observed.pods[0].leaving = None;
    assert_eq!(super::plan(&desired, &observed, NOW).steps, [Step::ClearRefusal], "the node may stay after all");
}

#[test]
fn a_standby_that_could_not_be_switched_to_does_not_take_over_from_a_drained_primary_either() {
    let (mut desired, mut observed) = drained();
    observed.pods[1].ready = false;
    observed.pods[2].report.as_mut().unwrap().fresh = false;
    let plan = plan(&desired, &observed, NOW);
    assert_eq!(refusal(&plan).unwrap().missing, ["c-2 is not ready", "c-3 does not answer"]);
    observed.pods[1].ready = true;
    desired.fenced = vec!["c-2".into()];
    assert_eq!(refusal(&super::plan(&desired, &observed, NOW)).unwrap().missing[0], "c-2 is fenced by annotation");
}

#[test]
fn a_target_that_has_only_just_begun_is_waited_for_and_refused_only_when_its_time_is_over() {
    let (desired, mut observed) = healthy();
    observed.status.target_primary = Some("c-2".into());
    let asked = |observed: &Observed, after: u64| {
        let mut observed = observed.clone();
        observed.memory.asked_since = Some(NOW);
        plan(&desired, &observed, NOW.plus(Duration::from_secs(after)))
    };
    observed.pods[1].report.as_mut().unwrap().position = None;
    let waits = asked(&observed, 0);
    assert_eq!((waits.steps.as_slice(), waits.status.phase), (&[][..], Phase::Switchover));
    assert!(waits.again.is_some_and(|again| again < Duration::from_secs(1)), "{:?}", waits.again);
    assert!(waits.status.reason.ends_with("c-2 has not said yet how far it is"), "{}", waits.status.reason);
    assert_eq!(refusal(&asked(&observed, 10)), None);
    let told = asked(&observed, 11);
    assert_eq!(refusal(&told).unwrap().missing, ["c-2 has not said yet how far it is"]);
    observed.pods[1].report.as_mut().unwrap().position = Some(at(0x300_0000));
    assert_eq!(election(&asked(&observed, 3)).unwrap().winner, "c-2", "as soon as it has said so");
    observed.pods[1].ready = false;
    assert_eq!(refusal(&asked(&observed, 3)), None, "the kubelet has yet to say that it is ready");
    observed.pods[1].report.as_mut().unwrap().phase = MemberPhase::Stuck;
    assert_eq!(refusal(&asked(&observed, 3)), None, "it may pause before it starts its postgres again");
    assert_eq!(refusal(&asked(&observed, 11)).unwrap().missing, ["c-2 is stuck"]);
    observed.pods[1].report.as_mut().unwrap().phase = MemberPhase::Standby;
    observed.pods[1].report.as_mut().unwrap().fresh = false;
    assert_eq!(refusal(&asked(&observed, 3)), None);
    observed.pods[1].deleting = true;
    assert_eq!(refusal(&asked(&observed, 0)).unwrap().missing, ["c-2 is being deleted"], "which does not pass");
}

#[test]
fn nobody_is_moved_before_the_primary_is_open_or_while_it_hands_over() {
    let (desired, mut observed) = drained();
    observed.lease.as_mut().unwrap().value.state = HolderState::Promoting;
    assert_eq!(election(&plan(&desired, &observed, NOW)), None);
    observed.lease.as_mut().unwrap().value.state = HolderState::Open;
    let fact = election(&plan(&desired, &observed, NOW)).unwrap().clone();
    observed.status.target_primary = Some(fact.winner.clone());
    observed.status.election = Some(fact);
    observed.memory.election_since = NOW;
    let waits = plan(&desired, &observed, NOW);
    assert_eq!((election(&waits), waits.status.phase), (None, Phase::Switchover));
}

#[test]
fn among_equals_a_failover_goes_to_a_node_that_stays() {
    let (desired, mut observed) = drained();
    observed.pods[0].leaving = None;
    observed.pods[1].leaving = Some("node n2 is cordoned".into());
    observed.lease.as_mut().unwrap().value.state = HolderState::Released;
    observed.memory.unhealthy_since = Some(NOW);
    assert_eq!(election(&plan(&desired, &observed, NOW)).unwrap().winner, "c-3");
}

/// c-1 and c-3 are lost with their nodes; the lease has lapsed, and c-2 alone answers.
fn stranded() -> (Desired, Observed) {
    let (desired, mut observed) = healthy();
    let lease = &mut observed.lease.as_mut().unwrap().value;
    let voters = vec!["i2".into(), "i3".into()];
    lease.records = vec![ElectableRecord { term: Term(1), writer: "i1".into(), voters, needed: 1 }];
    for lost in [0, 2] {
        let report = observed.pods[lost].report.as_mut().unwrap();
        (report.fresh, report.position) = (false, Some(at(0x300_0200)));
    }
    let report = observed.pods[1].report.as_mut().unwrap();
    report.lease_seen = LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    report.fence = Term(1);
    observed.memory.unhealthy_since = Some(Instant(0));
    (desired, observed)
}

fn demand(bytes: u64) -> Option<ForceFact> {
    Some(ForceFact {
        instance: "c-2".into(),
        pod_uid: "u2".into(),
        lease_version: "77".into(),
        term: Term(1),
        accepted_loss: bytes,
    })
}

/// Why the demand was refused, as it was told.
fn refused_force(plan: &Plan) -> Option<&str> {
    plan.steps.iter().find_map(|step| match step {
        Step::Event { reason, message, .. } if reason == "ForcedPromotionRefused" => Some(message.as_str()),
        _ => None,
    })
}

#[test]
fn an_election_that_is_refused_says_who_is_missing_by_name_and_what_forcing_it_would_lose() {
    let plan = golden("election-refused", stranded());
    let told = refusal(&plan).unwrap();
    assert_eq!(
        told.missing,
        [
            "c-1 does not answer",
            "c-3 does not answer",
            "term 1 needs 1 more of [c-3], or its writer c-1",
            "c-2 has WAL up to 0/3000000 on timeline 1: forcing it loses 512 bytes or more",
        ]
    );
    assert_eq!((told.losses[0].bytes, told.lease_version.as_str(), told.term), (512, "77", Term(1)));
    let note = plan.status.election.unwrap();
    assert_eq!(note.state, ElectionState::Refused);
    assert!(note.message.contains("[c-3], or its writer c-1"), "{}", note.message);
}

#[test]
fn a_person_who_accepts_just_what_is_lost_gets_a_primary() {
    let (desired, mut observed) = stranded();
    observed.force = demand(512);
    let plan = golden("forced", (desired, observed));
    let fact = election(&plan).unwrap();
    assert_eq!((fact.winner.as_str(), fact.accepted_loss), ("c-2", Some(512)));
    assert!(plan.steps.contains(&Step::ClearForce));
    let told = plan.steps.iter().any(|step| {
        matches!(step, Step::Event { kind: EventKind::Warning, reason, message }
            if reason == "ForcedPromotion" && message.contains("512 bytes of WAL or more"))
    });
    assert!(told, "{:?}", plan.steps);
    assert_eq!(plan.status.election.unwrap().state, ElectionState::Forced);
}

#[test]
fn another_number_another_lease_or_another_pod_is_refused_and_the_demand_goes() {
    let (desired, observed) = stranded();
    let refused = |force: Option<ForceFact>| {
        let observed = Observed { force, ..observed.clone() };
        let plan = plan(&desired, &observed, NOW);
        assert_eq!((check(&observed, &plan), election(&plan)), (vec![], None));
        assert!(plan.steps.contains(&Step::ClearForce));
        refused_force(&plan).unwrap().to_owned()
    };
    assert!(refused(demand(511)).contains("would lose 512 bytes of WAL or more by now, and 511 were accepted"));
    assert!(refused(demand(513)).contains("513 were accepted"));
    let other = |change: fn(&mut ForceFact)| {
        let mut force = demand(512);
        force.iter_mut().for_each(change);
        force
    };
    assert!(refused(other(|force| force.lease_version = "76".into())).contains("the lease has changed"));
    assert!(refused(other(|force| force.term = Term(2))).contains("the lease has changed"));
    assert!(refused(other(|force| force.pod_uid = "u9".into())).contains("another pod has the name c-2"));
    let silent = other(|force| (force.instance, force.pod_uid) = ("c-3".into(), "u3".into()));
    assert!(refused(silent).contains("c-3 does not answer"));
}

#[test]
fn nobody_is_forced_over_a_primary_that_holds_the_lease() {
    let (desired, mut observed) = stranded();
    observed.force = demand(512);
    observed.pods[1].report.as_mut().unwrap().lease_seen.stale = false;
    let waits = plan(&desired, &observed, NOW);
    assert_eq!((election(&waits), waits.steps.contains(&Step::ClearForce)), (None, true));
    assert!(refused_force(&waits).unwrap().contains("no election is due"));
    observed.lease.as_mut().unwrap().value.state = HolderState::Recovering;
    let recovering = plan(&desired, &observed, NOW);
    assert_eq!(election(&recovering), None);
    assert!(refused_force(&recovering).unwrap().contains("holds the lease still"));
}

#[test]
fn where_an_election_can_be_held_nothing_is_forced() {
    let (desired, mut observed) = stranded();
    let report = observed.pods[2].report.as_mut().unwrap();
    (report.fresh, report.fence) = (true, Term(1));
    observed.force = demand(512);
    let plan = plan(&desired, &observed, NOW);
    let fact = election(&plan).unwrap();
    assert_eq!((fact.winner.as_str(), fact.accepted_loss), ("c-3", None));
    assert!(refused_force(&plan).unwrap().contains("without it"));
}

#[test]
fn an_election_that_waits_says_for_what_and_who_could_stand() {
    let (mut desired, mut observed) = stranded();
    desired.failover_delay = Duration::from_secs(2000);
    let plan = golden("election-waits", (desired.clone(), observed.clone()));
    let note = plan.status.election.unwrap();
    assert_eq!(note.state, ElectionState::Waits);
    assert_eq!(
        note.message,
        "the primary has not renewed its lease; waits for spec.failoverDelay of 2000 s; eligible by what they last said: \
         c-3 (0/3000200 on timeline 1), c-2 (0/3000000 on timeline 1); not eligible: c-1 is the primary that is to be \
         replaced"
    );
    desired.failover_delay = Duration::ZERO;
    observed.memory.unhealthy_since = Some(NOW);
    observed.pods[2].report = None;
    let note = super::plan(&desired, &observed, NOW).status.election.unwrap();
    assert!(note.message.contains("waits for c-3 to say what they hold"), "{}", note.message);
}
