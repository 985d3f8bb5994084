//! Handing over on request.

use super::super::*;
use super::bench::*;
use crate::cluster::ElectionFact;
use crate::identity::Nonce;
use crate::lease::{HolderState, LeaseRecord, Term};
use crate::timeline::TimelineId;
use core::time::Duration;

fn switchover(smart: Option<u64>) -> ClusterView {
    let election = ElectionFact { holder_nonce: Nonce::from("nonce-c-2"), term: Term(5), ..election("c-3", None) };
    ClusterView { election: Some(election), smart_shutdown: smart.map(Duration::from_secs), ..cluster() }
}

#[test]
fn a_switchover_ends_postgres_at_once_after_a_checkpoint_and_releases_with_the_end_of_wal() {
    let mut bench = Bench::primary();
    let said = bench.tell(Event::ClusterSeen(switchover(None)));
    assert_eq!(said, ["StopPostgres smart none fast none", "Archive Stopping"]);
    assert_eq!(bench.done(), ["KillEverything"]);
    assert_eq!(bench.done(), ["ArmWatchdog in 5000 ms", "InspectVolume"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said, ["DisarmWatchdog", "PutLease over 13: Released, term 5, timeline 3"]);
    assert_eq!(bench.put.as_ref().and_then(|(_, _, record)| record.tail), Some(wal(3, 600)));
    assert_eq!(bench.stored(), ["Archive Standby", "OfferTail 0/258 on timeline 3"]);
}

#[test]
fn l9_an_answer_to_the_release_that_the_next_take_has_overtaken_is_no_lease_that_went_back() {
    let mut bench = Bench::primary();
    bench.tell(Event::ClusterSeen(switchover(None)));
    bench.done();
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    let taken = LeaseRecord { term: Term(6), timeline: TimelineId(4), ..held("c-3", HolderState::Promoting) };
    bench.see(taken);
    bench.stored();
    assert_eq!(bench.machine.report(bench.now).message, "");
    let asked = bench.tell(Event::FenceRequested(Op(9), FenceCall { term: Term(6) }));
    assert!(asked[0].starts_with("Fence"), "it can be elected when the next primary dies at once: {asked:?}");
}

#[test]
fn a_smart_phase_that_the_user_asked_for_is_kept() {
    let mut bench = Bench::primary();
    let said = bench.tell(Event::ClusterSeen(switchover(Some(60))));
    assert_eq!(said[0], "StopPostgres smart 60 fast none");
}

#[test]
fn the_lease_is_renewed_while_postgres_stops() {
    let mut bench = Bench::primary();
    bench.tell(Event::ClusterSeen(switchover(None)));
    assert_eq!(bench.after(Duration::from_secs(2)), ["ProveWritePath"]);
    assert_eq!(bench.proven(), ["PutLease over 13: Open, term 5, timeline 3"]);
}

#[test]
fn a_stop_that_fails_is_followed_by_the_same_kill() {
    let mut bench = Bench::primary();
    bench.tell(Event::ClusterSeen(switchover(None)));
    assert_eq!(bench.fails(), ["KillEverything"]);
}

#[test]
fn a_release_waits_for_a_renewal_that_is_under_way() {
    let mut bench = Bench::primary();
    bench.tell(Event::ClusterSeen(switchover(None)));
    bench.after(Duration::from_secs(2));
    bench.proven();
    bench.done();
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said, ["InspectVolume"]);
    bench.stored();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said, ["DisarmWatchdog", "PutLease over 14: Released, term 5, timeline 3"]);
}

#[test]
fn who_handed_over_and_is_elected_again_goes_on_in_place() {
    let mut bench = Bench::primary();
    bench.tell(Event::ClusterSeen(switchover(None)));
    bench.done();
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    bench.stored();
    let mut again = switchover(None);
    again.election = again.election.map(|e| ElectionFact { winner_pod_uid: "uid-c-2".into(), ..e });
    assert_eq!(bench.tell(Event::ClusterSeen(again)), ["PutLease over 14: Recovering, term 6, timeline 3"]);
}

#[test]
fn the_election_that_made_it_primary_does_not_make_it_hand_over() {
    let mut bench = Bench::primary();
    assert!(bench.after(Duration::from_millis(100)).is_empty());
    let record = LeaseRecord { term: Term(5), ..held("c-2", HolderState::Open) };
    assert!(bench.see(record).is_empty());
}

/// c-2, elected by a request while c-1 is open.
fn asked_for() -> Bench {
    let mut bench = Bench::standby();
    let reason = crate::election::Why::Switchover { target: "c-2".to_owned() }.to_string();
    let election = ElectionFact { lease_version: "10".to_owned(), reason, ..election("c-2", None) };
    let said = bench.tell(Event::ClusterSeen(ClusterView { election: Some(election), ..cluster() }));
    assert_eq!(said, ["AwaitPosition 0/64 on timeline 2"]);
    assert!(bench.done().is_empty(), "it waits for the release");
    bench
}

#[test]
fn the_winner_of_a_switchover_has_the_shutdown_checkpoint_before_it_takes() {
    let mut bench = asked_for();
    let released = LeaseRecord { tail: Some(wal(2, 300)), ..held("c-1", HolderState::Released) };
    assert_eq!(bench.see(released), ["GateClients(true)", "AwaitPosition 0/12C on timeline 2", "UseTail c-1"]);
    assert_eq!(bench.done(), ["PutLease over 11: Promoting, term 5, timeline 3"]);
}

#[test]
fn the_winner_of_a_switchover_does_not_take_from_a_dead_or_silent_primary() {
    let mut bench = asked_for();
    assert!(bench.tell(Event::DeathsSeen(vec![Nonce::from("nonce-c-1")])).is_empty());
    assert!(bench.after(Duration::from_secs(9)).is_empty(), "what it knows is older than the end of that WAL");
}

#[test]
fn who_did_not_get_the_wal_is_not_elected_again_at_once() {
    let mut bench = asked_for();
    bench.see(LeaseRecord { tail: Some(wal(2, 300)), ..held("c-1", HolderState::Released) });
    bench.fails();
    assert_eq!(bench.machine.report(bench.now).phase, crate::cluster::MemberPhase::Stuck);
    bench.after(Duration::from_secs(2));
    assert_eq!(bench.machine.report(bench.now).phase, crate::cluster::MemberPhase::Candidate);
}
