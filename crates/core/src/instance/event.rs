//! What happened, told to the machine by the shell. Past participles.

use super::command::Op;
use super::view::{ClusterView, Peer, Volume};
use crate::identity::Nonce;
use crate::lease::{LeaseRecord, Term, Versioned, WalPosition};
use crate::lsn::Lsn;
use crate::sync::Pledge;
use crate::time::Instant;
use crate::timeline::{Lineage, TimelineId};
use core::time::Duration;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and gone at once")]
pub enum Event {
    /// Time passed.
    Ticked,
    /// The Cluster was read or changed.
    ClusterSeen(ClusterView),
    /// The Lease was read or changed.
    LeaseSeen(Versioned<LeaseRecord>),
    /// The Lease is not there.
    LeaseMissing,
    /// Postgres was sampled, and writes: on a standby somebody promoted it by hand.
    FoundWriting,
    /// The other members.
    PeersSeen(Vec<Peer>),
    /// Nonces of this cluster's containers that terminated, as the kubelet reports them.
    DeathsSeen(Vec<Nonce>),
    /// The postmaster ended without being asked to.
    PostgresExited(String),
    /// A standby's link, sampled.
    LinkSampled(Link),
    /// The names (`application_name`) of the standbys whose walsenders on this primary are in state `streaming`.
    StandbysSampled(Vec<String>),
    /// A holder that cannot reach the API asks for a pledge (rule L7).
    PledgeAsked(Op, PledgeCall),
    /// A running standby crossed onto this timeline, and has its history.
    LineageRead(Lineage),
    /// A command came to its end.
    Finished(Op, Outcome),
    /// The pod is to stop (SIGTERM).
    TerminationRequested,
    /// The controller fences this member for the term (rule E3).
    FenceRequested(Op, FenceCall),
    /// A candidate says that it has the tail.
    TailConfirmed(Op, TailCall),
}

/// A request to fence.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FenceCall {
    /// The term that the election is to end.
    pub term: Term,
}

/// A holder's request for a pledge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PledgeCall {
    /// The holder.
    pub nonce: Nonce,
    /// Its term.
    pub term: Term,
    /// Counts its rounds, for the log.
    pub round: u64,
    /// L by the holder's timings.
    pub lease_duration: Duration,
}

/// A candidate's confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TailCall {
    /// The term that it wants to end.
    pub term: Term,
    /// What it has.
    pub position: WalPosition,
    /// Its pod.
    pub candidate: String,
}

/// How a standby hangs on its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The walreceiver streams.
    pub streaming: bool,
    /// What has been received and flushed, or replayed, whichever is more.
    pub position: WalPosition,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it should.
    Done,
    /// The volume was read.
    Inspected(Volume),
    /// The lease was stored; `sent` is when the request left.
    Stored {
        /// The new version.
        version: String,
        /// `CLOCK_BOOTTIME` just before the request was sent.
        sent: Instant,
    },
    /// The lease had moved on; what it is now.
    Conflicted(Versioned<LeaseRecord>),
    /// It may or may not have happened: no answer, or none that says.
    Unknown {
        /// What went wrong.
        why: String,
        /// When the request left.
        sent: Instant,
    },
    /// WAL could be written; the proof began at this instant.
    Proven(Instant),
    /// The setting is in force in every walsender, and WAL ended here after that (Q4, Q3's X).
    InForce {
        /// Later than everything that was flushed before.
        flush: Lsn,
    },
    /// The round of pledges is over: who said yes within it.
    Pledged {
        /// `CLOCK_BOOTTIME` before the first request of the round was sent.
        sent: Instant,
        /// Who pledged.
        by: Vec<Pledge>,
    },
    /// Postgres was promoted and chose this timeline; its history, where that could be read.
    Promoted(TimelineId, Option<Lineage>),
    /// The holder released; the version of that.
    Released(String),
    /// A rejoin found that only a clone will do.
    CloneDue(String),
    /// Nothing of the kind.
    NotFound,
    /// It failed; whether to try again is the machine's decision.
    Failed(String),
}
