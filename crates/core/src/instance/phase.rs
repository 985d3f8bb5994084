//! The states of an instance, each with its own data. `docs/architecture.md` draws the transitions.

use super::command::Op;
use super::view::Leader;
use crate::cluster::ElectionFact;
use crate::identity::SystemId;
use crate::lease::{Term, WalPosition};
use crate::time::Instant;

/// What comes after everything was killed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AfterKill {
    /// Look at the volume again and go on from what is there.
    Restart,
    /// The same, but not before this instant: this failed.
    Pause(Instant, String),
    /// Leave.
    Exit(u8),
}

/// What an instance is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading its volume, then deciding what it is. Exits to any other.
    Starting(Option<Op>),
    /// It cannot go on for a while; then Starting again.
    Waiting {
        /// Until when; `None` while only a change of the world can help.
        until: Option<Instant>,
        /// For people.
        why: String,
    },
    /// Making the cluster's database, once in its life. Exits to Primary.
    Initializing(Initializing),
    /// Cloning the leader into an empty volume, or beside a directory that cannot follow. Exits to Starting.
    Joining(Op, Leader),
    /// Bringing an old primary's directory onto the leader's history. Exits to Starting or Joining.
    Rejoining(Op, Leader),
    /// Following. Exits to Candidate, Starting.
    Standby(Standby),
    /// ElectionFact; getting what is missing, then the lease. Exits to Promoting or back to Starting.
    Candidate(Candidate),
    /// Holding the lease, becoming the primary. Exits to Primary.
    Promoting(Promoting),
    /// Open to clients. Exits to Crashed, SteppingDown.
    Primary,
    /// Its postgres died and it still holds the lease. Exits to Offering or Primary.
    Crashed(Crashed),
    /// A primary's directory without the lease: it offers the end of its WAL. Exits to Rejoining, Crashed.
    Offering(WalPosition),
    /// A holder stops in order, to hand over. Exits to Offering or leaves.
    SteppingDown(SteppingDown),
    /// A member without the lease stops. Leaves.
    Stopping(Op),
    /// SIGKILL was sent to everything of postgres.
    Killing(Op, AfterKill),
    /// Gone.
    Exited,
}

/// Steps of making the first database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Initializing {
    /// Writing the intent.
    Claiming(Op),
    /// initdb.
    CreatingDatabase(Op),
    /// Taking the lease for the first time.
    Taking,
    /// Starting postgres.
    StartingPostgres(Op),
    /// Roles and the application's database.
    Bootstrapping(Op),
    /// Recording the system identifier.
    Publishing(Op, SystemId),
    /// Opening: the lease is to say so.
    Opening,
}

/// Steps of a standby.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standby {
    /// Starting postgres behind a leader, if there is one.
    StartingPostgres(Op, Option<Leader>),
    /// Following `leader`; `unlinked` since then it has had one and did not stream.
    Running {
        /// Whom.
        leader: Option<Leader>,
        /// Since when the link is down although the leader is open.
        unlinked: Option<Instant>,
    },
    /// Stopping postgres to go through rejoin.
    Stopping(Op),
}

/// A winner on its way to the lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// What it was elected by.
    pub election: Box<ElectionFact>,
    /// Since when.
    pub since: Instant,
    /// The WAL that it needs before it takes.
    pub needs: WalPosition,
    /// How far it is.
    pub step: CandidateStep,
}

/// Steps of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CandidateStep {
    /// Waiting for the WAL that the election names.
    Gathering(Op),
    /// Asking the crashed holder to release.
    Confirming(Op),
    /// Looking for a terminated container.
    Proving(Op),
    /// Trying again at this instant.
    Pausing(Instant),
    /// The next thing is the take.
    Ready,
    /// The take was sent.
    Taking,
}

/// Steps of a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Promoting {
    /// Postgres is being promoted.
    Asked(Op),
    /// It is; the lease is to say `open`.
    Opening,
}

/// Steps after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crashed {
    /// It did not crash: it was asked to restart, and stops in order first.
    Stopping(Op),
    /// Killing what is left.
    Killing(Op),
    /// Finding the end of WAL.
    Reading(Op),
    /// Offering it.
    Offered {
        /// Since when.
        since: Instant,
        /// The end of valid WAL.
        end: WalPosition,
    },
    /// A candidate confirmed (the request to answer): releasing.
    Releasing(Op, WalPosition),
    /// Starting again where it fell.
    StartingInPlace(Op, Instant),
    /// Started; the lease is to say `open`, with a later term than this one.
    Opening(Term),
}

/// Where a stepping down leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterRelease {
    /// Follow the next primary.
    Follow,
    /// Leave.
    Exit,
}

/// Steps of stepping down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SteppingDown {
    /// What for.
    pub then: AfterRelease,
    /// How far.
    pub step: StepDown,
}

/// Steps of stepping down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepDown {
    /// Stopping postgres.
    Stopping(Op),
    /// Killing whatever is left.
    Killing(Op),
    /// Finding the end of WAL.
    Reading(Op),
    /// Giving the lease up.
    Releasing(WalPosition),
}
