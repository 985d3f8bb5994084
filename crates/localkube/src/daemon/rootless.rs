//! Without root: the daemon is root in a user and mount namespace of its own, and all that it makes belongs to those.
//! It stays in the host's network, so that its ports on 127.0.0.1 are where everybody looks for them, and among the
//! host's processes, so that what it notes of them is true outside.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;

use super::DaemonError;
use crate::node::sandbox::{SandboxError, become_within};

const RUN: &str = "/run";
const NAMESPACES: &str = "/run/netns";
const NOTHING: Option<&str> = None;

/// Whoever asks is not root.
pub(super) fn is_wanted() -> bool {
    !nix::unistd::Uid::effective().is_root()
}

/// Where programs are looked for: a normal user's shell knows nothing of `sbin`.
pub(super) fn search_path() -> OsString {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    let all: Vec<PathBuf> = std::env::split_paths(&own).chain(system).collect();
    std::env::join_paths(all).unwrap_or(own)
}

/// Becomes root in namespaces of its own, if this is not root. There must be no other thread yet. `kept` is an empty
/// directory of the environment, in which the host's `/run` is seen where it is covered.
pub(super) fn enter(kept: &Path) -> Result<(), DaemonError> {
    if !is_wanted() {
        return Ok(());
    }
    become_within(CloneFlags::CLONE_NEWNS, 0, 0)?;
    // What the host mounts later is still seen here; nothing of here is seen there.
    mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_SLAVE, NOTHING).map_err(mounting("/"))?;
    if Path::new(NAMESPACES).is_dir() {
        return memory(NAMESPACES);
    }
    fs::create_dir_all(kept).map_err(DaemonError::file(kept))?;
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(RUN), kept, NOTHING, bind, NOTHING).map_err(mounting(RUN))?;
    memory(RUN)?;
    for entry in fs::read_dir(kept).map_err(DaemonError::file(kept))?.flatten() {
        let link = Path::new(RUN).join(entry.file_name());
        symlink(entry.path(), &link).map_err(DaemonError::file(link))?;
    }
    fs::create_dir_all(NAMESPACES).map_err(DaemonError::file(NAMESPACES))
}

fn memory(target: &str) -> Result<(), DaemonError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some("mode=755")).map_err(mounting(target)).map_err(Into::into)
}

fn mounting(path: &str) -> impl FnOnce(nix::errno::Errno) -> SandboxError {
    let path = path.into();
    move |source| SandboxError::Mount { path, source }
}

/// Why this user cannot have the namespaces that an environment is made of; nothing if they can. Tried, not guessed:
/// kernels and their security modules have many ways to say no.
pub(super) fn refusal() -> Option<String> {
    let attempt = "mount -t tmpfs none /tmp && ip link add pgherd0 type veth peer name pgherd1";
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--mount-proc"])
        .args(["sh", "-c", attempt])
        .env("PATH", search_path())
        .current_dir("/")
        .output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) => Some(format!("the program `unshare` cannot be started: {error}")),
    }
}
