//! What may happen in a run, and how often: the bounds that make it finite.

use core::time::Duration;
use pgherd_core::lease::Timings;
use pgherd_core::sync::{Durability, Method, SyncSpec};

/// The bounds of one run. A fault with a bound of zero does not happen.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Members at the start.
    pub instances: usize,
    /// Seconds that pass.
    pub ticks: u64,
    /// Writes of the lease that reach the API server.
    pub writes: usize,
    /// Elections by any controller.
    pub elections: u8,
    /// Requests that get no answer: not stored, stored, or stored much later.
    pub losses: u8,
    /// Whether a request that was given up may still land.
    pub zombies: bool,
    /// Postmasters that die.
    pub crashes: u8,
    /// Managers that die with all of their pod.
    pub deaths: u8,
    /// Managers that stand still for a while.
    pub freezes: u8,
    /// Disks that hang.
    pub wedges: u8,
    /// Seconds that one clock gains on the others within the run.
    pub drift: u8,
    /// Pods deleted by force whose process lives on beside its successor.
    pub doubles: u8,
    /// Pods that join.
    pub joins: u8,
    /// Hands on the lease: an annotation touched, which only changes its version.
    pub edits: u8,
    /// Pods told to stop.
    pub terminations: u8,
    /// Requests to fence, by whatever controller, needed or not (E3).
    pub fences: u8,
    /// Nodes that are lost for good, and nobody says so.
    pub lost: u8,
    /// Members that are cut off from the API from then on.
    pub cuts: u8,
    /// Promotions in which postgres takes another timeline than the reserved one (hole 30).
    pub misled: u8,
    /// Times that somebody deletes the lease (L8).
    pub deletes: u8,
    /// How many members each commit waits for (`required`); zero for asynchronous replication.
    pub sync: u32,
    /// Members, bit by bit, whose watches do not lag: they hear of everything at once, or, while they write, of their
    /// own versions of the lease.
    pub prompt: u8,
    /// leaseDuration, in seconds.
    pub lease: u64,
    /// renewDeadline, in seconds.
    pub deadline: u64,
    /// Members, bit by bit, whose first manager was started with the timings of an older spec: `older_lease` and
    /// `older_deadline`. Whoever starts again has those of today.
    pub older: u8,
    /// leaseDuration of before, in seconds.
    pub older_lease: u64,
    /// renewDeadline of before, in seconds.
    pub older_deadline: u64,
    /// Times that the lease is set back to what it was at the beginning, once every volume has seen a later term (L9).
    pub set_backs: u8,
    /// How late the watchdog may be, in seconds (k).
    pub kill: u64,
    /// The first member, which is the primary, is cut off from the API from the beginning.
    pub cut: bool,
    /// Members answer when they are asked for pledges (L7).
    pub failsafe: bool,
    /// Kills take a step of their own.
    pub slow_kills: bool,
    /// Of so many states, one is healed and followed until a primary is open; zero for none.
    pub heal_one_of: u64,
}

impl Limits {
    /// Two members and nothing that goes wrong but time. The worst timings that `Timings::check` lets through, in
    /// whole seconds: a writer may write through the second after its deadline, a taker waits one longer.
    pub const QUIET: Limits = Limits {
        instances: 2,
        ticks: 6,
        writes: 2,
        elections: 1,
        losses: 0,
        zombies: false,
        crashes: 0,
        deaths: 0,
        freezes: 0,
        wedges: 0,
        drift: 0,
        doubles: 0,
        joins: 0,
        edits: 0,
        terminations: 0,
        fences: 0,
        lost: 0,
        cuts: 0,
        misled: 0,
        deletes: 0,
        sync: 0,
        prompt: 0,
        lease: 3,
        deadline: 2,
        older: 0,
        older_lease: 0,
        older_deadline: 0,
        set_backs: 0,
        kill: 1,
        cut: false,
        failsafe: false,
        slow_kills: false,
        heal_one_of: 0,
    };

    /// Every fault once, and members that pledge.
    pub const EVERY: Limits = Limits {
        losses: 1,
        zombies: true,
        crashes: 1,
        deaths: 1,
        freezes: 1,
        wedges: 1,
        drift: 1,
        doubles: 1,
        joins: 1,
        edits: 1,
        terminations: 1,
        fences: 1,
        lost: 1,
        cuts: 1,
        failsafe: true,
        heal_one_of: 500,
        ..Limits::QUIET
    };

    /// `spec.postgresql.synchronous`, as core takes it.
    pub fn spec(&self) -> Option<SyncSpec> {
        (self.sync > 0).then(|| SyncSpec {
            method: Method::Any,
            number: self.sync,
            legacy_minimum: None,
            max_from_cluster: None,
            pre: Vec::new(),
            post: Vec::new(),
            durability: Durability::Required,
            failover_quorum: true,
        })
    }

    /// As core takes them.
    pub fn timings(&self) -> Timings {
        Self::of_seconds(self.lease, self.deadline)
    }

    /// Those that a manager was started with: of this member, counted from one.
    pub fn timings_of(&self, slot: usize, generation: u8) -> Timings {
        let older = self.older & 1_u8.checked_shl(u32::try_from(slot).unwrap_or(u32::MAX)).unwrap_or(0) != 0;
        if older && generation <= 1 { Self::of_seconds(self.older_lease, self.older_deadline) } else { self.timings() }
    }

    fn of_seconds(lease: u64, deadline: u64) -> Timings {
        Timings {
            lease_duration: Duration::from_secs(lease),
            renew_deadline: Duration::from_secs(deadline),
            retry_period: Duration::from_secs(1),
        }
    }
}
