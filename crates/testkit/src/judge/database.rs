//! A final database, read whole.

use std::collections::BTreeMap;
use tokio_postgres::{Config, NoTls};

/// One row as an instance has it at the end: who wrote it.
pub type Key = (i32, i64);

/// What is left of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How often the row is there.
    pub times: u64,
    /// The timeline that it says it was written on.
    pub timeline: u32,
}

/// Everything that counts in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Rows by client and number.
    pub rows: BTreeMap<Key, Held>,
    /// Transfers by client and number.
    pub transfers: BTreeMap<Key, Held>,
    /// Balance of each account.
    pub accounts: BTreeMap<i32, i64>,
    /// What each account should have by the transfers that are there.
    pub moved: BTreeMap<i32, i64>,
}

/// Reads it.
///
/// # Errors
/// Of postgres.
pub async fn read_database(config: &Config) -> Result<Database, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let mut database = Database::default();
    let held = |table: &str| format!("SELECT client, n, count(*), min(timeline) FROM {table} GROUP BY client, n");
    for (table, into) in [("chaos_rows", &mut database.rows), ("chaos_transfers", &mut database.transfers)] {
        for row in client.query(&held(table), &[]).await? {
            let times = u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
            let timeline = u32::try_from(row.get::<_, i32>(3)).unwrap_or(0);
            into.insert((row.get(0), row.get(1)), Held { times, timeline });
        }
    }
    for row in client.query("SELECT id, balance FROM chaos_accounts", &[]).await? {
        database.accounts.insert(row.get(0), row.get(1));
    }
    let moved = "SELECT id, sum(amount)::bigint FROM (SELECT source AS id, -amount AS amount FROM chaos_transfers \
                 UNION ALL SELECT target, amount FROM chaos_transfers) AS moved GROUP BY id";
    for row in client.query(moved, &[]).await? {
        database.moved.insert(row.get(0), row.get(1));
    }
    drop(client);
    let _ = driver.await;
    Ok(database)
}
