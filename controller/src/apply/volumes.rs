//! Volume claims of the instances.

use super::{ApplyError, Target, failed, gone_is_fine};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::{DeleteParams, Patch, PatchParams};
use pgherd_core::cluster::Role;
use pgherd_proto::labels;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) async fn create(target: &Target<'_>, serial: u32) -> Result<(), ApplyError> {
    let name = target.desired.instance(serial);
    let claim = build(target, serial, name.clone());
    target.create(target.api::<PersistentVolumeClaim>(), &claim, &format!("volume {name}")).await
}

pub(super) fn build(target: &Target<'_>, serial: u32, name: String) -> PersistentVolumeClaim {
    let mut metadata = target.meta(name.clone());
    metadata.labels.get_or_insert_default().extend([
        (labels::INSTANCE_NAME.to_owned(), name),
        (labels::PVC_ROLE.to_owned(), labels::PVC_ROLE_DATA.to_owned()),
    ]);
    metadata.annotations.get_or_insert_default().extend([
        (labels::NODE_SERIAL.to_owned(), serial.to_string()),
        (labels::PVC_STATUS.to_owned(), "initializing".to_owned()),
    ]);
    let storage = &target.desired.storage;
    let template = target.spec.storage.as_ref().and_then(|storage| storage.pvc_template.as_deref().cloned());
    let template = template.unwrap_or_default();
    let limits = template.resources.as_ref().and_then(|resources| resources.limits.clone());
    PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: template.access_modes.clone().or_else(|| Some(vec!["ReadWriteOnce".to_owned()])),
            storage_class_name: storage.class.clone(),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(storage.size.clone()))])),
                limits,
            }),
            ..template
        }),
        status: None,
    }
}

pub(super) async fn mark_ready(target: &Target<'_>, name: &str) -> Result<(), ApplyError> {
    let note = json!({ "metadata": { "annotations": { labels::PVC_STATUS: "ready" } } });
    patch(target, name, note, "mark ready").await
}

/// The storage class must allow it; what it says to that is the failed step.
pub(super) async fn grow(target: &Target<'_>, name: &str, size: &str) -> Result<(), ApplyError> {
    let request = json!({ "spec": { "resources": { "requests": { "storage": size } } } });
    patch(target, name, request, "grow").await
}

pub(super) async fn set_role(target: &Target<'_>, name: &str, role: Role) -> Result<(), ApplyError> {
    let labels = json!({ labels::INSTANCE_ROLE: role.as_str(), labels::ROLE_DEPRECATED: role.as_str() });
    patch(target, name, json!({ "metadata": { "labels": labels } }), "label").await
}

/// Puts it aside for a restore, or takes it back.
pub(super) async fn keep(target: &Target<'_>, name: &str, restore: Option<&str>) -> Result<(), ApplyError> {
    patch(target, name, json!({ "metadata": { "labels": { labels::KEPT_BY: restore } } }), "put aside or take back")
        .await
}

async fn patch(target: &Target<'_>, name: &str, patch: Value, what: &str) -> Result<(), ApplyError> {
    let params =
        PatchParams { field_manager: Some(labels::CONTROLLER_FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patched = target.api::<PersistentVolumeClaim>().patch(name, &params, &Patch::Merge(patch)).await;
    patched.map_err(failed(format!("{what} volume {name}"))).map(drop)
}

pub(super) async fn delete(target: &Target<'_>, name: &str) -> Result<(), ApplyError> {
    let deleted = target.api::<PersistentVolumeClaim>().delete(name, &DeleteParams::default()).await;
    gone_is_fine(deleted, format!("delete volume {name}"))
}
