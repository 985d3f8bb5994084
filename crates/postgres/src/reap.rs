//! The one reaper: every child is started and waited for here, and orphans that PID 1 inherits as well.
//!
//! Nobody else in the process may wait for children (no `tokio::process`, no `std::process::Child::wait`):
//! as PID 1 the reaper takes them all. The registry's lock is held across a spawn, so that the wait inside
//! std, which follows a failed exec, cannot lose its child to the reaper.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus, wait, waitpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::others::Process;

/// Between two looks at those that the kernel takes down.
const SETTLING: Duration = Duration::from_millis(3);

/// Starting, watching or signalling a child failed.
#[derive(Debug, thiserror::Error)]
pub enum ReapError {
    /// SIGCHLD cannot be listened to.
    #[error("failed to listen for SIGCHLD")]
    Listen(#[source] io::Error),
    /// The program could not be started.
    #[error("failed to start {program}")]
    Spawn {
        /// The program's path.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Everything is being killed at this moment, so nothing may be started. Retry when that is over.
    #[error("failed to start {0}: all processes are being killed")]
    Killing(String),
    /// The reaper has ended, so that nobody will hear of the child's end.
    #[error("failed to wait for process {0}: the reaper has ended")]
    ReaperGone(i32),
    /// The signal was not delivered.
    #[error("failed to send {signal} to process {pid}")]
    Signal {
        /// Which signal.
        signal: Signal,
        /// To whom.
        pid: i32,
        /// Why not; ESRCH when it has ended.
        #[source]
        source: io::Error,
    },
}

/// Starts children and learns of their ends. Cloned handles share one registry.
#[derive(Clone, Debug)]
pub struct Reaper {
    pub(crate) shared: Arc<Shared>,
    _task: Arc<AbortOnDrop>,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    registry: Mutex<Registry>,
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    children: HashMap<i32, watch::Sender<Option<ExitStatus>>>,
    /// How many are killing everything; meanwhile spawning is refused, since a process born between two
    /// rounds would survive.
    pub(crate) killers: u32,
    /// Whom the kernel was still taking down when all had been killed.
    pub(crate) dying: Vec<Process>,
}

#[derive(Debug)]
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What became of the processes of one round of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Children are alive.
    SomeLeft,
    /// There is no child at all (ECHILD).
    NoneLeft,
}

/// A running child. Dropping it neither kills nor forgets it: the reaper still waits for it.
#[derive(Debug)]
pub struct Child {
    /// Its process id.
    pub pid: i32,
    /// Where `Stdio::piped()` was asked for.
    pub stdin: Option<ChildStdin>,
    /// Where `Stdio::piped()` was asked for.
    pub stdout: Option<ChildStdout>,
    /// Where `Stdio::piped()` was asked for.
    pub stderr: Option<ChildStderr>,
    /// Its end.
    pub exit: Exit,
    shared: Arc<Shared>,
}

/// The end of a child; may be cloned and awaited by many.
#[derive(Clone, Debug)]
pub struct Exit {
    pid: i32,
    status: watch::Receiver<Option<ExitStatus>>,
}

impl Exit {
    /// Waits until the child has been reaped. Cancel-safe.
    pub async fn wait(&self) -> Result<ExitStatus, ReapError> {
        let mut status = self.status.clone();
        let seen = status.wait_for(Option::is_some).await.map(|value| *value);
        seen.ok().flatten().ok_or(ReapError::ReaperGone(self.pid))
    }

    /// The exit status, if it has ended.
    #[must_use]
    pub fn now(&self) -> Option<ExitStatus> {
        *self.status.borrow()
    }
}

impl Child {
    /// Signals the child. The registry is held meanwhile, so the id cannot have passed to another process.
    pub fn signal(&self, signal: Signal) -> Result<(), ReapError> {
        self.shared.signal(self.pid, signal, kill)
    }

    /// Signals the child's process group, which it must lead (`Command::process_group(0)`).
    pub fn signal_group(&self, signal: Signal) -> Result<(), ReapError> {
        self.shared.signal(self.pid, signal, killpg)
    }

    /// A handle with which to signal this child after the `Child` itself was given away.
    #[must_use]
    pub fn signaller(&self) -> Signaller {
        Signaller { pid: self.pid, shared: Arc::clone(&self.shared) }
    }
}

/// Signals one child, and never another process that was given its id later.
#[derive(Clone, Debug)]
pub struct Signaller {
    /// The child's process id.
    pub pid: i32,
    shared: Arc<Shared>,
}

impl Signaller {
    /// Signals the child alone.
    pub fn signal(&self, signal: Signal) -> Result<(), ReapError> {
        self.shared.signal(self.pid, signal, kill)
    }

    /// Signals the child's process group, which it must lead.
    pub fn signal_group(&self, signal: Signal) -> Result<(), ReapError> {
        self.shared.signal(self.pid, signal, killpg)
    }
}

impl Reaper {
    /// Starts reaping: everything when this process is PID 1, else only what it starts itself.
    ///
    /// Must be called inside a tokio runtime; the reaper ends when the last handle is dropped.
    pub fn start() -> Result<Self, ReapError> {
        let mut children_ended = signal(SignalKind::child()).map_err(ReapError::Listen)?;
        let shared = Arc::new(Shared::default());
        let reaping = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            // A child may have ended before the handler was there.
            reaping.drain();
            while children_ended.recv().await.is_some() {
                reaping.drain();
            }
        });
        Ok(Self { shared, _task: Arc::new(AbortOnDrop(task)) })
    }

    /// Starts a child. Blocks for the duration of fork and exec (about a millisecond).
    pub fn spawn(&self, command: &mut Command) -> Result<Child, ReapError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut registry = self.shared.lock();
        if registry.killers > 0 {
            return Err(ReapError::Killing(program));
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(source) => return Err(ReapError::Spawn { program, source }),
        };
        let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
        let (sender, status) = watch::channel(None);
        registry.children.insert(pid, sender);
        drop(registry);
        Ok(Child {
            pid,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            exit: Exit { pid, status },
            shared: Arc::clone(&self.shared),
        })
    }

    /// Waits until the kernel has taken down whatever was killed: a postgres must not begin beside the memory of the one
    /// before it. Cancel-safe.
    pub async fn settled(&self) {
        while self.is_somebody_dying() {
            tokio::time::sleep(SETTLING).await;
        }
    }

    fn is_somebody_dying(&self) -> bool {
        let mut registry = self.shared.lock();
        registry.dying.retain(|process| !process.is_gone());
        !registry.dying.is_empty()
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Registry> {
        // The registry is a map that no panic can leave half-changed.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self) {
        self.lock().drain();
    }

    fn signal(
        &self,
        pid: i32,
        signal: Signal,
        send: fn(Pid, Option<Signal>) -> nix::Result<()>,
    ) -> Result<(), ReapError> {
        let registry = self.lock();
        let result = if registry.children.contains_key(&pid) {
            send(Pid::from_raw(pid), Some(signal))
        } else {
            Err(nix::errno::Errno::ESRCH)
        };
        result.map_err(|errno| ReapError::Signal { signal, pid, source: errno.into() })
    }
}

impl Registry {
    /// Takes the statuses of all that have ended, and tells those who wait.
    pub(crate) fn drain(&mut self) -> Drained {
        if nix::unistd::getpid().as_raw() == 1 { self.drain_all() } else { self.drain_known() }
    }

    fn drain_all(&mut self) -> Drained {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.ended(pid.as_raw_nonzero().get(), status),
                Ok(None) => return Drained::SomeLeft,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Drained::NoneLeft,
            }
        }
    }

    fn drain_known(&mut self) -> Drained {
        let pids: Vec<i32> = self.children.keys().copied().collect();
        for pid in pids {
            if let Ok(Some((_, status))) = waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::NOHANG) {
                self.ended(pid, status);
            }
        }
        if self.children.is_empty() { Drained::NoneLeft } else { Drained::SomeLeft }
    }

    fn ended(&mut self, pid: i32, status: WaitStatus) {
        if let Some(sender) = self.children.remove(&pid) {
            sender.send_replace(Some(ExitStatus::from_raw(status.as_raw())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn soon<T>(future: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
    }

    #[tokio::test]
    async fn the_end_of_a_child_is_told_to_all_who_wait() {
        let reaper = Reaper::start().unwrap();
        let child = reaper.spawn(Command::new("sh").args(["-c", "exit 7"])).unwrap();
        let other = child.exit.clone();
        assert_eq!(soon(child.exit.wait()).await.unwrap().code(), Some(7));
        assert_eq!(soon(other.wait()).await.unwrap().code(), Some(7));
        assert_eq!(other.now().and_then(|status| status.code()), Some(7));
    }

    #[tokio::test]
    async fn a_signal_reaches_the_child_and_never_its_successor() {
        let reaper = Reaper::start().unwrap();
        let child = reaper.spawn(Command::new("sleep").arg("600")).unwrap();
        child.signal(Signal::SIGTERM).unwrap();
        assert_eq!(soon(child.exit.wait()).await.unwrap().signal(), Some(15));
        assert!(matches!(child.signal(Signal::SIGTERM), Err(ReapError::Signal { .. })));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error_and_not_a_lost_child() {
        let reaper = Reaper::start().unwrap();
        let error = reaper.spawn(&mut Command::new("/nowhere/postgres")).unwrap_err();
        assert_eq!(error.to_string(), "failed to start /nowhere/postgres");
    }
}
