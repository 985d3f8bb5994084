//! Rules L2-L6 as tables.

use super::*;
use crate::identity::{AttemptId, Nonce, PodUid};
use crate::lsn::Lsn;
use crate::time::Instant;
use crate::timeline::TimelineId;
use core::time::Duration;

fn holder(pod: &str) -> Holder {
    Holder {
        name: pod.to_owned(),
        pod_uid: PodUid(format!("uid-{pod}")),
        nonce: Nonce(format!("nonce-{pod}")),
        address: "10.0.0.1".to_owned(),
    }
}

fn held() -> LeaseRecord {
    LeaseRecord {
        holder: Some(holder("c-1")),
        state: HolderState::Open,
        term: Term(4),
        timeline: TimelineId(2),
        takers: vec![PodUid::from("uid-c-2")],
        ..LeaseRecord::default()
    }
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn a_released_lease_may_be_taken_at_once_by_anybody() {
    let lease = released(&held(), None);
    assert_eq!(may_take(&lease, &holder("c-9"), Duration::ZERO, Timings::default(), &[]), Ok(Ground::Released));
}

#[test]
fn a_taker_waits_for_the_whole_lease_duration() {
    let me = holder("c-2");
    let before = may_take(&held(), &me, secs(7), Timings::default(), &[]);
    assert_eq!(before, Err(Refusal::Held { holder: "c-1".to_owned(), left: secs(1) }));
    assert_eq!(may_take(&held(), &me, secs(8), Timings::default(), &[]), Ok(Ground::Lapsed));
}

#[test]
fn a_taker_waits_for_the_longer_of_its_own_lease_duration_and_the_holders() {
    let me = holder("c-2");
    let heir = Holder { pod_uid: PodUid::from("uid of a new pod"), nonce: Nonce::from("n"), ..holder("c-1") };
    for (of_holder, own, waits) in [(0, 8, 8), (8, 8, 8), (30, 8, 30), (8, 30, 30)] {
        let lease = LeaseRecord { lease_duration: secs(of_holder), ..held() };
        let timings = Timings { lease_duration: secs(own), ..Timings::default() };
        for who in [&me, &heir] {
            let almost = may_take(&lease, who, secs(waits - 1), timings, &[]);
            assert_eq!(almost, Err(Refusal::Held { holder: "c-1".to_owned(), left: secs(1) }), "{of_holder} {own}");
            assert!(may_take(&lease, who, secs(waits), timings, &[]).is_ok(), "{of_holder} {own}");
        }
    }
}

#[test]
fn a_duration_ends_with_the_hold_that_it_was_of() {
    let lease = LeaseRecord { lease_duration: secs(30), ..held() };
    assert_eq!(released(&lease, None).lease_duration, Duration::ZERO);
    let after = taken(&lease, holder("c-2"), AttemptId::from("a"), Purpose::Promotion, vec![], None);
    assert_eq!(after.lease_duration, Duration::ZERO, "the taker's own is set by the taker");
}

#[test]
fn a_pod_that_the_holder_does_not_know_never_takes_by_waiting() {
    let newcomer = holder("c-3");
    assert!(matches!(may_take(&held(), &newcomer, secs(900), Timings::default(), &[]), Err(Refusal::NotATaker { .. })));
}

#[test]
fn proof_of_death_is_about_the_nonce_and_not_about_the_name() {
    let me = holder("c-3");
    let other = [Nonce::from("nonce of an earlier container of c-1")];
    assert!(may_take(&held(), &me, Duration::ZERO, Timings::default(), &other).is_err());
    let proof = [Nonce::from("nonce-c-1")];
    assert_eq!(may_take(&held(), &me, Duration::ZERO, Timings::default(), &proof), Ok(Ground::ProofOfDeath));
}

#[test]
fn the_heir_of_the_holders_volume_waits_as_long_as_a_taker() {
    let heir = Holder { pod_uid: PodUid::from("uid of a new pod"), nonce: Nonce::from("n"), ..holder("c-1") };
    assert!(matches!(may_take(&held(), &heir, secs(7), Timings::default(), &[]), Err(Refusal::Held { .. })));
    assert_eq!(may_take(&held(), &heir, secs(8), Timings::default(), &[]), Ok(Ground::VolumeInherited));
}

#[test]
fn a_restarted_container_never_outwaits_its_predecessor_in_the_same_pod() {
    let again = Holder { nonce: Nonce::from("n"), ..holder("c-1") };
    assert!(may_take(&held(), &again, secs(900), Timings::default(), &[]).is_err());
}

#[test]
fn a_promotion_reserves_the_next_term_and_the_next_timeline_in_one_write() {
    let after = taken(&held(), holder("c-2"), AttemptId::from("a"), Purpose::Promotion, vec![], None);
    assert_eq!((after.term, after.timeline, after.state), (Term(5), TimelineId(3), HolderState::Promoting));
}

#[test]
fn going_on_in_place_moves_the_term_and_keeps_the_timeline() {
    let tail = Some(WalPosition { timeline: TimelineId(2), lsn: Lsn(9) });
    let after = taken(&held(), holder("c-1"), AttemptId::from("a"), Purpose::InPlace { tail }, vec![], None);
    assert_eq!((after.term, after.timeline, after.state), (Term(5), TimelineId(2), HolderState::Recovering));
    assert_eq!(after.tail, tail);
}

#[test]
fn a_timeline_is_of_the_term_whose_take_reserved_it_however_often_it_is_gone_on_with() {
    let take =
        |before: &LeaseRecord, purpose| taken(before, holder("c-2"), AttemptId::from("a"), purpose, vec![], None);
    let in_place =
        |timeline| Purpose::InPlace { tail: Some(WalPosition { timeline: TimelineId(timeline), lsn: Lsn(9) }) };
    let promoted = take(&held(), Purpose::Promotion);
    assert_eq!((promoted.term, promoted.timeline_term), (Term(5), Term(5)));
    let again = take(&promoted, in_place(3));
    assert_eq!((again.term, again.timeline, again.timeline_term), (Term(6), TimelineId(3), Term(5)));
    assert_eq!(released(&again, None).timeline_term, Term(5));
    let by_hand = take(&again, in_place(4));
    assert_eq!((by_hand.timeline, by_hand.timeline_term), (TimelineId(4), Term(0)), "nobody reserved it");
    let first = take(&LeaseRecord::default(), Purpose::FirstDatabase(TimelineId(1)));
    assert_eq!((first.term, first.timeline_term), (Term(1), Term(1)));
}

#[test]
fn a_deadline_runs_from_the_sending_and_an_overdue_answer_makes_no_holder() {
    let lease = Versioned { version: "9".to_owned(), value: held() };
    let at = |s: u64| Instant(s * 1_000_000_000);
    let hold = Hold::from_answer(lease.clone(), at(100), at(104), Timings::default());
    assert_eq!(hold.map(|h| h.deadline), Some(at(105)));
    assert_eq!(Hold::from_answer(lease, at(100), at(105), Timings::default()), None);
}

#[test]
fn a_late_answer_never_moves_a_deadline_backwards() {
    let lease = Versioned { version: "9".to_owned(), value: held() };
    let at = |s: u64| Instant(s * 1_000_000_000);
    let mut hold = Hold { lease: lease.clone(), deadline: at(110) };
    hold.renewed(lease, at(101), Timings::default());
    assert_eq!(hold.deadline, at(110));
    assert!(hold.overdue(at(110)));
}

#[test]
fn a_conflict_with_ones_own_record_adopts_the_version_and_any_other_is_lost() {
    assert_eq!(conflict(&Nonce::from("nonce-c-1"), &held()), Conflict::Adopt);
    assert_eq!(conflict(&Nonce::from("nonce-c-2"), &held()), Conflict::Lost);
    assert_eq!(conflict(&Nonce::from("nonce-c-1"), &released(&held(), None)), Conflict::Lost);
}

#[test]
fn the_default_timings_leave_room_to_fence_and_wrong_ones_are_named() {
    assert!(Timings::default().check().is_ok());
    let tight = Timings { lease_duration: secs(6), ..Timings::default() };
    assert!(matches!(tight.check(), Err(TimingsError::NoRoomToFence { .. })));
    let lazy = Timings { retry_period: secs(5), ..Timings::default() };
    assert!(matches!(lazy.check(), Err(TimingsError::NoRoomToRetry { .. })));
}
