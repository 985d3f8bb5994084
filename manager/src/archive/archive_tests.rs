//! `archive_command` on stores that fail: nothing is acknowledged that is not stored, and nothing is dropped.

use super::testbed::{Bed, PATIENCE, SYSTEM, content, content_of, segment, store_config, until};
use super::{ArchiveRole, DrainError};
use bytes::Bytes;
use pgherd_core::wal::WalName;
use pgherd_objectstore::test_server::{ACCESS_KEY, SECRET_KEY, TestServer};
use pgherd_objectstore::{Fault, S3Config, S3Credentials, S3Store};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_answered_only_after_the_store_acknowledged() {
    let bed = Bed::primary(1).await;
    bed.fault.set(Fault::Hang);
    bed.finish(segment(1));
    let asked = bed.spawn_archive_command(segment(1));
    until("the upload is under way", || bed.fault.calls() > 0).await;
    assert!(!asked.is_finished() && bed.keys().is_empty());
    bed.fault.set(Fault::None);
    assert_eq!(asked.await.expect("the client"), 0);
    assert_eq!(bed.keys(), ["c/wals/0000000100000000/000000010000000000000001.gz"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_uploaded_ahead_and_answered_at_once() {
    let bed = Bed::primary(4).await;
    (1..=6).for_each(|n| bed.finish(segment(n)));
    assert_eq!(bed.archive_command(segment(1)).await, 0);
    until("all six are stored", || bed.keys().len() == 6).await;
    let status = bed.archive.status();
    until("all six are counted", || status.borrow().archived_count == 6).await;
    assert_eq!(status.borrow().archived_bytes, 6 << 20, "before compression");
    bed.fault.set(Fault::Off);
    for n in 2..=6 {
        assert_eq!(bed.archive_command(segment(n)).await, 0, "known from before the outage");
    }
    assert_eq!(bed.fault.calls(), 7, "each was put once, after one look at whose the archive is");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_max_parallel_uploads_run_at_once() {
    let bed = Bed::primary(3).await;
    bed.fault.set(Fault::Slow(Duration::from_millis(30)));
    (1..=12).for_each(|n| bed.finish(segment(n)));
    for n in 1..=12 {
        assert_eq!(bed.archive_command(segment(n)).await, 0);
    }
    let most = bed.fault.most_puts_at_once();
    assert!((2..=3).contains(&most), "{most} at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_store_is_outlived_and_nothing_is_dropped() {
    for fault in [
        Fault::Off,
        Fault::Status(403, "AccessDenied"),
        Fault::Status(404, "NoSuchBucket"),
        Fault::Status(500, "InternalError"),
        Fault::Status(503, "SlowDown"),
        Fault::ResetMidBody,
        Fault::AnswerLost,
    ] {
        let bed = Bed::primary(2).await;
        bed.fault.set(fault.clone());
        (1..=3).for_each(|n| bed.finish(segment(n)));
        let asked = bed.spawn_archive_command(segment(1));
        let status = bed.archive.status();
        until("the failure is told", || status.borrow().last_failed.is_some()).await;
        assert!(status.borrow().failing_since.is_some(), "{fault:?}");
        assert!(!asked.is_finished(), "never success under {fault:?}");
        bed.fault.set(Fault::None);
        assert_eq!(asked.await.expect("the client"), 0, "after {fault:?}");
        assert_eq!(bed.archive_command(segment(2)).await, 0);
        assert_eq!(bed.archive_command(segment(3)).await, 0);
        assert_eq!(bed.keys().len(), 3, "after {fault:?}");
        until("all is well again", || status.borrow().failing_since.is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_probed_by_one_upload_at_a_time() {
    let bed = Bed::primary(4).await;
    bed.fault.set(Fault::Off);
    (1..=50).for_each(|n| bed.finish(segment(n)));
    let _asked = bed.spawn_archive_command(segment(1));
    let status = bed.archive.status();
    until("it failed for a while", || status.borrow().failed_count >= 6).await;
    assert!(bed.fault.calls() < 12, "{} calls: a storm", bed.fault.calls());
    bed.archive.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_other_content_is_refused_with_an_alarm_and_the_same_content_is_success() {
    let bed = Bed::primary(2).await;
    bed.stored(segment(1), content(segment(1))).await;
    bed.stored(segment(2), content(segment(9))).await;
    bed.finish(segment(1));
    assert_eq!(bed.archive_command(segment(1)).await, 0, "the same content again");
    bed.finish(segment(2));
    assert_eq!(bed.archive_command(segment(2)).await, 1, "other content, answered at once");
    let status = bed.archive.status().borrow().clone();
    assert_eq!(status.refused, [segment(2)]);
    assert_eq!(status.last_failed.expect("a failure").kind, "different_content");
    let there = bed.config(1).archive.get(segment(2)).await.expect("get");
    assert_eq!(there, Some(content(segment(9))), "never replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_credentials_are_taken_up_by_a_request_that_waits() {
    let bed = Bed::start().await;
    std::fs::create_dir_all(bed.folder.path().join("s3/bucket")).expect("a bucket");
    let server = TestServer::start(&bed.folder.path().join("s3")).await.expect("a server");
    let store = |secret: &str| {
        let credentials = S3Credentials::Given {
            access_key_id: ACCESS_KEY.into(),
            secret_access_key: secret.into(),
            session_token: None,
        };
        store_config(Arc::new(S3Store::new(S3Config { credentials, ..server.config("bucket") })), 1)
    };
    bed.archive.configure(Some(store("expired")));
    bed.archive.set_role(ArchiveRole::Primary);
    bed.finish(segment(1));
    let asked = bed.spawn_archive_command(segment(1));
    let status = bed.archive.status();
    until("the store refuses us", || status.borrow().last_failed.as_ref().is_some_and(|f| f.kind == "forbidden")).await;
    bed.archive.configure(Some(store(SECRET_KEY)));
    assert_eq!(asked.await.expect("the client"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dropped_on_a_guess_before_the_cluster_was_read() {
    let bed = Bed::start().await;
    bed.archive.set_role(ArchiveRole::Primary);
    bed.finish(segment(1));
    let asked = bed.spawn_archive_command(segment(1));
    tokio::time::timeout(Duration::from_millis(200), bed.archive.status().changed()).await.ok();
    assert!(!asked.is_finished(), "it waits");
    bed.archive.configure(Some(bed.config(1)));
    assert_eq!(asked.await.expect("the client"), 0);
    assert_eq!(bed.keys().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backup_section_success_is_answered_and_nothing_stored() {
    let bed = Bed::start().await;
    bed.archive.set_role(ArchiveRole::Primary);
    bed.archive.configure(None);
    bed.finish(segment(1));
    assert_eq!(bed.archive_command(segment(1)).await, 0);
    assert!(bed.keys().is_empty());
    let status = bed.archive.status();
    until("the status says so", || status.borrow().configured == Some(false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_not_the_primary_archives_nothing_when_asked() {
    let bed = Bed::primary(1).await;
    bed.archive.set_role(ArchiveRole::Other);
    bed.finish(segment(1));
    assert_eq!(bed.archive_command(segment(1)).await, 1);
    assert!(bed.keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_manager_answers_at_once_also_those_who_wait() {
    let bed = Bed::primary(1).await;
    bed.fault.set(Fault::Hang);
    bed.finish(segment(1));
    let asked = bed.spawn_archive_command(segment(1));
    until("the upload is under way", || bed.fault.calls() > 0).await;
    let started = Instant::now();
    bed.archive.stop();
    assert_eq!(asked.await.expect("the client"), 1);
    assert_eq!(bed.archive_command(segment(1)).await, 1);
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_rewind_all_that_waits_is_archived_and_marked_whatever_the_role() {
    let bed = Bed::primary(2).await;
    bed.archive.set_role(ArchiveRole::Other);
    bed.fault.set(Fault::Off);
    (1..=5).for_each(|n| bed.finish(segment(n)));
    let late = bed.archive.archive_all_ready(Duration::from_millis(300)).await;
    assert!(matches!(late, Err(DrainError::Late { waiting: 5, .. })), "{late:?}");
    bed.fault.set(Fault::None);
    assert_eq!(bed.archive.archive_all_ready(PATIENCE).await, Ok(5));
    assert_eq!(bed.keys().len(), 5);
    for n in 1..=5 {
        assert!(bed.pg_wal().join(format!("archive_status/{}.done", segment(n))).exists());
    }
    assert_eq!(bed.archive.archive_all_ready(PATIENCE).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_rewind_other_content_stops_it_and_nothing_is_marked() {
    let bed = Bed::primary(2).await;
    bed.stored(segment(1), content(segment(9))).await;
    bed.finish(segment(1));
    let refused = bed.archive.archive_all_ready(PATIENCE).await;
    assert!(matches!(refused, Err(DrainError::Refused { .. })), "{refused:?}");
    assert!(bed.pg_wal().join(format!("archive_status/{}.ready", segment(1))).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_file_is_archived_like_any_other() {
    let bed = Bed::primary(1).await;
    let name: WalName = "00000002.history".parse().expect("a name");
    std::fs::write(bed.pg_wal().join("00000002.history"), "1\t0/3000148\tno reason\n").expect("a file");
    assert_eq!(bed.archive_command(name).await, 0);
    assert_eq!(bed.keys(), ["c/wals/00000002.history.gz"]);
    let text = bed.config(1).archive.get(name).await.expect("get");
    assert_eq!(text, Some(Bytes::from_static(b"1\t0/3000148\tno reason\n")));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_into_another_clusters_archive_whatever_it_is_and_the_alarm_says_so() {
    let bed = Bed::primary(4).await;
    bed.stored(segment(1), content_of(SYSTEM + 1, segment(1))).await;
    let there = bed.keys();
    let history: WalName = "00000002.history".parse().expect("a name");
    let label: WalName = "000000010000000000000003.00000028.backup".parse().expect("a name");
    for small in [history, label] {
        std::fs::write(bed.pg_wal().join(small.to_string()), "1\t0/3000148\tno reason\n").expect("a file");
        std::fs::write(bed.pg_wal().join(format!("archive_status/{small}.ready")), "").expect("ready");
    }
    bed.finish(segment(3));
    assert_eq!(bed.archive_command(history).await, 1, "answered at once");
    let status = bed.archive.status();
    until("all are refused", || status.borrow().refused.len() == 3).await;
    let failure = status.borrow().last_failed.clone().expect("a failure");
    assert_eq!((failure.kind, failure.refused), ("foreign_archive", true));
    assert!(failure.reason.contains("belongs to database system 8, and this one is 7"), "{}", failure.reason);
    assert!(failure.reason.contains("a serverName or destinationPath of its own"), "{}", failure.reason);
    let drained = bed.archive.archive_all_ready(PATIENCE).await;
    assert!(matches!(drained, Err(DrainError::Refused { .. })), "{drained:?}");
    assert_eq!(bed.keys(), there);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_say_whose_it_is_waits_until_the_data_directory_does() {
    let bed = Bed::primary(1).await;
    let control = bed.folder.path().join("pgdata/global/pg_control");
    std::fs::remove_file(&control).expect("removed");
    let history: WalName = "00000002.history".parse().expect("a name");
    std::fs::write(bed.pg_wal().join("00000002.history"), "1\t0/3000148\tno reason\n").expect("a file");
    let asked = bed.spawn_archive_command(history);
    let status = bed.archive.status();
    until("it is told", || status.borrow().last_failed.is_some()).await;
    assert!(bed.keys().is_empty() && !asked.is_finished());
    std::fs::write(&control, SYSTEM.to_le_bytes()).expect("a control file");
    assert_eq!(asked.await.expect("the client"), 0);
}
