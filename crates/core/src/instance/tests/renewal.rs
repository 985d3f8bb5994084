//! Rules L3-L5 and hole 26: renewals need proof, deadlines run from the sending, a lost lease kills.

use super::super::*;
use super::bench::*;
use crate::lease::{HolderState, LeaseRecord, Term};
use crate::timeline::TimelineId;
use core::time::Duration;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn primarys(term: u64, pod: &str) -> LeaseRecord {
    LeaseRecord { term: Term(term), timeline: TimelineId(3), ..held(pod, HolderState::Open) }
}

#[test]
fn a_renewal_is_sent_every_retry_period_and_only_with_a_fresh_proof() {
    let mut bench = Bench::primary();
    assert!(bench.after(MS(1999)).is_empty());
    assert_eq!(bench.after(MS(1)), ["ProveWritePath with a commit"]);
    assert_eq!(bench.proven(), ["PutLease over 13: Open, term 5, timeline 3"]);
    assert_eq!(bench.stored(), ["ArmWatchdog in 5000 ms"]);
    assert_eq!(bench.after(MS(2000)), ["ProveWritePath with a commit"], "a proof serves one renewal");
}

#[test]
fn a_write_path_that_fails_is_tried_again_but_not_at_once_and_nothing_is_renewed() {
    let mut bench = Bench::primary();
    bench.after(MS(2000));
    assert!(bench.proof_answered(Outcome::Failed("disk".to_owned())).is_empty());
    assert!(bench.after(MS(400)).is_empty());
    assert_eq!(bench.after(MS(100)), ["ProveWritePath with a commit"]);
}

#[test]
fn a_proof_that_took_too_long_proves_nothing() {
    let answered_after = |lag: Duration| {
        let mut bench = Bench::primary();
        bench.now = bench.now.plus(MS(1000));
        let began = bench.now;
        bench.after(MS(1000));
        bench.now = began.plus(lag);
        bench.proof_answered(Outcome::Proven(began))
    };
    assert_eq!(answered_after(MS(2999)), ["PutLease over 13: Open, term 5, timeline 3"]);
    assert_eq!(answered_after(MS(3000)), ["ProveWritePath with a commit"]);
}

#[test]
fn past_the_deadline_everything_is_killed_and_the_hold_is_gone() {
    let mut bench = Bench::primary();
    bench.after(MS(4999));
    assert!(bench.holds());
    assert_eq!(bench.after(MS(1)), ["KillEverything", "Archive Stopping"]);
    assert!(!bench.holds());
}

#[test]
fn the_watchdog_stays_armed_until_the_last_process_is_gone() {
    let mut bench = Bench::primary();
    bench.after(MS(5000));
    assert_eq!(bench.fails(), ["ArmWatchdog in 0 ms", "KillEverything"], "it kills on while something lives");
    assert_eq!(bench.done(), ["DisarmWatchdog", "InspectVolume", "Archive Standby"]);
}

#[test]
fn a_deadline_runs_from_the_sending_and_not_from_the_answer() {
    let mut bench = Bench::primary();
    bench.after(MS(2000));
    bench.proven();
    let sent = bench.now;
    bench.now = bench.now.plus(MS(1500));
    assert_eq!(bench.stored_sent(sent), ["ArmWatchdog in 3500 ms"]);
}

#[test]
fn an_overdue_answer_to_a_take_makes_no_holder() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.done();
    let sent = bench.now;
    bench.now = bench.now.plus(MS(5000));
    let said = bench.stored_sent(sent);
    assert!(!bench.holds());
    assert!(!said.iter().any(|said| said.starts_with("Promote") || said.starts_with("ArmWatchdog")), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("PutLease over 12: Released, term 5, timeline 3"));
}

#[test]
fn a_conflict_with_ones_own_record_adopts_the_version_and_not_the_age() {
    let mut bench = Bench::primary();
    let deadline = bench.machine.hold().map(|hold| hold.deadline);
    bench.after(MS(2000));
    bench.proven();
    bench.put_conflicted(primarys(5, "c-2"));
    assert_eq!(bench.machine.hold().map(|hold| hold.deadline), deadline);
    assert_eq!(bench.proven(), ["PutLease over 14: Open, term 5, timeline 3"]);
}

#[test]
fn a_conflict_with_anybody_elses_record_kills() {
    let mut bench = Bench::primary();
    bench.after(MS(2000));
    bench.proven();
    assert_eq!(bench.put_conflicted(primarys(6, "c-3")), ["KillEverything", "Archive Stopping"]);
    assert!(!bench.holds());
}

#[test]
fn a_lease_seen_in_another_hand_at_a_later_term_kills() {
    let mut bench = Bench::primary();
    assert_eq!(bench.see(primarys(6, "c-3")), ["KillEverything", "Archive Stopping"]);
}

#[test]
fn a_late_look_at_an_earlier_holder_changes_nothing() {
    let mut bench = Bench::primary();
    assert!(bench.see(held("c-1", HolderState::Open)).is_empty());
    assert!(bench.holds());
}

#[test]
fn a_renewal_without_an_answer_is_tried_again_with_another_proof() {
    let mut bench = Bench::primary();
    bench.after(MS(2000));
    bench.proven();
    assert_eq!(bench.put_unanswered(), ["AskPledges c-3"]);
    assert_eq!(bench.after(MS(500)), ["ProveWritePath with a commit"]);
    assert_eq!(bench.proven(), ["PutLease over 13: Open, term 5, timeline 3"]);
}

#[test]
fn a_member_that_can_be_elected_is_named_at_once_and_one_that_cannot_at_the_next_renewal() {
    let mut bench = Bench::primary();
    assert!(bench.tell(Event::PeersSeen(vec![peer("c-3", false)])).is_empty());
    let said = bench.tell(Event::PeersSeen(vec![peer("c-1", true), peer("c-3", false)]));
    assert_eq!(said, ["ProveWritePath with a commit"]);
    bench.proven();
    let (_, _, record) = bench.put.clone().expect("a renewal");
    assert_eq!(record.takers, vec![crate::identity::PodUid::from("uid-c-1")]);
}
