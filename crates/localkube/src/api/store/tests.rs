//! The store's promises, on a directory of its own.
