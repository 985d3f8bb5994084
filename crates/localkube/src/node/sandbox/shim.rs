//! Between the node and a container: joins the pod's namespaces, starts PID 1, keeps the log, tells how it ended.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::log::Log;
use super::{ContainerSpec, SandboxError};

/// PID 1 of the container, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its process id on the host.
    pub pid: i32,
    /// When, RFC 3339.
    pub at: jiff::Timestamp,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit status; 128 + signal if it was killed, as the kubelet reports it.
    pub code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// When.
    pub at: jiff::Timestamp,
}

pub(super) fn run(path: &Path) -> Result<(), SandboxError> {
    set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::system("tie the container to the daemon"))?;
    let spec = ContainerSpec::read(path)?;
    for (kind, flag) in
        [("net", CloneFlags::CLONE_NEWNET), ("ipc", CloneFlags::CLONE_NEWIPC), ("uts", CloneFlags::CLONE_NEWUTS)]
    {
        let file = format!("/proc/{}/ns/{kind}", spec.pause);
        let namespace = std::fs::File::open(&file).map_err(SandboxError::file("open", &file))?;
        setns(namespace, flag).map_err(SandboxError::system("join the pod's namespaces"))?;
    }
    let log = Arc::new(Log::open(&spec.log).map_err(SandboxError::file("open", &spec.log))?);
    // The readers come first: after the unshare this process can have children, but no further threads.
    let (stdout, out) = std::io::pipe().map_err(SandboxError::Child)?;
    let (stderr, err) = std::io::pipe().map_err(SandboxError::Child)?;
    let readers = [reader(&log, "stdout", stdout), reader(&log, "stderr", stderr)];
    unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS)
        .map_err(SandboxError::system("make the container's namespaces"))?;
    let program = std::env::current_exe().map_err(SandboxError::Child)?;
    let mut child = Command::new(program)
        .arg("local-init")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(SandboxError::Child)?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    report(&Started { pid, at: jiff::Timestamp::now() })?;
    let status = child.wait().map_err(SandboxError::Child)?;
    let signal = status.signal();
    let code = status.code().or(signal.map(|signal| signal.saturating_add(128))).unwrap_or(255);
    // The namespace has died with its PID 1, so the pipes are closed and the readers come to their end.
    for reader in readers {
        let _ended = reader.join();
    }
    report(&Exit { code, signal, at: jiff::Timestamp::now() })
}

fn reader(
    log: &Arc<Log>,
    stream: &'static str,
    source: impl std::io::Read + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || log.copy(stream, source))
}

/// One line of JSON for the node, which reads this program's stdout.
fn report(value: &impl Serialize) -> Result<(), SandboxError> {
    let mut line = serde_json::to_vec(value).map_err(SandboxError::Spec)?;
    line.push(b'\n');
    let mut stdout = std::io::stdout();
    stdout.write_all(&line).and_then(|()| stdout.flush()).map_err(SandboxError::file("write", "stdout"))
}
