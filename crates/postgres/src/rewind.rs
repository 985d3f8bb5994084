//! pg_rewind: makes a diverged data directory follow another instance again.

use std::process::Command;
use std::time::Duration;

use crate::process::Postgres;
use crate::reap::Reaper;
use crate::run::RunError;

/// What pg_rewind did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewound {
    /// Blocks were copied from the source.
    Rewound,
    /// The data directory had not diverged.
    NotNeeded,
}

/// Runs pg_rewind against a running source that has done a checkpoint on its timeline (earlier, it would see
/// the old one and do nothing). A target that was not shut down cleanly is recovered by pg_rewind first, in
/// single-user mode.
///
/// `source_conninfo` is a libpq connection string without a password. The caller has marked the volume
/// ([`crate::dir::Volume::mark_rewinding`]) and clones anew when this fails: a rewind that was cut off leaves
/// a directory that looks whole and is not. `restore_command` of the target's configuration is used for WAL
/// that it no longer has.
pub async fn rewind(
    reaper: &Reaper,
    postgres: &Postgres,
    source_conninfo: &str,
    deadline: Duration,
) -> Result<Rewound, RunError> {
    let mut command = Command::new(postgres.program("pg_rewind"));
    command
        .arg(format!("--source-server={source_conninfo}"))
        .arg("--target-pgdata")
        .arg(&postgres.pgdata)
        .arg("--restore-target-wal")
        .env("LC_ALL", "C");
    reaper.settled().await;
    let output = reaper.run(&mut command, deadline).await?.successful()?;
    let said = |text: &str| output.stdout.contains(text) || output.stderr.contains(text);
    Ok(if said("no rewind required") { Rewound::NotNeeded } else { Rewound::Rewound })
}
