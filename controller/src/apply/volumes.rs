//! Volume claims of the instances.

use super::{ApplyError, Target, failed, gone_is_fine};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams};
use pgherd_core::cluster::{Role, Storage};
use pgherd_proto::cluster::StorageConfiguration;
use pgherd_proto::labels;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) async fn create(target: &Target<'_>, serial: u32) -> Result<(), ApplyError> {
    make(target, &build(target, serial)).await
}

/// The other half of the pair. Nothing to do where WAL has no volume.
pub(super) async fn create_wal(target: &Target<'_>, serial: u32) -> Result<(), ApplyError> {
    match build_wal(target, serial) {
        Some(claim) => make(target, &claim).await,
        None => Ok(()),
    }
}

async fn make(target: &Target<'_>, claim: &PersistentVolumeClaim) -> Result<(), ApplyError> {
    let what = format!("volume {}", claim.name_any());
    target.create(target.api::<PersistentVolumeClaim>(), claim, &what).await
}

pub(super) fn build(target: &Target<'_>, serial: u32) -> PersistentVolumeClaim {
    let (name, storage) = (target.desired.instance(serial), target.spec.storage.as_ref());
    claim(target, serial, name, labels::PVC_ROLE_DATA, (&target.desired.storage, storage))
}

pub(super) fn build_wal(target: &Target<'_>, serial: u32) -> Option<PersistentVolumeClaim> {
    let storage = (target.desired.wal_storage.as_ref()?, target.spec.wal_storage.as_deref());
    Some(claim(target, serial, target.desired.wal_volume(serial), labels::PVC_ROLE_WAL, storage))
}

fn claim(
    target: &Target<'_>,
    serial: u32,
    name: String,
    role: &str,
    (storage, asked): (&Storage, Option<&StorageConfiguration>),
) -> PersistentVolumeClaim {
    let mut metadata = target.meta(name);
    metadata.labels.get_or_insert_default().extend([
        (labels::INSTANCE_NAME.to_owned(), target.desired.instance(serial)),
        (labels::PVC_ROLE.to_owned(), role.to_owned()),
    ]);
    metadata.annotations.get_or_insert_default().extend([
        (labels::NODE_SERIAL.to_owned(), serial.to_string()),
        (labels::PVC_STATUS.to_owned(), "initializing".to_owned()),
    ]);
    let template = asked.and_then(|asked| asked.pvc_template.as_deref().cloned()).unwrap_or_default();
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
