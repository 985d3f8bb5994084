//! The one crash-safe way to change a file: write aside, fsync, rename, fsync the directory.
//!
//! Everything here blocks; from async code it is called inside `tokio::task::spawn_blocking`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// What postgres lets nobody do to its data directory (`checkDataDir`): a group that writes, others at all.
const OPEN_TO_OTHERS: u32 = 0o027;

/// A durable change of a file failed. The file holds its old content or its new one, never a mixture.
#[derive(Debug, thiserror::Error)]
#[error("failed to {verb} {path:?}")]
pub struct FileError {
    /// What was tried.
    pub verb: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Adds to an IO error what was tried, and on what.
pub(crate) fn failed<'a>(verb: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError { verb, path: path.to_owned(), source }
}

/// Replaces `path` by `bytes` with permission bits `mode`; after Ok it survives a power failure.
pub fn write_durable(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, bytes, mode).and_then(|()| rename_durable(&temporary, path));
    if written.is_err() {
        // Best effort: a left-over temporary is never read, only untidy.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// Replaces `path` only where its content differs; says whether it wrote.
pub fn write_durable_if_changed(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, FileError> {
    match fs::read(path) {
        Ok(present) if present == bytes => Ok(false),
        Ok(_) => write_durable(path, bytes, mode).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_durable(path, bytes, mode).map(|()| true),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Replaces `path` in one step where its content differs, and does not wait for the disk: for what is written anew before
/// each start, on the way of a failover. Says whether it wrote.
pub fn write_for_now_if_changed(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, FileError> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    let temporary = temporary_beside(path);
    let mut options = OpenOptions::new();
    let created =
        options.write(true).create_new(true).mode(mode).open(&temporary).map_err(failed("create", &temporary));
    let written = created
        .and_then(|mut file| file.write_all(bytes).map_err(failed("write", &temporary)))
        .and_then(|()| fs::rename(&temporary, path).map_err(failed("rename to", path)));
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written.map(|()| true)
}

/// Renames a file or directory and makes it last. Replaces a file or an empty directory at `to`.
pub fn rename_durable(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(failed("rename to", to))?;
    fsync_parent(to)?;
    if from.parent() == to.parent() { Ok(()) } else { fsync_parent(from) }
}

/// Lets two paths of one directory change places in one step, and makes it last.
pub fn exchange_durable(one: &Path, other: &Path) -> Result<(), FileError> {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)
        .map_err(|errno| failed("exchange", one)(errno.into()))?;
    fsync_parent(one)?;
    fsync_parent(other)
}

/// Removes a file and makes it last; a file that is not there is success.
pub fn remove_durable(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Ok(()) => fsync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove", path)(error)),
    }
}

/// Removes a directory and all in it, and makes it last; one that is not there is success.
pub fn remove_dir_durable(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Ok(()) => fsync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("remove directory", path)(error)),
    }
}

/// Takes a directory's permissions from group and others where they have any that postgres refuses; true if they had.
pub fn close_to_others(path: &Path) -> Result<bool, FileError> {
    let mode = match fs::metadata(path) {
        Ok(found) => found.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed("look at", path)(error)),
    };
    if mode & OPEN_TO_OTHERS == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed("close to others", path))?;
    Ok(true)
}

/// Makes a directory's entries (creations, renames, removals) last.
pub fn fsync_dir(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(failed("fsync directory", path))
}

/// The text of a small file; None when there is none.
pub fn read_optional(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn fsync_parent(path: &Path) -> Result<(), FileError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fsync_dir(parent),
        _ => fsync_dir(Path::new(".")),
    }
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", path))
}

/// Two writers of one file never share a temporary, nor does a restarted process meet the old one's.
fn temporary_beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".tmp-{}-{since_epoch}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_written_file_has_its_content_and_mode_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pg_hba.conf");
        write_durable(&path, b"one", 0o600).unwrap();
        write_durable(&path, b"two", 0o640).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_same_content_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("custom.conf");
        assert!(write_durable_if_changed(&path, b"a", 0o600).unwrap());
        assert!(!write_durable_if_changed(&path, b"a", 0o600).unwrap());
        assert!(write_durable_if_changed(&path, b"b", 0o600).unwrap());
    }

    #[test]
    fn a_failed_write_says_what_and_where_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("missing/file");
        let error = write_durable(&path, b"", 0o600).unwrap_err();
        assert!(error.to_string().starts_with("failed to create"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn removing_what_is_not_there_is_success() {
        let dir = tempfile::tempdir().unwrap();
        remove_durable(&dir.path().join("nothing")).unwrap();
        remove_dir_durable(&dir.path().join("nothing")).unwrap();
        assert_eq!(read_optional(&dir.path().join("nothing")).unwrap(), None);
    }

    #[test]
    fn exchanged_directories_change_places_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&b).unwrap();
        fs::write(a.join("of-a"), "").unwrap();
        exchange_durable(&a, &b).unwrap();
        assert!(b.join("of-a").exists() && !a.join("of-a").exists());
    }
}
