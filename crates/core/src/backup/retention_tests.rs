//! What goes, what stays.

use super::super::archived::tests::{history, with};
use super::super::entry::tests::complete;
use super::*;
use crate::timeline::History;
use crate::wal::SegmentName;
use proptest::prelude::*;

const MINUTES: i64 = 24 * 60;

fn day(at: i64) -> i64 {
    at * MINUTES
}

fn at(days: i64) -> Timestamp {
    Timestamp::from_seconds(days * DAY)
}

/// A backup a day; that of day `n` begins and ends in segment `10 n`.
fn daily(days: core::ops::RangeInclusive<u64>) -> Vec<Entry> {
    days.map(|n| complete(&format!("202611{n:02}T000000"), 1, (10 * n, 10 * n), day(i64::try_from(n).unwrap())))
        .collect()
}

fn first_timeline(last: u64, minute: i64) -> Archived {
    let mut archived = Archived::default();
    with(&mut archived, 1, 5..=last, minute);
    archived
}

fn ids(removed: &[(BackupId, Redundant)]) -> Vec<&str> {
    removed.iter().map(|(id, _)| id.as_str().split_at(6).1.split_at(2).0).collect()
}

fn removed(plan: &Plan, timeline: u32, numbers: core::ops::RangeInclusive<u64>) -> Vec<u64> {
    let segment = |number: &u64| WalName::segment(TimelineId(timeline), SegmentNo(*number), SegmentSize::DEFAULT);
    numbers.filter(|number| plan.removes(segment(number))).collect()
}

fn planned(entries: &[Entry], archived: &Archived, policy: &str, now: i64, current: u32) -> Plan {
    plan(entries, archived, policy.parse().unwrap(), at(now), TimelineId(current))
}

#[test]
fn the_newest_backup_before_the_window_stays_with_everything_after_it() {
    let archived = first_timeline(105, day(10));
    for (policy, now, gone, first_wal) in [
        ("3d", 10, vec!["01", "02", "03", "04", "05", "06"], 70),
        ("1w", 10, vec!["01", "02"], 30),
        ("1m", 10, vec![], 10),
        ("1d", 11, vec!["01", "02", "03", "04", "05", "06", "07", "08", "09"], 100),
        // The last one is never too old: nothing makes it redundant.
        ("1d", 365, vec!["01", "02", "03", "04", "05", "06", "07", "08", "09"], 100),
    ] {
        let entries = daily(1..=10);
        let plan = planned(&entries, &archived, policy, now, 1);
        assert_eq!(ids(&plan.remove), gone, "{policy}");
        assert_eq!(plan.stay.len() + gone.len(), 10);
        assert_eq!(removed(&plan, 1, 5..=105), (5..first_wal).collect::<Vec<_>>(), "{policy}");
        assert_eq!(plan.first, Some(at(11 - i64::try_from(plan.stay.len()).unwrap())), "{policy}");
    }
}

#[test]
fn without_a_complete_backup_nothing_is_ever_deleted() {
    let archived = first_timeline(50, day(1));
    let mut entries = daily(1..=2);
    entries[0].state = State::Failed;
    entries[1].state = State::Unfinished;
    for entries in [&entries[..], &[]] {
        let plan = planned(entries, &archived, "1d", 365, 1);
        assert_eq!((plan.remove.len(), removed(&plan, 1, 0..=60).len(), plan.first), (0, 0, None));
    }
}

#[test]
fn rests_of_failed_backups_go_when_a_later_one_is_complete() {
    let now: Timestamp = "2026-11-10 12:00:00Z".parse().unwrap();
    let days = now.seconds() / DAY;
    let mut done = complete("20261110T000000", 1, (50, 50), day(days));
    let older = complete("20261108T000000", 1, (40, 40), day(days - 2));
    let broken = |id: &str, state| Entry { state, ..complete(id, 1, (1, 1), 0) };
    let entries = |done: &Entry| {
        vec![
            broken("20261107T000000", State::Failed),
            older.clone(),
            broken("20261109T000000", State::Unfinished),
            broken("20261109T200000", State::Failed),
            broken("20261109T210000", State::Unfinished),
            done.clone(),
            broken("20261110T010000", State::Failed),
        ]
    };
    let gone = |done: &Entry| -> Vec<String> {
        let plan = plan(&entries(done), &first_timeline(60, day(days)), "7d".parse().unwrap(), now, TimelineId(1));
        plan.remove.iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(
        gone(&done),
        ["20261107T000000", "20261109T000000", "20261109T200000"],
        "one of the last day may run yet"
    );
    done.state = State::Failed;
    assert_eq!(gone(&done), ["20261107T000000"]);
}

#[test]
fn what_somebody_wants_kept_stays_with_the_wal_that_it_needs() {
    let archived = first_timeline(105, day(10));
    let mut entries = daily(1..=10);
    entries[1].keep = Some(Keep::Standalone);
    let plan = planned(&entries, &archived, "3d", 10, 1);
    assert_eq!(ids(&plan.remove), ["01", "03", "04", "05", "06"]);
    let gone: Vec<u64> = (5..=19).chain(21..=69).collect();
    assert_eq!(removed(&plan, 1, 5..=105), gone, "only what makes it consistent");
    assert_eq!(plan.first, Some(at(7)), "and no other moment can be recovered from it");
    entries[1].keep = Some(Keep::Full);
    let plan = planned(&entries, &archived, "3d", 10, 1);
    assert_eq!((removed(&plan, 1, 5..=105), plan.first), ((5..=19).collect(), Some(at(2))));
}

#[test]
fn i7_a_backup_of_a_branch_that_was_left_makes_nothing_of_the_living_one_redundant() {
    // On day 3 the cluster was restored to the end of day 1: timeline 2 leaves timeline 1 in segment 15.
    let mut archived = first_timeline(35, day(3));
    with(&mut archived, 2, 15..=100, day(10));
    archived.add_history(history(2, &[(1, 15)]));
    let entries = daily(1..=3);
    let plan = planned(&entries, &archived, "3d", 10, 2);
    assert_eq!(ids(&plan.remove), ["02"; 0], "the first is the living branch's only base; nothing newer replaces it");
    assert_eq!((removed(&plan, 1, 5..=35), removed(&plan, 2, 15..=100)), ((5..=9).collect(), vec![]));
    // Once the living branch has a backup before the window, all of the other one is redundant.
    let with_own: Vec<Entry> = entries.into_iter().chain([complete("20261105T000000", 2, (50, 51), day(5))]).collect();
    let plan = planned(&with_own, &archived, "3d", 10, 2);
    assert_eq!(ids(&plan.remove), ["01", "02", "03"]);
    assert_eq!((removed(&plan, 1, 5..=35).len(), removed(&plan, 2, 15..=100)), (31, (15..=49).collect()));
}

#[test]
fn history_files_and_unknown_files_are_never_deleted_and_labels_go_with_their_segment() {
    let plan = planned(&daily(1..=10), &first_timeline(105, day(10)), "3d", 10, 1);
    let removes = |name: &str| plan.removes(name.parse().unwrap());
    assert!(removes("000000010000000000000045") && removes("000000010000000000000045.00000028.backup"));
    assert!(removes("000000010000000000000045.partial") && !removes("000000010000000000000046"));
    assert!(!removes("00000001.history") && !removes("00000002.history") && !removes("000000090000000000000001"));
    assert!(!removes("0000000100000000FFFFFFFF"), "no number for segments of this size");
}

#[test]
fn a_timeline_whose_history_is_not_there_blocks_everything() {
    let mut archived = first_timeline(105, day(10));
    with(&mut archived, 3, 60..=100, day(10));
    let plan = planned(&daily(1..=10), &archived, "3d", 10, 1);
    assert!(plan.blocked.as_deref().unwrap().contains("timeline 3"));
    assert_eq!((plan.remove.len(), plan.stay.len(), removed(&plan, 1, 5..=105).len()), (0, 10, 0));
}

proptest! {
    /// I7: whatever in the window could be recovered before can be recovered afterwards.
    #[test]
    fn i7_nothing_in_the_window_is_lost(
        backups in proptest::collection::vec((1_u32..4, 1_u64..40, 0_u64..3, 1_i64..40, 0_u8..6), 0..10),
        forks in (2_u64..20, 0_u64..20),
        ages in (1_i64..40, 1_i64..40, 1_i64..40),
        window in 1_i64..30,
        current in 1_u32..4,
    ) {
        let mut archived = Archived::default();
        with(&mut archived, 1, 0..=40, day(ages.0));
        with(&mut archived, 2, forks.0..=40, day(ages.1));
        with(&mut archived, 3, forks.0 + forks.1..=40, day(ages.2));
        archived.add_history(history(2, &[(1, forks.0)]));
        archived.add_history(history(3, &[(1, forks.0), (2, forks.0 + forks.1)]));
        let entries: Vec<Entry> = backups.iter().enumerate().map(|(n, (timeline, begin, long, days, kind))| {
            let entry = complete(&format!("202611{:02}T000000", n + 1), *timeline, (*begin, begin + long), day(*days));
            match kind {
                0 => Entry { state: State::Failed, ..entry },
                1 => Entry { keep: Some(Keep::Standalone), ..entry },
                2 => Entry { keep: Some(Keep::Full), ..entry },
                _ => entry,
            }
        }).collect();
        let policy = Retention { count: u32::try_from(window).unwrap(), unit: crate::rules::retention::RetentionUnit::Days };
        let plan = plan(&entries, &archived, policy, at(41), TimelineId(current));
        let gone: BTreeSet<&BackupId> = plan.remove.iter().map(|(id, _)| id).collect();
        let from = begin(policy, at(41));
        let stays = |segment: u64, timeline: TimelineId| {
            !plan.removes(WalName::Segment(SegmentName::new(timeline, SegmentNo(segment), SegmentSize::DEFAULT)))
        };
        for entry in &entries {
            let Some(span) = entry.span() else { continue };
            prop_assert!(!(gone.contains(&entry.id) && (entry.keep.is_some() || span.end_time >= from)));
        }
        for needed in [1, 2, 3].map(TimelineId).into_iter().filter(|t| t.0 == current || archived.newest(*t).unwrap() >= from) {
            let along: History = archived.history(needed).unwrap();
            let usable = |entry: &&Entry| {
                entry.keep != Some(Keep::Standalone) && entry.span().is_some_and(|span| along.contains(span.end))
            };
            let mut before: Vec<&Entry> = entries.iter().filter(usable).collect();
            before.sort_by_key(|entry| entry.span().unwrap().end_time);
            let base = before.iter().rfind(|entry| entry.span().unwrap().end_time <= from).or(before.first());
            let Some(base) = base else { continue };
            prop_assert!(!gone.contains(&base.id), "the base of timeline {} is gone", needed.0);
            let span = base.span().unwrap();
            for segment in span.begin.lsn.0 >> 24..=40 {
                for timeline in along.ancestors().iter().map(|s| s.timeline).chain([needed]) {
                    let (first, last) = (along.begin_of(timeline).unwrap().0 >> 24, along.end_of(timeline).unwrap().0 >> 24);
                    if (first..=last).contains(&segment) && timeline >= span.begin.timeline {
                        prop_assert!(stays(segment, timeline), "segment {segment} of timeline {}", timeline.0);
                    }
                }
            }
        }
    }
}
