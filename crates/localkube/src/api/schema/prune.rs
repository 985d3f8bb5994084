//! Dropping fields that the schema does not know, and telling which ones they were.

use serde_json::{Map, Value};

/// Removes unknown fields of a custom resource and returns their paths. `apiVersion`, `kind` and `metadata` stay.
pub fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    prune_value(schema, object, "", true, &mut dropped);
    dropped
}

fn prune_value(schema: &Value, value: &mut Value, path: &str, resource: bool, dropped: &mut Vec<String>) {
    match value {
        Value::Object(map) => prune_map(schema, map, path, resource, dropped),
        Value::Array(items) => {
            let Some(item_schema) = schema.get("items") else { return };
            for (index, item) in items.iter_mut().enumerate() {
                prune_value(item_schema, item, &format!("{path}[{index}]"), embedded(item_schema), dropped);
            }
        }
        _ => {}
    }
}

fn embedded(schema: &Value) -> bool {
    schema["x-kubernetes-embedded-resource"] == true
}

fn prune_map(schema: &Value, map: &mut Map<String, Value>, path: &str, resource: bool, dropped: &mut Vec<String>) {
    let keeps_unknown = schema["x-kubernetes-preserve-unknown-fields"] == true;
    let properties = schema.get("properties");
    let additional = schema.get("additionalProperties");
    map.retain(|key, value| {
        if resource && matches!(key.as_str(), "apiVersion" | "kind" | "metadata") {
            return true;
        }
        let child = join(path, key);
        if let Some(known) = properties.and_then(|p| p.get(key)) {
            prune_value(known, value, &child, embedded(known), dropped);
            return true;
        }
        match additional {
            Some(Value::Bool(true)) => true,
            Some(known @ Value::Object(_)) => {
                prune_value(known, value, &child, embedded(known), dropped);
                true
            }
            _ if keeps_unknown => true,
            _ => {
                dropped.push(child);
                false
            }
        }
    });
}

/// The path of a field below another.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
