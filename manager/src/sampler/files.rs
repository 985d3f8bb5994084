//! What is in `pg_wal`, counted from the directory: known while postgres is down as well.

use std::io;
use std::path::Path;

/// Counts of `pg_wal` and `pg_wal/archive_status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalFiles {
    /// Segments.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that wait to be archived.
    pub ready: u64,
    /// Files that were archived and not yet recycled.
    pub done: u64,
}

/// Counts the files of one `pg_wal` directory. Blocking; a file that goes away meanwhile is not counted.
///
/// # Errors
/// When a directory cannot be read; a missing `archive_status` counts as empty.
pub fn count_wal_files(pg_wal: &Path) -> io::Result<WalFiles> {
    let mut files = WalFiles::default();
    for entry in std::fs::read_dir(pg_wal)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.len() == 24 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            let Ok(data) = entry.metadata() else { continue };
            files.segments += 1;
            files.bytes += data.len();
        }
    }
    let marks = match std::fs::read_dir(pg_wal.join("archive_status")) {
        Ok(marks) => marks,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(error),
    };
    for entry in marks {
        let name = entry?.file_name();
        match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
            Some("ready") => files.ready += 1,
            Some("done") => files.done += 1,
            _ => {}
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_their_marks_are_counted_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let status = dir.path().join("archive_status");
        std::fs::create_dir(&status).unwrap();
        std::fs::write(dir.path().join("000000010000000000000001"), b"1234").unwrap();
        std::fs::write(dir.path().join("00000002.history"), b"x").unwrap();
        std::fs::write(status.join("000000010000000000000001.ready"), b"").unwrap();
        std::fs::write(status.join("00000002.history.done"), b"").unwrap();
        let found = count_wal_files(dir.path()).unwrap();
        assert_eq!(found, WalFiles { segments: 1, bytes: 4, ready: 1, done: 1 });
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_and_not_zero() {
        let dir = tempfile::tempdir().unwrap();
        assert!(count_wal_files(&dir.path().join("pg_wal")).is_err());
    }
}
