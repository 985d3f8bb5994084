//! The sampler: asks postgres once a second, or at once when nudged, and publishes what it heard.
//!
//! It is the only task that runs SQL for status and metrics; the HTTP server only reads its last word.

mod files;
mod look;
mod probe;
mod room;
mod task;

pub use files::{WalFiles, count_wal_files};
pub use look::{Look, WalCounters, WalLimits};
pub use probe::PostgresProbe;
pub use room::{Room, Rooms, room_of};
pub use task::{Probe, Sampler, SamplerSettings};

#[cfg(test)]
mod tests;
