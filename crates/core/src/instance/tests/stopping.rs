//! SIGTERM, in whatever phase it comes: never a holder left behind that could have released.

use super::super::*;
use super::bench::*;
use crate::lease::{HolderState, LeaseRecord, Term};
use core::time::Duration;

fn sigterm(bench: &mut Bench) -> Vec<String> {
    bench.tell(Event::TerminationRequested)
}

#[test]
fn a_primary_with_an_electable_standby_stops_fast_releases_and_leaves() {
    let mut bench = Bench::primary();
    assert_eq!(sigterm(&mut bench), ["StopPostgres smart none fast 1800 within 1800", "Archive Stopping"]);
    bench.done();
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said, ["DisarmWatchdog", "PutLease over 13: Released, term 5, timeline 3"]);
    assert_eq!(bench.stored().len(), 2, "it offers its WAL still");
    assert!(bench.after(Duration::from_millis(2999)).is_empty());
    assert_eq!(bench.after(Duration::from_millis(1))[0], "KillEverything");
    assert_eq!(bench.done(), ["Exit(0)"]);
}

#[test]
fn a_primary_that_nobody_can_follow_up_gives_its_clients_a_smart_phase() {
    let mut bench = Bench::primary();
    bench.tell(Event::PeersSeen(vec![]));
    assert_eq!(sigterm(&mut bench)[0], "StopPostgres smart 180 fast 1800 within 1800");
}

#[test]
fn a_release_without_an_answer_does_not_keep_the_pod() {
    let mut bench = Bench::primary();
    sigterm(&mut bench);
    bench.done();
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(bench.put_unanswered(), ["KillEverything"]);
}

#[test]
fn a_standby_stops_and_leaves() {
    let mut bench = Bench::standby();
    assert_eq!(sigterm(&mut bench), ["StopPostgres smart none fast 20 within 1800", "Archive Stopping"]);
    assert_eq!(bench.done(), ["KillEverything"]);
    assert_eq!(bench.done(), ["Exit(0)"]);
}

#[test]
fn a_candidate_gives_its_candidacy_up_and_a_take_that_arrives_then_is_given_back() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    assert_eq!(sigterm(&mut bench), ["StopPostgres smart none fast 20 within 1800", "Archive Stopping"]);
    let said = bench.stored();
    assert_eq!(said, ["PutLease over 12: Released, term 5, timeline 3"]);
    assert!(!bench.holds());
}

#[test]
fn a_promotion_is_broken_off() {
    let mut bench = Bench::promoting();
    assert_eq!(sigterm(&mut bench), ["KillEverything", "Archive Stopping"]);
    assert_eq!(bench.done(), ["DisarmWatchdog", "Exit(0)"]);
}

#[test]
fn a_crashed_holder_releases_with_its_tail_before_it_leaves() {
    let mut bench = Bench::primary();
    bench.tell(Event::PostgresExited("signal 9".to_owned()));
    assert!(sigterm(&mut bench).is_empty(), "the kill comes to its end first");
    assert_eq!(bench.done(), ["ArmWatchdog in 5000 ms", "InspectVolume"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said, ["DisarmWatchdog", "PutLease over 13: Released, term 5, timeline 3"]);
    assert_eq!(bench.put.as_ref().and_then(|(_, _, record)| record.tail), Some(wal(3, 600)));
    bench.stored();
    let taken = LeaseRecord { term: Term(6), ..held("c-3", HolderState::Promoting) };
    assert_eq!(bench.see(taken)[0], "KillEverything");
    assert_eq!(bench.done(), ["Exit(0)"]);
}

#[test]
fn a_recovery_in_place_is_broken_off_and_the_lease_released_after_the_kill() {
    let mut bench = Bench::primary();
    bench.tell(Event::PeersSeen(vec![]));
    bench.tell(Event::PostgresExited("signal 9".to_owned()));
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(sigterm(&mut bench), ["KillEverything", "Archive Stopping"]);
    assert_eq!(bench.done(), ["ArmWatchdog in 5000 ms", "InspectVolume"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said[1], "PutLease over 13: Released, term 5, timeline 3");
}

#[test]
fn whoever_waits_leaves_at_once() {
    let (mut bench, _) = Bench::started("c-1", cluster(), held("c-2", HolderState::Released), Volume::Empty);
    assert_eq!(sigterm(&mut bench)[0], "Exit(0)");
}

#[test]
fn a_clone_and_a_rejoin_are_broken_off() {
    let open = held("c-1", HolderState::Open);
    for volume in [Volume::Empty, data(DataRole::Primary, wal(1, 100))] {
        let (mut bench, _) = Bench::started("c-2", cluster(), open.clone(), volume);
        assert_eq!(sigterm(&mut bench), ["KillEverything", "Archive Stopping"]);
        assert_eq!(bench.done(), ["Exit(0)"]);
    }
}

#[test]
fn an_initialisation_is_broken_off() {
    let view = ClusterView { system_id: None, ..cluster() };
    let (mut bench, _) = Bench::started("c-1", view, LeaseRecord::default(), Volume::Empty);
    assert_eq!(sigterm(&mut bench), ["KillEverything", "Archive Stopping"]);
    assert_eq!(bench.done(), ["Exit(0)"]);
}

#[test]
fn who_offers_its_tail_leaves() {
    let (mut bench, _) =
        Bench::started("c-1", cluster(), held("c-2", HolderState::Released), data(DataRole::Primary, wal(2, 100)));
    assert_eq!(sigterm(&mut bench)[0], "KillEverything");
    assert_eq!(bench.done(), ["Exit(0)"]);
}

#[test]
fn a_handover_that_a_sigterm_meets_ends_in_leaving() {
    let mut bench = Bench::primary();
    let election = crate::cluster::ElectionFact {
        holder_nonce: "nonce-c-2".into(),
        term: crate::lease::Term(5),
        ..election("c-3", None)
    };
    bench.tell(Event::ClusterSeen(ClusterView { election: Some(election), ..cluster() }));
    assert_eq!(sigterm(&mut bench), ["StopPostgres smart none fast 1800 within 1800"], "it has no hour any more");
    assert_eq!(bench.done(), ["KillEverything"]);
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    bench.stored();
    let taken = LeaseRecord { term: Term(6), ..held("c-3", HolderState::Promoting) };
    assert_eq!(bench.see(taken)[0], "KillEverything");
    assert_eq!(bench.done(), ["Exit(0)"]);
}

#[test]
fn a_deadline_that_passes_while_it_stops_kills_and_leaves() {
    let mut bench = Bench::primary();
    sigterm(&mut bench);
    assert_eq!(bench.after(Duration::from_secs(5)), ["KillEverything"]);
    assert_eq!(bench.done(), ["DisarmWatchdog", "Exit(0)"]);
}

#[test]
fn a_restart_in_place_that_a_sigterm_meets_ends_in_leaving() {
    let mut bench = Bench::primary();
    let restart = crate::cluster::RestartFact { nonce: "nonce-c-2".into(), ..Default::default() };
    let said = bench.tell(Event::ClusterSeen(ClusterView { restart: Some(restart), ..cluster() }));
    assert_eq!(said[0], "StopPostgres smart none fast 3600");
    let earlier = bench.op;
    assert_eq!(sigterm(&mut bench), ["StopPostgres smart none fast 1800 within 1800"]);
    assert!(bench.tell(Event::Finished(earlier, Outcome::Done)).is_empty(), "the later of the two counts");
    assert_eq!(bench.done(), ["KillEverything"]);
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said[1], "PutLease over 13: Released, term 5, timeline 3");
}

#[test]
fn the_default_smart_phase_of_a_single_instance_is_no_longer_than_its_pods_grace_lets_it() {
    let mut bench = Bench::primary();
    bench.tell(Event::PeersSeen(vec![]));
    bench.tell(Event::ClusterSeen(ClusterView { stop_delay: Duration::from_secs(60), ..cluster() }));
    let commands = bench.machine.handle(Event::TerminationRequested, bench.now);
    let stop = commands.iter().find_map(|command| match command {
        Command::StopPostgres(_, stop) => Some(*stop),
        _ => None,
    });
    let stop = stop.expect("a stop");
    assert_eq!(stop.bound(StopPhase::Smart, Duration::ZERO), None);
    assert_eq!(stop.bound(StopPhase::Fast, Duration::ZERO), Some(Duration::from_secs(50)));
}
