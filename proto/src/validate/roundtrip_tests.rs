//! What is read is written again: every manifest of the documentation and every valid one of the corpus, with nothing
//! dropped and nothing that is not known.

use super::corpus_tests::corpus;
use crate::backup::Backup;
use crate::cluster::Cluster;
use crate::database::Database;
use crate::database_role::DatabaseRole;
use crate::finding::{Finding, Kind};
use crate::image_catalog::{ClusterImageCatalog, ImageCatalog};
use crate::pooler::Pooler;
use crate::publication::Publication;
use crate::scheduled_backup::ScheduledBackup;
use crate::subscription::Subscription;
use crate::validate::manifests;
use crate::{schema, unsupported};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::{Path, PathBuf};

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

fn round_trip(at: &str, raw: &Value) {
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
        other => panic!("{at}: {other}"),
    };
    assert!(contains(&written["spec"], &raw["spec"]), "{at}: {raw:#} became {written:#}");
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The manifests of our kinds in a text of YAML.
fn of_ours(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let read = documents.filter_map(|document| Value::deserialize(document).ok());
    read.filter(|object| object["apiVersion"] == "postgresql.cnpg.io/v1" && object["metadata"].is_object()).collect()
}

#[test]
fn every_manifest_of_the_documentation_is_known_and_comes_back_whole() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs"), &mut all);
    let mut seen = 0;
    for file in all {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let blocks: Vec<String> = match file.extension().and_then(std::ffi::OsStr::to_str) {
            Some("yaml") => vec![text],
            Some("md") => {
                let fenced = text.split("```yaml\n").skip(1);
                fenced.filter_map(|rest| Some(rest.split_once("```")?.0.to_owned())).collect()
            }
            _ => continue,
        };
        for block in blocks {
            for object in of_ours(&block) {
                let at = file.display().to_string();
                round_trip(&at, &object);
                let checked = manifests(&file, &serde_json::to_string(&object).unwrap());
                // What stands in a text may leave out what is not its subject, and has no field that there is not.
                let whole = file.extension() == Some(std::ffi::OsStr::new("yaml"));
                let wrong = |finding: &&Finding| finding.is_error() && (whole || finding.kind == Kind::Unknown);
                assert_eq!(checked[0].findings.iter().find(wrong), None, "{at}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 5, "only {seen} manifests");
}

#[test]
fn every_valid_manifest_of_the_corpus_comes_back_whole() {
    let mut seen = 0;
    for manifest in corpus() {
        let checked = manifests(Path::new("m.yaml"), &manifest.text);
        if checked.iter().any(super::Checked::is_broken) {
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
