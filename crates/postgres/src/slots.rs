//! Physical replication slots: reading them, and the steps of `pgherd_core::slots`.

use std::time::Duration;

use pgherd_core::slots::{SlotFact, SlotStep};

use crate::sql::{Session, SqlError, within};

/// The physical slots that outlive their session, by name.
///
/// # Errors
/// When postgres does not answer.
pub async fn physical_slots(session: &Session, deadline: Duration) -> Result<Vec<SlotFact>, SqlError> {
    const WHAT: &str = "list the replication slots";
    let sql = "SELECT slot_name::text, restart_lsn::text, active, coalesce(wal_status = 'lost', false)
                 FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT temporary ORDER BY slot_name";
    let rows = within(WHAT, deadline, session.client().query(sql, &[])).await?;
    let read = |row: &tokio_postgres::Row| -> Result<_, tokio_postgres::Error> {
        Ok(SlotFact {
            name: row.try_get(0)?,
            restart: row.try_get::<_, Option<String>>(1)?.and_then(|text| text.parse().ok()),
            active: row.try_get(2)?,
            lost: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(|source| SqlError::Statement { what: WHAT, source })
}

/// Does one step. Making a slot that is there already, or dropping one that is gone, changes nothing.
///
/// # Errors
/// When postgres refuses: no slot is free, or somebody uses it by now.
pub async fn apply(session: &Session, step: &SlotStep, deadline: Duration) -> Result<(), SqlError> {
    let client = session.client();
    match step {
        SlotStep::Create(name) => {
            let sql = "SELECT pg_create_physical_replication_slot($1::text::name, true)
                        WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1::text)";
            within("create a replication slot", deadline, client.query(sql, &[name])).await.map(drop)
        }
        SlotStep::Advance(name, to) => {
            // Not beyond what this instance has, nor back: the slot's own position counts where it is newer.
            let sql = "SELECT pg_replication_slot_advance(slot_name, least($2::text::pg_lsn,
                              CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                   ELSE pg_current_wal_flush_lsn() END))
                         FROM pg_replication_slots
                        WHERE slot_name = $1::text AND restart_lsn < $2::text::pg_lsn
                          AND restart_lsn < CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                                 ELSE pg_current_wal_flush_lsn() END";
            within("advance a replication slot", deadline, client.query(sql, &[name, &to.to_string()])).await.map(drop)
        }
        SlotStep::Drop(name) => {
            let sql = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
                        WHERE slot_name = $1::text AND NOT active";
            within("drop a replication slot", deadline, client.query(sql, &[name])).await.map(drop)
        }
    }
}
