//! Each way to come back.

use super::*;
use proptest::prelude::*;

fn history(timeline: u32, text: &str) -> History {
    History::parse(TimelineId(timeline), text).unwrap()
}

fn at(timeline: u32, lsn: u64) -> WalPosition {
    WalPosition { timeline: TimelineId(timeline), lsn: Lsn(lsn) }
}

fn local(history: History, end: u64) -> LocalCopy {
    let checkpoint = WalPosition { timeline: history.timeline(), lsn: Lsn(end.min(4)) };
    LocalCopy {
        system_id: SystemId(7),
        history,
        end_of_wal: Some(Lsn(end)),
        checkpoint,
        min_recovery: None,
        rewindable: true,
    }
}

fn leader(history: History) -> Leader {
    Leader { system_id: SystemId(7), history }
}

fn one() -> History {
    History::of_first(TimelineId(1))
}

fn fork(timeline: u32, lsn: u64) -> Fork {
    Fork { timeline: TimelineId(timeline), lsn: Lsn(lsn) }
}

#[test]
fn a_copy_on_the_leaders_timeline_follows_already() {
    assert_eq!(rejoin(&local(one(), 0x50), &leader(one())), Rejoin::AlreadyFollowing);
    let two = history(2, "1\t0/10\t\n");
    assert_eq!(rejoin(&local(two.clone(), 0x50), &leader(two)), Rejoin::AlreadyFollowing);
}

#[test]
fn a_copy_that_stopped_before_the_switch_crosses_over_by_replay() {
    let two = leader(history(2, "1\t0/10\t\n"));
    assert_eq!(rejoin(&local(one(), 0xF), &two), Rejoin::FastForward);
    assert_eq!(rejoin(&local(one(), 0x10), &two), Rejoin::FastForward, "a clean handover leaves nothing behind");
}

#[test]
fn one_byte_past_the_switch_is_rewound() {
    let two = leader(history(2, "1\t0/10\t\n"));
    assert_eq!(rejoin(&local(one(), 0x11), &two), Rejoin::Rewind { from: fork(1, 0x10) });
    let four = leader(history(4, "1\t0/10\t\n2\t0/20\t\n"));
    let three = history(3, "1\t0/10\t\n2\t0/18\t\n");
    assert_eq!(rejoin(&local(three, 0x30), &four), Rejoin::Rewind { from: fork(2, 0x18) });
}

#[test]
fn a_promotion_that_wrote_nothing_and_lost_is_rewound_too() {
    let lost = history(2, "1\t0/10\t\n");
    let won = leader(history(3, "1\t0/10\t\n"));
    assert_eq!(rejoin(&local(lost, 0x10), &won), Rejoin::Rewind { from: fork(1, 0x10) });
}

#[test]
fn the_control_file_raises_an_end_of_wal_that_was_found_too_early() {
    let two = leader(history(2, "1\t0/10\t\n"));
    let mut copy = local(one(), 8);
    copy.checkpoint = at(1, 0x12);
    assert_eq!(rejoin(&copy, &two), Rejoin::Rewind { from: fork(1, 0x10) });
    let mut copy = local(one(), 8);
    copy.min_recovery = Some(at(1, 0x12));
    assert_eq!(rejoin(&copy, &two), Rejoin::Rewind { from: fork(1, 0x10) });
}

#[test]
fn what_cannot_be_rewound_is_cloned_again() {
    let two = leader(history(2, "1\t0/10\t\n"));
    let mut copy = local(one(), 0x11);
    copy.rewindable = false;
    assert_eq!(rejoin(&copy, &two), Rejoin::Reclone { reason: RecloneReason::NoHintBits(fork(1, 0x10)) });
    copy.end_of_wal = None;
    assert_eq!(rejoin(&copy, &two), Rejoin::Reclone { reason: RecloneReason::EndUnknown });
    let stranger = leader(History::of_first(TimelineId(9)));
    assert_eq!(rejoin(&local(one(), 4), &stranger), Rejoin::Reclone { reason: RecloneReason::NoCommonTimeline });
}

#[test]
fn another_database_or_a_newer_timeline_is_for_a_person_to_judge() {
    let mut other = leader(one());
    other.system_id = SystemId(8);
    assert_eq!(
        rejoin(&local(one(), 4), &other),
        Rejoin::Refuse { reason: RefuseReason::OtherSystem { local: SystemId(7), leader: SystemId(8) } }
    );
    let ahead = local(history(2, "1\t0/10\t\n"), 0x20);
    assert_eq!(
        rejoin(&ahead, &leader(one())),
        Rejoin::Refuse { reason: RefuseReason::LeaderBehind { local: TimelineId(2), leader: TimelineId(1) } }
    );
}

proptest! {
    #[test]
    fn a_copy_is_only_started_as_it_is_when_all_of_it_is_the_leaders(
        mine in super::super::history::tests::histories(),
        theirs in super::super::history::tests::histories(),
        past in 0_u64..2000,
    ) {
        let end = mine.begin_of(mine.timeline()).unwrap().plus(past);
        let position = WalPosition { timeline: mine.timeline(), lsn: end };
        match rejoin(&local(mine, end.0), &leader(theirs.clone())) {
            Rejoin::AlreadyFollowing | Rejoin::FastForward => prop_assert!(theirs.contains(position)),
            Rejoin::Rewind { from } => {
                let common = theirs.contains(WalPosition { timeline: from.timeline, lsn: from.lsn });
                prop_assert!(common);
            }
            Rejoin::Reclone { .. } => prop_assert!(false, "all of these share timeline 1"),
            Rejoin::Refuse { .. } => prop_assert!(position.timeline > theirs.timeline()),
        }
    }
}
