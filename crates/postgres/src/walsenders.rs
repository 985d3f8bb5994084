//! Walsenders as a primary sees them, and whether postgres goes by the configuration that was written.
//!
//! What each of these shows rests on `syncrep.c`, `walsender.c` and `postmaster.c` of PostgreSQL 13 to 18, and
//! `tests/synchronous.rs` holds it against the real thing.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgherd_core::lsn::Lsn;
use tokio::time::Instant;

use crate::process::{PostmasterHandle, ProcessError};
use crate::sql::{Local, Session, SqlError, within};

/// One walsender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walsender {
    /// Its process.
    pub pid: i32,
    /// When it began, as text: with the process id, which process it is.
    pub started: String,
    /// `application_name`.
    pub name: String,
    /// The standby's address.
    pub address: Option<String>,
    /// `sync_priority`, which it computes from its own copy of `synchronous_standby_names`.
    pub priority: i32,
    /// What the standby said last that it has on disk.
    pub flushed: Option<Lsn>,
}

/// The configuration was not seen in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The postmaster was not told.
    #[error("failed to make postgres read its configuration")]
    Signal(#[from] ProcessError),
    /// Postgres did not answer.
    #[error("failed to see whether postgres has read its configuration")]
    Sql(#[from] SqlError),
    /// It did not read it, or it found an error in a file and kept what it had. Its log says which.
    #[error("postgres did not take its configuration within {0:?}: its log may name an error in a file")]
    NotTaken(Duration),
    /// It goes by another value than the one that was written.
    #[error("synchronous_standby_names is {found:?} although {written:?} was written: something overrides it")]
    Overridden {
        /// What postgres goes by.
        found: String,
        /// What was written.
        written: String,
    },
    /// Commits do not wait although they should.
    #[error("commits did not begin to wait for standbys within {0:?}")]
    NoWaiting(Duration),
}

/// How often something inside postgres is looked at.
const POLL: Duration = Duration::from_millis(10);

/// The walsenders of this primary.
///
/// # Errors
/// When postgres does not answer.
pub async fn walsenders(session: &Session, deadline: Duration) -> Result<Vec<Walsender>, SqlError> {
    const WHAT: &str = "list the walsenders";
    let sql = "SELECT pid, backend_start::text, coalesce(application_name, ''), host(client_addr),
                      coalesce(sync_priority, 0), flush_lsn::text FROM pg_stat_replication";
    let rows = within(WHAT, deadline, session.client().query(sql, &[])).await?;
    let read = |row: &tokio_postgres::Row| -> Result<_, tokio_postgres::Error> {
        Ok(Walsender {
            pid: row.try_get(0)?,
            started: row.try_get(1)?,
            name: row.try_get(2)?,
            address: row.try_get(3)?,
            priority: row.try_get(4)?,
            flushed: row.try_get::<_, Option<String>>(5)?.and_then(|text| text.parse().ok()),
        })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(|source| SqlError::Statement { what: WHAT, source })
}

/// Tells a walsender to end (SIGTERM), if it is still the one meant. One that is stopped ends when it goes on.
///
/// # Errors
/// When postgres does not answer.
pub async fn end_walsender(session: &Session, which: &Walsender, deadline: Duration) -> Result<(), SqlError> {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";
    within("end a walsender", deadline, session.client().query(sql, &[&which.pid, &which.started])).await.map(drop)
}

/// Makes a stopped process go on (SIGCONT), so that it can see what it was told. To one that runs this is nothing.
pub fn wake(which: &Walsender) {
    if which.pid > 1 {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(which.pid), Signal::SIGCONT);
    }
}

/// What a new session sees of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// `pg_conf_load_time()`.
    pub at: String,
    /// `synchronous_standby_names`.
    pub standby_names: String,
}

/// The configuration as a new session sees it. Sessions inherit it from the postmaster, which signals all its
/// children before it starts another one: what a new session sees, everybody has been told.
///
/// # Errors
/// When postgres does not answer.
pub async fn loaded(to: Local<'_>, deadline: Duration) -> Result<Loaded, SqlError> {
    const WHAT: &str = "read the configuration in force";
    let session = Session::local(to, deadline).await?;
    let sql = "SELECT pg_conf_load_time()::text, current_setting('synchronous_standby_names')";
    let row = within(WHAT, deadline, session.client().query_one(sql, &[])).await?;
    let failed = |source| SqlError::Statement { what: WHAT, source };
    Ok(Loaded { at: row.try_get(0).map_err(failed)?, standby_names: row.try_get(1).map_err(failed)? })
}

/// Makes postgres read its files and waits until a new session shows that the postmaster did, and that
/// `synchronous_standby_names` is what was written. The files must be on disk before.
///
/// # Errors
/// [`ReloadError`]; an error in a file leaves the configuration as it was, which is [`ReloadError::NotTaken`].
pub async fn reload(
    to: Local<'_>,
    postmaster: &PostmasterHandle,
    written: &str,
    deadline: Duration,
) -> Result<(), ReloadError> {
    let give_up = Instant::now() + deadline;
    let before = loaded(to, deadline).await?;
    postmaster.reload()?;
    loop {
        let now = loaded(to, deadline).await?;
        if now.at != before.at {
            let found = now.standby_names;
            let taken = found == written;
            return if taken { Ok(()) } else { Err(ReloadError::Overridden { found, written: written.to_owned() }) };
        }
        if Instant::now() >= give_up {
            return Err(ReloadError::NotTaken(deadline));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until a commit waits for standbys, and proves it with one that does.
///
/// Whether commits wait at all is not each backend's to know: the checkpointer says so in shared memory, when it
/// gets to it (`SyncRepUpdateSyncStandbysDefined`). So the way from an empty list to one with names goes over a list
/// that nobody can satisfy, under which this probe hangs; the list that follows lets it go.
///
/// # Errors
/// [`ReloadError::NoWaiting`] when commits go on without waiting.
pub async fn commits_wait(to: Local<'_>, deadline: Duration) -> Result<(), ReloadError> {
    let give_up = Instant::now() + deadline;
    let observer = Session::local(to, deadline).await?;
    loop {
        let probe = Session::local(to, deadline).await?;
        let pid: i32 = probe.scalar("ask for a process id", "SELECT pg_backend_pid()", deadline).await?;
        let commit = "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'pgherd', '')";
        let mut committing = Box::pin(probe.client().batch_execute(commit));
        loop {
            // The probe's session is dropped in the end, and its backend lives until it is let go: it is nobody's.
            let sql =
                format!("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'SyncRep')");
            tokio::select! {
                biased;
                _ = &mut committing => break,
                waits = observer.scalar::<bool>("look for the probe", &sql, deadline) => {
                    if waits? {
                        return Ok(());
                    }
                }
            }
            if Instant::now() >= give_up {
                return Err(ReloadError::NoWaiting(deadline));
            }
        }
        if Instant::now() >= give_up {
            return Err(ReloadError::NoWaiting(deadline));
        }
        tokio::time::sleep(POLL).await;
    }
}
