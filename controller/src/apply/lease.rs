//! The Lease object: created empty, closed between two histories, let go of when its cluster is. All other writes are
//! the managers'.

use super::{ApplyError, Target, failed, gone_is_fine};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use pgherd_core::lease::LeaseRecord;
use pgherd_proto::labels;

pub(super) async fn create(target: &Target<'_>) -> Result<(), ApplyError> {
    let desired = target.desired;
    let mut lease = pgherd_proto::lease::empty(&desired.name, &desired.namespace, Some(target.owner()));
    lease.labels_mut().insert(labels::CLUSTER.to_owned(), desired.name.clone());
    target.create(target.api::<Lease>(), &lease, "the lease").await
}

/// As its last holder's (rule L8); one that somebody else has made in the meantime is as good.
pub(super) async fn recreate(target: &Target<'_>, record: &LeaseRecord) -> Result<(), ApplyError> {
    let desired = target.desired;
    let mut base = pgherd_proto::lease::empty(&desired.name, &desired.namespace, Some(target.owner()));
    base.labels_mut().insert(labels::CLUSTER.to_owned(), desired.name.clone());
    let lease = pgherd_proto::lease::to_lease(&base, record, jiff::Timestamp::now());
    tracing::warn!(cluster = %desired.name, namespace = %desired.namespace, term = %record.term,
        timeline = %record.timeline, "the lease was deleted, and is made anew");
    target.create(target.api::<Lease>(), &lease, "the lost lease").await
}

/// The lease between two histories, over the version that it was decided from.
pub(super) async fn close(target: &Target<'_>, over: &str, record: &LeaseRecord) -> Result<(), ApplyError> {
    let leases = target.api::<Lease>();
    let base = leases.get(&target.desired.name).await.map_err(failed("read the lease"))?;
    let mut lease = pgherd_proto::lease::to_lease(&base, record, jiff::Timestamp::now());
    lease.metadata.resource_version = Some(over.to_owned());
    let params =
        PostParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PostParams::default() };
    leases.replace(&target.desired.name, &params, &lease).await.map_err(failed("close the lease"))?;
    tracing::info!(cluster = %target.desired.name, namespace = %target.desired.namespace, term = %record.term,
        timeline = %record.timeline, "closed the lease of the old history");
    Ok(())
}

/// Takes our finalizer off, over the version that was read.
///
/// # Errors
/// [`ApplyError`]; a lease that is gone is no error.
pub async fn let_go(client: &Client, namespace: &str, name: &str) -> Result<(), ApplyError> {
    let_go_where(client, namespace, name, |_| true).await
}

/// The same, but of a lease that is to go: one that is not may be of a new cluster of this name.
///
/// # Errors
/// [`ApplyError`]; a lease that is gone is no error.
pub async fn let_go_of_deleted(client: &Client, namespace: &str, name: &str) -> Result<(), ApplyError> {
    let_go_where(client, namespace, name, |lease| lease.metadata.deletion_timestamp.is_some()).await
}

async fn let_go_where(
    client: &Client,
    namespace: &str,
    name: &str,
    wanted: fn(&Lease) -> bool,
) -> Result<(), ApplyError> {
    let leases = Api::<Lease>::namespaced(client.clone(), namespace);
    let Some(lease) = leases.get_opt(name).await.map_err(failed("read the lease"))? else { return Ok(()) };
    if !wanted(&lease) || !lease.finalizers().iter().any(|finalizer| finalizer == labels::LEASE_FINALIZER) {
        return Ok(());
    }
    let left: Vec<&String> = lease.finalizers().iter().filter(|f| *f != labels::LEASE_FINALIZER).collect();
    let patch = serde_json::json!({
        "metadata": { "resourceVersion": lease.resource_version(), "finalizers": left }
    });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    gone_is_fine(leases.patch(name, &params, &Patch::Merge(patch)).await, "take the finalizer off the lease")
}
