//! Parts of a state that most steps leave alone: cloned by reference, hashed once.

use ahash::RandomState;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A value that states share until one of them changes it.
#[derive(Clone, Debug)]
pub struct Shared<T> {
    hash: u64,
    value: Arc<T>,
}

impl<T: Hash + Clone> Shared<T> {
    /// Shares `value`.
    pub fn new(value: T) -> Self {
        Self { hash: hash_of(&value), value: Arc::new(value) }
    }

    /// Changes it for this owner only.
    pub fn change<R>(&mut self, by: impl FnOnce(&mut T) -> R) -> R {
        let result = by(Arc::make_mut(&mut self.value));
        self.hash = hash_of(&*self.value);
        result
    }
}

fn hash_of<T: Hash>(value: &T) -> u64 {
    // The same in every run: a state is the same state again.
    RandomState::with_seeds(1, 2, 3, 4).hash_one(value)
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.value, &other.value) || self.value == other.value)
    }
}
