//! The phases of a stop on real PostgreSQL: one that does not come to its end in time is followed by the next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test program")]

mod bed;

use bed::{Bed, PATIENCE, execute};
use pgherd_core::instance::Stop;
use pgherd_postgres::process::StopMode;
use pgherd_postgres::shutdown::shut_down;
use std::time::Duration;
use tokio::time::Instant;

const S: fn(u64) -> Duration = Duration::from_secs;

/// As a pod with this much grace is stopped that nobody follows up.
fn leaving(grace: u64) -> Stop {
    Stop { smart: Some(S(1)), fast: Some(S(grace)), checkpoint_first: false, within: Some(S(grace)) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smart_phase_that_a_client_outstays_is_followed_by_the_fast_one() {
    let bed = Bed::with_standbys(5741, &[]).await;
    let stays = bed.session().await;
    let began = Instant::now();
    assert_eq!(shut_down(&bed.handle(), leaving(120), began).await, Some(StopMode::Fast));
    assert!(began.elapsed() >= S(1), "the client had its time");
    assert!(stays.scalar::<bool>("look", "SELECT true", PATIENCE).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_smart_phase_ends_as_soon_as_the_last_client_has_left() {
    let bed = Bed::with_standbys(5742, &[]).await;
    drop(bed.session().await);
    assert_eq!(
        shut_down(&bed.handle(), Stop { smart: Some(PATIENCE), ..leaving(600) }, Instant::now()).await,
        Some(StopMode::Smart)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_phase_that_is_held_up_is_followed_by_the_immediate_one_before_the_grace_is_over() {
    // Postgres sends its last WAL to whoever streams, and waits for the word that it is there.
    let bed = Bed::with_standbys(5743, &["c-2"]).await;
    bed.freeze("c-2");
    execute(&bed.session().await, "CREATE TABLE t AS SELECT 1 AS a").await;
    let (grace, began) = (12, Instant::now());
    assert_eq!(shut_down(&bed.handle(), leaving(grace), began).await, Some(StopMode::Immediate));
    assert!(began.elapsed() >= S(5) && began.elapsed() < S(grace), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_handover_every_session_is_told_and_the_postmaster_stands_still_until_it_is_killed() {
    let bed = Bed::with_standbys(5744, &[]).await;
    let mut to = tokio_postgres::Config::new();
    to.host_path(bed.socket()).port(5744).user("postgres").dbname("postgres");
    let (client, mut connection) = to.connect(tokio_postgres::NoTls).await.unwrap();
    let told = tokio::spawn(async move {
        let mut codes = Vec::new();
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let tokio_postgres::AsyncMessage::Notice(notice) = message {
                codes.push(notice.code().code().to_owned());
            }
        }
        codes
    });
    let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    // A backend that is still at its last answer can say nothing more.
    let looks = bed.session().await;
    let waits = format!("SELECT coalesce(wait_event = 'ClientRead', false) FROM pg_stat_activity WHERE pid = {pid}");
    let began = Instant::now();
    while !looks.scalar::<bool>("look", &waits, PATIENCE).await.unwrap() {
        assert!(began.elapsed() < PATIENCE, "the session does not come to rest");
        tokio::task::yield_now().await;
    }
    let handover = Stop { smart: None, fast: None, checkpoint_first: false, within: None };
    assert_eq!(shut_down(&bed.handle(), handover, Instant::now()).await, Some(StopMode::Immediate));
    assert_eq!(tokio::time::timeout(PATIENCE, told).await.unwrap().unwrap(), ["57P01"]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", bed.handle().pid())).unwrap();
    assert!(stat.contains(") T "), "{stat}");
}
