//! pg_basebackup: a copy of a running instance, with the WAL that it needs, into a new directory.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::Postgres;
use crate::reap::Reaper;
use crate::run::RunError;

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// KiB received.
    pub done_kib: u64,
    /// KiB expected; an estimate that may be passed.
    pub total_kib: u64,
}

/// Where a copy goes. All of it must be absent or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyInto {
    /// The data directory.
    pub pgdata: PathBuf,
    /// Its WAL, where that has a volume of its own.
    pub wal: Option<PathBuf>,
    /// Tablespaces: from where to where.
    pub spaces: Vec<(String, PathBuf)>,
}

/// Copies the instance at `source_conninfo`; pg_basebackup syncs all it writes. The checkpoint that it begins with is a fast one.
pub async fn basebackup(
    reaper: &Reaper,
    postgres: &Postgres,
    source_conninfo: &str,
    into: &CopyInto,
    deadline: Duration,
    mut progress: impl FnMut(CopyProgress),
) -> Result<(), RunError> {
    let mut command = Command::new(postgres.program("pg_basebackup"));
    command
        .arg(format!("--dbname={source_conninfo}"))
        .arg("--pgdata")
        .arg(&into.pgdata)
        .args(["--wal-method=stream", "--checkpoint=fast", "--progress", "--no-password"])
        .env("LC_ALL", "C");
    if let Some(wal) = &into.wal {
        command.arg("--waldir").arg(wal);
    }
    for (from, to) in &into.spaces {
        let escaped = |path: &str| path.replace('=', "\\=");
        let mapping = format!("{}={}", escaped(from), escaped(&to.to_string_lossy()));
        command.arg("--tablespace-mapping").arg(mapping);
    }
    let on_stderr = |piece: &[u8]| {
        let text = String::from_utf8_lossy(piece);
        if let Some(now) = text.split(['\r', '\n']).rev().find_map(parse_progress) {
            progress(now);
        }
    };
    reaper.settled().await;
    reaper.run_watched(&mut command, deadline, on_stderr).await?.successful().map(drop)
}

/// Reads a line as `23188/23188 kB (100%), 1/1 tablespace`.
fn parse_progress(line: &str) -> Option<CopyProgress> {
    let (numbers, _) = line.split_once(" kB ")?;
    let (done, total) = numbers.trim().split_once('/')?;
    Some(CopyProgress { done_kib: done.parse().ok()?, total_kib: total.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_and_other_lines_are_not() {
        let progress = parse_progress("    128/23188 kB (0%), 0/1 tablespace (/tmp/x)").unwrap();
        assert_eq!(progress, CopyProgress { done_kib: 128, total_kib: 23188 });
        for line in ["", "waiting for checkpoint", "a/b kB (", "pg_basebackup: error: connection to server"] {
            assert_eq!(parse_progress(line), None, "{line}");
        }
    }
}
