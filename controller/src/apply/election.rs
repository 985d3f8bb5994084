//! The election in the Cluster's status: written over the version that was looked at, or not at all.

use super::{ApplyError, Target, failed};
use crate::clock;
use kube::api::{Patch, PatchParams};
use pgherd_core::cluster::{ElectionFact, RefusalFact};
use pgherd_core::identity::Nonce;
use pgherd_proto::cluster::{Cluster, ElectionRefusal, ElectionStatus, RestartStatus};
use pgherd_proto::labels;
use serde_json::{Value, json};

pub(super) async fn write(target: &Target<'_>, fact: &ElectionFact) -> Result<(), ApplyError> {
    let at = clock::wall();
    let election = ElectionStatus::from_fact(fact, at.clone());
    // A merge patch keeps what it does not name: a tail or a loss of an earlier election must go.
    let mut election = json!(election);
    if let Value::Object(fields) = &mut election {
        for name in ["tail", "acceptedLossBytes"] {
            fields.entry(name).or_insert(Value::Null);
        }
    }
    let status = json!({
        "election": election,
        "electionRefusal": null,
        "targetPrimary": fact.winner,
        "targetPrimaryTimestamp": at,
    });
    patch(target, status, "write the election").await?;
    tracing::info!(
        cluster = %target.desired.name, namespace = %target.desired.namespace, winner = %fact.winner,
        term = %fact.term, lease = %fact.lease_version, evidence = %fact.evidence, reason = %fact.reason,
        "elected a primary"
    );
    Ok(())
}

pub(super) async fn cancel(target: &Target<'_>, holder: &str) -> Result<(), ApplyError> {
    let status = json!({ "election": null, "targetPrimary": holder, "targetPrimaryTimestamp": clock::wall() });
    patch(target, status, "withdraw the election").await
}

pub(super) async fn refuse(target: &Target<'_>, fact: &RefusalFact, keep: Option<&str>) -> Result<(), ApplyError> {
    let refusal = ElectionRefusal::from_fact(fact);
    let mut status = json!({ "electionRefusal": refusal });
    if let (Some(holder), Value::Object(fields)) = (keep, &mut status) {
        fields.insert("targetPrimary".to_owned(), json!(holder));
        fields.insert("targetPrimaryTimestamp".to_owned(), json!(clock::wall()));
    }
    patch(target, status, "say why nobody was elected").await?;
    tracing::warn!(
        cluster = %target.desired.name, namespace = %target.desired.namespace, reason = %fact.reason,
        missing = %fact.missing.join("; "), "elected nobody"
    );
    Ok(())
}

pub(super) async fn clear_refusal(target: &Target<'_>) -> Result<(), ApplyError> {
    patch(target, json!({ "electionRefusal": null }), "clear the refusal").await
}

pub(super) async fn set_target(target: &Target<'_>, pod: &str) -> Result<(), ApplyError> {
    let status = json!({ "targetPrimary": pod, "targetPrimaryTimestamp": clock::wall() });
    patch(target, status, "name the primary").await
}

/// The demand was judged. Not over the version that was looked at: the election itself has just changed it.
pub(super) async fn clear_force(target: &Target<'_>) -> Result<(), ApplyError> {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { labels::FORCE_PROMOTION: null } } }));
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = target.api::<Cluster>().patch(&target.desired.name, &params, &patch).await;
    patched.map_err(failed("take the judged demand off the Cluster")).map(drop)
}

/// Asks one manager process to restart its postgres where it is.
pub(super) async fn restart(target: &Target<'_>, instance: &str, nonce: &Nonce) -> Result<(), ApplyError> {
    let term = target.observed.lease.as_ref().map(|lease| lease.value.term).unwrap_or_default();
    let asked = RestartStatus { instance: instance.to_owned(), nonce: nonce.clone(), term, at: clock::wall() };
    patch(target, json!({ "restart": asked }), "ask the primary to restart postgres").await
}

/// With the resourceVersion that was looked at: somebody else's write in between voids this one (I10).
pub(super) async fn patch(target: &Target<'_>, status: Value, what: &str) -> Result<(), ApplyError> {
    let version = &target.cluster.metadata.resource_version;
    let body = json!({ "metadata": { "resourceVersion": version }, "status": status });
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let clusters = target.api::<Cluster>();
    clusters.patch_status(&target.desired.name, &params, &Patch::Merge(body)).await.map_err(failed(what)).map(drop)
}
