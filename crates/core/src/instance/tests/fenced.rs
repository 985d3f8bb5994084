//! The user's fence: postgres down, the manager up, nobody in its place; and a restart of postgres alone.

use super::super::*;
use super::bench::*;
use crate::cluster::RestartFact;
use crate::lease::HolderState;
use crate::lease::Term;
use core::time::Duration;

fn fencing(names: &[&str]) -> Event {
    let fenced = names.iter().map(|name| (*name).to_owned()).collect();
    Event::ClusterSeen(ClusterView { fenced, ..cluster() })
}

fn restart(nonce: &str, id: &str) -> Event {
    let asked = RestartFact { instance: "c-2".into(), nonce: nonce.into(), term: Term(1), id: id.into() };
    Event::ClusterSeen(ClusterView { restart: Some(asked), ..cluster() })
}

#[test]
fn a_fenced_standby_stops_and_comes_back_when_the_fence_is_lifted() {
    let mut bench = Bench::standby();
    assert!(bench.tell(fencing(&["c-1", "c-3"])).is_empty(), "others are fenced");
    assert_eq!(bench.tell(fencing(&["c-2"]))[0], "StopPostgres smart none fast 20");
    assert_eq!(bench.done()[0], "KillEverything");
    assert_eq!(bench.done()[0], "InspectVolume");
    assert!(bench.answer(Outcome::Inspected(data(DataRole::Standby, wal(2, 100)))).is_empty());
    assert!(matches!(bench.machine.phase(), Phase::Waiting { why, .. } if why.starts_with("fenced")));
    assert!(bench.after(Duration::from_secs(60)).is_empty());
    bench.see(held("c-1", HolderState::Open));
    assert_eq!(bench.tell(fencing(&[])), ["StartPostgres Standby of c-1"]);
}

#[test]
fn a_fenced_primary_stops_in_order_releases_and_takes_nothing_back_while_it_is_fenced() {
    let mut bench = Bench::primary();
    assert_eq!(bench.tell(fencing(&["*"]))[0], "StopPostgres smart none fast 3600");
    assert_eq!(bench.done(), ["KillEverything"]);
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert_eq!(said.last().map(String::as_str), Some("PutLease over 13: Released, term 5, timeline 3"));
    bench.stored();
    assert!(bench.after(Duration::from_secs(60)).is_empty(), "its lease is free, and it leaves it alone");
    assert!(matches!(bench.machine.phase(), Phase::Offering(_)));
}

#[test]
fn a_manager_that_starts_fenced_starts_no_postgres() {
    let view = ClusterView { fenced: vec!["*".into()], ..cluster() };
    let (bench, said) =
        Bench::started("c-2", view, held("c-1", HolderState::Open), data(DataRole::Standby, wal(2, 100)));
    assert!(said.is_empty(), "{said:?}");
    assert!(matches!(bench.machine.phase(), Phase::Waiting { .. }));
}

#[test]
fn a_crash_of_a_fenced_primary_is_not_recovered_from() {
    let mut bench = Bench::primary();
    bench.tell(Event::PostgresExited("killed".into()));
    bench.tell(fencing(&["c-2"]));
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert!(said.iter().any(|s| s.contains("Released")), "{said:?}");
    bench.stored();
    assert!(matches!(bench.machine.phase(), Phase::Offering(_)));
}

#[test]
fn a_restart_in_place_keeps_the_lease_and_asks_nobody() {
    let mut bench = Bench::primary();
    assert!(bench.tell(restart("another-process", "1")).is_empty());
    assert_eq!(bench.tell(restart("nonce-c-2", "2"))[0], "StopPostgres smart none fast 3600");
    assert_eq!(bench.done(), ["KillEverything"]);
    bench.done();
    let said = bench.answer(Outcome::Inspected(data(DataRole::Primary, wal(3, 600))));
    assert!(said.contains(&"StartPostgres Primary".to_owned()), "{said:?}");
    assert!(bench.holds() && !said.iter().any(|s| s.starts_with("OfferTail 0")), "nobody is offered a tail");
    let said = bench.done();
    assert!(said.contains(&"ProveWritePath".to_owned()), "{said:?}");
    assert_eq!(bench.proven(), ["PutLease over 13: Open, term 6, timeline 3"]);
    assert!(bench.stored().contains(&"AnnouncePrimary 3".to_owned()));
    assert!(bench.tell(restart("nonce-c-2", "2")).is_empty(), "once");
}

#[test]
fn the_lease_is_renewed_while_postgres_restarts() {
    let mut bench = Bench::primary();
    bench.tell(restart("nonce-c-2", "1"));
    assert_eq!(bench.after(Duration::from_secs(2)), ["ProveWritePath"]);
    assert_eq!(bench.proven(), ["PutLease over 13: Open, term 5, timeline 3"]);
}
