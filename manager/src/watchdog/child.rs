//! What the watchdog process does: look at the deadline, and kill while it is past.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getppid};
use pgherd_core::time::Instant;

use super::PERIOD;
use super::shared::{SharedPage, raise_priority};
use crate::clock;

/// While the deadline is past, it is looked at this often.
const OVERDUE_PERIOD: std::time::Duration = std::time::Duration::from_millis(5);

/// It will not run here, since its kill(-1) would reach processes of others.
#[derive(Debug, thiserror::Error)]
pub enum RefusedError {
    /// Nobody but PID 1 may start it.
    #[error("failed to start the watchdog: the parent is process {0}, not PID 1 of this PID namespace")]
    Parent(i32),
    /// The manager lives in another PID namespace.
    #[error("failed to start the watchdog: it is not in the manager's PID namespace")]
    Namespace,
    /// Standard input is not the manager's page.
    #[error("failed to map the page that the manager shares")]
    Page(#[source] io::Error),
    /// The namespace or the parent cannot be told.
    #[error("failed to see where the watchdog runs")]
    Where(#[source] io::Error),
}

/// Runs until the manager ends or closes it. Call it before any thread or runtime is started.
pub fn run() -> Result<std::convert::Infallible, RefusedError> {
    below_pid_1()?;
    // Dies with the manager's thread; checked again, as that may have happened before.
    set_pdeathsig(Signal::SIGKILL).map_err(|errno| RefusedError::Where(errno.into()))?;
    below_pid_1()?;
    let page = SharedPage::open(io::stdin().as_fd()).map_err(RefusedError::Page)?;
    if page.namespace.get() != pid_namespace().map_err(RefusedError::Where)? {
        return Err(RefusedError::Namespace);
    }
    // All three need rights or limits that a pod may not have; without them it is only less certain to be
    // on time.
    let _ = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE);
    raise_priority();
    let _ = SigSet::all().thread_block();
    loop {
        std::thread::sleep(look(&page));
    }
}

fn look(page: &SharedPage) -> std::time::Duration {
    let now = clock::now();
    page.beat.set(now.0);
    let deadline = page.deadline.get();
    if !is_overdue(deadline, now) {
        return PERIOD;
    }
    // ESRCH: nobody is left but PID 1 and this process.
    if kill(Pid::from_raw(-1), Signal::SIGKILL).is_ok() {
        page.kills.add_one();
    }
    OVERDUE_PERIOD
}

/// Zero is "not armed".
fn is_overdue(deadline: u64, now: Instant) -> bool {
    deadline != 0 && now > Instant(deadline)
}

fn below_pid_1() -> Result<(), RefusedError> {
    // A parent outside of this PID namespace would be shown as 0.
    match getppid().as_raw() {
        1 => Ok(()),
        other => Err(RefusedError::Parent(other)),
    }
}

/// The identity of this process' PID namespace.
pub fn pid_namespace() -> io::Result<u64> {
    std::fs::metadata("/proc/self/ns/pid").map(|metadata| metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_zero_never_passes_and_any_other_does() {
        assert!(!is_overdue(0, Instant(u64::MAX)));
        assert!(!is_overdue(10, Instant(10)));
        assert!(is_overdue(10, Instant(11)));
    }

    #[test]
    fn it_refuses_to_run_below_an_ordinary_process() {
        assert!(matches!(run(), Err(RefusedError::Parent(_))));
    }
}
