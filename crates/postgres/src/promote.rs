//! Waiting for a postmaster: until it takes sessions, and until a promotion is done.

use std::process::ExitStatus;
use std::time::Duration;

use pgherd_core::timeline::TimelineId;
use tokio::time::Instant;

use crate::process::{Postgres, PostmasterHandle, ProcessError};
use crate::reap::ReapError;
use crate::sql::{Local, Session, SqlError};

/// Postgres did not come as far as it should.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// It ended instead.
    #[error("failed to wait for postgres: it ended with {0}")]
    Ended(ExitStatus),
    /// It takes too long.
    #[error("failed to wait for postgres: not there within {0:?}")]
    Deadline(Duration),
    /// It could not be signalled.
    #[error("failed to ask for the promotion")]
    Ask(#[from] ProcessError),
    /// Its end could not be awaited.
    #[error("failed to wait for postgres")]
    Wait(#[from] ReapError),
    /// A query failed for another reason than that it is not ready yet.
    #[error("failed to see whether postgres is promoted")]
    Sql(#[from] SqlError),
    /// The timeline it chose cannot be read.
    #[error("failed to read a timeline from the WAL file name {0:?}")]
    Timeline(String),
}

/// How often a condition inside postgres is looked at; this is on the way of every failover.
const POLL: Duration = Duration::from_millis(5);

/// Waits until postgres takes sessions (a primary after its recovery, a standby once consistent).
pub async fn wait_ready(
    postgres: &Postgres,
    postmaster: &PostmasterHandle,
    deadline: Duration,
) -> Result<Session, PromoteError> {
    let give_up = Instant::now() + deadline;
    loop {
        let to = Local {
            socket_dir: &postgres.socket_dir,
            port: postgres.port,
            database: "postgres",
            application_name: "pgherd",
        };
        let attempt = tokio::select! {
            ended = postmaster.wait() => return Err(PromoteError::Ended(ended?)),
            attempt = Session::local(to, give_up.saturating_duration_since(Instant::now())) => attempt,
        };
        if let Ok(session) = attempt {
            return Ok(session);
        }
        if Instant::now() >= give_up {
            return Err(PromoteError::Deadline(deadline));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Asks a standby to become a primary and waits until it is one; says which timeline it chose.
///
/// The caller has reserved a timeline with the lease, armed the watchdog, and kills postgres when the
/// answer is another one (I2, hole 30). No checkpoint is waited for.
pub async fn promote(
    postmaster: &PostmasterHandle,
    session: &Session,
    deadline: Duration,
) -> Result<TimelineId, PromoteError> {
    let give_up = Instant::now() + deadline;
    postmaster.promote()?;
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        let asked = session.scalar::<bool>("ask whether postgres is in recovery", "SELECT pg_is_in_recovery()", left);
        let in_recovery = tokio::select! {
            ended = postmaster.wait() => return Err(PromoteError::Ended(ended?)),
            asked = asked => asked?,
        };
        if !in_recovery {
            return written_timeline(session, give_up.saturating_duration_since(Instant::now())).await;
        }
        if Instant::now() >= give_up {
            return Err(PromoteError::Deadline(deadline));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The timeline that a primary writes. The control file says it only after the next checkpoint.
pub async fn written_timeline(session: &Session, deadline: Duration) -> Result<TimelineId, PromoteError> {
    let sql = "SELECT pg_walfile_name(pg_current_wal_insert_lsn())";
    let name: String = session.scalar("ask for the timeline", sql, deadline).await?;
    let id = name.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    id.map(TimelineId).ok_or(PromoteError::Timeline(name))
}
