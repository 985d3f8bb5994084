//! Tables: what an order comes to, what the closed lease says, how much is given up.

use super::*;
use crate::backup::{Archived, Choice, Span, Target, Timestamp};
use crate::lease::{ElectableRecord, Holder, HolderState, Term, WalPosition};
use crate::lsn::Lsn;
use crate::timeline::{History, Lineage, TimelineId};
use crate::wal::{SegmentName, SegmentNo, SegmentSize};

fn order(id: &str, undo: bool) -> RestoreOrder {
    RestoreOrder { id: id.into(), undo, ..RestoreOrder::default() }
}

fn at(stage: Stage) -> RestoreFact {
    let before = Versioned { version: "77".into(), value: LeaseRecord { term: Term(4), ..LeaseRecord::default() } };
    RestoreFact { id: "r1".into(), order: "r1".into(), stage, before: Some(before), ..RestoreFact::default() }
}

#[test]
fn an_order_begins_a_restore_unless_one_is_under_way_or_knows_it() {
    assert_eq!(rule(&order("r1", false), Some(&at(Stage::Stopping)), &[]), Ruling::Known);
    for current in [None, Some(at(Stage::Done))] {
        let ruling = rule(&order("r2", false), current.as_ref(), &[]);
        assert!(matches!(ruling, Ruling::Begin(fact) if fact.id == "r2" && fact.stage == Stage::Stopping));
    }
    for stage in [Stage::Closing, Stage::Restoring, Stage::Reviving, Stage::Joining] {
        let ruling = rule(&order("r2", false), Some(&at(stage)), &[]);
        assert!(matches!(ruling, Ruling::Refused(_)), "{stage:?}");
    }
}

#[test]
fn another_restore_is_refused_while_volumes_of_an_earlier_one_could_not_be_gone_back_to_any_more() {
    let kept = ["r1".to_owned()];
    for current in [None, Some(at(Stage::Done))] {
        let Ruling::Refused(why) = rule(&order("r2", false), current.as_ref(), &kept) else { panic!() };
        assert!(why.contains("restore r1") && why.contains("--keep-both"), "{why}");
        let both = RestoreOrder { keep_both: true, ..order("r2", false) };
        assert!(matches!(rule(&both, current.as_ref(), &kept), Ruling::Begin(fact) if fact.id == "r2"));
    }
    assert!(matches!(rule(&order("u", true), Some(&at(Stage::Done)), &kept), Ruling::Begin(_)));
}

#[test]
fn while_it_stops_the_target_may_become_another_and_its_holder_may_be_called_dead() {
    let begun = |order: &RestoreOrder, current: &RestoreFact| match rule(order, Some(current), &[]) {
        Ruling::Begin(fact) => *fact,
        other => panic!("{other:?}"),
    };
    let dead = RestoreOrder { holder_is_dead: true, ..order("r2", false) };
    let fact = begun(&dead, &at(Stage::Stopping));
    assert_eq!((fact.id.as_str(), fact.order.as_str(), fact.holder_is_dead), ("r1", "r2", true));
    assert!(begun(&order("r3", false), &fact).holder_is_dead, "once said, it is said");
    let undo = RestoreFact { revives: Some(Revival::default()), ..at(Stage::Stopping) };
    let dead = RestoreOrder { holder_is_dead: true, ..order("u2", true) };
    assert_eq!(begun(&dead, &undo).stage, Stage::Stopping);
    assert_eq!(begun(&order("u2", true), &undo).stage, Stage::Reviving, "a second thought about the second thought");
}

#[test]
fn an_undo_goes_back_to_what_there_is_to_go_back_to() {
    let kept = ["r1".to_owned()];
    assert!(matches!(rule(&order("u", true), None, &kept), Ruling::Refused(_)));
    // Nothing is closed yet: the same restore takes its volumes back, and the lease is left as it is.
    let Ruling::Begin(fact) = rule(&order("u", true), Some(&at(Stage::Stopping)), &[]) else { panic!() };
    assert_eq!((fact.id.as_str(), fact.order.as_str(), fact.stage), ("r1", "u", Stage::Reviving));
    assert_eq!(fact.revives, Some(Revival { restore: "r1".into(), lease: None }));
    for stage in [Stage::Closing, Stage::Reviving] {
        assert!(matches!(rule(&order("u", true), Some(&at(stage)), &kept), Ruling::Later(_)), "{stage:?}");
    }
    for stage in [Stage::Restoring, Stage::Joining, Stage::Done] {
        let Ruling::Begin(fact) = rule(&order("u", true), Some(&at(stage)), &kept) else { panic!("{stage:?}") };
        assert_eq!((fact.id.as_str(), fact.stage), ("u", Stage::Stopping));
        let revives = fact.revives.unwrap();
        assert_eq!((revives.restore.as_str(), revives.lease.unwrap().term), ("r1", Term(4)));
        assert!(matches!(rule(&order("u", true), Some(&at(stage)), &[]), Ruling::Refused(_)), "they were dropped");
    }
}

#[test]
fn i2_the_closed_lease_is_of_a_higher_term_and_gives_no_timeline_out_twice() {
    let holder = Holder { name: "c-1".into(), pod_uid: "u1".into(), nonce: "n1".into(), address: "a".into() };
    let record = ElectableRecord { term: Term(4), writer: "i1".into(), voters: vec!["i2".into()], needed: 1 };
    let old = LeaseRecord {
        holder: Some(holder),
        state: HolderState::Open,
        term: Term(4),
        timeline: TimelineId(3),
        takers: vec!["u2".into()],
        records: vec![record],
        tail: Some(WalPosition { timeline: TimelineId(3), lsn: Lsn(9) }),
        lineage: Some(Lineage { timeline: TimelineId(3), ancestors: Vec::new() }),
        ..LeaseRecord::default()
    };
    let new = closed(&at(Stage::Closing), &old, TimelineId(5));
    assert_eq!((new.state, new.term, new.timeline), (HolderState::Released, Term(5), TimelineId(5)));
    assert!(at(Stage::Closing).has_closed(&new) && !at(Stage::Closing).has_closed(&old));
    assert_eq!((new.holder, new.takers, new.records, new.tail, new.lineage), (None, vec![], vec![], None, None));
    // Back again: whoever is elected must have what was acknowledged then.
    let revives = Some(Revival { restore: "r1".into(), lease: Some(old.clone()) });
    let undo = RestoreFact { id: "u".into(), revives, ..RestoreFact::default() };
    let restored = LeaseRecord { term: Term(9), timeline: TimelineId(6), ..LeaseRecord::default() };
    let back = closed(&undo, &restored, TimelineId(0));
    assert_eq!((back.state, back.term, back.timeline), (HolderState::Released, Term(10), TimelineId(6)));
    assert_eq!((back.records, back.tail, back.lineage), (old.records, old.tail, old.lineage));
    assert!(back.takers.is_empty(), "nobody who was there then may take it without an election");
}

#[test]
fn elections_go_on_until_the_last_holder_has_released_and_again_once_there_is_a_history() {
    let held = LeaseRecord {
        holder: Some(Holder { name: "c-1".into(), pod_uid: "u".into(), nonce: "n".into(), address: String::new() }),
        state: HolderState::Open,
        ..LeaseRecord::default()
    };
    let free = LeaseRecord::default();
    for (stage, held_off, free_off) in [
        (Stage::Stopping, false, true),
        (Stage::Closing, true, true),
        (Stage::Restoring, true, true),
        (Stage::Reviving, true, true),
        (Stage::Joining, false, false),
        (Stage::Done, false, false),
    ] {
        let fact = at(stage);
        let off = (fact.suspends_elections(&held), fact.suspends_elections(&free));
        assert_eq!(off, (held_off, free_off), "{stage:?}");
    }
    assert!(RestoreFact { holder_is_dead: true, ..at(Stage::Stopping) }.suspends_elections(&held));
}

#[test]
fn i7_old_volumes_stay_until_the_cluster_is_well_without_them() {
    assert_eq!(at(Stage::Done).keeps_old(true), None);
    assert!(at(Stage::Done).keeps_old(false).is_some());
    for stage in [Stage::Stopping, Stage::Closing, Stage::Restoring, Stage::Reviving, Stage::Joining] {
        assert!(at(stage).keeps_old(true).is_some(), "{stage:?}");
    }
}

#[test]
fn what_is_given_up_is_never_said_to_be_less_than_it_is() {
    let size = SegmentSize::DEFAULT;
    let mut archived = Archived::new(size);
    let mut stored = Vec::new();
    for number in 2..=9 {
        let name = SegmentName::new(TimelineId(1), SegmentNo(number), size);
        let time = Timestamp::from_seconds(i64::try_from(number).unwrap() * 60);
        archived.add_segment(name, Some(time));
        stored.push((name, Some(time)));
    }
    let end = 3 * size.bytes() + 0x28;
    let edge = |lsn| WalPosition { timeline: TimelineId(1), lsn: Lsn(lsn) };
    let choice = Choice {
        backup: "20261101T000000".parse().unwrap(),
        span: Span {
            system: None,
            version: 150_018,
            begin: edge(2 * size.bytes()),
            end: edge(end),
            begin_wal: SegmentName::of(TimelineId(1), Lsn(2 * size.bytes()), size),
            end_wal: SegmentName::of(TimelineId(1), Lsn(end), size),
            begin_time: Timestamp::from_seconds(150),
            end_time: Timestamp::from_seconds(180),
            segment_size: size,
        },
        along: History::of_first(TimelineId(1)),
        covered: Lsn(10 * size.bytes()),
    };
    let written = WalPosition { timeline: TimelineId(1), lsn: Lsn(10 * size.bytes()) };
    let bytes = |target: Target| given_up(&choice, &archived, &stored, &target, written);
    assert_eq!(bytes(Target::Latest), Some(0));
    assert_eq!(bytes(Target::Lsn(Lsn(6 * size.bytes()))), Some(4 * size.bytes()));
    // Segment 6 was stored at minute 6, so that what comes after its end may be later than half past.
    assert_eq!(bytes(Target::Time(Timestamp::from_seconds(390))), Some(3 * size.bytes()));
    assert_eq!(bytes(Target::Immediate), Some(10 * size.bytes() - end));
    assert_eq!(bytes(Target::Xid(7)), Some(10 * size.bytes() - end));
    let elsewhere = WalPosition { timeline: TimelineId(2), lsn: Lsn(10 * size.bytes()) };
    assert_eq!(given_up(&choice, &archived, &stored, &Target::Latest, elsewhere), None);
}
