//! One backup beside its reports: while it is taken its status shows that somebody is at it, and it ends when nobody
//! wants it any more, when nothing moves, when postgres is to stop, or when another primary takes over. The last two are
//! followed by another attempt.

use super::archiving::awaited;
use super::heartbeat::{put_progress, reported};
use super::interrupt::interrupted;
use super::progress::Meter;
use super::report::{ReportError, Reporter};
use super::take::{Attempt, Server, Tell, concluded, copied};
use super::target::target;
use crate::clock;
use crate::config::POSTGRES_PORT;
use crate::context::Context;
use crate::events;
use core::pin::pin;
use core::time::Duration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::ListParams;
use pgherd_backup::base::{Progress, put_info};
use pgherd_core::backup::{AttemptEnd, BackupId, BackupStatus as InfoStatus, Verdict, judge_attempt};
use pgherd_core::plan::EventKind;
use pgherd_proto::backup::{Backup, BackupStatus, FailedAttempt, phase, tried_again};
use pgherd_proto::event::News;
use pgherd_telemetry::chain;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// How it ended is told for so long, if the API server is away.
const TOLD_WITHIN: Duration = Duration::from_secs(300);
/// Between two tries.
const TELL_AGAIN: Duration = Duration::from_secs(1);
/// A failure is written into the store as well, if it takes it within this.
const FAILURE_WITHIN: Duration = Duration::from_secs(10);
/// A copy whose postgres stops or is promoted may fail before that is noticed here.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);

/// Takes a backup and says how it ended.
pub async fn run(cx: Arc<Context>, reporter: Reporter, stopped: watch::Receiver<bool>) {
    let status = watch::Sender::new(json!({}));
    let (progress, attempt) = (Arc::new(Progress::default()), Mutex::new(None));
    let told = Tell { status: &status, attempt: &attempt };
    let ended = Box::pin(attempted(&cx, &reporter, &progress, &told, stopped)).await;
    progress.cancel();
    cx.registry.add_backup_damaged_pages(progress.damaged_pages());
    let pod = &cx.config.me.name;
    let mut last = status.borrow().clone();
    let verdict = ended.map_err(|end| {
        let verdict = judge_attempt(&end, reporter.earlier().len());
        let id = last.get("backupId").and_then(Value::as_str).map(str::to_owned);
        put(&mut last, ending(&verdict, &end, reporter.earlier(), (pod.as_str(), id)));
        verdict
    });
    match &verdict {
        Ok(()) => tracing::info!(backup = %reporter.name(), bytes = progress.bytes_read(),
            stored = progress.bytes_stored(), "a base backup is complete"),
        Err(Verdict::Again { why }) => tracing::warn!(backup = %reporter.name(), %why, "a base backup was cut off"),
        Err(Verdict::Fail { why }) => tracing::error!(backup = %reporter.name(), %why, "a base backup failed"),
    }
    if !matches!(verdict, Err(Verdict::Again { .. })) {
        put_progress(&mut last, &progress, &mut Meter::default());
    }
    if tell(&reporter, &last).await {
        tell_event(&cx, &reporter, verdict.as_ref().map(|&()| ())).await;
    }
    if let Err(Verdict::Again { why } | Verdict::Fail { why }) = verdict {
        let attempt = attempt.lock().unwrap_or_else(PoisonError::into_inner).take();
        say_in_store(attempt, &why).await;
    }
}

async fn attempted(
    cx: &Context,
    reporter: &Reporter,
    progress: &Arc<Progress>,
    told: &Tell<'_>,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), AttemptEnd> {
    let mut interruption = pin!(interrupted(cx));
    let why = tokio::select! {
        ended = taken(cx, progress, told) => match ended {
            Ok(()) => return Ok(()),
            Err(why) => why,
        },
        why = reported(reporter, progress, told.status.subscribe()) => return Err(AttemptEnd::Failed(why)),
        by = &mut interruption => return Err(AttemptEnd::CutOff(by)),
        _ = stopped.wait_for(|stopped| *stopped) => {
            return Err(AttemptEnd::Failed("it is not wanted any more".to_owned()));
        }
    };
    progress.cancel();
    let noticed = tokio::time::timeout(NOTICED_WITHIN, interruption).await;
    Err(noticed.map_or(AttemptEnd::Failed(why), AttemptEnd::CutOff))
}

/// What the status of a Backup is to say after an attempt by this pod, which had begun this folder.
pub(super) fn ending(
    verdict: &Verdict,
    end: &AttemptEnd,
    earlier: &[FailedAttempt],
    (pod, backup_id): (&str, Option<String>),
) -> Value {
    match verdict {
        Verdict::Again { why } => {
            let error = match end {
                AttemptEnd::CutOff(by) => by.to_string(),
                AttemptEnd::Failed(why) => why.clone(),
            };
            let stopped_at = Some(Time(jiff::Timestamp::now()));
            let this = FailedAttempt { backup_id, pod_name: Some(pod.to_owned()), error, stopped_at };
            tried_again(earlier, this, why)
        }
        Verdict::Fail { why } => json!({"phase": phase::FAILED, "error": why, "stoppedAt": clock::wall()}),
    }
}

fn put(status: &mut Value, fields: Value) {
    if let (Some(status), Value::Object(fields)) = (status.as_object_mut(), fields) {
        status.extend(fields);
    }
}

/// Tells people how an attempt ended.
pub(super) async fn tell_event(cx: &Context, reporter: &Reporter, ended: Result<(), &Verdict>) {
    let pod = &cx.config.me.name;
    let (kind, reason, message) = match ended {
        Ok(()) => (EventKind::Normal, "Completed", format!("Backup completed on {pod}")),
        Err(Verdict::Again { why }) => (EventKind::Warning, "BackupRetried", format!("on {pod}: {why}")),
        Err(Verdict::Fail { why }) => (EventKind::Warning, "BackupFailed", format!("on {pod}: {why}")),
    };
    events::tell(&cx.api, reporter.object_ref(), News { kind, reason, message: &message }).await;
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
    let copied = copied(&server, &target, progress, told, &ended(cx).await).await?;
    if let Some(needed) = copied.needed {
        awaited(cx, &target, needed, told).await?;
    }
    concluded(copied, &target, told).await
}

/// The backups of this cluster that are over, attempts that were cut off among them: nobody writes their objects any more.
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
    let statuses: Vec<BackupStatus> = ours.filter_map(|backup| backup.status).collect();
    statuses.iter().flat_map(BackupStatus::ended_ids).filter_map(|id| id.parse().ok()).collect()
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

/// Whether it could be told.
async fn tell(reporter: &Reporter, status: &Value) -> bool {
    let began = Instant::now();
    loop {
        match reporter.write(status).await {
            Ok(()) => return true,
            Err(error @ ReportError::Lost(_)) => {
                tracing::warn!(backup = %reporter.name(), error = %chain(&error), "how it ended is not told");
                return false;
            }
            Err(error) if began.elapsed() >= TOLD_WITHIN => {
                tracing::error!(backup = %reporter.name(), error = %chain(&error), "how it ended could not be told");
                return false;
            }
            Err(_) => tokio::time::sleep(TELL_AGAIN).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::backup::CutOff;

    #[test]
    fn an_attempt_that_was_cut_off_leaves_its_folder_and_its_reason_and_no_other_trace() {
        let end = AttemptEnd::CutOff(CutOff::Promoted("c-1".into()));
        let mut status = json!({"phase": "running", "backupId": "20261128T020000", "beginWal": "x"});
        let after = ending(&judge_attempt(&end, 0), &end, &[], ("c-2", Some("20261128T020000".into())));
        put(&mut status, after);
        assert_eq!(status["phase"], "pending");
        assert!(status["backupId"].is_null() && status["beginWal"].is_null() && status["instanceID"].is_null());
        let attempt = &status["failedAttempts"][0];
        assert_eq!((&attempt["backupId"], &attempt["podName"]), (&json!("20261128T020000"), &json!("c-2")));
        assert_eq!(attempt["error"], "c-1 was promoted during the backup");
    }

    #[test]
    fn an_attempt_that_failed_is_the_last_one() {
        let end = AttemptEnd::Failed("a page is bad".into());
        let after = ending(&judge_attempt(&end, 0), &end, &[], ("c-2", None));
        assert_eq!((&after["phase"], &after["error"]), (&json!("failed"), &json!("a page is bad")));
    }
}
