//! What postgres runs as `archive_command` and `restore_command`: a program of its own, small enough to start in a
//! millisecond, that asks the resident manager over a UNIX socket; and the frames that both of them speak.
//!
//! A promotion asks `restore_command` for several files one after the other, so that what a start of this program costs
//! is part of how long a failover takes.

pub mod client;
pub mod wire;
