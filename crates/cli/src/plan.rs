//! `pgherd plan`: what the controller would do now, and why; or once a manifest is applied. Nothing is changed.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use pgherd_controller::caches::Key;
use pgherd_controller::dry_run::planned;
use pgherd_proto::cluster::Cluster;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{ClusterArguments, Output};
use crate::cluster::{client_for, find_cluster};
use crate::output;

/// Plans for the cluster as it is, or as the Cluster in `file` wants it.
pub async fn run(wanted: &ClusterArguments, file: Option<&Path>, shape: Output) -> anyhow::Result<u8> {
    let edited = file.map(|file| read(file, wanted.cluster.as_deref())).transpose()?;
    let (client, key, stored) = match &edited {
        None => {
            let found = find_cluster(wanted).await?;
            (found.client, Key { namespace: found.namespace, name: found.name }, Some(found.cluster))
        }
        Some(edited) => {
            let (client, _) = client_for(&wanted.place).await?;
            let name = edited.metadata.name.clone().context("the Cluster has no metadata.name")?;
            let namespace = wanted.place.namespace.clone().or_else(|| edited.metadata.namespace.clone());
            let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
            let stored = kube::Api::<Cluster>::namespaced(client.clone(), &namespace).get_opt(&name).await?;
            (client, Key { namespace, name }, stored)
        }
    };
    let changes = match (&stored, &edited) {
        (Some(stored), Some(edited)) => changes(&json!(stored.spec), &json!(edited.spec), "spec"),
        _ => Vec::new(),
    };
    let is_new = stored.is_none();
    // What is planned is too large for a stack.
    let planned = Box::pin(planned(client, key, None, edited)).await?;
    let mut all = planned.json();
    if let Value::Object(fields) = &mut all {
        fields.insert("changes".to_owned(), json!(changes));
    }
    let text = planned.text()?;
    output::print(shape, &all, || {
        let head = if is_new { "the cluster is new\n".to_owned() } else { listed(&changes) };
        format!("{head}{text}")
    })?;
    Ok(0)
}

fn listed(changes: &[String]) -> String {
    if changes.is_empty() { String::new() } else { format!("changes:\n  {}\n", changes.join("\n  ")) }
}

/// The Cluster of this name in a file; the only one, where none is named.
fn read(file: &Path, name: Option<&str>) -> anyhow::Result<Cluster> {
    let text =
        if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.with_context(|| format!("failed to read {}", file.display()))?;
    let mut found = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let value = Value::deserialize(document).with_context(|| format!("{} is no YAML", file.display()))?;
        let named = value.pointer("/metadata/name").and_then(Value::as_str);
        if value.get("kind") == Some(&json!("Cluster")) && name.is_none_or(|name| named == Some(name)) {
            found.push(serde_json::from_value(value).map_err(|error| anyhow!("{}: {error}", file.display()))?);
        }
    }
    match (found.pop(), found.is_empty()) {
        (Some(cluster), true) => Ok(cluster),
        (Some(_), false) => bail!("{} has several Clusters: name one", file.display()),
        (None, _) => bail!("{} has no such Cluster", file.display()),
    }
}

/// The paths that differ, with what they are and would be.
fn changes(before: &Value, after: &Value, path: &str) -> Vec<String> {
    let shown = |value: &Value| if value.is_null() { "unset".to_owned() } else { value.to_string() };
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            let of =
                |fields: &serde_json::Map<String, Value>, key: &String| fields.get(key).cloned().unwrap_or_default();
            keys.into_iter()
                .flat_map(|key| changes(&of(before, key), &of(after, key), &format!("{path}.{key}")))
                .collect()
        }
        _ if before == after => Vec::new(),
        _ => vec![format!("{path}: {} -> {}", shown(before), shown(after))],
    }
}

#[cfg(test)]
mod tests {
    use super::{changes, read};
    use serde_json::json;

    #[test]
    fn what_an_edit_changes_is_listed_by_path() {
        let before = json!({"instances": 3, "imageName": "pg:15", "storage": {"size": "1Gi"}});
        let after = json!({"instances": 2, "storage": {"size": "1Gi"}, "walStorage": {"size": "1Gi"}});
        assert_eq!(
            changes(&before, &after, "spec"),
            [
                "spec.imageName: \"pg:15\" -> unset",
                "spec.instances: 3 -> 2",
                "spec.walStorage: unset -> {\"size\":\"1Gi\"}"
            ]
        );
    }

    #[test]
    fn the_cluster_is_found_among_other_documents() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("all.yaml");
        let one = |name: &str| {
            format!(
                "apiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {{name: {name}}}\nspec: {{instances: 3}}\n"
            )
        };
        std::fs::write(&file, format!("kind: Secret\n---\n{}---\n{}", one("a"), one("b"))).unwrap();
        assert_eq!(read(&file, Some("b")).unwrap().metadata.name.as_deref(), Some("b"));
        assert!(read(&file, None).unwrap_err().to_string().contains("several"));
        assert!(read(&file, Some("c")).unwrap_err().to_string().contains("no such"));
    }
}
