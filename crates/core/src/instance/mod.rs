//! One instance: what it knows, what it does next. `handle(event, now) -> commands`, and nothing else happens.
//!
//! Level-triggered: an event only changes what is known; what follows is decided from all that is known, so a
//! lost or doubled event changes nothing. One asynchronous command of a phase is in flight at a time, and its
//! outcome is void when the phase has moved on (invariants I9, I10).

mod bounds;
mod command;
mod doubt;
mod event;
mod failsafe;
mod fencing;
mod following;
mod keeping;
mod leading;
mod machine;
mod phase;
mod replicating;
mod report;
mod source;
mod starting;
mod stop;
mod suspicion;
#[cfg(test)]
mod tests;
mod view;
mod winning;

pub use command::{ArchiveMode, Command, Op, PledgeRound, StartAs};
pub use event::{Event, FenceCall, Link, Outcome, PledgeCall, TailCall};
pub use fencing::FenceRefusal;
pub use machine::Machine;
pub use phase::Phase;
pub use report::Report;
pub use source::{LeaderWord, Offer, Source, Sources, WhyLeader, choose_source};
pub use stop::{Stop, StopPhase};
pub use view::{ClusterView, Damage, Data, DataRole, Leader, Me, Peer, Volume};
