//! One postmaster: started on a locked volume, signalled, promoted, and its output read line by line.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use crate::death_watch::DeathWatch;
use crate::lines::{LineSink, Stream, read_lines};
use crate::others::handles_hangup;
use crate::reap::{Exit, ReapError, Reaper, Signaller};
use crate::version::{Major, VersionError};
use crate::volume_lock::VolumeLock;

/// Until a postmaster that has just been started has made its pipe: after its libraries and its shared memory.
const OPEN_AGAIN: Duration = Duration::from_millis(200);
/// A minute of them.
const TRIES: u32 = 300;

/// The postmaster could not be started or told something.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Not started, not signalled or not waited for.
    #[error("failed to handle the postmaster")]
    Reap(#[from] ReapError),
    /// Its output cannot be read.
    #[error("failed to read the postmaster's output")]
    Output(#[source] io::Error),
    /// The data directory is on another volume than the lock.
    #[error("failed to start postgres on {pgdata:?}: the lock is for {locked:?}")]
    WrongLock {
        /// The data directory.
        pgdata: PathBuf,
        /// The locked volume.
        locked: PathBuf,
    },
    /// The file that asks for a promotion cannot be written.
    #[error("failed to write or remove a file of the postmaster")]
    SignalFile(#[source] io::Error),
}

/// How to stop postgres (PostgreSQL documentation, "Shutting Down the Server").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopMode {
    /// SIGTERM: waits for the clients to leave.
    Smart,
    /// SIGINT: ends the clients, writes a checkpoint, waits for walsenders and the archiver.
    Fast,
    /// SIGQUIT: as a crash.
    Immediate,
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::SIGTERM,
            Self::Fast => Signal::SIGINT,
            Self::Immediate => Signal::SIGQUIT,
        }
    }
}

/// Where one installation and one data directory are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// The directory of `postgres`, `pg_rewind`, ...
    pub bin_dir: PathBuf,
    /// The data directory.
    pub pgdata: PathBuf,
    /// The directory of the UNIX socket.
    pub socket_dir: PathBuf,
    /// The TCP port, which is also in the socket's name.
    pub port: u16,
    /// The version of the data directory.
    pub major: Major,
}

impl Postgres {
    /// Finds the programs for a version. Blocks.
    pub fn locate(major: Major, pgdata: &Path, socket_dir: &Path, port: u16) -> Result<Self, VersionError> {
        let bin_dir = major.bin_dir()?;
        Ok(Self { bin_dir, pgdata: pgdata.to_owned(), socket_dir: socket_dir.to_owned(), port, major })
    }

    /// One of the programs.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// Starts the postmaster; `settings` are `-c` settings that win over the files (`name=value`).
    ///
    /// The lock is proof that no other postgres works on the volume, so a `postmaster.pid` that is there is
    /// stale and is removed. The watchdog must be armed before (rule L5). Whatever was killed before is waited for.
    pub async fn start(
        &self,
        reaper: &Reaper,
        lock: &VolumeLock,
        settings: &[String],
        sink: LineSink,
    ) -> Result<Postmaster, ProcessError> {
        if !self.pgdata.starts_with(lock.volume()) {
            return Err(ProcessError::WrongLock { pgdata: self.pgdata.clone(), locked: lock.volume().to_owned() });
        }
        reaper.settled().await;
        // Left by a postmaster of an earlier life of this container or pod: their process ids say nothing here.
        remove_if_there(&self.pgdata.join("postmaster.pid"))?;
        remove_if_there(&self.socket_dir.join(format!(".s.PGSQL.{}.lock", self.port)))?;
        remove_if_there(&self.socket_dir.join(format!(".s.PGSQL.{}", self.port)))?;
        // A file left by a promotion that was cut off would promote whatever is started next.
        remove_promotion_file(&self.pgdata)?;
        let mut command = Command::new(self.program("postgres"));
        command.arg("-D").arg(&self.pgdata);
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        // The manager is protected from the OOM killer, its children are not ("Linux Memory Overcommit").
        command.env("PG_OOM_ADJUST_FILE", "/proc/self/oom_score_adj").env("PG_OOM_ADJUST_VALUE", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = reaper.spawn(&mut command)?;
        let mut readers = JoinSet::new();
        if let Some(out) = child.stdout.take() {
            let out = tokio::process::ChildStdout::from_std(out).map_err(ProcessError::Output)?;
            readers.spawn(read_lines(out, Stream::Stdout, Arc::clone(&sink)));
        }
        if let Some(err) = child.stderr.take() {
            let err = tokio::process::ChildStderr::from_std(err).map_err(ProcessError::Output)?;
            readers.spawn(read_lines(err, Stream::Stderr, sink));
        }
        let handle =
            PostmasterHandle { pgdata: self.pgdata.clone(), exit: child.exit.clone(), signaller: child.signaller() };
        Ok(Postmaster { handle, readers })
    }
}

/// A running postmaster and the readers of its output. Dropping it stops the reading, not postgres.
#[derive(Debug)]
pub struct Postmaster {
    handle: PostmasterHandle,
    readers: JoinSet<()>,
}

impl Postmaster {
    /// A handle to signal and to wait with, for other tasks.
    #[must_use]
    pub fn handle(&self) -> PostmasterHandle {
        self.handle.clone()
    }

    /// Waits for the end, then for the last of its output, for at most a second: a backend that outlived the
    /// postmaster keeps the pipe open. Cancel-safe.
    pub async fn wait(&mut self) -> Result<ExitStatus, ReapError> {
        let status = self.handle.wait().await?;
        let rest = async { while self.readers.join_next().await.is_some() {} };
        drop(tokio::time::timeout(Duration::from_secs(1), rest).await);
        Ok(status)
    }
}

/// Signals one postmaster and waits for it.
#[derive(Clone, Debug)]
pub struct PostmasterHandle {
    pgdata: PathBuf,
    exit: Exit,
    signaller: Signaller,
}

impl PostmasterHandle {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.signaller.pid
    }

    /// Waits for its end. Cancel-safe.
    pub async fn wait(&self) -> Result<ExitStatus, ReapError> {
        self.exit.wait().await
    }

    /// Waits until it runs nothing any more: earlier than the kernel says how it ended, as soon as its children know.
    /// Cancel-safe.
    pub async fn ending(&self) {
        tokio::select! {
            _ended = self.wait() => {}
            () = self.heard_of_its_end() => {}
        }
    }

    async fn heard_of_its_end(&self) {
        for _ in 0..TRIES {
            match DeathWatch::of(self.pid()) {
                Ok(Some(watch)) => return watch.ended().await,
                Ok(None) => tokio::time::sleep(OPEN_AGAIN).await,
                Err(error) => {
                    tracing::debug!(%error, "the postmaster's pipe cannot be looked at");
                    break;
                }
            }
        }
        tracing::info!("the postmaster's end will be heard of from the kernel alone, and later");
        std::future::pending::<()>().await;
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        self.exit.now()
    }

    /// Lets it stand still: its children end, and it notices nothing. Whoever does so kills it.
    pub fn freeze(&self) -> Result<(), ProcessError> {
        Ok(self.signaller.signal(Signal::SIGSTOP)?)
    }

    /// Asks it to stop; does not wait.
    pub fn stop(&self, mode: StopMode) -> Result<(), ProcessError> {
        Ok(self.signaller.signal(mode.signal())?)
    }

    /// Makes it read its configuration again (SIGHUP); does not wait until all backends have.
    ///
    /// One that has just been started has no handler yet, and would die of it. It installs one before it reads its
    /// configuration (`PostmasterMain` of PostgreSQL's `postmaster.c`), so there is nothing to tell it.
    pub fn reload(&self) -> Result<(), ProcessError> {
        if !handles_hangup(self.pid()) {
            return Ok(());
        }
        Ok(self.signaller.signal(Signal::SIGHUP)?)
    }

    /// Asks a standby to become a primary: the file `promote`, then SIGUSR1, as `pg_ctl promote` does. Does
    /// not wait. Writing the file blocks for a moment.
    pub fn promote(&self) -> Result<(), ProcessError> {
        std::fs::write(promotion_file(&self.pgdata), b"").map_err(ProcessError::SignalFile)?;
        let sent = self.signaller.signal(Signal::SIGUSR1);
        if sent.is_err() {
            remove_promotion_file(&self.pgdata)?;
        }
        Ok(sent?)
    }
}

/// `PROMOTE_SIGNAL_FILE` of `access/xlog.h`.
fn promotion_file(pgdata: &Path) -> PathBuf {
    pgdata.join("promote")
}

fn remove_promotion_file(pgdata: &Path) -> Result<(), ProcessError> {
    remove_if_there(&promotion_file(pgdata))
}

fn remove_if_there(path: &Path) -> Result<(), ProcessError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ProcessError::SignalFile(error)),
        _ => Ok(()),
    }
}
