//! What the machine must have, looked at before anything is changed.

mod addresses;
mod clock;
mod root;

use std::path::Path;

use super::{UpOptions, Volumes, rootless};
use crate::node::{DEBIAN, Servers};

/// Something that lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The environment cannot run without it.
    pub fatal: bool,
    /// What lacks, and what helps.
    pub text: String,
}

const TOOLS: [(&str, &str); 3] = [("ip", "iproute2"), ("nsenter", "util-linux"), ("nft", "nftables")];
const DISK_TOOLS: [(&str, &str); 5] = [
    ("mkfs.ext4", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("losetup", "mount"),
    ("mount", "mount"),
    ("fsfreeze", "util-linux"),
];
const MEMORY_KIB: u64 = 1 << 20;
const DISK_BYTES: u64 = 4 << 30;

/// Everything that lacks, the fatal first.
pub fn preflight(options: &UpOptions) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |fatal: bool, text: String| found.push(Finding { fatal, text });
    for (tool, package) in TOOLS {
        if find_program(tool).is_none() {
            say(tool != "nft", format!("the program `{tool}` is missing: apt-get install {package}"));
        }
    }
    if options.volumes == Volumes::Ext4 {
        for (tool, package) in DISK_TOOLS {
            if find_program(tool).is_none() {
                say(true, format!("`--volumes ext4` wants the program `{tool}`: apt-get install {package}"));
            }
        }
        if !Path::new("/dev/loop-control").exists() {
            say(true, "`--volumes ext4` wants loop devices, and this kernel has none".to_owned());
        }
    }
    if options.clocks && find_program("cc").is_none() {
        say(true, "`--clocks` wants the program `cc`: apt-get install gcc libc6-dev".to_owned());
    }
    if !matches!(nix::unistd::User::from_name(&options.user), Ok(Some(_))) {
        say(true, format!("the system user {} is missing: apt-get install postgresql-common", options.user));
    }
    if Servers::below(&options.postgres).majors().is_empty() {
        say(false, format!("no PostgreSQL server was found in {DEBIAN}: apt-get install postgresql-15"));
    } else if !Path::new(DEBIAN).is_dir() {
        say(true, format!("pods see their PostgreSQL in {DEBIAN}, which is missing: mkdir {DEBIAN}"));
    }
    if options.manager.is_none() {
        say(
            false,
            "the binaries `manager` and `wal-client` do not lie beside `pgherd`: cargo build --workspace --bins"
                .to_owned(),
        );
    }
    if options.controller.is_none() {
        say(false, "the binary `controller` does not lie beside `pgherd`: cargo build --workspace --bins".to_owned());
    }
    // Without root, pods are whoever asks.
    let closed = closed_parent(&options.state_dir).filter(|_| !rootless::is_wanted());
    if let Some(parent) = closed {
        say(true, format!("user {} cannot pass {}: choose another --state-dir", options.user, parent.display()));
    }
    let existing = options.state_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if let Ok(space) = nix::sys::statvfs::statvfs(existing) {
        let free = space.blocks_available().saturating_mul(space.fragment_size());
        if free < DISK_BYTES {
            say(false, format!("only {} MiB of disk are free at {}", free >> 20, existing.display()));
        }
    }
    if let Some(kib) = available_memory().filter(|kib| *kib < MEMORY_KIB) {
        say(false, format!("only {} MiB of memory are free", kib >> 10));
    }
    found.extend(root::look(options));
    found.extend(addresses::look(options));
    found.extend(clock::look(options));
    found.sort_by_key(|finding| !finding.fatal);
    found
}

fn find_program(name: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&rootless::search_path()).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// The first directory on the way that others may not pass.
fn closed_parent(path: &Path) -> Option<&Path> {
    use std::os::unix::fs::PermissionsExt;
    let closed = |path: &&Path| path.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 == 0);
    path.ancestors().skip(1).filter(|path| path.exists()).find(closed)
}

fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn this_machine_has_ports_and_a_clock_and_what_it_lacks_is_said_with_what_helps() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut options = UpOptions::new("preflight", Path::new("/nowhere/pgherd"));
        options.state_dir = directory.path().join("state");
        let has = |found: &[Finding], fatal: bool, words: &str| {
            found.iter().any(|finding| finding.fatal == fatal && finding.text.contains(words))
        };
        let found = preflight(&options);
        assert!(!has(&found, true, "127.0.0.1") && !has(&found, true, "clock"), "{found:#?}");
        assert_eq!(has(&found, false, "without root") || has(&found, true, "as root here"), rootless::is_wanted());
        assert!(has(&found, false, "cargo build --workspace --bins"), "{found:#?}");
        assert_eq!(has(&found, true, "choose another --state-dir"), !rootless::is_wanted(), "{found:#?}");
        assert!(found.is_sorted_by_key(|finding| !finding.fatal), "the fatal first: {found:#?}");

        options.user = "nobody-has-this-name".to_owned();
        options.state_dir = Path::new("/var/lib/pgherd").join("x".repeat(100));
        let found = preflight(&options);
        assert!(has(&found, true, "nobody-has-this-name is missing"), "{found:#?}");
        assert!(has(&found, true, "too long for a socket"), "{found:#?}");
        assert!(!directory.path().join("state").exists(), "nothing is changed");
    }
}
