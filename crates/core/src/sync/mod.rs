//! Synchronous replication: rules Q1-Q7 and L7 of `docs/protocol.md`, as small functions from facts to facts.
//!
//! [`choose`] says whom commits should wait for; [`next_move`] says how to get there without a moment at which an
//! acknowledged commit could be missing on everybody who may be elected ([`safe`], publish before loosening, a
//! barrier after tightening). [`enough_pledges`] and [`may_pledge`] are the failsafe of a holder that cannot reach
//! the API. None of them knows the machine: it, the simulation and the model checker drive the same functions.

mod choose;
mod failsafe;
mod joint;
mod mirror;
mod naming;
mod progress;
mod safe;
mod setting;
mod spec;
#[cfg(test)]
mod tests;

pub use choose::{Fitness, choose};
pub use failsafe::{MAX_PLEDGE_ROUND, Pledge, PledgeRefusal, Pledger, enough_pledges, is_bound, may_pledge};
pub use joint::{joined, own_entry, own_raised};
pub use mirror::{Quorum, mirrored};
pub use naming::{member_name, streaming_name};
pub use progress::{Goal, Move, Progress, Stored, next_move};
pub use safe::{loosened, record_of, safe, safe_for_all};
pub use setting::{SyncMember, SyncSetting};
pub use spec::{Durability, Method, SyncSpec};
