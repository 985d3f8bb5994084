//! The probe of the real thing: one session on the UNIX socket, kept while it works.

use crate::sampler::{Look, Probe, WalCounters, WalLimits};
use core::time::Duration;
use pgherd_core::wal::SegmentSize;
use pgherd_postgres::sample::sample;
use pgherd_postgres::sql::{Local, Session, SqlError, within};
use pgherd_postgres::version::Major;
use pgherd_telemetry::chain;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::Row;

/// How we show in `pg_stat_activity`.
const APPLICATION: &str = "pgherd-sampler";

/// What `pgherd_postgres::sample` leaves to us.
const EXTRAS: &str = "
SELECT io.writes, io.syncs, io.write_millis, io.sync_millis,
       w.wal_records, w.wal_fpi, w.wal_bytes::float8 AS wal_bytes, w.wal_buffers_full,
       coalesce(to_char(w.stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '') AS stats_reset,
       pg_size_bytes(current_setting('min_wal_size')) AS min,
       pg_size_bytes(current_setting('max_wal_size')) AS max,
       pg_size_bytes(current_setting('wal_keep_size')) AS keep,
       pg_size_bytes(nullif(current_setting('max_slot_wal_keep_size'), '-1')) AS slots_max,
       (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size') AS segment_size,
       (SELECT latest_end_lsn::text FROM pg_stat_wal_receiver) AS sender_end
  FROM pg_stat_wal w";

/// Asks our own postgres.
pub struct PostgresProbe {
    socket_dir: PathBuf,
    port: u16,
    deadline: Duration,
    leaving: Arc<AtomicBool>,
    session: Option<Session>,
}

impl PostgresProbe {
    /// A probe of the postgres whose socket is in `socket_dir`. It connects when it is first asked, and lets go while
    /// postgres is `leaving`: a smart shutdown waits for every session.
    #[must_use]
    pub fn new(socket_dir: PathBuf, port: u16, deadline: Duration, leaving: Arc<AtomicBool>) -> Self {
        Self { socket_dir, port, deadline, leaving, session: None }
    }

    async fn ask(&mut self) -> Result<Look, SqlError> {
        // Taken out while it is used: after an error, or when the deadline drops us, the answer may still be
        // on its way, and the session must not be used again.
        let session = match self.session.take().filter(|session| !session.is_closed()) {
            Some(session) => session,
            None => {
                let to = Local {
                    socket_dir: &self.socket_dir,
                    port: self.port,
                    database: "postgres",
                    application_name: APPLICATION,
                };
                Session::local(to, self.deadline).await?
            }
        };
        let sample = sample(&session, self.deadline).await?;
        let mut look = Look { sample, wal: None, limits: None, segment_size: SegmentSize::DEFAULT, sender_end: None };
        if let Some(major) = u16::try_from(look.sample.version / 10_000).ok().and_then(|major| Major::new(major).ok()) {
            add_extras(&mut look, &session, major, self.deadline).await?;
        }
        self.session = Some(session);
        Ok(look)
    }
}

#[async_trait::async_trait]
impl Probe for PostgresProbe {
    async fn look(&mut self) -> Result<Look, String> {
        if self.leaving.load(Ordering::Relaxed) {
            self.session = None;
            return Err("postgres is stopping".to_owned());
        }
        self.ask().await.map_err(|error| chain(&error))
    }
}

async fn add_extras(look: &mut Look, session: &Session, major: Major, deadline: Duration) -> Result<(), SqlError> {
    const WHAT: &str = "read the WAL statistics";
    let sql = format!("{EXTRAS}, ({}) io", major.traits().wal_io);
    let row = within(WHAT, deadline, session.client().query_one(&sql, &[])).await?;
    read_extras(look, &row).map_err(|source| SqlError::Statement { what: WHAT, source })
}

fn read_extras(look: &mut Look, row: &Row) -> Result<(), tokio_postgres::Error> {
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    look.wal = Some(WalCounters {
        records: count(row.try_get("wal_records")?),
        full_page_images: count(row.try_get("wal_fpi")?),
        bytes: whole(row.try_get("wal_bytes")?),
        buffers_full: count(row.try_get("wal_buffers_full")?),
        writes: row.try_get("writes")?,
        syncs: row.try_get("syncs")?,
        write_millis: row.try_get("write_millis")?,
        sync_millis: row.try_get("sync_millis")?,
        stats_reset: row.try_get("stats_reset")?,
    });
    look.limits = Some(WalLimits {
        min: count(row.try_get("min")?),
        max: count(row.try_get("max")?),
        keep: count(row.try_get("keep")?),
        slots_max: row.try_get::<_, Option<i64>>("slots_max")?.map(count),
    });
    let segment_size = row.try_get::<_, Option<i64>>("segment_size")?;
    look.segment_size = segment_size.and_then(|size| SegmentSize::new(count(size)).ok()).unwrap_or_default();
    look.sender_end = row.try_get::<_, Option<String>>("sender_end")?.and_then(|text| text.parse().ok());
    Ok(())
}

/// `wal_bytes` is numeric in postgres; a double holds it exactly up to 8 PiB.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a u64 holds")]
fn whole(bytes: f64) -> u64 {
    bytes.max(0.0) as u64
}
