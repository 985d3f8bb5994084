//! A volume of WAL of its own: `pg_wal` of a data directory is then a link to a folder on it.
//!
//! ```text
//! <wal volume>/pg_wal               the first one's (CNPG's name for it)
//! <wal volume>/pg_wal.<nonce>-<n>   of a copy that was made while another had that name
//! <data>/pg_wal.to-volume           link to a folder that is being filled; what it leads to is used by nobody yet
//! ```
//!
//! Each folder is of one data directory alone, so that a copy is made beside what is there; the link tells which.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use pgherd_core::identity::{Incarnation, Nonce};

use crate::dir::{DirError, Volume};
use crate::files::{exchange_durable, failed, fsync_dir, remove_dir_durable, remove_durable};

const PG_WAL: &str = "pg_wal";
/// Inside of a data directory.
const MOVING: &str = "pg_wal.to-volume";

/// What became of WAL before anything of postgres runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalPlace {
    /// It is where it belongs.
    Here,
    /// It was moved to its volume.
    Moved,
    /// The volume that it was on is another, empty one: the data directory is marked as fit for nothing but to be cloned
    /// anew, and acknowledged nothing under its new name.
    Lost,
}

impl Volume {
    /// The same, with a volume of WAL mounted at `mount`.
    #[must_use]
    pub fn with_wal(mut self, mount: Option<PathBuf>) -> Self {
        self.wal = mount;
        self
    }

    /// Looks after WAL before anything of postgres runs: moves it to its volume if that was added since, and finds out
    /// whether it was lost. `anew` is the name of a data directory that has lost it.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the volume that the data directory had its WAL on is not mounted.
    pub fn settle_wal(&self, anew: &Incarnation) -> Result<WalPlace, DirError> {
        if self.has_lost_wal(&self.recovering())? {
            // It is made again from its beginning.
            self.discard_recovery()?;
        }
        let mut moved = self.wal_to_volume(&self.recovering())?;
        if self.has_lost_wal(self.pgdata())? {
            // The marks before the folder: cut off in between, it is still seen to be lost.
            self.set_incarnation(anew)?;
            self.mark_wal_lost()?;
            let folder = read_link(&self.pgdata().join(PG_WAL))?.unwrap_or_default();
            make_private(&folder.join("archive_status"))?;
            fsync_dir(&folder)?;
            fsync_dir(folder.parent().unwrap_or(&folder))?;
            return Ok(WalPlace::Lost);
        }
        moved |= self.wal_to_volume(self.pgdata())?;
        Ok(if moved { WalPlace::Moved } else { WalPlace::Here })
    }

    /// Moves the WAL of `directory`, in which nothing runs, to its volume, where there is one: copied and on disk first,
    /// then linked in one step. Says whether there was anything to move.
    ///
    /// # Errors
    /// When it cannot be copied. It is where it was then.
    pub fn wal_to_volume(&self, directory: &Path) -> Result<bool, DirError> {
        let (pg_wal, moving) = (directory.join(PG_WAL), directory.join(MOVING));
        if read_link(&moving)?.is_some() {
            self.drop_linked(&moving)?;
            remove_durable(&moving)?;
        } else {
            // After the exchange it is the folder of before.
            remove_dir_durable(&moving)?;
        }
        let is_folder = fs::symlink_metadata(&pg_wal).is_ok_and(|metadata| metadata.is_dir());
        let Some(folder) = self.free_wal(&Nonce("moved".to_owned())).filter(|_| is_folder) else { return Ok(false) };
        symlink(&folder, &moving).map_err(failed("link", &moving))?;
        fsync_dir(directory)?;
        copy_all(&pg_wal, &folder)?;
        fsync_dir(folder.parent().unwrap_or(&folder))?;
        exchange_durable(&moving, &pg_wal)?;
        remove_dir_durable(&moving)?;
        Ok(true)
    }

    /// A folder for the WAL of a data directory that is to be made, which is not there yet; nothing where WAL has no volume.
    #[must_use]
    pub fn free_wal(&self, nonce: &Nonce) -> Option<PathBuf> {
        let mount = self.wal.as_deref()?;
        let numbered = |number: u64| mount.join(format!("{PG_WAL}.{nonce}-{number}"));
        let mut names = std::iter::once(mount.join(PG_WAL)).chain((1..).map(numbered));
        names.find(|path| fs::symlink_metadata(path).is_err())
    }

    /// Removes the WAL of a directory that goes next, if it is on its own volume.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn drop_wal_of(&self, directory: &Path) -> Result<(), DirError> {
        [PG_WAL, MOVING].iter().try_for_each(|name| self.drop_linked(&directory.join(name)))
    }

    /// Removes folders of WAL that no data directory of this volume uses.
    pub(crate) fn sweep_wal(&self) -> Result<(), DirError> {
        let Some(mount) = self.wal.as_deref() else { return Ok(()) };
        let content = self.inspect()?;
        let unfinished = content.unfinished.into_iter().map(|unfinished| unfinished.path);
        let mut used: BTreeSet<PathBuf> = BTreeSet::new();
        for directory in
            content.replaced.into_iter().chain(unfinished).chain([self.pgdata().to_owned(), self.recovering()])
        {
            used.extend(read_link(&directory.join(PG_WAL))?);
            used.extend(read_link(&directory.join(MOVING))?);
        }
        for entry in fs::read_dir(mount).map_err(failed("list", mount))? {
            let path = entry.map_err(failed("list", mount))?.path();
            if is_ours(&path) && !used.contains(&path) {
                remove_dir_durable(&path)?;
            }
        }
        Ok(())
    }

    /// Its link leads to a volume that does not have the folder. A volume that is not there at all is no proof of that.
    fn has_lost_wal(&self, directory: &Path) -> Result<bool, DirError> {
        let Some(folder) = read_link(&directory.join(PG_WAL))? else { return Ok(false) };
        if folder.is_dir() {
            return Ok(false);
        }
        if folder.parent() == self.wal.as_deref() && self.wal.as_deref().is_some_and(Path::is_dir) {
            return Ok(true);
        }
        Err(DirError::NotMounted { path: folder })
    }

    fn drop_linked(&self, link: &Path) -> Result<(), DirError> {
        let folder = read_link(link)?.filter(|folder| folder.parent() == self.wal.as_deref() && is_ours(folder));
        Ok(folder.map_or(Ok(()), |folder| remove_dir_durable(&folder))?)
    }
}

/// By its name: what a person has put on the volume is a person's.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().map(OsString::from).unwrap_or_default();
    let name = name.to_string_lossy();
    name.strip_prefix(PG_WAL).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where a link leads to; nothing where there is none.
fn read_link(path: &Path) -> Result<Option<PathBuf>, DirError> {
    match fs::read_link(path) {
        Ok(to) => Ok(Some(to)),
        // EINVAL: it is no link.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(failed("read", path)(error).into()),
    }
}

fn make_private(path: &Path) -> Result<(), DirError> {
    Ok(DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create", path))?)
}

/// Copies a folder and all in it, and syncs each file and folder.
fn copy_all(from: &Path, to: &Path) -> Result<(), DirError> {
    make_private(to)?;
    for entry in fs::read_dir(from).map_err(failed("list", from))? {
        let entry = entry.map_err(failed("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(failed("look at", &source))?.is_dir() {
            copy_all(&source, &target)?;
            continue;
        }
        fs::copy(&source, &target).map_err(failed("copy", &source))?;
        File::open(&target).and_then(|file| file.sync_all()).map_err(failed("fsync", &target))?;
    }
    Ok(fsync_dir(to)?)
}

#[cfg(test)]
#[path = "wal_volume_tests.rs"]
mod tests;
