//! What is put beside an environment (binaries that a build does not replace) and what is left of it (logs, or nothing).

use super::Bed;
use anyhow::Context as _;
use core::time::Duration;
use pgherd_localkube::daemon::sweep;
use std::path::{Path, PathBuf};

/// How deep logs lie below a state directory.
const DEPTH: u32 = 6;

impl Bed {
    /// Copies the logs of the environment to where they outlive it.
    pub fn keep_logs(&self, to: &Path) {
        keep_logs(self.handle.state_dir(), to);
    }
}

/// The same, by the state directory alone.
pub fn keep_logs(state: &Path, to: &Path) {
    let _ = std::fs::create_dir_all(to);
    copy_logs(state, state, to, 0);
}

fn copy_logs(root: &Path, directory: &Path, to: &Path, depth: u32) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEPTH {
            copy_logs(root, &path, to, depth + 1);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "log") {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('/', "_");
            let _ = std::fs::copy(&path, to.join(name));
        }
    }
}

/// The binaries of `built`, under names that a build meanwhile does not replace; answers the one with the hidden verbs.
///
/// # Errors
/// If one of them was not built.
pub fn keep_binaries(built: &Path, to: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(to).with_context(|| format!("failed to make {}", to.display()))?;
    // Made aside and renamed: what is there may be a link to what was built, and is never written to, and two at once
    // do not meet.
    let aside = tempfile::tempdir_in(to).with_context(|| format!("failed to write to {}", to.display()))?;
    for program in ["pgherd", "manager", "wal-client", "controller"] {
        let from = built.join(program);
        let missing = || format!("{} is missing: run `cargo build --workspace --bins` first", from.display());
        let fresh = aside.path().join(program);
        if std::fs::hard_link(&from, &fresh).is_err() {
            std::fs::copy(&from, &fresh).with_context(missing)?;
        }
        std::fs::rename(&fresh, to.join(program)).with_context(|| format!("failed to keep {program}"))?;
    }
    Ok(std::path::absolute(to.join("pgherd"))?)
}

/// Ends whatever still runs of an environment whose daemon may be gone, and removes its directory.
///
/// # Errors
/// If something cannot be removed.
pub async fn remove(state: &Path) -> anyhow::Result<()> {
    sweep(state).await.with_context(|| format!("failed to sweep {}", state.display()))?;
    // Killed processes let go of their mounts when they are gone, not when they are told to go.
    for _ in 0..100 {
        if std::fs::remove_dir_all(state).is_ok() || !state.exists() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("failed to remove {}", state.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_that_are_kept_by_several_at_once_stay_whole_where_they_were_built() {
        let (built, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let names = ["pgherd", "manager", "wal-client", "controller"];
        for name in names {
            std::fs::write(built.path().join(name), name).unwrap();
        }
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| drop(keep_binaries(built.path(), to.path()).unwrap())));
            }
        });
        for name in names {
            for directory in [built.path(), to.path()] {
                assert_eq!(std::fs::read_to_string(directory.join(name)).unwrap(), name);
            }
        }
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), names.len(), "nothing is left aside");
    }
}
