//! Counters that no snapshot carries, counted where things happen.

use core::sync::atomic::{AtomicU64, Ordering};

/// Counters of this manager process. All start at zero.
#[derive(Debug, Default)]
pub struct Registry {
    log_lines_dropped: AtomicU64,
    log_lines_written: AtomicU64,
    backup_damaged_pages: AtomicU64,
}

impl Registry {
    /// Sets the number of postgres' log lines that a slow stdout cost so far.
    pub fn set_log_lines(&self, written: u64, dropped: u64) {
        self.log_lines_written.store(written, Ordering::Relaxed);
        self.log_lines_dropped.store(dropped, Ordering::Relaxed);
    }

    /// Log lines dropped.
    #[must_use]
    pub fn log_lines_dropped(&self) -> u64 {
        self.log_lines_dropped.load(Ordering::Relaxed)
    }

    /// Adds the damaged pages that a base backup came upon.
    pub fn add_backup_damaged_pages(&self, found: u64) {
        self.backup_damaged_pages.fetch_add(found, Ordering::Relaxed);
    }

    /// Damaged pages that base backups came upon.
    #[must_use]
    pub fn backup_damaged_pages(&self) -> u64 {
        self.backup_damaged_pages.load(Ordering::Relaxed)
    }

    /// Log lines written.
    #[must_use]
    pub fn log_lines_written(&self) -> u64 {
        self.log_lines_written.load(Ordering::Relaxed)
    }
}
