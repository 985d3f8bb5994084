//! A holder whose postgres died: the tail is handed over, or it goes on in place (protocol, section 6; L6).

use super::super::*;
use super::bench::*;
use crate::cluster::ElectionFact;
use crate::identity::{Nonce, PodUid};
use crate::lease::{HolderState, LeaseRecord, Term};
use crate::timeline::TimelineId;
use core::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// c-2, primary of term 5 on timeline 3, has crashed at 500 and said so.
fn offering() -> Bench {
    let mut bench = Bench::primary();
    assert_eq!(bench.tell(Event::PostgresExited("signal 9".to_owned())), ["KillEverything", "Archive Stopping"]);
    assert_eq!(bench.done(), ["ArmWatchdog in 5000 ms", "InspectVolume"], "the watchdog was killed with the rest");
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 500))));
    assert_eq!(said, ["ProveWritePath", "OfferTail 0/1F4 on timeline 3"]);
    assert_eq!(bench.proven(), ["PutLease over 13: Recovering, term 5, timeline 3"]);
    assert_eq!(bench.stored().len(), 0);
    bench
}

fn confirm(bench: &mut Bench, term: u64, lsn: u64) -> Vec<String> {
    let call = TailCall { term: Term(term), position: wal(3, lsn), candidate: "c-3".to_owned() };
    bench.tell(Event::TailConfirmed(Op(900), call))
}

fn elected(winner: &str) -> ElectionFact {
    ElectionFact {
        holder_nonce: Nonce::from("nonce-c-2"),
        term: Term(5),
        winner_pod_uid: PodUid(format!("uid-{winner}")),
        ..election(winner, None)
    }
}

#[test]
fn the_lease_is_released_only_when_a_candidate_has_the_tail_and_no_process_is_left() {
    let mut bench = offering();
    assert_eq!(confirm(&mut bench, 5, 500), ["DisarmWatchdog", "PutLease over 14: Released, term 5, timeline 3"]);
    assert!(!bench.holds(), "from the moment of sending, not a holder");
    assert_eq!(bench.stored(), ["AnswerTail Ok(\"15\")", "Archive Standby"]);
    assert_eq!(*bench.machine.phase(), Phase::Offering(wal(3, 500)));
}

#[test]
fn a_confirmation_before_everything_is_dead_and_read_is_refused() {
    let mut bench = Bench::primary();
    bench.tell(Event::PostgresExited("signal 9".to_owned()));
    assert!(confirm(&mut bench, 5, 500)[0].contains("offers no tail"));
    bench.done();
    assert!(confirm(&mut bench, 5, 500)[0].contains("offers no tail"));
    assert!(bench.holds());
}

#[test]
fn a_confirmation_of_another_term_or_of_less_wal_or_during_a_renewal_is_refused() {
    let mut bench = offering();
    assert!(confirm(&mut bench, 4, 500)[0].contains("another term"));
    assert!(confirm(&mut bench, 5, 499)[0].contains("lacks WAL"));
    bench.after(MS(2000));
    bench.proven();
    assert!(confirm(&mut bench, 5, 500)[0].contains("ask again"));
    assert!(bench.holds());
}

#[test]
fn a_kill_that_fails_is_no_ground_for_a_release() {
    let mut bench = Bench::primary();
    bench.tell(Event::PostgresExited("signal 9".to_owned()));
    assert_eq!(bench.fails().last().map(String::as_str), Some("KillEverything"));
    assert!(!bench.holds());
    assert_eq!(bench.fails().last().map(String::as_str), Some("KillEverything"));
    assert!(bench.put.is_none());
}

#[test]
fn when_nobody_confirms_it_recovers_in_place_and_opens_with_another_term() {
    let mut bench = offering();
    bench.after(MS(2000));
    bench.proven();
    bench.stored();
    assert!(bench.after(MS(999)).is_empty());
    assert_eq!(bench.after(MS(1)), ["StartPostgres Primary", "Archive Primary", "OfferTail none"]);
    assert_eq!(bench.done(), ["ProveWritePath"]);
    assert_eq!(bench.proven(), ["PutLease over 15: Open, term 6, timeline 3"]);
    assert_eq!(bench.stored(), ["ArmWatchdog in 5000 ms", "AnnouncePrimary 3"]);
}

#[test]
fn a_winner_that_is_on_its_way_is_given_longer() {
    let mut bench = offering();
    bench.tell(Event::ClusterSeen(ClusterView { election: Some(elected("c-3")), ..cluster() }));
    let mut waited = 0;
    while !bench.after(MS(100)).contains(&"StartPostgres Primary".to_owned()) {
        waited += 100;
        if bench.put.is_none() && waited % 2000 == 0 {
            bench.proven();
            bench.stored();
        }
        assert!(waited < 20_000);
    }
    assert!(waited >= 9_900, "only {waited} ms");
}

#[test]
fn alone_it_goes_on_in_place_at_once() {
    let mut bench = Bench::primary();
    bench.tell(Event::PeersSeen(vec![peer("c-1", false), peer("c-3", false)]));
    bench.tell(Event::PostgresExited("signal 9".to_owned()));
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 500))));
    assert_eq!(said, ["StartPostgres Primary", "Archive Primary"]);
    // A later term, or a renewal that is still on its way could say `recovering` of an open primary.
    assert_eq!(bench.done(), ["ProveWritePath"]);
    assert_eq!(bench.proven(), ["PutLease over 13: Open, term 6, timeline 3"]);
    assert_eq!(bench.stored(), ["AnnouncePrimary 3"]);
}

#[test]
fn a_start_in_place_that_fails_gives_the_lease_to_others_and_tries_again_later() {
    let mut bench = Bench::primary();
    bench.tell(Event::PeersSeen(vec![]));
    bench.tell(Event::PostgresExited("signal 9".to_owned()));
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 500))));
    assert_eq!(bench.fails(), ["KillEverything", "Archive Stopping"]);
    assert!(!bench.holds());
    assert_eq!(bench.done(), ["DisarmWatchdog", "PutLease over 13: Released, term 5, timeline 3", "Archive Standby"]);
    bench.stored();
    assert_eq!(bench.after(MS(1000)), ["InspectVolume"]);
}

#[test]
fn losing_the_lease_while_it_recovers_kills() {
    let mut bench = offering();
    let other = LeaseRecord { term: Term(6), ..held("c-3", HolderState::Promoting) };
    assert_eq!(bench.see(other), ["KillEverything", "OfferTail none"]);
    assert!(!bench.holds());
}

#[test]
fn after_the_release_it_offers_its_wal_until_the_next_primary_is_open_and_rejoins_that() {
    let mut bench = offering();
    confirm(&mut bench, 5, 500);
    bench.stored();
    let next = LeaseRecord { term: Term(6), timeline: TimelineId(4), ..held("c-3", HolderState::Promoting) };
    assert!(bench.see(next.clone()).is_empty());
    let open = LeaseRecord { state: HolderState::Open, ..next };
    assert_eq!(bench.see(open), ["Rejoin c-3", "OfferTail none"]);
}

#[test]
fn elected_itself_it_does_not_wait_for_others() {
    let mut bench = offering();
    let said = bench.tell(Event::ClusterSeen(ClusterView { election: Some(elected("c-2")), ..cluster() }));
    assert_eq!(said, ["StartPostgres Primary", "Archive Primary", "OfferTail none"]);
}
