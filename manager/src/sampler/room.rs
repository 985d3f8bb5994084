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

/// Less than a segment of WAL: postgres can neither begin one there nor fetch one.
const TOO_LITTLE: u64 = 16 << 20;

impl Rooms {
    /// Which volume is full, and what to do, for people.
    #[must_use]
    pub fn full(&self) -> Option<&'static str> {
        let full = |room: Option<Room>| room.is_some_and(|room| room.free < TOO_LITTLE);
        match (full(self.data), full(self.wal)) {
            (_, true) => Some("the volume of WAL is full: make spec.walStorage.size larger"),
            (true, false) => Some("the volume is full: make spec.storage.size larger"),
            (false, false) => None,
        }
    }
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

    #[test]
    fn a_volume_without_room_for_a_segment_is_named_with_what_to_do() {
        let room = |free| Some(Room { size: 1 << 30, free });
        let full = |data, wal| Rooms { data, wal }.full().unwrap_or("none");
        assert_eq!(full(room(1 << 29), None), "none");
        assert!(full(room(1000), None).contains("spec.storage.size"));
        assert!(full(room(1000), room(1 << 29)).contains("spec.storage.size"));
        assert!(full(room(1 << 29), room(1000)).contains("spec.walStorage.size"));
        assert_eq!(full(None, None), "none", "nothing is known");
    }
}
