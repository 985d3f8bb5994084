//! OpenAPI, as much as `kubectl apply` and `kubectl explain` ask for: which kinds there are, that the server validates
//! fields itself, and the schemas of custom resources.

use serde_json::{Map, Value, json};

use super::object::as_map;
use super::registry::Registry;
use super::resource::ResourceInfo;

/// `GET /openapi/v2`: no definitions. kubectl uses it only where v3 is missing.
pub fn v2() -> Value {
    json!({"swagger": "2.0", "info": {"title": "pgherd local Kubernetes API", "version": "v1.33.0"}, "paths": {},
        "definitions": {}})
}

/// `GET /openapi/v3`: where the document of each group and version is. `version` makes the links new when a definition
/// may have changed, since clients cache by link.
pub fn v3_index(registry: &Registry, version: u64) -> Value {
    let mut paths = Map::new();
    let mut add = |path: String| {
        let link = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={version}")});
        paths.insert(path, link);
    };
    add("api/v1".to_owned());
    for (group, versions) in registry.groups() {
        versions.iter().for_each(|version| add(format!("apis/{group}/{version}")));
    }
    json!({"paths": paths})
}

/// `GET /openapi/v3/apis/GROUP/VERSION`.
pub fn v3_group(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let prefix = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for info in registry.all().filter(|info| info.gr.group == group && info.version == version) {
        let name = schema_name(info);
        let namespaced = if info.namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{prefix}{namespaced}/{}", info.gr.plural);
        let kind = json!({"group": group, "version": version, "kind": info.kind});
        paths.insert(format!("{collection}/{{name}}"), item(&kind, &name));
        paths.insert(collection, json!({"post": operation("post", &kind, &name)}));
        schemas.insert(name, schema(info, &kind));
    }
    let known = !paths.is_empty() || registry.groups().contains_key(group);
    known.then(|| {
        json!({"openapi": "3.0.0", "info": {"title": "pgherd local Kubernetes API", "version": "v1.33.0"},
            "paths": paths, "components": {"schemas": schemas}})
    })
}

fn schema_name(info: &ResourceInfo) -> String {
    let mut parts: Vec<&str> = info.gr.group.split('.').rev().filter(|part| !part.is_empty()).collect();
    parts.extend([info.version.as_str(), info.kind.as_str()]);
    parts.join(".")
}

fn schema(info: &ResourceInfo, kind: &Value) -> Value {
    let mut schema = match &info.custom {
        Some(custom) if custom.schema.is_object() => custom.schema.clone(),
        _ => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    as_map(&mut schema).insert("x-kubernetes-group-version-kind".into(), json!([kind]));
    schema
}

fn item(kind: &Value, name: &str) -> Value {
    let mut patch = operation("patch", kind, name);
    // Strategic merge patches of built-in kinds are computed by kubectl from its own types, so they are not offered here.
    let content = json!({"application/json-patch+json": {}, "application/merge-patch+json": {},
        "application/apply-patch+yaml": {}});
    as_map(&mut patch).insert("requestBody".into(), json!({"content": content}));
    json!({"get": operation("get", kind, name), "put": operation("put", kind, name), "patch": patch,
        "delete": operation("delete", kind, name)})
}

fn operation(action: &str, kind: &Value, name: &str) -> Value {
    let reference = json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
    let query = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    json!({
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
        "parameters": [query("dryRun"), query("fieldManager"), query("fieldValidation")],
        "responses": {"200": {"description": "OK", "content": {"application/json": reference}}},
    })
}
