//! Answers that were lost, takes that came too late, and leases in one's own name.

use super::super::*;
use super::bench::*;
use crate::lease::{HolderState, LeaseRecord, Term, Versioned};
use crate::timeline::TimelineId;
use core::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// c-2 has sent its take, and had no answer.
fn unanswered() -> (Bench, LeaseRecord) {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    let (_, _, record) = bench.put.clone().expect("a take");
    assert!(bench.put_unanswered().is_empty());
    (bench, record)
}

#[test]
fn ones_own_take_is_recognised_by_its_attempt_when_the_answer_was_lost() {
    let (mut bench, record) = unanswered();
    bench.now = bench.now.plus(MS(300));
    let said = bench.see(record);
    assert_eq!(said[..2], ["ArmWatchdog in 4700 ms", "Promote 3"]);
}

#[test]
fn it_is_recognised_too_when_the_watch_was_faster_than_the_loss_of_the_answer() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    let (_, _, record) = bench.put.clone().expect("a take");
    assert!(bench.see(record).is_empty());
    assert_eq!(bench.put_unanswered()[1], "Promote 3");
}

#[test]
fn an_unanswered_take_is_sent_again_as_the_same_attempt_and_keeps_its_first_deadline() {
    let (mut bench, record) = unanswered();
    assert_eq!(bench.after(MS(500)), ["PutLease over 11: Promoting, term 5, timeline 3"]);
    assert_eq!(bench.put.as_ref().map(|(_, _, again)| again.clone()), Some(record.clone()));
    let said = bench.put_conflicted(record);
    assert_eq!(said[..2], ["ArmWatchdog in 4500 ms", "Promote 3"]);
}

#[test]
fn a_take_that_never_arrived_ends_with_its_deadline_and_another_attempt_is_made() {
    let (mut bench, first) = unanswered();
    for _ in 0..9 {
        bench.after(MS(500));
        bench.put_unanswered();
    }
    assert_eq!(bench.after(MS(500)), ["PutLease over 11: Promoting, term 5, timeline 3"]);
    let (_, _, second) = bench.put.clone().expect("a take");
    assert_ne!(second.attempt, first.attempt);
    let other = LeaseRecord { term: Term(5), timeline: TimelineId(3), ..held("c-3", HolderState::Open) };
    assert!(bench.see(other).is_empty(), "a take is under way");
    assert_eq!(bench.put_unanswered(), ["GateClients(false)", "Follow c-3"]);
}

#[test]
fn a_take_that_lost_to_another_is_not_waited_for() {
    let (mut bench, _) = unanswered();
    let other = LeaseRecord { term: Term(5), timeline: TimelineId(3), ..held("c-3", HolderState::Open) };
    assert_eq!(bench.see(other), ["GateClients(false)", "Follow c-3"]);
}

#[test]
fn a_take_answered_after_postgres_died_is_given_back_and_never_held_by_a_standby() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    assert_eq!(bench.tell(Event::PostgresExited("signal 9".to_owned())), ["KillEverything", "Archive Stopping"]);
    bench.stored();
    let said = bench.done();
    assert!(said.contains(&"PutLease over 12: Released, term 5, timeline 3".to_owned()), "{said:?}");
    assert!(!bench.holds());
}

#[test]
fn an_instance_that_was_cut_off_takes_its_own_lease_back_when_it_can() {
    let mut bench = Bench::primary();
    bench.tell(Event::PeersSeen(vec![]));
    bench.after(MS(5000));
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 500))));
    assert_eq!(said, ["PutLease over 13: Recovering, term 6, timeline 3", "OfferTail 0/1F4 on timeline 3"]);
    let said = bench.stored();
    assert_eq!(said[..2], ["ArmWatchdog in 5000 ms", "StartPostgres Primary"]);
}

#[test]
fn a_release_that_ran_into_ones_own_renewal_is_sent_over_that() {
    let mut bench = Bench::primary();
    bench.tell(Event::TerminationRequested);
    bench.done();
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 500))));
    let own = LeaseRecord { term: Term(5), timeline: TimelineId(3), ..held("c-2", HolderState::Open) };
    assert_eq!(bench.put_conflicted(own), ["PutLease over 14: Released, term 5, timeline 3"]);
    bench.stored();
    assert_eq!(*bench.machine.phase(), Phase::Offering(wal(3, 500)));
}

#[test]
fn a_release_that_ran_into_anothers_take_is_done_with() {
    let mut bench = Bench::primary();
    bench.tell(Event::TerminationRequested);
    bench.done();
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 500))));
    let other = LeaseRecord { term: Term(6), timeline: TimelineId(4), ..held("c-3", HolderState::Promoting) };
    assert_eq!(bench.put_conflicted(other), ["KillEverything"]);
}

#[test]
fn an_answer_to_an_earlier_command_is_void() {
    let mut bench = Bench::standby();
    let before = bench.machine.phase().clone();
    assert!(bench.tell(Event::Finished(Op(1), Outcome::Promoted(TimelineId(9), None))).is_empty());
    assert_eq!(*bench.machine.phase(), before);
}

#[test]
fn a_doubled_event_changes_nothing() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    assert!(!bench.done().is_empty());
    assert!(bench.done().is_empty());
    let lease = Versioned { version: "11".to_owned(), value: held("c-1", HolderState::Released) };
    assert!(bench.tell(Event::LeaseSeen(lease)).is_empty());
}
