//! From nothing to a first database, and to members of it.

use super::super::*;
use super::bench::*;
use crate::lease::{HolderState, LeaseRecord};
use crate::timeline::TimelineId;
use core::time::Duration;

fn new_cluster(initializer: Option<&str>) -> ClusterView {
    ClusterView { system_id: None, initializer: initializer.map(str::to_owned), ..cluster() }
}

fn initialized() -> (Bench, Vec<String>) {
    let empty = LeaseRecord::default();
    Bench::started("c-1", new_cluster(Some("c-1")), empty, data(DataRole::Primary, wal(1, 50)))
}

#[test]
fn the_first_instance_claims_makes_takes_starts_publishes_and_opens() {
    let (mut bench, said) = Bench::started("c-1", new_cluster(None), LeaseRecord::default(), Volume::Empty);
    assert_eq!(said, ["ClaimInitialization"]);
    assert_eq!(bench.done(), ["InitializeDatabase"]);
    bench.tell(Event::ClusterSeen(new_cluster(Some("c-1"))));
    assert_eq!(bench.done(), ["InspectVolume"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(1, 50))));
    assert_eq!(said, ["PutLease over 10: Promoting, term 1, timeline 1"]);
    let said = bench.stored();
    assert_eq!(said, ["ArmWatchdog in 5000 ms", "StartPostgres Primary", "Archive Primary"]);
    assert_eq!(bench.done(), ["BootstrapDatabase"]);
    assert_eq!(bench.done(), ["PublishSystemId 7"]);
    assert_eq!(bench.done(), ["ProveWritePath"]);
    assert_eq!(bench.proven(), ["PutLease over 11: Open, term 1, timeline 1"]);
    assert_eq!(bench.stored(), ["AnnouncePrimary 1"]);
    assert_eq!(*bench.machine.phase(), Phase::Primary);
}

#[test]
fn a_claim_that_is_refused_is_tried_again_only_after_a_pause() {
    let (mut bench, _) = Bench::started("c-1", new_cluster(None), LeaseRecord::default(), Volume::Empty);
    assert!(bench.fails().is_empty());
    assert!(bench.after(Duration::from_millis(900)).is_empty());
    assert_eq!(bench.after(Duration::from_millis(100)), ["InspectVolume"]);
}

#[test]
fn another_instance_waits_while_the_first_initializes_and_then_clones_it() {
    let (mut bench, said) = Bench::started("c-2", new_cluster(Some("c-1")), LeaseRecord::default(), Volume::Empty);
    assert!(said.is_empty());
    assert!(bench.tell(Event::ClusterSeen(cluster())).is_empty());
    assert_eq!(bench.see(held("c-1", HolderState::Open)), ["CloneFrom c-1"]);
    assert_eq!(bench.done(), ["InspectVolume"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 60))));
    assert_eq!(said, ["StartPostgres Standby of c-1"]);
}

#[test]
fn a_manager_killed_in_the_middle_of_initdb_discards_the_half_and_begins_again() {
    let half = Volume::Partial("pgdata.initdb-1".to_owned());
    let (mut bench, said) = Bench::started("c-1", new_cluster(Some("c-1")), LeaseRecord::default(), half);
    assert_eq!(said, ["DiscardPartial"]);
    assert_eq!(bench.done(), ["InspectVolume"]);
    assert_eq!(bench.answer(Outcome::Inspected(Volume::Empty)), ["ClaimInitialization"]);
}

#[test]
fn an_empty_volume_of_an_initialised_cluster_is_never_initdbd() {
    let released = held("c-1", HolderState::Released);
    let (mut bench, said) = Bench::started("c-1", cluster(), released, Volume::Empty);
    assert!(said.is_empty());
    assert!(bench.after(Duration::from_secs(900)).is_empty());
    assert!(matches!(bench.machine.phase(), Phase::Waiting { until: None, .. }));
}

#[test]
fn a_database_that_is_not_the_clusters_is_refused_and_left_alone() {
    let Volume::Data(own) = data(DataRole::Standby, wal(2, 100)) else { unreachable!() };
    let foreign = Volume::Data(Data { system_id: crate::identity::SystemId(8), ..own });
    let (mut bench, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Open), foreign);
    assert!(said.is_empty());
    assert!(bench.after(Duration::from_secs(60)).is_empty());
    let message = bench.machine.report(bench.now).message;
    assert!(message.contains("system 8") && message.contains("the cluster is 7"), "{message}");
}

#[test]
fn an_initializer_that_was_restarted_after_initdb_goes_on_with_its_database() {
    let (_, said) = initialized();
    assert_eq!(said, ["PutLease over 10: Promoting, term 1, timeline 1"]);
}

#[test]
fn a_first_start_that_fails_is_killed_and_tried_again_after_a_pause_with_a_lease_of_its_own() {
    let (mut bench, _) = initialized();
    bench.stored();
    assert_eq!(bench.fails(), ["KillEverything", "Archive Stopping"]);
    assert!(!bench.holds());
    assert_eq!(bench.done()[0], "DisarmWatchdog");
    assert_eq!(bench.put.as_ref().map(|(_, _, record)| record.state), Some(HolderState::Released));
    bench.stored();
    assert_eq!(bench.after(Duration::from_secs(1)), ["InspectVolume"]);
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(1, 50))));
    assert_eq!(said, ["PutLease over 12: Promoting, term 2, timeline 1"]);
}

#[test]
fn i2_a_restored_database_takes_the_closed_lease_only_above_every_timeline_that_was_reserved() {
    let closed = || LeaseRecord { term: crate::lease::Term(7), timeline: TimelineId(3), ..LeaseRecord::default() };
    let started = |timeline| {
        let restored = data(DataRole::Primary, wal(timeline, 50));
        Bench::started("c-4", new_cluster(Some("c-4")), closed(), restored)
    };
    assert_eq!(started(4).1, ["PutLease over 10: Promoting, term 8, timeline 4"]);
    let (bench, said) = started(2);
    assert!(said.is_empty(), "{said:?}");
    let message = bench.machine.report(bench.now).message;
    assert!(message.contains("timeline 2") && message.contains("3 was reserved"), "{message}");
}
