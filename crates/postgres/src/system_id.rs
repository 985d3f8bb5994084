//! Whose a data directory is, read without a process and beside a running postgres: `system_identifier` is the first field
//! of its control file, in all versions (`ControlFileData` in `catalog/pg_control.h`).

use pgherd_core::identity::SystemId;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// The system identifier. Blocks.
///
/// # Errors
/// There is no control file, or nothing in it: this is no data directory, or a damaged one.
pub fn system_of(pgdata: &Path) -> Result<SystemId> {
    let path = pgdata.join("global/pg_control");
    let mut field = [0; 8];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut field));
    read.map_err(|error| Error::new(error.kind(), format!("failed to read {}: {error}", path.display())))?;
    // Little-endian, as on every machine that there is an image of.
    match u64::from_le_bytes(field) {
        0 => Err(Error::new(ErrorKind::InvalidData, format!("{} names no database system", path.display()))),
        system => Ok(SystemId(system)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_file_begins_with_whose_it_is_and_none_or_a_damaged_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(system_of(folder.path()).unwrap_err().kind(), ErrorKind::NotFound);
        std::fs::create_dir(folder.path().join("global")).unwrap();
        let write = |content: &[u8]| std::fs::write(folder.path().join("global/pg_control"), content).unwrap();
        let mut content = [0; 8192];
        write(&content);
        assert_eq!(system_of(folder.path()).unwrap_err().kind(), ErrorKind::InvalidData);
        content[..8].copy_from_slice(&7_711_463_800_684_117_721_u64.to_le_bytes());
        write(&content);
        assert_eq!(system_of(folder.path()).unwrap(), SystemId(7_711_463_800_684_117_721));
        write(&content[..7]);
        assert_eq!(system_of(folder.path()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
