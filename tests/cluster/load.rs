//! A writer through the service for as long as a test runs, and the judge who holds its journal against the table.

use std::path::PathBuf;
use std::time::Duration;

use pgherd_testkit::checker::{Verdict, judge, read_table};
use pgherd_testkit::journal::{self, Entry, Journal, boottime};
use pgherd_testkit::writer::{Writer, create_table};
use tokio_postgres::Config;

use crate::bed::Bed;

/// Rows being written.
pub struct Load {
    writer: Writer,
    journal: PathBuf,
    config: Config,
}

impl Load {
    /// What was acknowledged until now.
    pub fn promised(&self) -> Vec<Entry> {
        journal::read(&self.journal).unwrap()
    }

    /// Ends the writer.
    pub async fn stop(self) {
        self.writer.stop().await.unwrap();
    }
}

impl Bed {
    /// Starts writing, and waits for the first rows.
    pub async fn load(&self) -> Load {
        let config = self.application(&self.place.service()).await.unwrap();
        create_table(&config).await.unwrap();
        let journal = self.directory.join("journal");
        let writer = Writer::start(config.clone(), Journal::create(&journal).unwrap(), Duration::from_millis(2));
        let load = Load { writer, journal, config };
        self.written(&load, 20).await;
        load
    }

    /// Waits until rows that began after this call were acknowledged.
    pub async fn written(&self, load: &Load, seconds: u64) {
        // One row may have been on its way already.
        let before = load.writer.acknowledged();
        self.until("rows being acknowledged", seconds, async || match load.writer.acknowledged() {
            now if now > before + 20 => Ok(()),
            now => Err(format!("{now} rows, {before} before")),
        })
        .await;
    }

    /// Does something to the cluster while rows are written, waits until rows are written after it, and prints how long
    /// nothing was. `hurt` must not end before its fault took place.
    pub async fn hurt(&self, load: &Load, what: &str, hurt: impl AsyncFnOnce()) {
        self.say(what);
        let since = boottime();
        hurt().await;
        self.written(load, 90).await;
        let gap = journal::longest_gap(&load.promised(), since).unwrap();
        let timelines = format!("timeline {} to {}", gap.before.timeline, gap.after.timeline);
        self.say(&format!("gap: {what}: {:.3} s without an acknowledged row, {timelines}", gap.seconds()));
    }

    /// Every row that was acknowledged until now is in the table once, while writing goes on.
    pub async fn nothing_lost(&self, load: &Load) {
        let verdict = self.verdict(load).await;
        assert!(verdict.holds(), "{verdict:?}");
        self.say(&format!("{} acknowledged rows are there, each once", verdict.acknowledged));
    }

    /// What the judge finds now.
    pub async fn verdict(&self, load: &Load) -> Verdict {
        // The journal first: what it promises must be in a table that is read later.
        let promised = load.promised();
        let table = self.until("the table", 60, async || read_table(&load.config).await.map_err(|e| e.to_string()));
        judge(&promised, &table.await)
    }

    /// Stops writing, and judges for the last time.
    pub async fn settle(&self, load: Load) {
        let Load { writer, journal, config } = load;
        let counts = writer.stop().await.unwrap();
        let promised = journal::read(&journal).unwrap();
        assert_eq!(u64::try_from(promised.len()).unwrap(), counts.acknowledged, "the journal and the writer disagree");
        let verdict = judge(&promised, &read_table(&config).await.unwrap());
        assert!(verdict.holds(), "{verdict:?}");
        self.say(&format!("in the end: {} acknowledged, {} unknown, none lost", counts.acknowledged, counts.unknown));
    }
}
