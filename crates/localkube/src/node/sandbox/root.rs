//! The root of a container: the host's programs, read-only, on a tmpfs of its own; then what the pod mounts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{chdir, pivot_root};

use super::{ContainerSpec, Mount, MountKind, SandboxError};

/// What the test bed has instead of an image: the host's own files. The links of a merged `/usr` stay links.
const FROM_HOST: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/etc"];
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
const NOTHING: Option<&str> = None;

pub(super) fn build_root(spec: &ContainerSpec) -> Result<(), SandboxError> {
    let root = spec.root.as_path();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NOTHING, "/", NOTHING, private, NOTHING).map_err(mounting("/"))?;
    memory(root, "mode=755,size=64m")?;
    for path in FROM_HOST {
        from_host(root, Path::new(path))?;
    }
    for (path, mode) in [("tmp", 0o1777), ("run", 0o755), ("var", 0o755), ("var/tmp", 0o1777)] {
        directory(&root.join(path), mode)?;
    }
    symlink("/run", root.join("var/run")).map_err(SandboxError::file("link", "/var/run"))?;
    let proc = root.join("proc");
    directory(&proc, 0o755)?;
    let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &proc, Some("proc"), hidden, NOTHING).map_err(mounting(&proc))?;
    devices(root)?;
    for mount in &spec.mounts {
        apply(root, mount)?;
    }
    enter(root)
}

fn from_host(root: &Path, path: &Path) -> Result<(), SandboxError> {
    let target = below(root, path);
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            let leads_to = fs::read_link(path).map_err(SandboxError::file("read", path))?;
            symlink(leads_to, &target).map_err(SandboxError::file("link", &target))
        }
        Ok(_) => {
            directory(&target, 0o755)?;
            bind(path, &target, true)
        }
        // Not every distribution has each of them.
        Err(_) => Ok(()),
    }
}

fn devices(root: &Path) -> Result<(), SandboxError> {
    let dev = root.join("dev");
    directory(&dev, 0o755)?;
    memory(&dev, "mode=755,size=64k")?;
    for name in DEVICES {
        let target = dev.join(name);
        file(&target)?;
        bind(&Path::new("/dev").join(name), &target, false)?;
    }
    for (name, leads_to) in [("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        let target = dev.join(name);
        symlink(Path::new("/proc/self").join(leads_to), &target).map_err(SandboxError::file("link", &target))?;
    }
    let shm = dev.join("shm");
    directory(&shm, 0o1777)?;
    memory(&shm, "mode=1777,size=64m")
}

fn apply(root: &Path, wanted: &Mount) -> Result<(), SandboxError> {
    // The links of the root (/var/run) lead where the container sees them, so they are followed by hand.
    let target = match wanted.target.strip_prefix("/var/run") {
        Ok(rest) => root.join("run").join(rest),
        Err(_) => below(root, &wanted.target),
    };
    match &wanted.kind {
        MountKind::Bind(source) => {
            if source.is_dir() {
                directory(&target, 0o755)?;
            } else {
                file(&target)?;
            };
            bind(source, &target, wanted.read_only)
        }
        MountKind::Memory(limit) => {
            directory(&target, 0o755)?;
            let size = limit.map(|bytes| format!(",size={bytes}")).unwrap_or_default();
            memory(&target, &format!("mode=1777{size}"))
        }
    }
}

fn enter(root: &Path) -> Result<(), SandboxError> {
    chdir(root).map_err(SandboxError::system("change to the new root"))?;
    // The trick of pivot_root(2): the old root comes to lie over the new one, and is taken off from there.
    pivot_root(".", ".").map_err(SandboxError::system("change the root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(SandboxError::system("leave the old root"))?;
    chdir("/").map_err(SandboxError::system("change to the new root"))
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn memory(target: &Path, options: &str) -> Result<(), SandboxError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options)).map_err(mounting(target))
}

fn bind(source: &Path, target: &Path, read_only: bool) -> Result<(), SandboxError> {
    mount(Some(source), target, NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING).map_err(mounting(target))?;
    if read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_REC;
        let flags = flags | kept_flags(target)?;
        mount(NOTHING, target, NOTHING, flags, NOTHING).map_err(mounting(target))?;
    }
    Ok(())
}

/// What a mount forbids already. Without root it cannot be allowed again, and need not be with root.
fn kept_flags(target: &Path) -> Result<MsFlags, SandboxError> {
    let found = statvfs(target).map_err(mounting(target))?.flags();
    let pairs = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ];
    Ok(pairs.into_iter().filter(|(is, _)| found.contains(*is)).map(|(_, keep)| keep).collect())
}

fn mounting(path: impl Into<PathBuf>) -> impl FnOnce(nix::errno::Errno) -> SandboxError {
    let path = path.into();
    move |source| SandboxError::Mount { path, source }
}

fn directory(path: &Path, mode: u32) -> Result<(), SandboxError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(SandboxError::file("create", path))?;
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).map_err(SandboxError::file("create", path))
}

fn file(path: &Path) -> Result<(), SandboxError> {
    if path.exists() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        directory(parent, 0o755)?;
    }
    fs::write(path, b"").map_err(SandboxError::file("create", path))
}
