//! What one postgres says about itself: all that `/pg/status` and the metrics show, in three queries.
//!
//! A sampler calls this at its own pace; no probe runs SQL on the request path.

use std::time::Duration;

use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::sql::{Session, SqlError, within};

/// One look at a running postgres. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// `server_version_num`, as 150018.
    pub version: i32,
    /// `system_identifier`.
    pub system_id: SystemId,
    /// When the postmaster started.
    pub started_at: f64,
    /// When the configuration was last read.
    pub conf_loaded_at: f64,
    /// Settings that only a restart brings into force.
    pub pending_restart: Vec<String>,
    /// One of those is smaller in the files than in force, and a standby must not have less of it than its primary
    /// (PostgreSQL documentation, "Hot Standby", "Administrator's Overview").
    pub pending_decrease: bool,
    /// `synchronous_standby_names` as this session sees it.
    pub synchronous_standby_names: String,
    /// Primary or standby, and what only one of them has.
    pub role: Role,
    /// `pg_stat_archiver`.
    pub archiver: Archiver,
    /// Sessions of clients.
    pub client_sessions: i64,
    /// Damaged pages that were read, in all databases; None without data checksums.
    pub checksum_failures: Option<u64>,
    /// `pg_stat_replication`.
    pub replication: Vec<Replica>,
    /// `pg_replication_slots`.
    pub slots: Vec<Slot>,
}

/// What a primary or a standby alone has.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Not in recovery.
    Primary {
        /// The timeline that it writes.
        timeline: TimelineId,
        /// `pg_current_wal_lsn()`: written.
        written: Lsn,
        /// `pg_current_wal_flush_lsn()`: on disk.
        flushed: Lsn,
    },
    /// In recovery.
    Standby {
        /// The timeline of the last checkpoint, or of the receiver where it is newer.
        timeline: TimelineId,
        /// `pg_last_wal_receive_lsn()`; None before a receiver has run.
        received: Option<Lsn>,
        /// `pg_last_wal_replay_lsn()`; None before the first record.
        replayed: Option<Lsn>,
        /// `pg_is_wal_replay_paused()`.
        replay_paused: bool,
        /// Seconds behind, as `cnpg_pg_replication_lag`: 0 when all that was received is replayed.
        lag_seconds: f64,
        /// The walreceiver, if there is one.
        receiver: Option<Receiver>,
    },
}

/// `pg_stat_wal_receiver`.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// `status`: `streaming`, `waiting`, ...
    pub status: String,
    /// `sender_host`.
    pub sender_host: Option<String>,
    /// `received_tli`.
    pub timeline: TimelineId,
    /// `flushed_lsn`.
    pub flushed: Option<Lsn>,
    /// When the last message from the sender came.
    pub heard_at: Option<f64>,
}

/// `pg_stat_archiver`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Archiver {
    /// `archived_count`.
    pub archived_count: i64,
    /// `last_archived_wal`.
    pub last_archived_wal: Option<String>,
    /// `last_archived_time`.
    pub last_archived_at: Option<f64>,
    /// `failed_count`.
    pub failed_count: i64,
    /// `last_failed_wal`.
    pub last_failed_wal: Option<String>,
    /// `last_failed_time`.
    pub last_failed_at: Option<f64>,
    /// `stats_reset`.
    pub stats_reset_at: Option<f64>,
}

/// A row of `pg_stat_replication`. Lags are seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// `application_name`: the standby's pod.
    pub application_name: String,
    /// `usename`.
    pub user: String,
    /// `client_addr`.
    pub client_address: Option<String>,
    /// `client_port`; -1 on a UNIX socket.
    pub client_port: Option<i32>,
    /// Age of `backend_xmin`, in transactions: what hot standby feedback holds back.
    pub xmin_age: Option<i32>,
    /// `state`.
    pub state: String,
    /// `sent_lsn`.
    pub sent: Option<Lsn>,
    /// `write_lsn`.
    pub written: Option<Lsn>,
    /// `flush_lsn`.
    pub flushed: Option<Lsn>,
    /// `replay_lsn`.
    pub replayed: Option<Lsn>,
    /// `write_lag`.
    pub write_lag: Option<f64>,
    /// `flush_lag`.
    pub flush_lag: Option<f64>,
    /// `replay_lag`.
    pub replay_lag: Option<f64>,
    /// `sync_state`.
    pub sync_state: String,
    /// `sync_priority`.
    pub sync_priority: i32,
    /// `backend_start`.
    pub started_at: f64,
}

/// A row of `pg_replication_slots`.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// `slot_name`.
    pub name: String,
    /// `slot_type`.
    pub kind: String,
    /// `database`, of a logical one.
    pub database: Option<String>,
    /// `active`.
    pub active: bool,
    /// `restart_lsn`.
    pub restart: Option<Lsn>,
    /// `wal_status`: `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: Option<String>,
}

impl Sample {
    /// Not in recovery.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        matches!(self.role, Role::Primary { .. })
    }
}

/// WAL that waits is flushed by whoever waits for it, or by the WAL writer (`wal_writer_delay`).
const BY_ITSELF: Duration = Duration::from_millis(200);
const WHAT: &str = "sample postgres";

const INSTANCE: &str = "
SELECT current_setting('server_version_num')::int4 AS version,
       (SELECT system_identifier FROM pg_control_system()) AS system_id,
       extract(epoch FROM pg_postmaster_start_time())::float8 AS started_at,
       extract(epoch FROM pg_conf_load_time())::float8 AS conf_loaded_at,
       (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM pg_settings WHERE pending_restart) AS pending,
       (SELECT coalesce(bool_or(coalesce(
                 (SELECT f.setting::int8 FROM pg_file_settings f WHERE f.name = s.name ORDER BY f.seqno DESC LIMIT 1),
                 s.boot_val::int8) < s.setting::int8), false)
          FROM pg_settings s
         WHERE s.pending_restart AND s.name IN ('max_connections', 'max_prepared_transactions', 'max_wal_senders',
                                                'max_worker_processes', 'max_locks_per_transaction')) AS decrease,
       current_setting('synchronous_standby_names') AS ssn,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
       (SELECT sum(pg_stat_get_db_checksum_failures(o))
          FROM (SELECT oid AS o FROM pg_database UNION ALL SELECT 0::oid) d)::int8 AS checksum_failures,
       r.recovering,
       CASE WHEN NOT r.recovering THEN pg_walfile_name(pg_current_wal_lsn()) END AS wal_file,
       CASE WHEN NOT r.recovering THEN pg_current_wal_lsn()::text END AS written,
       CASE WHEN NOT r.recovering THEN pg_current_wal_flush_lsn()::text END AS flushed,
       (SELECT timeline_id FROM pg_control_checkpoint()) AS checkpoint_timeline,
       pg_last_wal_receive_lsn()::text AS received,
       pg_last_wal_replay_lsn()::text AS replayed,
       CASE WHEN r.recovering THEN pg_is_wal_replay_paused() ELSE false END AS paused,
       CASE WHEN NOT r.recovering OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp())) END::float8 AS lag,
       w.status AS receiver_status, w.sender_host AS receiver_host, w.received_tli AS receiver_timeline,
       w.flushed_lsn::text AS receiver_flushed,
       extract(epoch FROM w.last_msg_receipt_time)::float8 AS receiver_heard_at,
       a.archived_count, a.last_archived_wal, extract(epoch FROM a.last_archived_time)::float8 AS last_archived_at,
       a.failed_count, a.last_failed_wal, extract(epoch FROM a.last_failed_time)::float8 AS last_failed_at,
       extract(epoch FROM a.stats_reset)::float8 AS archiver_reset_at
  FROM (SELECT pg_is_in_recovery() AS recovering) r
  LEFT JOIN pg_stat_wal_receiver w ON true
  LEFT JOIN pg_stat_archiver a ON true";

const REPLICATION: &str = "
SELECT coalesce(application_name, '') AS application_name, coalesce(usename, '')::text AS usename,
       host(client_addr) AS client_addr, client_port, age(backend_xmin) AS xmin_age, coalesce(state, '') AS state,
       sent_lsn::text AS sent, write_lsn::text AS written, flush_lsn::text AS flushed, replay_lsn::text AS replayed,
       extract(epoch FROM write_lag)::float8 AS write_lag, extract(epoch FROM flush_lag)::float8 AS flush_lag,
       extract(epoch FROM replay_lag)::float8 AS replay_lag, coalesce(sync_state, '') AS sync_state,
       coalesce(sync_priority, 0) AS sync_priority, extract(epoch FROM backend_start)::float8 AS started_at
  FROM pg_stat_replication ORDER BY application_name, backend_start";

const SLOTS: &str = "
SELECT slot_name::text, slot_type, database::text, active, restart_lsn::text AS restart, wal_status
  FROM pg_replication_slots ORDER BY slot_name";

/// Takes one sample, all of it within `deadline`. After an error the session should be dropped.
pub async fn sample(session: &Session, deadline: Duration) -> Result<Sample, SqlError> {
    let client = session.client();
    // Sent at once, answered one after another: the protocol pipelines.
    let queries = async {
        tokio::try_join!(client.query_one(INSTANCE, &[]), client.query(REPLICATION, &[]), client.query(SLOTS, &[]))
    };
    let (instance, replication, slots) = within(WHAT, deadline, queries).await?;
    instance_sample(
        &instance,
        replication.iter().map(replica).collect::<Result<_, _>>()?,
        slots.iter().map(slot).collect::<Result<_, _>>()?,
    )
}

/// Proof of the write path for a lease renewal: all WAL that was inserted when this began is flushed. Gives the
/// flushed position.
///
/// An idle primary has flushed everything, and so does a busy one within moments: neither writes anything for the
/// proof, or `archive_timeout` would fill the archive with segments of nothing but proofs. Only where WAL waits and
/// does not move is something committed, on this instance's disk, never waiting for a standby.
pub async fn prove_write_path(session: &Session, deadline: Duration) -> Result<Lsn, SqlError> {
    let inserted =
        parse_lsn(&session.scalar::<String>(WHAT, "SELECT pg_current_wal_insert_lsn()::text", deadline).await?)?;
    let began = tokio::time::Instant::now();
    while began.elapsed() < BY_ITSELF {
        let flushed = flushed(session, deadline).await?;
        if flushed >= inserted {
            return Ok(flushed);
        }
        tokio::time::sleep(BY_ITSELF / 10).await;
    }
    commit_probe(session, deadline).await
}

/// Commits something, on this instance's disk, never waiting for a standby; gives the flushed position after it, which
/// is beyond every commit that was acknowledged before, and new.
pub async fn commit_probe(session: &Session, deadline: Duration) -> Result<Lsn, SqlError> {
    let commit = "BEGIN; SET LOCAL synchronous_commit = local; \
                  SELECT pg_logical_emit_message(true, 'pgherd', ''); COMMIT";
    session.batch("commit a probe", commit, deadline).await?;
    flushed(session, deadline).await
}

/// `pg_current_wal_flush_lsn()` of a primary.
pub async fn flushed(session: &Session, deadline: Duration) -> Result<Lsn, SqlError> {
    let text: String = session.scalar(WHAT, "SELECT pg_current_wal_flush_lsn()::text", deadline).await?;
    parse_lsn(&text)
}

/// What a standby holds: the larger of what is received (and flushed) and what is replayed; None before
/// either.
pub async fn standby_position(session: &Session, deadline: Duration) -> Result<Option<Lsn>, SqlError> {
    let sql = "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text";
    let text: Option<String> = session.scalar(WHAT, sql, deadline).await?;
    text.as_deref().map(parse_lsn).transpose()
}

fn instance_sample(row: &Row, replication: Vec<Replica>, slots: Vec<Slot>) -> Result<Sample, SqlError> {
    Ok(Sample {
        version: get(row, "version")?,
        system_id: SystemId(get::<i64>(row, "system_id")?.cast_unsigned()),
        started_at: get(row, "started_at")?,
        conf_loaded_at: get(row, "conf_loaded_at")?,
        pending_restart: get(row, "pending")?,
        pending_decrease: get(row, "decrease")?,
        synchronous_standby_names: get(row, "ssn")?,
        role: if get(row, "recovering")? { standby(row)? } else { primary(row)? },
        archiver: Archiver {
            archived_count: get(row, "archived_count")?,
            last_archived_wal: get(row, "last_archived_wal")?,
            last_archived_at: get(row, "last_archived_at")?,
            failed_count: get(row, "failed_count")?,
            last_failed_wal: get(row, "last_failed_wal")?,
            last_failed_at: get(row, "last_failed_at")?,
            stats_reset_at: get(row, "archiver_reset_at")?,
        },
        client_sessions: get(row, "sessions")?,
        checksum_failures: get::<Option<i64>>(row, "checksum_failures")?.and_then(|count| u64::try_from(count).ok()),
        replication,
        slots,
    })
}

fn primary(row: &Row) -> Result<Role, SqlError> {
    let file: String = get(row, "wal_file")?;
    let timeline = file.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    Ok(Role::Primary {
        timeline: timeline.map(TimelineId).ok_or_else(|| unexpected(format!("WAL file name {file:?}")))?,
        written: lsn(row, "written")?.ok_or_else(|| unexpected("no written position".into()))?,
        flushed: lsn(row, "flushed")?.ok_or_else(|| unexpected("no flushed position".into()))?,
    })
}

fn standby(row: &Row) -> Result<Role, SqlError> {
    let receiver = match get::<Option<String>>(row, "receiver_status")? {
        None => None,
        Some(status) => Some(Receiver {
            status,
            sender_host: get(row, "receiver_host")?,
            timeline: timeline(row, "receiver_timeline")?,
            flushed: lsn(row, "receiver_flushed")?,
            heard_at: get(row, "receiver_heard_at")?,
        }),
    };
    let checkpoint = timeline(row, "checkpoint_timeline")?;
    Ok(Role::Standby {
        timeline: receiver.as_ref().map_or(checkpoint, |receiver| receiver.timeline.max(checkpoint)),
        received: lsn(row, "received")?,
        replayed: lsn(row, "replayed")?,
        replay_paused: get(row, "paused")?,
        lag_seconds: get::<Option<f64>>(row, "lag")?.unwrap_or(0.0),
        receiver,
    })
}

fn replica(row: &Row) -> Result<Replica, SqlError> {
    Ok(Replica {
        application_name: get(row, "application_name")?,
        user: get(row, "usename")?,
        client_address: get(row, "client_addr")?,
        client_port: get(row, "client_port")?,
        xmin_age: get(row, "xmin_age")?,
        state: get(row, "state")?,
        sent: lsn(row, "sent")?,
        written: lsn(row, "written")?,
        flushed: lsn(row, "flushed")?,
        replayed: lsn(row, "replayed")?,
        write_lag: get(row, "write_lag")?,
        flush_lag: get(row, "flush_lag")?,
        replay_lag: get(row, "replay_lag")?,
        sync_state: get(row, "sync_state")?,
        sync_priority: get(row, "sync_priority")?,
        started_at: get(row, "started_at")?,
    })
}

fn slot(row: &Row) -> Result<Slot, SqlError> {
    Ok(Slot {
        name: get(row, "slot_name")?,
        kind: get(row, "slot_type")?,
        database: get(row, "database")?,
        active: get(row, "active")?,
        restart: lsn(row, "restart")?,
        wal_status: get(row, "wal_status")?,
    })
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T, SqlError> {
    row.try_get(column).map_err(|source| SqlError::Statement { what: WHAT, source })
}

fn lsn(row: &Row, column: &str) -> Result<Option<Lsn>, SqlError> {
    get::<Option<&str>>(row, column)?.map(parse_lsn).transpose()
}

fn timeline(row: &Row, column: &str) -> Result<TimelineId, SqlError> {
    let id = get::<Option<i32>>(row, column)?.unwrap_or_default();
    u32::try_from(id).map(TimelineId).map_err(|_| unexpected(format!("timeline {id}")))
}

fn parse_lsn(text: &str) -> Result<Lsn, SqlError> {
    text.parse().map_err(|error| unexpected(format!("{error}")))
}

fn unexpected(problem: String) -> SqlError {
    SqlError::Unexpected { what: WHAT, problem }
}
