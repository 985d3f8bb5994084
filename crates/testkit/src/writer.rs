//! A client as impatient as clients are: one row after the other through a service, each attempt on a number of
//! its own, a new connection every 20 ms after a failure. It waits for a row no longer than 200 ms, and for a connection
//! no longer than a second: half of the shortest `connect_timeout` that libpq has, and time enough for a server of two
//! cores to let sixty in who come at once.

use crate::journal::{Entry, Journal, boottime};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// Between the beginnings of two attempts to connect.
pub const RECONNECT: Duration = Duration::from_millis(20);
/// For a row.
pub const TIMEOUT: Duration = Duration::from_millis(200);
/// For a connection.
const PATIENCE: Duration = Duration::from_secs(1);
/// The table that rows go to. It has no key, so that a row written twice would be there twice.
pub const TABLE: &str = "pgherd_journal";

/// The writer broke; not: postgres was away.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The journal.
    #[error("failed to write the journal")]
    Journal(#[from] io::Error),
    /// The task.
    #[error("failed to run the writer")]
    Task(#[source] tokio::task::JoinError),
}

/// What the writer counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were acknowledged.
    pub acknowledged: u64,
    /// Attempts that ended without an acknowledgement: such a row may be there or not.
    pub unknown: u64,
    /// Connections that could not be made, and rows that a standby refused.
    pub refused: u64,
}

/// A writer at work.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    task: JoinHandle<Result<Counts, WriterError>>,
}

impl Writer {
    /// Starts writing. The table must be there ([`create_table`]). `pause` is the time between two rows.
    #[must_use]
    pub fn start(config: Config, journal: Journal, pause: Duration) -> Self {
        Self::start_after(config, journal, pause, 0)
    }

    /// The same, with numbers above `before`: for several writers of one table.
    #[must_use]
    pub fn start_after(config: Config, journal: Journal, pause: Duration, before: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(write(config, journal, pause, before, stop.clone(), acknowledged.clone()));
        Self { stop, acknowledged, task }
    }

    /// Rows acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Stops after the row at hand.
    ///
    /// # Errors
    /// [`WriterError`] when the journal cannot be trusted.
    pub async fn stop(self) -> Result<Counts, WriterError> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.map_err(WriterError::Task)?
    }
}

/// Makes the journal's table.
///
/// # Errors
/// Of postgres.
pub async fn create_table(config: &Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let done = client
        .batch_execute(&format!(
            "CREATE TABLE IF NOT EXISTS {TABLE} (n bigint NOT NULL, at timestamptz NOT NULL DEFAULT now())"
        ))
        .await;
    drop(client);
    let _ = driver.await;
    done
}

/// A session that can write, as far as it knows.
struct Session {
    client: Client,
    insert: Statement,
    driver: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// How a row went.
enum Wrote {
    /// Acknowledged, on this timeline.
    Acknowledged(u32),
    /// By a standby: it is not there.
    Refused,
    /// It may be there or not.
    Unknown,
}

impl Session {
    async fn write(&self, row: u64) -> Wrote {
        let number = i64::try_from(row).unwrap_or(i64::MAX);
        match timeout(TIMEOUT, self.client.query_one(&self.insert, &[&number])).await {
            Ok(Ok(answer)) => {
                let digits: String = answer.get(0);
                u32::from_str_radix(&digits, 16).map_or(Wrote::Unknown, Wrote::Acknowledged)
            }
            Ok(Err(error)) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => Wrote::Refused,
            Ok(Err(_)) | Err(_) => Wrote::Unknown,
        }
    }
}

/// A connection and the statement, and nothing else: clients wait for both.
async fn connect(config: &Config) -> Option<Session> {
    let opened = timeout(PATIENCE, async {
        let (client, connection) = config.connect(NoTls).await.ok()?;
        let driver = tokio::spawn(async move {
            // Its end shows in the client's next call.
            let _ = connection.await;
        });
        let sql = format!(
            "INSERT INTO {TABLE} (n) VALUES ($1) RETURNING left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
        );
        match client.prepare(&sql).await {
            Ok(insert) => Some(Session { client, insert, driver }),
            Err(_) => {
                driver.abort();
                None
            }
        }
    });
    opened.await.ok().flatten()
}

async fn write(
    config: Config,
    mut journal: Journal,
    pause: Duration,
    before: u64,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
) -> Result<Counts, WriterError> {
    let mut counts = Counts::default();
    let mut session: Option<Session> = None;
    let mut row = before;
    while !stop.load(Ordering::Relaxed) {
        let Some(open) = &session else {
            let began = Instant::now();
            session = connect(&config).await;
            if session.is_none() {
                counts.refused += 1;
                sleep_until(began + RECONNECT).await;
            }
            continue;
        };
        row += 1;
        match open.write(row).await {
            Wrote::Acknowledged(timeline) => {
                journal.record(Entry { row, at: boottime(), timeline })?;
                counts.acknowledged += 1;
                acknowledged.store(counts.acknowledged, Ordering::Relaxed);
                if !pause.is_zero() {
                    sleep(pause).await;
                }
            }
            failed => {
                *match failed {
                    Wrote::Refused => &mut counts.refused,
                    _ => &mut counts.unknown,
                } += 1;
                session = None;
                sleep(RECONNECT).await;
            }
        }
    }
    Ok(counts)
}
