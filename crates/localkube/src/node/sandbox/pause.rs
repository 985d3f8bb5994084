//! Holds a pod's namespaces until it is killed; becomes a program that dies with the daemon.

use std::io::Write;
use std::os::unix::process::CommandExt;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

use super::SandboxError;

/// New network, IPC and UTS namespaces, then one line on stdout, then nothing until SIGKILL.
pub(super) fn run(hostname: &str) -> Result<(), SandboxError> {
    set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::system("tie the sandbox to the daemon"))?;
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    unshare(flags).map_err(SandboxError::system("make the pod's namespaces"))?;
    nix::unistd::sethostname(hostname).map_err(SandboxError::system("set the hostname"))?;
    let mut stdout = std::io::stdout();
    stdout.write_all(b"ready\n").and_then(|()| stdout.flush()).map_err(SandboxError::file("write", "stdout"))?;
    loop {
        nix::unistd::pause();
    }
}

/// Becomes `program`, tied to the daemon.
pub(super) fn execute(program: &str, arguments: &[&str]) -> Result<(), SandboxError> {
    set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::system("tie the program to the daemon"))?;
    Err(SandboxError::Child(std::process::Command::new(program).args(arguments).exec()))
}
