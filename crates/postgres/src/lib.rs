//! One postgres, handled from outside: its process, files, control data, WAL and SQL.
//!
//! Neighbours: `pgherd_core` decides and renders configuration; the manager carries its commands out by calling
//! this crate. Nothing here decides. One command family per file. Invariants kept here: no postmaster without
//! the volume's lock (`process`), nothing half-made under the name `pgdata` (`dir`), every file changed
//! crash-safe (`files`), no child waited for outside of the one reaper (`reap`).

pub mod basebackup;
pub mod bootstrap;
pub mod control_data;
pub mod death_watch;
pub mod dir;
pub mod files;
pub mod fsync_probe;
pub mod histories;
pub mod initdb;
pub mod kill;
pub mod lines;
pub mod log_pipe;
pub mod online_backup;
mod others;
pub mod process;
pub mod promote;
pub mod reap;
pub mod rewind;
pub mod room;
pub mod run;
pub mod sample;
pub mod scram;
pub mod shutdown;
pub mod slots;
pub mod sql;
pub mod standstill;
pub mod system_id;
pub mod tablespaces;
pub mod version;
pub mod volume_lock;
pub mod wal_room;
pub mod wal_volume;
pub mod walsenders;
pub mod waltail;
