//! A client that writes row after row through the `-rw` service all the while, and the judge who looks for each of them.

use std::path::PathBuf;
use std::time::Duration;

use pgherd_testkit::checker::{Verdict, judge, read_table};
use pgherd_testkit::journal::{self, Entry, Journal};
use pgherd_testkit::writer::{Counts, Writer, create_table};
use tokio_postgres::Config;

/// Between two rows.
const PAUSE: Duration = Duration::from_millis(5);

pub struct Load {
    writer: Writer,
    journal: PathBuf,
    config: Config,
}

impl Load {
    /// Starts writing as this user, with a journal at this path.
    pub async fn start(config: Config, journal: PathBuf) -> Self {
        create_table(&config).await.unwrap();
        let writer = Writer::start(config.clone(), Journal::create(&journal).unwrap(), PAUSE);
        Self { writer, journal, config }
    }

    /// How many rows were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.writer.acknowledged()
    }

    /// The longest time without an acknowledged row since then.
    pub fn longest_gap(&self, since: u64) -> Option<f64> {
        journal::longest_gap(&self.promised(), since).map(|gap| gap.seconds())
    }

    /// Holds the table against what was promised until now, while writing goes on.
    pub async fn verdict(&self) -> Result<Verdict, String> {
        let promised = self.promised();
        let table = read_table(&self.config).await.map_err(|error| error.to_string())?;
        Ok(judge(&promised, &table))
    }

    /// Ends the writer.
    pub async fn stop(self) -> Counts {
        self.writer.stop().await.unwrap()
    }

    fn promised(&self) -> Vec<Entry> {
        journal::read(&self.journal).unwrap()
    }
}
