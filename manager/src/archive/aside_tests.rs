//! WAL put aside, and archived from there; a promotion that waits for no store.

use super::testbed::{Bed, content, on_timeline, recovery, segment, until};
use super::{AsideError, RestoreMode};
use pgherd_core::timeline::TimelineId;
use pgherd_objectstore::Fault;
use std::time::{Duration, Instant};

const PROMOTING: RestoreMode = RestoreMode::Promoting { from: TimelineId(1), reserved: TimelineId(3) };

#[tokio::test(flavor = "multi_thread")]
async fn i7_what_was_put_aside_outlives_its_directory_and_an_outage_and_is_archived() {
    let bed = Bed::primary(2).await;
    bed.fault.set(Fault::Off);
    for n in 1..=2 {
        bed.finish(segment(n));
    }
    assert!(bed.archive.archive_all_ready(Duration::from_millis(200)).await.is_err());
    assert!(bed.archive.is_out_of_reach());
    assert_eq!(bed.archive.put_aside().unwrap(), 2);
    assert_eq!(bed.archive.put_aside().unwrap(), 2, "twice is once");
    // As a rewind does: the same inode is written to, and the file is removed.
    std::fs::write(bed.pg_wal().join(segment(1).to_string()), "rewound").unwrap();
    std::fs::remove_dir_all(bed.pg_wal()).unwrap();
    assert!(bed.archive.archive_aside(Duration::from_millis(200)).await.is_err());
    assert_eq!(bed.archive.aside().unwrap(), 2);
    bed.fault.set(Fault::None);
    assert_eq!(bed.archive.archive_aside(Duration::from_secs(20)).await.unwrap(), 2);
    assert_eq!((bed.archive.aside().unwrap(), bed.archive.is_out_of_reach()), (0, false));
    std::fs::create_dir_all(bed.pg_wal()).unwrap();
    assert_eq!(bed.restore_command(segment(1)).await, (0, Some(content(segment(1)).to_vec())));
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_wal_that_is_gone_cannot_be_put_aside_and_that_is_said() {
    let bed = Bed::primary(1).await;
    bed.finish(segment(1));
    std::fs::remove_file(bed.pg_wal().join(segment(1).to_string())).unwrap();
    assert!(matches!(bed.archive.put_aside(), Err(AsideError::File { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_does_not_wait_for_a_store_that_hangs() {
    let bed = Bed::restoring(RestoreMode::default(), 1).await;
    bed.fault.set(Fault::Hang);
    let before = bed.fault.calls();
    let (asked, promoted) = tokio::join!(bed.restore_command(segment(1)), async {
        until("the store was asked", || bed.fault.calls() > before).await;
        bed.archive.set_restore_mode(PROMOTING);
        Instant::now()
    });
    assert_eq!(asked.0, 1);
    assert!(promoted.elapsed() < Duration::from_secs(2));
    // Known to be out of reach by now: nobody asks it again on the way.
    let calls = bed.fault.calls();
    for name in [segment(2).to_string(), "00000003.history".to_owned()] {
        assert_eq!(bed.restore_command(name.parse().unwrap()).await.0, 1);
    }
    assert_eq!(bed.restore_command("00000002.history".parse().unwrap()).await.0, 0, "a burnt id exists");
    assert_eq!(bed.fault.calls(), calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_asks_a_store_that_was_out_of_reach_and_a_standby_finds_it_again() {
    let bed = Bed::restoring(RestoreMode::default(), 1).await;
    bed.stored(on_timeline(1, 1), content(segment(1))).await;
    bed.fault.set(Fault::Off);
    assert_eq!(bed.restore_command(segment(1)).await.0, 1);
    bed.fault.set(Fault::None);
    assert_eq!(bed.restore_command(segment(1)).await.0, 1, "not asked again at once");
    bed.archive.set_restore_mode(recovery());
    assert_eq!(bed.restore_command(segment(1)).await.0, 0);
    bed.fault.set(Fault::Off);
    bed.archive.set_restore_mode(RestoreMode::default());
    assert_eq!(bed.restore_command(segment(1)).await.0, 1);
    bed.fault.set(Fault::None);
    let began = Instant::now();
    while bed.restore_command(segment(1)).await.0 != 0 {
        assert!(began.elapsed() < super::testbed::PATIENCE, "it was never asked again");
    }
}
