//! Tablespaces of a database that was restored: folders below `<volume>/tablespaces`, each of one data directory alone, so
//! that a copy is made beside what is there.

use crate::dir::{DirError, Volume};
use crate::files::{failed, remove_dir_durable};
use crate::sql::{Session, SqlError, within};
use pgherd_core::identity::Nonce;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, ReadDir};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOCATIONS: &str = "SELECT oid::text || ' ' || pg_tablespace_location(oid) FROM pg_tablespace \
    WHERE pg_tablespace_location(oid) <> ''";

/// OID and place of each, on the server.
pub async fn locations(session: &Session, deadline: Duration) -> Result<Vec<(u32, String)>, SqlError> {
    let rows = within("look for tablespaces", deadline, session.client().query(LOCATIONS, &[])).await?;
    let texts = rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok());
    Ok(texts
        .filter_map(|text| text.split_once(' ').and_then(|(oid, at)| Some((oid.parse().ok()?, at.into()))))
        .collect())
}

impl Volume {
    /// A folder for a copy of a tablespace, which is not there yet.
    #[must_use]
    pub fn free_tablespace(&self, oid: u32, nonce: &Nonce) -> PathBuf {
        let numbered = |number: u64| self.tablespaces().join(format!("{nonce}-{number}-{oid}"));
        (1..).map(numbered).find(|path| !path.exists()).unwrap_or_else(|| numbered(0))
    }

    /// Removes the folders that no data directory of this volume uses, whole or not.
    pub fn sweep_tablespaces(&self) -> Result<(), DirError> {
        let Some(folders) = listed(&self.tablespaces())? else { return Ok(()) };
        let content = self.inspect()?;
        let unfinished = content.unfinished.into_iter().map(|unfinished| unfinished.path);
        let mut used = BTreeSet::new();
        for directory in
            content.replaced.into_iter().chain(unfinished).chain([self.pgdata().to_owned(), self.recovering()])
        {
            used.extend(linked(&directory.join("pg_tblspc"))?);
        }
        for folder in folders {
            let path = folder.map_err(failed("list", &self.tablespaces()))?.path();
            let name = path.file_name().unwrap_or_default().to_owned();
            // By its name one of ours: what a person has put there is a person's.
            let ours = name.to_string_lossy().rsplit('-').next().is_some_and(|oid| oid.parse::<u32>().is_ok());
            if ours && !used.contains(&name) {
                remove_dir_durable(&path)?;
            }
        }
        Ok(())
    }
}

/// Where the links in a folder lead to: the last part of each.
fn linked(folder: &Path) -> Result<BTreeSet<OsString>, DirError> {
    let Some(entries) = listed(folder)? else { return Ok(BTreeSet::new()) };
    let mut names = BTreeSet::new();
    for entry in entries {
        let path = entry.map_err(failed("list", folder))?.path();
        let to = fs::read_link(&path).map_err(failed("read", &path))?;
        names.extend(to.file_name().map(ToOwned::to_owned));
    }
    Ok(names)
}

fn listed(folder: &Path) -> Result<Option<ReadDir>, DirError> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("list", folder)(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_folder_that_no_data_directory_uses_is_swept_and_no_other() {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::of_pgdata(&root.path().join("pgdata"));
        volume.sweep_tablespaces().unwrap();
        let nonce = Nonce("0c1f-7".to_owned());
        for (directory, name) in [("pgdata", "16384"), ("pgdata.old-n", "n-1-16384"), ("pgdata.recovering", "16385")] {
            let links = root.path().join(directory).join("pg_tblspc");
            fs::create_dir_all(&links).unwrap();
            symlink(volume.tablespaces().join(name), links.join("16384")).unwrap();
            fs::create_dir_all(volume.tablespaces().join(name)).unwrap();
        }
        let left_over = volume.free_tablespace(16384, &nonce);
        fs::create_dir(&left_over).unwrap();
        assert_ne!(volume.free_tablespace(16384, &nonce), left_over);
        fs::create_dir(volume.tablespaces().join("somebodys")).unwrap();
        volume.sweep_tablespaces().unwrap();
        let entries = fs::read_dir(volume.tablespaces()).unwrap().flatten();
        let left: BTreeSet<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert_eq!(left, ["16384", "16385", "n-1-16384", "somebodys"].map(str::to_owned).into());
    }
}
