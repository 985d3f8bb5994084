//! Elections, one table of situations.

use super::*;
use crate::cluster::{Desired, LeaseSeen, MemberPhase, Observed, PodView, Report, VolumeView};
use crate::identity::SystemId;
use crate::lease::{ElectableRecord, Holder, HolderState, LeaseRecord, Term, Versioned, WalPosition};
use crate::lsn::Lsn;
use crate::time::Instant;
use crate::timeline::{Lineage, TimelineId};
use core::time::Duration;

const NOW: Instant = Instant(1_000_000_000_000);

fn at(lsn: u64) -> WalPosition {
    WalPosition { timeline: TimelineId(1), lsn: Lsn(lsn) }
}

fn pod(serial: u32, phase: MemberPhase, lsn: u64) -> PodView {
    let uid = format!("u{serial}");
    let report = Report {
        nonce: format!("n{serial}").as_str().into(),
        pod_uid: uid.as_str().into(),
        incarnation: Some(format!("i{serial}").as_str().into()),
        system_id: Some(SystemId(7)),
        phase,
        position: Some(at(lsn)),
        fence: Term(4),
        fresh: true,
        ..Report::default()
    };
    PodView {
        name: format!("c-{serial}"),
        serial,
        uid: uid.as_str().into(),
        ip: Some(format!("10.0.0.{serial}")),
        ready: true,
        report: Some(report),
        ..PodView::default()
    }
}

/// c-1 holds; c-2 and c-3 stream, c-3 ahead.
fn cluster(state: HolderState) -> (Desired, Observed) {
    let desired = Desired { name: "c".into(), instances: 3, ..Desired::default() };
    let holder = Holder { name: "c-1".into(), pod_uid: "u1".into(), nonce: "n1".into(), address: "10.0.0.1".into() };
    let record = LeaseRecord {
        holder: Some(holder),
        state,
        term: Term(4),
        timeline: TimelineId(1),
        takers: vec!["u2".into(), "u3".into()],
        ..LeaseRecord::default()
    };
    let mut observed = Observed {
        pods: vec![
            pod(1, MemberPhase::Primary, 0x500),
            pod(2, MemberPhase::Standby, 0x300),
            pod(3, MemberPhase::Standby, 0x400),
        ],
        volumes: (1..4)
            .map(|serial| VolumeView { name: format!("c-{serial}"), serial, has_data: true, ..VolumeView::default() })
            .collect(),
        lease: Some(Versioned { version: "77".into(), value: record }),
        ..Observed::default()
    };
    observed.status.system_id = Some(SystemId(7));
    observed.status.target_primary = Some("c-1".into());
    observed.memory.unhealthy_since = Some(NOW);
    (desired, observed)
}

fn record(observed: &mut Observed) -> &mut LeaseRecord {
    &mut observed.lease.as_mut().unwrap().value
}

fn report(observed: &mut Observed, serial: usize) -> &mut Report {
    observed.pods[serial - 1].report.as_mut().unwrap()
}

fn answer(desired: &Desired, observed: &Observed) -> Answer {
    let why = why(observed).expect("an election is due");
    elect(desired, observed, observed.lease.as_ref().unwrap(), &why)
}

fn winner(desired: &Desired, observed: &Observed) -> Election {
    match answer(desired, observed) {
        Answer::Elected(election) => *election,
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn asynchronous_a_member_that_counts_on_the_holder_yet_is_waited_for_since_it_may_have_what_all_others_lack() {
    let (desired, mut observed) = cluster(HolderState::Open);
    report(&mut observed, 1).fresh = false;
    report(&mut observed, 3).fresh = false;
    observed.pods[2].counts_on_holder = true;
    let lapsed = LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    report(&mut observed, 2).lease_seen = lapsed;
    assert_eq!(answer(&desired, &observed), Answer::Awaits(vec!["c-3".into()]));
    // By its own clock it does so no more, and is fenced.
    observed.pods[2].counts_on_holder = false;
    report(&mut observed, 3).fresh = true;
    assert_eq!(winner(&desired, &observed).fact.winner, "c-3");
    // Who has what was acknowledged is on record: the others need not be waited for.
    observed.pods[2].counts_on_holder = true;
    report(&mut observed, 3).fresh = false;
    record(&mut observed).records =
        vec![ElectableRecord { term: Term(4), writer: "i1".into(), voters: vec!["i2".into()], needed: 1 }];
    assert_eq!(winner(&desired, &observed).fact.winner, "c-2");
    // A holder that gave up has said where its WAL ends.
    let (desired, mut observed) = cluster(HolderState::Recovering);
    record(&mut observed).tail = Some(at(0x500));
    report(&mut observed, 3).fresh = false;
    observed.pods[2].counts_on_holder = true;
    assert_eq!(winner(&desired, &observed).fact.winner, "c-2");
}

#[test]
fn a_healthy_cluster_has_nothing_to_elect() {
    let (desired, observed) = cluster(HolderState::Open);
    assert_eq!(next(&desired, &observed, NOW), Next::Nothing);
}

#[test]
fn a_lease_that_nobody_ever_took_is_left_to_who_initialises_the_cluster() {
    let (desired, mut observed) = cluster(HolderState::Released);
    record(&mut observed).term = Term(0);
    assert_eq!(next(&desired, &observed, NOW), Next::Nothing);
}

#[test]
fn a_crashed_primary_hands_its_tail_to_the_standby_that_has_most() {
    let (desired, mut observed) = cluster(HolderState::Recovering);
    record(&mut observed).tail = Some(at(0x500));
    report(&mut observed, 1).phase = MemberPhase::Recovering;
    assert_eq!(next(&desired, &observed, NOW), Next::Ask { why: Why::Recovering });
    let election = winner(&desired, &observed);
    assert_eq!((election.fact.winner.as_str(), election.fact.evidence), ("c-3", at(0x400)));
    let tail = election.fact.tail.unwrap();
    assert_eq!((tail.pod.as_str(), tail.address.as_str(), tail.end), ("c-1", "10.0.0.1", at(0x500)));
    assert_eq!(election.may_lose, None);
}

#[test]
fn i10_an_election_names_the_lease_version_term_and_holder_it_was_made_from() {
    let (desired, mut observed) = cluster(HolderState::Released);
    record(&mut observed).tail = Some(at(0x400));
    let fact = winner(&desired, &observed).fact;
    assert_eq!((fact.lease_version.as_str(), fact.term, fact.holder_nonce.0.as_str()), ("77", Term(4), "n1"));
}

#[test]
fn a_stale_lease_may_be_taken_only_by_those_whom_the_holder_named() {
    let (desired, mut observed) = cluster(HolderState::Open);
    report(&mut observed, 2).lease_seen = LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    record(&mut observed).takers = vec!["u2".into()];
    let election = winner(&desired, &observed);
    assert_eq!(election.fact.winner, "c-2");
    assert!(election.rejected.contains(&("c-3".into(), Rejection::NotATaker)));
    assert!(election.may_lose.is_some(), "c-1 is out of reach with what it had not sent");
}

#[test]
fn a_holder_that_stopped_without_the_api_and_was_heard_since_hands_its_tail_over() {
    let (desired, mut observed) = cluster(HolderState::Open);
    report(&mut observed, 2).lease_seen = LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    // c-3 has most of the two, and has pledged itself to the holder still: it does not answer.
    report(&mut observed, 3).fresh = false;
    let election = winner(&desired, &observed);
    assert_eq!((election.fact.winner.as_str(), election.fact.tail), ("c-2", None), "all that its pod says is old");
    let holder = report(&mut observed, 1);
    (holder.fresh, holder.phase, holder.tail) = (false, MemberPhase::Released, Some(at(0x500)));
    let election = winner(&desired, &observed);
    let tail = election.fact.tail.unwrap();
    assert_eq!((election.fact.winner.as_str(), tail.pod.as_str(), tail.end), ("c-2", "c-1", at(0x500)));
}

#[test]
fn a_new_primary_that_is_lost_with_its_volume_is_followed_by_whoever_has_come_to_the_timeline_that_it_opened() {
    let (desired, mut observed) = cluster(HolderState::Open);
    let lease = record(&mut observed);
    let (c2, c3) = (|| "i2".into(), || "i3".into());
    lease.holder = Some(Holder { name: "c-2".into(), pod_uid: "u2".into(), nonce: "n2".into(), address: "c-2".into() });
    (lease.timeline, lease.timeline_term) = (TimelineId(2), Term(4));
    lease.lineage = Some(Lineage { timeline: TimelineId(2), ancestors: vec![at(0x400)] });
    lease.records = vec![
        ElectableRecord { term: Term(3), writer: "i1".into(), voters: vec![c2(), c3()], needed: 1 },
        ElectableRecord { term: Term(4), writer: c2(), voters: vec![c3()], needed: 1 },
    ];
    // c-1 wrote before, and has some that nobody acknowledged; c-2 is made anew, and has nothing.
    report(&mut observed, 1).phase = MemberPhase::Stuck;
    observed.pods[1].report = None;
    report(&mut observed, 3).lease_seen = LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    assert_eq!(winner(&desired, &observed).fact.winner, "c-3");
    report(&mut observed, 3).position = Some(at(0x3FF));
    let Answer::Refused(refusal) = answer(&desired, &observed) else {
        panic!("c-2 may have had a commit before 0x400")
    };
    assert_eq!(refusal.shortages.iter().map(|short| short.term).collect::<Vec<_>>(), [Term(3)]);
    assert_eq!(refusal.losses[0].bytes, 1, "it was opened at 0x400, so somebody had all before that");
}

#[test]
fn a_stale_view_of_a_lease_that_was_renewed_since_is_no_reason() {
    let (_, mut observed) = cluster(HolderState::Open);
    report(&mut observed, 2).lease_seen = LeaseSeen { version: "76".into(), stale: true, ..LeaseSeen::default() };
    assert_eq!(why(&observed), None);
}

#[test]
fn only_a_terminated_container_that_carries_the_nonce_proves_death() {
    let (_, mut observed) = cluster(HolderState::Open);
    observed.pods[0].dead_nonces = vec!["n0".into()];
    assert_eq!(why(&observed), None, "an earlier manager of that pod");
    observed.pods.remove(0);
    assert_eq!(why(&observed), None, "a vanished pod proves nothing");
    let (_, mut observed) = cluster(HolderState::Open);
    observed.pods[0].dead_nonces = vec!["n1".into()];
    assert_eq!(why(&observed), Some(Why::ProofOfDeath));
}

#[test]
fn a_dead_manager_gets_a_moment_to_come_back_and_offer_its_tail() {
    let (desired, mut observed) = cluster(HolderState::Open);
    observed.pods[0].dead_nonces = vec!["n1".into()];
    let Next::Wait { until, waiting } = next(&desired, &observed, NOW) else { panic!("must wait") };
    assert_eq!(waiting, Waiting::Members(vec!["c-1".into()]));
    assert_eq!(next(&desired, &observed, until), Next::Ask { why: Why::ProofOfDeath });
    let mut back = report(&mut observed, 1).clone();
    back.nonce = "n1b".into();
    back.phase = MemberPhase::Stuck;
    back.tail = Some(at(0x500));
    observed.pods[0].report = Some(back);
    assert_eq!(next(&desired, &observed, NOW), Next::Ask { why: Why::ProofOfDeath });
    let election = winner(&desired, &observed);
    assert_eq!(election.fact.tail.map(|tail| (tail.pod, tail.end)), Some(("c-1".into(), at(0x500))));
    assert_eq!(election.fact.winner, "c-3");
}

#[test]
fn nobody_waits_for_a_manager_that_the_kubelet_starts_later_than_that() {
    let (desired, mut observed) = cluster(HolderState::Open);
    observed.pods[0].dead_nonces = vec!["n1".into()];
    observed.pods[0].restarts_after = Some(Duration::from_secs(1));
    assert!(matches!(next(&desired, &observed, NOW), Next::Wait { waiting: Waiting::Members(_), .. }));
    observed.pods[0].restarts_after = Some(Duration::from_secs(10));
    assert_eq!(next(&desired, &observed, NOW), Next::Ask { why: Why::ProofOfDeath });
}

#[test]
fn timelines_go_before_positions_and_a_timeline_that_was_never_reserved_is_a_fork() {
    let (desired, mut observed) = cluster(HolderState::Released);
    record(&mut observed).timeline = TimelineId(2);
    report(&mut observed, 2).position = Some(WalPosition { timeline: TimelineId(2), lsn: Lsn(0x310) });
    assert_eq!(winner(&desired, &observed).fact.winner, "c-2");
    let forked = WalPosition { timeline: TimelineId(3), lsn: Lsn(0x900) };
    report(&mut observed, 3).position = Some(forked);
    let election = winner(&desired, &observed);
    assert_eq!(election.fact.winner, "c-2");
    assert!(election.rejected.contains(&("c-3".into(), Rejection::Forked(forked))));
}

#[test]
fn among_equals_the_zone_of_the_last_primary_then_the_lowest_serial_wins() {
    let (desired, mut observed) = cluster(HolderState::Released);
    report(&mut observed, 2).position = Some(at(0x400));
    assert_eq!(winner(&desired, &observed).fact.winner, "c-2");
    observed.pods[0].zone = Some("a".into());
    observed.pods[1].zone = Some("b".into());
    observed.pods[2].zone = Some("a".into());
    assert_eq!(winner(&desired, &observed).fact.winner, "c-3");
}

#[test]
fn the_last_primary_goes_back_only_if_nobody_else_can() {
    let (desired, mut observed) = cluster(HolderState::Released);
    report(&mut observed, 1).phase = MemberPhase::Released;
    report(&mut observed, 1).nonce = "n1b".into();
    assert_eq!(winner(&desired, &observed).fact.winner, "c-3");
    for serial in [2, 3] {
        report(&mut observed, serial).fresh = false;
    }
    let election = winner(&desired, &observed);
    assert_eq!((election.fact.winner.as_str(), election.may_lose), ("c-1", None));
}

#[test]
fn who_cannot_stand_is_told_why() {
    let (mut desired, mut observed) = cluster(HolderState::Released);
    observed.pods[0].deleting = true;
    report(&mut observed, 2).system_id = Some(SystemId(8));
    desired.fenced = vec!["c-3".into()];
    let Answer::Refused(refusal) = answer(&desired, &observed) else { panic!("nobody can stand") };
    assert_eq!(
        refusal.lines(),
        ["c-1 is being deleted", "c-2 holds another database system (8)", "c-3 is fenced by annotation"]
    );
}

#[test]
fn i3_nobody_is_promoted_while_an_acknowledged_commit_may_be_missing() {
    let (desired, mut observed) = cluster(HolderState::Released);
    record(&mut observed).records =
        vec![ElectableRecord { term: Term(4), writer: "i1".into(), voters: vec!["i2".into(), "i3".into()], needed: 1 }];
    assert_eq!(winner(&desired, &observed).fact.winner, "c-3", "both voters answered");
    report(&mut observed, 1).fresh = false;
    report(&mut observed, 2).fresh = false;
    let Answer::Refused(refusal) = answer(&desired, &observed) else { panic!("c-2 may have what c-3 lacks") };
    assert!(refusal.lines().contains(&"term 4 needs 1 more of [c-2], or its writer c-1".to_owned()));
}

#[test]
fn failover_delay_is_waited_for_after_a_failure_and_not_after_a_release() {
    let (mut desired, mut observed) = cluster(HolderState::Recovering);
    desired.failover_delay = Duration::from_secs(30);
    record(&mut observed).tail = Some(at(0x500));
    let until = NOW.plus(desired.failover_delay);
    assert_eq!(next(&desired, &observed, NOW), Next::Wait { until, waiting: Waiting::FailoverDelay });
    assert_eq!(next(&desired, &observed, until), Next::Ask { why: Why::Recovering });
    record(&mut observed).state = HolderState::Released;
    assert_eq!(next(&desired, &observed, NOW), Next::Ask { why: Why::Released });
}

#[test]
fn a_winner_at_work_is_not_overtaken_by_another_election() {
    let (desired, mut observed) = cluster(HolderState::Released);
    let fact = winner(&desired, &observed).fact;
    observed.status.election = Some(fact);
    observed.memory.election_since = NOW;
    assert!(matches!(next(&desired, &observed, NOW), Next::Wait { waiting: Waiting::Winner(_), .. }));
    let later = NOW.plus(Duration::from_secs(3));
    assert!(matches!(next(&desired, &observed, later), Next::Ask { .. }), "it has shown no sign of life");
    report(&mut observed, 3).phase = MemberPhase::Promoting;
    assert!(matches!(next(&desired, &observed, later), Next::Wait { .. }));
    observed.pods[2].deleting = true;
    assert!(matches!(next(&desired, &observed, NOW), Next::Ask { .. }), "the winner is going away");
}

#[test]
fn hole_13_where_nobody_who_is_left_may_take_the_lease_the_cluster_says_that_it_waits_for_the_holder() {
    let (desired, mut observed) = cluster(HolderState::Open);
    observed.pods.remove(0);
    let later = NOW.plus(Duration::from_secs(60));
    observed.memory.version_since = Some(NOW);
    assert_eq!(next(&desired, &observed, later), Next::Nothing, "those who may have yet to say that it has lapsed");
    for (pod, uid) in observed.pods.iter_mut().zip(["u2-anew", "u3-anew"]) {
        pod.uid = uid.into();
    }
    let Next::Wait { waiting: Waiting::Return(holder), .. } = next(&desired, &observed, later) else { panic!() };
    assert_eq!(holder, "c-1");
    observed.memory.version_since = Some(later);
    assert_eq!(next(&desired, &observed, later), Next::Nothing, "it has just been renewed");
}

#[test]
fn l9_by_a_lease_that_is_behind_what_a_member_has_seen_nobody_is_elected_and_a_person_is_told() {
    let later = NOW.plus(Duration::from_secs(6));
    for state in [HolderState::Open, HolderState::Recovering, HolderState::Released] {
        let (desired, mut observed) = cluster(state);
        let term = record(&mut observed).term;
        observed.memory.version_since = Some(NOW);
        report(&mut observed, 3).lease_seen.term = term.next();
        let Next::Wait { waiting, .. } = next(&desired, &observed, later) else { panic!("{state:?}") };
        assert_eq!(waiting, Waiting::WentBack { member: "c-3".to_owned(), seen: term.next(), term });
        observed.memory.version_since = Some(later);
        let told = next(&desired, &observed, later);
        assert!(!matches!(told, Next::Wait { waiting: Waiting::WentBack { .. }, .. }), "it is written still: {told:?}");
        observed.memory.version_since = Some(NOW);
        report(&mut observed, 3).lease_seen.term = term;
        let told = next(&desired, &observed, later);
        assert!(
            !matches!(told, Next::Wait { waiting: Waiting::WentBack { .. }, .. }),
            "it is as they know it: {told:?}"
        );
    }
}

#[test]
fn a_single_instance_recovers_in_place() {
    let (mut desired, mut observed) = cluster(HolderState::Recovering);
    desired.instances = 1;
    observed.pods.truncate(1);
    assert!(matches!(next(&desired, &observed, NOW), Next::Wait { waiting: Waiting::RecoversInPlace, .. }));
}

#[test]
fn a_target_set_by_hand_is_a_switchover_and_is_checked() {
    let (desired, mut observed) = cluster(HolderState::Open);
    observed.status.target_primary = Some("c-2".into());
    let Next::Ask { why } = next(&desired, &observed, NOW) else { panic!("must ask") };
    let lease = observed.lease.clone().unwrap();
    let Answer::Elected(election) = elect(&desired, &observed, &lease, &why) else { panic!("c-2 is well") };
    assert_eq!((election.fact.winner.as_str(), election.fact.reason.as_str()), ("c-2", "switchover to c-2 requested"));
    report(&mut observed, 1).position = Some(at(0x400 + MAX_SWITCHOVER_LAG));
    let Answer::Refused(refusal) = elect(&desired, &observed, &lease, &why) else { panic!("c-2 lags") };
    assert_eq!(refusal.members[0].1, Rejection::Lags(0x100 + MAX_SWITCHOVER_LAG));
}

#[test]
fn an_election_is_withdrawn_when_the_primary_turns_out_to_be_well() {
    let (desired, mut observed) = cluster(HolderState::Open);
    report(&mut observed, 2).lease_seen = LeaseSeen { version: "77".into(), stale: true, ..LeaseSeen::default() };
    let fact = winner(&desired, &observed).fact;
    observed.status.target_primary = Some(fact.winner.clone());
    observed.status.election = Some(fact);
    observed.lease.as_mut().unwrap().version = "78".into();
    assert!(matches!(next(&desired, &observed, NOW), Next::Cancel { holder, .. } if holder == "c-1"));
}

#[test]
fn nothing_takes_the_place_of_a_fenced_primary() {
    let (mut desired, observed) = cluster(HolderState::Released);
    desired.fenced = vec!["c-1".into()];
    assert!(matches!(answer(&desired, &observed), Answer::Refused(refusal) if refusal.reason.contains("fenced")));
}

#[test]
fn a_refusal_says_what_forcing_somebody_would_lose() {
    let (desired, mut observed) = cluster(HolderState::Released);
    record(&mut observed).tail = Some(at(0x500));
    let voters = vec!["i2".into(), "i3".into()];
    record(&mut observed).records = vec![ElectableRecord { term: Term(4), writer: "i1".into(), voters, needed: 1 }];
    observed.pods[0].report = None;
    report(&mut observed, 3).fresh = false;
    report(&mut observed, 2).fence = Term(4);
    let Answer::Refused(refusal) = answer(&desired, &observed) else { panic!("nobody may be elected") };
    let lines = refusal.lines();
    assert!(lines.iter().any(|line| line.starts_with("c-3 does not answer")), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("forcing it loses 512 bytes or more")), "{lines:?}");
}
