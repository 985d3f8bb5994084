//! What every report says about where its numbers are from.

use crate::demo::Host;
use serde::{Deserialize, Serialize};
use std::process::Command;

/// What a report begins with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The commit that ran, with `-dirty` where the tree was changed.
    pub commit: String,
    /// What repeats it.
    pub command: String,
    /// RFC 3339.
    pub started_at: String,
    /// The machine.
    pub host: Host,
    /// Its load before; above its cores, something else was running.
    pub load_before: f64,
}

impl Head {
    /// Of a report that is begun now.
    #[must_use]
    pub fn now(command: String) -> Self {
        let started_at = jiff::Timestamp::now().to_string();
        Self { commit: commit(), command, started_at, host: host(), load_before: load() }
    }
}

/// The commit that runs, with `-dirty` where the tree was changed.
#[must_use]
pub fn commit() -> String {
    let Some(head) = said("git", &["rev-parse", "HEAD"]) else { return "unknown".to_owned() };
    let clean =
        said("git", &["--no-optional-locks", "status", "--porcelain"]).is_some_and(|changes| changes.is_empty());
    if clean { head } else { format!("{head}-dirty") }
}

/// The machine.
#[must_use]
pub fn host() -> Host {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Host {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_mib: kib.unwrap_or(0) / 1024,
        system: said("uname", &["-srm"]).unwrap_or_default(),
        build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}

/// The load of the last minute.
fn load() -> f64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
