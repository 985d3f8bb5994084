//! Rule L7: a holder that cannot reach the API goes on while those who could take its lease pledge not to.

use crate::identity::{Incarnation, Nonce, PodUid};
use crate::lease::{ElectableRecord, Term};
use crate::time::Instant;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A round of pledges that takes longer than this is worth nothing: the next one is begun.
pub const MAX_PLEDGE_ROUND: Duration = Duration::from_secs(1);

/// One member's yes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pledge {
    /// Who.
    pub pod_uid: PodUid,
    /// With which data directory.
    pub incarnation: Option<Incarnation>,
}

/// Whether the round extends the holder's deadline. Either every member that may take the lease has pledged; or, by
/// the quorum, so many of the holder's voters that no election can be satisfied while they refuse to fence
/// themselves: at least W of V. The latter for each own entry that may be stored, `None` being a list without one.
/// An empty list of takers is satisfied by nobody: only the heir of the volume, under its lock, could follow then.
#[must_use]
pub fn enough_pledges(takers: &BTreeSet<PodUid>, own: &[Option<ElectableRecord>], pledges: &[Pledge]) -> bool {
    let pledged = |taker: &PodUid| pledges.iter().any(|pledge| pledge.pod_uid == *taker);
    let bound: BTreeSet<&Incarnation> = pledges.iter().filter_map(|pledge| pledge.incarnation.as_ref()).collect();
    let blocked = |record: &ElectableRecord| {
        let voters: BTreeSet<&Incarnation> = record.voters.iter().collect();
        u32::try_from(voters.intersection(&bound).count()).unwrap_or(u32::MAX) >= record.needed
    };
    takers.iter().all(pledged) || (!own.is_empty() && own.iter().all(|record| record.as_ref().is_some_and(blocked)))
}

/// What a member knows when it is asked for a pledge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pledger {
    /// It holds the lease, or its postgres may write.
    pub writes: bool,
    /// It has sent a take of its own whose fate is open.
    pub takes: bool,
    /// Its fence.
    pub fence: Term,
    /// The term and the holder of the lease as it knows it; `None` for a released one, or none at all.
    pub lease: Option<(Term, Option<Nonce>)>,
}

/// Why a member does not pledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PledgeRefusal {
    /// It writes itself.
    #[error("this member holds the lease")]
    Writes,
    /// Its own take may be stored.
    #[error("this member has sent a take of its own")]
    Takes,
    /// It has promised an election that it follows nobody of this term.
    #[error("this member has fenced itself at term {0:?}")]
    Fenced(Term),
    /// The asker is no longer who holds the lease.
    #[error("the lease has moved on to term {0:?}, or to another holder")]
    MovedOn(Term),
}

/// Rule L7, the pledger's half: may this member promise not to take, nor to fence itself, for a leaseDuration?
///
/// # Errors
/// [`PledgeRefusal`] says why not.
pub fn may_pledge(pledger: &Pledger, nonce: &Nonce, term: Term) -> Result<(), PledgeRefusal> {
    if pledger.writes {
        return Err(PledgeRefusal::Writes);
    }
    if pledger.takes {
        return Err(PledgeRefusal::Takes);
    }
    if pledger.fence >= term {
        return Err(PledgeRefusal::Fenced(pledger.fence));
    }
    match &pledger.lease {
        Some((seen, holder)) if *seen > term || (*seen == term && holder.as_ref() != Some(nonce)) => {
            Err(PledgeRefusal::MovedOn(*seen))
        }
        _ => Ok(()),
    }
}

/// Whether a pledge given at `given` still binds its giver.
#[must_use]
pub fn is_bound(given: Instant, lease_duration: Duration, now: Instant) -> bool {
    now.since(given) < lease_duration
}
