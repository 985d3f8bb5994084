//! Which objects a backup is made of, and whether they are all there.

use super::RestoreError;
use crate::catalog::Backup;
use pgherd_core::backup::{ArchiveName, BackupId, BackupInfo, Tree};
use std::collections::BTreeMap;

/// One object to bring back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it is.
    pub key: String,
    /// Bytes stored.
    pub size: u64,
    /// What it is.
    pub name: ArchiveName,
}

/// Every object of a complete backup, the largest first. Refused where a part is missing: each is a whole archive of
/// its own, so nothing but its absence would tell.
pub fn pieces(backup: &Backup) -> Result<(BackupInfo, Vec<Piece>), RestoreError> {
    let id = &backup.entry.id;
    if let Some(error) = &backup.unreadable {
        return Err(RestoreError::Info { backup: id.clone(), source: error.clone() });
    }
    let info = backup.info.clone().filter(|_| backup.entry.span().is_some());
    let info = info.ok_or_else(|| RestoreError::NotComplete { backup: id.clone() })?;
    let mut parts: BTreeMap<Tree, Vec<u32>> = BTreeMap::new();
    for (name, _) in &backup.archives {
        parts.entry(name.tree).or_default().push(name.part);
    }
    let trees = [Tree::Data].into_iter().chain(info.tablespaces.iter().map(|space| Tree::Tablespace(space.oid)));
    for tree in trees {
        let mut numbers = parts.remove(&tree).unwrap_or_default();
        numbers.sort_unstable();
        let expected = 0..u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        if numbers.is_empty() || !numbers.iter().copied().eq(expected.clone()) {
            let part = expected.zip(&numbers).find(|(wanted, there)| wanted != *there).map_or(0, |(wanted, _)| wanted);
            return Err(missing(id, ArchiveName { tree, part, compression: None }));
        }
    }
    let mut pieces: Vec<Piece> = backup
        .archives
        .iter()
        .filter(|(name, _)| !parts.contains_key(&name.tree))
        .map(|(name, object)| Piece { key: object.key.clone(), size: object.size, name: *name })
        .collect();
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.size));
    Ok((info, pieces))
}

fn missing(id: &BackupId, name: ArchiveName) -> RestoreError {
    RestoreError::Missing { backup: id.clone(), name: name.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgherd_core::backup::Entry;
    use pgherd_objectstore::ObjectInfo;

    const INFO: &str = "status=DONE\nversion=150018\ntimeline=1\nbegin_xlog=0/5000028\nend_xlog=0/60D4390\nsystemid=7\n\
        begin_wal=000000010000000000000005\nend_wal=000000010000000000000006\nbegin_time=2026-11-23 20:21:08+00:00\n\
        end_time=2026-11-23 20:21:26+00:00\ntablespaces=[('ts1', 16384, '/ts')]\n";

    fn backup(info: &str, objects: &[(&str, u64)]) -> Backup {
        let info = BackupInfo::parse(info).expect("info");
        let archives = objects.iter().filter_map(|(name, size)| {
            let key = format!("base/20261123T202108/{name}");
            Some((name.parse().ok()?, ObjectInfo { key, size: *size, modified: None, tag: None }))
        });
        let entry = Entry::new("20261123T202108".parse().expect("id"), Some(&info), None);
        Backup { entry, info: Some(info), unreadable: None, archives: archives.collect(), objects: Vec::new() }
    }

    fn said(info: &str, objects: &[(&str, u64)]) -> String {
        pieces(&backup(info, objects)).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn every_part_and_every_tablespace_is_brought_back_the_largest_first() {
        let objects = [("16384.tar.gz", 5), ("data.tar.gz", 9), ("data_0001.tar.gz", 3), ("99.tar", 1), ("notes", 1)];
        let (_, pieces) = pieces(&backup(INFO, &objects)).expect("pieces");
        let names: Vec<String> = pieces.iter().map(|piece| piece.name.to_string()).collect();
        assert_eq!(names, ["data.tar.gz", "16384.tar.gz", "data_0001.tar.gz"], "an unknown tablespace is nobody's");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(said(INFO, &[("16384.tar.gz", 5)]).contains("data.tar"));
        assert!(said(INFO, &[("data.tar.gz", 5)]).contains("16384.tar"));
        let hole = [("16384.tar", 5), ("data.tar.gz", 5), ("data_0002.tar.gz", 5)];
        assert!(said(INFO, &hole).contains("data_0001.tar"), "{}", said(INFO, &hole));
        assert!(said(&INFO.replace("DONE", "FAILED"), &[]).contains("not complete"));
    }
}
