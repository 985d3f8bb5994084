//! Clearing what a crash left, by recorded ids only.

use std::path::Path;

use nix::sys::signal::Signal;

use super::options::{Layout, UpOptions};
use super::{DaemonError, rootless};
use crate::net::namespace::NetworkNamespace;
use crate::node::disk;
use crate::node::process::ProcessId;
use crate::node::records::Records;

/// The daemon of a state directory, if it is alive.
pub(super) fn living(state_dir: &Path) -> Option<ProcessId> {
    let text = std::fs::read(Layout::new(state_dir).daemon()).ok()?;
    let id: ProcessId = serde_json::from_slice(&text).ok()?;
    id.is_alive().then_some(id)
}

/// Ends the daemon if it is alive, every process that it noted, and the network namespace. Data stay. Answers what was
/// there, for people; empty if nothing was.
///
/// # Errors
/// If the namespace cannot be removed.
pub async fn sweep(state_dir: &Path) -> Result<Vec<String>, DaemonError> {
    let layout = Layout::new(state_dir);
    let mut found = Vec::new();
    if let Some(daemon) = living(state_dir) {
        daemon.signal(Signal::SIGKILL);
        found.push(format!("the daemon (process {})", daemon.pid));
    }
    if layout.processes().is_dir() {
        let records = Records::open(&layout.processes()).map_err(DaemonError::file(layout.processes()))?;
        let killed = records.sweep();
        if killed > 0 {
            found.push(format!("{killed} processes of pods"));
        }
    }
    let volumes = disk::release_all(&layout.node()).await;
    if volumes > 0 {
        found.push(format!("{volumes} mounted volumes"));
    }
    let options = std::fs::read(layout.options()).ok().and_then(|text| serde_json::from_slice::<UpOptions>(&text).ok());
    // Without root it has gone with the daemon; one of that name is another's.
    if let Some(options) = options.filter(|_| !rootless::is_wanted()) {
        let network = NetworkNamespace::of(&options.name);
        if network.exists() {
            network.delete().await?;
            found.push(format!("network namespace {}", network.name()));
        }
    }
    for file in [layout.daemon(), layout.socket()] {
        // Not there: as wanted.
        let _gone = std::fs::remove_file(file);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_daemon_of_another_boot_is_not_taken_for_who_has_its_id_now() {
        let directory = tempfile::tempdir().unwrap();
        let note = |id: ProcessId| {
            std::fs::write(Layout::new(directory.path()).daemon(), serde_json::to_vec(&id).unwrap()).unwrap();
        };
        let own = ProcessId::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        note(own);
        assert_eq!(living(directory.path()), Some(own));
        note(ProcessId { boot: "1".parse().unwrap(), ..own });
        assert_eq!(living(directory.path()), None);
        // Were it taken for the daemon, this very process would be killed now.
        assert_eq!(sweep(directory.path()).await.unwrap(), Vec::<String>::new());
        assert!(!Layout::new(directory.path()).daemon().exists());
    }
}
