//! A standby: whom it follows, and how it gets back when it cannot.

use super::super::*;
use super::bench::*;
use crate::lease::{HolderState, LeaseRecord, Term};
use crate::timeline::TimelineId;
use core::time::Duration;

fn open_again(term: u64, timeline: u32, pod: &str) -> LeaseRecord {
    LeaseRecord { term: Term(term), timeline: TimelineId(timeline), ..held(pod, HolderState::Open) }
}

/// The leader renews meanwhile.
fn ten_seconds(bench: &mut Bench) -> Vec<String> {
    assert!(bench.see(held("c-1", HolderState::Open)).is_empty());
    assert!(bench.after(Duration::from_secs(5)).is_empty());
    assert!(bench.see(held("c-1", HolderState::Open)).is_empty());
    bench.after(Duration::from_secs(5))
}

/// c-2, ten seconds without a link although its leader is open.
fn cut_off() -> Bench {
    let mut bench = Bench::standby();
    bench.tell(Event::LinkSampled(Link { streaming: false, position: wal(2, 100) }));
    assert_eq!(ten_seconds(&mut bench), ["StopPostgres smart none fast 20"]);
    assert_eq!(bench.done(), ["KillEverything", "Archive Stopping"]);
    assert_eq!(bench.done(), ["InspectVolume", "Archive Standby"]);
    bench
}

#[test]
fn a_standby_starts_behind_nobody_when_nobody_is_open() {
    let (_, said) =
        Bench::started("c-2", cluster(), held("c-1", HolderState::Recovering), data(DataRole::Standby, wal(2, 100)));
    assert_eq!(said, ["StartPostgres Standby"]);
}

#[test]
fn a_standby_follows_the_elected_pod_as_soon_as_it_is_open() {
    let mut bench = Bench::standby();
    assert!(bench.see(held("c-1", HolderState::Released)).is_empty());
    let promoting = LeaseRecord { state: HolderState::Promoting, ..open_again(5, 3, "c-3") };
    assert!(bench.see(promoting).is_empty());
    assert_eq!(bench.see(open_again(5, 3, "c-3")), ["Follow c-3"]);
}

#[test]
fn a_holder_that_reopened_in_place_is_followed_by_its_new_term() {
    let mut bench = Bench::standby();
    assert_eq!(bench.see(open_again(5, 2, "c-1")), ["Follow c-1"]);
}

#[test]
fn a_standby_on_an_older_timeline_goes_through_rejoin_first() {
    let (mut bench, said) =
        Bench::started("c-2", cluster(), held("c-1", HolderState::Open), data(DataRole::Standby, wal(1, 100)));
    assert_eq!(said, ["Rejoin c-1"]);
    assert_eq!(bench.done(), ["InspectVolume"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(1, 100))));
    assert_eq!(said, ["StartPostgres Standby of c-1"]);
}

#[test]
fn a_rejoined_member_says_what_it_holds_or_nobody_could_elect_it() {
    let (mut bench, _) =
        Bench::started("c-2", cluster(), held("c-1", HolderState::Open), data(DataRole::Primary, wal(1, 100)));
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 90))));
    bench.done();
    let report = bench.machine.report(bench.now);
    assert_eq!((report.system_id, report.position), (Some(SYSTEM), Some(wal(2, 90))));
    assert!(report.incarnation.is_some());
}

#[test]
fn a_standby_that_does_not_stream_goes_through_rejoin_and_then_is_cloned() {
    let mut bench = cut_off();
    assert_eq!(bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100)))), ["Rejoin c-1"]);
    bench.done();
    assert_eq!(
        bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100)))),
        ["StartPostgres Standby of c-1"]
    );
    bench.done();
    bench.after(Duration::from_millis(100));
    assert_eq!(ten_seconds(&mut bench), ["StopPostgres smart none fast 20"]);
    bench.done();
    bench.done();
    assert_eq!(bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100)))), ["CloneFrom c-1"]);
}

#[test]
fn a_standby_that_cannot_follow_says_so_until_it_streams_again() {
    let mut bench = Bench::standby();
    bench.tell(Event::LinkSampled(Link { streaming: false, position: wal(2, 100) }));
    bench.after(Duration::from_millis(100));
    assert!(!bench.machine.cannot_follow(), "a link that is down for a moment is no harm");
    let mut bench = cut_off();
    bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100))));
    bench.done();
    bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100))));
    bench.done();
    bench.after(Duration::from_millis(100));
    assert!(bench.machine.cannot_follow());
    assert_eq!(bench.machine.report(bench.now).message, "does not stream from c-1 although that is open");
    bench.tell(Event::LinkSampled(Link { streaming: true, position: wal(2, 100) }));
    assert!(!bench.machine.cannot_follow());
    assert_eq!(bench.machine.report(bench.now).message, "");
}

#[test]
fn a_leader_that_does_not_renew_or_is_dead_is_not_worth_a_rejoin() {
    let mut bench = Bench::standby();
    bench.tell(Event::LinkSampled(Link { streaming: false, position: wal(2, 100) }));
    assert!(bench.after(Duration::from_secs(8)).is_empty());
    assert!(bench.after(Duration::from_secs(60)).is_empty());
    let mut bench = Bench::standby();
    bench.tell(Event::LinkSampled(Link { streaming: false, position: wal(2, 100) }));
    bench.tell(Event::DeathsSeen(vec![crate::identity::Nonce::from("nonce-c-1")]));
    bench.see(held("c-1", HolderState::Open));
    assert!(bench.after(Duration::from_secs(10)).is_empty());
    assert!(matches!(bench.machine.phase(), Phase::Standby(_)), "it stays electable");
}

#[test]
fn a_rejoin_that_finds_only_a_clone_will_do_clones() {
    let mut bench = cut_off();
    bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100))));
    assert_eq!(bench.answer(Outcome::CloneDue("diverged".to_owned())), ["CloneFrom c-1"]);
}

#[test]
fn a_standby_that_cannot_be_started_says_why_until_it_is_tried_again() {
    let at = data(DataRole::Standby, wal(2, 100));
    let (mut bench, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Open), at);
    assert_eq!(said, ["StartPostgres Standby of c-1"]);
    assert!(bench.answer(Outcome::Failed("No space left on device".to_owned())).contains(&"KillEverything".to_owned()));
    bench.done();
    let report = bench.machine.report(bench.now);
    assert_eq!(report.phase, crate::cluster::MemberPhase::Stuck);
    assert!(report.message.ends_with("it failed: No space left on device"), "{}", report.message);
    assert_eq!(bench.after(Duration::from_secs(1)), ["InspectVolume"]);
}

#[test]
fn clones_that_fail_are_made_of_the_leader_itself_until_one_succeeds() {
    let (mut bench, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Open), Volume::Empty);
    assert_eq!(said, ["CloneFrom c-1"]);
    let again = |bench: &mut Bench| {
        bench.fails();
        assert_eq!(bench.after(Duration::from_secs(1)), ["InspectVolume"]);
        bench.answer(Outcome::Inspected(Volume::Empty))
    };
    assert_eq!(again(&mut bench), ["CloneFrom c-1"]);
    assert_eq!(again(&mut bench), ["CloneFrom c-1 itself"]);
    assert_eq!(again(&mut bench), ["CloneFrom c-1 itself"]);
    assert_eq!(bench.done(), ["InspectVolume"]);
    assert_eq!(bench.answer(Outcome::Inspected(Volume::Empty)), ["CloneFrom c-1"], "another time, anybody again");
}

#[test]
fn a_damaged_directory_is_cloned_says_so_while_it_waits_and_is_never_initialised_over() {
    let damaged = || {
        let why = "the control file is damaged".to_owned();
        Volume::Damaged(Damage { why, fence: Term(4), max_term: Term(4) })
    };
    let (mut bench, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Released), damaged());
    assert!(said.is_empty());
    let message = bench.machine.report(bench.now).message;
    assert_eq!(message, "the control file is damaged: waiting for a primary to clone");
    assert!(bench.see(open_again(4, 3, "c-3")).is_empty(), "it has promised to follow nobody of that term");
    assert_eq!(bench.see(open_again(5, 3, "c-3")), ["CloneFrom c-3"]);
    let nobody = LeaseRecord::default();
    let (_, said) = Bench::started("c-1", ClusterView { system_id: None, ..cluster() }, nobody, damaged());
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_torn_directory_is_cloned_and_waits_while_there_is_nobody_to_clone() {
    let Volume::Data(whole) = data(DataRole::Standby, wal(2, 100)) else { unreachable!() };
    let torn = Volume::Data(Data { torn: true, ..whole });
    let (mut bench, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Released), torn);
    assert!(said.is_empty());
    assert_eq!(bench.see(open_again(5, 3, "c-3")), ["CloneFrom c-3"]);
}

#[test]
fn a_standby_whose_postgres_dies_is_started_again_after_a_pause() {
    let mut bench = Bench::standby();
    assert_eq!(bench.tell(Event::PostgresExited("signal 9".to_owned())), ["KillEverything", "Archive Stopping"]);
    assert_eq!(bench.done(), ["Archive Standby"]);
    assert_eq!(bench.after(Duration::from_secs(1)), ["InspectVolume"]);
    assert_eq!(
        bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100)))),
        ["StartPostgres Standby of c-1"]
    );
}

#[test]
fn a_postgres_that_ended_before_its_start_was_reported_has_not_started() {
    let (mut bench, _) =
        Bench::started("c-2", cluster(), held("c-1", HolderState::Open), data(DataRole::Standby, wal(2, 100)));
    assert!(bench.tell(Event::PostgresExited("signal 9".to_owned())).is_empty());
    assert_eq!(bench.done(), ["KillEverything", "Archive Stopping"]);
}

#[test]
fn a_changed_configuration_is_applied_once() {
    let mut bench = Bench::standby();
    let changed = ClusterView { configuration: "b".to_owned(), ..cluster() };
    assert_eq!(bench.tell(Event::ClusterSeen(changed.clone())), ["ApplyConfiguration"]);
    assert!(bench.tell(Event::ClusterSeen(changed)).is_empty());
}

#[test]
fn an_old_primary_rejoins_the_new_one_and_is_never_opened_by_itself() {
    let (mut bench, said) =
        Bench::started("c-2", cluster(), held("c-3", HolderState::Promoting), data(DataRole::Primary, wal(1, 100)));
    assert_eq!(said, ["OfferTail 0/64 on timeline 1"]);
    assert!(bench.after(Duration::from_secs(60)).is_empty());
    assert_eq!(bench.see(held("c-3", HolderState::Open)), ["Rejoin c-3", "OfferTail none"]);
}
