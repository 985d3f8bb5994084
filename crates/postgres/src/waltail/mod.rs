//! The end of valid WAL on this volume, read natively from `pg_wal`.
//!
//! A crashed instance's control file does not show its tail; only the records do. This reads them as
//! PostgreSQL's `xlogreader.c` does: page headers, continuation, back links and CRC-32C, versions 14 to 18.

mod history;
mod page;
mod running;
mod scan;
mod segments;

pub use history::{history_of, local_history};
pub use running::timeline_at;
pub use scan::{Stop, StopReason, WalTail};

use std::io;
use std::path::{Path, PathBuf};

use pgherd_core::identity::SystemId;
use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::{History, HistoryError, TimelineId};
use pgherd_core::wal::{SegmentSize, SegmentSizeError};

use crate::control_data::ControlData;
use crate::version::Major;

/// The end of WAL could not be found.
#[derive(Debug, thiserror::Error)]
pub enum WalTailError {
    /// A file or the directory cannot be read; not the same as a segment that is not there.
    #[error("failed to read {path:?}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A history file is damaged.
    #[error("failed to read the history of timeline {timeline}")]
    History {
        /// Whose.
        timeline: TimelineId,
        /// What is wrong.
        #[source]
        source: HistoryError,
    },
    /// The control file names a segment size that cannot be.
    #[error("failed to use the segment size of the control file")]
    SegmentSize(#[from] SegmentSizeError),
    /// Not one whole record from the starting point on. Start further back.
    #[error("failed to find a valid record from {from} on: {stop}")]
    NothingValid {
        /// Where the search began.
        from: Lsn,
        /// What was found there.
        stop: Stop,
    },
}

/// The WAL of one data directory along one history.
#[derive(Clone, Debug)]
pub struct LocalWal {
    /// `pg_wal`.
    pub dir: PathBuf,
    /// Which records belong to this instance.
    pub history: History,
    /// Bytes of a segment.
    pub segment: SegmentSize,
    /// `xlp_magic` of the version.
    pub magic: u16,
    /// Every segment names it.
    pub system_id: SystemId,
}

impl LocalWal {
    /// The WAL of a stopped data directory. Blocks.
    pub fn open(pgdata: &Path, major: Major, control: &ControlData) -> Result<Self, WalTailError> {
        let dir = pgdata.join("pg_wal");
        Ok(Self {
            history: local_history(&dir, control)?,
            dir,
            segment: SegmentSize::new(control.segment_bytes)?,
            magic: major.traits().wal_page_magic,
            system_id: control.system_id,
        })
    }

    /// The end of the last valid record at or after the page that holds `from`: the control file's redo
    /// location, or a later position known to be before the end, which is faster. Blocks, about a second for
    /// each GiB.
    pub fn end(&self, from: Lsn) -> Result<WalTail, WalTailError> {
        scan::end(self, from)
    }
}

#[cfg(test)]
mod tests;
