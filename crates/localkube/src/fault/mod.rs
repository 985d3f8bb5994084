//! Faults on purpose: processes killed or frozen, the network cut, kubelets, API, S3 and controller off or slow; and the way
//! back from each.
//!
//! A fault that lasts has an id. It ends by that id, with the pod that it was put on, or with all others.

mod clocks;
mod control_plane;
mod controllers;
mod cuts;
mod damage;
mod disks;
mod done;
mod inject;
mod lasting;
mod names;
mod network;
mod process;
mod processes;
mod request;

pub use controllers::Controllers;
pub use done::{Done, FaultError};
pub use inject::{FaultSetup, Faults};
pub use lasting::Lasting;
pub use request::{
    ApiFault, ControllerFault, Cut, Damage, DiskFault, FaultRequest, Flap, Target, Volume, WalDamage, Way,
};
