//! What the control routes ask of the driver: it alone acts, the server only carries the question.

use pgherd_proto::control::{
    FenceRequest, PledgeGiven, PledgeRequest, SwitchWalRequest, TailConfirmed, TailRequest, WalSwitched,
};
use pgherd_proto::member::MemberReport;
use tokio::sync::{mpsc, oneshot};

/// Why the driver did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The request names a version, term or position that is not the current one: void (I10). Do not retry it.
    #[error("refused: {0}")]
    Refused(String),
    /// By what this member knows the holder may write yet. Asked again a little later, the answer may be another.
    #[error("too early: {0}")]
    TooEarly(String),
    /// It may work later.
    #[error("not possible now: {0}")]
    Unavailable(String),
}

/// Where the answer goes. A dropped sender is answered as "unavailable".
pub type Reply<T> = oneshot::Sender<Result<T, ControlError>>;

/// One question of a peer that proved to belong to the cluster.
#[derive(Debug)]
pub enum ControlRequest {
    /// POST /pg/fence: persist the fence, stop the receiver, report.
    Fence {
        /// The election's term and lease version.
        request: FenceRequest,
        /// What this member has on disk, after the fence.
        reply: Reply<MemberReport>,
    },
    /// GET /pg/member: report, and do nothing.
    Member {
        /// What this member says of itself now.
        reply: Reply<MemberReport>,
    },
    /// POST /pg/tail/confirm: the winner has all of our WAL; release the lease.
    ConfirmTail {
        /// Who, at which term, up to where.
        request: TailRequest,
        /// The version of the released lease.
        reply: Reply<TailConfirmed>,
    },
    /// POST /failsafe: promise not to take the lease, nor to fence oneself, for a while (rule L7).
    Pledge {
        /// The holder, its term and the round.
        request: PledgeRequest,
        /// Who promised.
        reply: Reply<PledgeGiven>,
    },
    /// POST /pg/wal/switch: complete the segment that a standby's backup ends in.
    SwitchWal {
        /// Where it ends.
        request: SwitchWalRequest,
        /// Where WAL is written on.
        reply: Reply<WalSwitched>,
    },
    /// GET /pg/controldata.
    ControlData {
        /// The text of pg_controldata.
        reply: Reply<String>,
    },
}

/// The server's end of the channel.
pub type ControlSender = mpsc::Sender<ControlRequest>;

/// A channel that holds a few requests: elections are rare, and a queue of them would be stale.
#[must_use]
pub fn control_channel() -> (ControlSender, mpsc::Receiver<ControlRequest>) {
    mpsc::channel(8)
}
