//! How large a volume is, and what is free of it for postgres.

use std::io;
use std::path::Path;

/// A file system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// All of it.
    pub size: u64,
    /// What is left for whoever is not root.
    pub free: u64,
}

/// Asks the file system of a path. Blocking: a disk that hangs may not answer.
///
/// # Errors
/// As statvfs(3).
pub fn room_of(path: &Path) -> io::Result<Room> {
    let space = nix::sys::statvfs::statvfs(path)?;
    let unit = space.fragment_size();
    Ok(Room { size: space.blocks().saturating_mul(unit), free: space.blocks_available().saturating_mul(unit) })
}
