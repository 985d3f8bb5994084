//! Answers `restore_command`: from the old holder's tail, from what was fetched ahead, from the archive.

use super::control::{Archiving, Control, RestoreMode, StoreConfig, TailAnswer, TailError, TailSource};
use super::misses::Misses;
use super::prefetch::Prefetch;
use super::reach::Reach;
use super::restore_policy::{Bounds, Decision, Found, bound, decide, is_patient, known, stands_for};
use bytes::Bytes;
use pgherd_backup::{Patience, WalGetError};
use pgherd_core::archive::Backoff;
use pgherd_core::timeline::BLANK;
use pgherd_core::wal::{SegmentSize, WalName};
use pgherd_telemetry::chain;
use pgherd_wal_client::wire::Outcome;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two tries in a recovery.
const PAUSES: Backoff = Backoff { first: Duration::from_millis(200), cap: Duration::from_secs(5) };

/// Serves one instance.
pub(super) struct Restorer {
    pgdata: PathBuf,
    control: watch::Receiver<Control>,
    prefetch: Prefetch,
    bounds: Bounds,
    reach: Reach,
    misses: Misses,
}

enum Content {
    Tail(Bytes),
    Archive(Bytes),
    Spooled(PathBuf),
}

impl Restorer {
    pub(super) fn new(
        pgdata: PathBuf,
        control: watch::Receiver<Control>,
        prefetch: Prefetch,
        bounds: Bounds,
        reach: Reach,
    ) -> Self {
        Self { pgdata, control, prefetch, bounds, reach, misses: Misses::default() }
    }

    /// Puts the file at `path` (`%p`), or says what postgres is to make of its absence.
    pub(super) async fn restore(&self, name: WalName, path: &Path) -> (Outcome, String) {
        let Some(target) = target(&self.pgdata, path) else {
            return (Outcome::Abort, format!("{} is not in the data directory", path.display()));
        };
        let started = Instant::now();
        let mut control = self.control.clone();
        let mut tries = 0_u32;
        loop {
            let now = control.borrow_and_update().clone();
            if now.stopping {
                return stopped(now.mode);
            }
            let decision = match known(now.mode, name, self.has(name).await) {
                Some(decision) => decision,
                None => tokio::select! {
                    found = self.ask_in_time(&now, name) => decide(now.mode, found, started.elapsed(), self.bounds),
                    // A promotion begins, or another has what is asked for: postgres waits for this answer before it
                    // sees the one or asks for the other.
                    Ok(_) = control.wait_for(|control| is_news(&now, control)) => continue,
                },
            };
            match decision {
                Decision::Serve(content) => return self.hand_over(&now, name, content, &target).await,
                Decision::ServeStub => return written(tokio::fs::write(&target, BLANK).await, &target),
                Decision::NotThere(why) => {
                    if !why.is_empty() {
                        tracing::warn!(file = %name, error = %why, "a WAL file could not be looked for");
                    }
                    return (Outcome::NotThere, why);
                }
                Decision::Abort(why) => {
                    tracing::error!(file = %name, error = %why, "recovery is stopped: the archive is out of reach, or damaged");
                    return (Outcome::Abort, why);
                }
                Decision::Wait => {
                    tries = tries.saturating_add(1);
                    let pause = PAUSES.pause(tries, rand::random());
                    let _changed = tokio::time::timeout(pause, control.changed()).await;
                }
            }
        }
    }

    async fn has(&self, name: WalName) -> bool {
        let here = self.pgdata.join("pg_wal").join(name.to_string());
        matches!(name, WalName::History(_)) && tokio::fs::try_exists(here).await.unwrap_or(false)
    }

    async fn ask_in_time(&self, now: &Control, name: WalName) -> Found<Content> {
        match tokio::time::timeout(bound(now.mode, self.bounds), self.ask(now, name)).await {
            Ok(found) => found,
            Err(_) => {
                self.reach.failed("no answer in time");
                Found::Unknown("no answer in time".to_owned())
            }
        }
    }

    async fn ask(&self, now: &Control, name: WalName) -> Found<Content> {
        let (mut unknown, mut damaged) = (Vec::new(), false);
        if let Some(tail) = &now.tail {
            match ask_tail(tail.as_ref(), name, self.bounds).await {
                Ok(TailAnswer::Content(content)) => return Found::Content(Content::Tail(content)),
                Ok(TailAnswer::Here) => return Found::ProvenMissing,
                Ok(TailAnswer::Absent) => {}
                Err(error) => unknown.push(chain(&error)),
            }
        }
        match &now.archiving {
            Archiving::Unknown => unknown.push("the Cluster's backup section has not been read yet".to_owned()),
            Archiving::Off => {}
            Archiving::To(_) if !is_patient(now.mode) && self.misses.holds(name, now.generation, Instant::now()) => {}
            Archiving::To(config) if !is_patient(now.mode) && self.reach.outage().is_some() => {
                unknown.extend(self.reach.outage_asking(config, name));
            }
            Archiving::To(config) => {
                if let WalName::Segment(segment) = name {
                    self.prefetch.on_timeline(segment.timeline()).await;
                    if let Some(file) = self.prefetch.take(segment).await {
                        return Found::Content(Content::Spooled(file));
                    }
                }
                let archive = match is_patient(now.mode) {
                    true => config.archive.patient(Patience(self.bounds.attempt / 8)),
                    false => config.archive.clone(),
                };
                let mut asked = archive.get(name).await;
                if let (Ok(None), Some(partial)) = (&asked, stands_for(now.mode, name)) {
                    asked = archive.get(partial).await;
                }
                match asked {
                    Ok(found) => {
                        self.reach.answered();
                        if let Some(content) = found {
                            return Found::Content(Content::Archive(content));
                        }
                        self.misses.note(name, now.generation, Instant::now());
                    }
                    Err(error) => {
                        damaged = matches!(error, WalGetError::Damaged { .. } | WalGetError::Size { .. });
                        self.reach.failed(&chain(&error));
                        unknown.push(chain(&error));
                    }
                }
            }
        }
        match unknown.as_slice() {
            [] => Found::ProvenMissing,
            why if damaged => Found::Damaged(why.join("; ")),
            why => Found::Unknown(why.join("; ")),
        }
    }

    async fn hand_over(&self, now: &Control, name: WalName, content: Content, to: &Path) -> (Outcome, String) {
        let (result, from_archive) = match content {
            Content::Tail(bytes) => (tokio::fs::write(to, &bytes).await.map(|()| bytes.len() as u64), false),
            Content::Archive(bytes) => (tokio::fs::write(to, &bytes).await.map(|()| bytes.len() as u64), true),
            Content::Spooled(file) => {
                let copied = tokio::fs::copy(&file, to).await;
                // Left behind at worst until the next start, which empties the folder.
                let _gone = tokio::fs::remove_file(&file).await;
                (copied, true)
            }
        };
        let size = result.as_ref().ok().and_then(|bytes| SegmentSize::new(*bytes).ok());
        if let (true, WalName::Segment(segment), Some(size), Archiving::To(config)) =
            (from_archive, name, size, &now.archiving)
        {
            let config: &StoreConfig = config;
            self.prefetch.ahead(segment, size, config).await;
        }
        written(result.map(|_| ()), to)
    }
}

async fn ask_tail(tail: &dyn TailSource, name: WalName, bounds: Bounds) -> Result<TailAnswer, TailError> {
    // Half of what a standby may wait, so that the archive can still be asked when the old holder is gone.
    match tokio::time::timeout(bounds.short / 2, tail.fetch(name)).await {
        Ok(answer) => answer,
        Err(_) => Err(TailError("it does not answer".to_owned())),
    }
}

fn stopped(mode: RestoreMode) -> (Outcome, String) {
    let why = "the manager is stopping".to_owned();
    match mode {
        RestoreMode::Standby { .. } | RestoreMode::Promoting { .. } => (Outcome::NotThere, why),
        RestoreMode::Recovery { .. } => (Outcome::Abort, why),
    }
}

/// What was asked for since `before` may be answered in another way now.
fn is_news(before: &Control, now: &Control) -> bool {
    now.mode != before.mode || now.tail.is_some() && before.tail.is_none()
}

/// A file that was found and cannot be written is not "not there" in any mode.
fn written(result: std::io::Result<()>, to: &Path) -> (Outcome, String) {
    match result {
        Ok(()) => (Outcome::Done, String::new()),
        Err(error) => (Outcome::Abort, format!("{} cannot be written: {error}", to.display())),
    }
}

/// Where `%p` points: relative to the data directory, or absolute within it (pg_rewind), and nowhere else.
fn target(pgdata: &Path, path: &Path) -> Option<PathBuf> {
    let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
    let target = pgdata.join(path);
    (plain && target.starts_with(pgdata) && target != pgdata).then_some(target)
}

/// Shared with the tasks of the server.
pub(super) type SharedRestorer = Arc<Restorer>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_only_ever_put_into_the_data_directory() {
        let pgdata = Path::new("/data/pg");
        assert_eq!(target(pgdata, Path::new("pg_wal/X")), Some("/data/pg/pg_wal/X".into()));
        assert_eq!(target(pgdata, Path::new("/data/pg/pg_wal/X")), Some("/data/pg/pg_wal/X".into()));
        for path in ["../X", "/etc/passwd", "pg_wal/../../X", "/data/pgx/X", ""] {
            assert_eq!(target(pgdata, Path::new(path)), None, "{path}");
        }
    }
}
