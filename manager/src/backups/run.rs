//! One backup beside its reports: while it is taken its status shows that somebody is at it, and it ends when nobody
//! wants it any more, when postgres is to stop, or when another primary takes over.

use super::progress::Meter;
use super::report::{ReportError, Reporter};
use super::take::{Attempt, Server, Tell, concluded, copied};
use super::target::target;
use super::wal::archived;
use crate::clock;
use crate::config::POSTGRES_PORT;
use crate::context::Context;
use crate::effects::position;
use crate::events;
use core::time::Duration;
use kube::Api;
use kube::api::ListParams;
use pgherd_backup::base::{Progress, give_up_leftovers, put_info};
use pgherd_core::backup::{BackupId, BackupStatus as InfoStatus, Timestamp};
use pgherd_core::plan::EventKind;
use pgherd_core::timeline::TimelineId;
use pgherd_proto::backup::{Backup, BackupStatus, phase};
use pgherd_proto::event::News;
use pgherd_telemetry::chain;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// Between two reports. The controller gives up on a backup that says nothing for several of them.
const REPORT_EVERY: Duration = Duration::from_secs(2);
/// Between two looks at whether postgres is to stop: a session of ours must not be what it waits for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How it ended is told for so long, if the API server is away.
const TOLD_WITHIN: Duration = Duration::from_secs(300);
/// Between two tries.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// A failure is written into the store as well, if it takes it within this.
const FAILURE_WITHIN: Duration = Duration::from_secs(10);

/// Takes a backup and says how it ended.
pub async fn run(cx: Arc<Context>, reporter: Reporter, mut stopped: watch::Receiver<bool>) {
    let status = watch::Sender::new(json!({}));
    let (progress, attempt) = (Arc::new(Progress::default()), Mutex::new(None));
    let told = Tell { status: &status, attempt: &attempt };
    let ended = tokio::select! {
        ended = taken(&cx, &progress, &told) => ended,
        why = reported(&reporter, &progress, status.subscribe()) => Err(why),
        why = interrupted(&cx) => Err(why),
        _ = stopped.wait_for(|stopped| *stopped) => Err("it is not wanted any more".to_owned()),
    };
    progress.cancel();
    if let Err(why) = &ended {
        tracing::error!(backup = %reporter.name(), %why, "a base backup failed");
        let now = clock::wall();
        status.send_modify(|status| {
            if let Some(fields) = status.as_object_mut() {
                fields.insert("phase".to_owned(), json!(phase::FAILED));
                fields.insert("error".to_owned(), json!(why));
                fields.insert("stoppedAt".to_owned(), json!(now));
            }
        });
    } else {
        tracing::info!(backup = %reporter.name(), bytes = progress.bytes_read(), stored = progress.bytes_stored(),
            "a base backup is complete");
    }
    let mut last = status.borrow().clone();
    put_progress(&mut last, &progress, &mut Meter::default());
    tell(&reporter, &last).await;
    let pod = &cx.config.me.name;
    let (kind, reason, message) = match &ended {
        Ok(()) => (EventKind::Normal, "Completed", format!("Backup completed on {pod}")),
        Err(why) => (EventKind::Warning, "BackupFailed", format!("on {pod}: {why}")),
    };
    events::tell(&cx.api, reporter.object_ref(), News { kind, reason, message: &message }).await;
    if let Err(why) = ended {
        let attempt = attempt.lock().unwrap_or_else(PoisonError::into_inner).take();
        say_in_store(attempt, &why).await;
    }
}

async fn taken(cx: &Context, progress: &Arc<Progress>, told: &Tell<'_>) -> Result<(), String> {
    let cluster = cx.cluster_now().ok_or("the Cluster has not been seen yet")?;
    let target = target(&cluster, &cx.api).await?;
    let server = Server {
        socket_dir: cx.config.socket_dir(),
        port: POSTGRES_PORT,
        major: cx.major,
        pgdata: cx.config.pgdata.clone(),
    };
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    give_up_leftovers(target.store.as_ref(), &target.root, &ended(cx).await, now).await;
    let copied = copied(&server, &target, progress, told).await?;
    if let Some(needed) = copied.needed {
        archived(cx, &target.archive, needed).await?;
    }
    concluded(copied, &target, told).await
}

/// The backups of this cluster that are over, so that nobody writes their objects any more.
async fn ended(cx: &Context) -> BTreeSet<BackupId> {
    let backups: Api<Backup> = Api::namespaced(cx.api.client.clone(), &cx.api.namespace);
    let listed = match backups.list(&ListParams::default()).await {
        Ok(listed) => listed.items,
        Err(error) => {
            tracing::warn!(error = %chain(&error), "what earlier backups left in the store stays there for now");
            return BTreeSet::new();
        }
    };
    let ours = listed.into_iter().filter(|backup| backup.spec.cluster.name == cx.api.name);
    let statuses = ours.filter_map(|backup| backup.status).filter(BackupStatus::is_done);
    statuses.filter_map(|status| status.backup_id?.parse().ok()).collect()
}

/// Keeps the status in step; why the backup is not ours any more.
async fn reported(reporter: &Reporter, progress: &Progress, mut status: watch::Receiver<Value>) -> String {
    let mut meter = Meter::default();
    loop {
        let mut fields = status.borrow_and_update().clone();
        let over = fields.get("phase").and_then(Value::as_str) == Some(phase::COMPLETED);
        put_progress(&mut fields, progress, &mut meter);
        // The last word is said once everything else has ended.
        if !over {
            match reporter.write(&fields).await {
                Ok(()) => {}
                Err(ReportError::Lost(why)) => return why,
                Err(error @ ReportError::Later(_)) => tracing::debug!(error = %chain(&error), "not reported yet"),
            }
        }
        tokio::select! {
            _ = status.changed() => {}
            () = tokio::time::sleep(REPORT_EVERY) => {}
        }
    }
}

fn put_progress(fields: &mut Value, progress: &Progress, meter: &mut Meter) {
    let look = meter.look(progress, Instant::now(), jiff::Timestamp::now());
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("progress".to_owned(), json!(look));
    }
}

/// Why it cannot go on, for reasons of this instance.
async fn interrupted(cx: &Context) -> String {
    let leader = cx.following.borrow().clone().map(|leader| leader.pod_uid);
    // Where it is, not where it was last sampled: right after a failover that is the timeline of before.
    let begun = position(cx).await.ok().map(|at| at.timeline);
    loop {
        if cx.leaving.load(Ordering::Relaxed) || cx.running().is_none() {
            return "the instance was stopped during the backup".to_owned();
        }
        let present = cx.following.borrow().clone();
        if let Some(present) =
            present.filter(|present| leader.as_ref().is_some_and(|leader| *leader != present.pod_uid))
        {
            return format!("{} was promoted during the backup", present.name);
        }
        let noted = *cx.timeline.borrow();
        if let Some(began) = left(begun, noted) {
            return format!("an instance was promoted during the backup: timeline {began} became {noted}");
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The timeline that a backup began on, if it was left since. What is noted is a sample, which may be of before that.
fn left(begun: Option<TimelineId>, noted: TimelineId) -> Option<TimelineId> {
    begun.filter(|begun| noted > *begun)
}

/// As barman does: a backup that failed is seen in the store, and nobody takes what is there of it for whole.
async fn say_in_store(attempt: Option<Attempt>, why: &str) {
    let Some(Attempt { to, mut info }) = attempt else { return };
    info.status = InfoStatus::Failed;
    info.error = Some(format!("failure uploading data ({})", why.lines().next().unwrap_or_default()));
    match tokio::time::timeout(FAILURE_WITHIN, put_info(&to, &info, FAILURE_WITHIN)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = %chain(&error), "the store was not told that the backup failed"),
        Err(_) => tracing::debug!("the store was not told that the backup failed: it does not answer"),
    }
}

async fn tell(reporter: &Reporter, status: &Value) {
    let began = Instant::now();
    loop {
        match reporter.write(status).await {
            Ok(()) => return,
            Err(error @ ReportError::Lost(_)) => {
                tracing::warn!(backup = %reporter.name(), error = %chain(&error), "how it ended is not told");
                return;
            }
            Err(error) if began.elapsed() >= TOLD_WITHIN => {
                tracing::error!(backup = %reporter.name(), error = %chain(&error), "how it ended could not be told");
                return;
            }
            Err(_) => tokio::time::sleep(TELL_AGAIN).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_before_the_backup_overtakes_nobody() {
        assert_eq!(left(None, TimelineId(2)), None, "what it began on is not known: its own label tells in the end");
        assert_eq!(left(Some(TimelineId(2)), TimelineId(1)), None, "it began on a later one than was noted");
        assert_eq!(left(Some(TimelineId(2)), TimelineId(2)), None);
        assert_eq!(left(Some(TimelineId(2)), TimelineId(3)), Some(TimelineId(2)));
    }
}
