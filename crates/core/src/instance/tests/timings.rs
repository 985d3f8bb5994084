//! Timings that were changed while managers ran: each goes by those it was started with, and whoever waits for another
//! waits by the longer of the two.

use super::super::*;
use super::bench::*;
use crate::cluster::ElectionFact;
use crate::lease::{HolderState, LeaseRecord, Term};
use core::time::Duration;

const S: fn(u64) -> Duration = Duration::from_secs;

/// c-1's, who was started when leaseDurationSeconds was 30; c-2 was restarted since, and goes by 8.
fn of_before() -> LeaseRecord {
    LeaseRecord { lease_duration: S(30), ..held("c-1", HolderState::Open) }
}

/// c-2 follows that c-1.
fn restarted_standby() -> Bench {
    let mut bench = Bench::standby();
    bench.see(of_before());
    bench
}

#[test]
fn whoever_holds_says_by_which_duration() {
    let mut bench = Bench::primary();
    let stored = bench.machine.lease().map(|lease| lease.value.lease_duration);
    assert_eq!(stored, Some(S(8)), "with the take");
    bench.after(S(2));
    bench.proven();
    assert_eq!(bench.put.as_ref().map(|(_, _, record)| record.lease_duration), Some(S(8)), "with every renewal");
}

#[test]
fn a_standby_with_shorter_timings_does_not_take_before_the_holders_have_run_out() {
    let mut bench = restarted_standby();
    let election = ElectionFact { lease_version: "11".to_owned(), ..election("c-2", None) };
    bench.tell(Event::ClusterSeen(ClusterView { election: Some(election), ..cluster() }));
    assert_eq!(bench.done(), ["LookForProof c-1 nonce-c-1"]);
    // By its own it would take after 8 s, while c-1 may write for up to 29.
    for _ in 0..3 {
        let said = bench.after(S(9));
        assert!(!said.iter().any(|words| words.starts_with("PutLease")), "{said:?}");
    }
    let lease = bench.machine.lease().cloned().expect("a lease");
    assert!(bench.machine.may_take(&lease, bench.now).is_err());
    assert!(bench.machine.may_take(&lease, bench.now.plus(S(3))).is_ok());
}

#[test]
fn it_calls_the_lease_stale_and_leaves_its_holder_no_sooner() {
    let mut bench = restarted_standby();
    bench.after(Duration::from_millis(29_999));
    let report = bench.machine.report(bench.now);
    assert_eq!((report.lease.map(|(_, _, _, lapsed)| lapsed), report.lease_duration), (Some(false), S(30)));
    let said = bench.tell(Event::FenceRequested(Op(70), FenceCall { term: Term(4) }));
    assert!(said.iter().any(|words| words.contains("renews its lease")), "{said:?}");
    assert!(bench.machine.leader().is_some());
    bench.after(Duration::from_millis(1));
    let report = bench.machine.report(bench.now);
    assert_eq!(report.lease.map(|(_, _, _, lapsed)| lapsed), Some(true));
    assert!(bench.machine.leader().is_none());
}

#[test]
fn a_pledge_binds_for_as_long_as_its_holder_counts_on_it() {
    let mut bench = Bench::standby();
    let call = PledgeCall { nonce: "nonce-c-1".into(), term: Term(4), round: 1, lease_duration: S(30) };
    bench.tell(Event::PledgeAsked(Op(70), call));
    bench.now = bench.now.plus(Duration::from_millis(29_999));
    let said = bench.tell(Event::FenceRequested(Op(71), FenceCall { term: Term(4) }));
    assert!(said.iter().any(|words| words.contains("pledged")), "{said:?}");
    bench.now = bench.now.plus(Duration::from_millis(1));
    let said = bench.tell(Event::FenceRequested(Op(72), FenceCall { term: Term(4) }));
    assert!(said.contains(&"Fence 4".to_owned()), "{said:?}");
}

#[test]
fn a_holder_asks_for_pledges_by_its_own_duration() {
    let mut bench = Bench::primary();
    bench.after(S(2));
    bench.proven();
    let (op, ..) = bench.put.take().expect("a renewal");
    let unknown = Outcome::Unknown { why: "test".to_owned(), sent: bench.now };
    let commands = bench.machine.handle(Event::Finished(op, unknown), bench.now);
    let asked = commands.iter().find_map(|command| match command {
        Command::AskPledges(_, round) => Some(round.lease_duration),
        _ => None,
    });
    assert_eq!(asked, Some(S(8)));
}
