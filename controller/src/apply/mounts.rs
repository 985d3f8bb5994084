//! The volumes of an instance's pod, and where its containers see them.

use super::Blueprint;
use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, EmptyDirVolumeSource, KeyToPath,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, ProjectedVolumeSource, ServiceAccountTokenProjection,
    Volume, VolumeMount, VolumeProjection,
};
use pgherd_core::cluster::wal_volume_name;
use pgherd_proto::names;

const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// CNPG's names for what the user projects.
const PROJECTED_VOLUME: &str = "projected";
const PROJECTED_DIR: &str = "/projected";

pub(super) fn mounts(blueprint: Blueprint<'_>) -> Vec<VolumeMount> {
    let mount = |volume: &str, path: &str, sub: Option<&str>| VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        sub_path: sub.map(str::to_owned),
        ..VolumeMount::default()
    };
    let read = |mount: VolumeMount| VolumeMount { read_only: Some(true), ..mount };
    let mut all = vec![
        mount(names::DATA_VOLUME, names::DATA_MOUNT, None),
        mount(names::SCRATCH_VOLUME, "/run", Some("run")),
        mount(names::SCRATCH_VOLUME, names::CONTROLLER_DIR, Some("controller")),
        mount(names::SHM_VOLUME, "/dev/shm", None),
        read(mount("service-account", SERVICE_ACCOUNT_DIR, None)),
    ];
    if blueprint.desired.wal_storage.is_some() {
        all.push(mount(names::WAL_VOLUME, names::WAL_MOUNT, None));
    }
    if blueprint.spec.projected_volume_template.is_some() {
        all.push(read(mount(PROJECTED_VOLUME, PROJECTED_DIR, None)));
    }
    all
}

pub(super) fn volumes(blueprint: Blueprint<'_>, name: &str) -> Vec<Volume> {
    let volume = |name: &str| Volume { name: name.to_owned(), ..Volume::default() };
    let limits = blueprint.spec.ephemeral_volumes_size_limit.as_deref();
    let memory = EmptyDirVolumeSource {
        medium: Some("Memory".to_owned()),
        size_limit: limits.and_then(|limits| limits.shm.clone()),
    };
    let scratch = match blueprint.spec.ephemeral_volume_source.as_deref() {
        Some(source) => Volume { ephemeral: Some(source.clone()), ..volume(names::SCRATCH_VOLUME) },
        None => {
            let size_limit = limits.and_then(|limits| limits.temporary_data.clone());
            let empty = EmptyDirVolumeSource { size_limit, ..EmptyDirVolumeSource::default() };
            Volume { empty_dir: Some(empty), ..volume(names::SCRATCH_VOLUME) }
        }
    };
    let claimed = |claim_name: String| PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
    let mut all = vec![
        Volume { persistent_volume_claim: Some(claimed(name.to_owned())), ..volume(names::DATA_VOLUME) },
        scratch,
        Volume { empty_dir: Some(memory), ..volume(names::SHM_VOLUME) },
        Volume { projected: Some(service_account()), ..volume("service-account") },
    ];
    if blueprint.desired.wal_storage.is_some() {
        let claim = claimed(wal_volume_name(name));
        all.push(Volume { persistent_volume_claim: Some(claim), ..volume(names::WAL_VOLUME) });
    }
    if let Some(template) = blueprint.spec.projected_volume_template.as_deref() {
        all.push(Volume { projected: Some(template.clone()), ..volume(PROJECTED_VOLUME) });
    }
    all
}

/// A token that is renewed, and what stands beside it in Kubernetes' own mount: the API server's authority and the
/// namespace.
fn service_account() -> ProjectedVolumeSource {
    let token =
        ServiceAccountTokenProjection { path: "token".to_owned(), expiration_seconds: Some(3607), audience: None };
    let authority = ConfigMapProjection {
        name: "kube-root-ca.crt".to_owned(),
        items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
        optional: None,
    };
    let namespace = DownwardAPIProjection {
        items: Some(vec![DownwardAPIVolumeFile {
            path: "namespace".to_owned(),
            field_ref: Some(ObjectFieldSelector { field_path: "metadata.namespace".to_owned(), api_version: None }),
            ..DownwardAPIVolumeFile::default()
        }]),
    };
    let sources = vec![
        VolumeProjection { service_account_token: Some(token), ..VolumeProjection::default() },
        VolumeProjection { config_map: Some(authority), ..VolumeProjection::default() },
        VolumeProjection { downward_api: Some(namespace), ..VolumeProjection::default() },
    ];
    ProjectedVolumeSource { sources: Some(sources), default_mode: Some(0o644) }
}
