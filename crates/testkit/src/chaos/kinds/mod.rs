//! What a kind of fault is: on whom, for how long, what it takes for granted, and what it may cost. The kinds themselves
//! are in `list.rs`.

mod acts;
mod list;
#[cfg(test)]
mod tests;

pub use list::KINDS;

use super::dice::Dice;
use pgherd_localkube::fault::FaultRequest;

/// Whom a fault is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A pod, the primary's or a standby's.
    Pod,
    /// The primary's pod alone.
    Primary,
    /// A standby's pod alone.
    Standby,
    /// Something that all pods share.
    Everybody,
}

/// What a fault does to the pod it is put on, where that is the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// It may stay the primary, and its volume can be read.
    None,
    /// It has to be replaced, and its volume can be read at once.
    Deposed,
    /// Its volume cannot be read while the fault lasts; where that is longer than a lease, it has to be replaced.
    Hidden,
    /// Its volume is gone.
    Gone,
}

impl Harm {
    /// What only this pod had cannot be read, for a while or for ever.
    #[must_use]
    pub const fn hides(self) -> bool {
        matches!(self, Self::Hidden | Self::Gone)
    }
}

/// What a fault takes for granted; elsewhere it is not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// Volumes that are file systems of their own, and data checksums.
    Disks,
    /// The same, and WAL on a volume of its own.
    WalVolumes,
    /// Commits that wait for a standby, whatever happens.
    Required,
    /// Pods that have clocks of their own.
    Clocks,
    /// The same, and commits that wait for a standby: what makes one writer then is no clock.
    ClocksAndRequired,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// By the daemon.
    Fault(FaultRequest),
    /// The pod is deleted, with its grace period or without.
    DeletePod {
        /// Which.
        pod: String,
        /// At once, without a grace period.
        force: bool,
    },
    /// The node that the pod is on is lost.
    LoseNode {
        /// Which pod.
        pod: String,
    },
}

/// The pods, when a fault is put on.
#[derive(Clone, Debug)]
pub struct Cast {
    /// Whom it is put on, as faults are told it.
    pub pod: String,
    /// All other pods of the cluster, the same way.
    pub others: Vec<String>,
}

/// A kind of fault.
#[derive(Clone, Copy)]
pub struct Kind {
    /// As the report has it.
    pub name: &'static str,
    /// On whom.
    pub whom: Whom,
    /// What it does to a primary.
    pub harm: Harm,
    /// How long it lasts, in milliseconds from, to; `None` is over at once.
    pub lasts: Option<(u64, u64)>,
    /// Where it can be put on at all.
    pub needs: Needs,
    /// It takes away what others rely on. One of these in a run: against two nothing is promised.
    pub ruins: bool,
    /// How likely it is, beside the others.
    pub weight: u64,
    /// What is to be done.
    pub acts: fn(&Cast, &mut Dice) -> Vec<Act>,
}

impl Kind {
    /// Whether a primary cannot outlive it.
    #[must_use]
    pub fn deposes(&self) -> bool {
        match self.harm {
            Harm::None => false,
            Harm::Deposed | Harm::Gone => true,
            Harm::Hidden => self.lasts.is_some_and(|(shortest, _)| shortest >= LEASE),
        }
    }
}

/// Longer than a lease, in milliseconds.
const LEASE: u64 = 9_000;

/// A kind by its name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
