//! Where the parts of a base backup lie in an archive, as barman-cloud lays them out, and back again.
//!
//! Keys are relative to `<prefix of destinationPath>/<serverName>/`: `base/<id>/backup.info`, `data.tar[.gz]` and
//! one `<oid>.tar[.gz]` per tablespace beside it, each followed by `_0001` and so on where it grew too large for one
//! object; `annotations/keep` holds a backup back from retention (barman 3.19, `cloud.py`).

use super::Timestamp;
use crate::wal::Compression;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// The folder of all base backups, with its slash.
pub const BASE: &str = "base/";

/// The name of a backup's folder: `YYYYMMDDTHHMMSS`. Ordered as the times are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

/// The text names no backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to read {0:?} as the id of a backup: expected a time, as 20261123T202108")]
pub struct BackupIdError(pub String);

/// What one archive of a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tree {
    /// The data directory.
    Data,
    /// A tablespace, by its OID.
    Tablespace(u32),
}

/// The name of one archive: `data.tar.gz`, `data_0001.tar.gz`, `16384.tar`. Ordered by tree, then part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveName {
    /// What is in it.
    pub tree: Tree,
    /// Which part of it, from zero.
    pub part: u32,
    /// How the whole object is compressed.
    pub compression: Option<Compression>,
}

/// The text names no archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to read {0:?} as an archive of a backup: expected data.tar or OID.tar, and a suffix of its compression"
)]
pub struct ArchiveNameError(pub String);

/// An object of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseObject {
    /// `backup.info`: written last, so a backup without it was never finished.
    Info,
    /// An archive.
    Archive(ArchiveName),
    /// `annotations/keep`: retention leaves this backup alone.
    Keep,
    /// Something else in its folder.
    Other(String),
}

impl BackupId {
    /// The id of a backup that starts at this second, in the zone of the time, as barman does it.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self(time.compact())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its folder, with the slash at its end.
    #[must_use]
    pub fn folder(&self) -> String {
        format!("{BASE}{}/", self.0)
    }

    /// The key of an object of it.
    #[must_use]
    pub fn key(&self, object: &BaseObject) -> String {
        format!("{}{object}", self.folder())
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BackupId {
    type Err = BackupIdError;

    fn from_str(text: &str) -> Result<Self, BackupIdError> {
        let digits = |part: &str, many: usize| part.len() == many && part.bytes().all(|b| b.is_ascii_digit());
        match text.split_once('T') {
            Some((date, time)) if digits(date, 8) && digits(time, 6) => Ok(Self(text.to_owned())),
            _ => Err(BackupIdError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for BackupId {
    type Error = BackupIdError;

    fn try_from(text: String) -> Result<Self, BackupIdError> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> String {
        id.0
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data => f.write_str("data"),
            Self::Tablespace(oid) => write!(f, "{oid}"),
        }
    }
}

impl fmt::Display for ArchiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.tree)?;
        if self.part > 0 {
            write!(f, "_{:04}", self.part)?;
        }
        write!(f, ".tar{}", self.compression.map_or("", Compression::suffix))
    }
}

impl FromStr for ArchiveName {
    type Err = ArchiveNameError;

    fn from_str(text: &str) -> Result<Self, ArchiveNameError> {
        let bad = || ArchiveNameError(text.to_owned());
        let (stem, suffix) = text.split_once(".tar").ok_or_else(bad)?;
        let compression = match suffix {
            "" => None,
            other => Some(Compression::ALL.into_iter().find(|c| c.suffix() == other).ok_or_else(bad)?),
        };
        let number = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse::<u32>().ok()).flatten().ok_or_else(bad)
        };
        let (tree, part) = match stem.split_once('_') {
            None => (stem, 0),
            Some((tree, part)) => (tree, number(part)?),
        };
        let tree = if tree == "data" { Tree::Data } else { Tree::Tablespace(number(tree)?) };
        let read = Self { tree, part, compression };
        if read.to_string() == text { Ok(read) } else { Err(bad()) }
    }
}

impl fmt::Display for BaseObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Info => f.write_str("backup.info"),
            Self::Archive(name) => write!(f, "{name}"),
            Self::Keep => f.write_str("annotations/keep"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// What lies at a key that is relative to the server's root; nothing if it is no object of a backup.
#[must_use]
pub fn parse_base_key(key: &str) -> Option<(BackupId, BaseObject)> {
    let (id, object) = key.strip_prefix(BASE)?.split_once('/')?;
    let object = match object {
        "backup.info" => BaseObject::Info,
        "annotations/keep" => BaseObject::Keep,
        other => other.parse().map_or_else(|_| BaseObject::Other(other.to_owned()), BaseObject::Archive),
    };
    Some((id.parse().ok()?, object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn archive(tree: Tree, part: u32, compression: Option<Compression>) -> BaseObject {
        BaseObject::Archive(ArchiveName { tree, part, compression })
    }

    #[test]
    fn lays_a_backup_out_as_barman_does() {
        let id: BackupId = "20261123T202108".parse().unwrap();
        assert_eq!(BackupId::at("2026-11-23 20:21:08.239371+00:00".parse().unwrap()), id);
        for (object, key) in [
            (BaseObject::Info, "base/20261123T202108/backup.info"),
            (BaseObject::Keep, "base/20261123T202108/annotations/keep"),
            (archive(Tree::Data, 0, Some(Compression::Gzip)), "base/20261123T202108/data.tar.gz"),
            (archive(Tree::Data, 1, Some(Compression::Bzip2)), "base/20261123T202108/data_0001.tar.bz2"),
            (archive(Tree::Data, 12_345, None), "base/20261123T202108/data_12345.tar"),
            (archive(Tree::Tablespace(16384), 0, Some(Compression::Snappy)), "base/20261123T202108/16384.tar.snappy"),
            (BaseObject::Other("notes/one".to_owned()), "base/20261123T202108/notes/one"),
        ] {
            assert_eq!(id.key(&object), key);
            assert_eq!(parse_base_key(key), Some((id.clone(), object)));
        }
    }

    #[test]
    fn what_is_no_archive_is_told_apart() {
        for name in [
            "data",
            "data.tar.",
            "data.tar.gz.gz",
            "data_1.tar",
            "data_0000.tar",
            "0x1.tar",
            "01.tar",
            "_0001.tar",
            ".tar",
        ] {
            assert!(name.parse::<ArchiveName>().is_err(), "{name}");
        }
        for key in [
            "wals/00000002.history",
            "base/",
            "base/latest/backup.info",
            "base/20261123T2021/x",
            "/base/20261123T202108/x",
        ] {
            assert_eq!(parse_base_key(key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn every_key_leads_back_to_its_object(id in "[0-9]{8}T[0-9]{6}", oid: Option<u32>, part in 0_u32..20_000, at in 0_usize..7) {
            let id: BackupId = id.parse().unwrap();
            let object = archive(oid.map_or(Tree::Data, Tree::Tablespace), part, Compression::ALL.get(at).copied());
            prop_assert_eq!(parse_base_key(&id.key(&object)), Some((id, object)));
        }

        #[test]
        fn any_key_is_read_or_passed_over(key in "base/[0-9]{8}T[0-9]{6}/[a-z0-9_./]{0,20}|\\PC*") {
            if let Some((id, object)) = parse_base_key(&key) {
                prop_assert_eq!(id.key(&object), key);
            }
        }
    }
}
