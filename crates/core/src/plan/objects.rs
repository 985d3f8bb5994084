//! What a cluster has once: secrets, services, the managers' rights, budgets, the monitor, the lease.

use super::Draft;
use super::step::{EventKind, Step};
use crate::cluster::{Desired, ObjectKind, Observed, SecretKind, ServiceKind};

pub(super) fn plan(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    for kind in wanted(desired, observed) {
        if !observed.objects.contains(&kind) {
            draft.report.does(format!("create {kind}"), "the cluster has none");
            draft.steps.push(Step::Create(kind));
        }
    }
    for drift in &observed.drifted {
        draft.report.does(format!("bring {} up to date", drift.kind), "it is not as it would be made today");
        draft.steps.push(Step::Update(drift.clone()));
    }
    if desired.pod_monitor && !observed.pod_monitors_served {
        draft.report.does_not("create PodMonitor", "the API server does not know the kind");
        let message = "spec.monitoring.enablePodMonitor is set, but the PodMonitor CRD is not installed";
        draft.tell(EventKind::Warning, "PodMonitorUnavailable", message);
    }
    if observed.budgets_unserved {
        draft.report.does_not("create PodDisruptionBudgets", "the API server does not know policy/v1");
        let message = "this API server is older than Kubernetes 1.21: no budget keeps an eviction from the primary";
        draft.tell(EventKind::Warning, "DisruptionBudgetUnavailable", message);
    }
    budgets(desired, observed, draft);
    for kind in desired.disabled_services.iter().map(|kind| ObjectKind::Service(*kind)) {
        if observed.objects.contains(&kind) {
            draft.report.does(format!("delete {kind}"), "spec.managed.services.disabledDefaultServices names it");
            draft.steps.push(Step::Delete(kind));
        }
    }
    if observed.objects.contains(&ObjectKind::FailoverQuorum) && !desired.failover_quorum {
        draft.report.does("delete FailoverQuorum", "the synchronous replication that is asked for has none");
        draft.steps.push(Step::Delete(ObjectKind::FailoverQuorum));
    }
    let restores = observed.status.restore.as_ref().is_some_and(|restore| restore.stage.is_under_way());
    if observed.lease.is_none() && observed.status.system_id.is_none() && !restores {
        draft.report.does("create the lease", "the cluster has none");
        draft.steps.push(Step::CreateLease);
    }
}

/// Budgets follow `spec.instances`: one that keeps more standbys than there are would let no node be drained.
fn budgets(desired: &Desired, observed: &Observed, draft: &mut Draft) {
    let wanted = wanted(desired, observed);
    let budgets = [ObjectKind::PrimaryBudget, ObjectKind::ReplicaBudget];
    for kind in budgets.into_iter().filter(|kind| observed.objects.contains(kind) && !wanted.contains(kind)) {
        draft.report.does(format!("delete {kind}"), "spec.instances and spec.enablePDB want none");
        draft.steps.push(Step::Delete(kind));
    }
    let available = desired.instances.saturating_sub(2);
    let differs = observed.replica_budget.is_some_and(|known| known != available);
    if differs && wanted.contains(&ObjectKind::ReplicaBudget) {
        draft.report.does(format!("keep {available} standbys from eviction"), "spec.instances has changed");
        draft.steps.push(Step::SetReplicaBudget { available });
    }
}

fn wanted(desired: &Desired, observed: &Observed) -> Vec<ObjectKind> {
    let secret = |kind: &SecretKind| match kind {
        SecretKind::App => desired.owner_secret.is_none(),
        SecretKind::Superuser => desired.superuser_secret,
        kind => !desired.brought.contains(kind),
    };
    let mut kinds: Vec<ObjectKind> = SecretKind::ALL.into_iter().filter(secret).map(ObjectKind::Secret).collect();
    kinds.extend(desired.service_account.is_none().then_some(ObjectKind::ServiceAccount));
    kinds.extend([ObjectKind::Role, ObjectKind::RoleBinding]);
    let services = ServiceKind::ALL.into_iter().filter(|kind| !desired.disabled_services.contains(kind));
    kinds.extend(services.map(ObjectKind::Service));
    if desired.disruption_budgets && !observed.budgets_unserved {
        kinds.push(ObjectKind::PrimaryBudget);
        kinds.extend((desired.instances >= 3).then_some(ObjectKind::ReplicaBudget));
    }
    kinds.extend(desired.failover_quorum.then_some(ObjectKind::FailoverQuorum));
    kinds.extend((desired.pod_monitor && observed.pod_monitors_served).then_some(ObjectKind::PodMonitor));
    kinds
}
