//! Which timeline the WAL of a running standby ends on, from `pg_wal`.
//!
//! A receiver that has ended takes what it knew with it (`pg_stat_wal_receiver` is empty then), the control file
//! learns of a new timeline only at the next restart point, and SQL gives positions without their timeline.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use pgherd_core::lsn::Lsn;
use pgherd_core::timeline::TimelineId;
use pgherd_core::wal::{SegmentName, SegmentSize};

use super::WalTailError;
use super::history::{read_history, timelines_with_segments};
use super::page::{PAGE_BYTES, PageHeader};

/// The newest timeline that descends from `known`, has a history file here, and of which the WAL that ends at `end`
/// is here; else `known`. `end` is what was received or replayed, so the page before it is on this disk. Blocks.
///
/// # Errors
/// When `pg_wal` cannot be read, or a history file is damaged.
pub fn timeline_at(pg_wal: &Path, end: Lsn, known: TimelineId) -> Result<TimelineId, WalTailError> {
    let newer = timelines_with_segments(pg_wal)?.into_iter().rev().take_while(|timeline| *timeline > known);
    for timeline in newer {
        let descends = read_history(pg_wal, timeline)?.is_some_and(|history| history.descends_from(known));
        if descends && holds(pg_wal, timeline, end)? {
            return Ok(timeline);
        }
    }
    Ok(known)
}

/// Whether the segment of this timeline has the page that the last byte before `end` is on. A segment that is kept
/// for later use has pages of other addresses.
fn holds(pg_wal: &Path, timeline: TimelineId, end: Lsn) -> Result<bool, WalTailError> {
    let last = Lsn(end.0.saturating_sub(1));
    let address = Lsn(last.0 - last.0 % PAGE_BYTES);
    // Whatever the size is, only the right page bears this address.
    for size in (20..=30).filter_map(|bits| SegmentSize::new(1 << bits).ok()) {
        let path = pg_wal.join(SegmentName::new(timeline, size.segment_of(address), size).to_string());
        let failed = |source| WalTailError::Io { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(failed(source)),
        };
        let mut start = [0_u8; 64];
        match file.read_exact_at(&mut start, size.offset_of(address)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            Err(source) => return Err(failed(source)),
        }
        let is_it = |header: PageHeader| header.address == address && (1..=timeline.0).contains(&header.timeline);
        if PageHeader::parse(&start).is_some_and(is_it) {
            return Ok(true);
        }
    }
    Ok(false)
}
