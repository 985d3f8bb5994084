//! One archive of a backup, written out below a directory. Blocking.
//!
//! Only what postgres has is made: directories and plain files, for the owner alone. Links are left out, since those of
//! a data directory lead to where they led on another machine; `pg_wal` and `pg_tblspc` are made anew.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A block of a tar archive.
const BLOCK: u64 = 512;
const BUFFER: usize = 256 << 10;

/// An archive could not be written out.
#[derive(Debug)]
pub enum UntarError {
    /// It is damaged, or could not be read.
    Archive(io::Error),
    /// A file could not be written.
    Write(PathBuf, io::Error),
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counts what passes by.
struct Counted<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(into)?;
        self.read = self.read.saturating_add(length as u64);
        Ok(length)
    }
}

/// Writes the archive below `root`. It is read to its very end, so that every checksum of its compression is checked,
/// and an archive that was cut off between two files is noticed by its missing end.
pub fn untar(archive: impl Read, root: &Path, progress: &Arc<AtomicU64>) -> Result<Written, UntarError> {
    let mut archive = tar::Archive::new(Counted { inner: archive, read: 0 });
    let mut written = Written::default();
    let mut end = 0;
    let mut buffer = vec![0; BUFFER];
    for entry in archive.entries().map_err(UntarError::Archive)? {
        let mut entry = entry.map_err(UntarError::Archive)?;
        let size = entry.size();
        end = entry.raw_file_position().saturating_add(size.next_multiple_of(BLOCK));
        let path = place(&entry.path().map_err(UntarError::Archive)?).map_err(UntarError::Archive)?;
        let to = root.join(&path);
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            make_dir(&to)?;
        } else if kind.is_file() || kind.is_contiguous() {
            written.bytes = written.bytes.saturating_add(write(&mut entry, &to, size, &mut buffer, progress)?);
            written.files = written.files.saturating_add(1);
        } else if kind.is_symlink() && path == Path::new("pg_wal") {
            make_dir(&to)?;
        }
    }
    let mut counted = archive.into_inner();
    io::copy(&mut counted, &mut io::sink()).map_err(UntarError::Archive)?;
    // Two blocks of zeros end an archive (POSIX, pax).
    if counted.read < end.saturating_add(2 * BLOCK) {
        return Err(UntarError::Archive(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends before its end mark")));
    }
    Ok(written)
}

/// A member's path below the root: nowhere else.
fn place(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                let said = format!("{} lies outside of the archive's own folder", path.display());
                return Err(io::Error::new(io::ErrorKind::InvalidData, said));
            }
        }
    }
    Ok(plain)
}

fn make_dir(path: &Path) -> Result<(), UntarError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| UntarError::Write(path.to_owned(), e))
}

fn write(
    from: &mut impl Read,
    to: &Path,
    size: u64,
    buffer: &mut [u8],
    progress: &AtomicU64,
) -> Result<u64, UntarError> {
    if let Some(above) = to.parent() {
        make_dir(above)?;
    }
    let failed = |error| UntarError::Write(to.to_owned(), error);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to).map_err(failed)?;
    let mut done = 0_u64;
    loop {
        let length = from.read(buffer).map_err(UntarError::Archive)?;
        let Some(some) = buffer.get(..length).filter(|some| !some.is_empty()) else { break };
        io::Write::write_all(&mut file, some).map_err(failed)?;
        done = done.saturating_add(length as u64);
        progress.fetch_add(length as u64, Ordering::Relaxed);
    }
    if done == size {
        Ok(done)
    } else {
        let said = format!("{} has {done} of its {size} bytes", to.display());
        Err(UntarError::Archive(io::Error::new(io::ErrorKind::UnexpectedEof, said)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            let directory = path.ends_with('/');
            header.set_entry_type(if directory { tar::EntryType::Directory } else { tar::EntryType::Regular });
            // Not by set_path, which refuses what an attacker would not.
            let name = &mut header.as_old_mut().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, *content).expect("append");
        }
        builder.into_inner().expect("tar")
    }

    fn run(bytes: &[u8]) -> (tempfile::TempDir, Result<Written, UntarError>) {
        let root = tempfile::tempdir().expect("a folder");
        let written = untar(bytes, root.path(), &Arc::default());
        (root, written)
    }

    const MEMBERS: [(&str, &[u8]); 4] =
        [("./", b""), ("./PG_VERSION", b"15\n"), ("pg_wal/", b""), ("base/1/1259", &[7; 70_000])];

    #[test]
    fn members_are_written_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let (root, written) = run(&archive(&MEMBERS));
        assert_eq!(written.expect("written"), Written { files: 2, bytes: 70_003 });
        assert_eq!(std::fs::read(root.path().join("base/1/1259")).expect("read"), [7; 70_000]);
        let mode = |path: &str| std::fs::metadata(root.path().join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!([mode("PG_VERSION"), mode("base/1"), mode("pg_wal")], [0o600, 0o700, 0o700]);
    }

    #[test]
    fn an_archive_that_was_cut_short_is_refused_wherever_that_was() {
        let whole = archive(&MEMBERS);
        let ends: Vec<usize> = (0..whole.len()).step_by(512).chain([1, 600, whole.len() - 513]).collect();
        for end in ends.into_iter().filter(|end| *end + 512 < whole.len()) {
            let (_root, written) = run(&whole[..end]);
            assert!(matches!(written, Err(UntarError::Archive(_))), "{end} of {}", whole.len());
        }
        let mut flipped = whole;
        flipped[512 + 3] ^= 1;
        assert!(run(&flipped).1.is_err(), "a header has a checksum");
    }

    #[test]
    fn no_member_is_written_outside_of_the_folder() {
        for path in ["../evil", "/evil", "base/../../evil"] {
            let (_root, written) = run(&archive(&[(path, b"x")]));
            assert!(matches!(written, Err(UntarError::Archive(_))), "{path}");
        }
    }
}
