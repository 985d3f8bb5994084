//! A restore in place in the Cluster's status: each stage over the version that was looked at, or not at all.

use super::election::patch;
use super::{ApplyError, Target, failed};
use crate::clock;
use kube::api::{Patch, PatchParams};
use pgherd_core::lease::{LeaseRecord, Versioned};
use pgherd_core::restore::{RestoreFact, Stage};
use pgherd_proto::cluster::{Cluster, RestoreStatus};
use pgherd_proto::labels;
use serde_json::{Value, json};

/// Takes it on, or changes it while it stops. An undo keeps the target, for people.
pub(super) async fn begin(target: &Target<'_>, fact: &RestoreFact) -> Result<(), ApplyError> {
    let asked = target.cluster.restore_request(labels::RESTORE).unwrap_or_default();
    let status = target.cluster.status.as_ref();
    let known = status.and_then(|status| status.restore.as_ref()).map(|restore| restore.recovery_target.clone());
    let recovery_target = known.filter(|_| fact.revives.is_some()).unwrap_or(asked.recovery_target);
    let mut restore = json!(RestoreStatus::begun(fact, recovery_target, clock::wall()));
    // A merge patch keeps what it does not name: nothing of an earlier restore may stay.
    if let Value::Object(fields) = &mut restore {
        for name in ["doneAt", "instance", "before", "revives", "holderIsDead"] {
            fields.entry(name).or_insert(Value::Null);
        }
        if let Some(revives) = fields.get_mut("revives").and_then(Value::as_object_mut) {
            revives.entry("lease").or_insert(Value::Null);
        }
        replace_target(target, fields);
    }
    patch(target, json!({ "restore": restore, "election": null, "electionRefusal": null }), "begin the restore")
        .await?;
    tracing::info!(cluster = %target.desired.name, namespace = %target.desired.namespace, restore = %fact.id,
        back = fact.revives.is_some(), "a restore begins");
    Ok(())
}

/// The fields of an earlier target go.
fn replace_target(target: &Target<'_>, fields: &mut serde_json::Map<String, Value>) {
    let before = target.cluster.status.as_ref().and_then(|status| status.restore.as_ref());
    let Value::Object(old) = json!(before.map(|restore| &restore.recovery_target)) else { return };
    if let Some(new) = fields.get_mut("recoveryTarget").and_then(Value::as_object_mut) {
        for name in old.keys() {
            new.entry(name).or_insert(Value::Null);
        }
    }
}

pub(super) async fn advance(
    target: &Target<'_>,
    stage: Stage,
    before: Option<&Versioned<LeaseRecord>>,
    instance: Option<&str>,
) -> Result<(), ApplyError> {
    let mut restore = json!({ "stage": stage });
    let mut status = json!({});
    if let (Value::Object(restore), Value::Object(status)) = (&mut restore, &mut status) {
        if let Some(before) = before.and_then(|before| serde_json::to_string(before).ok()) {
            restore.insert("before".to_owned(), json!(before));
        }
        if let Some(instance) = instance {
            restore.insert("instance".to_owned(), json!(instance));
        }
        match stage {
            // Whoever was to be primary is no instance any more.
            Stage::Restoring | Stage::Reviving => {
                for name in ["targetPrimary", "targetPrimaryTimestamp", "election", "electionRefusal"] {
                    status.insert(name.to_owned(), Value::Null);
                }
            }
            Stage::Done => drop(restore.insert("doneAt".to_owned(), json!(clock::wall()))),
            Stage::Stopping | Stage::Closing | Stage::Joining => {}
        }
    }
    if let Value::Object(status) = &mut status {
        status.insert("restore".to_owned(), restore);
    }
    patch(target, status, "go on with the restore").await?;
    tracing::info!(cluster = %target.desired.name, namespace = %target.desired.namespace, ?stage,
        "the restore goes on");
    Ok(())
}

/// The order was ruled on. Not over the version that was looked at: whoever gives another one writes it whole.
pub(super) async fn clear_order(target: &Target<'_>) -> Result<(), ApplyError> {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { labels::RESTORE: null } } }));
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = target.api::<Cluster>().patch(&target.desired.name, &params, &patch).await;
    patched.map_err(failed("take the order off the Cluster")).map(drop)
}
