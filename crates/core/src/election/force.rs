//! `promote --force`: a person makes somebody the primary whom rule E4 refuses, and says what he knows will be lost.
//!
//! Nothing else is left out. The lease must be released, lapsed, or its holder proven dead (L2), the instance must have
//! answered behind its fence (E3) with WAL on the opened history, and the demand is about one version of the lease (I10).

use super::{Loss, Rejection, Why};
use crate::cluster::{ForceFact, Observed};
use crate::lease::{LeaseRecord, Versioned};

/// Whether the demand, if there is one, is met: the loss that was accepted, or why not.
pub(super) fn judge(
    observed: &Observed,
    lease: &Versioned<LeaseRecord>,
    why: &Why,
    losses: &[Loss],
    rejected: &[(String, Rejection)],
) -> Option<Result<Loss, String>> {
    observed.force.as_ref().map(|force| met(force, observed, lease, why, losses, rejected))
}

fn met(
    force: &ForceFact,
    observed: &Observed,
    lease: &Versioned<LeaseRecord>,
    why: &Why,
    losses: &[Loss],
    rejected: &[(String, Rejection)],
) -> Result<Loss, String> {
    if let Some(void) = void(force, Some(lease)) {
        return Err(void);
    }
    if !matches!(why, Why::Released | Why::ProofOfDeath | Why::Stale) {
        return Err("the last primary holds the lease still".to_owned());
    }
    let name = &force.instance;
    if observed.pod(name).is_none_or(|pod| pod.uid != force.pod_uid) {
        return Err(format!("another pod has the name {name} by now"));
    }
    let Some(loss) = losses.iter().find(|loss| &loss.instance == name) else {
        let own = rejected.iter().find(|(member, _)| member == name);
        return Err(own.map_or_else(|| format!("{name} did not stand"), |(_, why)| format!("{name} {why}")));
    };
    if loss.bytes != force.accepted_loss {
        return Err(format!(
            "it would lose {} bytes of WAL or more by now, and {} were accepted",
            loss.bytes, force.accepted_loss
        ));
    }
    Ok(loss.clone())
}

/// Why a demand is void on the lease as it is now.
#[must_use]
pub fn void(force: &ForceFact, lease: Option<&Versioned<LeaseRecord>>) -> Option<String> {
    let same = lease.is_some_and(|lease| lease.version == force.lease_version && lease.value.term == force.term);
    (!same).then(|| "the lease has changed since it was demanded".to_owned())
}
