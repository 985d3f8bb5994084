//! Rules Q, L7 and E5 where they meet the machine.

use super::super::*;
use super::bench::*;
use crate::cluster::ElectionFact;
use crate::lease::{ElectableRecord, HolderState, LeaseRecord, Term};
use crate::lsn::Lsn;
use crate::sync::{Durability, Method, SyncSpec};
use core::time::Duration;

fn required() -> ClusterView {
    let spec = SyncSpec {
        method: Method::Any,
        number: 1,
        legacy_minimum: None,
        max_from_cluster: None,
        pre: Vec::new(),
        post: Vec::new(),
        durability: Durability::Required,
        failover_quorum: true,
    };
    ClusterView { sync: Some(Box::new(spec)), ..cluster() }
}

fn promised(voters: &[&str]) -> LeaseRecord {
    let voters = voters.iter().map(|voter| (*voter).into()).collect();
    let record = ElectableRecord { term: Term(4), writer: "i-c-1".into(), voters, needed: 1 };
    LeaseRecord { records: vec![record], ..held("c-1", HolderState::Released) }
}

fn elected(answered: &[&str]) -> ClusterView {
    let answered = answered.iter().map(|id| (*id).into()).collect();
    let fact = ElectionFact { winner_incarnation: Some("i".into()), answered, ..election("c-2", None) };
    ClusterView { election: Some(fact), ..required() }
}

/// c-3 alone is in another zone than c-1 and c-2.
fn in_zones(view: ClusterView) -> ClusterView {
    let place = |(pod, zone): (&str, &str)| (pod.to_owned(), vec![zone.to_owned()]);
    ClusterView { domains: [("c-1", "a"), ("c-2", "a"), ("c-3", "b")].map(place).into(), ..view }
}

#[test]
fn hole_10_the_setting_is_there_before_the_promotion_and_hole_7_the_record_is_appended() {
    let mut bench = Bench::standby();
    bench.see(promised(&["i", "i-c-3"]));
    bench.tell(Event::ClusterSeen(elected(&["i", "i-c-3"])));
    bench.done();
    let records = bench.put.as_ref().map(|(_, _, record)| record.records.clone()).unwrap_or_default();
    assert_eq!(records.iter().map(|record| record.term).collect::<Vec<_>>(), [Term(4), Term(5)]);
    let said = bench.stored();
    let at = |what: &str| said.iter().position(|words| words.starts_with(what));
    assert!(at("ConfigureSynchronous 1 of c-3") < at("Promote"), "{said:?}");
    assert!(at("ConfigureSynchronous 1 of c-3").is_some(), "{said:?}");
}

#[test]
fn e5_a_winner_whose_election_does_not_satisfy_the_records_of_now_does_not_take() {
    let mut bench = Bench::standby();
    bench.see(promised(&["i", "i-c-3"]));
    bench.tell(Event::ClusterSeen(elected(&["i"])));
    assert_eq!(bench.done(), ["GateClients(false)"]);
    assert!(matches!(bench.machine.phase(), Phase::Standby(_)));
}

#[test]
fn a_forced_winner_takes_the_very_lease_that_the_loss_was_accepted_over_and_no_other() {
    let forced = |version: &str| {
        let mut view = elected(&["i"]);
        view.election = view.election.map(|fact| ElectionFact {
            accepted_loss: Some(512),
            lease_version: version.to_owned(),
            ..fact
        });
        view
    };
    let mut bench = Bench::standby();
    bench.see(promised(&["i", "i-c-3"]));
    let version = bench.machine.lease().map(|lease| lease.version.clone()).unwrap_or_default();
    bench.tell(Event::ClusterSeen(forced("another")));
    assert_eq!(bench.done(), ["GateClients(false)"]);
    let mut bench = Bench::standby();
    bench.see(promised(&["i", "i-c-3"]));
    bench.tell(Event::ClusterSeen(forced(&version)));
    bench.done();
    let records = bench.put.as_ref().map(|(_, _, record)| record.records.clone()).unwrap_or_default();
    assert_eq!(records.len(), 2, "and what it lacks stays on record until it has a barrier of its own");
}

#[test]
fn standbys_of_the_primarys_own_zone_are_not_waited_for_while_another_zone_has_one() {
    let mut bench = Bench::standby();
    bench.see(promised(&["i", "i-c-3"]));
    bench.tell(Event::PeersSeen(vec![peer("c-1", true), peer("c-3", true)]));
    bench.tell(Event::ClusterSeen(in_zones(elected(&["i", "i-c-3"]))));
    bench.done();
    let said = bench.stored();
    assert!(said.contains(&"ConfigureSynchronous 1 of c-3".to_owned()), "{said:?}");
}

#[test]
fn a_zone_that_becomes_known_counts_without_another_look_at_the_pods() {
    let mut bench = Bench::primary();
    bench.tell(Event::PeersSeen(vec![peer("c-1", true), peer("c-3", true)]));
    bench.tell(Event::StandbysSampled(vec!["c-1".to_owned(), "c-3".to_owned()]));
    assert_eq!(bench.tell(Event::ClusterSeen(required())), ["SetSynchronous 1 of c-1 c-3"]);
    bench.answer(Outcome::InForce { flush: Lsn(9) });
    assert_eq!(bench.tell(Event::ClusterSeen(in_zones(required()))), ["SetSynchronous 1 of c-3"]);
}

#[test]
fn e5_a_winner_whose_data_was_replaced_since_does_not_take() {
    let mut bench = Bench::standby();
    bench.see(promised(&["i", "i-c-3"]));
    let mut other = elected(&["i", "i-c-3"]);
    other.election = other.election.map(|fact| ElectionFact { winner_incarnation: Some("old".into()), ..fact });
    bench.tell(Event::ClusterSeen(other));
    assert_eq!(bench.done(), ["GateClients(false)"]);
}

#[test]
fn e3_a_member_that_has_pledged_itself_refuses_to_fence_for_a_lease_duration() {
    let mut bench = Bench::standby();
    let ask = event_of(4);
    bench.tell(Event::PledgeAsked(Op(70), ask));
    bench.now = bench.now.plus(Duration::from_millis(7_900));
    let said = bench.tell(Event::FenceRequested(Op(71), FenceCall { term: Term(4) }));
    assert!(said.iter().any(|words| words.contains("pledged")), "{said:?}");
    bench.now = bench.now.plus(Duration::from_millis(200));
    let said = bench.tell(Event::FenceRequested(Op(72), FenceCall { term: Term(4) }));
    assert!(said.contains(&"Fence 4".to_owned()), "{said:?}");
}

fn event_of(term: u64) -> PledgeCall {
    PledgeCall { nonce: "nonce-c-1".into(), term: Term(term), round: 1, lease_duration: Duration::from_secs(8) }
}
