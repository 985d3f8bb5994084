//! PID 1 of a container until it becomes the container's program.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, chdir, execve, setgroups, setresgid, setresuid};

use super::root::build_root;
use super::{ContainerSpec, SandboxError, become_within};

pub(super) fn run(path: &Path) -> Result<(), SandboxError> {
    let spec = ContainerSpec::read(path)?;
    build_root(&spec)?;
    let directory = if spec.working_dir.is_empty() { "/" } else { &spec.working_dir };
    chdir(directory).map_err(SandboxError::system("change to the working directory"))?;
    drop_rights(&spec)?;
    execute(&spec)
}

fn drop_rights(spec: &ContainerSpec) -> Result<(), SandboxError> {
    if spec.own_identity {
        become_within(CloneFlags::empty(), spec.uid, spec.gid)?;
    } else {
        let (uid, gid) = (Uid::from_raw(spec.uid), Gid::from_raw(spec.gid));
        setgroups(&[gid]).map_err(SandboxError::system("set the groups"))?;
        setresgid(gid, gid, gid).map_err(SandboxError::system("set the group"))?;
        setresuid(uid, uid, uid).map_err(SandboxError::system("set the user"))?;
    }
    set_no_new_privs().map_err(SandboxError::system("forbid new privileges"))?;
    // After the change of the user, which clears it.
    set_pdeathsig(Signal::SIGKILL).map_err(SandboxError::system("tie the container to its keeper"))
}

fn execute(spec: &ContainerSpec) -> Result<(), SandboxError> {
    let text = |text: &str| CString::new(text).map_err(|_| SandboxError::Command);
    let arguments = spec.command.iter().map(|word| text(word)).collect::<Result<Vec<_>, _>>()?;
    let env = spec.env.iter().map(|(name, value)| text(&format!("{name}={value}")));
    let env = env.collect::<Result<Vec<_>, _>>()?;
    let name = spec.command.first().ok_or(SandboxError::Command)?;
    let mut last = Errno::ENOENT;
    for candidate in candidates(name, spec.env.get("PATH").map_or("/usr/bin:/bin", String::as_str)) {
        match execve(&text(&candidate.to_string_lossy())?, &arguments, &env) {
            Ok(never) => match never {},
            Err(Errno::ENOENT) => {}
            Err(error) => last = error,
        }
    }
    Err(SandboxError::Execute { program: name.clone(), source: last })
}

fn candidates(name: &str, path: &str) -> Vec<PathBuf> {
    if name.contains('/') {
        return vec![PathBuf::from(name)];
    }
    path.split(':').map(|directory| Path::new(directory).join(name)).collect()
}
