//! Filling in the defaults of a schema.

use serde_json::Value;

use super::super::error::Cause;
use super::prune::join;
use super::validate::validate;

/// What is wrong with the defaults that a schema has, by the schema itself: the real server refuses a definition with
/// one that is not valid.
pub fn check_defaults(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(default) = schema.get("default") {
        let at = format!("{path}.default");
        causes.extend(validate(schema, default).into_iter().map(|cause| Cause {
            field: if cause.field.is_empty() { at.clone() } else { join(&at, &cause.field) },
            ..cause
        }));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        causes.extend(check_defaults(inner, &format!("{path}.properties[{name}]")));
    }
    for part in ["items", "additionalProperties"] {
        causes
            .extend(schema.get(part).map(|inner| check_defaults(inner, &format!("{path}.{part}"))).unwrap_or_default());
    }
    causes
}

/// Sets every absent property that has a default; descends into what is there, defaults included.
/// A null in a property that is not nullable counts as absent, as in the real server.
pub fn apply_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (key, property) in properties {
                    if map.get(key).is_some_and(Value::is_null) && property["nullable"] != true {
                        map.remove(key);
                    }
                    if let Some(default) = property.get("default") {
                        map.entry(key).or_insert_with(|| default.clone());
                    }
                    if let Some(child) = map.get_mut(key) {
                        apply_defaults(property, child);
                    }
                }
            }
            if let Some(additional) = schema.get("additionalProperties").filter(|a| a.is_object()) {
                let known = schema.get("properties");
                for (key, child) in map.iter_mut() {
                    if known.and_then(|k| k.get(key)).is_none() {
                        apply_defaults(additional, child);
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(item_schema) = schema.get("items") {
                items.iter_mut().for_each(|item| apply_defaults(item_schema, item));
            }
        }
        _ => {}
    }
}
