//! The reader on WAL made by hand.
