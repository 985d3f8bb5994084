//! What differs between the majors of PostgreSQL that we run (14 to 18), in one table.
//!
//! What is not here is the same in all of them, as far as the manager uses it. Which parameters a user may give to which
//! major is in `pgherd_core::rules::majors`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use pgherd_core::rules::majors::{NEWEST, OLDEST};

/// A major version, 14 to 18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Major(u16);

/// One row: what is true of one major. Each line of a release's notes that the manager has to know is a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// `xlp_magic` of its WAL pages (`XLOG_PAGE_MAGIC` in `access/xlog_internal.h`).
    pub wal_page_magic: u16,
    /// `PG_CONTROL_VERSION` of `catalog/pg_control.h`.
    pub control_version: u32,
    /// Begins a backup ($1 its label, $2 whether at once). Until 14 there was another kind, which has to be declined.
    pub backup_start: &'static str,
    /// Ends it without waiting for WAL, as a row with `lsn` and `labelfile`.
    pub backup_stop: &'static str,
    /// initdb turns data checksums on unless it is told otherwise; before, it knows no `--no-data-checksums`.
    pub checksums_by_default: bool,
    /// There is `allow_alter_system`.
    pub forbids_alter_system: bool,
    /// One row of what was written and synced of WAL: `writes`, `syncs`, `write_millis`, `sync_millis`.
    pub wal_io: &'static str,
}

const UNTIL_14: (&str, &str) = ("pg_start_backup($1, $2, false)", "pg_stop_backup(false, false)");
const SINCE_15: (&str, &str) = ("pg_backup_start($1, $2)", "pg_backup_stop(false)");

const IN_STAT_WAL: &str = "SELECT wal_write::float8 AS writes, wal_sync::float8 AS syncs, \
    wal_write_time AS write_millis, wal_sync_time AS sync_millis FROM pg_stat_wal";
/// What initialises a segment is counted apart, and was not counted before.
const IN_STAT_IO: &str = "SELECT sum(writes)::float8 AS writes, sum(fsyncs)::float8 AS syncs, \
    sum(write_time) AS write_millis, sum(fsync_time) AS sync_millis FROM pg_stat_io \
    WHERE object = 'wal' AND context = 'normal'";

const fn row(wal_page_magic: u16, control_version: u32, backup: (&'static str, &'static str)) -> Traits {
    Traits {
        wal_page_magic,
        control_version,
        backup_start: backup.0,
        backup_stop: backup.1,
        checksums_by_default: false,
        forbids_alter_system: false,
        wal_io: IN_STAT_WAL,
    }
}

const PG14: Traits = row(0xD10D, 1300, UNTIL_14);
const PG15: Traits = row(0xD110, 1300, SINCE_15);
const PG16: Traits = row(0xD113, 1300, SINCE_15);
const PG17: Traits = Traits { forbids_alter_system: true, ..row(0xD116, 1700, SINCE_15) };
const PG18: Traits = Traits {
    forbids_alter_system: true,
    checksums_by_default: true,
    wal_io: IN_STAT_IO,
    ..row(0xD118, 1800, SINCE_15)
};

/// The version is unknown, or its programs are not installed.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// Not one of 14 to 18.
    #[error("failed to use PostgreSQL version {0:?}: only {OLDEST} to {NEWEST} are supported")]
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
    pub const OLDEST: Major = Major(OLDEST);
    /// The newest supported.
    pub const NEWEST: Major = Major(NEWEST);

    /// From a number such as 15.
    pub fn new(number: u16) -> Result<Self, VersionError> {
        if (OLDEST..=NEWEST).contains(&number) {
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

    /// Every one, oldest first.
    pub fn all() -> impl Iterator<Item = Major> {
        (OLDEST..=NEWEST).map(Major)
    }

    /// Its row of the table.
    #[must_use]
    pub fn traits(self) -> &'static Traits {
        match self.0 {
            14 => &PG14,
            15 => &PG15,
            16 => &PG16,
            17 => &PG17,
            _ => &PG18,
        }
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
        Self::all().filter(|major| major.bin_dir().is_ok()).collect()
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

    /// As each of them says: `tests/majors.rs` holds the same against the real ones, where they are.
    #[test]
    fn each_major_has_its_row() {
        let rows: Vec<_> = Major::all().map(|major| (major.number(), *major.traits())).collect();
        let has = |number: u16| rows.iter().find(|(major, _)| *major == number).unwrap().1;
        assert_eq!(rows.len(), 5);
        assert!(
            rows.is_sorted_by(|(_, a), (_, b)| a.wal_page_magic < b.wal_page_magic),
            "no two read each other's WAL"
        );
        assert!(rows.is_sorted_by_key(|(_, row)| row.control_version));
        for (major, row) in &rows {
            assert_eq!(row.backup_start.starts_with("pg_start_backup"), *major == 14);
            assert_eq!(row.backup_stop.starts_with("pg_stop_backup"), *major == 14);
            assert_eq!(row.forbids_alter_system, *major >= 17);
            assert_eq!((row.checksums_by_default, row.wal_io == IN_STAT_IO), (*major >= 18, *major >= 18));
        }
        assert_eq!((has(14).wal_page_magic, has(18).wal_page_magic), (0xD10D, 0xD118));
    }
}
