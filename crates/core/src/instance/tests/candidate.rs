//! From an election won to a primary.

use super::super::*;
use super::bench::*;
use crate::identity::{Nonce, PodUid};
use crate::lease::{ElectableRecord, HolderState, LeaseRecord, Term, released};
use crate::timeline::TimelineId;
use core::time::Duration;

fn elected() -> ClusterView {
    ClusterView { election: Some(election("c-2", None)), ..cluster() }
}

#[test]
fn a_winner_gathers_the_tail_has_it_confirmed_takes_promotes_opens_and_announces() {
    let (mut bench, said) = Bench::candidate(HolderState::Recovering, Some(wal(2, 300)));
    assert_eq!(said, ["GateClients(true)", "AwaitPosition 0/12C on timeline 2"]);
    assert_eq!(bench.done(), ["ConfirmTail c-1 term 4"]);
    let said = bench.answer(Outcome::Released("11b".to_owned()));
    assert_eq!(said, ["PutLease over 11b: Promoting, term 5, timeline 3"]);
    let takers = bench.put.as_ref().map(|(_, _, record)| record.takers.clone());
    assert_eq!(takers, Some(vec![PodUid::from("uid-c-3")]));
    let said = bench.stored();
    assert_eq!(said, ["ArmWatchdog in 5000 ms", "Promote 3", "Archive Unchecked", "UseTail none"]);
    let said = bench.answer(Outcome::Promoted(TimelineId(3), None));
    assert_eq!(said, ["GateClients(false)", "ProveWritePath", "Archive Primary"], "only now that it is checked (I2)");
    assert_eq!(bench.proven(), ["PutLease over 12: Open, term 5, timeline 3"]);
    assert_eq!(bench.stored(), ["AnnouncePrimary 3"]);
    assert_eq!(*bench.machine.phase(), Phase::Primary);
}

#[test]
fn a_holder_that_does_not_release_yet_is_asked_again_soon() {
    let (mut bench, _) = Bench::candidate(HolderState::Recovering, Some(wal(2, 300)));
    bench.done();
    assert!(bench.fails().is_empty());
    assert_eq!(bench.after(Duration::from_millis(100)), ["ConfirmTail c-1 term 4"]);
}

#[test]
fn a_released_lease_is_taken_as_soon_as_the_wal_is_here() {
    let (mut bench, said) = Bench::candidate(HolderState::Released, None);
    assert_eq!(said, ["GateClients(true)", "AwaitPosition 0/64 on timeline 2"]);
    assert_eq!(bench.done(), ["PutLease over 11: Promoting, term 5, timeline 3"]);
}

#[test]
fn a_take_that_finds_no_lease_is_sent_again_after_a_pause_and_not_at_every_answer() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    assert!(bench.put_answered(Outcome::NotFound).is_empty());
    assert!(bench.after(Duration::from_millis(499)).is_empty());
    assert_eq!(bench.after(Duration::from_millis(1)), ["PutLease over 11: Promoting, term 5, timeline 3"]);
}

#[test]
fn a_silent_holders_lease_is_taken_when_it_has_lapsed_and_not_before() {
    let (mut bench, _) = Bench::candidate(HolderState::Open, None);
    assert_eq!(bench.done(), ["LookForProof c-1 nonce-c-1"]);
    assert!(bench.answer(Outcome::NotFound).is_empty());
    assert_eq!(bench.after(Duration::from_millis(7999)), ["LookForProof c-1 nonce-c-1"]);
    bench.answer(Outcome::NotFound);
    let said = bench.after(Duration::from_millis(100));
    assert_eq!(said, ["GateClients(true)", "PutLease over 11: Promoting, term 5, timeline 3"]);
}

#[test]
fn a_proof_of_death_found_by_looking_or_by_watching_saves_the_wait() {
    let (mut bench, _) = Bench::candidate(HolderState::Open, None);
    bench.done();
    assert_eq!(bench.done(), ["GateClients(true)", "PutLease over 11: Promoting, term 5, timeline 3"]);
    let (mut bench, _) = Bench::candidate(HolderState::Open, None);
    bench.tell(Event::DeathsSeen(vec![Nonce::from("nonce-c-1")]));
    assert_eq!(bench.done(), ["GateClients(true)", "PutLease over 11: Promoting, term 5, timeline 3"]);
}

#[test]
fn a_take_that_conflicts_with_another_take_ends_the_candidacy() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    let other = LeaseRecord { term: Term(5), timeline: TimelineId(3), ..held("c-3", HolderState::Promoting) };
    assert_eq!(bench.put_conflicted(other), ["GateClients(false)"]);
    assert!(matches!(bench.machine.phase(), Phase::Standby(_)));
}

#[test]
fn a_conflict_that_the_watch_has_overtaken_takes_no_later_version_back() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    let other = LeaseRecord { term: Term(5), timeline: TimelineId(3), ..held("c-3", HolderState::Promoting) };
    bench.see(other.clone());
    bench.see(released(&other, None));
    assert_eq!(bench.put_conflicted(other), ["GateClients(false)"]);
    let lease = bench.machine.lease().expect("a lease");
    assert_eq!(lease.value.state, HolderState::Released, "no other word of it need come");
}

#[test]
fn a_take_that_conflicts_starts_over_from_the_version_it_ran_into() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    let said = bench.put_conflicted(held("c-1", HolderState::Released));
    assert_eq!(said, ["PutLease over 12: Promoting, term 5, timeline 3"]);
    let said = bench.put_conflicted(held("c-1", HolderState::Open));
    assert_eq!(said, ["GateClients(false)"], "not what it was elected from (E5)");
}

#[test]
fn an_election_given_up_is_not_run_for_again_before_a_pause() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    assert_eq!(bench.fails(), ["GateClients(false)"]);
    assert!(matches!(bench.machine.phase(), Phase::Standby(_)));
    assert!(bench.after(Duration::from_millis(1999)).is_empty());
    assert_eq!(bench.after(Duration::from_millis(1)), ["GateClients(true)", "AwaitPosition 0/64 on timeline 2"]);
}

#[test]
fn a_tail_that_does_not_come_ends_the_candidacy_after_its_bound() {
    let (mut bench, _) = Bench::candidate(HolderState::Recovering, Some(wal(2, 300)));
    bench.after(Duration::from_millis(9900));
    assert!(matches!(bench.machine.phase(), Phase::Candidate(_)));
    bench.after(Duration::from_millis(100));
    assert!(matches!(bench.machine.phase(), Phase::Standby(_)));
}

#[test]
fn the_wal_of_a_holder_that_was_heard_beside_its_lapsed_lease_is_waited_for_a_moment_and_then_done_without() {
    let lapses = Duration::from_secs(8);
    let heard = ClusterView { election: Some(election("c-2", Some(wal(2, 300)))), ..cluster() };
    let elected = |lease: LeaseRecord| {
        let mut bench = Bench::standby();
        bench.see(lease);
        bench.after(lapses);
        let said = bench.tell(Event::ClusterSeen(heard.clone()));
        assert_eq!(said, ["AwaitPosition 0/12C on timeline 2", "UseTail c-1"]);
        bench
    };
    let take = ["GateClients(true)", "PutLease over 11: Promoting, term 5, timeline 3"];
    assert_eq!(elected(held("c-1", HolderState::Open)).done(), take, "at once, where it comes");
    let mut bench = elected(held("c-1", HolderState::Open));
    assert!(bench.after(Duration::from_millis(2900)).is_empty());
    assert_eq!(bench.after(Duration::from_millis(100)), take);
    let record = ElectableRecord { term: Term(4), writer: "i-c-1".into(), voters: Vec::new(), needed: 0 };
    let mut bench = elected(LeaseRecord { records: vec![record], ..held("c-1", HolderState::Open) });
    assert!(bench.after(Duration::from_millis(3000)).is_empty(), "it may have been acknowledged by who is on record");
}

#[test]
fn an_election_of_another_term_or_holder_is_void() {
    let mut bench = Bench::standby();
    bench.see(LeaseRecord { term: Term(5), ..held("c-1", HolderState::Released) });
    assert!(bench.tell(Event::ClusterSeen(elected())).is_empty());
    let mut bench = Bench::standby();
    bench.see(held("c-3", HolderState::Released));
    assert!(bench.tell(Event::ClusterSeen(elected())).is_empty());
}

#[test]
fn another_timeline_than_the_reserved_one_is_killed_and_the_lease_given_back() {
    let mut bench = Bench::promoting();
    assert_eq!(bench.answer(Outcome::Promoted(TimelineId(4), None)), ["KillEverything", "Archive Stopping"]);
    assert!(!bench.holds());
    let said = bench.done();
    assert!(said.contains(&"GateClients(false)".to_owned()), "no sooner than its postgres is gone: {said:?}");
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(4, 400))));
    assert_eq!(said, ["PutLease over 12: Released, term 5, timeline 3"]);
    bench.stored();
    assert!(bench.after(Duration::from_secs(60)).is_empty(), "a timeline that nobody reserved is never opened");
}

#[test]
fn a_promotion_that_fails_leaves_a_standby_that_gives_the_lease_back() {
    let mut bench = Bench::promoting();
    assert_eq!(bench.fails(), ["KillEverything", "Archive Stopping"]);
    assert_eq!(bench.done(), ["DisarmWatchdog", "GateClients(false)", "InspectVolume", "Archive Standby"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100))));
    assert_eq!(said, ["StartPostgres Standby", "PutLease over 12: Released, term 5, timeline 3"]);
}

#[test]
fn postgres_dying_before_it_is_promoted_ends_the_attempt_and_gives_the_lease_back() {
    let mut bench = Bench::promoting();
    assert_eq!(bench.tell(Event::PostgresExited("signal 9".to_owned()))[0], "KillEverything");
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100))));
    assert_eq!(said, ["KillEverything"]);
    assert!(!bench.holds());
    assert!(bench.done().contains(&"PutLease over 12: Released, term 5, timeline 3".to_owned()));
}

#[test]
fn postgres_dying_just_after_it_was_promoted_has_a_tail_as_any_primary() {
    let mut bench = Bench::promoting();
    bench.answer(Outcome::Promoted(TimelineId(3), None));
    assert_eq!(bench.tell(Event::PostgresExited("signal 9".to_owned()))[0], "KillEverything");
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 101))));
    assert!(bench.holds());
    assert_eq!(bench.machine.report(bench.now).tail, Some(wal(3, 101)));
}
