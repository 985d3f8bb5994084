//! The watchdog: a child process that kills postgres when the manager has let its lease's deadline pass.
//!
//! A frozen manager cannot demote (hole 20 of the protocol); this one does it for it. It shares one page of
//! memory with the manager, which writes the deadline there, and it looks at it every 50 ms. While the
//! deadline is past it kills everything but PID 1, again and again: the manager may thaw between its own
//! check and the exec that follows. It is armed before a postmaster is started and before a promotion.
//!
//! It kills with `kill(-1)`, so it refuses to run anywhere but below a PID 1 of its own PID namespace, and
//! [`pgherd_postgres::kill`] kills it together with the rest: who uses that spawns it anew.

mod child;
mod shared;

pub use child::{RefusedError, run};

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::unistd::getpid;
use pgherd_core::time::Instant;
use pgherd_postgres::reap::{Child, Exit, ReapError, Reaper};
use shared::SharedPage;

use crate::clock;

/// The argument with which this program is the watchdog.
pub const SUBCOMMAND: &str = "watchdog";
/// How often it looks at the deadline.
pub const PERIOD: Duration = Duration::from_millis(50);
/// A watchdog that has not looked for this long is dead, frozen or starved.
const STALE: Duration = Duration::from_secs(2);
/// For the start of a process.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// There is no watchdog, so nothing that writes may be started.
#[derive(Debug, thiserror::Error)]
pub enum WatchdogError {
    /// It would kill processes of others.
    #[error("failed to start the watchdog: this is process {0}, and it serves PID 1 only")]
    NotPid1(i32),
    /// No shared memory, or no thread.
    #[error("failed to prepare the watchdog")]
    Prepare(#[source] io::Error),
    /// No process.
    #[error("failed to start the watchdog")]
    Spawn(#[source] ReapError),
    /// It ended, or did not say that it is there.
    #[error("failed to start the watchdog: it did not get ready within {0:?}")]
    NotReady(Duration),
}

/// A running watchdog. Dropping it ends the process.
#[derive(Debug)]
pub struct Watchdog {
    page: SharedPage,
    exit: Exit,
    pid: i32,
    /// Closing it ends the thread that is the child's parent, and with it (PDEATHSIG) the child.
    _parent: mpsc::Sender<()>,
}

impl Watchdog {
    /// Starts it, not armed, and waits until it watches: some milliseconds, at most five seconds.
    pub fn spawn(reaper: &Reaper) -> Result<Self, WatchdogError> {
        let own = getpid().as_raw();
        if own != 1 {
            return Err(WatchdogError::NotPid1(own));
        }
        let (page, descriptor) = SharedPage::create(child::pid_namespace().map_err(WatchdogError::Prepare)?)
            .map_err(WatchdogError::Prepare)?;
        let mut command = Command::new("/proc/self/exe");
        command.arg(SUBCOMMAND).stdin(Stdio::from(descriptor)).stdout(Stdio::null());
        let (child, parent) = spawn_from_its_own_thread(reaper.clone(), command)?;
        let watchdog = Self { page, exit: child.exit.clone(), pid: child.pid, _parent: parent };
        let give_up = std::time::Instant::now() + READY_WITHIN;
        while !watchdog.alive() {
            if watchdog.exit.now().is_some() || std::time::Instant::now() >= give_up {
                return Err(WatchdogError::NotReady(READY_WITHIN));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(watchdog)
    }

    /// From now on everything is killed once `CLOCK_BOOTTIME` passes `deadline`. Also brings it nearer.
    pub fn arm(&self, deadline: Instant) {
        self.page.deadline.set(deadline.0);
    }

    /// Moves the deadline of an armed watchdog further away, never nearer. False where it is not armed.
    pub fn extend(&self, deadline: Instant) -> bool {
        self.page.deadline.raise_if_set(deadline.0)
    }

    /// Nothing is running that would have to be killed.
    pub fn disarm(&self) {
        self.page.deadline.set(0);
    }

    /// The deadline, if armed.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        Some(self.page.deadline.get()).filter(|nanos| *nanos != 0).map(Instant)
    }

    /// Whether it is there and has looked at the deadline lately.
    #[must_use]
    pub fn alive(&self) -> bool {
        let beat = self.page.beat.get();
        self.exit.now().is_none() && beat != 0 && clock::now().since(Instant(beat)) < STALE
    }

    /// How many times it has killed.
    #[must_use]
    pub fn kills(&self) -> u64 {
        self.page.kills.get()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Resolves when the process has ended, so that the manager can react before the next deadline.
    pub async fn ended(&self) {
        // A reaper that has ended knows no better than that nobody watches the watchdog any more.
        drop(self.exit.wait().await);
    }
}

/// PDEATHSIG is sent when the *thread* that started a child ends; tokio's threads come and go.
fn spawn_from_its_own_thread(reaper: Reaper, mut command: Command) -> Result<(Child, mpsc::Sender<()>), WatchdogError> {
    let (parent, until_dropped) = mpsc::channel::<()>();
    let (answer, spawned) = mpsc::channel();
    let work = move || {
        let child = reaper.spawn(&mut command);
        // The reaper has a task of the runtime; it must not be kept alive from here.
        drop(reaper);
        drop(answer.send(child));
        let _ = until_dropped.recv();
    };
    std::thread::Builder::new().name("watchdog-parent".into()).spawn(work).map_err(WatchdogError::Prepare)?;
    match spawned.recv() {
        Ok(child) => child.map(|child| (child, parent)).map_err(WatchdogError::Spawn),
        Err(_) => Err(WatchdogError::NotReady(Duration::ZERO)),
    }
}
