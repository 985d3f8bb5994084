//! WAL that waits for the archive is put aside, durably, where a rewind or a clone would take it away and the store is
//! out of reach: the member rejoins at once, and what it had is archived when the store is back (I7).

use super::ready::list_ready;
use pgherd_core::wal::WalName;
use pgherd_postgres::files::{FileError, fsync_dir, remove_durable};
use pgherd_postgres::room::room_of;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What is left free on the volume at least.
const SPARE: u64 = 64 << 20;

/// It stays where it is, so its directory must not be changed.
#[derive(Debug, thiserror::Error)]
pub enum AsideError {
    /// A file or folder.
    #[error("failed to put {path:?} aside")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A folder was not made durable.
    #[error("failed to put WAL aside")]
    Durable(#[from] FileError),
    /// There is no room for a copy. Free some, or bring the archive back.
    #[error("failed to put {needed} bytes of WAL aside: {free} bytes are free on the volume, and some have to stay so")]
    NoRoom {
        /// Of all that waits.
        needed: u64,
        /// On the volume.
        free: u64,
    },
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> AsideError {
    let path = path.to_owned();
    |source| AsideError::File { path, source }
}

/// Copies every `.ready` file of `pg_wal` into `aside`; how many there are. They are copies and not links, since both
/// postgres and pg_rewind write into segments that exist. Blocks.
pub(super) fn put_aside(pg_wal: &Path, aside: &Path) -> Result<usize, AsideError> {
    let ready = list_ready(pg_wal).map_err(failed(pg_wal))?;
    let missing: Vec<&WalName> = ready.iter().filter(|name| !aside.join(name.to_string()).exists()).collect();
    if missing.is_empty() {
        return Ok(ready.len());
    }
    make(aside)?;
    let mut needed = SPARE;
    for name in &missing {
        let path = pg_wal.join(name.to_string());
        needed = needed.saturating_add(std::fs::metadata(&path).map_err(failed(&path))?.len());
    }
    let free = room_of(aside).map_err(failed(aside))?.free;
    if free < needed {
        return Err(AsideError::NoRoom { needed, free });
    }
    for name in missing {
        copy(&pg_wal.join(name.to_string()), &aside.join(name.to_string()))?;
    }
    fsync_dir(aside)?;
    Ok(ready.len())
}

fn make(aside: &Path) -> Result<(), AsideError> {
    std::fs::create_dir_all(aside).map_err(failed(aside))?;
    let mut above = aside.ancestors().skip(1).take(2);
    above.try_for_each(fsync_dir).map_err(AsideError::from)
}

/// Under its name only when it is whole.
fn copy(from: &Path, to: &Path) -> Result<(), AsideError> {
    let part = to.with_extension("part");
    std::fs::copy(from, &part).map_err(failed(from))?;
    File::open(&part).and_then(|file| file.sync_all()).map_err(failed(&part))?;
    std::fs::rename(&part, to).map_err(failed(to))
}

/// What lies aside. A folder that is not there holds none.
pub(super) fn list_aside(aside: &Path) -> io::Result<Vec<WalName>> {
    let entries = match std::fs::read_dir(aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(|text| text.parse::<WalName>().ok()));
    }
    Ok(names)
}

/// It is in the archive.
pub(super) fn drop_aside(aside: &Path, name: WalName) -> Result<(), FileError> {
    remove_durable(&aside.join(name.to_string()))
}
