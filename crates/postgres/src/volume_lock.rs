//! The lock on a volume: who holds it knows that no process of anybody else works on the data directory.
//!
//! It is an open-file-description lock (fcntl(2), `F_OFD_SETLK`), and its descriptor is inherited by every
//! child on purpose: the kernel lets go of it only when the manager *and* each postgres, pg_rewind or
//! pg_basebackup that it started are gone. So a `postmaster.pid` of another PID namespace can be judged by
//! it, and a backend stuck in the kernel keeps the next container out.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;

/// The lock's file, directly on the volume.
pub const LOCK_FILE: &str = ".pgherd-lock";

/// The volume could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else lives on the volume. Worth retrying: he may be on his way out.
    #[error("failed to lock {0:?}: a process of another manager still uses this volume")]
    Held(PathBuf),
    /// The lock file cannot be used.
    #[error("failed to open the lock file {path:?}")]
    Open {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Proof that the volume is ours; starting a postmaster asks for it.
#[derive(Debug)]
pub struct VolumeLock {
    _file: File,
    volume: PathBuf,
}

impl VolumeLock {
    /// Takes the lock or says at once who prevents it.
    pub fn acquire(volume: &Path) -> Result<Self, LockError> {
        let path = volume.join(LOCK_FILE);
        let open_failed = |source| LockError::Open { path: path.clone(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(open_failed)?;
        match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole_file_write_lock())) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => return Err(LockError::Held(path)),
            Err(errno) => return Err(open_failed(errno.into())),
        }
        fcntl(file.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).map_err(|errno| open_failed(errno.into()))?;
        Ok(Self { _file: file, volume: volume.to_owned() })
    }

    /// Tries for as long as `patience`, since the processes of a killed container may still be dying.
    pub async fn acquire_within(volume: &Path, patience: Duration) -> Result<Self, LockError> {
        let give_up = tokio::time::Instant::now() + patience;
        loop {
            match Self::acquire(volume) {
                Err(LockError::Held(_)) if tokio::time::Instant::now() < give_up => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                result => return result,
            }
        }
    }

    /// The locked volume.
    #[must_use]
    pub fn volume(&self) -> &Path {
        &self.volume
    }
}

fn whole_file_write_lock() -> libc::flock {
    // l_start = l_len = 0 is the whole file; l_pid must be 0 for an open-file-description lock.
    libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or(1),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or(0),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[tokio::test]
    async fn a_locked_volume_is_refused_to_the_next_until_the_lock_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = VolumeLock::acquire(dir.path()).unwrap();
        assert!(matches!(VolumeLock::acquire(dir.path()), Err(LockError::Held(_))));
        drop(first);
        // Children of tests beside this one inherit the descriptor for as long as they live.
        VolumeLock::acquire_within(dir.path(), Duration::from_secs(20)).await.unwrap();
    }

    #[tokio::test]
    async fn a_child_that_outlives_its_manager_keeps_the_volume_locked() {
        let dir = tempfile::tempdir().unwrap();
        let lock = VolumeLock::acquire(dir.path()).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        drop(lock);
        assert!(matches!(VolumeLock::acquire(dir.path()), Err(LockError::Held(_))));
        drop(child.stdin.take());
        child.wait().unwrap();
        VolumeLock::acquire_within(dir.path(), Duration::from_secs(20)).await.unwrap();
    }
}
