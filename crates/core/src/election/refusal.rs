//! Why somebody, or everybody, cannot be elected: as types, so that the status can say it.

use super::Shortage;
use crate::cluster::MemberPhase;
use crate::identity::SystemId;
use crate::lease::WalPosition;
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
    /// Its manager is busy with something that it must finish first.
    Busy(MemberPhase),
    /// It holds another database system.
    WrongSystem(SystemId),
    /// Its WAL lies on a timeline that no holder of the lease has reserved.
    Forked(WalPosition),
    /// It holds the lease that is to be taken from it.
    IsTheHolder,
    /// The holder has not named it as one that may take a lease which was not released (hole 13).
    NotATaker,
    /// It is too far behind for a switchover, in bytes.
    Lags(u64),
    /// There is no pod of that name.
    Missing,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rejection::Unreachable => f.write_str("does not answer"),
            Rejection::BeingDeleted => f.write_str("is being deleted"),
            Rejection::Finished => f.write_str("its pod has ended"),
            Rejection::Fenced => f.write_str("is fenced by annotation"),
            Rejection::NoData => f.write_str("holds no data yet"),
            Rejection::Busy(phase) => write!(f, "is {}", format!("{phase:?}").to_lowercase()),
            Rejection::WrongSystem(id) => write!(f, "holds another database system ({id})"),
            Rejection::Forked(at) => write!(f, "its WAL ({at}) lies on a timeline that was never reserved"),
            Rejection::IsTheHolder => f.write_str("is the primary that is to be replaced"),
            Rejection::NotATaker => f.write_str("is not among those who may take an unreleased lease"),
            Rejection::Lags(bytes) => write!(f, "is {bytes} bytes behind"),
            Rejection::Missing => f.write_str("is not there"),
        }
    }
}

/// Why nobody was elected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The short reason.
    pub reason: String,
    /// Each member and what stands against it.
    pub members: Vec<(String, Rejection)>,
    /// Which electable records could not be satisfied (rule E4).
    pub shortages: Vec<Shortage>,
}

impl Refusal {
    /// For `status.electionRefusal.missing` and for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let members = self.members.iter().map(|(name, why)| format!("{name} {why}"));
        members.chain(self.shortages.iter().map(ToString::to_string)).collect()
    }
}
