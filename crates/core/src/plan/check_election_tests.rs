//! Wrong elections, each of which the checker refuses although a planner wrote it.

use super::tests::{NOW, healthy};
use super::*;
use crate::cluster::{ElectionFact, ForceFact, LeaseSeen, Observed, TailFact};
use crate::identity::Incarnation;
use crate::lease::{ElectableRecord, HolderState, LeaseRecord, Term, WalPosition};
use crate::lsn::Lsn;
use crate::timeline::{Lineage, TimelineId};

const END: u64 = 0x300_0000;

fn on(timeline: u32, lsn: u64) -> WalPosition {
    WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) }
}

fn found(observed: &Observed, election: ElectionFact) -> Vec<Violation> {
    let (desired, _) = healthy();
    let steps = vec![Step::WriteElection(Box::new(election))];
    check(observed, &Plan { steps, ..plan(&desired, observed, NOW) })
}

/// c-1 released; commits waited for one of c-2 and c-3, who have both answered.
fn released() -> (Observed, ElectionFact) {
    let (_, mut observed) = healthy();
    let lease = &mut observed.lease.as_mut().unwrap().value;
    lease.state = HolderState::Released;
    let voters = vec!["i2".into(), "i3".into()];
    lease.records = vec![ElectableRecord { term: Term(1), writer: "i1".into(), voters, needed: 1 }];
    for pod in &mut observed.pods {
        pod.report.as_mut().unwrap().fence = Term(1);
    }
    let election = ElectionFact {
        winner: "c-2".into(),
        winner_pod_uid: "u2".into(),
        lease_version: "77".into(),
        holder_nonce: "n1".into(),
        term: Term(1),
        reason: "because".into(),
        evidence: on(1, END),
        tail: None,
        winner_incarnation: Some("i2".into()),
        answered: vec!["i2".into(), "i3".into()],
        accepted_loss: None,
    };
    (observed, election)
}

fn answered(election: &ElectionFact, who: &[&str]) -> ElectionFact {
    ElectionFact { answered: who.iter().map(|id| Incarnation::from(*id)).collect(), ..election.clone() }
}

fn lease(observed: &mut Observed) -> &mut LeaseRecord {
    &mut observed.lease.as_mut().unwrap().value
}

#[test]
fn a_right_election_passes() {
    let (observed, election) = released();
    assert_eq!(found(&observed, election), []);
}

#[test]
fn i3_an_election_whose_answers_do_not_satisfy_a_record_is_not_written() {
    let (mut observed, election) = released();
    let lost = [Violation::MayLoseCommits { term: Term(1) }];
    assert_eq!(found(&observed, answered(&election, &["i2"])), lost, "i3 alone may have acknowledged");
    assert_eq!(found(&observed, answered(&election, &[])), lost);
    assert_eq!(found(&observed, answered(&election, &["i1"])), [], "the writer has everything");
    lease(&mut observed).records[0].needed = 2;
    assert_eq!(found(&observed, answered(&election, &["i2"])), [], "each has every commit");
    let older = ElectableRecord { term: Term(0), writer: "i9".into(), voters: vec!["i8".into()], needed: 1 };
    lease(&mut observed).records.push(older);
    assert_eq!(found(&observed, election.clone()), [Violation::MayLoseCommits { term: Term(0) }], "hole 7");
    lease(&mut observed).records =
        vec![ElectableRecord { needed: 0, voters: vec![], ..released().0.lease.unwrap().value.records[0].clone() }];
    assert_eq!(found(&observed, election), lost, "nobody but the writer");
}

#[test]
fn i3_records_of_terms_before_the_opened_timeline_bind_who_has_not_come_to_its_beginning() {
    let (mut observed, election) = released();
    let alone = answered(&election, &["i2"]);
    *lease(&mut observed) = LeaseRecord {
        term: Term(2),
        timeline: TimelineId(2),
        timeline_term: Term(2),
        lineage: Some(Lineage { timeline: TimelineId(2), ancestors: vec![on(1, END)] }),
        ..lease(&mut observed).clone()
    };
    for pod in &mut observed.pods {
        pod.report.as_mut().unwrap().fence = Term(2);
    }
    let alone = ElectionFact { term: Term(2), ..alone };
    assert_eq!(found(&observed, alone.clone()), []);
    let lost = [Violation::MayLoseCommits { term: Term(1) }];
    let behind = ElectionFact { evidence: on(1, END - 1), ..alone.clone() };
    let at = |observed: &mut Observed, end| observed.pods[1].report.as_mut().unwrap().position = Some(end);
    at(&mut observed, on(1, END - 1));
    assert_eq!(found(&observed, behind), lost);
    at(&mut observed, on(1, END));
    lease(&mut observed).timeline_term = Term(1);
    assert_eq!(found(&observed, alone.clone()), lost, "its own term, which may have acknowledged on that timeline");
    lease(&mut observed).timeline_term = Term(2);
    lease(&mut observed).timeline = TimelineId(3);
    assert_eq!(found(&observed, alone), lost, "reserved, and not known to have been opened");
}

#[test]
fn e3_who_did_not_answer_now_or_behind_its_fence_or_has_more_is_not_counted() {
    let (observed, election) = released();
    let missing = [Violation::AnswersMissing("c-3".into())];
    for spoil in [
        |report: &mut crate::cluster::Report| report.fresh = false,
        |report: &mut crate::cluster::Report| report.fence = Term(0),
        |report: &mut crate::cluster::Report| report.position = Some(on(1, END + 1)),
        |report: &mut crate::cluster::Report| report.tail = Some(on(1, END + 1)),
    ] {
        let mut observed = observed.clone();
        spoil(observed.pods[2].report.as_mut().unwrap());
        assert_eq!(found(&observed, election.clone()), missing);
    }
    let stranger = Violation::AnswersMissing("i7".into());
    assert!(found(&observed, answered(&election, &["i2", "i3", "i7"])).contains(&stranger));
}

#[test]
fn the_last_writer_counts_where_the_winner_fetches_its_tail() {
    let (mut observed, election) = released();
    let report = observed.pods[0].report.as_mut().unwrap();
    (report.fresh, report.tail) = (false, Some(on(1, END + 0x100)));
    let tail = |pod: &str, uid: &str| {
        Some(TailFact { pod: pod.into(), pod_uid: uid.into(), address: String::new(), end: on(1, END + 0x100) })
    };
    let by_tail = ElectionFact { tail: tail("c-1", "u1"), ..answered(&election, &["i1"]) };
    assert_eq!(found(&observed, by_tail.clone()), []);
    let of_another = ElectionFact { tail: tail("c-3", "u3"), ..by_tail };
    assert_eq!(found(&observed, of_another), [Violation::AnswersMissing("c-1".into())]);
}

#[test]
fn i11_another_data_directory_or_database_than_the_one_elected_is_no_winner() {
    let (mut observed, election) = released();
    let other = [Violation::OtherData("c-2".into())];
    let named = |incarnation: Option<&str>| ElectionFact {
        winner_incarnation: incarnation.map(Into::into),
        ..election.clone()
    };
    assert_eq!(found(&observed, named(Some("i5"))), other);
    assert_eq!(found(&observed, named(None)), other, "under records it must be named");
    observed.pods[1].report.as_mut().unwrap().system_id = Some(crate::identity::SystemId(8));
    assert_eq!(found(&observed, election), other);
}

#[test]
fn i2_wal_off_the_opened_history_or_that_the_winner_never_had_is_no_evidence() {
    let (mut observed, election) = released();
    let wrong = [Violation::WrongHistory("c-2".into())];
    let evidence = |at: WalPosition| answered(&ElectionFact { evidence: at, ..election.clone() }, &["i2", "i3"]);
    assert_eq!(found(&observed, evidence(on(1, END + 8))), wrong, "it never said so");
    let say = |observed: &mut Observed, at: WalPosition, lineage: Option<Lineage>| {
        for pod in &mut observed.pods {
            let report = pod.report.as_mut().unwrap();
            (report.position, report.lineage) = (Some(at), lineage.clone());
        }
    };
    say(&mut observed, on(2, END), None);
    assert_eq!(found(&observed, evidence(on(2, END))), wrong, "nobody reserved timeline 2");
    lease(&mut observed).timeline = TimelineId(3);
    assert_eq!(found(&observed, evidence(on(2, END))), []);
    let lineage = |timeline: u32, left: &[(u32, u64)]| Lineage {
        timeline: TimelineId(timeline),
        ancestors: left.iter().map(|(id, lsn)| on(*id, *lsn)).collect(),
    };
    lease(&mut observed).lineage = Some(lineage(2, &[(1, 0x200_0000)]));
    say(&mut observed, on(1, END), None);
    assert_eq!(found(&observed, evidence(on(1, END))), wrong, "timeline 1 was left before that");
    assert_eq!(found(&observed, evidence(on(1, 0x200_0000))).first(), Some(&Violation::AnswersMissing("c-2".into())));
    say(&mut observed, on(2, END), Some(lineage(2, &[(1, 0x200_0000)])));
    assert_eq!(found(&observed, evidence(on(2, END))), []);
    say(&mut observed, on(2, END), Some(lineage(2, &[(1, 0x100_0000)])));
    assert_eq!(found(&observed, evidence(on(2, END))), wrong, "another timeline 2: somebody promoted it by hand");
    say(&mut observed, on(3, END), Some(lineage(3, &[(1, 0x200_0000), (2, 0x280_0000)])));
    assert_eq!(found(&observed, evidence(on(3, END))), [], "the reserved one, on top of the opened one");
    say(&mut observed, on(3, END), Some(lineage(3, &[(1, 0x200_0000)])));
    assert_eq!(found(&observed, evidence(on(3, END))), wrong, "not on top of it");
}

#[test]
fn rule_e4_is_left_out_only_at_the_demand_of_a_person_who_accepts_the_loss() {
    let (mut observed, election) = released();
    let forced = ElectionFact { accepted_loss: Some(512), ..answered(&election, &["i2"]) };
    let not = [Violation::NotDemanded("c-2".into())];
    assert_eq!(found(&observed, forced.clone()), not);
    let demand = ForceFact {
        instance: "c-2".into(),
        pod_uid: "u2".into(),
        lease_version: "77".into(),
        term: Term(1),
        accepted_loss: 512,
    };
    let with = |demand: ForceFact| Observed { force: Some(demand), ..observed.clone() };
    assert_eq!(found(&with(demand.clone()), forced.clone()), []);
    for other in [
        ForceFact { pod_uid: "u3".into(), ..demand.clone() },
        ForceFact { lease_version: "76".into(), ..demand.clone() },
        ForceFact { term: Term(2), ..demand.clone() },
        ForceFact { accepted_loss: 511, ..demand.clone() },
    ] {
        assert_eq!(found(&with(other), forced.clone()), not);
    }
    lease(&mut observed).tail = Some(on(1, END + 513));
    let with = |demand: ForceFact| Observed { force: Some(demand), ..observed.clone() };
    assert_eq!(found(&with(demand.clone()), forced.clone()), not, "more is known to be lost");
    lease(&mut observed).tail = None;
    lease(&mut observed).state = HolderState::Open;
    let held = Observed { force: Some(demand.clone()), ..observed.clone() };
    let over = Violation::ElectionOverLivingHolder("c-1".into());
    assert_eq!(found(&held, forced.clone()), [over, Violation::NotDemanded("c-2".into())], "L2 is never left out");
    observed.pods[1].report.as_mut().unwrap().lease_seen =
        LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    assert_eq!(found(&Observed { force: Some(demand), ..observed }, forced), []);
}

#[test]
fn a_primary_that_is_open_makes_room_only_for_a_person_or_for_a_standby_off_its_drained_node() {
    let (_, mut observed) = healthy();
    let (_, election) = released();
    let over = [Violation::ElectionOverLivingHolder("c-1".into())];
    for pod in &mut observed.pods {
        pod.node = Some(format!("n{}", pod.serial));
    }
    let handover = answered(&election, &[]);
    assert_eq!(found(&observed, handover.clone()), over);
    observed.pods[0].leaving = Some("node n1 is cordoned".into());
    assert_eq!(found(&observed, handover.clone()), []);
    observed.pods[1].node = Some("n1".into());
    assert_eq!(found(&observed, handover.clone()), over, "there it would have to go as well");
    observed.pods[1].node = Some("n2".into());
    observed.pods[1].leaving = Some("node n2 is cordoned".into());
    assert_eq!(found(&observed, handover.clone()), over);
    observed.pods[1].leaving = None;
    observed.pods[1].ready = false;
    assert_eq!(found(&observed, handover), over);
}
