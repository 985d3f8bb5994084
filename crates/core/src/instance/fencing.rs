//! What a member answers that is asked to fence itself (rule E3).

use super::command::{Command, Op};
use super::machine::Machine;
use crate::lease::{HolderState, Term};
use crate::time::Instant;
use core::fmt;

/// Why a member fences itself for nobody.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FenceRefusal {
    /// It cannot know who may write.
    NoLease,
    /// Its volume went back in time, as it says itself.
    WentBack(String),
    /// It is the one who may write.
    Holds,
    /// It has promised so (rule L7).
    Pledged,
    /// It is asked for an election that is over.
    LaterTerm,
    /// By what it has seen, the holder may write yet.
    HolderRenews,
}

impl FenceRefusal {
    /// Whether it refuses only because the holder may write yet, by its own clock: at the latest a leaseDuration after
    /// the last that it heard of the holder it does so no more.
    #[must_use]
    pub fn counts_on_holder(&self) -> bool {
        matches!(self, Self::Pledged | Self::HolderRenews)
    }
}

impl fmt::Display for FenceRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLease => "this member has not seen the lease yet",
            Self::WentBack(why) => why,
            Self::Holds => "this member holds the lease",
            Self::Pledged => "this member has pledged itself to the holder, which cannot reach the API",
            Self::LaterTerm => "the lease has a later term",
            Self::HolderRenews => "the holder is open and renews its lease",
        })
    }
}

impl Machine {
    pub(super) fn fence_requested(&mut self, op: Op, term: Term, now: Instant) {
        match self.refuses_fence(term, now) {
            Some(why) => self.out.push(Command::RefuseFence(op, why)),
            None => {
                self.fence = self.fence.max(term);
                self.out.push(Command::Fence(op, term));
            }
        }
    }

    /// A member fences itself unless it sees a holder that is alive and open.
    fn refuses_fence(&self, term: Term, now: Instant) -> Option<FenceRefusal> {
        let Some(lease) = &self.lease else { return Some(FenceRefusal::NoLease) };
        let renews = lease.value.held_by().is_some_and(|holder| {
            lease.value.state == HolderState::Open && !self.dead.contains(&holder.nonce) && !self.has_lapsed(lease, now)
        });
        if let Some(why) = self.went_back() {
            Some(FenceRefusal::WentBack(why))
        } else if self.hold.is_some() {
            Some(FenceRefusal::Holds)
        } else if self.is_pledged(now) {
            Some(FenceRefusal::Pledged)
        } else if lease.value.term > term {
            Some(FenceRefusal::LaterTerm)
        } else {
            renews.then_some(FenceRefusal::HolderRenews)
        }
    }
}
