//! Filling in the defaults of a schema.

use serde_json::Value;

/// Sets every absent property that has a default; descends into what is there, defaults included.
/// A null is replaced where the schema has a default and is not nullable, as the real server does.
pub fn apply_defaults(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                for (key, property) in properties {
                    let nullable = property["nullable"] == true;
                    if let Some(default) = property.get("default") {
                        let replace = map.get(key).is_none_or(|v| v.is_null() && !nullable);
                        if replace {
                            map.insert(key.clone(), default.clone());
                        }
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
