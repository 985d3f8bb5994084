//! A lease that went back, was edited or deleted, and a standby that somebody promoted by hand (L4, L8, L9).

use super::bench::*;
use crate::instance::*;
use crate::lease::{HolderState, LeaseRecord, Term};
use crate::timeline::TimelineId;
use core::time::Duration;

fn remembering(volume: Volume, max_term: u64) -> Volume {
    match volume {
        Volume::Data(data) => Volume::Data(Data { max_term: Term(max_term), ..data }),
        other => other,
    }
}

#[test]
fn every_new_term_is_kept_on_the_volume() {
    let mut bench = Bench::of("c-2");
    let seen = Event::LeaseSeen(crate::lease::Versioned { version: "9".into(), value: held("c-1", HolderState::Open) });
    assert!(bench.machine.handle(seen.clone(), bench.now).contains(&Command::RememberTerm(Term(4))));
    let again = bench.machine.handle(seen, bench.now);
    assert!(!again.iter().any(|command| matches!(command, Command::RememberTerm(_))), "{again:?}");
}

#[test]
fn l9_a_volume_that_saw_a_later_term_changes_no_role_by_an_earlier_lease() {
    for (role, end) in [(DataRole::Primary, wal(2, 100)), (DataRole::Standby, wal(1, 100))] {
        let volume = remembering(data(role, end), 7);
        let (mut bench, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Open), volume);
        let expected: &[&str] = if role == DataRole::Standby { &["StartPostgres Standby"] } else { &[] };
        assert_eq!(said, expected, "neither a rejoin nor a clone");
        bench.done();
        let message = bench.machine.report(bench.now).message;
        assert!(message.contains("term 4") && message.contains("term 7"), "{message}");
        let asked = bench.tell(Event::FenceRequested(Op(9), FenceCall { term: Term(4) }));
        assert!(asked[0].starts_with("RefuseFence"), "{asked:?}");
        bench.see(LeaseRecord { term: Term(8), ..held("c-1", HolderState::Open) });
        assert_eq!(bench.machine.report(bench.now).message, "", "a later lease ends it");
    }
}

#[test]
fn l8_the_highest_term_that_was_seen_is_reported_whatever_is_known_of_the_lease_now() {
    let told = |bench: &Bench| bench.machine.report(bench.now).lease.map(|(_, term, ..)| term);
    let volume = remembering(data(DataRole::Standby, wal(1, 100)), 7);
    for (lease, expected) in [(Some(4), 7), (Some(8), 8), (None, 7)] {
        let (mut bench, _) = Bench::started("c-2", cluster(), held("c-1", HolderState::Open), volume.clone());
        match lease {
            Some(term) => drop(bench.see(LeaseRecord { term: Term(term), ..held("c-1", HolderState::Open) })),
            None => drop(bench.tell(Event::LeaseMissing)),
        }
        assert_eq!(told(&bench), Some(Term(expected)), "{lease:?}: the controller makes the next one above it");
    }
}

#[test]
fn l9_a_release_that_meets_a_lease_that_was_set_back_puts_it_right() {
    let mut bench = Bench::primary();
    bench.tell(Event::TerminationRequested);
    bench.done();
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    let said = bench.put_conflicted(held("c-2", HolderState::Open));
    assert_eq!(said, ["PutLease over 14: Released, term 5, timeline 3"], "not of term 4, which nobody may take");
}

#[test]
fn l9_a_winner_of_a_lease_that_went_back_does_not_take_it() {
    let (mut bench, _) = Bench::candidate(HolderState::Released, None);
    bench.see(LeaseRecord { term: Term(3), ..held("c-1", HolderState::Released) });
    assert_eq!(bench.done(), ["GateClients(false)"]);
    assert!(bench.put.is_none() && bench.machine.report(bench.now).message.contains("runbook"));
}

#[test]
fn l9_a_timeline_that_nobody_reserved_is_neither_served_nor_thrown_away() {
    let volume = data(DataRole::Primary, wal(3, 200));
    let (mut bench, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Open), volume);
    assert!(said.is_empty(), "{said:?}");
    assert!(bench.machine.report(bench.now).message.contains("promoted by hand"));
    let later = LeaseRecord { term: Term(5), timeline: TimelineId(3), ..held("c-1", HolderState::Open) };
    assert_eq!(bench.see(later), ["Rejoin c-1"], "once the id is somebody's, the two can be told apart by their forks");
}

#[test]
fn a_standby_that_was_promoted_by_hand_is_killed_and_said() {
    let mut bench = Bench::standby();
    let said = bench.tell(Event::FoundWriting);
    assert!(said[0].starts_with("Alarm"), "{said:?}");
    assert_eq!(said[1], "KillEverything");
    assert_eq!(bench.done().first().map(String::as_str), Some("InspectVolume"));
}

#[test]
fn a_primary_that_writes_is_no_surprise() {
    assert!(Bench::primary().tell(Event::FoundWriting).is_empty());
    assert!(Bench::promoting().tell(Event::FoundWriting).is_empty());
}

#[test]
fn l8_a_holder_makes_a_deleted_lease_again_from_memory_within_its_deadline() {
    let mut bench = Bench::primary();
    let said = bench.tell(Event::LeaseMissing);
    assert!(said[0].starts_with("Alarm") && said[1].starts_with("ProveWritePath"), "{said:?}");
    assert_eq!(bench.proven(), ["CreateLease: Open, term 5, timeline 3"]);
    let sent = bench.now;
    bench.now = bench.now.plus(Duration::from_secs(1));
    bench.stored_sent(sent);
    assert!(bench.holds());
    let deadline = bench.machine.hold().map(|hold| hold.deadline);
    assert_eq!(deadline, Some(sent.plus(Duration::from_secs(5))), "from the sending");
    assert!(bench.tell(Event::LeaseMissing)[0].starts_with("Alarm"), "a second time is another time");
}

#[test]
fn l8_a_renewal_that_finds_no_lease_is_followed_by_a_new_one() {
    let mut bench = Bench::primary();
    bench.after(Duration::from_secs(2));
    bench.proven();
    let said = bench.put_answered(Outcome::NotFound);
    assert!(said[0].starts_with("Alarm"), "{said:?}");
    assert_eq!(bench.proven(), ["CreateLease: Open, term 5, timeline 3"]);
    let other = LeaseRecord { term: Term(6), ..held("c-3", HolderState::Promoting) };
    assert!(bench.put_conflicted(other).contains(&"KillEverything".to_owned()));
    assert!(!bench.holds(), "somebody else was first");
}

#[test]
fn l8_a_deleted_lease_that_cannot_be_made_again_in_time_is_lost() {
    let mut bench = Bench::primary();
    bench.tell(Event::LeaseMissing);
    bench.proven();
    bench.put_unanswered();
    assert!(bench.after(Duration::from_secs(5)).contains(&"KillEverything".to_owned()));
}

#[test]
fn l4_an_edited_lease_is_put_right_by_its_holder() {
    let mut bench = Bench::primary();
    bench.after(Duration::from_secs(2));
    bench.proven();
    let mine = LeaseRecord { term: Term(5), timeline: TimelineId(3), ..held("c-2", HolderState::Open) };
    let edited = LeaseRecord { term: Term(2), timeline: TimelineId(9), ..mine };
    let said = bench.put_conflicted(edited);
    assert!(said[0].starts_with("Alarm"), "{said:?}");
    assert_eq!(bench.proven(), ["PutLease over 14: Open, term 5, timeline 3"]);
    bench.stored();
    assert!(bench.holds());
    assert_eq!(bench.machine.report(bench.now).message, "");
}

#[test]
fn l4_a_renewal_that_a_proxy_sent_twice_is_no_edit() {
    let mut bench = Bench::primary();
    let fenced = Peer { fence: Term(5), ..peer("c-3", true) };
    bench.tell(Event::PeersSeen(vec![peer("c-1", false), fenced]));
    assert_eq!(bench.proven(), ["PutLease over 13: Open, term 6, timeline 3"]);
    let (_, _, sent) = bench.put.clone().expect("a renewal");
    assert_eq!(bench.put_conflicted(sent), ["ProveWritePath with a commit"], "it is what was stored");
    assert_eq!(bench.machine.hold().map(|hold| hold.lease.value.term), Some(Term(6)));
}

#[test]
fn l4_a_lease_that_was_released_or_given_away_by_hand_is_lost_at_once() {
    for state in [HolderState::Released, HolderState::Open] {
        let mut bench = Bench::primary();
        bench.after(Duration::from_secs(2));
        bench.proven();
        let pod = if state == HolderState::Released { "c-2" } else { "c-3" };
        let said = bench.put_conflicted(LeaseRecord { term: Term(5), ..held(pod, state) });
        assert!(said.contains(&"KillEverything".to_owned()) && !bench.holds(), "{said:?}");
    }
}
