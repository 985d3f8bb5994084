//! What was started, on disk, so that the next `up` or `down` after a crash ends exactly that and nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::process::ProcessId;

/// A directory with one empty file per process, named `BOOT-PID-START`.
#[derive(Debug, Clone)]
pub struct Records {
    directory: PathBuf,
}

impl Records {
    /// In `directory`, which is created.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Notes a process that was started.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&self, process: ProcessId) -> io::Result<()> {
        fs::write(self.file(process), b"")
    }

    /// Forgets a process that has ended.
    pub fn remove(&self, process: ProcessId) {
        // Not there: as wanted. Not removable: the next sweep finds the process dead.
        let _gone = fs::remove_file(self.file(process));
    }

    /// Kills everything that is still noted and alive; answers how many there were.
    pub fn sweep(&self) -> usize {
        let names = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut killed = 0_usize;
        for entry in names {
            let name = entry.file_name();
            let Some(process) = name.to_str().and_then(parse) else { continue };
            if process.signal(Signal::SIGKILL) {
                killed = killed.saturating_add(1);
            }
            self.remove(process);
        }
        killed
    }

    fn file(&self, process: ProcessId) -> PathBuf {
        self.directory.join(format!("{}-{}-{}", process.boot, process.pid, process.start))
    }
}

fn parse(name: &str) -> Option<ProcessId> {
    let (boot, rest) = name.split_once('-')?;
    let (pid, start) = rest.split_once('-')?;
    Some(ProcessId { boot: boot.parse().ok()?, pid: pid.parse().ok()?, start: start.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Records;
    use crate::node::process::ProcessId;

    #[test]
    fn a_sweep_kills_what_is_noted_and_spares_who_took_over_its_id_also_after_a_reboot() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::open(directory.path()).unwrap();
        let mut noted = Command::new("sleep").arg("60").spawn().unwrap();
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        records.add(ProcessId::of(noted.id().try_into().unwrap()).unwrap()).unwrap();
        let same_id = ProcessId::of(other.id().try_into().unwrap()).unwrap();
        records.add(ProcessId { start: same_id.start + 1, ..same_id }).unwrap();
        // As a machine that was started anew would find it: the same id, and by chance the same start.
        let of_another_boot = ProcessId { boot: "1".parse().unwrap(), ..same_id };
        records.add(of_another_boot).unwrap();
        assert_eq!(records.sweep(), 1);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "what is dead is forgotten");
        assert!(!noted.wait().unwrap().success());
        assert!(same_id.is_alive());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
