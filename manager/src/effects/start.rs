//! Starting postgres, pointing a standby at its leader, reloading.

use super::Effect;
use crate::config::POSTGRES_PORT;
use crate::configuration::{self, As};
use crate::context::{Context, Running};
use core::time::Duration;
use pgherd_core::instance::{Event, Leader, Outcome, StartAs};
use pgherd_postgres::files::{remove_durable, write_durable};
use pgherd_postgres::histories;
use pgherd_postgres::process::{Postgres, PostmasterHandle};
use pgherd_postgres::sql::{Local, Session, is_listening};
use pgherd_telemetry::chain;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Between two looks at a starting postmaster.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// For one SQL session or statement of our own.
pub const SQL_DEADLINE: Duration = Duration::from_secs(5);

/// Starts postgres. A standby has started when its postmaster listens (it may need its leader to get further); a
/// primary when it accepts writes.
pub async fn start(cx: &Arc<Context>, role: StartAs) -> Outcome {
    match begin(cx, &role).await {
        Ok(handle) => ready(cx, &role, &handle).await,
        Err(why) => {
            tracing::warn!(%why, "postgres was not started");
            Outcome::Failed(why)
        }
    }
}

async fn begin(cx: &Arc<Context>, role: &StartAs) -> Result<PostmasterHandle, String> {
    cx.certificates.ready().await;
    let wanted = match role {
        StartAs::Primary => As::Primary,
        StartAs::Standby(leader) => {
            note_leader(cx, leader.as_ref());
            // The archive may have a history beside the one that was opened last: of a restore that was gone back from.
            if let (None, Some(opened)) = (leader, cx.lease.opened()) {
                cx.archiving.following(opened);
            }
            cx.synchrony.forget();
            As::Standby
        }
    };
    let prepared = Arc::clone(cx);
    tokio::task::spawn_blocking(move || prepare(&prepared, wanted)).await.map_err(|e| chain(&e))??;
    // Without it a frozen manager would be a second writer (hole 20).
    if matches!(role, StartAs::Primary) && !super::stop::guarded(cx) {
        return Err("there is no watchdog, and without one no primary is started".to_owned());
    }
    let postgres = Postgres::locate(cx.major, &cx.config.pgdata, &cx.config.socket_dir(), POSTGRES_PORT)
        .map_err(|error| chain(&error))?;
    let mut postmaster = postgres
        .start(&cx.reaper, &cx.lock, &[], Arc::clone(&cx.postgres_lines))
        .await
        .map_err(|error| chain(&error))?;
    let handle = postmaster.handle();
    let stopping = Arc::new(AtomicBool::new(false));
    *cx.postmaster() = Some(Running { handle: handle.clone(), stopping: Arc::clone(&stopping) });
    cx.leaving.store(false, Ordering::Relaxed);
    // Its checkpointer reads the files before it lets anybody commit.
    cx.synchrony.began(&names(cx), true);
    let (watching, pid) = (Arc::clone(cx), handle.pid());
    // Ends with the postmaster, which ends before the manager does.
    tokio::spawn(async move {
        let ending = postmaster.handle();
        ending.ending().await;
        drop(watching.postmaster().take_if(|running| running.handle.pid() == pid));
        if !stopping.load(Ordering::Relaxed) {
            let how = ending.ended().map_or_else(String::new, |status| format!(": {status}"));
            let why = format!("postgres ended{how}");
            tracing::warn!(%why, "postgres ended unasked");
            drop(watching.events.send(Event::PostgresExited(why)).await);
        }
        // Its children may live on, and what they have to say takes them time: nobody waits for that.
        match postmaster.wait().await {
            Ok(status) => tracing::info!(%status, "the postmaster is gone"),
            Err(error) => tracing::warn!(error = %chain(&error), "how the postmaster ended is not known"),
        }
    });
    Ok(handle)
}

/// `synchronous_standby_names` as it is written now.
pub fn names(cx: &Context) -> String {
    cx.cluster_now().map(|cluster| configuration::standby_names(cx, &cluster)).unwrap_or_default()
}

fn prepare(cx: &Context, role: As) -> Result<(), String> {
    let signal = cx.config.pgdata.join("standby.signal");
    let pg_wal = cx.config.pgdata.join("pg_wal");
    configuration::write(cx, role).map_err(|error| chain(&error))?;
    let mended = histories::mend(&pg_wal).map_err(|error| chain(&error))?;
    if !mended.is_empty() {
        tracing::info!(?mended, "histories named a timeline that was never reached; they are mended");
    }
    match role {
        As::Primary => remove_durable(&signal).map_err(|error| chain(&error)),
        As::Standby => {
            write_durable(&signal, b"", 0o600).map_err(|error| chain(&error))?;
            let dropped = histories::drop_blanks(&pg_wal).map_err(|error| chain(&error))?;
            if !dropped.is_empty() {
                tracing::info!(?dropped, "a promotion that did not take place left blank histories; they are gone");
            }
            Ok(())
        }
    }
}

async fn ready(cx: &Context, role: &StartAs, handle: &PostmasterHandle) -> Outcome {
    loop {
        if let Some(status) = handle.ended() {
            return Outcome::Failed(format!("postgres ended while it started: {status}"));
        }
        let up = match role {
            StartAs::Standby(_) => is_listening(&cx.config.socket_dir(), POSTGRES_PORT).await.unwrap_or(false),
            StartAs::Primary => accepts_writes(cx).await,
        };
        if up {
            cx.nudge.notify_one();
            return Outcome::Done;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Where our own postgres is.
pub fn address(socket_dir: &std::path::Path) -> Local<'_> {
    Local { socket_dir, port: POSTGRES_PORT, database: "postgres", application_name: "pgherd-manager" }
}

async fn accepts_writes(cx: &Context) -> bool {
    let Ok(session) = local(cx, "postgres").await else { return false };
    matches!(session.scalar::<bool>("ask for its role", "SELECT pg_is_in_recovery()", SQL_DEADLINE).await, Ok(false))
}

/// The session that the step before left, or a new one: for steps of an election, which follow each other closely. Left
/// again by whoever is done with it.
///
/// # Errors
/// As [`local`].
pub async fn at_hand(cx: &Context) -> Result<Session, pgherd_postgres::sql::SqlError> {
    match cx.spare.take() {
        Some(session) => Ok(session),
        None => local(cx, "postgres").await,
    }
}

/// A session with our own postgres.
///
/// # Errors
/// When there is no such session to be had.
pub async fn local(cx: &Context, database: &str) -> Result<Session, pgherd_postgres::sql::SqlError> {
    let socket_dir = cx.config.socket_dir();
    Session::local(Local { database, ..address(&socket_dir) }, SQL_DEADLINE).await
}

fn note_leader(cx: &Context, leader: Option<&Leader>) {
    cx.following.send_replace(leader.cloned());
    if let Some(leader) = leader {
        cx.archiving.following(leader.timeline);
    }
}

/// Points the running standby at `leader`.
pub async fn follow(cx: &Arc<Context>, leader: Option<Leader>) -> Effect {
    note_leader(cx, leader.as_ref());
    rewrite(cx, As::Standby).await;
    Effect::Quiet
}

/// Renders the configuration of the role that postgres has now, and reloads it, changed or not: a person may have asked
/// for that alone, for a file that it includes.
pub async fn reconfigure(cx: &Arc<Context>) -> Effect {
    if cx.running().is_none() {
        return Effect::Quiet; // The next start renders it.
    }
    let standby = cx.config.pgdata.join("standby.signal").exists();
    let role = if standby { As::Standby } else { As::Primary };
    render(cx, role).await;
    reload(cx);
    Effect::Quiet
}

/// Writes the files, and reloads where they are others now.
pub async fn rewrite(cx: &Arc<Context>, role: As) {
    if render(cx, role).await {
        reload(cx);
    }
}

/// Writes the files, and says whether they are others now; an error is logged, since the next change of the world tries
/// again.
async fn render(cx: &Arc<Context>, role: As) -> bool {
    let writing = Arc::clone(cx);
    match tokio::task::spawn_blocking(move || configuration::write(&writing, role)).await {
        Ok(Ok(changed)) => return changed,
        Ok(Err(error)) => tracing::error!(error = %chain(&error), "the configuration was not changed"),
        Err(error) => tracing::error!(%error, "the configuration was not changed"),
    }
    false
}

/// CHECKPOINT, within a bound; without one nothing is lost but time, so an error is only logged.
pub async fn checkpoint(cx: &Context, within: Duration, when: &'static str) {
    let asked = async {
        let session = local(cx, "postgres").await?;
        session.batch("checkpoint", "CHECKPOINT", within).await
    };
    if let Err(error) = asked.await {
        tracing::warn!(when, error = %chain(&error), "there was no checkpoint");
    }
}

/// SIGHUP to the postmaster, if there is one.
pub fn reload(cx: &Context) {
    if let Some(handle) = cx.running()
        && let Err(error) = handle.reload()
    {
        tracing::warn!(error = %chain(&error), "postgres was not told to reload");
    }
}
