//! Postgres replays WAL in `pgdata.recovering` until it has ended on a timeline of its own; then it is stopped in order.

use crate::archive::{Archive, ArchivePaths, Bounds, RestoreMode, SOCKET_VARIABLE, StoreConfig};
use crate::config::POSTGRES_PORT;
use core::time::Duration;
use pgherd_core::backup::{Covered, RecoveryTarget};
use pgherd_core::pgconf::recovery::{Replay, settings};
use pgherd_core::timeline::TimelineId;
use pgherd_postgres::control_data::ControlData;
use pgherd_postgres::lines::LineSink;
use pgherd_postgres::process::{Postgres, PostmasterHandle, StopMode};
use pgherd_postgres::reap::Reaper;
use pgherd_postgres::sql::{Local, Session};
use pgherd_postgres::version::Major;
use pgherd_postgres::volume_lock::VolumeLock;
use pgherd_telemetry::chain;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

const LOOK_AGAIN: Duration = Duration::from_millis(200);
const SQL_WITHIN: Duration = Duration::from_secs(5);
const CONTROL_DATA_WITHIN: Duration = Duration::from_secs(20);
/// For the shutdown checkpoint, which writes whatever replay has changed.
const STOP_WITHIN: Duration = Duration::from_secs(3600);
/// What `restore_command` says before it ends a recovery; the reason follows.
const STOPPING: &str = "stopping here: ";
/// Lines of postgres that are kept to say why it ended.
const LINES: usize = 200;

/// Where a recovery runs, and with what.
pub struct Place<'a> {
    /// Owner of the processes.
    pub reaper: &'a Reaper,
    /// Of the volume that the directory is on.
    pub lock: &'a VolumeLock,
    /// The PostgreSQL that is used.
    pub major: Major,
    /// For its sockets and what is fetched ahead; made if it is not there.
    pub folder: PathBuf,
    /// The WAL client, for `restore_command`.
    pub client: PathBuf,
    /// Where the lines of postgres go.
    pub lines: LineSink,
    /// How long an outage is put up with.
    pub bounds: Bounds,
}

/// From where to where it goes.
pub struct Course<'a> {
    /// The archive.
    pub store: &'a StoreConfig,
    /// Up to where.
    pub target: &'a RecoveryTarget,
    /// Along which timeline.
    pub along: TimelineId,
    /// The last id of a timeline that is taken in some archive.
    pub taken: TimelineId,
    /// The WAL that there was; nothing where nobody noted it.
    pub covered: Option<Covered>,
}

/// What postgres said last.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<VecDeque<String>>>);

impl Said {
    pub(crate) fn sink(&self, to: &LineSink) -> LineSink {
        let (lines, to) = (Arc::clone(&self.0), Arc::clone(to));
        Arc::new(move |stream, line| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() >= LINES {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(line).into_owned());
            drop(lines);
            to(stream, line);
        })
    }

    /// The last line that begins with one of these words.
    fn last(&self, words: &[&str]) -> Option<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Not what our own questions were answered while it was not up.
        let asked_too_early = |line: &str| line.contains("FATAL:") && line.contains("the database system is ");
        let says = |line: &&String| words.iter().any(|word| line.contains(word)) && !asked_too_early(line);
        lines.iter().rev().find(says).cloned()
    }

    /// Why it ended.
    pub(crate) fn why(&self) -> String {
        let fatal = self.last(&["FATAL:", "PANIC:"]).unwrap_or_else(|| "it says nothing of why".to_owned());
        let stopped = self.last(&[STOPPING]);
        let stopped = stopped.as_deref().and_then(|line| line.split_once(STOPPING)).map(|(_, why)| why.trim());
        let fatal = stopped.map_or_else(|| fatal.clone(), |why| format!("{fatal}: {why}"));
        match self.last(&["last completed transaction was at log time"]) {
            Some(last) => format!("{fatal} ({})", last.trim_start_matches("LOG:").trim()),
            None => fatal,
        }
    }
}

/// Replays in `pgdata`. Done when postgres has taken sessions as a primary and was stopped in order.
///
/// # Errors
/// For people: why it ended before, in postgres' words.
pub async fn replay(place: &Place<'_>, pgdata: &Path, course: &Course<'_>) -> Result<(), String> {
    if !pgdata.join("recovery.signal").exists() {
        // It had ended already: only the last steps were cut off.
        return Ok(());
    }
    let mut tasks = JoinSet::new();
    let folder = &place.folder;
    std::fs::create_dir_all(folder).map_err(|e| format!("failed to make {}: {e}", folder.display()))?;
    let paths = ArchivePaths {
        pgdata: pgdata.to_owned(),
        socket: folder.join("archive.sock"),
        spool: folder.join("spool"),
        aside: folder.join("aside"),
    };
    let restore = format!("{SOCKET_VARIABLE}={} {} wal-restore %f %p", paths.socket.display(), place.client.display());
    let archive = Archive::start(paths, place.bounds, &mut tasks).await.map_err(|e| chain(&e))?;
    archive.set_restore_mode(RestoreMode::Recovery { along: course.along, taken: course.taken });
    archive.configure(Some(course.store.clone()));
    let said = Said::default();
    let handle = start(place, pgdata, course, &restore, &said).await?;
    let ended = ended(&handle, folder, &said).await;
    // Whatever happened, nothing of it runs on.
    let mode = if ended.is_ok() { StopMode::Fast } else { StopMode::Immediate };
    let stopped = stop(&handle, mode).await;
    archive.stop();
    tasks.shutdown().await;
    ended.and(stopped)
}

async fn start(
    place: &Place<'_>,
    pgdata: &Path,
    course: &Course<'_>,
    restore: &str,
    said: &Said,
) -> Result<PostmasterHandle, String> {
    let Place { reaper, lock, major, folder: sockets, .. } = place;
    let postgres = Postgres::locate(*major, pgdata, sockets, POSTGRES_PORT).map_err(|e| chain(&e))?;
    let control = ControlData::read(reaper, &postgres.bin_dir, pgdata, CONTROL_DATA_WITHIN);
    let control = control.await.map_err(|e| chain(&e))?;
    let settings = settings(Replay {
        target: course.target,
        along: course.along,
        restore,
        sockets: &sockets.to_string_lossy(),
        sensitive: &control.sensitive,
    });
    let sink = said.sink(&place.lines);
    let mut postmaster = postgres.start(reaper, lock, &settings, sink).await.map_err(|e| chain(&e))?;
    let handle = postmaster.handle();
    // Reads its output until its end.
    tokio::spawn(async move { drop(postmaster.wait().await) });
    Ok(handle)
}

/// Waits until it has left recovery.
async fn ended(handle: &PostmasterHandle, sockets: &Path, said: &Said) -> Result<(), String> {
    loop {
        if handle.ended().is_some() {
            // Its last words may still be on their way.
            tokio::time::sleep(LOOK_AGAIN).await;
            return Err(format!("postgres ended before the target was reached: {}", said.why()));
        }
        if has_left_recovery(sockets).await {
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn has_left_recovery(socket_dir: &Path) -> bool {
    let to = Local { socket_dir, port: POSTGRES_PORT, database: "postgres", application_name: "pgherd-manager" };
    let Ok(session) = Session::local(to, SQL_WITHIN).await else { return false };
    matches!(session.scalar::<bool>("ask for its role", "SELECT pg_is_in_recovery()", SQL_WITHIN).await, Ok(false))
}

/// Stops it, and waits until it has stopped.
pub(crate) async fn stop(handle: &PostmasterHandle, mode: StopMode) -> Result<(), String> {
    if handle.ended().is_some() {
        return Ok(());
    }
    handle.stop(mode).map_err(|e| chain(&e))?;
    match tokio::time::timeout(STOP_WITHIN, handle.wait()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err("postgres does not stop".to_owned()),
    }
}
