//! `pgherd report`: everything that somebody else needs to help, in one file, without secrets.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, LogParams};
use pgherd_proto::labels;
use serde_json::{Value, json};

use crate::args::{ClusterArguments, Output};
use crate::cluster::{Found, find_cluster};
use crate::{output, redact};

/// What is looked at: group, version, kind.
const KINDS: &[(&str, &str, &str)] = &[
    ("postgresql.cnpg.io", "v1", "Cluster"),
    ("postgresql.cnpg.io", "v1", "Backup"),
    ("postgresql.cnpg.io", "v1", "ScheduledBackup"),
    ("postgresql.cnpg.io", "v1", "FailoverQuorum"),
    ("coordination.k8s.io", "v1", "Lease"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("", "v1", "Pod"),
    ("", "v1", "PersistentVolumeClaim"),
    ("", "v1", "Service"),
    ("", "v1", "Secret"),
    ("", "v1", "Event"),
];
/// Of one container's log.
const MOST_LOG: i64 = 32 << 20;

/// About what.
#[derive(Debug, Subcommand)]
pub enum ReportVerb {
    /// About a cluster.
    Cluster {
        #[command(flatten)]
        cluster: ClusterArguments,
        /// The file to write (default: `report_cluster_NAME_TIME.tar.gz`, here).
        #[arg(short, long)]
        file: Option<PathBuf>,
        /// The logs of its pods too.
        #[arg(short, long)]
        logs: bool,
    },
}

/// One file of the bundle.
struct Entry {
    path: String,
    text: String,
}

/// Writes the bundle.
pub async fn run(verb: &ReportVerb, shape: Output) -> anyhow::Result<u8> {
    let ReportVerb::Cluster { cluster, file, logs } = verb;
    let found = find_cluster(cluster).await?;
    let (mut entries, needles) = objects(&found).await;
    if *logs {
        entries.extend(logs_of(&found).await?);
    }
    for entry in &mut entries {
        entry.text = redact::text(&entry.text, &needles);
    }
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let folder = format!("report_cluster_{}_{stamp}", found.name);
    let path = file.clone().unwrap_or_else(|| PathBuf::from(format!("{folder}.tar.gz")));
    write(&path, &folder, &entries).with_context(|| format!("failed to write {}", path.display()))?;
    let names: Vec<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    let told = json!({"cluster": found.name, "namespace": found.namespace, "file": path, "entries": names});
    output::print(shape, &told, || {
        format!("wrote {} with {} files; no secrets are in it", path.display(), names.len())
    })?;
    Ok(0)
}

/// The cluster's objects, and what must not be shown of the namespace's Secrets. What may not be read is said in a file.
async fn objects(found: &Found) -> (Vec<Entry>, Vec<String>) {
    let (mut entries, mut needles) = (Vec::new(), Vec::new());
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(found.client.clone(), &found.namespace, &resource);
        let path = format!("manifests/{}.yaml", kind.to_lowercase());
        let text = match api.list(&ListParams::default()).await {
            Ok(list) => {
                let mut values: Vec<Value> = list.items.iter().map(|object| json!(object)).collect();
                for value in &mut values {
                    if let Value::Object(fields) = value {
                        fields.insert("kind".to_owned(), json!(kind));
                    }
                }
                if *kind == "Secret" {
                    needles.extend(values.iter().flat_map(redact::needles));
                }
                let own = values.into_iter().filter(|value| is_of(value, &found.name));
                own.map(shown).collect::<Vec<_>>().join("---\n")
            }
            Err(error) => format!("# could not be read: {error}\n"),
        };
        entries.push(Entry { path, text });
    }
    // The longest first: a part of it may be another's whole.
    needles.sort_by_key(|needle: &String| std::cmp::Reverse(needle.len()));
    (entries, needles)
}

fn shown(mut value: Value) -> String {
    redact::object(&mut value);
    serde_yaml_ng::to_string(&value).unwrap_or_else(|error| format!("# could not be written: {error}\n"))
}

/// Whether an object is of the cluster: by label, by name, by what it refers to.
fn is_of(object: &Value, cluster: &str) -> bool {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let label = object.pointer("/metadata/labels").and_then(|all| all.get(labels::CLUSTER)).and_then(Value::as_str);
    let about = text("/involvedObject/name");
    let starts = |name: &str| name == cluster || name.strip_prefix(cluster).is_some_and(|rest| rest.starts_with('-'));
    let by_name = matches!(text("/kind"), Some("Cluster" | "Lease" | "FailoverQuorum"))
        && text("/metadata/name") == Some(cluster);
    label == Some(cluster) || by_name || text("/spec/cluster/name") == Some(cluster) || about.is_some_and(starts)
}

/// Of every container, this one's and the one's before it.
async fn logs_of(found: &Found) -> anyhow::Result<Vec<Entry>> {
    let pods: Api<Pod> = Api::namespaced(found.client.clone(), &found.namespace);
    let of_cluster = ListParams::default().labels(&format!("{}={}", labels::CLUSTER, found.name));
    let mut entries = Vec::new();
    for pod in pods.list(&of_cluster).await.context("failed to list the pods")?.items {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let spec = pod.spec.unwrap_or_default();
        let all = spec.init_containers.unwrap_or_default().into_iter().chain(spec.containers);
        for container in all.map(|container| container.name) {
            for previous in [false, true] {
                let wanted = LogParams {
                    container: Some(container.clone()),
                    previous,
                    limit_bytes: Some(MOST_LOG),
                    timestamps: false,
                    ..LogParams::default()
                };
                // Most have none before them.
                let Ok(text) = pods.logs(&name, &wanted).await else { continue };
                let which = if previous { "-previous" } else { "" };
                entries.push(Entry { path: format!("logs/{name}-{container}{which}.jsonl"), text });
            }
        }
    }
    Ok(entries)
}

fn write(path: &Path, folder: &str, entries: &[Entry]) -> std::io::Result<()> {
    let mut bundle = tar::Builder::new(GzEncoder::new(std::fs::File::create(path)?, Compression::default()));
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(entry.text.len()).unwrap_or_default());
        header.set_mode(0o600);
        header.set_cksum();
        bundle.append_data(&mut header, format!("{folder}/{}", entry.path), entry.text.as_bytes())?;
    }
    bundle.into_inner()?.finish()?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::is_of;
    use serde_json::json;

    #[test]
    fn what_is_of_a_cluster_is_known_by_label_name_or_reference() {
        let label = json!({"kind": "Pod", "metadata": {"name": "x", "labels": {"cnpg.io/cluster": "db"}}});
        let lease = json!({"kind": "Lease", "metadata": {"name": "db"}});
        let backup = json!({"kind": "Backup", "metadata": {"name": "b"}, "spec": {"cluster": {"name": "db"}}});
        let event = json!({"kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"name": "db-1"}});
        assert!([&label, &lease, &backup, &event].into_iter().all(|object| is_of(object, "db")));
        let other = json!({"kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"name": "dbx-1"}});
        let pod = json!({"kind": "Pod", "metadata": {"name": "db"}});
        assert!(![&other, &pod].into_iter().any(|object| is_of(object, "db")));
    }
}
