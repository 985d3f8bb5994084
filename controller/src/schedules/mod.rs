//! ScheduledBackups: whether they can work, and the Backups that they make.

mod explain;
mod keep;

pub use explain::explain;
pub use keep::{Told, keep};
