//! How large the volumes are, and what is free of them for postgres: known while it is down as well.

pub use pgherd_postgres::room::Room;
use std::path::Path;

/// The volumes of an instance; each is left out while it cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rooms {
    /// Of the data directory, and of WAL where that has none of its own.
    pub data: Option<Room>,
    /// Of WAL alone.
    pub wal: Option<Room>,
}

/// The room of a path, if it can be asked. Blocking.
#[must_use]
pub fn room_of(path: &Path) -> Option<Room> {
    pgherd_postgres::room::room_of(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_a_size_of_which_some_is_free_and_one_that_is_not_there_has_none() {
        let here = room_of(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(here.size > 0 && here.free <= here.size, "{here:?}");
        assert_eq!(room_of(Path::new("/nowhere/at/all")), None);
    }
}
