//! Rule E3, and following only above the fence.

use super::super::*;
use super::bench::*;
use crate::identity::Nonce;
use crate::lease::{HolderState, LeaseRecord, Term};
use core::time::Duration;

fn fence(bench: &mut Bench, term: u64) -> Vec<String> {
    bench.tell(Event::FenceRequested(Op(900), FenceCall { term: Term(term) }))
}

#[test]
fn a_fence_is_refused_while_the_holder_is_open_and_renews() {
    let mut bench = Bench::standby();
    assert_eq!(fence(&mut bench, 4), ["RefuseFence: the holder is open and renews its lease"]);
}

#[test]
fn a_fence_is_accepted_once_the_holder_recovers_or_released_or_lapsed_or_is_dead() {
    for state in [HolderState::Recovering, HolderState::Released] {
        let mut bench = Bench::standby();
        bench.see(held("c-1", state));
        assert_eq!(fence(&mut bench, 4), ["Fence 4"]);
    }
    let mut bench = Bench::standby();
    bench.after(Duration::from_secs(8));
    assert_eq!(fence(&mut bench, 4), ["Fence 4"]);
    let mut bench = Bench::standby();
    bench.tell(Event::DeathsSeen(vec![Nonce::from("nonce-c-1")]));
    assert_eq!(fence(&mut bench, 4), ["Fence 4"]);
}

#[test]
fn a_fence_for_an_older_term_is_refused() {
    let mut bench = Bench::standby();
    bench.see(LeaseRecord { term: Term(6), ..held("c-1", HolderState::Released) });
    assert_eq!(fence(&mut bench, 5), ["RefuseFence: the lease has a later term"]);
}

#[test]
fn a_holder_is_never_fenced() {
    let mut bench = Bench::primary();
    assert_eq!(fence(&mut bench, 9), ["RefuseFence: this member holds the lease"]);
}

#[test]
fn a_member_that_has_not_seen_the_lease_does_not_know_whom_it_would_fence_off() {
    let mut bench = Bench::of("c-2");
    assert_eq!(fence(&mut bench, 4)[0], "RefuseFence: this member has not seen the lease yet");
}

#[test]
fn a_fenced_member_follows_only_a_later_term() {
    let mut bench = Bench::standby();
    bench.see(held("c-1", HolderState::Recovering));
    fence(&mut bench, 4);
    assert!(!bench.see(held("c-1", HolderState::Open)).iter().any(|said| said.starts_with("Follow")));
    let reopened = LeaseRecord { term: Term(5), ..held("c-1", HolderState::Open) };
    assert_eq!(bench.see(reopened), ["Follow c-1"]);
}

#[test]
fn a_fence_outlives_the_process_with_the_directory() {
    let Volume::Data(whole) = data(DataRole::Standby, wal(2, 100)) else { unreachable!() };
    let fenced = Volume::Data(Data { fence: Term(4), ..whole });
    let (_, said) = Bench::started("c-2", cluster(), held("c-1", HolderState::Open), fenced);
    assert_eq!(said, ["StartPostgres Standby"]);
}
