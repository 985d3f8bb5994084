//! Manifests as the user gives them: YAML documents, applied as `kubectl apply` would, and what they take for granted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::DaemonError;
use crate::api::object::{list, meta, name, namespace, text};
use crate::api::{GroupResource, Store};

/// The documents of a file's text.
pub(super) fn parse(path: &Path, content: &str) -> Result<Vec<Value>, DaemonError> {
    let parse = |document| Value::deserialize(document);
    let all: Result<Vec<Value>, _> = serde_yaml_ng::Deserializer::from_str(content).map(parse).collect();
    let all = all.map_err(|error| DaemonError::Parse { path: path.to_owned(), why: error.to_string() })?;
    Ok(all.into_iter().filter(|document| !document.is_null()).collect())
}

/// What manifests refer to and do not bring.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TakenForGranted {
    pub namespaces: BTreeSet<String>,
    pub storage_classes: BTreeSet<String>,
    /// (namespace, Secret) -> key -> whether it is the access key's id.
    pub secrets: BTreeMap<(String, String), BTreeMap<String, bool>>,
    pub buckets: BTreeSet<String>,
}

/// Finds it; pure.
pub(super) fn taken_for_granted(documents: &[Value]) -> TakenForGranted {
    let mut found = TakenForGranted::default();
    for document in documents {
        let in_namespace = Some(namespace(document)).filter(|n| !n.is_empty()).unwrap_or("default");
        if !matches!(text(document, "/kind"), "Namespace" | "StorageClass" | "CustomResourceDefinition") {
            found.namespaces.insert(in_namespace.to_owned());
        }
        if text(document, "/kind") != "Cluster" {
            continue;
        }
        for pointer in ["/spec/storage/storageClass", "/spec/walStorage/storageClass"] {
            found.storage_classes.extend(Some(text(document, pointer).to_owned()).filter(|class| !class.is_empty()));
        }
        let stores = std::iter::once(document.pointer("/spec/backup/barmanObjectStore"));
        let external = list(document, "/spec/externalClusters").iter().map(|other| other.get("barmanObjectStore"));
        for store in stores.chain(external).flatten() {
            let bucket = text(store, "/destinationPath").strip_prefix("s3://").and_then(|rest| rest.split('/').next());
            found.buckets.extend(bucket.filter(|bucket| !bucket.is_empty()).map(str::to_owned));
            for (field, is_id) in [("accessKeyId", true), ("secretAccessKey", false)] {
                let reference = |part: &str| text(store, &format!("/s3Credentials/{field}/{part}")).to_owned();
                let (secret, key) = (reference("name"), reference("key"));
                if !secret.is_empty() && !key.is_empty() {
                    found.secrets.entry((in_namespace.to_owned(), secret)).or_default().insert(key, is_id);
                }
            }
        }
    }
    found
}

/// Whether there is an object of this kind and name already.
pub(super) fn is_there(store: &Store, document: &Value) -> bool {
    let found = place(store, document).and_then(|(of, namespace)| store.get(of, &namespace, name(document)).ok());
    found.is_some()
}

/// The resource and the namespace of a document; `None` if the API has no such kind.
fn place(store: &Store, document: &Value) -> Option<(GroupResource, String)> {
    let (kind, api_version) = (text(document, "/kind"), text(document, "/apiVersion"));
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let registry = store.registry();
    let info = registry.all().find(|info| info.kind == kind && info.gr.group == group && info.version == version)?;
    let in_namespace = match (info.namespaced, namespace(document)) {
        (false, _) => "",
        (true, "") => "default",
        (true, given) => given,
    };
    Some((info.gr.clone(), in_namespace.to_owned()))
}

/// Creates or merges one object; answers `cluster "x" created in namespace "y"` or the like.
pub(super) fn apply(store: &Store, mut document: Value) -> Result<String, DaemonError> {
    let kind = text(&document, "/kind");
    let what = format!("{kind} {:?}", name(&document));
    let refused = |why: String| DaemonError::Apply { what: what.clone(), why };
    let unknown = || refused(format!("this API has no kind {kind} in {:?}", text(&document, "/apiVersion")));
    let (of, in_namespace) = place(store, &document).ok_or_else(unknown)?;
    let place = if in_namespace.is_empty() { String::new() } else { format!(" in namespace {in_namespace:?}") };
    let last = document.to_string();
    if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert("kubectl.kubernetes.io/last-applied-configuration".into(), last.into());
        }
    }
    let found = store.get(of.clone(), &in_namespace, meta(&document, "name"));
    let (done, word) = match found {
        Ok(_) => (store.merge(of, &in_namespace, name(&document), &document), "configured"),
        Err(_) => (store.create(of, &in_namespace, document.clone()), "created"),
    };
    done.map_err(|error| refused(error.to_string()))?;
    Ok(format!("{what} {word}{place}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::taken_for_granted;

    #[test]
    fn what_a_cluster_takes_for_granted_is_found() {
        let cluster = json!({"kind": "Cluster", "metadata": {"name": "c", "namespace": "n"}, "spec": {
            "storage": {"storageClass": "fast"},
            "backup": {"barmanObjectStore": {"destinationPath": "s3://bucket/path", "s3Credentials": {
                "accessKeyId": {"name": "creds", "key": "ID"}, "secretAccessKey": {"name": "creds", "key": "SECRET"}}}}}});
        let other = json!({"kind": "ScheduledBackup", "metadata": {"name": "s"}});
        let found = taken_for_granted(&[cluster, other]);
        assert_eq!(found.namespaces.iter().collect::<Vec<_>>(), ["default", "n"]);
        assert_eq!(found.storage_classes.iter().collect::<Vec<_>>(), ["fast"]);
        assert_eq!(found.buckets.iter().collect::<Vec<_>>(), ["bucket"]);
        let keys = &found.secrets[&("n".to_owned(), "creds".to_owned())];
        assert_eq!((keys["ID"], keys["SECRET"]), (true, false));
    }
}
