//! Before a rewind or a re-clone, and on a former primary: everything that waits goes to the archive, without postgres.

use super::aside::{drop_aside, list_aside};
use super::control::{Archiving, Control, StoreConfig};
use super::put::put_own;
use super::reach::Reach;
use super::ready::{list_ready, mark_done};
use futures::StreamExt;
use pgherd_backup::WalPutError;
use pgherd_core::archive::Backoff;
use pgherd_core::wal::WalName;
use pgherd_objectstore::Then;
use pgherd_postgres::files::FileError;
use pgherd_telemetry::chain;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Not everything that waits is in the archive: the data directory must not be changed yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// The bound has passed. May be tried again.
    #[error("failed to archive what waits in time: {waiting} files are left, {reason}")]
    Late {
        /// Files still `.ready`.
        waiting: usize,
        /// What the last failure was.
        reason: String,
    },
    /// The archive holds other content under a name, or is another cluster's. A person has to look; trying again is
    /// useless.
    #[error("failed to archive {name}: {reason}")]
    Refused {
        /// The file.
        name: WalName,
        /// What differs, or whose it is.
        reason: String,
    },
    /// The folder cannot be read or changed.
    #[error("failed to work in archive_status: {0}")]
    Local(String),
    /// The manager is stopping.
    #[error("failed to archive what waits: the manager is stopping")]
    Stopping,
}

/// Where files wait.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// In `pg_wal`, as `archive_status` says; what is archived is marked `.done`.
    PgWal(PathBuf),
    /// In a folder of their own; what is archived is removed.
    Aside(PathBuf),
}

impl Waiting {
    fn folder(&self) -> &Path {
        match self {
            Self::PgWal(folder) | Self::Aside(folder) => folder,
        }
    }

    fn list(&self) -> std::io::Result<Vec<WalName>> {
        match self {
            Self::PgWal(folder) => list_ready(folder),
            Self::Aside(folder) => list_aside(folder),
        }
    }

    fn settle(&self, name: WalName) -> Result<(), FileError> {
        match self {
            Self::PgWal(folder) => mark_done(folder, name),
            Self::Aside(folder) => drop_aside(folder, name),
        }
    }
}

/// Archives every file that waits, oldest first, and settles each durably. Answers how many there were.
///
/// Postgres must not archive at the same time: it is not running, or in recovery. A file whose content is gone is left `.ready`, and fails the drain.
pub(super) async fn drain(
    waiting: &Waiting,
    pgdata: &Path,
    mut control: watch::Receiver<Control>,
    reach: &Reach,
    bound: Duration,
) -> Result<usize, DrainError> {
    let mut last = "nothing was tried yet".to_owned();
    let all = async {
        let mut done = 0_usize;
        let mut failures = 0_u32;
        loop {
            let config = match known(&mut control).await? {
                Archiving::To(config) => config,
                // Without a backup section nothing is stored; the files stay `.ready` for a day on which there is.
                _ => return Ok(done),
            };
            let mut names = list(waiting).await?;
            if names.is_empty() {
                return Ok(done);
            }
            names.sort_unstable();
            let failed = put_all(waiting, pgdata, &config, names, &mut done).await?;
            let Some(reason) = failed else {
                reach.answered();
                continue;
            };
            reach.failed(&reason);
            last = reason;
            failures = failures.saturating_add(1);
            let pause = Backoff::STORE.pause(failures, rand::random());
            // New credentials are reason enough to try at once.
            let _changed = tokio::time::timeout(pause, control.changed()).await;
        }
    };
    match tokio::time::timeout(bound, all).await {
        Ok(ended) => ended,
        Err(_) => Err(DrainError::Late { waiting: list(waiting).await?.len(), reason: last }),
    }
}

async fn known(control: &mut watch::Receiver<Control>) -> Result<Archiving, DrainError> {
    let known = control.wait_for(|c| c.stopping || !matches!(c.archiving, Archiving::Unknown)).await;
    let control = known.map_err(|_| DrainError::Stopping)?;
    if control.stopping { Err(DrainError::Stopping) } else { Ok(control.archiving.clone()) }
}

async fn list(waiting: &Waiting) -> Result<Vec<WalName>, DrainError> {
    let waiting = waiting.clone();
    let listed = tokio::task::spawn_blocking(move || waiting.list()).await;
    listed.map_err(|error| DrainError::Local(error.to_string()))?.map_err(|error| DrainError::Local(error.to_string()))
}

/// One round over all of them; the first failure that may pass ends it.
async fn put_all(
    waiting: &Waiting,
    pgdata: &Path,
    config: &StoreConfig,
    names: Vec<WalName>,
    done: &mut usize,
) -> Result<Option<String>, DrainError> {
    let puts = futures::stream::iter(names).map(|name| {
        let (archive, pgdata) = (config.archive.clone(), pgdata.to_owned());
        let file = waiting.folder().join(name.to_string());
        async move { (name, put_own(&archive, pgdata, name, file).await) }
    });
    let mut puts = puts.buffered(config.max_parallel.get());
    while let Some((name, result)) = puts.next().await {
        match result {
            Ok(_) => settle(waiting, name).await?,
            Err(error) => return failed(name, &error),
        }
        *done = done.saturating_add(1);
    }
    Ok(None)
}

fn failed(name: WalName, error: &WalPutError) -> Result<Option<String>, DrainError> {
    match error.then() {
        Then::GiveUp => Err(DrainError::Refused { name, reason: chain(error) }),
        Then::Believe | Then::RetryLater | Then::AskSomeone => Ok(Some(chain(error))),
    }
}

async fn settle(waiting: &Waiting, name: WalName) -> Result<(), DrainError> {
    let waiting = waiting.clone();
    let marked = tokio::task::spawn_blocking(move || waiting.settle(name)).await;
    let marked = marked.map_err(|error| DrainError::Local(error.to_string()))?;
    marked.map_err(|error| DrainError::Local(chain(&error)))
}
