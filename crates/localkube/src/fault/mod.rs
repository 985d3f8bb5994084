//! Faults on purpose: processes killed or frozen, the network cut, S3 and the API off or slow; and the way back.

mod inject;
mod network;
mod process;
mod request;

pub use inject::{FaultError, Faults};
pub use request::{ApiFault, FaultRequest, Target};
