//! What is read is written again, with nothing dropped: every field of every kind, and every valid manifest of the corpus.
//! The documentation's are in `documentation_tests`.

use super::corpus_tests::{Manifest, corpus};
use crate::backup::Backup;
use crate::cluster::Cluster;
use crate::database::Database;
use crate::database_role::DatabaseRole;
use crate::definitions::KINDS;
use crate::failover_quorum::FailoverQuorum;
use crate::image_catalog::{ClusterImageCatalog, ImageCatalog};
use crate::pooler::Pooler;
use crate::publication::Publication;
use crate::scheduled_backup::ScheduledBackup;
use crate::subscription::Subscription;
use crate::validate::{Checked, manifests};
use crate::{names, schema, unsupported};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Whether `whole` has everything that `part` has.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().all(|(key, value)| match whole.get(key) {
            Some(found) => contains(found, value),
            // What asks for nothing may be left out.
            None => !unsupported::asks(value),
        }),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        _ => whole == part,
    }
}

fn through<T: DeserializeOwned + Serialize + PartialEq>(raw: &Value) -> Value {
    let read: T = serde_json::from_value(raw.clone()).unwrap_or_else(|error| panic!("{error}: {raw:#}"));
    let written = serde_json::to_value(&read).unwrap();
    let again: T = serde_json::from_value(written.clone()).unwrap();
    assert!(again == read, "{raw:#}");
    written
}

pub(super) fn round_trip(at: &str, raw: &Value) {
    let kind = raw["kind"].as_str().unwrap_or_default();
    let mut raw = raw.clone();
    raw["spec"] = schema::without_nulls(unsupported::schema_of(kind), &raw["spec"]);
    let written = match kind {
        "Cluster" => through::<Cluster>(&raw),
        "Backup" => through::<Backup>(&raw),
        "ScheduledBackup" => through::<ScheduledBackup>(&raw),
        "Pooler" => through::<Pooler>(&raw),
        "Database" => through::<Database>(&raw),
        "DatabaseRole" => through::<DatabaseRole>(&raw),
        "Publication" => through::<Publication>(&raw),
        "Subscription" => through::<Subscription>(&raw),
        "ImageCatalog" => through::<ImageCatalog>(&raw),
        "ClusterImageCatalog" => through::<ClusterImageCatalog>(&raw),
        "FailoverQuorum" => through::<FailoverQuorum>(&raw),
        other => panic!("{at}: {other}"),
    };
    assert!(contains(&written["spec"], &raw["spec"]), "{at}: {raw:#} became {written:#}");
}

/// The manifests of our kinds in a text of YAML.
fn of_ours(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let read = documents.filter_map(|document| Value::deserialize(document).ok());
    read.filter(|object| object["apiVersion"] == "postgresql.cnpg.io/v1" && object["metadata"].is_object()).collect()
}

/// A value with every field that the schema has, so that none can be lost unseen.
fn everything(schema: &Value) -> Value {
    if let Some(allowed) = schema["enum"].as_array() {
        return allowed.iter().rfind(|value| !value.is_null()).cloned().unwrap_or_default();
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return json!("1");
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("object"), _) => {
            let named = schema["properties"].as_object().into_iter().flatten();
            let mut fields: Map<String, Value> = named.map(|(name, inner)| (name.clone(), everything(inner))).collect();
            if let Some(inner) = schema.get("additionalProperties").filter(|inner| inner.is_object()) {
                fields.insert("key".to_owned(), everything(inner));
            }
            Value::Object(fields)
        }
        (Some("array"), _) => json!([everything(&schema["items"])]),
        (Some("integer"), _) => json!(7),
        (Some("number"), _) => json!(1.5),
        (Some("boolean"), _) => schema["default"].as_bool().map_or(json!(true), |default| json!(!default)),
        (_, Some("date-time")) => json!("2026-11-23T10:15:00Z"),
        (_, Some("byte")) => json!("YQ=="),
        _ => json!("text"),
    }
}

#[test]
fn every_field_of_every_kind_comes_back() {
    for kind in KINDS {
        let spec = everything(unsupported::schema_of(kind));
        let object = json!({ "apiVersion": names::API_VERSION, "kind": kind, "metadata": {"name": "m"}, "spec": spec });
        round_trip(kind, &object);
    }
}

#[test]
fn every_kind_that_a_user_writes_has_a_valid_manifest_in_the_corpus() {
    let valid = |manifest: &Manifest| !manifests(Path::new("m.yaml"), &manifest.text).iter().any(Checked::is_broken);
    let written: BTreeSet<String> = corpus()
        .iter()
        .filter(|manifest| valid(manifest))
        .flat_map(|manifest| of_ours(&manifest.text))
        .filter_map(|object| Some(object["kind"].as_str()?.to_owned()))
        .collect();
    // A FailoverQuorum is the controller's.
    let missing: Vec<_> = KINDS.iter().filter(|kind| **kind != "FailoverQuorum" && !written.contains(**kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_valid_manifest_of_the_corpus_comes_back_whole() {
    let mut seen = 0;
    for manifest in corpus() {
        let checked = manifests(Path::new("m.yaml"), &manifest.text);
        if checked.iter().any(Checked::is_broken) {
            continue;
        }
        for object in of_ours(&manifest.text) {
            // Words that kubectl makes booleans of are not ours to read here.
            if manifest.at != "basics: a boolean of YAML 1.1" {
                round_trip(&manifest.at, &object);
                seen += 1;
            }
        }
    }
    assert!(seen >= 70, "only {seen} manifests");
}
