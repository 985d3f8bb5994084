//! Every block of YAML in the project's documentation against what the program takes: a whole manifest of ours has no
//! error, a part of one becomes whole in a minimal Cluster, and what is something else says so by its form.
//!
//! `...` in a block stands for what the reader knows: what is inside of that object is not looked for.

use super::roundtrip_tests::round_trip;
use crate::finding::{Finding, Kind};
use crate::validate::{Checked, manifests};
use crate::{names, unsupported};
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The project's texts and example manifests: what is built, and what git has for itself, is none.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, found);
        } else if name.ends_with(".md") || (name.ends_with(".yaml") && folder.ends_with("examples")) {
            found.push(path);
        }
    }
}

/// A block of YAML, and where it begins.
struct Block {
    at: String,
    text: String,
}

/// The blocks of a text of Markdown, without the indent that they stand in a list with; an example is one as a whole.
fn blocks(file: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(file).unwrap();
    let at = |line: usize| format!("{}:{}", file.strip_prefix(root()).unwrap().display(), line + 1);
    if file.extension() != Some(std::ffi::OsStr::new("md")) {
        return vec![Block { at: at(0), text }];
    }
    let (mut found, mut open): (Vec<Block>, Option<(usize, bool)>) = (Vec::new(), None);
    for (number, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        match (line.trim_start().strip_prefix("```"), open) {
            (Some(_), Some(_)) => open = None,
            (Some(language), None) => {
                let ours = ["yaml", "yml"].contains(&language.trim());
                open = Some((indent, ours));
                if ours {
                    found.push(Block { at: at(number), text: String::new() });
                }
            }
            (None, Some((indent, true))) => {
                let block = found.last_mut().unwrap();
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "{}: a block does not end", file.display());
    found
}

/// What a document of a block is.
enum Document {
    /// A manifest of ours: as it stands, or what its part is in.
    Ours(Value),
    /// Something else that is right in its own way.
    Other,
    /// Nothing that is known.
    Unknown,
}

fn classify(document: Value) -> Document {
    let fields = document.as_object().cloned().unwrap_or_default();
    let only = |known: &dyn Fn(&str) -> bool| !fields.is_empty() && fields.keys().all(|name| known(name));
    let described = &unsupported::schema_of("Cluster")["properties"];
    if let Some(version) = document["apiVersion"].as_str() {
        let ours = version.split('/').next() == Some(names::API_GROUP);
        return if ours { Document::Ours(document) } else { Document::Other };
    }
    if only(&|name| ["metadata", "spec"].contains(&name)) {
        return Document::Ours(whole(&document["metadata"], &document["spec"]));
    }
    if only(&|name| described.get(name).is_some()) {
        return Document::Ours(whole(&Value::Null, &document));
    }
    // What a Role has.
    let rules = Vec::<PolicyRule>::deserialize(&document["rules"]).unwrap_or_default();
    if only(&|name| name == "rules") && !rules.is_empty() && rules.iter().all(|rule| !rule.verbs.is_empty()) {
        return Document::Other;
    }
    let values: Map<String, Value> =
        serde_yaml_ng::from_str(&std::fs::read_to_string(root().join("charts/pgherd/values.yaml")).unwrap()).unwrap();
    if only(&|name| values.contains_key(name)) { Document::Other } else { Document::Unknown }
}

/// A Cluster that has nothing but what it must, and the part.
fn whole(metadata: &Value, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": names::API_VERSION, "kind": "Cluster", "metadata": { "name": "part" },
        "spec": { "instances": 3, "storage": { "size": "1Gi" } },
    });
    for (place, part) in [("metadata", metadata), ("spec", spec)] {
        for (name, value) in part.as_object().into_iter().flatten() {
            object[place][name] = value.clone();
        }
    }
    object
}

/// Takes `...` out; the paths of the objects that it was in.
fn elided(value: &mut Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if fields.remove("...").is_some() {
                found.push(path.to_owned());
            }
            for (name, inner) in fields {
                let inside = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                elided(inner, &inside, found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter_mut().enumerate() {
                elided(inner, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// What is wrong with a manifest, but for what `...` stands for.
fn wrong(object: &Value, elided: &[String]) -> Vec<Finding> {
    let checked = manifests(Path::new("m.yaml"), &serde_json::to_string(object).unwrap());
    let left_out = |finding: &Finding| {
        finding.kind != Kind::Unknown && elided.iter().any(|path| finding.path.starts_with(path.as_str()))
    };
    let all = checked.into_iter().flat_map(|Checked { findings, .. }| findings);
    all.filter(|finding| finding.is_error() && !left_out(finding)).collect()
}

#[test]
fn every_block_of_yaml_in_the_documentation_is_right_and_comes_back_whole() {
    let mut all = Vec::new();
    files(&root(), &mut all);
    let (mut seen, mut broken) = (0, Vec::new());
    for Block { at, text } in all.iter().flat_map(|file| blocks(file)) {
        for document in serde_yaml_ng::Deserializer::from_str(&text) {
            let mut object = match Value::deserialize(document).map(classify) {
                Ok(Document::Ours(object)) => object,
                Ok(Document::Other) => continue,
                Ok(Document::Unknown) => {
                    broken.push(format!("{at}: neither a manifest nor a part of one, nor values of the chart"));
                    continue;
                }
                Err(error) => {
                    broken.push(format!("{at}: this is not YAML: {error}"));
                    break;
                }
            };
            let mut left_out = Vec::new();
            elided(&mut object, "", &mut left_out);
            let findings = wrong(&object, &left_out);
            broken.extend(findings.iter().map(|finding| format!("{at}: {}: {}", finding.path, finding.message)));
            if findings.is_empty() {
                round_trip(&at, &object);
            }
            seen += 1;
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(seen >= 12, "only {seen} manifests");
}

#[test]
fn a_typing_error_in_a_part_of_a_manifest_is_seen_and_what_is_left_out_is_not() {
    let is_wrong = |text: &str| {
        let Document::Ours(mut object) = classify(serde_yaml_ng::from_str(text).unwrap()) else { return true };
        let mut left_out = Vec::new();
        elided(&mut object, "", &mut left_out);
        !wrong(&object, &left_out).is_empty()
    };
    assert!(!is_wrong("spec: {enableSuperuserAccess: true}") && !is_wrong("enableSuperuserAccess: true"));
    assert!(is_wrong("spec: {enableSuperuserAcces: true}") && is_wrong("enableSuperuserAcces: true"));
    assert!(!is_wrong("backup: {barmanObjectStore: {destinationPath: s3://bucket, s3Credentials: {...: }}}"));
    assert!(is_wrong("backup: {barmanObjectStore: {destinationPath: s3://bucket, s3Credentials: {}}}"));
    assert!(is_wrong("backup: {barmanObjectStore: {destinationPth: s3://bucket, ...: }}"));
    assert!(is_wrong("rules: [{apiGroups: []}]"), "a rule of RBAC has verbs");
}
