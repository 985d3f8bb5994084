//! Why an election is due at all (rule E1): the lease and the members' words, nothing else.

use crate::cluster::{ElectionFact, Observed};
use crate::lease::HolderState;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The reason of an election.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// The holder gave the lease back.
    Released,
    /// The holder's postgres died; it offers its last WAL (protocol §6).
    Recovering,
    /// A terminated container carries the holder's nonce (hole 17).
    ProofOfDeath,
    /// Members that may take it saw the lease unchanged for a whole leaseDuration.
    Stale,
    /// Somebody asked for another primary.
    Switchover {
        /// `status.targetPrimary`.
        target: String,
    },
    /// The primary is well, and its node is to be left.
    Drain {
        /// Who runs there, and why it is to leave, in words.
        because: String,
    },
}

impl Why {
    /// The primary did not give up by itself, so `failoverDelay` counts.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Why::Recovering | Why::ProofOfDeath | Why::Stale)
    }

    /// The primary is well: nobody is fenced for it, and it hands over itself.
    #[must_use]
    pub fn is_handover(&self) -> bool {
        matches!(self, Why::Switchover { .. } | Why::Drain { .. })
    }

    /// `status.election.reason`.
    #[must_use]
    pub(super) fn reason(&self, winner: &str) -> String {
        match self {
            Why::Drain { because } => format!("{}: {because}", requested(winner)),
            _ => self.to_string(),
        }
    }
}

/// How the reason of every handover begins: managers tell it from a failover by that.
fn requested(target: &str) -> String {
    Why::Switchover { target: target.to_owned() }.to_string()
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Released => f.write_str("the primary released the lease"),
            Why::Recovering => f.write_str("postgres of the primary died"),
            Why::ProofOfDeath => f.write_str("the primary's manager terminated"),
            Why::Stale => f.write_str("the primary has not renewed its lease"),
            Why::Switchover { target } => write!(f, "switchover to {target} requested"),
            Why::Drain { because } => f.write_str(because),
        }
    }
}

/// Why the present holder is to be replaced, if it is. A lease that was never taken belongs to whoever
/// initialises the cluster, and a vanished pod proves nothing.
#[must_use]
pub fn why(observed: &Observed) -> Option<Why> {
    let lease = observed.lease.as_ref()?;
    if lease.value.term.0 == 0 {
        return None;
    }
    let Some(holder) = lease.value.held_by() else { return Some(Why::Released) };
    if observed.pods.iter().any(|pod| pod.dead_nonces.contains(&holder.nonce)) {
        return Some(Why::ProofOfDeath);
    }
    let stale = observed.pods.iter().filter_map(|pod| pod.report.as_ref()).any(|report| {
        report.lease_seen.stale
            && report.lease_seen.version == lease.version
            && report.pod_uid != holder.pod_uid
            && lease.value.takers.contains(&report.pod_uid)
    });
    if stale {
        return Some(Why::Stale);
    }
    (lease.value.state == HolderState::Recovering).then_some(Why::Recovering)
}

/// Whether the election was made from a primary that was well: its evidence is not the end of that primary's WAL.
#[must_use]
pub fn is_switchover(election: &ElectionFact) -> bool {
    election.reason.starts_with(&requested(&election.winner))
}
