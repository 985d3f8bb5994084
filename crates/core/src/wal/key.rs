//! Where a WAL file lies in an archive, as barman-cloud lays it out, and back again.
//!
//! Keys are relative to `<prefix of destinationPath>/<serverName>/`: segments, partial segments and backup
//! labels under `wals/<16 digits>/`, history files directly under `wals/`; the suffix says how the whole
//! object is compressed (barman 3.17, `cloud.py` and `xlog.py`).

use super::{WalName, WalNameError};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// How a WAL object is compressed; barman's names, also those of `wal.compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// `.gz`
    Gzip,
    /// `.bz2`
    Bzip2,
    /// `.xz`
    Xz,
    /// `.snappy`
    Snappy,
    /// `.zst`
    Zstd,
    /// `.lz4`
    Lz4,
}

/// No such compression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no compression {0:?}: choose gzip, bzip2, xz, snappy, zstd or lz4")]
pub struct CompressionError(pub String);

/// The object is not a WAL file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalKeyError {
    /// It is not under `wals/`.
    #[error("failed to read {0:?} as a WAL object: it does not start with wals/")]
    Elsewhere(String),
    /// It is under `wals/`, in another directory than its name wants.
    #[error("failed to read {0:?} as a WAL object: it lies in the wrong directory")]
    Misplaced(String),
    /// Its last part names no WAL file.
    #[error("failed to read the name of a WAL object")]
    Name(#[source] WalNameError),
}

impl Compression {
    /// Every compression.
    pub const ALL: [Compression; 6] = [Self::Gzip, Self::Bzip2, Self::Xz, Self::Snappy, Self::Zstd, Self::Lz4];

    /// The suffix of a compressed object, with its dot.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Xz => ".xz",
            Self::Snappy => ".snappy",
            Self::Zstd => ".zst",
            Self::Lz4 => ".lz4",
        }
    }

    /// The name in a manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        Self::ALL.into_iter().find(|c| c.as_str() == text).ok_or_else(|| CompressionError(text.to_owned()))
    }
}

/// The directory of a file, with its trailing slash: `wals/0000000100000000/`, or `wals/` for history files.
#[must_use]
pub fn directory(name: WalName) -> String {
    match name.segment_name() {
        None => "wals/".to_owned(),
        Some(segment) => format!("wals/{}/", segment.directory()),
    }
}

/// The key of a file, relative to the server's root.
#[must_use]
pub fn object_key(name: WalName, compression: Option<Compression>) -> String {
    format!("{}{name}{}", directory(name), compression.map_or("", Compression::suffix))
}

/// What lies at a key that is relative to the server's root: the inverse of [`object_key`].
///
/// # Errors
/// [`WalKeyError`] says why it is not a WAL object; archives hold other things as well.
pub fn parse_key(key: &str) -> Result<(WalName, Option<Compression>), WalKeyError> {
    if !key.starts_with("wals/") {
        return Err(WalKeyError::Elsewhere(key.to_owned()));
    }
    let file = key.rsplit_once('/').map_or(key, |(_, file)| file);
    let compressed =
        Compression::ALL.into_iter().find_map(|c| file.strip_suffix(c.suffix()).map(|stem| (stem, Some(c))));
    let (stem, compression) = compressed.unwrap_or((file, None));
    let name: WalName = stem.parse().map_err(WalKeyError::Name)?;
    if object_key(name, compression) == key {
        Ok((name, compression))
    } else {
        Err(WalKeyError::Misplaced(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lays_files_out_as_barman_does() {
        for (name, compression, key) in [
            ("000000010000000000000001", Some(Compression::Gzip), "wals/0000000100000000/000000010000000000000001.gz"),
            ("00000001000000AB00000001", None, "wals/00000001000000AB/00000001000000AB00000001"),
            (
                "000000010000000000000005.00000028.backup",
                Some(Compression::Gzip),
                "wals/0000000100000000/000000010000000000000005.00000028.backup.gz",
            ),
            (
                "000000010000000000000005.partial",
                Some(Compression::Lz4),
                "wals/0000000100000000/000000010000000000000005.partial.lz4",
            ),
            ("00000002.history", Some(Compression::Zstd), "wals/00000002.history.zst"),
        ] {
            let name = name.parse().unwrap();
            assert_eq!(object_key(name, compression), key);
            assert_eq!(parse_key(key), Ok((name, compression)));
        }
    }

    #[test]
    fn refuses_what_barman_would_not_look_for() {
        for key in [
            "base/20261123T202108/data.tar.gz",
            "wals",
            "wals/",
            "wals/000000010000000000000001.gz",
            "wals/0000000100000001/000000010000000000000001.gz",
            "wals/0000000100000000/0000000100000000/000000010000000000000001",
            "wals/0000000200000000/00000002.history",
            "wals/0000000100000000/000000010000000000000001.gz.gz",
            "/wals/00000002.history",
        ] {
            assert!(parse_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn compressions_are_named_as_in_a_manifest() {
        for c in Compression::ALL {
            assert_eq!(c.as_str().parse(), Ok(c));
            assert_eq!(serde_json::to_value(c).unwrap(), c.as_str());
        }
        assert!("GZIP".parse::<Compression>().is_err());
    }

    proptest! {
        #[test]
        fn every_key_leads_back_to_its_name(
            name in "[0-9A-F]{7}[1-9A-F][0-9A-F]{16}(\\.partial|\\.[0-9A-F]{8}\\.backup)?|[0-9A-F]{7}[1-9A-F]\\.history",
            compression in proptest::option::of(proptest::sample::select(&Compression::ALL[..])),
        ) {
            let name: WalName = name.parse().unwrap();
            prop_assert_eq!(parse_key(&object_key(name, compression)), Ok((name, compression)));
        }

        #[test]
        fn any_key_is_read_or_refused(key in "(wals/)?[0-9A-F/.gz]{0,60}|\\PC*") {
            if let Ok((name, compression)) = parse_key(&key) {
                prop_assert_eq!(object_key(name, compression), key);
            }
        }
    }
}
