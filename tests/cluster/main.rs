//! Whole clusters on real PostgreSQL, through the local environment: what breaks is broken on purpose, and each time
//! the cluster must be healthy again by itself, with every acknowledged row in it exactly once.
//!
//! Needs root, PostgreSQL and the built binaries beside the test's own, as `make test` has them. Two clusters at
//! a time, whatever the number of threads. How long a failover took is printed, and never asserted.

// Test code: the lints excuse test functions, not what they call.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)]

mod adopt;
mod answers;
mod apart;
mod archive;
mod astray;
mod base;
mod bed;
mod burnt;
mod changes;
mod clocks;
mod cluster;
mod controller;
mod delay;
mod drain;
mod drill;
mod failovers;
mod failsafe;
mod finalizing;
mod firstborn;
mod halves;
mod hands;
mod in_a_row;
mod inside;
mod intruder;
mod limits;
mod load;
mod machines;
mod majors;
mod memory;
mod names;
mod outage;
mod pods;
mod preferred;
mod processes;
mod program;
mod real_store;
mod recovery;
mod restore;
mod roles;
mod rotation;
// The interop tier's: its TLS is not wanted here.
#[allow(dead_code)]
#[path = "../interop/seaweed.rs"]
mod seaweed;
mod secrecy;
mod size;
mod spared;
mod switchovers;
mod synchronous;
mod verbs;
mod waits;
mod wal_volumes;
