//! Whole manifests as a user writes them, before they are applied: YAML documents against the schema of their kind, then
//! against its rules. What is said is the same wherever it is said: `pgherd validate`, and `pgherd local up`.

use super::places::{self, Document};
use super::{backup, cluster, objects, scheduled_backup};
use crate::definitions::KINDS;
use crate::finding::{Finding, Kind, Severity};
use crate::{names, schema, suggest, unsupported};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Findings of one document of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Where it was read.
    pub file: PathBuf,
    /// From 1.
    pub document: usize,
    /// Its kind; empty if it could not be read.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is to be said.
    pub findings: Vec<Finding>,
}

impl Checked {
    /// Whether it cannot be applied.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.findings.iter().any(Finding::is_error)
    }
}

/// Checks each document of a file's text; empty ones are left out. A document that is no YAML is the last one.
#[must_use]
pub fn manifests(file: &Path, text: &str) -> Vec<Checked> {
    let mut all = Vec::new();
    let places = places::documents(text);
    for (index, document) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
        let checked = |kind: &str, name: &str, findings| Checked {
            file: file.to_owned(),
            document: index.saturating_add(1),
            kind: kind.to_owned(),
            name: name.to_owned(),
            findings,
        };
        match Value::deserialize(document) {
            // `---` at the end of a file is an empty document.
            Ok(Value::Null) => {}
            Ok(mut object) => {
                let findings = placed(&mut object, places.get(index));
                let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                all.push(checked(text("/kind"), text("/metadata/name"), findings));
            }
            Err(error) => {
                all.push(checked("", "", vec![Finding::new(Kind::Invalid, "", format!("this is not YAML: {error}"))]));
                break;
            }
        }
    }
    all
}

/// What is to be said about a document, each with its place.
fn placed(object: &mut Value, document: Option<&Document>) -> Vec<Finding> {
    let Some(document) = document else { return manifest(object) };
    let mut findings: Vec<Finding> = words(object, document);
    findings.extend(manifest(object));
    for finding in &mut findings {
        finding.place = document.find(&finding.path);
    }
    for (path, place) in &document.twice {
        let twice = Finding::new(Kind::Invalid, path.as_str(), "is there twice, and only one of them would count");
        findings.push(Finding { place: Some(*place), ..twice });
    }
    findings.sort_by(|a, b| (a.severity, a.place, a).cmp(&(b.severity, b.place, b)));
    findings.dedup();
    findings
}

/// Words that kubectl makes booleans of: right where a boolean is wanted, and a trap where a text is.
fn words(object: &mut Value, document: &Document) -> Vec<Finding> {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut findings = Vec::new();
    for word in &document.words {
        let Some(wanted) = schema::at(unsupported::schema_of(&kind), &word.pointer) else { continue };
        let Some(value) = object.pointer_mut(&word.pointer) else { continue };
        if wanted["type"] == "boolean" {
            *value = Value::Bool(word.means);
        } else if wanted["type"] == "string" && value.is_string() {
            let message = format!("kubectl reads {value} without quotes as {}, and a text is wanted", word.means);
            let hint = format!("write it in quotes: {value}");
            findings.push(Finding::new(Kind::Invalid, word.path.as_str(), message).hint(hint));
        }
    }
    findings
}

/// Everything that is to be said about one document. A field that nobody has is an error here: it is a typing error, and
/// this is the place to mend it.
#[must_use]
pub fn manifest(object: &Value) -> Vec<Finding> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("/apiVersion"), text("/kind"));
    if version.is_empty() || kind.is_empty() {
        return vec![Finding::new(Kind::Invalid, "", "apiVersion and kind say what a document is: both are required")];
    }
    if version.split('/').next() != Some(names::API_GROUP) {
        let message = format!("{kind} of {version:?} is not of {}: not looked at", names::API_GROUP);
        return vec![Finding::new(Kind::Advice, "apiVersion", message)];
    }
    if version != names::API_VERSION {
        let message = format!("{version:?} is not served");
        return vec![Finding::new(Kind::Invalid, "apiVersion", message).hint(format!("write {}", names::API_VERSION))];
    }
    let described = unsupported::schema_of(kind);
    if described.is_null() {
        let meant = suggest::closest(kind, KINDS.into_iter());
        let finding = Finding::new(Kind::Refused, "kind", format!("there is no kind {kind:?}"));
        return vec![finding.hint(meant.map_or_else(|| KINDS.join(", "), |meant| format!("did you mean {meant}?")))];
    }
    let mut findings = around(object);
    let Some(spec) = object.get("spec").filter(|spec| !spec.is_null()) else {
        findings.push(Finding::new(Kind::Invalid, "spec", "is required and missing"));
        return strict(findings);
    };
    let object = &with_spec(object, schema::without_nulls(described, spec));
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let contradictions = schema::contradictions(described, spec, "spec");
    if contradictions.is_empty() && !findings.iter().any(|finding| finding.kind == Kind::Invalid) {
        findings.extend(rules(kind, object));
    } else {
        // It has no typed form: say what is wrong with it, and which fields do nothing.
        findings.extend(contradictions);
    }
    findings.extend(unsupported::used(kind, object));
    strict(findings)
}

/// In order, each once; and a field that there is not is an error.
fn strict(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in findings.iter_mut().filter(|finding| finding.kind == Kind::Unknown) {
        finding.severity = Severity::Error;
    }
    findings.sort();
    findings.dedup();
    findings
}

fn with_spec(object: &Value, spec: Value) -> Value {
    let mut object = object.clone();
    if let Some(place) = object.get_mut("spec") {
        *place = spec;
    }
    object
}

/// What stands beside the spec.
fn around(object: &Value) -> Vec<Finding> {
    const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    let mut findings = Vec::new();
    for name in
        object.as_object().into_iter().flat_map(serde_json::Map::keys).filter(|name| !FIELDS.contains(&name.as_str()))
    {
        let finding = Finding::new(Kind::Unknown, name.as_str(), "there is no such field: it does nothing");
        let hint = match suggest::closest(name, FIELDS.into_iter()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("did you mean spec.{name}?"),
        };
        findings.push(finding.hint(hint));
    }
    let generated = object.pointer("/metadata/generateName").is_some();
    if !generated && object.pointer("/metadata/name").and_then(Value::as_str).is_none_or(str::is_empty) {
        findings.push(Finding::new(Kind::Invalid, "metadata.name", "is required and missing"));
    }
    for field in ["labels", "annotations"] {
        let given = object.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
        for (name, value) in given.into_iter().flatten().filter(|(_, value)| !value.is_string()) {
            let finding = Finding::new(
                Kind::Invalid,
                format!("metadata.{field}.{name}"),
                format!("expected a string, found {value}"),
            );
            findings.push(finding.hint(format!("write it in quotes: \"{value}\"")));
        }
    }
    findings
}

/// The rules of a document that fits its schema.
fn rules(kind: &str, object: &Value) -> Vec<Finding> {
    match kind {
        "Cluster" => typed(object, cluster),
        "Backup" => typed(object, backup),
        "ScheduledBackup" => typed(object, scheduled_backup),
        "Pooler" => typed(object, objects::pooler),
        "Database" => typed(object, objects::database),
        "DatabaseRole" => typed(object, objects::database_role),
        "Publication" => typed(object, objects::publication),
        "Subscription" => typed(object, objects::subscription),
        "ImageCatalog" => typed(object, objects::image_catalog),
        "ClusterImageCatalog" => typed(object, objects::cluster_image_catalog),
        _ => Vec::new(),
    }
}

fn typed<T: serde::de::DeserializeOwned>(object: &Value, rules: fn(&T) -> Vec<Finding>) -> Vec<Finding> {
    match serde_json::from_value(object.clone()) {
        Ok(object) => rules(&object),
        Err(error) => vec![Finding::new(Kind::Invalid, "", format!("cannot be read: {error}"))],
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
