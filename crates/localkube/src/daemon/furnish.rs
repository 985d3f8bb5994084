//! What a cluster on a cloud has and this one must be given: definitions, nodes, storage classes, namespaces, credentials
//! and buckets. Everything that is made is said.

use std::path::Path;

use base64::Engine as _;
use pgherd_proto::definitions::definitions;
use serde_json::{Value, json};

use super::manifests::TakenForGranted;
use super::options::UpOptions;
use super::{DaemonError, manifests};
use crate::api::{ApiError, Store};
use crate::net::address::NODE;

/// Access key and secret of S3.
#[derive(Clone)]
pub(super) struct S3Keys {
    pub id: String,
    pub secret: String,
}

/// Those of a real endpoint, or those made at the first `up`, which are kept in `path`.
pub(super) fn s3_keys(options: &UpOptions, path: &Path) -> Result<S3Keys, DaemonError> {
    if let Some((id, secret)) = &options.s3_credentials {
        return Ok(S3Keys { id: id.clone(), secret: secret.clone() });
    }
    let file = path.join("s3.keys");
    if let Ok(text) = std::fs::read_to_string(&file)
        && let Some((id, secret)) = text.trim().split_once(' ')
    {
        return Ok(S3Keys { id: id.to_owned(), secret: secret.to_owned() });
    }
    let random = || uuid::Uuid::new_v4().simple().to_string();
    let id: String = random().to_uppercase().chars().take(20).collect();
    let keys = S3Keys { id, secret: format!("{}{}", random(), random()) };
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut open = std::fs::OpenOptions::new();
    let mut out =
        open.write(true).create(true).truncate(true).mode(0o600).open(&file).map_err(DaemonError::file(&file))?;
    use std::io::Write as _;
    writeln!(out, "{} {}", keys.id, keys.secret).map_err(DaemonError::file(&file))?;
    Ok(keys)
}

/// The definitions of our kinds.
pub(super) fn definitions_of(store: &Store) -> Result<(), DaemonError> {
    for definition in definitions() {
        let parsed = serde_json::to_value(&definition);
        let object =
            parsed.map_err(|error| DaemonError::Apply { what: "a definition".into(), why: error.to_string() })?;
        manifests::apply(store, object)?;
    }
    Ok(())
}

/// The nodes.
pub(super) fn nodes(store: &Store, options: &UpOptions) -> Result<(), DaemonError> {
    for node in &options.nodes {
        let labels = json!({"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux",
            "topology.kubernetes.io/zone": node.zone, "topology.kubernetes.io/region": "local"});
        present(store.create("nodes", "", json!({"metadata": {"name": node.name, "labels": labels}})), "a node")?;
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let status = json!({"status": {
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "the local node runs pods as processes", "lastTransitionTime": now, "lastHeartbeatTime": now}],
            "addresses": [{"type": "InternalIP", "address": NODE.to_string()}, {"type": "Hostname", "address": node.name}],
            "nodeInfo": {"kubeletVersion": "v1.33.0-pgherd", "operatingSystem": "linux",
                "architecture": std::env::consts::ARCH, "osImage": "pgherd local", "kernelVersion": "",
                "containerRuntimeVersion": "pgherd://1", "machineID": "", "systemUUID": "", "bootID": "",
                "kubeProxyVersion": ""},
        }});
        store.merge_status("nodes", "", &node.name, &status).map_err(DaemonError::apply("a node's status"))?;
    }
    Ok(())
}

/// Makes what manifests take for granted; answers sentences about what was made.
pub(super) fn surroundings(
    store: &Store,
    wanted: &TakenForGranted,
    keys: &S3Keys,
    buckets: Option<&Path>,
) -> Result<Vec<String>, DaemonError> {
    let mut made = Vec::new();
    for namespace in &wanted.namespaces {
        if present(store.create("namespaces", "", json!({"metadata": {"name": namespace}})), "a namespace")? {
            made.push(format!("namespace {namespace}"));
        }
    }
    for class in &wanted.storage_classes {
        let object = json!({"metadata": {"name": class}, "provisioner": "pgherd.io/local",
            "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
        if present(store.create("storageclasses.storage.k8s.io", "", object), "a storage class")? {
            made.push(format!("storage class {class} (directories of this machine, not encrypted)"));
        }
    }
    for ((namespace, name), fields) in &wanted.secrets {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let data: serde_json::Map<String, Value> = fields
            .iter()
            .map(|(key, is_id)| (key.clone(), encode(if *is_id { &keys.id } else { &keys.secret }).into()))
            .collect();
        let object = json!({"metadata": {"name": name}, "type": "Opaque", "data": data});
        if present(store.create("secrets", namespace, object), "a secret")? {
            made.push(format!("secret {namespace}/{name} with keys for S3"));
        }
    }
    for bucket in &wanted.buckets {
        let Some(root) = buckets else {
            made.push(format!("nothing for bucket {bucket}: with --s3-endpoint it must be there already"));
            continue;
        };
        let path = root.join(bucket);
        if !path.is_dir() {
            std::fs::create_dir_all(&path).map_err(DaemonError::file(&path))?;
            made.push(format!("bucket {bucket} in the embedded S3"));
        }
    }
    Ok(made)
}

/// True if it was created, false if it was there.
fn present<T>(done: Result<T, ApiError>, what: &str) -> Result<bool, DaemonError> {
    match done {
        Ok(_) => Ok(true),
        Err(error) if error.reason == "AlreadyExists" => Ok(false),
        Err(error) => Err(DaemonError::apply(what)(error)),
    }
}
