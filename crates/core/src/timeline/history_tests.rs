//! History files as postgres writes them, and those that no promotion could have written.

use super::*;
use proptest::prelude::*;

fn switch(timeline: u32, lsn: u64, reason: &str) -> Switch {
    Switch { timeline: TimelineId(timeline), lsn: Lsn(lsn), reason: reason.to_owned() }
}

#[test]
fn reads_the_file_of_a_twice_promoted_cluster() {
    let text = "1\t0/5000148\tno recovery target specified\n\n2\t0/9000028\tbefore 2026-11-23 20:21:08+00\n";
    let history = History::parse(TimelineId(3), text).unwrap();
    assert_eq!(
        history.ancestors(),
        [switch(1, 0x500_0148, "no recovery target specified"), switch(2, 0x900_0028, "before 2026-11-23 20:21:08+00")]
    );
    assert_eq!(history.render(), text.replace("\n\n", "\n"));
}

#[test]
fn comments_blank_lines_and_missing_reasons_are_no_obstacle() {
    let history = History::parse(TimelineId(2), "# a comment\n\n  1   0/5000148  \r\n").unwrap();
    assert_eq!(history.ancestors(), [switch(1, 0x500_0148, "")]);
    assert_eq!(History::parse(TimelineId(1), ""), Ok(History::of_first(TimelineId(1))));
}

#[test]
fn refuses_what_no_promotion_could_have_written() {
    let parse = |timeline, text| History::parse(TimelineId(timeline), text).unwrap_err();
    assert_eq!(parse(2, "1"), HistoryError::Line { line: 1 });
    assert_eq!(parse(2, "x\t0/0\t"), HistoryError::Line { line: 1 });
    assert_eq!(parse(2, "-1\t0/0\t"), HistoryError::Line { line: 1 });
    assert_eq!(parse(2, "99999999999\t0/0\t"), HistoryError::Line { line: 1 });
    assert!(matches!(parse(2, "\n1\tnowhere\t"), HistoryError::SwitchPoint { line: 2, .. }));
    assert_eq!(parse(3, "2\t0/1\t\n1\t0/2\t"), HistoryError::Order(TimelineId(1)));
    assert_eq!(parse(3, "1\t0/2\t\n1\t0/3\t"), HistoryError::Order(TimelineId(1)));
    assert_eq!(parse(2, "2\t0/1\t"), HistoryError::NotAnAncestor { ancestor: TimelineId(2), timeline: TimelineId(2) });
    assert_eq!(parse(0, ""), HistoryError::Zero);
    assert_eq!(parse(2, "0\t0/1\t"), HistoryError::Order(TimelineId(0)));
    let backwards = vec![switch(1, 2, ""), switch(2, 1, "")];
    assert_eq!(History::new(TimelineId(3), backwards), Err(HistoryError::Backwards(TimelineId(2))));
    assert_eq!(History::new(TimelineId(2), vec![switch(0, 1, "")]), Err(HistoryError::Zero));
}

#[test]
fn a_target_that_was_never_reached_is_no_ancestor() {
    let mended = |timeline, text| History::mended(TimelineId(timeline), text).unwrap();
    // On timeline 1, short of where its target, 2, begins; promoted there.
    assert_eq!(mended(3, "1\t0/9\tlost\n2\t0/5\tnow\n").as_deref(), Some("1\t0/5\tnow\n"));
    // The target's parents were not reached either.
    let deep = "1\t0/4\ta\n2\t0/7\tb\n3\t0/9\tc\n5\t0/6\td\n";
    assert_eq!(mended(6, deep).as_deref(), Some("1\t0/4\ta\n2\t0/6\td\n"));
    // One that was promoted again since.
    assert_eq!(mended(4, "1\t0/9\ta\n2\t0/5\tb\n3\t0/9\tc\n").as_deref(), Some("1\t0/5\tb\n3\t0/9\tc\n"));
    // A timeline that nothing was written on is left where it begins, and is an ancestor.
    assert_eq!(mended(3, "1\t0/5\ta\n2\t0/5\tb\n"), None);
    assert_eq!(mended(3, "# a comment\n1\t0/5\n"), None);
    assert!(History::mended(TimelineId(3), "2\t0/5\ta\n1\t0/1\tb\n").is_err());
}

#[test]
fn a_promotion_adds_one_ancestor() {
    let history = History::of_first(TimelineId(1)).promoted(TimelineId(2), Lsn(5), "switchover\nby hand").unwrap();
    assert_eq!(history.render(), "1\t0/5\tswitchover by hand\n");
    assert_eq!(history.timeline(), TimelineId(2));
    assert!(history.promoted(TimelineId(2), Lsn(6), "").is_err());
    assert!(history.promoted(TimelineId(3), Lsn(4), "").is_err());
}

pub(crate) fn histories() -> impl Strategy<Value = History> {
    proptest::collection::vec((1_u32..4, 0_u64..1000, "[a-z ]{0,8}"), 0..6).prop_map(|steps| {
        let mut history = History::of_first(TimelineId(1));
        let mut lsn = 0;
        for (step, bytes, reason) in steps {
            lsn += bytes;
            let child = TimelineId(history.timeline().0 + step);
            history = history.promoted(child, Lsn(lsn), &reason).unwrap();
        }
        history
    })
}

proptest! {
    #[test]
    fn every_history_survives_being_written(history in histories()) {
        prop_assert_eq!(History::parse(history.timeline(), &history.render()), Ok(history));
    }

    #[test]
    fn any_text_is_read_or_refused(timeline: u32, text in "([0-9]{1,3}[\t ]+[0-9A-F]{1,3}/[0-9A-F]{1,3}[\t ]*\\PC*\n){0,4}|(?s).*") {
        if let Ok(history) = History::parse(TimelineId(timeline), &text) {
            prop_assert_eq!(History::parse(TimelineId(timeline), &history.render()), Ok(history));
        }
    }
}
