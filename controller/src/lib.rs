//! The controller: it observes, lets `core` plan, and applies. It schedules pods and what belongs to them, and
//! elects the primary; it never talks SQL, and clusters go on without it (I8).
//!
//! Neighbours: `pgherd-core` decides, `pgherd-proto` has the types, `pgherd-pki` the certificates. Two
//! controllers at once are harmless: every write is create-only, names the version or uid that it was decided
//! from, or touches fields that only a controller writes, which both would set alike.

mod account;
mod admission;
pub mod apply;
mod backups;
pub mod caches;
mod catalog;
pub mod cli;
mod clock;
mod conditions;
pub mod config;
pub mod desired;
mod drift;
mod drills;
pub mod dry_run;
mod due;
mod leader;
mod members;
mod memory;
mod monitor;
mod news;
mod nodes;
pub mod observe;
mod packed;
pub mod queue;
pub mod reconcile;
mod rest;
mod retry;
mod rights;
mod run;
mod schedules;
pub mod serve;
mod store;
mod sweep;
mod tls;
mod trim;
mod unserved;
mod validity;
pub mod watched;
