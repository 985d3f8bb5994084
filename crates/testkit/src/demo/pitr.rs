//! The demo's second part: a base backup while the shop is open, a table that is lost, and a second cluster that is
//! recovered to the second before that.

use super::orders::{self, Shop, TABLE};
use super::steps::say;
use crate::bed::{Bed, FIRST, text};
use crate::demo::Report;
use crate::wait;
use anyhow::{Context as _, ensure};
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use pgherd_proto::backup::BackupStatus;
use serde_json::json;
use std::time::Instant;

/// The Backup.
const BACKUP: &str = "before-the-mistake";
/// How long the shop goes on after it.
const OPEN_STILL: Duration = Duration::from_secs(2);
/// How long before the loss is gone back to, in microseconds.
const BACK: i64 = 1_000_000;

/// Runs it and fills its part of the report.
///
/// # Errors
/// The step that could not be done, and why. A table that is not exactly what it was is no error, but in the report.
pub(super) async fn run(bed: &Bed, report: &mut Report) -> anyhow::Result<()> {
    // A checkpoint that is spread over minutes spares a busy disk; nobody is to wait for it here.
    bed.change_spec(&json!({"backup": {"barmanObjectStore": {"data": {"immediateCheckpoint": true}}}})).await?;
    let shop = Shop::open(&bed.application(&bed.place.service()).await?).await?;
    shop.create().await?;
    say(&format!("a base backup, while a shop changes its table \"{TABLE}\""));
    let closed = AtomicBool::new(false);
    let began = Instant::now();
    let backup = async {
        let done = bed.back_up(BACKUP, Duration::from_secs(180), |status| say(&how_far(status))).await;
        report.backup_seconds = began.elapsed().as_secs_f64();
        if let Ok(done) = &done {
            say(&complete(done, report.backup_seconds));
            tokio::time::sleep(OPEN_STILL).await;
        }
        closed.store(true, Ordering::Relaxed);
        done
    };
    let (committed, backup) = tokio::join!(shop.work(&closed), backup);
    let (committed, _complete) = (committed?, backup?);

    let lost = shop.now().await?;
    shop.lose().await?;
    let (changes, moment) =
        orders::last_by(&committed, lost.micros.saturating_sub(BACK)).context("the shop was not open long enough")?;
    report.pitr_target.clone_from(&moment.text);
    say(&format!("DROP TABLE {TABLE} at {}, after {} changes", lost.text, committed.len()));
    archive(bed).await?;

    let expected: Vec<(i64, i64)> = orders::after(changes).into_iter().collect();
    say(&format!("a second cluster is recovered to {}: {changes} changes, {} rows", moment.text, expected.len()));
    let began = Instant::now();
    let recovery = json!({"source": FIRST, "recoveryTarget": {"targetTime": moment.text}});
    let name = format!("{}-restored", bed.place.cluster);
    let one = |spec: &mut serde_json::Value| {
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("instances".to_owned(), 1.into());
        }
    };
    let restored = bed.recovered(&name, &recovery, one).await?;
    let rows = read(&restored).await?;
    report.restore_seconds = began.elapsed().as_secs_f64();
    report.pitr_rows = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    report.pitr_exact = rows == expected;
    say(&format!(
        "{TABLE} is back in {name} after {:.1} s: {} of {} rows, {}",
        report.restore_seconds,
        rows.len(),
        expected.len(),
        if report.pitr_exact { "each as it was" } else { "NOT as they were" }
    ));
    ensure!(shop.rows().await.is_err(), "the table is still there where it was dropped");
    Ok(())
}

/// Ends the segment at hand and waits until it is in S3: what comes after the loss may be anywhere, what came before may not.
async fn archive(bed: &Bed) -> anyhow::Result<()> {
    let segment = bed.ask(&bed.primary().await?, "SELECT pg_walfile_name(pg_switch_wal())").await?;
    wait::until(&format!("{segment} in S3"), Duration::from_secs(60), async || match bed.archived_segments().await {
        Ok(found) if found.contains(&segment) => Ok(()),
        Ok(found) => Err(format!("{} others", found.len())),
        Err(error) => Err(format!("{error:#}")),
    })
    .await?;
    Ok(())
}

/// The table's rows, as soon as a client gets them.
async fn read(restored: &Bed) -> anyhow::Result<Vec<(i64, i64)>> {
    let shown = std::sync::Mutex::new(String::new());
    let rows = wait::until("the table in the second cluster", Duration::from_secs(180), async || {
        let phase = restored.cluster().await.map(|cluster| text(&cluster, "/status/phase")).unwrap_or_default();
        if let Ok(mut shown) = shown.lock()
            && *shown != phase
        {
            say(&format!("recovery: {phase}"));
            shown.clone_from(&phase);
        }
        let rows = async {
            let config = restored.application(&restored.place.service()).await?;
            Shop::open(&config).await?.rows().await
        };
        rows.await.map_err(|error| format!("{phase}; {error:#}"))
    });
    Ok(rows.await?)
}

fn how_far(status: &BackupStatus) -> String {
    let phase = status.phase.as_deref().unwrap_or("asked for");
    let known = status.progress.as_ref().filter(|progress| progress.bytes_total > 0);
    let Some(progress) = known else { return format!("backup: {phase}") };
    format!(
        "backup: {phase}, {} % of {} MiB read, {} KiB stored",
        progress.percent,
        progress.bytes_total >> 20,
        progress.bytes_stored >> 10
    )
}

fn complete(status: &BackupStatus, seconds: f64) -> String {
    let pod = status.instance_id.as_ref().map_or("nobody", |instance| instance.pod_name.as_str());
    let stored = status.progress.as_ref().map_or(0, |progress| progress.bytes_stored);
    format!("the backup is complete, from {pod}, {} KiB in S3, after {seconds:.1} s", stored >> 10)
}
