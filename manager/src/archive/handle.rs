//! The manager's handle on archiving and restoring.

use super::aside::{self, AsideError, list_aside};
use super::control::{ArchiveRole, Archiving, Control, RestoreMode, StoreConfig, TailSource};
use super::drain::{self, DrainError, Waiting};
use super::prefetch::Prefetch;
use super::reach::Reach;
use super::ready::list_ready;
use super::restore::Restorer;
use super::restore_policy::Bounds;
use super::server::{self, ServeError};
use super::status::ArchiverStatus;
use super::uploader::Uploader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Where things are.
#[derive(Clone, Debug)]
pub struct ArchivePaths {
    /// The data directory; `pg_wal` is looked for in it.
    pub pgdata: PathBuf,
    /// The socket that the clients look for.
    pub socket: PathBuf,
    /// Where prefetched segments lie, outside of `pg_wal`. Emptied at the start.
    pub spool: PathBuf,
    /// Where WAL is put aside, on the volume and outside of the data directory.
    pub aside: PathBuf,
}

impl ArchivePaths {
    /// The paths in a container: `controller` is `/controller`.
    #[must_use]
    pub fn new(pgdata: &Path, controller: &Path) -> Self {
        Self {
            pgdata: pgdata.to_owned(),
            socket: controller.join("run/.pgherd-archive.sock"),
            spool: controller.join("wal-restore-spool"),
            aside: pgdata.parent().unwrap_or(pgdata).join("pgherd/unarchived"),
        }
    }
}

/// Archiving and restoring, running. Cloning shares it. Every call but [`Archive::archive_all_ready`] returns at
/// once and is level-triggered: the last value holds.
#[derive(Clone)]
pub struct Archive {
    control: Arc<watch::Sender<Control>>,
    status: Arc<watch::Sender<ArchiverStatus>>,
    pgdata: PathBuf,
    pg_wal: PathBuf,
    aside: PathBuf,
    reach: Reach,
}

impl Archive {
    /// Listens and works, in tasks of the given set. To be called before postgres is started; requests wait until
    /// [`Archive::configure`] was called.
    pub async fn start(paths: ArchivePaths, bounds: Bounds, tasks: &mut JoinSet<()>) -> Result<Self, ServeError> {
        let listener = server::listen(&paths.socket)?;
        let prefetch = Prefetch::start(paths.spool).await.map_err(ServeError::Spool)?;
        let control = Arc::new(watch::Sender::new(Control::default()));
        let status = Arc::new(watch::Sender::new(ArchiverStatus::default()));
        let pg_wal = paths.pgdata.join("pg_wal");
        let reach = Reach::default();
        let (asks, asked) = mpsc::channel(16);
        let pgdata = paths.pgdata;
        let uploader = Uploader::new(&pgdata, control.subscribe(), asked, Arc::clone(&status), reach.clone());
        tasks.spawn(uploader.run());
        let restorer = Arc::new(Restorer::new(pgdata.clone(), control.subscribe(), prefetch, bounds, reach.clone()));
        tasks.spawn(server::serve(listener, asks, restorer));
        Ok(Self { control, status, pgdata, pg_wal, aside: paths.aside, reach })
    }

    /// Where WAL goes, and with which credentials; `None` for a Cluster without a backup section, whose WAL is not
    /// stored. Takes effect at once, for requests that wait as well. Not to be called on a guess.
    pub fn configure(&self, store: Option<StoreConfig>) {
        let archiving = store.map_or(Archiving::Off, Archiving::To);
        self.change(|control| {
            control.archiving = archiving;
            control.generation = control.generation.wrapping_add(1);
        });
    }

    /// Whether this instance's WAL is the cluster's. `Unchecked` from before the promotion on, lest its `.history` be
    /// refused; `Other` as soon as the right to write is lost.
    pub fn set_role(&self, role: ArchiveRole) {
        self.change(|control| {
            if control.role != role {
                control.role = role;
                control.generation = control.generation.wrapping_add(1);
            }
        });
    }

    /// How `restore_command` is answered from now on.
    pub fn set_restore_mode(&self, mode: RestoreMode) {
        self.change(|control| control.mode = mode);
    }

    /// Asks the crashed holder's manager first, or no longer.
    pub fn set_tail(&self, tail: Option<Arc<dyn TailSource>>) {
        self.change(|control| control.tail = tail);
    }

    /// The data directory was replaced or rewound: nothing that was known about its files holds.
    pub fn forget(&self) {
        self.change(|control| control.generation = control.generation.wrapping_add(1));
    }

    /// From now on every request is answered at once, with a failure: postgres' shutdown waits for its archiver.
    pub fn stop(&self) {
        self.change(|control| control.stopping = true);
    }

    /// Takes a [`Archive::stop`] back, where the same manager starts postgres again.
    pub fn resume(&self) {
        self.change(|control| control.stopping = false);
    }

    /// Where archiving stands.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<ArchiverStatus> {
        self.status.subscribe()
    }

    /// Archives every `.ready` file of a data directory whose postgres does not archive by itself (it is not running, or a
    /// standby), whatever the role, and marks
    /// each as done: before a rewind or a re-clone takes them away. Answers how many there were.
    pub async fn archive_all_ready(&self, bound: Duration) -> Result<usize, DrainError> {
        self.drain(&Waiting::PgWal(self.pg_wal.clone()), bound).await
    }

    /// Copies every `.ready` file aside, durably: then the data directory may be changed although the archive does not
    /// have them yet. Answers how many there are. Blocks.
    ///
    /// # Errors
    /// [`AsideError`]: nothing may be changed.
    pub fn put_aside(&self) -> Result<usize, AsideError> {
        aside::put_aside(&self.pg_wal, &self.aside)
    }

    /// Archives what was put aside, and removes each file that is in the archive.
    ///
    /// # Errors
    /// As [`Archive::archive_all_ready`]; what is left is tried again.
    pub async fn archive_aside(&self, bound: Duration) -> Result<usize, DrainError> {
        self.drain(&Waiting::Aside(self.aside.clone()), bound).await
    }

    async fn drain(&self, waiting: &Waiting, bound: Duration) -> Result<usize, DrainError> {
        drain::drain(waiting, &self.pgdata, self.control.subscribe(), &self.reach, bound).await
    }

    /// How many files lie aside. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn aside(&self) -> std::io::Result<usize> {
        list_aside(&self.aside).map(|names| names.len())
    }

    /// The store did not answer when it was last asked.
    #[must_use]
    pub fn is_out_of_reach(&self) -> bool {
        self.reach.outage().is_some()
    }

    /// How many files wait to be archived; none where nothing is archived. Blocks.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn waiting(&self) -> std::io::Result<usize> {
        if matches!(self.control.borrow().archiving, Archiving::Off) {
            return Ok(0);
        }
        list_ready(&self.pg_wal).map(|names| names.len())
    }

    fn change(&self, change: impl FnOnce(&mut Control)) {
        self.control.send_modify(change);
    }
}
