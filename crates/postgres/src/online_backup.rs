//! Backup mode over SQL (PostgreSQL documentation, "Making a Base Backup Using the Low Level API"): it lasts as long
//! as its session, and ends in vain with it.

use crate::sql::{Session, SqlError, within};
use crate::version::Major;
use pgherd_core::backup::Timestamp;
use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::SegmentSize;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Row;

/// What has to be known about a server before it is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// The system identifier.
    pub system: SystemId,
    /// `server_version_num`.
    pub version: u32,
    /// `data_directory`, as the server names it.
    pub data_directory: String,
    /// `config_file`.
    pub config_file: String,
    /// `hba_file`.
    pub hba_file: String,
    /// `ident_file`.
    pub ident_file: String,
    /// `data_checksums`.
    pub data_checksums: bool,
    /// `block_size`.
    pub block_size: usize,
    /// `wal_segment_size`.
    pub segment_size: SegmentSize,
    /// `summarize_wal`, since 17.
    pub summarize_wal: Option<bool>,
    /// Bytes of all tablespaces.
    pub size: u64,
    /// Name, OID and location of each tablespace that lies elsewhere.
    pub tablespaces: Vec<(String, u32, String)>,
}

/// Where a backup began, or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The position.
    pub lsn: Lsn,
    /// When, by the server's clock.
    pub time: Timestamp,
    /// The timeline that the server was on.
    pub timeline: TimelineId,
}

/// What the end of a backup tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Where recovery becomes consistent.
    pub end: Edge,
    /// The content of `backup_label`.
    pub label: String,
}

const FACTS: &str = "SELECT (SELECT system_identifier::text FROM pg_control_system()), \
    current_setting('server_version_num'), current_setting('data_directory'), current_setting('config_file'), \
    current_setting('hba_file'), current_setting('ident_file'), current_setting('data_checksums') = 'on', \
    current_setting('block_size'), current_setting('summarize_wal', true), \
    (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'), \
    (SELECT sum(pg_tablespace_size(oid))::text FROM pg_tablespace)";
const TABLESPACES: &str = "SELECT spcname::text, oid::text, pg_tablespace_location(oid) FROM pg_tablespace \
    WHERE pg_tablespace_location(oid) <> '' ORDER BY oid";
/// Now, and the timeline of the checkpoint that a backup begins with.
const NOW_AT_START: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text, \
    (SELECT timeline_id::text FROM pg_control_checkpoint())";
/// Now, and the timeline: of a standby, that of what it has replayed.
const NOW_AT_STOP: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint::text, \
    CASE WHEN pg_is_in_recovery() THEN (SELECT min_recovery_end_timeline::text FROM pg_control_recovery()) \
    ELSE (('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int)::text END";

/// Reads what there is to know.
///
/// # Errors
/// [`SqlError`].
pub async fn facts(session: &Session, deadline: Duration) -> Result<ServerFacts, SqlError> {
    let what = "ask what the server is like";
    let row = within(what, deadline, session.client().query_one(FACTS, &[])).await?;
    let spaces = within(what, deadline, session.client().query(TABLESPACES, &[])).await?;
    let mut tablespaces = Vec::new();
    for space in &spaces {
        let name: String = space.try_get(0).map_err(|source| SqlError::Statement { what, source })?;
        let location: String = space.try_get(2).map_err(|source| SqlError::Statement { what, source })?;
        tablespaces.push((name, read(what, space, 1)?, location));
    }
    let text = |at: usize| row.try_get::<_, String>(at).map_err(|source| SqlError::Statement { what, source });
    let summarize: Option<String> = row.try_get(8).map_err(|source| SqlError::Statement { what, source })?;
    let odd = |problem: String| SqlError::Unexpected { what, problem };
    Ok(ServerFacts {
        system: SystemId(read(what, &row, 0)?),
        version: read(what, &row, 1)?,
        data_directory: text(2)?,
        config_file: text(3)?,
        hba_file: text(4)?,
        ident_file: text(5)?,
        data_checksums: row.try_get(6).map_err(|source| SqlError::Statement { what, source })?,
        block_size: read(what, &row, 7)?,
        summarize_wal: summarize.map(|value| value == "on"),
        segment_size: SegmentSize::new(read(what, &row, 9)?).map_err(|error| odd(error.to_string()))?,
        size: read(what, &row, 10)?,
        tablespaces,
    })
}

/// Begins a backup. Without `fast` the checkpoint (on a standby, the restartpoint) that it begins with is spread out,
/// as `checkpoint_completion_target` says.
///
/// # Errors
/// [`SqlError`].
pub async fn start(
    session: &Session,
    major: Major,
    label: &str,
    fast: bool,
    deadline: Duration,
) -> Result<Edge, SqlError> {
    let what = "begin a backup";
    let sql = format!("SELECT {}::text, {NOW_AT_START}", major.traits().backup_start);
    edge(what, &within(what, deadline, session.client().query_one(&sql, &[&label, &fast])).await?)
}

/// Ends the backup that this session began, without waiting for WAL. A server that was promoted in between refuses.
///
/// # Errors
/// [`SqlError`].
pub async fn stop(session: &Session, major: Major, deadline: Duration) -> Result<Stopped, SqlError> {
    let what = "end the backup";
    let sql = format!("SELECT lsn::text, {NOW_AT_STOP}, labelfile FROM {}", major.traits().backup_stop);
    let row = within(what, deadline, session.client().query_one(&sql, &[])).await?;
    let label = row.try_get(3).map_err(|source| SqlError::Statement { what, source })?;
    Ok(Stopped { end: edge(what, &row)?, label })
}

/// Completes the segment that is being written, where there is anything in it. Only a primary can.
///
/// # Errors
/// [`SqlError`].
pub async fn switch_wal(session: &Session, deadline: Duration) -> Result<Lsn, SqlError> {
    let what = "switch to another WAL segment";
    let row = within(what, deadline, session.client().query_one("SELECT pg_switch_wal()::text", &[])).await?;
    read(what, &row, 0)
}

/// Where a primary writes, and the size of its segments; nothing on a standby.
///
/// # Errors
/// [`SqlError`].
pub async fn written(session: &Session, deadline: Duration) -> Result<Option<(Lsn, SegmentSize)>, SqlError> {
    let what = "ask where WAL is written";
    let sql = "SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE pg_current_wal_insert_lsn()::text END, \
        (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size')";
    let row = within(what, deadline, session.client().query_one(sql, &[])).await?;
    let text: String = row.try_get(0).map_err(|source| SqlError::Statement { what, source })?;
    if text.is_empty() {
        return Ok(None);
    }
    let size = SegmentSize::new(read(what, &row, 1)?);
    let size = size.map_err(|error| SqlError::Unexpected { what, problem: error.to_string() })?;
    Ok(Some((read(what, &row, 0)?, size)))
}

fn edge(what: &'static str, row: &Row) -> Result<Edge, SqlError> {
    Ok(Edge {
        lsn: read(what, row, 0)?,
        time: Timestamp::from_micros(read(what, row, 1)?),
        timeline: TimelineId(read(what, row, 2)?),
    })
}

fn read<T: FromStr>(what: &'static str, row: &Row, column: usize) -> Result<T, SqlError> {
    let text: String = row.try_get(column).map_err(|source| SqlError::Statement { what, source })?;
    text.parse().map_err(|_| SqlError::Unexpected { what, problem: format!("column {column} is {text:?}") })
}
