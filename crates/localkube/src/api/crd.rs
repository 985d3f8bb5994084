//! CustomResourceDefinitions: which resources they serve, and the status that the server itself writes into them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::error::Cause;
use super::object::{as_map, at, default_field, list, map_mut, name, text};
use super::resource::{GroupResource, ResourceInfo, ScalePaths};
use super::schema::check_defaults;

/// A printer column of `kubectl get`.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean`, `date`.
    pub kind: String,
    /// `int32`, `name`, ...; often empty.
    pub format: String,
    /// For people.
    pub description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub priority: i64,
    /// JSON path of the cell.
    pub path: String,
}

/// What a version of a custom resource brings with it.
#[derive(Debug, Default)]
pub struct CustomVersion {
    /// Structural schema (`openAPIV3Schema`).
    pub schema: Value,
    /// Printer columns; empty means name and age.
    pub columns: Vec<Column>,
    /// JSON paths that field selectors may name, without the leading dot.
    pub selectable: Vec<String>,
    /// The version in which objects are stored.
    pub storage_version: String,
}

/// The resources that a definition serves, the preferred version first.
pub fn served(definition: &Value) -> Vec<ResourceInfo> {
    let names = at(definition, "/spec/names");
    let group = text(definition, "/spec/group");
    let plural = text(names, "/plural");
    let kind = text(names, "/kind");
    let gr = GroupResource::new(group, plural);
    let versions = list(definition, "/spec/versions");
    let storage = versions.iter().find(|v| v["storage"] == true).map_or("", |v| text(v, "/name"));
    let mut infos: Vec<ResourceInfo> = versions
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| ResourceInfo {
            gr: gr.clone(),
            version: text(version, "/name").to_owned(),
            kind: kind.to_owned(),
            list_kind: or_else(text(names, "/listKind"), &format!("{kind}List")),
            singular: or_else(text(names, "/singular"), &kind.to_lowercase()),
            short_names: strings(list(names, "/shortNames")),
            categories: strings(list(names, "/categories")),
            namespaced: text(definition, "/spec/scope") == "Namespaced",
            has_status: version.pointer("/subresources/status").is_some(),
            scale: version.pointer("/subresources/scale").map(scale_paths),
            stored_as: gr.clone(),
            has_generation: true,
            unconditional_update: false,
            create_on_update: false,
            custom: Some(Arc::new(CustomVersion {
                schema: version.pointer("/schema/openAPIV3Schema").cloned().unwrap_or(Value::Null),
                columns: list(version, "/additionalPrinterColumns").iter().map(column).collect(),
                selectable: list(version, "/selectableFields")
                    .iter()
                    .map(|f| text(f, "/jsonPath").trim_start_matches('.').to_owned())
                    .collect(),
                storage_version: storage.to_owned(),
            })),
        })
        .collect();
    // Stable versions before beta before alpha, then the higher number, as the real server prefers them.
    infos.sort_by_key(|info| std::cmp::Reverse(version_rank(&info.version)));
    infos
}

fn version_rank(version: &str) -> (u8, u32, u32) {
    let rest = version.strip_prefix('v').unwrap_or(version);
    let (major, stage) = match rest.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (rank, minor) = match (stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
        _ if stage.is_empty() => (3, ""),
        (Some(minor), _) => (2, minor),
        (_, Some(minor)) => (1, minor),
        _ => (0, ""),
    };
    (rank, major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
}

fn or_else(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.to_owned() } else { text.to_owned() }
}

fn strings(values: &[Value]) -> Vec<String> {
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn scale_paths(scale: &Value) -> ScalePaths {
    ScalePaths {
        spec: text(scale, "/specReplicasPath").to_owned(),
        status: text(scale, "/statusReplicasPath").to_owned(),
        selector: scale.get("labelSelectorPath").and_then(Value::as_str).map(str::to_owned),
    }
}

fn column(value: &Value) -> Column {
    Column {
        name: text(value, "/name").to_owned(),
        kind: text(value, "/type").to_owned(),
        format: text(value, "/format").to_owned(),
        description: text(value, "/description").to_owned(),
        priority: value["priority"].as_i64().unwrap_or(0),
        path: text(value, "/jsonPath").to_owned(),
    }
}

/// Fills in the names that may be left out.
pub fn default_definition(definition: &mut Value) {
    let spec = map_mut(as_map(definition), "spec");
    default_field(spec, "conversion", json!({"strategy": "None"}));
    let names = map_mut(spec, "names");
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    default_field(names, "listKind", format!("{kind}List"));
    default_field(names, "singular", kind.to_lowercase());
}

/// What is wrong with a definition.
pub fn check_definition(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["/spec/group", "/spec/names/plural", "/spec/names/kind", "/spec/scope"] {
        if text(definition, field).is_empty() {
            causes.push(Cause::required(field.trim_start_matches('/').replace('/', ".")));
        }
    }
    let expected = format!("{}.{}", text(definition, "/spec/names/plural"), text(definition, "/spec/group"));
    if name(definition) != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", at(definition, "/metadata/name"), why));
    }
    let versions = list(definition, "/spec/versions");
    if versions.iter().filter(|v| v["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &Value::Null, why));
    }
    for (index, version) in versions.iter().enumerate() {
        match version.pointer("/schema/openAPIV3Schema").filter(|schema| schema.is_object()) {
            None => causes.push(Cause::required(format!("spec.versions[{index}].schema.openAPIV3Schema"))),
            Some(schema) => causes.extend(check_defaults(schema, "spec.validation.openAPIV3Schema")),
        }
    }
    causes
}

/// The status of an accepted definition. Transition times are kept where the condition already held.
pub fn accepted_status(definition: &Value, now: &str) -> Value {
    let versions = list(definition, "/spec/versions");
    let storage = versions.iter().find(|v| v["storage"] == true).map_or("", |v| text(v, "/name"));
    let mut stored = strings(list(definition, "/status/storedVersions"));
    if !stored.iter().any(|v| v == storage) {
        stored.push(storage.to_owned());
    }
    let condition = |kind: &str, reason: &str, message: &str| {
        let since = list(definition, "/status/conditions")
            .iter()
            .find(|c| text(c, "/type") == kind && text(c, "/status") == "True")
            .map_or(now, |c| text(c, "/lastTransitionTime"));
        json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since})
    };
    let mut status = Map::new();
    status.insert("acceptedNames".into(), at(definition, "/spec/names").clone());
    status.insert("storedVersions".into(), json!(stored));
    status.insert(
        "conditions".into(),
        json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]),
    );
    Value::Object(status)
}
