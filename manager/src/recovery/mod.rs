//! `bootstrap.recovery`, and a restore in place: the database as it once was, out of an archive.
//!
//! All of it happens beside the data directory, in three steps that a restart goes on from: a backup is brought back
//! into a directory of its own (cut off, it is removed and begun anew); whole and on disk, that becomes
//! `pgdata.recovering`, where postgres replays WAL up to the target and ends on a timeline of its own; proven to be
//! there and stopped in order, it becomes the data directory, as one of initdb does. Until then nobody can reach it, it
//! archives nothing, and it holds no lease; what it wrote is archived once it is served.
//!
//! An outage of the archive is waited for; it is never the end of the archive.

mod asked;
mod bring;
mod replay;
mod source;
mod verify;

pub use asked::Asked;
pub use bring::{destination, make_ready};
pub use replay::{Course, Place, replay};
pub(crate) use replay::{Said, stop};
pub(crate) use source::opened;
pub use verify::{Verdict, verify};

use crate::context::Context;
use crate::effects::{incarnation, off_runtime};
use core::time::Duration;
use pgherd_core::backup::RecoveryTarget;
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::files::write_durable;
use pgherd_proto::cluster::Cluster;
use pgherd_telemetry::chain;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use verify::can_go_on;

/// Failures in a row; the pause before another try grows with them.
static FAILURES: AtomicU32 = AtomicU32::new(0);
const LONGEST_PAUSE: u32 = 60;

/// What `pgdata.recovering` is on its way to, kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Purpose {
    /// Cluster, archive and target that it was made for.
    asked: String,
    /// The backup that it began with.
    backup: String,
    /// `recovery_target_timeline`.
    along: TimelineId,
    /// The last id that is taken in some archive.
    taken: TimelineId,
}

/// Recovers, or goes on recovering.
///
/// # Errors
/// For people: why it is not done yet. It is tried again.
pub async fn recover(cx: &Context, cluster: &Cluster, asked: Asked<'_>) -> Result<(), String> {
    let failures = FAILURES.load(Ordering::Relaxed);
    if failures > 0 {
        tokio::time::sleep(Duration::from_secs(u64::from(failures.saturating_mul(2).min(LONGEST_PAUSE)))).await;
    }
    let done = run(cx, cluster, asked).await;
    FAILURES.store(if done.is_ok() { 0 } else { failures.saturating_add(1) }, Ordering::Relaxed);
    done.map_err(|why| asked.failed(&cx.config.cluster, &why))
}

async fn run(cx: &Context, cluster: &Cluster, asked: Asked<'_>) -> Result<(), String> {
    let source = source::open(cx, cluster, asked).await?;
    let fingerprint = fingerprint(cluster, asked, &source.place);
    let purpose = match resumed(cx, &fingerprint).await? {
        Some(purpose) => {
            tracing::info!(backup = purpose.backup, "going on with a recovery that was cut off");
            purpose
        }
        None => bring::bring(cx, cluster, asked, &source, fingerprint).await?,
    };
    let (place, course) = (place(cx), course(&source, &purpose));
    let replayed = replay(&place, &course).await;
    replayed.map_err(|why| format!("{} from backup {}: {why}", said(&source.target), purpose.backup))?;
    match verify(&place, &course).await? {
        Verdict::Reached => {}
        Verdict::BeforeItsTimeline(ancestor) => {
            // Postgres writes the history of such a recovery as if it had been on the later timeline.
            tracing::info!(timeline = %ancestor, "the target lies before its timeline began: recovered along its ancestor");
            return again_along(cx, &purpose, ancestor).await;
        }
    }
    cx.archiving.forget();
    let (volume, nonce) = (cx.volume.clone(), cx.config.me.nonce.clone());
    off_runtime(move || {
        let recovered = volume.recovering();
        volume.adopt(&recovered, &incarnation(), &nonce).map_err(|e| chain(&e)).map(drop)
    })
    .await
}

fn place(cx: &Context) -> Place<'_> {
    Place {
        reaper: &cx.reaper,
        lock: &cx.lock,
        major: cx.major,
        pgdata: cx.volume.recovering(),
        folder: cx.config.controller_dir.join("recovery"),
        client: cx.config.controller_dir.join("manager"),
        lines: Arc::clone(&cx.postgres_lines),
    }
}

fn course<'a>(source: &'a source::Source, purpose: &Purpose) -> Course<'a> {
    Course { store: &source.store, target: &source.target, along: purpose.along, taken: purpose.taken }
}

/// The directory of an earlier try, if it was made for the same.
async fn resumed(cx: &Context, fingerprint: &str) -> Result<Option<Purpose>, String> {
    let volume = cx.volume.clone();
    let noted = off_runtime(move || volume.recovery().map_err(|e| chain(&e))).await?;
    let purpose = noted.and_then(|text| serde_json::from_str::<Purpose>(&text).ok());
    let Some(purpose) = purpose.filter(|purpose| purpose.asked == fingerprint) else { return Ok(None) };
    let fit = can_go_on(&place(cx), purpose.along).await;
    if !fit {
        tracing::warn!("the recovery was cut off as it ended: it is begun anew");
    }
    Ok(fit.then_some(purpose))
}

/// Notes that the next try is along another timeline, and lets it begin.
async fn again_along(cx: &Context, purpose: &Purpose, along: TimelineId) -> Result<(), String> {
    let volume = cx.volume.clone();
    let note = along_file(cx);
    let text = format!("{} {along}", purpose.asked);
    off_runtime(move || {
        write_durable(&note, text.as_bytes(), 0o600).map_err(|e| chain(&e))?;
        volume.discard_recovery().map_err(|e| chain(&e))
    })
    .await?;
    Err(format!("the target lies on timeline {along}: recovering along that one"))
}

fn along_file(cx: &Context) -> std::path::PathBuf {
    cx.volume.root().join("pgherd/recovery-along")
}

/// The timeline that an earlier try found its target on.
async fn noted_along(cx: &Context, fingerprint: &str) -> Option<TimelineId> {
    let text = tokio::fs::read_to_string(along_file(cx)).await.ok()?;
    let (asked, id) = text.trim().split_once(' ')?;
    (asked == fingerprint).then(|| id.parse().ok().map(TimelineId)).flatten()
}

/// Changes with whatever makes another recovery of it.
fn fingerprint(cluster: &Cluster, asked: Asked<'_>, place: &str) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    cluster.metadata.uid.hash(&mut hasher);
    asked.text().hash(&mut hasher);
    place.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// For messages.
fn said(target: &RecoveryTarget) -> String {
    format!("{}{}", if target.exclusive { "before " } else { "" }, target.target)
}
