//! How far a backup is, for whoever looks, and the way to stop it.

use pgherd_core::backup::Activity;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A call on a store that took longer than this was no answer, whatever it ended with.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Who is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody here: the server is asked for something.
    #[default]
    Server,
    /// The reader.
    Copying,
    /// Only the pipeline is left.
    Storing,
}

/// Where reader and pipeline are.
#[derive(Debug, Default)]
struct Place {
    stage: Stage,
    reading: PathBuf,
    key: String,
    refusal: Option<String>,
}

/// Counters of one backup; shared by those who copy and those who report.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    read: AtomicU64,
    stored: AtomicU64,
    of_archive: AtomicU64,
    moves: AtomicU64,
    damaged: AtomicU64,
    /// The reader waits for the pipeline to take a piece.
    handing: AtomicBool,
    /// The pipeline waits, to keep to its bandwidth.
    pacing: AtomicBool,
    place: Mutex<Place>,
    cancelled: watch::Sender<bool>,
}

impl Progress {
    /// Bytes that there are to read, as they were counted at the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes read.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes that became of them in the store, or are on their way.
    #[must_use]
    pub fn bytes_stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Pages that were read twice, and were damaged both times.
    #[must_use]
    pub fn damaged_pages(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }

    /// A number that grows whenever something moves: a file that is passed, bytes that are read, a part that is stored,
    /// and a store that answers at all.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// What it is at, and so what it waits for while nothing moves.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let storing = match place.stage {
            Stage::Server => return Activity::Server,
            Stage::Copying => self.handing.load(Ordering::Relaxed),
            Stage::Storing => true,
        };
        match (storing, self.pacing.load(Ordering::Relaxed)) {
            (false, _) => Activity::Reading(place.reading.display().to_string()),
            (true, true) => Activity::Pacing,
            (true, false) => Activity::Storing { key: place.key.clone(), refusal: place.refusal.clone() },
        }
    }

    /// Asks for its end; it ends with an error.
    pub fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.cancelled.borrow()
    }

    /// Returns once it is to end.
    pub(super) async fn cancelled(&self) {
        // The sender is here as long as this is.
        let mut seen = self.cancelled.subscribe();
        let _cancelled = seen.wait_for(|cancelled| *cancelled).await;
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        self.moved();
    }

    pub(super) fn stored(&self, bytes: usize) {
        self.stored.fetch_add(bytes as u64, Ordering::Relaxed);
        self.of_archive.fetch_add(bytes as u64, Ordering::Relaxed);
        self.moved();
    }

    pub(super) fn damaged(&self) {
        self.damaged.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn begin_archive(&self) {
        self.of_archive.store(0, Ordering::Relaxed);
    }

    pub(super) fn of_archive(&self) -> u64 {
        self.of_archive.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self, stage: Stage) {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).stage = stage;
        self.moved();
    }

    /// The reader goes on to this file or directory.
    pub(super) fn reach(&self, path: &Path) {
        path.clone_into(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner).reading);
        self.moved();
    }

    /// The pipeline goes on to this object.
    pub(super) fn begin_object(&self, key: &str) {
        key.clone_into(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner).key);
    }

    /// The reader waits for the pipeline, or does not any more.
    pub(super) fn hand_over(&self, waits: bool) {
        self.handing.store(waits, Ordering::Relaxed);
        self.moved();
    }

    /// The pipeline waits for its turn, or does not any more.
    pub(super) fn pace(&self, waits: bool) {
        self.pacing.store(waits, Ordering::Relaxed);
        self.moved();
    }

    /// How a call on the store ended that took so long. What fails quickly is tried again, for as long as whoever tries
    /// it has patience; what gives no answer is not waited for that long.
    pub(super) fn answered(&self, refusal: Option<String>, took: Duration) {
        if refusal.is_none() || took < ANSWERED_WITHIN {
            self.moved();
        }
        self.place.lock().unwrap_or_else(PoisonError::into_inner).refusal = refusal;
    }

    fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_waits_for_is_named_and_a_call_without_an_answer_moves_nothing() {
        let progress = Progress::default();
        assert_eq!(progress.activity(), Activity::Server);
        progress.enter(Stage::Copying);
        progress.reach(Path::new("base/5/16384"));
        assert_eq!(progress.activity(), Activity::Reading("base/5/16384".into()));
        progress.begin_object("base/1/data.tar");
        progress.hand_over(true);
        let storing = |refusal: Option<&str>| Activity::Storing {
            key: "base/1/data.tar".into(),
            refusal: refusal.map(str::to_owned),
        };
        assert_eq!(progress.activity(), storing(None));
        let moves = progress.moves();
        progress.answered(Some("the call timed out".into()), Duration::from_secs(300));
        assert_eq!((progress.moves(), progress.activity()), (moves, storing(Some("the call timed out"))));
        progress.answered(Some("503".into()), Duration::from_millis(3));
        assert!(progress.moves() > moves);
        progress.answered(None, Duration::from_secs(299));
        assert_eq!(progress.activity(), storing(None), "a slow part that was taken");
        progress.pace(true);
        assert_eq!(progress.activity(), Activity::Pacing);
    }
}
