//! Whether the volume of WAL has room for another segment. Postgres ends with PANIC where it has none, so that nobody asks
//! it to begin one for a purpose that can wait.

use crate::room::room_of;
use pgherd_core::wal::SegmentSize;
use std::path::{Path, PathBuf};

/// There is no room, or nobody knows. It may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum WalRoomError {
    /// The volume is full, or nearly so.
    #[error(
        "the volume of WAL is full: {free} bytes are free, and {needed} are needed for what postgres would have to begin \
         there, or it would end. Make it larger"
    )]
    Full {
        /// For whoever is not root.
        free: u64,
        /// For the segments.
        needed: u64,
    },
    /// It cannot be looked at.
    #[error("failed to look at the room of {path:?}")]
    Look {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Proves room for so many segments. Those that postgres keeps for reuse do not count: they may be due for removal.
///
/// # Errors
/// [`WalRoomError`].
pub fn has_room(pgdata: &Path, segments: u64, size: SegmentSize) -> Result<(), WalRoomError> {
    let path = pgdata.join("pg_wal");
    let free = match room_of(&path) {
        Ok(room) => room.free,
        Err(source) => return Err(WalRoomError::Look { path, source }),
    };
    let needed = segments.saturating_mul(size.bytes());
    if free < needed { Err(WalRoomError::Full { free, needed }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_room_for_a_segment_and_not_for_more_than_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let size = SegmentSize::DEFAULT;
        let missing = has_room(folder.path(), 1, size).unwrap_err();
        assert!(matches!(missing, WalRoomError::Look { .. }), "{missing}");
        std::fs::create_dir(folder.path().join("pg_wal")).unwrap();
        has_room(folder.path(), 1, size).unwrap();
        let full = has_room(folder.path(), u64::MAX, size).unwrap_err().to_string();
        assert!(full.contains("the volume of WAL is full"), "{full}");
    }
}
