//! Proof that a volume still takes writes: a tiny file, written and fsynced, with the time it took.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// The volume did not prove itself.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The disk said no.
    #[error("failed to write and sync {path:?}")]
    Write {
        /// The probe's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No answer in time, or an earlier probe has none yet. The write goes on in its thread.
    #[error("failed to sync {path:?} within {after:?}")]
    Deadline {
        /// The probe's file.
        path: PathBuf,
        /// The deadline.
        after: Duration,
    },
    /// The probing thread cannot be started, or has ended.
    #[error("failed to run the thread that probes the disk")]
    Thread,
}

type Answer = oneshot::Sender<Result<Duration, io::Error>>;

/// Probes one directory from one thread of its own: however long a disk hangs, it holds one thread.
#[derive(Debug)]
pub struct FsyncProbe {
    path: PathBuf,
    requests: mpsc::Sender<Answer>,
    busy: Arc<AtomicBool>,
}

impl FsyncProbe {
    /// Starts the thread; nothing is written yet. It ends when the probe is dropped.
    pub fn new(directory: &Path) -> Result<Self, ProbeError> {
        let path = directory.join(".pgherd-probe");
        let (requests, inbox) = mpsc::channel::<Answer>();
        let busy = Arc::new(AtomicBool::new(false));
        let (probed, done) = (path.clone(), Arc::clone(&busy));
        let work = move || {
            for answer in inbox {
                let result = write_and_sync(&probed);
                done.store(false, Ordering::Release);
                // The asker may have given up.
                drop(answer.send(result));
            }
        };
        std::thread::Builder::new().name("fsync-probe".into()).spawn(work).map_err(|_| ProbeError::Thread)?;
        Ok(Self { path, requests, busy })
    }

    /// Writes and syncs once; says how long that took.
    pub async fn probe(&self, deadline: Duration) -> Result<Duration, ProbeError> {
        let late = || ProbeError::Deadline { path: self.path.clone(), after: deadline };
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(late());
        }
        let (answer, answered) = oneshot::channel();
        self.requests.send(answer).map_err(|_| ProbeError::Thread)?;
        match tokio::time::timeout(deadline, answered).await {
            Err(_) => Err(late()),
            Ok(Err(_)) => Err(ProbeError::Thread),
            Ok(Ok(result)) => result.map_err(|source| ProbeError::Write { path: self.path.clone(), source }),
        }
    }
}

/// Opened anew each time, so that a volume that was replaced or unmounted is noticed.
fn write_and_sync(path: &Path) -> io::Result<Duration> {
    let began = Instant::now();
    let file: File = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all_at(&std::process::id().to_le_bytes(), 0)?;
    file.sync_data()?;
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_healthy_disk_answers_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let probe = FsyncProbe::new(dir.path()).unwrap();
        for _ in 0..3 {
            probe.probe(Duration::from_secs(20)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_volume_that_is_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let probe = FsyncProbe::new(&dir.path().join("gone")).unwrap();
        assert!(matches!(probe.probe(Duration::from_secs(20)).await, Err(ProbeError::Write { .. })));
    }

    #[tokio::test]
    async fn a_disk_that_hangs_holds_one_thread_and_no_caller() {
        let dir = tempfile::tempdir().unwrap();
        // Opening a FIFO for writing hangs as a wedged disk does, until somebody reads.
        let fifo = dir.path().join(".pgherd-probe");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let probe = FsyncProbe::new(dir.path()).unwrap();
        let late = Duration::from_millis(50);
        assert!(matches!(probe.probe(late).await, Err(ProbeError::Deadline { .. })));
        assert!(matches!(probe.probe(late).await, Err(ProbeError::Deadline { .. })));
        drop(OpenOptions::new().read(true).write(true).open(&fifo).unwrap());
    }
}
