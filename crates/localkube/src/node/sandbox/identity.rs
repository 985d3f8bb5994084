//! User namespaces of one identity, which a normal user may make: in one the environment is root, in a further one within
//! it a container's program is whoever it is to be. Files are always whose the environment is.

use std::fs;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::SandboxError;

const UID_MAP: &str = "/proc/self/uid_map";

/// Moves this process, which has one thread, into a user namespace in which it is `uid` and `gid` and nobody else is
/// anybody; `further` namespaces are made with it and belong to it.
///
/// # Errors
/// If the kernel gives no such namespaces to this user.
pub fn become_within(further: CloneFlags, uid: u32, gid: u32) -> Result<(), SandboxError> {
    // Asked before: inside, until the maps are written, everybody is nobody.
    let (own_uid, own_gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | further).map_err(SandboxError::system("make a user namespace"))?;
    // Only who gives up setgroups(2) may map a group without further rights (user_namespaces(7)).
    write("/proc/self/setgroups", "deny")?;
    write(UID_MAP, &format!("{uid} {own_uid} 1"))?;
    write("/proc/self/gid_map", &format!("{gid} {own_gid} 1"))
}

/// There is one identity here, so that files cannot be given to another.
#[must_use]
pub fn is_single() -> bool {
    fs::read_to_string(UID_MAP).is_ok_and(|map| maps_one(&map))
}

fn maps_one(map: &str) -> bool {
    let counts = map.lines().filter_map(|line| line.split_ascii_whitespace().nth(2)?.parse::<u64>().ok());
    counts.fold(0, u64::saturating_add) == 1
}

fn write(path: &str, text: &str) -> Result<(), SandboxError> {
    fs::write(Path::new(path), text).map_err(SandboxError::file("write", path))
}

#[cfg(test)]
mod tests {
    use super::maps_one;

    #[test]
    fn one_identity_is_told_from_many() {
        assert!(maps_one("         0       1000          1\n"));
        assert!(!maps_one("         0          0 4294967295\n"));
        assert!(!maps_one("         0       1000          1\n         1     100000      65536\n"));
        assert!(!maps_one(""));
    }
}
