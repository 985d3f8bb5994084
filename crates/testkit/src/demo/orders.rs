//! What the demo's shop does to its table, change by change, and what the table holds after any number of them: so that
//! what a recovery brings back can be compared row by row.

use anyhow::Context as _;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

/// The table.
pub const TABLE: &str = "orders";
/// Between two changes.
const PAUSE: Duration = Duration::from_millis(2);
const NOW: &str = "WITH now AS (SELECT clock_timestamp() AS t) \
                   SELECT (extract(epoch FROM t) * 1000000)::bigint, t::text FROM now";

/// A moment by the server's clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since 1970.
    pub micros: i64,
    /// As postgres writes it.
    pub text: String,
}

/// The SQL of one change, which is one transaction: an order, sometimes with another one altered, or one taken back.
fn change(number: i64) -> String {
    let mut sql = format!("INSERT INTO {TABLE} VALUES ({number}, {})", amount(number));
    if let Some(other) = altered(number) {
        sql.push_str(&format!("; UPDATE {TABLE} SET amount = amount + 1 WHERE n = {other}"));
    }
    if let Some(other) = taken_back(number) {
        sql.push_str(&format!("; DELETE FROM {TABLE} WHERE n = {other}"));
    }
    sql
}

const fn amount(number: i64) -> i64 {
    number.wrapping_mul(7919).rem_euclid(1000)
}

fn altered(number: i64) -> Option<i64> {
    (number % 10 == 0).then_some(number / 2)
}

fn taken_back(number: i64) -> Option<i64> {
    (number % 25 == 0).then_some(number / 5)
}

/// The rows that are there after that many changes.
#[must_use]
pub fn after(changes: i64) -> BTreeMap<i64, i64> {
    let mut rows = BTreeMap::new();
    for number in 1..=changes {
        rows.insert(number, amount(number));
        if let Some(amount) = altered(number).and_then(|other| rows.get_mut(&other)) {
            *amount += 1;
        }
        if let Some(other) = taken_back(number) {
            rows.remove(&other);
        }
    }
    rows
}

/// The last change that was committed by then: `committed` has for each, in their order, a moment at which it was.
#[must_use]
pub fn last_by(committed: &[Moment], micros: i64) -> Option<(i64, &Moment)> {
    let count = committed.iter().take_while(|moment| moment.micros <= micros).count();
    let moment = committed.get(count.checked_sub(1)?)?;
    Some((i64::try_from(count).ok()?, moment))
}

/// One session of the shop.
#[derive(Debug)]
pub struct Shop {
    client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Shop {
    /// Connects.
    ///
    /// # Errors
    /// Of postgres.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let (client, connection) = config.connect(NoTls).await.context("failed to connect to postgres")?;
        // Its end shows in the client's next call.
        let driver = tokio::spawn(async { drop(connection.await) });
        Ok(Self { client, driver })
    }

    /// Makes the table.
    ///
    /// # Errors
    /// Of postgres.
    pub async fn create(&self) -> anyhow::Result<()> {
        let sql = format!("CREATE TABLE {TABLE} (n bigint PRIMARY KEY, amount bigint NOT NULL)");
        self.client.batch_execute(&sql).await.context("failed to make the table")
    }

    /// Makes one change after the other until it is told to stop; for each, a moment at which it was committed and
    /// the next one not yet begun.
    ///
    /// # Errors
    /// Of postgres: nothing fails here.
    pub async fn work(&self, stop: &AtomicBool) -> anyhow::Result<Vec<Moment>> {
        let mut committed = Vec::new();
        for number in 1.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.client
                .batch_execute(&change(number))
                .await
                .with_context(|| format!("failed to make change {number}"))?;
            committed.push(self.now().await?);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(committed)
    }

    /// The server's clock.
    ///
    /// # Errors
    /// Of postgres.
    pub async fn now(&self) -> anyhow::Result<Moment> {
        let row = self.client.query_one(NOW, &[]).await.context("failed to ask for the time")?;
        Ok(Moment { micros: row.try_get(0)?, text: row.try_get(1)? })
    }

    /// Loses the table.
    ///
    /// # Errors
    /// Of postgres.
    pub async fn lose(&self) -> anyhow::Result<()> {
        self.client.batch_execute(&format!("DROP TABLE {TABLE}")).await.context("failed to drop the table")
    }

    /// All rows that are there, as they come.
    ///
    /// # Errors
    /// Of postgres, also if there is no such table.
    pub async fn rows(&self) -> anyhow::Result<Vec<(i64, i64)>> {
        let rows = self.client.query(&format!("SELECT n, amount FROM {TABLE} ORDER BY n"), &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rows_after_some_changes_are_what_their_sql_leaves() {
        assert_eq!(change(1), "INSERT INTO orders VALUES (1, 919)");
        assert!(change(50).ends_with("SET amount = amount + 1 WHERE n = 25; DELETE FROM orders WHERE n = 10"));
        assert_eq!(after(0), BTreeMap::new());
        assert_eq!(after(3), BTreeMap::from([(1, 919), (2, 838), (3, 757)]));
        let many = after(50);
        assert_eq!(many.len(), 48, "5 and 10 were taken back");
        assert_eq!(many.get(&25), Some(&(amount(25) + 1)), "altered by the fiftieth");
    }

    #[test]
    fn a_change_counts_for_a_moment_if_it_was_committed_by_then() {
        let at = |micros| Moment { micros, text: micros.to_string() };
        let committed = [at(10), at(20), at(30)];
        assert_eq!(last_by(&committed, 9), None);
        assert_eq!(last_by(&committed, 20), Some((2, &at(20))));
        assert_eq!(last_by(&committed, 29), Some((2, &at(20))));
        assert_eq!(last_by(&committed, 99), Some((3, &at(30))));
    }
}
