//! Why somebody, or everybody, cannot be elected: as types, so that the status can say it.

use super::{Loss, Shortage};
use crate::cluster::MemberPhase;
use crate::identity::{Incarnation, SystemId};
use crate::lease::WalPosition;
use crate::lsn::Lsn;
use crate::timeline::TimelineId;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Why one member is not a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rejection {
    /// It did not answer in time.
    Unreachable,
    /// Its pod is being deleted.
    BeingDeleted,
    /// Its pod has ended.
    Finished,
    /// The user fenced it.
    Fenced,
    /// It holds no database yet.
    NoData,
    /// It follows, and has not said yet how far it is.
    NoPosition,
    /// Its manager is busy with something that it must finish first.
    Busy(MemberPhase),
    /// It follows, and is not ready by its kubelet's word.
    NotReady,
    /// It holds another database system.
    WrongSystem(SystemId),
    /// Its WAL lies on a timeline that no holder of the lease has reserved.
    Forked(WalPosition),
    /// Its WAL goes past the point where the opened history left that timeline, or is on a timeline that is no part
    /// of it: it must be rewound first.
    Diverged {
        /// Where its WAL ends.
        position: WalPosition,
        /// Where that timeline was left, if it is part of the opened history at all.
        left: Option<Lsn>,
    },
    /// It is on a timeline of the right id that is not the elected primary's: somebody promoted it by hand.
    OtherHistory {
        /// The id.
        timeline: TimelineId,
        /// Where its own begins.
        begins: Option<Lsn>,
        /// Where the opened one begins.
        expected: Option<Lsn>,
    },
    /// It and another member both know a timeline, and do not agree on where it begins.
    Contradicts {
        /// The other member.
        member: String,
        /// The timeline.
        timeline: TimelineId,
    },
    /// It holds the lease that is to be taken from it.
    IsTheHolder,
    /// The holder has not named it as one that may take a lease which was not released (hole 13).
    NotATaker,
    /// It is too far behind for a switchover, in bytes.
    Lags(u64),
    /// There is no pod of that name.
    Missing,
    /// The node that it is on is to be left as well; the reason in words.
    NodeIsLeft(String),
    /// It is on the node that the primary is to leave.
    OnTheSameNode,
}

impl Rejection {
    /// Of a member that has only just begun, it may be over in a moment.
    #[must_use]
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Rejection::Unreachable | Rejection::NoData | Rejection::NoPosition | Rejection::NotReady => true,
            // It has yet to follow, or to say that it does.
            Rejection::Diverged { .. } => true,
            // A stuck one may only pause before it starts its postgres again.
            Rejection::Busy(phase) => {
                matches!(phase, MemberPhase::Starting | MemberPhase::Rejoining | MemberPhase::Stuck)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::Unreachable => f.write_str("does not answer"),
            Rejection::BeingDeleted => f.write_str("is being deleted"),
            Rejection::Finished => f.write_str("its pod has ended"),
            Rejection::Fenced => f.write_str("is fenced by annotation"),
            Rejection::NoData => f.write_str("holds no data yet"),
            Rejection::NoPosition => f.write_str("has not said yet how far it is"),
            Rejection::Busy(phase) => write!(f, "is {}", format!("{phase:?}").to_lowercase()),
            Rejection::NotReady => f.write_str("is not ready"),
            Rejection::WrongSystem(id) => write!(f, "holds another database system ({id})"),
            Rejection::Forked(at) => write!(f, "its WAL ({at}) lies on a timeline that was never reserved"),
            Rejection::Diverged { position, left: Some(left) } => {
                write!(f, "its WAL ends at {position}, which the primary's history left at {left}")
            }
            Rejection::Diverged { position, left: None } => {
                write!(f, "its WAL ends at {position}, which is no part of the primary's history")
            }
            Rejection::OtherHistory { timeline, begins, expected } => write!(
                f,
                "its timeline {timeline} begins at {}, the primary's at {}: it was promoted behind the lease's back",
                lsn(*begins),
                lsn(*expected)
            ),
            Rejection::Contradicts { member, timeline } => {
                write!(f, "does not agree with {member} on where timeline {timeline} begins")
            }
            Rejection::IsTheHolder => f.write_str("is the primary that is to be replaced"),
            Rejection::NotATaker => f.write_str("is not among those who may take an unreleased lease"),
            Rejection::Lags(bytes) => write!(f, "is {bytes} bytes behind"),
            Rejection::Missing => f.write_str("is not there"),
            Rejection::NodeIsLeft(why) => write!(f, "is to be moved as well: {why}"),
            Rejection::OnTheSameNode => f.write_str("is on the same node"),
        }
    }
}

fn lsn(known: Option<Lsn>) -> String {
    known.map_or_else(|| "another place".to_owned(), |lsn| lsn.to_string())
}

/// Why nobody was elected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The short reason.
    pub reason: String,
    /// Each member and what stands against it.
    pub members: Vec<(String, Rejection)>,
    /// Which electable records could not be satisfied (rule E4).
    pub shortages: Vec<Shortage>,
    /// What forcing somebody all the same would lose.
    pub losses: Vec<Loss>,
    /// The pods that data directories belong to, as far as they are known.
    pub names: Vec<(Incarnation, String)>,
    /// Why a person's demand to force somebody was refused.
    pub force: Option<String>,
}

impl Refusal {
    /// For `status.electionRefusal.missing` and for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let members = self.members.iter().map(|(name, why)| format!("{name} {why}"));
        let name = |id: &Incarnation| {
            let known = self.names.iter().find(|(own, _)| own == id).map(|(_, name)| name.clone());
            known.unwrap_or_else(|| format!("a lost data directory ({id})"))
        };
        let shortages = self.shortages.iter().map(|shortage| shortage.describe(name));
        members.chain(shortages).chain(self.losses.iter().map(ToString::to_string)).collect()
    }
}
