//! `restore_command` in each mode: an outage is never taken for the end of an archive.

use super::testbed::{Bed, PATIENCE, content, on_timeline, recovery, segment, until};
use super::{RestoreMode, TailAnswer, TailError, TailSource};
use async_trait::async_trait;
use bytes::Bytes;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::WalName;
use pgherd_objectstore::Fault;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ABORT: u8 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_restored_and_a_proven_miss_is_exit_1() {
    let bed = Bed::restoring(recovery(), 1).await;
    bed.stored(segment(1), content(segment(1))).await;
    assert_eq!(bed.restore_command(segment(1)).await, (0, Some(content(segment(1)).to_vec())));
    assert_eq!(bed.restore_command(segment(2)).await, (1, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_bounded_on_a_standby() {
    for fault in [Fault::Off, Fault::Hang, Fault::Status(403, "AccessDenied"), Fault::Status(503, "SlowDown")] {
        let bed = Bed::restoring(RestoreMode::default(), 1).await;
        bed.stored(segment(1), content(segment(1))).await;
        bed.fault.set(fault);
        let started = Instant::now();
        assert_eq!(bed.restore_command(segment(1)).await.0, 1);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_waits_for_an_outage_and_then_goes_on() {
    let bed = Bed::restoring(recovery(), 1).await;
    bed.stored(segment(1), content(segment(1))).await;
    bed.fault.set(Fault::Off);
    let before = bed.fault.calls();
    let (restored, ()) = tokio::join!(bed.restore_command(segment(1)), async {
        until("it was tried twice", || bed.fault.calls() > before + 1).await;
        bed.fault.set(Fault::None);
    });
    assert_eq!(restored, (0, Some(content(segment(1)).to_vec())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_is_aborted_by_a_long_outage_and_by_damage_and_never_ended() {
    let bed = Bed::restoring(recovery(), 1).await;
    bed.stored(segment(1), content(segment(1))).await;
    for fault in [Fault::Off, Fault::Hang, Fault::BitFlip, Fault::ResetMidBody] {
        bed.fault.set(fault.clone());
        assert_eq!(bed.restore_command(segment(1)).await, (ABORT, None), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_does_not_end_because_the_cluster_was_not_read_yet_or_the_manager_stops() {
    let bed = Bed::start().await;
    bed.archive.set_restore_mode(recovery());
    assert_eq!(bed.restore_command(segment(1)).await.0, ABORT);
    bed.archive.configure(Some(bed.config(1)));
    bed.archive.stop();
    assert_eq!(bed.restore_command(segment(1)).await.0, ABORT);
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_at_promotion_the_reserved_timeline_is_free_and_those_before_it_are_taken() {
    let mode = RestoreMode::Promoting { from: TimelineId(1), reserved: TimelineId(4) };
    let bed = Bed::restoring(mode, 1).await;
    let history = |t| WalName::History(TimelineId(t));
    bed.stored(history(2), Bytes::from_static(b"1\t0/5\twhy\n")).await;
    bed.stored(history(4), Bytes::from_static(b"1\t0/5\ttoo late\n")).await;
    let calls = bed.fault.calls();
    for burnt in [2, 3] {
        let (status, stub) = bed.restore_command(history(burnt)).await;
        assert_eq!(status, 0, "{burnt} was reserved once, and is never used again");
        assert!(stub.expect("a stub").starts_with(b"#"), "that there is one is all that postgres asks");
    }
    assert_eq!(bed.restore_command(history(4)).await, (1, None));
    assert_eq!(bed.fault.calls(), calls, "nobody was asked");
    bed.fault.set(Fault::Off);
    assert_eq!(bed.restore_command(history(1)).await, (1, None), "its own history is never invented");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_is_fetched_ahead_but_never_across_a_timeline() {
    let bed = Bed::restoring(recovery(), 3).await;
    for n in 1..=5 {
        bed.stored(segment(n), content(segment(n))).await;
    }
    let spool = bed.folder.path().join("spool");
    let spooled = |n: u32| spool.join(segment(n).to_string()).exists();
    assert_eq!(bed.restore_command(segment(1)).await.0, 0);
    until("three are fetched ahead", || (2..=4).all(spooled)).await;
    assert!(!spooled(5));
    bed.fault.set(Fault::Off);
    assert_eq!(bed.restore_command(segment(2)).await, (0, Some(content(segment(2)).to_vec())));
    bed.fault.set(Fault::None);
    assert_eq!(bed.restore_command(on_timeline(2, 3)).await.0, 1);
    assert!((2..=5).all(|n| !spooled(n)), "what was fetched of the old timeline is gone");
    assert_eq!(bed.restore_command(segment(3)).await.0, 0, "and can be had again");
}

struct Tail(Result<TailAnswer, TailError>);

#[async_trait]
impl TailSource for Tail {
    async fn fetch(&self, _: WalName) -> Result<TailAnswer, TailError> {
        self.0.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_holder_is_asked_first_and_the_archive_when_it_has_nothing() {
    let bed = Bed::restoring(RestoreMode::default(), 1).await;
    bed.stored(segment(1), content(segment(1))).await;
    bed.archive.set_tail(Some(Arc::new(Tail(Ok(TailAnswer::Content(content(segment(7))))))));
    assert_eq!(bed.restore_command(segment(1)).await, (0, Some(content(segment(7)).to_vec())));
    for nothing in [Ok(TailAnswer::Absent), Err(TailError("gone".into()))] {
        bed.archive.set_tail(Some(Arc::new(Tail(nothing))));
        assert_eq!(bed.restore_command(segment(1)).await, (0, Some(content(segment(1)).to_vec())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_here_to_the_end_of_the_tail_is_asked_of_nobody() {
    let bed = Bed::restoring(RestoreMode::default(), 1).await;
    bed.stored(segment(1), content(segment(1))).await;
    bed.archive.set_tail(Some(Arc::new(Tail(Ok(TailAnswer::Here)))));
    assert_eq!(bed.restore_command(segment(1)).await, (1, None), "postgres reads its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_a_store_that_hangs_is_answered_by_the_old_holder_as_soon_as_there_is_one() {
    let bed = Bed::restoring(RestoreMode::default(), 1).await;
    bed.fault.set(Fault::Hang);
    let before = bed.fault.calls();
    let (restored, ()) = tokio::join!(bed.restore_command(segment(1)), async {
        until("the store was asked", || bed.fault.calls() > before).await;
        bed.archive.set_tail(Some(Arc::new(Tail(Ok(TailAnswer::Content(content(segment(1))))))));
    });
    assert_eq!(restored, (0, Some(content(segment(1)).to_vec())));
}

struct Frozen;

#[async_trait]
impl TailSource for Frozen {
    async fn fetch(&self, _: WalName) -> Result<TailAnswer, TailError> {
        tokio::time::sleep(PATIENCE).await;
        Ok(TailAnswer::Absent)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_holder_that_hangs_leaves_time_for_the_archive() {
    let bed = Bed::restoring(RestoreMode::default(), 1).await;
    bed.stored(segment(1), content(segment(1))).await;
    bed.archive.set_tail(Some(Arc::new(Frozen)));
    assert_eq!(bed.restore_command(segment(1)).await.0, 0);
}
