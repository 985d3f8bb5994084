//! Role labels: services follow the holder of the lease once it is open, and nobody else.

use super::Draft;
use super::failover::Outlook;
use super::step::Step;
use crate::cluster::{Observed, PodView, Role};
use crate::lease::HolderState;

pub(super) fn plan(observed: &Observed, outlook: &Outlook, draft: &mut Draft) {
    let Some(lease) = observed.lease.as_ref().filter(|lease| lease.value.term.0 > 0) else { return };
    let open = lease.value.held_by().filter(|_| lease.value.state == HolderState::Open);
    let failing = matches!(outlook, Outlook::FailingOver(_));
    let role = |pod: &PodView| match (open, pod.role) {
        (Some(holder), _) if holder.pod_uid == pod.uid && !failing => Role::Primary,
        (Some(_), _) if !failing => Role::Replica,
        (_, Some(Role::Primary)) => Role::Unhealthy,
        (_, Some(role)) => role,
        (_, None) => Role::Replica,
    };
    // Whoever loses the role does so before another gets it: two primaries are never labelled. Clients wait for the
    // second of these, and for nothing that can come after.
    let mut changes: Vec<(&PodView, Role)> =
        observed.pods.iter().map(|pod| (pod, role(pod))).filter(|(pod, role)| pod.role != Some(*role)).collect();
    changes.sort_by_key(|(pod, role)| match role {
        Role::Primary => (1, pod.serial),
        _ if pod.role == Some(Role::Primary) => (0, pod.serial),
        _ => (2, pod.serial),
    });
    for (pod, role) in changes {
        draft.steps.push(Step::SetRole { pod: pod.name.clone(), uid: pod.uid.clone(), role });
    }
}
