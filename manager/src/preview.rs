//! What a restore in place would come to, asked before anything is stopped: the primary looks into the archive, chooses as
//! the recovery will, and says what is given up, or why it cannot be done.

use crate::context::Context;
use crate::effects::local;
use crate::http::{InstanceSnapshot, Role};
use crate::store_settings::store_settings;
use core::time::Duration;
use pgherd_backup::{Patience, Survey, WalArchive};
use pgherd_core::backup::{RecoveryTarget, Target, Timestamp, choose, window};
use pgherd_core::lease::WalPosition;
use pgherd_core::restore::given_up;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{SegmentName, WalName};
use pgherd_postgres::online_backup::{switch_wal, written};
use pgherd_postgres::wal_room::has_room;
use pgherd_proto::cluster::{Cluster, RestorePreview, RestoreRequest};
use pgherd_proto::labels;
use pgherd_telemetry::chain;
use std::sync::Arc;
use tokio::sync::watch;

/// Between two looks for a question.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// After an answer that could not be written.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Whoever asks is waiting.
const PATIENCE: Patience = Patience(Duration::from_secs(10));
const STATEMENT_WITHIN: Duration = Duration::from_secs(5);
/// For the archiver, which is fast unless something is wrong.
const ARCHIVED_WITHIN: Duration = Duration::from_secs(15);

/// Answers while this instance is the primary.
pub async fn keep(context: Arc<Context>, snapshots: watch::Receiver<Arc<InstanceSnapshot>>) {
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let primary = snapshots.borrow().role == Role::Primary;
        let Some(cluster) = context.cluster_now().filter(|_| primary) else { continue };
        let Some(request) = open_question(&cluster) else { continue };
        let preview = look(&context, &cluster, &request).await.unwrap_or_else(|why| RestorePreview {
            id: request.id.clone(),
            refusal: Some(why),
            ..RestorePreview::default()
        });
        if let Err(error) = context.announcer.report_preview(&preview).await {
            tracing::warn!(error = %chain(&error), "what a restore comes to is not written yet");
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}

/// One that has no answer yet.
fn open_question(cluster: &Cluster) -> Option<RestoreRequest> {
    let request = cluster.restore_request(labels::RESTORE_PREVIEW)?;
    let answered = cluster.status.as_ref().and_then(|status| status.restore_preview.as_ref());
    answered.is_none_or(|preview| preview.id != request.id).then_some(request)
}

async fn look(cx: &Context, cluster: &Cluster, request: &RestoreRequest) -> Result<RestorePreview, String> {
    let target = request.recovery_target.asked().map_err(|e| chain(&e))?;
    let settings = store_settings(cluster, &cx.api).await?.ok_or("the cluster has no archive")?;
    let store = settings.open(|name| std::env::var(name).ok()).map_err(|e| chain(&e))?;
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let written = complete(cx, &store.archive).await?;
    let survey = store.archive.catalog(PATIENCE).survey().await.map_err(|e| chain(&e))?;
    judged(&survey, &target, written, now).map(|preview| RestorePreview { id: request.id.clone(), ..preview })
}

/// Has all that was committed until now in the archive, with a commit after it, which postgres has to see to know that a
/// time was reached; answers where that ends. An archive that is behind is waited for only so long: then what it has counts.
async fn complete(cx: &Context, archive: &WalArchive) -> Result<WalPosition, String> {
    let session = local(cx, "postgres").await.map_err(|e| chain(&e))?;
    let sql = "SELECT pg_current_xact_id()::text";
    session.scalar::<String>("commit something", sql, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let at = written(&session, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let (lsn, size) = at.ok_or("this is a standby, which writes no WAL")?;
    let position = WalPosition { timeline: *cx.timeline.borrow(), lsn };
    if let Err(full) = has_room(&cx.config.pgdata, 1, size) {
        tracing::warn!(error = %chain(&full), "what a restore comes to is said without the last of the WAL");
        return Ok(position);
    }
    switch_wal(&session, STATEMENT_WITHIN).await.map_err(|e| chain(&e))?;
    let segment = SegmentName::of(position.timeline, lsn, size);
    let archived = async {
        while !matches!(archive.first_missing(segment, segment, size).await, Ok(None)) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    if tokio::time::timeout(ARCHIVED_WITHIN, archived).await.is_err() {
        tracing::warn!(%segment, "the archive is behind: what a restore comes to is said without the last of the WAL");
    }
    Ok(position)
}

fn judged(
    survey: &Survey,
    target: &RecoveryTarget,
    written: WalPosition,
    now: Timestamp,
) -> Result<RestorePreview, String> {
    let entries = survey.entries();
    if let Target::Time(at) = target.target
        && at > now
    {
        return Err(format!("{} is in the future: it is {} now", target.target, now.utc()));
    }
    let choice = choose(&entries, &survey.archived, target).map_err(|e| chain(&e))?;
    let window = window(&entries, &survey.archived, choice.along.timeline());
    let segments: Vec<_> = survey
        .wal
        .iter()
        .filter_map(|object| match object.name {
            WalName::Segment(name) => Some((name, object.stored)),
            _ => None,
        })
        .collect();
    let bytes = given_up(&choice, &survey.archived, &segments, &target.target, written);
    let number = |timeline: TimelineId| Some(i64::from(timeline.0));
    Ok(RestorePreview {
        id: String::new(),
        refusal: None,
        backup: Some(choice.backup.to_string()),
        along: number(choice.along.timeline()),
        at: Some(now.rfc3339()),
        timeline: number(written.timeline),
        written_lsn: Some(written.lsn.to_string()),
        last_recoverable_lsn: Some(choice.covered.to_string()),
        first_recoverable: window.first.map(Timestamp::rfc3339),
        last_recoverable: window.last.map(Timestamp::rfc3339),
        gives_up_bytes: bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
    })
}
