//! Files of a database damaged on the disk, with what is needed to take it back.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::request::{Damage, WalDamage};

/// A page of postgres.
const PAGE: u64 = 8192;
/// What is written over a part of a page.
const SCRIBBLE: [u8; 512] = [0xA5; 512];
/// Where in the page: behind its header, so that only a checksum tells.
const WITHIN: u64 = 4096;
/// Relations below this belong to the system.
const FIRST_NORMAL_OID: u32 = 16_384;
/// Where whole files are kept, in the root of the volume, where postgres does not look.
const SAVED: &str = ".pgherd-saved";

/// What was there before.
#[derive(Debug, Clone)]
pub(super) enum Saved {
    /// So many bytes of a file.
    Bytes { file: PathBuf, at: u64, content: Vec<u8> },
    /// A whole file.
    File { file: PathBuf, kept: PathBuf },
}

impl Saved {
    /// What was damaged.
    pub(super) fn file(&self) -> &Path {
        match self {
            Self::Bytes { file, .. } | Self::File { file, .. } => file,
        }
    }
}

/// Damages something; says what, and keeps what was there. `data` and `wal` are the roots of the volumes.
pub(super) fn put(what: &Damage, data: &Path, wal: &Path, id: &str) -> io::Result<(String, Saved)> {
    match what {
        Damage::Page { file, block } => {
            let file = match file {
                Some(file) => data.join("pgdata").join(file),
                None => largest_relation(&data.join("pgdata/base"))?,
            };
            let at = u64::from(*block).saturating_mul(PAGE).saturating_add(WITHIN);
            let opened = OpenOptions::new().read(true).write(true).open(&file)?;
            let mut content = vec![0; SCRIBBLE.len()];
            opened.read_exact_at(&mut content, at)?;
            opened.write_all_at(&SCRIBBLE, at)?;
            opened.sync_all()?;
            Ok((format!("page {block} of {} is damaged", file.display()), Saved::Bytes { file, at, content }))
        }
        Damage::Wal { segment, how } => {
            let directory = wal_directory(data, wal)?;
            let name = match segment {
                Some(segment) => segment.clone(),
                None => last_complete(&directory)?,
            };
            let (file, volume) = (directory.join(&name), if directory.starts_with(wal) { wal } else { data });
            let kept = volume.join(SAVED).join(id);
            fs::create_dir_all(volume.join(SAVED))?;
            let said = match how {
                WalDamage::Missing => {
                    fs::rename(&file, &kept)?;
                    "gone"
                }
                WalDamage::Truncated => {
                    fs::copy(&file, &kept)?;
                    let opened = OpenOptions::new().write(true).open(&file)?;
                    opened.set_len(opened.metadata()?.len() / 2)?;
                    "cut in half"
                }
            };
            Ok((format!("WAL file {name} is {said}"), Saved::File { file, kept }))
        }
    }
}

/// Takes it back, unless postgres has written something else there meanwhile, or has no use for it any more.
pub(super) fn take_back(saved: Saved) -> io::Result<()> {
    match saved {
        Saved::Bytes { file, at, content } => {
            let Ok(opened) = OpenOptions::new().read(true).write(true).open(&file) else { return Ok(()) };
            let mut now = vec![0; content.len()];
            if opened.read_exact_at(&mut now, at).is_ok() && now == SCRIBBLE {
                opened.write_all_at(&content, at)?;
                opened.sync_all()?;
            }
            Ok(())
        }
        Saved::File { file, kept } => {
            let shorter = match (file.metadata(), kept.metadata()) {
                (Ok(now), Ok(before)) => now.len() < before.len(),
                (Err(_), Ok(_)) => file.parent().is_some_and(Path::is_dir) && !file.exists(),
                _ => false,
            };
            if !shorter {
                return fs::remove_file(kept).or(Ok(()));
            }
            let owner = |path: &Path| {
                use std::os::unix::fs::MetadataExt;
                path.parent().and_then(|parent| parent.metadata().ok()).map(|found| (found.uid(), found.gid()))
            };
            if let Some((uid, gid)) = owner(&file) {
                std::os::unix::fs::chown(&kept, Some(uid), Some(gid))?;
            }
            fs::rename(kept, file)
        }
    }
}

/// Where the data directory has its WAL. With a volume of its own that is a link, good inside of the container only: its
/// last part is the folder on the volume, which after a copy is not the first one's (`pg_wal.<nonce>-<n>`).
fn wal_directory(data: &Path, wal: &Path) -> io::Result<PathBuf> {
    let own = data.join("pgdata/pg_wal");
    let directory = match fs::read_link(&own) {
        Ok(leads_to) => wal.join(leads_to.file_name().unwrap_or_default()),
        Err(_) => own,
    };
    let is_there = directory.join("archive_status").is_dir();
    is_there.then_some(directory).ok_or_else(|| io::Error::other("no pg_wal was found"))
}

/// The largest file of a user's relation, else of any.
fn largest_relation(base: &Path) -> io::Result<PathBuf> {
    let mut found: Vec<(bool, u64, PathBuf)> = Vec::new();
    for database in fs::read_dir(base)?.flatten() {
        for entry in fs::read_dir(database.path()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(oid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let size = entry.metadata().map(|found| found.len()).unwrap_or(0);
            if size >= PAGE {
                found.push((oid >= FIRST_NORMAL_OID, size, entry.path()));
            }
        }
    }
    found.into_iter().max().map(|(_, _, path)| path).ok_or_else(|| io::Error::other("no relation has a page"))
}

/// The segment before the one that is being written.
fn last_complete(directory: &Path) -> io::Result<String> {
    let is_segment = |name: &str| name.len() == 24 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        if let Some(name) = entry.file_name().to_str().filter(|name| is_segment(name)) {
            found.push((entry.metadata()?.modified()?, name.to_owned()));
        }
    }
    let current = found.iter().max().map(|(_, name)| name.clone());
    let before = found.iter().map(|(_, name)| name).filter(|name| current.as_ref().is_some_and(|c| *name < c)).max();
    before.cloned().ok_or_else(|| io::Error::other("there is no complete WAL file yet"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::{Damage, FileExt, SCRIBBLE, WITHIN, fs, put, take_back};
    use crate::fault::WalDamage;

    #[test]
    fn a_damaged_page_is_as_it_was_after_it_is_taken_back() {
        let volume = tempfile::tempdir().unwrap();
        let base = volume.path().join("pgdata/base/5");
        fs::create_dir_all(&base).unwrap();
        fs::write(base.join("1259"), vec![1; 65536]).unwrap();
        fs::write(base.join("16400"), vec![7; 16384]).unwrap();
        let what = Damage::Page { file: None, block: 1 };
        let (told, saved) = put(&what, volume.path(), volume.path(), "damage-1").unwrap();
        assert!(told.ends_with("base/5/16400 is damaged"), "a user's relation: {told}");
        let mut now = vec![0; 512];
        let file = File::open(base.join("16400")).unwrap();
        file.read_exact_at(&mut now, 8192 + WITHIN).unwrap();
        assert_eq!(now, SCRIBBLE);
        take_back(saved).unwrap();
        assert_eq!(fs::read(base.join("16400")).unwrap(), vec![7; 16384]);
    }

    #[test]
    fn the_wal_that_is_damaged_is_that_of_the_copy_and_not_of_what_it_replaced() {
        let (data, wal) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(data.path().join("pgdata")).unwrap();
        let name = "000000010000000000000003";
        let folders = ["pg_wal", "pg_wal.f00d-1"].map(|folder| wal.path().join(folder));
        for folder in &folders {
            fs::create_dir_all(folder.join("archive_status")).unwrap();
            fs::write(folder.join(name), vec![3; 4096]).unwrap();
        }
        let link = data.path().join("pgdata/pg_wal");
        for (leads_to, bitten) in [("pg_wal.f00d-1", 1), ("pg_wal", 0)] {
            let _none_yet = fs::remove_file(&link);
            std::os::unix::fs::symlink(format!("/nowhere/wal/{leads_to}"), &link).unwrap();
            let what = Damage::Wal { segment: Some(name.to_owned()), how: WalDamage::Missing };
            let (_, saved) = put(&what, data.path(), wal.path(), "damage-4").unwrap();
            let there = folders.each_ref().map(|folder| folder.join(name).exists());
            assert_eq!((there[bitten], there[1 - bitten]), (false, true), "{leads_to}");
            take_back(saved).unwrap();
            assert_eq!(fs::read(folders[bitten].join(name)).unwrap(), vec![3; 4096]);
        }
        let what = Damage::Wal { segment: None, how: WalDamage::Missing };
        fs::remove_file(&link).unwrap();
        assert!(put(&what, data.path(), wal.path(), "damage-5").is_err(), "no pg_wal of the data directory");
    }

    #[test]
    fn a_wal_file_that_is_missing_or_short_comes_back_unless_it_was_replaced() {
        let volume = tempfile::tempdir().unwrap();
        let wal = volume.path().join("pgdata/pg_wal");
        fs::create_dir_all(wal.join("archive_status")).unwrap();
        let name = "000000010000000000000003";
        for how in [WalDamage::Missing, WalDamage::Truncated] {
            fs::write(wal.join(name), vec![3; 4096]).unwrap();
            let what = Damage::Wal { segment: Some(name.to_owned()), how };
            let (_, saved) = put(&what, volume.path(), volume.path(), "damage-2").unwrap();
            assert!(fs::read(wal.join(name)).map_or(0, |content| content.len()) < 4096);
            take_back(saved).unwrap();
            assert_eq!(fs::read(wal.join(name)).unwrap(), vec![3; 4096]);
            let (_, saved) = put(&what, volume.path(), volume.path(), "damage-3").unwrap();
            fs::write(wal.join(name), vec![4; 4096]).unwrap();
            take_back(saved).unwrap();
            assert_eq!(fs::read(wal.join(name)).unwrap(), vec![4; 4096], "a new one is left alone");
        }
    }
}
