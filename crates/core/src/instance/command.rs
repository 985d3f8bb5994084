//! What the machine tells the shell to do. Imperatives; each asynchronous one carries the [`Op`] to answer with.

use super::fencing::FenceRefusal;
use super::source::Sources;
use super::stop::Stop;
use super::view::{Leader, Peer};
use crate::cluster::TailFact;
use crate::identity::{Nonce, SystemId};
use crate::lease::{LeaseRecord, Term, WalPosition};
use crate::lsn::Lsn;
use crate::sync::{Pledge, SyncSetting};
use crate::time::Instant;
use crate::timeline::TimelineId;
use core::time::Duration;

/// Ties an outcome to the command that asked for it: an answer to an older command is void.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Op(pub u64);

/// How postgres is started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StartAs {
    /// As the primary (after crash recovery, where that is due).
    Primary,
    /// As a standby of `leader`, or of nobody yet.
    Standby(Option<Leader>),
}

/// One round of rule L7.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PledgeRound {
    /// The holder.
    pub nonce: Nonce,
    /// Its term.
    pub term: Term,
    /// Counts its rounds.
    pub round: u64,
    /// L by the holder's timings: for so long a pledge has to bind.
    pub lease_duration: Duration,
    /// Whom to ask: every member that may take the lease. One without an address cannot pledge.
    pub members: Vec<Peer>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Read the volume and the control data, find the end of valid WAL.
    InspectVolume(Op),
    /// Remove a half-made directory.
    DiscardPartial(Op),
    /// Write the intent to initialise into the Cluster's status, by compare-and-swap.
    ClaimInitialization(Op),
    /// initdb into a new directory, durably renamed when complete.
    InitializeDatabase(Op),
    /// Clone the leader, or a standby of it ([`super::choose_source`]), into a new directory, durably renamed when complete;
    /// an existing one is kept until then.
    CloneFrom(Op, Leader, Sources),
    /// Archive every `.ready`, then follow the leader's history: fast-forward, rewind or say that a clone is due.
    Rejoin(Op, Leader),
    /// Start postgres and wait until it accepts connections.
    StartPostgres(Op, StartAs),
    /// Roles, grants and the application's database; idempotent.
    BootstrapDatabase(Op),
    /// Stop postgres in the stated phases; done when the postmaster is gone.
    StopPostgres(Op, Stop),
    /// SIGKILL everything of postgres; done when no process is left (rule L5, and before L6).
    KillEverything(Op),
    /// Point a running standby at another leader, or at nobody.
    Follow(Option<Leader>),
    /// Wait until this standby has all WAL up to the position.
    AwaitPosition(Op, WalPosition),
    /// Ask the crashed holder to release, now that its tail is here (protocol, section 6).
    ConfirmTail(Op, TailFact, Term),
    /// Look for a terminated container that carries the nonce.
    LookForProof(Op, String, Nonce),
    /// Promote, check that postgres chose the reserved timeline.
    Promote(Op, TimelineId),
    /// Rule E3: persist the fence, stop the receiver, answer with a fresh position.
    Fence(Op, Term),
    /// PUT the lease over `over`; the kind tells which rule applies to the answer.
    PutLease {
        /// Answer with this.
        op: Op,
        /// The version that the decision was made from.
        over: String,
        /// What to store.
        record: LeaseRecord,
    },
    /// POST the lease, which is not there (rule L8); answered as a PUT is.
    CreateLease {
        /// Answer with this.
        op: Op,
        /// What to store.
        record: LeaseRecord,
    },
    /// Keep the highest term that was seen on the volume, durably (rule L9).
    RememberTerm(Term),
    /// Something is not as it should be, and people are to know.
    Alarm(String),
    /// Show that WAL can be written: fsync on its volume and, where `sql`, a local commit.
    ProveWritePath {
        /// Answer with this.
        op: Op,
        /// Postgres is open, so ask it too.
        sql: bool,
    },
    /// The watchdog kills everything past this instant.
    ArmWatchdog(Instant),
    /// No process of postgres is left that it would have to kill.
    DisarmWatchdog,
    /// Say in the Cluster's status that this instance is the primary; archive the history; checkpoint.
    AnnouncePrimary(TimelineId),
    /// Record the system identifier in the Cluster's status.
    PublishSystemId(Op, SystemId),
    /// Where restore_command finds the end of a dead primary's WAL.
    UseTail(Option<TailFact>),
    /// Serve pg_wal to the members, up to this position.
    OfferTail(Option<WalPosition>),
    /// Whether archive_command may archive.
    Archive(ArchiveMode),
    /// Render the configuration again and reload.
    ApplyConfiguration,
    /// From now on postgres' configuration has this `synchronous_standby_names`: told before the [`Command::Promote`]
    /// and the [`Command::StartPostgres`] whose postgres will write by it (Q6, hole 10). A running postgres that is
    /// to be promoted must have read it before.
    ConfigureSynchronous(SyncSetting),
    /// Put the setting in force in every walsender of this primary (Q4), then write WAL and answer
    /// [`super::Outcome::InForce`] with where it ends; bounded. It stays in the configuration, whatever the answer.
    SetSynchronous(Op, SyncSetting),
    /// Wait until [`SyncSetting::needed_of_members`] of the setting's members, by incarnation, have flushed WAL up to
    /// here; bounded, since it is asked for again.
    Barrier(Op, SyncSetting, Lsn),
    /// `true`: new connections are refused, but for the manager's own and replication; a [`Command::Promote`] waits until
    /// that is in force, and ends the sessions that there are. `false`: as the user wants.
    GateClients(bool),
    /// Ask each member for a pledge (rule L7) and answer [`super::Outcome::Pledged`] with those who said yes, within
    /// [`crate::sync::MAX_PLEDGE_ROUND`] of the sending.
    AskPledges(Op, PledgeRound),
    /// Answer a request of [`super::Event::PledgeAsked`].
    AnswerPledge(Op, Result<Pledge, String>),
    /// Answer a request of [`super::Event::TailConfirmed`] with the version of the released lease, or refuse.
    AnswerTail(Op, Result<String, String>),
    /// Refuse a request of [`super::Event::FenceRequested`].
    RefuseFence(Op, FenceRefusal),
    /// Leave with this exit code: everything is stopped.
    Exit(u8),
}

/// What the archiver does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArchiveMode {
    /// A standby archives nothing of its own accord.
    Standby,
    /// Postgres is being promoted, and which timeline it chose is not known yet (I2): requests wait. What lies on one
    /// that nobody reserved would be in the way of whoever reserves it (I5).
    Unchecked,
    /// The primary archives.
    Primary,
    /// Postgres is stopping: answer "failed" at once, since its shutdown waits for its archiver.
    Stopping,
}
