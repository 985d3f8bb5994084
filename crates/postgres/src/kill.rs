//! The fence: SIGKILL to every process of the PID namespace, again and again until none runs any more.
//!
//! Every postgres child calls setsid(), so that a process group holds the postmaster alone: only `kill(-1)`
//! from PID 1 reaches them all. It spares nobody but PID 1 itself, so the watchdog dies as well and has to be
//! started again before the next postmaster.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use crate::others::{Others, others};
use crate::reap::{Drained, Reaper};

/// Nothing was killed.
#[derive(Debug, thiserror::Error)]
pub enum KillError {
    /// Elsewhere than as PID 1, kill(-1) would kill the user's other processes.
    #[error("failed to kill everything: this is process {0}, and only PID 1 of a PID namespace may")]
    NotPid1(i32),
    /// The kernel refused.
    #[error("failed to kill everything")]
    Refused(#[source] std::io::Error),
    /// The thread that kills has ended early; some processes may live.
    #[error("failed to kill everything: the killing thread ended early")]
    ThreadGone,
}

/// How far the killing has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillProgress {
    /// Rounds of kill and wait so far.
    pub rounds: u32,
    /// Since the first signal.
    pub elapsed: Duration,
    /// How many run nothing any more, and are taken down by the kernel still.
    pub dying: usize,
}

impl Reaper {
    /// Kills every other process of this PID namespace and returns when none runs any more, however long that
    /// takes: a process stuck in the kernel (state D) keeps it waiting, and then the lease must lapse.
    ///
    /// Who has entered the kernel's exit is not waited for: to take gigabytes of shared memory down takes it seconds.
    /// [`Reaper::settled`] waits for those, and so does whatever writes to the data directory afterwards (a postmaster,
    /// `pg_rewind`, `pg_basebackup`, `initdb`).
    ///
    /// `progress` is called about once a second while it waits. Nothing can be spawned meanwhile. When the
    /// future is dropped the killing goes on in its thread.
    pub async fn kill_everything(
        &self,
        progress: impl FnMut(KillProgress) + Send + 'static,
    ) -> Result<KillProgress, KillError> {
        let own = getpid().as_raw();
        if own != 1 {
            return Err(KillError::NotPid1(own));
        }
        let reaper = self.clone();
        tokio::task::spawn_blocking(move || reaper.kill_until_none(progress))
            .await
            .map_err(|_| KillError::ThreadGone)?
    }

    fn kill_until_none(&self, mut progress: impl FnMut(KillProgress)) -> Result<KillProgress, KillError> {
        let began = Instant::now();
        let mut now = KillProgress { rounds: 0, elapsed: Duration::ZERO, dying: 0 };
        let mut reported = Duration::ZERO;
        let _no_spawning = NoSpawning::begin(self);
        loop {
            let drained = {
                let mut registry = self.shared.lock();
                match kill(Pid::from_raw(-1), Signal::SIGKILL) {
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(errno) => return Err(KillError::Refused(errno.into())),
                }
                registry.drain()
            };
            // Strangers (kubectl exec) have their parent outside; they are no children, and are looked for.
            let seen = others();
            now = KillProgress { rounds: now.rounds.saturating_add(1), elapsed: began.elapsed(), dying: 0 };
            match (drained, seen) {
                // Where /proc belongs to another namespace, our own children are all that can be known.
                (Drained::NoneLeft, Others::Unknown) => return Ok(now),
                (drained, Others::Dying(dying)) if drained == Drained::NoneLeft || !dying.is_empty() => {
                    now.dying = dying.len();
                    self.shared.lock().dying.extend(dying);
                    return Ok(now);
                }
                _ => {}
            }
            if now.elapsed.saturating_sub(reported) >= Duration::from_secs(1) {
                reported = now.elapsed;
                progress(now);
            }
            std::thread::sleep(Duration::from_millis(u64::from(now.rounds.min(10))));
        }
    }
}

struct NoSpawning<'a>(&'a Reaper);

impl<'a> NoSpawning<'a> {
    fn begin(reaper: &'a Reaper) -> Self {
        let mut registry = reaper.shared.lock();
        registry.killers = registry.killers.saturating_add(1);
        Self(reaper)
    }
}

impl Drop for NoSpawning<'_> {
    fn drop(&mut self) {
        let mut registry = self.0.shared.lock();
        registry.killers = registry.killers.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn outside_a_pid_namespace_nothing_is_killed() {
        let reaper = Reaper::start().unwrap();
        let error = reaper.kill_everything(|_| {}).await.unwrap_err();
        assert!(matches!(error, KillError::NotPid1(_)));
    }
}
