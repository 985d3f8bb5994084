//! The decisions of pgherd, and nothing else: no async, clock, randomness, files or network.
//!
//! `now` and random values are arguments. Events go in, commands come out; plans are data. The shells
//! (`manager`, `controller`) carry the commands out and report back.
//!
//! Invariants, each with a test named after it: I1 one writer; I2 one timeline, one promotion; I3 no
//! acknowledged commit lost; I4 order with a barrier; I5 the archive only grows; I6 demotion needs nobody's
//! help; I7 nothing is deleted before its replacement is complete; I8 the controller is not in the data
//! path; I9 restart anywhere; I10 every decision names the version it was made from; I11 identity is an
//! incarnation, never a name. `docs/architecture.md` says what each means.

// clippy.toml beside this crate bans ambient effects; golden tests read and write their files all the same.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod archive;
pub mod backup;
pub mod cluster;
pub mod election;
pub mod identity;
pub mod instance;
pub mod leader;
pub mod lease;
pub mod lsn;
pub mod monitor;
pub mod pgconf;
pub mod plan;
pub mod restore;
pub mod roles;
pub mod rules;
pub mod slots;
pub mod sql;
pub mod sync;
pub mod time;
pub mod timeline;
pub mod wal;
