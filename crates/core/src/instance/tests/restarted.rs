//! A new manager on a volume that has a past.

use super::super::*;
use super::bench::*;
use crate::identity::{Nonce, PodUid};
use crate::lease::{Holder, HolderState, LeaseRecord, Term};
use crate::timeline::TimelineId;
use core::time::Duration;

/// The lease as the predecessor of c-1's manager left it.
fn predecessors() -> LeaseRecord {
    let holder = Holder { nonce: Nonce::from("earlier"), ..holder("c-1") };
    LeaseRecord { holder: Some(holder), ..held("c-1", HolderState::Open) }
}

fn restarted(end: crate::lease::WalPosition, lease: LeaseRecord) -> Bench {
    let (mut bench, said) = Bench::started("c-1", cluster(), lease, data(DataRole::Primary, end));
    assert_eq!(said, [format!("OfferTail {end}")]);
    bench.tell(Event::PeersSeen(vec![peer("c-2", true)]));
    bench
}

#[test]
fn a_restarted_manager_takes_its_predecessors_lease_in_place_once_that_is_proven_dead() {
    let mut bench = restarted(wal(2, 100), predecessors());
    let said = bench.tell(Event::DeathsSeen(vec![Nonce::from("earlier")]));
    assert_eq!(said, ["PutLease over 10: Recovering, term 5, timeline 2"]);
    let record = bench.put.as_ref().map(|(_, _, record)| record.clone()).expect("a take");
    assert_eq!((record.tail, record.takers), (Some(wal(2, 100)), vec![PodUid::from("uid-c-2")]));
    assert_eq!(bench.stored(), ["ArmWatchdog in 5000 ms", "Archive Stopping"]);
    assert!(matches!(bench.machine.phase(), Phase::Crashed(_)), "it offers its tail before it opens");
}

#[test]
fn without_proof_a_restarted_manager_never_takes_it_however_long_it_waits() {
    let mut bench = restarted(wal(2, 100), predecessors());
    assert!(bench.after(Duration::from_secs(900)).is_empty());
    bench.tell(Event::DeathsSeen(vec![Nonce::from("a third one")]));
    assert!(bench.put.is_none());
}

#[test]
fn the_heir_of_the_volume_waits_for_a_whole_lease_duration() {
    let mut lease = predecessors();
    lease.holder = lease.holder.map(|h| Holder { pod_uid: PodUid::from("a pod that was deleted"), ..h });
    let mut bench = restarted(wal(2, 100), lease);
    assert!(bench.after(Duration::from_millis(7999)).is_empty());
    assert_eq!(bench.after(Duration::from_millis(1)), ["PutLease over 10: Recovering, term 5, timeline 2"]);
}

#[test]
fn an_heir_that_was_never_promoted_gives_the_lease_to_the_others() {
    let mut lease = LeaseRecord { state: HolderState::Promoting, timeline: TimelineId(3), ..predecessors() };
    lease.holder = lease.holder.map(|h| Holder { pod_uid: PodUid::from("a pod that was deleted"), ..h });
    let (mut bench, said) = Bench::started("c-1", cluster(), lease, data(DataRole::Standby, wal(2, 100)));
    assert_eq!(said, ["StartPostgres Standby"]);
    bench.done();
    assert!(bench.after(Duration::from_millis(7999)).is_empty());
    assert_eq!(bench.after(Duration::from_millis(1)), ["PutLease over 10: Released, term 4, timeline 3"]);
}

#[test]
fn an_old_primary_of_an_earlier_timeline_is_promoted_and_never_opened_in_place() {
    let lease = LeaseRecord { term: Term(4), timeline: TimelineId(3), ..held("c-3", HolderState::Released) };
    let mut bench = restarted(wal(2, 100), lease);
    let mut election = election("c-1", None);
    election.holder_nonce = Nonce::from("nonce-c-3");
    let said = bench.tell(Event::ClusterSeen(ClusterView { election: Some(election), ..cluster() }));
    assert_eq!(said, ["StartPostgres Standby", "OfferTail none"]);
    assert_eq!(bench.done(), ["GateClients(true)", "AwaitPosition 0/64 on timeline 2"]);
    assert_eq!(bench.done(), ["PutLease over 10: Promoting, term 5, timeline 4"]);
}

#[test]
fn a_timeline_that_nobody_reserved_is_refused_every_role() {
    let lease = held("c-1", HolderState::Released);
    let (mut bench, said) = Bench::started("c-1", cluster(), lease, data(DataRole::Primary, wal(9, 100)));
    assert!(said.is_empty(), "{said:?}");
    let election = Some(election("c-1", None));
    assert!(bench.tell(Event::ClusterSeen(ClusterView { election, ..cluster() })).is_empty());
}

#[test]
fn ones_own_death_is_never_believed() {
    let mut bench = Bench::primary();
    assert!(bench.tell(Event::DeathsSeen(vec![Nonce::from("nonce-c-2")])).is_empty());
    assert!(bench.holds());
}

#[test]
fn a_volume_that_cannot_be_read_is_looked_at_again_after_a_pause() {
    let mut bench = Bench::of("c-1");
    bench.tell(Event::ClusterSeen(cluster()));
    assert!(bench.fails().is_empty());
    assert_eq!(bench.after(Duration::from_secs(1)), ["InspectVolume"]);
}
