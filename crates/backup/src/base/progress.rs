//! How far a backup is, for whoever looks, and the way to stop it.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// Counters of one backup; shared by those who copy and those who report.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    read: AtomicU64,
    stored: AtomicU64,
    of_archive: AtomicU64,
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
    }

    pub(super) fn stored(&self, bytes: usize) {
        self.stored.fetch_add(bytes as u64, Ordering::Relaxed);
        self.of_archive.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn begin_archive(&self) {
        self.of_archive.store(0, Ordering::Relaxed);
    }

    pub(super) fn of_archive(&self) -> u64 {
        self.of_archive.load(Ordering::Relaxed)
    }
}
