//! The order of uploads, and what is remembered about each.

use super::*;
use proptest::prelude::*;

fn wal(text: &str) -> WalName {
    text.parse().unwrap()
}

fn segment(n: u32) -> WalName {
    wal(&format!("0000000100000000{n:08X}"))
}

fn queue(width: usize) -> Queue {
    Queue::new(NonZeroUsize::new(width).unwrap())
}

const NOW: Instant = Instant(1_000);
const LATER: Instant = Instant(2_000);

#[test]
fn history_goes_first_then_what_postgres_waits_for_then_the_oldest() {
    let mut queue = queue(9);
    queue.observe([
        segment(9),
        wal("00000002.history"),
        wal("00000003.history"),
        wal("000000020000000000000003"),
        wal("000000010000000000000003.partial"),
        wal("000000010000000000000003.00000028.backup"),
        segment(3),
    ]);
    assert_eq!(queue.request(segment(9)), Standing::Queued);
    assert_eq!(
        queue.start_uploads(NOW),
        [
            wal("00000003.history"),
            wal("00000002.history"),
            segment(9),
            segment(3),
            wal("000000010000000000000003.00000028.backup"),
            wal("000000010000000000000003.partial"),
            wal("000000020000000000000003"),
        ]
    );
}

#[test]
fn no_more_than_the_width_is_in_flight() {
    let mut queue = queue(2);
    queue.observe((1..=5).map(segment));
    assert_eq!(queue.start_uploads(NOW), [segment(1), segment(2)]);
    assert!(queue.start_uploads(NOW).is_empty());
    queue.finished(segment(2), Finished::Archived);
    assert_eq!(queue.start_uploads(NOW), [segment(3)]);
    queue.set_width(NonZeroUsize::MIN);
    queue.finished(segment(1), Finished::Archived);
    assert!(queue.start_uploads(NOW).is_empty(), "one is still in flight");
}

#[test]
fn what_went_ahead_is_archived_by_the_time_postgres_asks() {
    let mut queue = queue(2);
    queue.observe([segment(1), segment(2)]);
    let _ = queue.start_uploads(NOW);
    assert_eq!(queue.request(segment(1)), Standing::Uploading);
    queue.finished(segment(1), Finished::Archived);
    queue.finished(segment(2), Finished::Archived);
    assert_eq!(queue.standing(segment(1)), Standing::Archived);
    queue.answered(segment(1));
    queue.observe([segment(2)]);
    assert_eq!(queue.request(segment(2)), Standing::Archived);
    assert_eq!(queue.backlog(), 0);
}

#[test]
fn a_file_that_is_not_ready_any_more_is_forgotten() {
    let mut queue = queue(1);
    queue.observe([segment(1)]);
    let _ = queue.start_uploads(NOW);
    queue.finished(segment(1), Finished::Archived);
    queue.observe([]);
    queue.observe([segment(1)]);
    assert_eq!(queue.standing(segment(1)), Standing::Queued, "a name that comes back may have other content");
}

#[test]
fn a_request_outlives_a_listing_that_was_made_before_it() {
    let mut queue = queue(1);
    assert_eq!(queue.request(segment(1)), Standing::Queued);
    queue.observe([]);
    assert_eq!(queue.backlog(), 1);
    assert_eq!(queue.start_uploads(NOW), [segment(1)]);
}

#[test]
fn a_failed_upload_waits_and_lets_others_pass() {
    let mut queue = queue(1);
    queue.observe([segment(1), segment(2)]);
    assert_eq!(queue.start_uploads(NOW), [segment(1)]);
    queue.finished(segment(1), Finished::Retry { at: LATER });
    assert_eq!(queue.request(segment(1)), Standing::Waiting { until: LATER });
    assert_eq!(queue.next_wake(), Some(LATER));
    assert_eq!(queue.start_uploads(NOW), [segment(2)]);
    queue.finished(segment(2), Finished::Archived);
    assert_eq!(queue.start_uploads(LATER), [segment(1)]);
    assert_eq!(queue.next_wake(), None);
}

#[test]
fn a_refused_file_stays_refused_until_it_has_been_looked_at_again() {
    let mut queue = queue(1);
    queue.observe([segment(1)]);
    let _ = queue.start_uploads(NOW);
    queue.finished(segment(1), Finished::Refused { at: LATER });
    assert_eq!(queue.request(segment(1)), Standing::Refused);
    assert_eq!(queue.refused().collect::<Vec<_>>(), [segment(1)]);
    assert_eq!(queue.backlog(), 1);
    assert_eq!(queue.start_uploads(LATER), [segment(1)]);
    queue.finished(segment(1), Finished::Archived);
    assert_eq!(queue.standing(segment(1)), Standing::Archived);
    queue.forget();
    assert_eq!(queue.standing(segment(1)), Standing::Queued);
}

proptest! {
    #[test]
    fn whatever_fails_everything_ready_is_archived_in_the_end(
        count in 1_u32..30,
        width in 1_usize..5,
        fates in proptest::collection::vec(0_u8..4, 0..200),
    ) {
        let mut queue = queue(width);
        queue.observe((0..count).map(segment));
        let mut fates = fates.into_iter();
        let mut now = NOW;
        let mut rounds = 0;
        while queue.backlog() > 0 {
            for name in queue.start_uploads(now) {
                let at = now.plus(core::time::Duration::from_nanos(5));
                queue.finished(name, match fates.next() {
                    Some(0) => Finished::Retry { at },
                    Some(1) => Finished::Refused { at },
                    _ => Finished::Archived,
                });
            }
            now = queue.next_wake().unwrap_or(now).max(now);
            rounds += 1;
            prop_assert!(rounds < 1_000);
        }
        prop_assert!((0..count).all(|n| queue.standing(segment(n)) == Standing::Archived));
    }
}
