//! The API's validation, one function per rule, on plain values.
//!
//! Each returns what it read, or a typed error whose text says what is wrong and what to write instead. The
//! same functions serve `pgherd validate`, the local API server and the controller.

pub mod backup_options;
pub mod bounds;
pub mod catalog;
pub mod cluster;
pub mod cron;
mod cron_next;
pub mod initdb;
pub mod majors;
pub mod names;
pub mod object_store;
pub mod parameters;
pub mod presence;
pub mod quantity;
pub mod retention;
pub mod sizes;
pub mod synchronous;
pub mod wal_sizes;
