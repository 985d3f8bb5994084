//! Segments fetched ahead of postgres, in a folder outside of `pg_wal`.

use super::control::StoreConfig;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{SegmentName, SegmentSize, WalName};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::task::JoinHandle;

/// A fetch under way or ended: whether the segment lies in the folder.
struct Flight(JoinHandle<bool>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is fetched ahead. At most `maxParallel` segments of one timeline, on disk.
pub(super) struct Prefetch {
    folder: PathBuf,
    flights: Mutex<BTreeMap<SegmentName, Flight>>,
}

impl Prefetch {
    /// Empties the folder: what an earlier process fetched is not trusted.
    pub(super) async fn start(folder: PathBuf) -> io::Result<Self> {
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        tokio::fs::create_dir_all(&folder).await?;
        Ok(Self { folder, flights: Mutex::default() })
    }

    fn flights(&self) -> MutexGuard<'_, BTreeMap<SegmentName, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a segment that is being fetched, and hands its file over; the caller removes it.
    pub(super) async fn take(&self, segment: SegmentName) -> Option<PathBuf> {
        let mut flight = self.flights().remove(&segment)?;
        let there = (&mut flight.0).await.unwrap_or(false);
        there.then(|| self.file(segment))
    }

    /// Fetches what follows `segment` on its timeline, and gives up everything else.
    pub(super) async fn ahead(&self, segment: SegmentName, size: SegmentSize, config: &StoreConfig) {
        let wanted: Vec<SegmentName> =
            std::iter::successors(segment.next(size), |name| name.next(size)).take(config.max_parallel.get()).collect();
        self.keep(|name| wanted.contains(&name)).await;
        let mut flights = self.flights();
        for name in wanted {
            let (archive, file) = (config.archive.clone(), self.file(name));
            flights.entry(name).or_insert_with(|| {
                Flight(tokio::spawn(async move {
                    // A miss or a failure here is found again, and judged, when postgres asks for the segment.
                    let Ok(Some(content)) = archive.get(WalName::Segment(name)).await else { return false };
                    store(&file, &content).await.is_ok()
                }))
            });
        }
    }

    /// Postgres is on this timeline now: nothing of another one is ever handed out.
    pub(super) async fn on_timeline(&self, timeline: TimelineId) {
        self.keep(|name| name.timeline() == timeline).await;
    }

    async fn keep(&self, wanted: impl Fn(SegmentName) -> bool) {
        let given_up: Vec<(SegmentName, Flight)> = {
            let mut flights = self.flights();
            let (kept, given_up) = std::mem::take(&mut *flights).into_iter().partition(|(name, _)| wanted(*name));
            *flights = kept;
            let given_up: BTreeMap<SegmentName, Flight> = given_up;
            given_up.into_iter().collect()
        };
        for (name, mut flight) in given_up {
            flight.0.abort();
            // Ended or cut off: only then is the file certain to stay away.
            let _ended = (&mut flight.0).await;
            let _gone = tokio::fs::remove_file(self.file(name)).await;
        }
    }

    fn file(&self, name: SegmentName) -> PathBuf {
        self.folder.join(name.to_string())
    }
}

async fn store(file: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = file.with_extension("part");
    tokio::fs::write(&unfinished, content).await?;
    tokio::fs::rename(&unfinished, file).await
}
