//! What differs between the majors of PostgreSQL that we run (14 to 18).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A major version, 14 to 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Major(u16);

/// The version is unknown, or its programs are not installed.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// Not one of 14 to 18.
    #[error("failed to use PostgreSQL version {0:?}: only 14 to 18 are supported")]
    Unsupported(String),
    /// A data directory's PG_VERSION cannot be read.
    #[error("failed to read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No directory holds the programs.
    #[error("failed to find the programs of PostgreSQL {major}: looked in {looked:?}")]
    NotInstalled {
        /// The version.
        major: Major,
        /// Where.
        looked: Vec<PathBuf>,
    },
}

impl Major {
    /// The oldest supported.
    pub const OLDEST: Major = Major(14);
    /// The newest supported.
    pub const NEWEST: Major = Major(18);

    /// From a number such as 15.
    pub fn new(number: u16) -> Result<Self, VersionError> {
        if (Self::OLDEST.0..=Self::NEWEST.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(VersionError::Unsupported(number.to_string()))
        }
    }

    /// From `PG_VERSION`, an image tag or `server_version`: the number before the first dot or space.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let number = text.trim().split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        number.parse().map_or_else(|_| Err(VersionError::Unsupported(text.trim().to_owned())), Self::new)
    }

    /// From a data directory's `PG_VERSION`. Blocks.
    pub fn of_data_directory(pgdata: &Path) -> Result<Self, VersionError> {
        let path = pgdata.join("PG_VERSION");
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text),
            Err(source) => Err(VersionError::Read { path, source }),
        }
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// Where packages put the programs: Debian (and the images built on it), then Red Hat, then what `PATH`
    /// of the official image has.
    #[must_use]
    pub fn usual_bin_dirs(self) -> Vec<PathBuf> {
        vec![
            PathBuf::from(format!("/usr/lib/postgresql/{self}/bin")),
            PathBuf::from(format!("/usr/pgsql-{self}/bin")),
            PathBuf::from(format!("/usr/local/pgsql-{self}/bin")),
        ]
    }

    /// The directory with this version's `postgres`. Blocks.
    pub fn bin_dir(self) -> Result<PathBuf, VersionError> {
        let looked = self.usual_bin_dirs();
        match looked.iter().find(|dir| dir.join("postgres").is_file()) {
            Some(dir) => Ok(dir.clone()),
            None => Err(VersionError::NotInstalled { major: self, looked }),
        }
    }

    /// The versions installed on this machine, oldest first. Blocks.
    #[must_use]
    pub fn installed() -> Vec<Major> {
        (Self::OLDEST.0..=Self::NEWEST.0).map(Major).filter(|major| major.bin_dir().is_ok()).collect()
    }

    /// `xlp_magic` of this version's WAL pages (`XLOG_PAGE_MAGIC` in `access/xlog_internal.h`).
    #[must_use]
    pub fn wal_page_magic(self) -> u16 {
        match self.0 {
            14 => 0xD10D,
            15 => 0xD110,
            16 => 0xD113,
            17 => 0xD116,
            _ => 0xD118,
        }
    }

    /// Whether checkpoints are counted in `pg_stat_checkpointer` (since 17) instead of `pg_stat_bgwriter`.
    #[must_use]
    pub fn has_stat_checkpointer(self) -> bool {
        self.0 >= 17
    }

    /// Whether backup mode is `pg_backup_start` and `pg_backup_stop` (since 15), and has no other kind.
    #[must_use]
    pub fn has_backup_start(self) -> bool {
        self.0 >= 15
    }

    /// Whether initdb turns data checksums on by itself (since 18).
    #[must_use]
    pub fn checksums_by_default(self) -> bool {
        self.0 >= 18
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_major_is_read_from_what_tools_print() {
        for text in ["15\n", "15.18", "15.18 (Debian 15.18-0+deb12u1)", "15-bookworm"] {
            assert_eq!(Major::parse(text).unwrap().number(), 15, "{text}");
        }
        for text in ["", "latest", "13.4", "9.6", "19", "99999999"] {
            assert!(Major::parse(text).is_err(), "{text}");
        }
    }
}
