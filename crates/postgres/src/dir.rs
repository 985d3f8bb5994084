//! What is on a volume: a data directory, a half-made one, or nothing; and our own small files beside it.
//!
//! ```text
//! <volume>/pgdata                  complete; the only name that is ever served
//! <volume>/pgdata.<kind>-<nonce>   being made (initdb, join, restore): removed at the next start
//! <volume>/pgdata.recovering       restored, replaying WAL: gone on with after a restart
//! <volume>/pgdata.old-<nonce>      replaced, kept until its replacement streams (I7)
//! <volume>/pgherd/                 incarnation, fence, max_term, rewinding
//! ```
//! WAL may be on a volume of its own: see [`crate::wal_volume`].

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use pgherd_core::identity::{Incarnation, Nonce};
use pgherd_core::lease::Term;

use crate::files::{
    self, FileError, exchange_durable, read_optional, remove_dir_durable, remove_durable, rename_durable, write_durable,
};
use crate::version::{Major, VersionError};

/// In the mark of a directory that may not be started, where that is why.
const WAL_LOST: &str = "its WAL was lost with the volume that it was on";

/// `PG_CONTROL_FILE_SIZE` (catalog/pg_control.h): that long in all versions.
const PG_CONTROL_FILE_SIZE: u64 = 8192;

/// The volume cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// A file or directory.
    #[error("failed to look after the volume")]
    File(#[from] FileError),
    /// The data directory's version.
    #[error("failed to tell the data directory's version")]
    Version(#[from] VersionError),
    /// One of our own files holds something else. Needs a person: it is never guessed.
    #[error("failed to read {path:?}: it holds {content:?}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its content.
        content: String,
    },
    /// WAL is on a volume that this process does not see. Needs a person: an empty folder in its place would be a loss.
    #[error("failed to find {path:?}: the volume of WAL is not mounted")]
    NotMounted {
        /// Where the data directory has its WAL.
        path: PathBuf,
    },
}

/// Why a half-made directory is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartialKind {
    /// initdb.
    Initdb,
    /// A base backup from another instance.
    Join,
    /// A recovery from the object store.
    Restore,
}

impl PartialKind {
    const ALL: [PartialKind; 3] = [Self::Initdb, Self::Join, Self::Restore];

    fn word(self) -> &'static str {
        match self {
            Self::Initdb => "initdb",
            Self::Join => "join",
            Self::Restore => "restore",
        }
    }
}

/// A directory that never became `pgdata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What it was to be.
    pub kind: PartialKind,
    /// Where it is.
    pub path: PathBuf,
}

/// What there is under the name `pgdata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDirectory {
    /// Nothing.
    Absent,
    /// Something that is not a complete data directory, made by somebody else. Never served, never removed.
    Foreign,
    /// One of ours without a whole control file: why, for people. Never served; fit to be replaced by a clone.
    Damaged(String),
    /// A data directory.
    Present {
        /// Its version.
        major: Major,
        /// Whether it starts as a standby.
        standby_signal: bool,
        /// Whether it starts as a recovery from the archive.
        recovery_signal: bool,
        /// A pg_rewind was cut off in it, or its WAL was lost: it may not be started, only cloned anew.
        rewinding: bool,
        /// Who it is; None before the first [`Volume::set_incarnation`].
        incarnation: Option<Incarnation>,
    },
}

/// All there is on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeContent {
    /// Under the name `pgdata`.
    pub data: DataDirectory,
    /// Half-made directories.
    pub unfinished: Vec<Unfinished>,
    /// Replaced directories that are still kept.
    pub replaced: Vec<PathBuf>,
}

/// One volume. All methods block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    root: PathBuf,
    pgdata: PathBuf,
    /// Mount point of the volume that WAL has for itself.
    pub(crate) wal: Option<PathBuf>,
}

impl Volume {
    /// From `PGDATA`: the volume is the directory above it.
    #[must_use]
    pub fn of_pgdata(pgdata: &Path) -> Self {
        let root = pgdata.parent().unwrap_or(Path::new("/")).to_owned();
        Self { root, pgdata: pgdata.to_owned(), wal: None }
    }

    /// The volume's mount point.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The data directory that is served.
    #[must_use]
    pub fn pgdata(&self) -> &Path {
        &self.pgdata
    }

    /// Looks, and changes nothing.
    pub fn inspect(&self) -> Result<VolumeContent, DirError> {
        let mut content = VolumeContent { data: self.inspect_pgdata()?, unfinished: Vec::new(), replaced: Vec::new() };
        let entries = match std::fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(content),
            result => result.map_err(files::failed("list", &self.root))?,
        };
        for entry in entries {
            let path = entry.map_err(files::failed("list", &self.root))?.path();
            if let Some(kind) = self.kind_of(&path) {
                content.unfinished.push(Unfinished { kind, path });
            } else if self.has_suffix(&path, "old") {
                content.replaced.push(path);
            }
        }
        content.unfinished.sort_by(|a, b| a.path.cmp(&b.path));
        content.replaced.sort();
        Ok(content)
    }

    /// Closes the data directory, and one that is being recovered, to its group and others; true if one was open. A kubelet
    /// that mounts a volume for a pod's `fsGroup` lets that group write everywhere, and postgres refuses such a directory.
    pub fn close_to_others(&self) -> Result<bool, DirError> {
        let served = files::close_to_others(&self.pgdata)?;
        Ok(files::close_to_others(&self.recovering())? || served)
    }

    /// The name for a directory that is to be made; the caller's program makes it.
    #[must_use]
    pub fn partial_path(&self, kind: PartialKind, nonce: &Nonce) -> PathBuf {
        self.beside(kind.word(), nonce)
    }

    /// Makes a finished directory the data directory, in one step, under a new incarnation. What was there is
    /// kept as `pgdata.old-<nonce>`, whose path is returned.
    ///
    /// The incarnation is written first: cut off in between, the old data has a new id that acknowledged
    /// nothing, which is safe, and never the other way round. The content must have been fsynced (initdb and
    /// pg_basebackup do that).
    pub fn adopt(
        &self,
        finished: &Path,
        incarnation: &Incarnation,
        nonce: &Nonce,
    ) -> Result<Option<PathBuf>, DirError> {
        self.wal_to_volume(finished)?;
        self.set_incarnation(incarnation)?;
        if !self.pgdata.exists() {
            rename_durable(finished, &self.pgdata)?;
            self.clear_rewinding()?;
            return Ok(None);
        }
        // From here the finished one is not "half-made" any more, and after the exchange this name is the
        // old one's: at no moment does it carry a name that is swept away.
        let old = self.free_beside("old", nonce);
        rename_durable(finished, &old)?;
        exchange_durable(&old, &self.pgdata)?;
        self.clear_rewinding()?;
        Ok(Some(old))
    }

    /// Removes half-made directories.
    pub fn remove_unfinished(&self) -> Result<(), DirError> {
        for unfinished in self.inspect()?.unfinished {
            self.drop_wal_of(&unfinished.path)?;
            remove_dir_durable(&unfinished.path)?;
        }
        self.sweep_tablespaces()
    }

    /// Removes replaced directories; only once the present one streams (I7).
    pub fn remove_replaced(&self) -> Result<(), DirError> {
        for path in self.inspect()?.replaced {
            remove_dir_durable(&path)?;
        }
        self.sweep_wal()?;
        self.sweep_tablespaces()
    }

    /// A directory that was restored whole and replays WAL until it becomes the data directory.
    #[must_use]
    pub fn recovering(&self) -> PathBuf {
        let mut name = self.pgdata.file_name().unwrap_or(OsStr::new("pgdata")).to_owned();
        name.push(".recovering");
        self.root.join(name)
    }

    /// Where the tablespaces of a restored directory go.
    #[must_use]
    pub fn tablespaces(&self) -> PathBuf {
        self.root.join("tablespaces")
    }

    /// What [`Volume::recovering`] was made for, where it is there.
    pub fn recovery(&self) -> Result<Option<String>, DirError> {
        if !self.recovering().exists() {
            return Ok(None);
        }
        Ok(read_optional(&self.own_file("recovery"))?.map(|text| text.trim().to_owned()))
    }

    /// Makes a finished directory the one that replays WAL. Its content must have been fsynced.
    pub fn begin_recovery(&self, finished: &Path, purpose: &str) -> Result<(), DirError> {
        self.wal_to_volume(finished)?;
        self.write_own("recovery", purpose)?;
        Ok(rename_durable(finished, &self.recovering())?)
    }

    /// Removes what a recovery left, before another one begins. Nothing may be served from this volume.
    pub fn discard_recovery(&self) -> Result<(), DirError> {
        self.drop_wal_of(&self.recovering())?;
        for directory in [self.recovering(), self.tablespaces()] {
            if directory.exists() {
                remove_dir_durable(&directory)?;
            }
        }
        Ok(remove_durable(&self.own_file("recovery"))?)
    }

    /// Who the data directory is.
    pub fn incarnation(&self) -> Result<Option<Incarnation>, DirError> {
        Ok(read_optional(&self.own_file("incarnation"))?.map(|text| Incarnation(text.trim().to_owned())))
    }

    /// Gives the data directory a new identity: before it is served, at each initdb, clone, rewind, restore.
    pub fn set_incarnation(&self, incarnation: &Incarnation) -> Result<(), DirError> {
        self.write_own("incarnation", &incarnation.0)
    }

    /// The highest term that was promised to an election (rule E3); Term(0) when none was.
    pub fn fence(&self) -> Result<Term, DirError> {
        self.term("fence")
    }

    /// Promises a term; never lowers it. Durable when it returns.
    pub fn raise_fence(&self, to: Term) -> Result<Term, DirError> {
        self.raise("fence", to)
    }

    /// The highest term ever seen (rule L9); Term(0) when none was.
    pub fn max_term(&self) -> Result<Term, DirError> {
        self.term("max_term")
    }

    /// Remembers a term that was seen; never lowers it. Durable when it returns.
    pub fn raise_max_term(&self, to: Term) -> Result<Term, DirError> {
        self.raise("max_term", to)
    }

    /// Says that pg_rewind is about to write to the data directory. Durable when it returns.
    pub fn mark_rewinding(&self) -> Result<(), DirError> {
        self.write_own("rewinding", "a pg_rewind has begun and has not ended well")
    }

    pub(crate) fn mark_wal_lost(&self) -> Result<(), DirError> {
        self.write_own("rewinding", WAL_LOST)
    }

    pub(crate) fn is_marked_wal_lost(&self) -> Result<bool, DirError> {
        Ok(read_optional(&self.own_file("rewinding"))?.is_some_and(|text| text.trim() == WAL_LOST))
    }

    /// Says that pg_rewind ended well.
    pub fn clear_rewinding(&self) -> Result<(), DirError> {
        Ok(remove_durable(&self.own_file("rewinding"))?)
    }

    fn inspect_pgdata(&self) -> Result<DataDirectory, DirError> {
        let mut entries = match std::fs::read_dir(&self.pgdata) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(DataDirectory::Absent),
            result => result.map_err(files::failed("list", &self.pgdata))?,
        };
        if entries.next().is_none() {
            return Ok(DataDirectory::Absent);
        }
        let has = |name: &str| self.pgdata.join(name).exists();
        let incarnation = self.incarnation()?;
        let control = control_bytes(&self.pgdata)?;
        if !has("PG_VERSION") || control.is_none() && incarnation.is_none() {
            return Ok(DataDirectory::Foreign);
        }
        match control {
            None => return Ok(DataDirectory::Damaged("the control file global/pg_control is gone".to_owned())),
            Some(PG_CONTROL_FILE_SIZE) => {}
            Some(bytes) => {
                let why = format!("the control file global/pg_control has {bytes} of {PG_CONTROL_FILE_SIZE} bytes");
                return Ok(DataDirectory::Damaged(why));
            }
        }
        Ok(DataDirectory::Present {
            major: Major::of_data_directory(&self.pgdata)?,
            standby_signal: has("standby.signal"),
            recovery_signal: has("recovery.signal"),
            rewinding: self.own_file("rewinding").exists(),
            incarnation,
        })
    }

    fn beside(&self, word: &str, nonce: &Nonce) -> PathBuf {
        let mut name = self.pgdata.file_name().unwrap_or(OsStr::new("pgdata")).to_owned();
        name.push(format!(".{word}-{nonce}"));
        self.root.join(name)
    }

    /// A process may replace a directory more than once before the first one that it replaced may go.
    fn free_beside(&self, word: &str, nonce: &Nonce) -> PathBuf {
        let numbered = |number: u64| self.beside(word, &Nonce(format!("{nonce}-{number}")));
        let first = self.beside(word, nonce);
        std::iter::once(first.clone()).chain((2..).map(numbered)).find(|path| !path.exists()).unwrap_or(first)
    }

    fn kind_of(&self, path: &Path) -> Option<PartialKind> {
        PartialKind::ALL.into_iter().find(|kind| self.has_suffix(path, kind.word()))
    }

    fn has_suffix(&self, path: &Path, word: &str) -> bool {
        let base = self.pgdata.file_name().and_then(OsStr::to_str).unwrap_or("pgdata");
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.strip_prefix(base).is_some_and(|rest| rest.starts_with(&format!(".{word}-")))
    }

    /// What is kept beside the data directory, which is not part of it.
    #[must_use]
    pub fn own(&self) -> PathBuf {
        self.root.join("pgherd")
    }

    fn own_file(&self, name: &str) -> PathBuf {
        self.own().join(name)
    }

    /// Writes a line of ours, on this volume and beside the data directory.
    pub fn write_own(&self, name: &str, content: &str) -> Result<(), DirError> {
        let path = self.own_file(name);
        let dir = self.own();
        if !dir.exists() {
            std::fs::create_dir_all(&dir).map_err(files::failed("create", &dir))?;
            files::fsync_dir(&self.root)?;
        }
        Ok(write_durable(&path, format!("{content}\n").as_bytes(), 0o600)?)
    }

    fn term(&self, name: &str) -> Result<Term, DirError> {
        let path = self.own_file(name);
        match read_optional(&path)? {
            None => Ok(Term(0)),
            Some(text) => text.trim().parse().map(Term).map_err(|_| DirError::Damaged { path, content: text }),
        }
    }

    fn raise(&self, name: &str, to: Term) -> Result<Term, DirError> {
        let present = self.term(name)?;
        if present >= to {
            return Ok(present);
        }
        self.write_own(name, &to.to_string())?;
        Ok(to)
    }
}

/// How long the control file is, if it is there.
fn control_bytes(pgdata: &Path) -> Result<Option<u64>, FileError> {
    let path = pgdata.join("global/pg_control");
    match std::fs::metadata(&path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(files::failed("look at", &path)(error)),
    }
}

#[cfg(test)]
#[path = "dir_tests.rs"]
mod tests;
