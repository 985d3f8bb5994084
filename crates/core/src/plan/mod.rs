//! What the controller shall do next: `plan(desired, observed, now)` is data that can be printed, compared,
//! and is checked by [`check`] before anything of it is applied. It is level-triggered: it never asks why
//! it was called, and a plan that was half applied is followed by one that does the rest.

mod certificates;
#[cfg(test)]
mod certificates_tests;
mod check;
mod check_election;
#[cfg(test)]
mod check_election_tests;
mod check_pairs;
mod check_restart;
mod check_restore;
#[cfg(test)]
mod check_tests;
mod explain;
mod failover;
#[cfg(test)]
mod failover_tests;
mod hibernation;
#[cfg(test)]
mod hibernation_tests;
mod instances;
mod lost_lease;
#[cfg(test)]
mod lost_lease_tests;
mod objects;
mod out_of_reach;
mod report;
mod restore;
#[cfg(test)]
mod restore_tests;
mod roles;
mod rollout;
#[cfg(test)]
mod rollout_tests;
mod scale;
mod spared;
mod status;
mod step;
mod stranded;
#[cfg(test)]
mod stranded_tests;
#[cfg(test)]
mod tests;
mod topology;
mod volumes;
mod wal_volumes;
#[cfg(test)]
mod wal_volumes_tests;

pub use check::{Violation, check};
pub use explain::{ElectionNote, ElectionState};
pub use hibernation::HibernationNote;
pub use lost_lease::{LostLease, lost_lease};
pub use report::{Line, Report};
pub use status::{Phase, StatusUpdate};
pub use step::{EventKind, GivenUp, Step};
pub use stranded::{Stranding, strandings};
pub use topology::{Domains, TopologyNote};

use crate::cluster::{Desired, Observed};
use crate::time::Instant;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Steps in the order in which they are applied, and the reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// What to do.
    pub steps: Vec<Step>,
    /// What the status shall say once this is seen; written where it differs.
    pub status: StatusUpdate,
    /// What, why, and why not.
    pub report: Report,
    /// Look again no later than this, even if nothing happens.
    pub again: Option<Duration>,
}

/// Plans. `observed.lease` was read for this look, and the members' reports are fresh where
/// [`crate::election::next`] asked for it.
#[must_use]
pub fn plan(desired: &Desired, observed: &Observed, now: Instant) -> Plan {
    let mut draft = Draft::default();
    if desired.deleting {
        // A holder that still stops would make it again (rule L8), or lose what it writes under.
        if observed.pods.is_empty() {
            draft.report.does("release the lease object", "the cluster is being deleted");
            draft.steps.extend(observed.lease.is_some().then_some(Step::ReleaseLeaseObject));
        } else {
            draft.report.waits("the pods of the deleted cluster to be gone, before its lease is");
        }
        return draft.finish(StatusUpdate::default());
    }
    let course = restore::plan(desired, observed, now, &mut draft);
    if let restore::Course::Alone(reason) = course {
        objects::plan(desired, observed, &mut draft);
        certificates::plan(observed, &mut draft);
        let status = status::restoring(desired, observed, reason);
        return draft.finish(status);
    }
    if observed.hibernates() {
        let note = hibernation::plan(observed, &mut draft);
        objects::plan(desired, observed, &mut draft);
        certificates::plan(observed, &mut draft);
        let status = status::hibernating(desired, observed, note);
        return draft.finish(status);
    }
    let outlook = failover::plan(desired, observed, now, &mut draft);
    roles::plan(observed, &outlook, &mut draft);
    objects::plan(desired, observed, &mut draft);
    lost_lease::plan(desired, observed, now, &mut draft);
    certificates::plan(observed, &mut draft);
    let mut needs = instances::plan(desired, observed, &mut draft);
    // Neither a volume goes nor an instance restarts before it is known which history goes on.
    let restores = matches!(course, restore::Course::Beside(Some(_)));
    if !restores {
        scale::plan(desired, observed, &mut draft);
    }
    volumes::plan(desired, observed, &mut draft);
    if !restores {
        stranded::plan(desired, observed, now, &mut needs, &mut draft);
    }
    let progress = if restores {
        rollout::Progress::UpToDate
    } else {
        rollout::plan(desired, observed, &outlook, &needs, &mut draft)
    };
    let status = status::of(desired, observed, &outlook, &needs, &progress);
    let status = match course {
        restore::Course::Beside(Some(reason)) => StatusUpdate { phase: Phase::Restoring, reason, ..status },
        _ => status,
    };
    let election = draft.election.take();
    let hibernation = hibernation::waits(observed);
    draft.finish(StatusUpdate { election, hibernation, ..status })
}

/// A plan in the making.
#[derive(Default)]
struct Draft {
    steps: Vec<Step>,
    report: Report,
    again: Option<Duration>,
    election: Option<ElectionNote>,
}

impl Draft {
    /// An Event of the Cluster.
    fn tell(&mut self, kind: EventKind, reason: &str, message: impl Into<String>) {
        self.steps.push(Step::Event { kind, reason: reason.to_owned(), message: message.into() });
    }

    fn look_again(&mut self, after: Duration) {
        self.again = Some(self.again.map_or(after, |known| known.min(after)));
    }

    fn finish(self, status: StatusUpdate) -> Plan {
        Plan { steps: self.steps, status, report: self.report, again: self.again }
    }
}
