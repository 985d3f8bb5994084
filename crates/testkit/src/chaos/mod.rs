//! Chaos on the real thing: real postgres in real processes, faults of a seed, clients that write down what they were
//! told, and a judge that holds it against what is left. The programs are `bin/chaos.rs` and `bin/chaos-judge.rs`.

mod aftermath;
pub mod clients;
mod configuration;
mod dice;
mod excuse;
mod kinds;
mod knowledge;
mod report;
mod run;
mod schedule;
mod session;
mod strike;
mod unfenced;

pub use configuration::Configuration;
pub use dice::Dice;
pub use kinds::{Act, Cast, Harm, KINDS, Kind, Needs, Whom, kind};
pub use knowledge::Knowledge;
pub use report::{Report, Run, Sum};
pub use run::{Done, Ground, Ordeal, Scheduled, run, with};
pub use schedule::{Disks, Planned, Role, Terms, schedule};
pub use session::Session;
pub use strike::{Striker, Struck};
pub use unfenced::Unfenced;
