//! A base backup brought back: every object fetched, decompressed and written straight into place, side by side.
//!
//! The directory is made here and is whole and on disk when this succeeds; after an error, or when it is cut off, it is
//! for the caller to remove. Memory: five parts of 4 MiB for each object that is under way, and a MiB of what they hold.

mod ahead;
mod pieces;
mod stream;
mod untar;

pub use pieces::{Piece, pieces};

use crate::Catalog;
use crate::catalog::Backup;
use crate::decompress::decompressor;
use ahead::Ahead;
use futures::{StreamExt, TryStreamExt, stream as streams};
use pgherd_core::backup::{BackupId, BackupInfo, InfoError, Tablespace, Tree};
use pgherd_objectstore::StoreError;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use untar::{UntarError, untar};

/// A backup could not be brought back. What was written is no data directory.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// `backup.info` cannot be read. Another backup may do.
    #[error("failed to restore backup {backup}")]
    Info {
        /// Which backup.
        backup: BackupId,
        /// Why.
        #[source]
        source: InfoError,
    },
    /// It failed, is still being made, or is no use by itself. Another backup may do.
    #[error("failed to restore backup {backup}: it is not complete")]
    NotComplete {
        /// Which backup.
        backup: BackupId,
    },
    /// An object is not there. Another backup may do.
    #[error("failed to restore backup {backup}: it has no {name}")]
    Missing {
        /// Which backup.
        backup: BackupId,
        /// The object, without the suffix of its compression.
        name: String,
    },
    /// The store; its error says what to do.
    #[error("failed to fetch {key}")]
    Store {
        /// The object.
        key: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The object is damaged or cut short. Another backup may do.
    #[error("failed to read {key}: it is damaged or cut short")]
    Damaged {
        /// The object.
        key: String,
        /// What was seen.
        #[source]
        source: io::Error,
    },
    /// A file of a data directory is not in any of the objects. Another backup may do.
    #[error("failed to restore backup {backup}: there is no {file} in it")]
    Lacks {
        /// Which backup.
        backup: BackupId,
        /// The file.
        file: &'static str,
    },
    /// The volume is full. Make it larger.
    #[error("failed to write {path:?}: the volume is full; the databases of this backup have {needed} bytes")]
    NoRoom {
        /// The file, or the directory.
        path: PathBuf,
        /// What postgres said that all databases had.
        needed: u64,
    },
    /// The disk.
    #[error("failed to write {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl RestoreError {
    /// The keys of what was fetched in vain and will be again, for as long as the objects are the same.
    #[must_use]
    pub fn at_fault(&self, backup: &Backup) -> Vec<String> {
        match self {
            Self::Damaged { key, .. } => vec![key.clone()],
            Self::Lacks { .. } => backup.archives.iter().map(|(_, object)| object.key.clone()).collect(),
            // Found before anything is fetched, or not the object's fault.
            Self::Info { .. } | Self::NotComplete { .. } | Self::Missing { .. } | Self::Store { .. } => Vec::new(),
            Self::NoRoom { .. } | Self::Write { .. } => Vec::new(),
        }
    }
}

/// Where a backup goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The data directory; made, and must not be there.
    pub pgdata: PathBuf,
    /// Where each tablespace goes: made, and must be empty or absent.
    pub tablespaces: Vec<(u32, PathBuf)>,
    /// Objects at once.
    pub wide: usize,
    /// Counts the bytes as they are written.
    pub progress: Arc<AtomicU64>,
}

/// What was brought back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// `backup.info`.
    pub info: BackupInfo,
    /// Bytes fetched.
    pub fetched: u64,
    /// Bytes written.
    pub written: u64,
}

impl Catalog {
    /// Brings `backup` back.
    ///
    /// # Errors
    /// [`RestoreError`] names the object or the file.
    pub async fn restore(&self, backup: &Backup, to: &Destination) -> Result<Restored, RestoreError> {
        let (info, pieces) = pieces(backup)?;
        let needed = info.cluster_size.unwrap_or_default();
        room(&to.pgdata, needed)?;
        make(&to.pgdata, needed)?;
        let fetched = pieces.iter().map(|piece| piece.size).sum();
        // Each object is one stream, so that two threads are all that one of them can use.
        let beside = pieces.len() < to.wide;
        let all = pieces.into_iter().map(|piece| {
            let root = root_of(&piece, &info, to);
            async move { self.piece(piece, root?, beside, needed, &to.progress).await }
        });
        let () = streams::iter(all).buffer_unordered(to.wide.max(1)).try_collect().await?;
        let (finishing, from, id) = (to.clone(), info.clone(), backup.entry.id.clone());
        blocking(move || finish(&finishing, &from, id), &to.pgdata).await?;
        Ok(Restored { info, fetched, written: to.progress.load(Ordering::Relaxed) })
    }

    /// `beside`: a thread reads and decompresses, and another one writes.
    async fn piece(
        &self,
        piece: Piece,
        root: PathBuf,
        beside: bool,
        needed: u64,
        written: &Arc<AtomicU64>,
    ) -> Result<(), RestoreError> {
        make(&root, needed)?;
        let (to, mut reader) = stream::ObjectReader::new(piece.size);
        let fetching = stream::fetch(Arc::clone(&self.store), piece.key.clone(), piece.size, self.patience, to);
        let (written, key, name) = (Arc::clone(written), piece.key.clone(), piece.name);
        let unpacking = tokio::task::spawn_blocking(move || {
            let unpacked = decompressor(name.compression, BufReader::with_capacity(1 << 18, &mut reader))
                .map_err(UntarError::Archive)
                .and_then(|archive| match beside {
                    true => std::thread::scope(|scope| untar(Ahead::new(scope, archive), &root, &written)),
                    false => untar(archive, &root, &written),
                });
            match (unpacked, reader.failure()) {
                (Ok(_), _) => Ok(()),
                (Err(_), Some(source)) => Err(RestoreError::Store { key, source }),
                (Err(UntarError::Archive(source)), None) => Err(RestoreError::Damaged { key, source }),
                (Err(UntarError::Write(path, source)), None) => Err(write_failed(path, source, needed)),
            }
        });
        // The reader ends by itself when nobody fetches any more, and the other way round.
        let ((), unpacked) = tokio::join!(fetching, unpacking);
        unpacked.unwrap_or_else(|error| {
            Err(RestoreError::Damaged { key: piece.key.clone(), source: io::Error::other(error) })
        })
    }
}

fn write_failed(path: PathBuf, source: io::Error, needed: u64) -> RestoreError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => RestoreError::NoRoom { path, needed },
        _ => RestoreError::Write { path, source },
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| write_failed(path, source, 0)
}

fn make(path: &Path, needed: u64) -> Result<(), RestoreError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| write_failed(path.to_owned(), source, needed))
}

/// Says at once that a volume is too small, and not after hours.
fn room(pgdata: &Path, needed: u64) -> Result<(), RestoreError> {
    let volume = pgdata.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let space = nix::sys::statvfs::statvfs(volume).map_err(|errno| failed(volume)(errno.into()))?;
    let free = space.blocks_available().saturating_mul(space.fragment_size());
    if free < needed { Err(RestoreError::NoRoom { path: pgdata.to_owned(), needed }) } else { Ok(()) }
}

fn location(space: &Tablespace, to: &Destination) -> PathBuf {
    let mapped = to.tablespaces.iter().find(|(oid, _)| *oid == space.oid).map(|(_, path)| path.clone());
    mapped.unwrap_or_else(|| PathBuf::from(&space.location))
}

fn root_of(piece: &Piece, info: &BackupInfo, to: &Destination) -> Result<PathBuf, RestoreError> {
    let Tree::Tablespace(oid) = piece.name.tree else { return Ok(to.pgdata.clone()) };
    let space = info.tablespaces.iter().find(|space| space.oid == oid);
    let path = space.map(|space| location(space, to)).unwrap_or_else(|| to.pgdata.join(format!("pg_tblspc/{oid}")));
    Ok(path)
}

/// What is not in the archives, the check that the rest is, and the one wait for the disk.
fn finish(to: &Destination, info: &BackupInfo, backup: BackupId) -> Result<(), RestoreError> {
    let pgdata = &to.pgdata;
    // Postgres wants them, and barman leaves their contents out.
    for directory in ["pg_wal", "pg_tblspc", "pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots"] {
        make(&pgdata.join(directory), 0)?;
    }
    for directory in ["pg_stat_tmp", "pg_subtrans", "pg_stat", "pg_twophase", "pg_commit_ts", "pg_logical"] {
        make(&pgdata.join(directory), 0)?;
    }
    for space in &info.tablespaces {
        let link = pgdata.join(format!("pg_tblspc/{}", space.oid));
        std::os::unix::fs::symlink(location(space, to), &link).map_err(failed(&link))?;
    }
    if let Some(label) = &info.backup_label {
        let path = pgdata.join("backup_label");
        std::fs::write(&path, label).map_err(failed(&path))?;
    }
    // Left by a server that was itself a standby or a recovery: it would decide what this one becomes.
    for stale in ["standby.signal", "recovery.signal", "postmaster.pid", "tablespace_map.old", "backup_label.old"] {
        let path = pgdata.join(stale);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&path)(error)),
            _ => {}
        }
    }
    for file in ["PG_VERSION", "global/pg_control", "backup_label"] {
        if !pgdata.join(file).is_file() {
            return Err(RestoreError::Lacks { backup, file });
        }
    }
    let spaces = info.tablespaces.iter().map(|space| location(space, to));
    for root in spaces.chain([pgdata.clone()]) {
        let open = File::open(&root).map_err(failed(&root))?;
        nix::unistd::syncfs(&open).map_err(|errno| failed(&root)(errno.into()))?;
    }
    Ok(())
}

async fn blocking(
    work: impl FnOnce() -> Result<(), RestoreError> + Send + 'static,
    at: &Path,
) -> Result<(), RestoreError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(failed(at)(io::Error::other(error))))
}
