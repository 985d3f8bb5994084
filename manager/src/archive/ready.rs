//! `pg_wal/archive_status`: what waits to be archived, and how one is marked as done.

use pgherd_core::wal::WalName;
use pgherd_postgres::files::{FileError, rename_durable};
use std::io;
use std::path::{Path, PathBuf};

/// The files that are `.ready`. A folder that is not there yet holds none.
pub(super) fn list_ready(pg_wal: &Path) -> io::Result<Vec<WalName>> {
    let entries = match std::fs::read_dir(pg_wal.join("archive_status")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut ready = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        ready.extend(
            name.to_str().and_then(|text| text.strip_suffix(".ready")).and_then(|text| text.parse::<WalName>().ok()),
        );
    }
    Ok(ready)
}

/// Marks a file as archived, durably, as postgres' archiver would.
pub(super) fn mark_done(pg_wal: &Path, name: WalName) -> Result<(), FileError> {
    rename_durable(&status_file(pg_wal, name, "ready"), &status_file(pg_wal, name, "done"))
}

fn status_file(pg_wal: &Path, name: WalName, state: &str) -> PathBuf {
    pg_wal.join("archive_status").join(format!("{name}.{state}"))
}
