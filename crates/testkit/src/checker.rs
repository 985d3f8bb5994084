//! The judge: reads the journal and the table, knows nothing of the writer, and says what is missing.

use crate::journal::Entry;
use crate::writer::TABLE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tokio_postgres::{Config, NoTls};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Rows that the journal promises.
    pub acknowledged: u64,
    /// Rows in the table, each counted once.
    pub found: u64,
    /// Promised rows that are not there.
    pub lost: Vec<u64>,
    /// Rows that are there more than once.
    pub twice: Vec<u64>,
    /// Rows that are there without a promise: their acknowledgement was lost on the way, which is allowed.
    pub unpromised: u64,
}

impl Verdict {
    /// Every promise was kept, and no row is there twice.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lost.is_empty() && self.twice.is_empty()
    }
}

/// Compares what was promised with how often each row is in the table.
#[must_use]
pub fn judge(promised: &[Entry], table: &BTreeMap<u64, u64>) -> Verdict {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let lost: Vec<u64> = promised.iter().map(|entry| entry.row).filter(|row| !table.contains_key(row)).collect();
    let kept = count(promised.len()).saturating_sub(count(lost.len()));
    Verdict {
        acknowledged: count(promised.len()),
        found: count(table.len()),
        unpromised: count(table.len()).saturating_sub(kept),
        lost,
        twice: table.iter().filter(|(_, times)| **times > 1).map(|(row, _)| *row).collect(),
    }
}

/// Reads the whole table.
///
/// # Errors
/// Of postgres.
pub async fn read_table(config: &Config) -> Result<BTreeMap<u64, u64>, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let rows = client.query(&format!("SELECT n, count(*) FROM {TABLE} GROUP BY n"), &[]).await;
    drop(client);
    let _ = driver.await;
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    Ok(rows?.iter().map(|row| (number(row.get(0)), number(row.get(1)))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promised_row_must_be_there_and_no_row_twice() {
        let promised = [1, 2, 4].map(|row| Entry { row, at: 0, timeline: 1 });
        let good = judge(&promised, &BTreeMap::from([(1, 1), (2, 1), (3, 1), (4, 1)]));
        assert_eq!((good.holds(), good.acknowledged, good.found, good.unpromised), (true, 3, 4, 1));
        let bad = judge(&promised, &BTreeMap::from([(1, 2), (4, 1), (7, 1)]));
        assert_eq!((bad.holds(), bad.lost, bad.twice, bad.unpromised), (false, vec![2], vec![1], 1));
    }
}
