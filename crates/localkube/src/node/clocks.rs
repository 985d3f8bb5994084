//! Clocks of a pod's own: a small library, preloaded into its containers, adds to them what a file of the pod says. The
//! kernel has one wall clock for all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sandbox::{Mount, MountKind};

const SOURCE: &str = include_str!("clocks.c");
const LIBRARY: &str = "clocks.so";
/// `WALL STEADY`, milliseconds.
const OFFSETS: &str = "offsets";
/// Where containers see both.
const INSIDE: &str = "/run/pgherd-clocks";

/// Compiles the library into a directory.
///
/// # Errors
/// If there is no C compiler, or it fails.
pub fn build(directory: &Path) -> io::Result<PathBuf> {
    let (source, library) = (directory.join("clocks.c"), directory.join(LIBRARY));
    fs::write(&source, SOURCE)?;
    let done = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output()?;
    if done.status.success() {
        return Ok(library);
    }
    Err(io::Error::other(format!("cc failed: {}", String::from_utf8_lossy(&done.stderr))))
}

/// A pod's directory for its clocks, with the library in it.
pub(super) fn provide(library: &Path, pod: &Path) -> io::Result<Mount> {
    let directory = directory_of(pod);
    fs::create_dir_all(&directory)?;
    let own = directory.join(LIBRARY);
    if !own.exists() {
        fs::copy(library, own)?;
    }
    Ok(Mount { target: PathBuf::from(INSIDE), read_only: true, kind: MountKind::Bind(directory) })
}

/// Of the clocks, in the directory of a pod.
pub(super) fn directory_of(pod: &Path) -> PathBuf {
    pod.join("clocks")
}

/// What makes a container's processes see them.
pub(super) fn environment() -> [(String, String); 2] {
    [("LD_PRELOAD", LIBRARY), ("PGHERD_CLOCKS", OFFSETS)]
        .map(|(name, file)| (name.to_owned(), format!("{INSIDE}/{file}")))
}

/// From now on a pod's clocks are so many milliseconds ahead: the wall clock, and those that nobody can set.
///
/// # Errors
/// If the file cannot be written.
pub fn set(directory: &Path, wall: i64, steady: i64) -> io::Result<()> {
    // Renamed, so that nobody reads half of it.
    let fresh = directory.join("offsets.new");
    fs::write(&fresh, format!("{wall} {steady}\n"))?;
    fs::rename(fresh, directory.join(OFFSETS))
}

/// From now on they are the machine's; also if the pod has gone.
///
/// # Errors
/// If the file cannot be removed.
pub fn reset(directory: &Path) -> io::Result<()> {
    match fs::remove_file(directory.join(OFFSETS)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
