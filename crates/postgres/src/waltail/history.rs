//! Which history the WAL on a volume follows.

use std::io;
use std::path::Path;

use pgherd_core::timeline::{History, TimelineId};

use super::WalTailError;
use crate::control_data::{ClusterState, ControlData};

/// The history of the newest timeline that this data directory holds WAL of.
///
/// A primary's control file knows its timeline (a promotion writes it at once, in "Min recovery ending loc's
/// timeline"). A standby may have received WAL of a newer one, which only `pg_wal` shows: a history file that
/// descends from the known one, *and* a segment (rule E3). Blocks.
pub fn local_history(pg_wal: &Path, control: &ControlData) -> Result<History, WalTailError> {
    let recovered = control.minimum_recovery_end.map_or(TimelineId(0), |(timeline, _)| timeline);
    let known = control.timeline.max(recovered);
    let follows = matches!(control.state, ClusterState::InArchiveRecovery | ClusterState::ShutDownInRecovery);
    if follows {
        let mut with_segments = timelines_with_segments(pg_wal)?;
        with_segments.retain(|timeline| *timeline > known);
        for timeline in with_segments.into_iter().rev() {
            if let Some(history) = read_history(pg_wal, timeline)?.filter(|history| history.descends_from(known)) {
                return Ok(history);
            }
        }
    }
    Ok(read_history(pg_wal, known)?.unwrap_or_else(|| History::of_first(known)))
}

/// The history of one timeline, as `pg_wal` has it; nothing where there is no such file. Timeline 1 needs none. Blocks.
pub fn history_of(pg_wal: &Path, timeline: TimelineId) -> Result<Option<History>, WalTailError> {
    match read_history(pg_wal, timeline)? {
        None if timeline == TimelineId::FIRST => Ok(Some(History::of_first(timeline))),
        found => Ok(found),
    }
}

pub(super) fn read_history(pg_wal: &Path, timeline: TimelineId) -> Result<Option<History>, WalTailError> {
    let path = pg_wal.join(format!("{:08X}.history", timeline.0));
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            History::parse(timeline, &text).map(Some).map_err(|source| WalTailError::History { timeline, source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WalTailError::Io { path, source }),
    }
}

/// Ascending, each once.
pub(super) fn timelines_with_segments(pg_wal: &Path) -> Result<Vec<TimelineId>, WalTailError> {
    let failed = |source| WalTailError::Io { path: pg_wal.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(pg_wal).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.to_str().unwrap_or_default();
        if name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            found.extend(name.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).map(TimelineId));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
