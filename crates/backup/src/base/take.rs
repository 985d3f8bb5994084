//! One copy, from its first byte to the label: a reader on a thread of its own, and the pipeline behind it.

use super::copy::{Cut, Source, TarSender, copy, finish, measure};
use super::object::{PartSettings, insist};
use super::pipeline::{Archived, Destination, run};
use super::progress::Stage;
use super::{BaseError, Progress};
use core::time::Duration;
use pgherd_core::backup::{BASE, BackupId, Timestamp, is_left_over, parse_base_key};
use pgherd_core::wal::Compression;
use pgherd_objectstore::{LEAST_PART, MOST_PARTS, ObjectStore};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// How base backups are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseSettings {
    /// `data.compression`: gzip, bzip2, snappy, lz4, or none.
    pub compression: Option<Compression>,
    /// `data.jobs`: pieces that are compressed, and parts that are in flight, at once.
    pub jobs: NonZeroUsize,
    /// `--max-archive-size`: bytes of one object before another one begins.
    pub max_archive_size: u64,
    /// `--min-chunk-size`: bytes of a part, at least.
    pub min_part: usize,
    /// `--max-bandwidth`: bytes a second into the store.
    pub max_bandwidth: Option<u64>,
    /// A call on the store is tried again for so long.
    pub patience: Duration,
}

impl Default for BaseSettings {
    fn default() -> Self {
        Self {
            compression: None,
            jobs: NonZeroUsize::MIN.saturating_add(1),
            // barman's own.
            max_archive_size: 100 << 30,
            min_part: LEAST_PART,
            max_bandwidth: None,
            patience: Duration::from_secs(300),
        }
    }
}

impl BaseSettings {
    /// An archive may grow beyond its size by its last member, a file of 1 GiB: half of the parts are left for that,
    /// as barman does it.
    fn part_size(&self) -> usize {
        let needed = self.max_archive_size.checked_div(u64::from(MOST_PARTS) / 2).unwrap_or_default();
        let needed = usize::try_from(needed).unwrap_or(usize::MAX).min(512 << 20);
        needed.max(self.min_part).max(LEAST_PART)
    }

    fn parts(&self, progress: &Arc<Progress>) -> PartSettings {
        PartSettings {
            size: self.part_size(),
            jobs: self.jobs.get(),
            bandwidth: self.max_bandwidth,
            patience: self.patience,
            progress: Arc::clone(progress),
        }
    }
}

/// Nothing waits for longer to tidy up.
const LIST_WITHIN: Duration = Duration::from_secs(10);

/// A copy whose label is still missing. Dropping it gives it up, as soon as its threads notice.
#[derive(Debug)]
pub struct BaseCopy {
    source: Arc<Source>,
    progress: Arc<Progress>,
    sender: Option<TarSender>,
    pipeline: JoinHandle<Result<Vec<Archived>, BaseError>>,
}

impl core::fmt::Debug for TarSender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TarSender")
    }
}

impl Drop for BaseCopy {
    fn drop(&mut self) {
        self.progress.cancel();
    }
}

impl BaseCopy {
    /// Copies everything but the label. The server has to be in backup mode.
    ///
    /// # Errors
    /// [`BaseError`]; what was stored in parts is given up before.
    pub async fn run(
        source: Source,
        to: Destination,
        settings: &BaseSettings,
        progress: Arc<Progress>,
    ) -> Result<Self, BaseError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let width = settings.jobs.get().min(cores);
        let cut = Cut { compression: settings.compression, most: settings.max_archive_size };
        let (pieces, from) = mpsc::channel(2);
        let pipeline = tokio::spawn(run(to, settings.parts(&progress), width, Arc::clone(&progress), from));
        let source = Arc::new(source);
        let (read_from, counted) = (Arc::clone(&source), Arc::clone(&progress));
        progress.enter(Stage::Copying);
        let reading = tokio::task::spawn_blocking(move || {
            let mut sender = TarSender::new(pieces, Arc::clone(&counted));
            counted.expect(measure(&read_from, &counted)?);
            copy(&read_from, &mut sender, cut, &counted)?;
            counted.enter(Stage::Server);
            Ok::<_, BaseError>(sender)
        });
        // If this future is dropped while it waits, so is the guard, and the reader stops.
        let mut copying = Self { source, progress, sender: None, pipeline };
        match reading.await.unwrap_or(Err(BaseError::Ended)) {
            Ok(sender) => {
                copying.sender = Some(sender);
                Ok(copying)
            }
            Err(error) => Err(copying.told(error).await),
        }
    }

    /// Adds the label, and waits until everything is in the store.
    ///
    /// # Errors
    /// [`BaseError`].
    pub async fn finish(mut self, label: String) -> Result<Vec<Archived>, BaseError> {
        let Some(mut sender) = self.sender.take() else { return Err(BaseError::Ended) };
        self.progress.enter(Stage::Storing);
        let source = Arc::clone(&self.source);
        let closing = tokio::task::spawn_blocking(move || finish(&source, &mut sender, &label));
        if let Err(error) = closing.await.unwrap_or(Err(BaseError::Ended)) {
            return Err(self.told(error).await);
        }
        (&mut self.pipeline).await.unwrap_or(Err(BaseError::Ended))
    }

    /// Gives it up, and waits until nothing of it is on its way.
    pub async fn give_up(mut self) {
        self.progress.cancel();
        self.sender = None;
        let _given_up = (&mut self.pipeline).await;
    }

    /// The reader only notices that nobody takes its pieces; the pipeline knows why.
    async fn told(&mut self, error: BaseError) -> BaseError {
        self.sender = None;
        self.progress.enter(Stage::Storing);
        match ((&mut self.pipeline).await, error) {
            (Ok(Err(why)), BaseError::Ended) => why,
            (_, error) => error,
        }
    }
}

/// Gives up what backups left in the store as parts that are known to be over, or that nobody can still be writing: a
/// killed manager could not. Where the store cannot tell, its own rules have to.
pub async fn give_up_leftovers(store: &dyn ObjectStore, root: &str, ended: &BTreeSet<BackupId>, now: Timestamp) {
    let prefix = if root.is_empty() { BASE.to_owned() } else { format!("{root}/{BASE}") };
    let listing = tokio::time::timeout(LIST_WITHIN, store.list_uploads(&prefix));
    let Ok(Ok(open)) = listing.await else { return };
    for upload in open {
        let below = upload.key.strip_prefix(root).map(|below| below.trim_start_matches('/'));
        let Some((id, _)) = below.and_then(parse_base_key) else { continue };
        if !is_left_over(&id, upload.begun.map(Timestamp::from_seconds), ended, now) {
            tracing::info!(key = %upload.key, "the parts of an unfinished object stay: it may be another's");
            continue;
        }
        match insist(Duration::from_secs(5), || store.abort_upload(&upload)).await {
            Ok(()) => tracing::info!(key = %upload.key, "gave up the parts of a backup that was cut off"),
            Err(error) => tracing::warn!(key = %upload.key, %error, "the parts of a backup that was cut off stay"),
        }
    }
}
