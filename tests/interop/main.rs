//! The WAL archive and base backups against other people's programs: SeaweedFS as the store, and barman, which has to read what we
//! write and write what we read.
//!
//! The programs come from `tests/tools/interop.sh`, which each run calls; it installs them once.

// Test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod barman;
mod base;
mod recover;
mod refusals;
mod seaweed;
mod server;
mod suite;
mod tidy;
mod wal;
