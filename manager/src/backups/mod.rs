//! Base backups, as the Backups say that name this manager: `status.instanceID` is the order, and its `sessionID` is
//! this process and no other. A manager that restarts finds what its predecessor left, and says that it failed.

mod archiving;
mod heartbeat;
mod interrupt;
mod orders;
mod progress;
mod report;
mod run;
mod take;
mod target;
mod wal;

pub use orders::keep;
pub use take::{Attempt, Copied, Server, Tell, concluded, copied};
pub use target::Target;
pub use wal::Needed;
