//! ALTER SYSTEM: kept from happening unless the user allows it, and from changing what the manager sets.
//!
//! `postgresql.auto.conf` is read after every file of ours, so that one line in it could take
//! `synchronous_standby_names` away. Postgres 17 can forbid ALTER SYSTEM (`allow_alter_system`); before, a directory
//! in the place of its temporary file does: the command fails, and changes nothing. Base backups and pg_rewind leave
//! that name out.

use pgherd_core::pgconf::reserved;
use pgherd_postgres::files::{FileError, write_durable};
use std::io::ErrorKind;
use std::path::Path;

/// What ALTER SYSTEM writes.
const FILE: &str = "postgresql.auto.conf";
/// What it writes first.
const TEMPORARY: &str = "postgresql.auto.conf.tmp";

/// Allows or forbids ALTER SYSTEM in `pgdata`, and takes out of its file what is not the user's. Blocks; true when
/// the file was changed.
///
/// # Errors
/// [`FileError`] when the volume cannot be written.
pub fn keep(pgdata: &Path, allowed: bool) -> Result<bool, FileError> {
    let temporary = pgdata.join(TEMPORARY);
    let done = if allowed {
        std::fs::remove_dir(&temporary)
    } else {
        // A file is what an ALTER SYSTEM left that was cut off.
        if temporary.is_file() { std::fs::remove_file(&temporary) } else { Ok(()) }
            .and_then(|()| std::fs::create_dir(&temporary))
    };
    match done {
        Err(error)
            if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Err(FileError { verb: "allow or forbid ALTER SYSTEM by", path: temporary, source: error });
        }
        _ => {}
    }
    clean(&pgdata.join(FILE))
}

fn clean(path: &Path) -> Result<bool, FileError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(FileError { verb: "read", path: path.to_owned(), source }),
    };
    // Postgres writes one setting a line, name first.
    let ours = |line: &&str| line.split(['=', ' ', '\t']).next().is_some_and(|name| reserved(name).is_some());
    let kept: String = text.split_inclusive('\n').filter(|line| !ours(line)).collect();
    if kept == text {
        return Ok(false);
    }
    tracing::warn!("ALTER SYSTEM had set what the manager sets: that is taken back");
    write_durable(path, kept.as_bytes(), 0o600).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_the_managers_is_taken_out_and_the_users_stay() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        std::fs::write(&file, "# not by hand\nwork_mem = '8MB'\nsynchronous_standby_names = ''\n").unwrap();
        assert!(keep(dir.path(), false).unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "# not by hand\nwork_mem = '8MB'\n");
        assert!(dir.path().join(TEMPORARY).is_dir());
        assert!(!keep(dir.path(), false).unwrap(), "once is enough");
        keep(dir.path(), true).unwrap();
        assert!(!dir.path().join(TEMPORARY).exists());
        keep(dir.path(), true).unwrap();
    }

    #[test]
    fn what_a_cut_off_command_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(TEMPORARY), "x").unwrap();
        keep(dir.path(), false).unwrap();
        assert!(dir.path().join(TEMPORARY).is_dir());
    }
}
