//! The probe of the real thing: one session on the UNIX socket, kept while it works.

use crate::sampler::{Look, Probe, WalCounters};
use core::time::Duration;
use pgherd_core::wal::SegmentSize;
use pgherd_postgres::sample::sample;
use pgherd_postgres::sql::{Local, Session, SqlError, within};
use pgherd_telemetry::chain;
use std::path::PathBuf;

/// How we show in `pg_stat_activity`.
const APPLICATION: &str = "pgherd-sampler";

/// What `pgherd_postgres::sample` leaves to us.
const EXTRAS: &str = "
SELECT w.wal_records, w.wal_fpi, w.wal_bytes::float8 AS wal_bytes, w.wal_buffers_full,
       (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_segment_size') AS segment_size,
       (SELECT latest_end_lsn::text FROM pg_stat_wal_receiver) AS sender_end
  FROM pg_stat_wal w";

/// Asks our own postgres.
pub struct PostgresProbe {
    socket_dir: PathBuf,
    port: u16,
    deadline: Duration,
    session: Option<Session>,
}

impl PostgresProbe {
    /// A probe of the postgres whose socket is in `socket_dir`. It connects when it is first asked.
    #[must_use]
    pub fn new(socket_dir: PathBuf, port: u16, deadline: Duration) -> Self {
        Self { socket_dir, port, deadline, session: None }
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
        let mut look = Look { sample, wal: None, segment_size: SegmentSize::DEFAULT, sender_end: None };
        if look.sample.version >= 140_000 {
            add_extras(&mut look, &session, self.deadline).await?;
        }
        self.session = Some(session);
        Ok(look)
    }
}

#[async_trait::async_trait]
impl Probe for PostgresProbe {
    async fn look(&mut self) -> Result<Look, String> {
        self.ask().await.map_err(|error| chain(&error))
    }
}

async fn add_extras(look: &mut Look, session: &Session, deadline: Duration) -> Result<(), SqlError> {
    const WHAT: &str = "read the WAL statistics";
    let row = within(WHAT, deadline, session.client().query_one(EXTRAS, &[])).await?;
    let read = || -> Result<_, tokio_postgres::Error> {
        Ok((
            [row.try_get::<_, i64>("wal_records")?, row.try_get("wal_fpi")?, row.try_get("wal_buffers_full")?],
            row.try_get::<_, f64>("wal_bytes")?,
            row.try_get::<_, Option<i64>>("segment_size")?,
            row.try_get::<_, Option<String>>("sender_end")?,
        ))
    };
    let ([records, full_page_images, buffers_full], bytes, segment_size, sender_end) =
        read().map_err(|source| SqlError::Statement { what: WHAT, source })?;
    let count = |value: i64| u64::try_from(value).unwrap_or(0);
    look.wal = Some(WalCounters {
        records: count(records),
        full_page_images: count(full_page_images),
        bytes: whole(bytes),
        buffers_full: count(buffers_full),
    });
    look.segment_size = segment_size.and_then(|size| SegmentSize::new(count(size)).ok()).unwrap_or_default();
    look.sender_end = sender_end.and_then(|text| text.parse().ok());
    Ok(())
}

/// `wal_bytes` is numeric in postgres; a double holds it exactly up to 8 PiB.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a u64 holds")]
fn whole(bytes: f64) -> u64 {
    bytes.max(0.0) as u64
}
