//! Which backup is chosen, and what is refused.

use super::super::archived::tests::{history, with};
use super::super::entry::State;
use super::super::entry::tests::complete;
use super::*;
use crate::wal::SegmentNo;
use proptest::prelude::*;

const SEGMENT: u64 = 16 << 20;

/// Timeline 1 up to segment 20, left in the middle of 15 for timeline 2, which goes to 30. Backups A and B are on the
/// first, C is on what the first wrote in vain, D is on the second.
fn archive() -> (Vec<Entry>, Archived) {
    let mut archived = Archived::default();
    with(&mut archived, 1, 2..=20, 100);
    with(&mut archived, 2, 15..=30, 200);
    archived.add_history(history(2, &[(1, 15)]));
    let entries = vec![
        complete("20261101T000000", 1, (3, 4), 10),
        complete("20261102T000000", 1, (9, 10), 20),
        complete("20261103T000000", 1, (17, 18), 30),
        complete("20261104T000000", 2, (21, 22), 40),
    ];
    (entries, archived)
}

fn ask(target: Target) -> RecoveryTarget {
    RecoveryTarget { target, ..RecoveryTarget::default() }
}

fn along(timeline: u32, target: Target) -> RecoveryTarget {
    RecoveryTarget { timeline: TargetTimeline::Id(TimelineId(timeline)), ..ask(target) }
}

fn minute(at: i64) -> Target {
    Target::Time(Timestamp::from_seconds(at * 60))
}

fn lsn(segment: u64) -> Target {
    Target::Lsn(Lsn(segment * SEGMENT + 0x28))
}

fn chosen(wanted: &RecoveryTarget) -> (String, u32) {
    let (entries, archived) = archive();
    let choice = choose(&entries, &archived, wanted).unwrap();
    (choice.backup.to_string(), choice.along.timeline().0)
}

fn refused(wanted: &RecoveryTarget) -> Refusal {
    let (entries, archived) = archive();
    choose(&entries, &archived, wanted).unwrap_err()
}

#[test]
fn the_newest_backup_that_ended_before_the_target_on_its_timeline_is_chosen() {
    let named = |day: u32, timeline| (format!("2026110{day}T000000"), timeline);
    for (wanted, expected) in [
        (ask(Target::Latest), named(4, 2)),
        (ask(Target::Immediate), named(4, 2)),
        (ask(minute(45)), named(4, 2)),
        (ask(minute(40)), named(4, 2)),
        // The third is of the branch that was left: it does not lead to timeline 2.
        (ask(minute(39)), named(2, 2)),
        (ask(minute(15)), named(1, 2)),
        (along(1, minute(39)), named(3, 1)),
        (along(1, Target::Latest), named(3, 1)),
        (ask(lsn(30)), named(4, 2)),
        (ask(lsn(22)), named(4, 2)),
        (ask(lsn(21)), named(2, 2)),
        // Along the timeline that it is on: nothing of a later one is needed.
        (ask(lsn(4)), named(1, 1)),
        (ask(lsn(15)), named(2, 2)),
        (along(1, lsn(19)), named(3, 1)),
        // Nobody knows where they are: only the oldest is sure to lie before.
        (ask(Target::Xid(731)), named(1, 2)),
        (ask(Target::Name("x".into())), named(1, 2)),
        (RecoveryTarget { timeline: TargetTimeline::Current, ..ask(Target::Latest) }, named(4, 2)),
        (RecoveryTarget { backup: "20261102T000000".parse().ok(), ..ask(Target::Xid(731)) }, named(2, 2)),
        (
            RecoveryTarget {
                backup: "20261103T000000".parse().ok(),
                timeline: TargetTimeline::Current,
                ..ask(Target::Immediate)
            },
            named(3, 1),
        ),
        // Its own timeline is the latest that it leads to.
        (RecoveryTarget { backup: "20261103T000000".parse().ok(), ..ask(Target::Latest) }, named(3, 1)),
    ] {
        assert_eq!(chosen(&wanted), expected, "{wanted:?}");
    }
}

#[test]
fn what_cannot_be_recovered_is_refused_with_what_can() {
    let said = |wanted: &RecoveryTarget| refused(wanted).to_string();
    let early = said(&ask(minute(9)));
    assert!(early.contains("before what can be recovered: first recoverable 1970-01-01 00:10:00+00:00"), "{early}");
    let late = said(&ask(minute(202)));
    assert!(
        late.contains("after what can be recovered") && late.contains("last recoverable 1970-01-01 03:20:00"),
        "{late}"
    );
    assert_eq!(chosen(&ask(minute(201))).1, 2, "the clocks may differ by a minute: postgres tells");
    assert!(matches!(refused(&ask(lsn(31))), Refusal::TooLate { .. }));
    assert!(matches!(refused(&ask(lsn(3))), Refusal::TooEarly { .. }));
    assert_eq!(refused(&along(7, Target::Latest)), Refusal::UnknownTimeline { timeline: TimelineId(7) });
    let unknown = RecoveryTarget { backup: "20270101T000000".parse().ok(), ..ask(Target::Latest) };
    assert!(said(&unknown).contains("there are 20261101T000000, 20261102T000000"), "{}", said(&unknown));
    let early = RecoveryTarget { backup: "20261104T000000".parse().ok(), ..ask(minute(25)) };
    assert!(matches!(refused(&early), Refusal::TooEarly { .. }));
    let elsewhere = RecoveryTarget { backup: "20261103T000000".parse().ok(), ..along(2, Target::Latest) };
    assert!(matches!(refused(&elsewhere), Refusal::OtherTimeline { .. }));
}

#[test]
fn a_backup_that_is_not_complete_is_never_chosen() {
    let (mut entries, archived) = archive();
    entries[3].state = State::Failed;
    assert_eq!(choose(&entries, &archived, &ask(Target::Latest)).unwrap().backup.as_str(), "20261102T000000");
    let named = RecoveryTarget { backup: "20261104T000000".parse().ok(), ..ask(Target::Latest) };
    assert!(matches!(choose(&entries, &archived, &named), Err(Refusal::NotComplete { .. })));
    entries.iter_mut().for_each(|entry| entry.state = State::Unfinished);
    assert_eq!(choose(&entries, &archived, &ask(Target::Latest)), Err(Refusal::NoBackup { unusable: 4 }));
}

#[test]
fn wal_that_is_missing_is_named_and_a_hole_is_never_the_end_of_the_archive() {
    let mut archived = Archived::default();
    with(&mut archived, 1, 2..=3, 100);
    let entries = vec![complete("20261101T000000", 1, (3, 4), 10)];
    let missing = choose(&entries, &archived, &ask(Target::Latest)).unwrap_err();
    assert!(missing.to_string().contains("lacks 000000010000000000000004, without which"), "{missing}");
    with(&mut archived, 1, 4..=6, 100);
    with(&mut archived, 1, 8..=9, 100);
    let hole = choose(&entries, &archived, &ask(Target::Latest)).unwrap_err();
    assert!(
        hole.to_string().contains("lacks 000000010000000000000007") && hole.to_string().contains("0/7000000"),
        "{hole}"
    );
    assert!(matches!(choose(&entries, &archived, &ask(lsn(8))), Err(Refusal::TooLate { .. })));
    assert_eq!(choose(&entries, &archived, &ask(Target::Lsn(Lsn(7 * SEGMENT)))).unwrap().covered, Lsn(7 * SEGMENT));
}

proptest! {
    /// Whatever is chosen ended before the target, leads to the timeline, and has all of its WAL.
    #[test]
    fn a_choice_can_be_recovered(
        backups in proptest::collection::vec((1_u32..4, 1_u64..25, 0_u64..3, 1_i64..50), 0..8),
        present in proptest::collection::btree_set((1_u32..4, 1_u64..30), 0..70),
        forks in (2_u64..15, 0_u64..15),
        kind in 0_u8..5,
        at in 0_u64..60,
        timeline in proptest::option::of(1_u32..5),
    ) {
        let mut archived = Archived::default();
        for (timeline, segment) in &present {
            with(&mut archived, *timeline, *segment..=*segment, 40);
        }
        archived.add_history(history(2, &[(1, forks.0)]));
        archived.add_history(history(3, &[(1, forks.0), (2, forks.0 + forks.1)]));
        let entries: Vec<Entry> = backups
            .iter()
            .enumerate()
            .map(|(n, (timeline, begin, long, minute))| complete(&format!("202611{:02}T000000", n + 1), *timeline, (*begin, begin + long), *minute))
            .collect();
        let target = match kind {
            0 => Target::Latest,
            1 => Target::Immediate,
            2 => minute(i64::try_from(at).unwrap()),
            3 => lsn(at),
            _ => Target::Xid(at),
        };
        let wanted = RecoveryTarget {
            timeline: timeline.map_or(TargetTimeline::Latest, |id| TargetTimeline::Id(TimelineId(id))),
            ..ask(target)
        };
        if let Ok(choice) = choose(&entries, &archived, &wanted) {
            prop_assert!(choice.along.contains(choice.span.end));
            prop_assert!(ends_before(&choice.span, &wanted.target));
            let needed = choice.span.begin.lsn.0 / SEGMENT..=choice.span.end.lsn.0 / SEGMENT;
            for segment in needed {
                let there = |timeline| present.contains(&(timeline, segment));
                let ids = choice.along.ancestors().iter().map(|s| s.timeline.0).chain([choice.along.timeline().0]);
                prop_assert!(ids.into_iter().any(there), "segment {segment} is missing");
            }
            if let Target::Lsn(to) = wanted.target {
                prop_assert!(to <= choice.covered);
            }
            // No better one: a backup that ended later, and before the target, does not lead there.
            if !matches!(wanted.target, Target::Xid(_)) {
                for entry in &entries {
                    let span = entry.span().unwrap();
                    let better = span.end_time > choice.span.end_time && ends_before(span, &wanted.target);
                    prop_assert!(!(better && choice.along.contains(span.end)));
                }
            }
            prop_assert!(archived.first_missing(&choice.along, SegmentNo(choice.span.begin.lsn.0 / SEGMENT)).0 * SEGMENT >= choice.covered.0);
        }
    }
}

#[test]
fn of_a_segment_that_two_timelines_have_replay_reads_the_later_ones() {
    let covered = Covered { until: Lsn(12 << 24), segment: SegmentSize::DEFAULT };
    let along = super::super::archived::tests::history(2, &[(1, 7)]);
    let at = |segment: u64, offset: u64| covered.segment_at(&along, Lsn((segment << 24) + offset)).to_string();
    assert_eq!(at(6, 0xFF_FFFF), "000000010000000000000006");
    assert_eq!(at(7, 0), "000000020000000000000007");
    assert_eq!(at(8, 5), "000000020000000000000008");
}
