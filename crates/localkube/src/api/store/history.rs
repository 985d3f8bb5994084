//! The latest changes, bounded, in the order of their versions: what watches read from.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::super::resource::GroupResource;
use super::state::Key;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is different.
    Modified,
    /// It is gone; the object is its last state with the version of the removal.
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// Version that it made.
    pub version: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// Resource in which it is stored.
    pub resource: GroupResource,
    /// Namespace and name.
    pub key: Key,
    /// The object after the change (before it, for a removal).
    pub object: Arc<Value>,
    /// The object before the change.
    pub before: Option<Arc<Value>>,
}

/// How many changes are kept. Leases of a busy test bed make about ten a second, so this is many minutes.
const KEPT: usize = 20_000;

/// The ring of changes.
#[derive(Debug)]
pub struct History {
    changes: VecDeque<Change>,
    /// Changes up to this version are gone.
    forgotten: u64,
    kept: usize,
}

impl History {
    /// An empty history that knows nothing before `version`.
    pub fn new(version: u64) -> Self {
        Self { changes: VecDeque::new(), forgotten: version, kept: KEPT }
    }

    /// A shorter memory, for tests.
    #[cfg(test)]
    pub fn with_capacity(version: u64, kept: usize) -> Self {
        Self { kept, ..Self::new(version) }
    }

    /// Adds the newest change.
    pub fn push(&mut self, change: Change) {
        self.changes.push_back(change);
        while self.changes.len() > self.kept {
            if let Some(gone) = self.changes.pop_front() {
                self.forgotten = gone.version;
            }
        }
    }

    /// Forgets all changes up to `version`, the latest.
    pub fn forget(&mut self, version: u64) {
        self.changes.clear();
        self.forgotten = version;
    }

    /// All changes after a version, oldest first.
    ///
    /// # Errors
    /// The oldest version one may ask for, if some of them are gone.
    pub fn after(&self, version: u64) -> Result<impl Iterator<Item = &Change>, u64> {
        if version < self.forgotten {
            return Err(self.forgotten);
        }
        let start = self.changes.partition_point(|change| change.version <= version);
        Ok(self.changes.iter().skip(start))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value;

    use super::super::super::resource::GroupResource;
    use super::super::state::Key;
    use super::{Change, ChangeKind, History};

    #[test]
    fn a_version_that_left_the_history_is_refused_not_skipped() {
        let mut history = History::with_capacity(10, 3);
        for version in 11..=16 {
            history.push(Change {
                version,
                kind: ChangeKind::Added,
                resource: GroupResource::new("", "pods"),
                key: Key::new("n", "p"),
                object: Arc::new(Value::Null),
                before: None,
            });
        }
        let versions = |from| history.after(from).map(|changes| changes.map(|c| c.version).collect::<Vec<_>>());
        assert_eq!(versions(16), Ok(vec![]));
        assert_eq!(versions(14), Ok(vec![15, 16]));
        assert_eq!(versions(13), Ok(vec![14, 15, 16]));
        assert_eq!(versions(12), Err(13));
    }
}
