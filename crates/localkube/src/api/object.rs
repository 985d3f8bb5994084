//! Reading and changing the common parts of an object: its identity and metadata. Total functions on JSON.

use serde_json::{Map, Value};

/// A Kubernetes object as JSON: always a map with `apiVersion`, `kind` and `metadata` once it is stored.
pub type Object = Value;

/// A string of the metadata, empty if absent.
pub fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get("metadata").and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.name`, empty if absent.
pub fn name(object: &Value) -> &str {
    meta(object, "name")
}

/// `metadata.namespace`, empty for cluster-scoped objects.
pub fn namespace(object: &Value) -> &str {
    meta(object, "namespace")
}

/// `metadata.uid`, empty if absent.
pub fn uid(object: &Value) -> &str {
    meta(object, "uid")
}

/// `metadata.resourceVersion` as a number, 0 if absent.
pub fn version(object: &Value) -> u64 {
    meta(object, "resourceVersion").parse().unwrap_or(0)
}

/// The object is being deleted.
pub fn is_terminating(object: &Value) -> bool {
    !meta(object, "deletionTimestamp").is_empty()
}

/// The object has at least one finalizer.
pub fn has_finalizers(object: &Value) -> bool {
    !list(object, "/metadata/finalizers").is_empty()
}

/// The array at a JSON pointer, empty if it is absent or something else.
pub fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The string at a JSON pointer, empty if it is absent or something else.
pub fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The map under `field`, created if it is absent or something else.
pub fn map_mut<'a>(object: &'a mut Map<String, Value>, field: &str) -> &'a mut Map<String, Value> {
    let slot = object.entry(field).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    as_map(slot)
}

/// The value as a map; anything else is replaced by an empty one.
pub fn as_map(value: &mut Value) -> &mut Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => {
            *other = Value::Object(Map::new());
            as_map(other)
        }
    }
}

/// The metadata, created if absent.
pub fn meta_mut(object: &mut Value) -> &mut Map<String, Value> {
    map_mut(as_map(object), "metadata")
}

/// Sets a string of the metadata.
pub fn set_meta(object: &mut Value, field: &str, value: impl Into<Value>) {
    meta_mut(object).insert(field.to_owned(), value.into());
}

/// Copies a top-level field from one object to another, removing it where the source has none.
pub fn copy_field(from: &Value, to: &mut Value, field: &str) {
    match from.get(field) {
        Some(value) => as_map(to).insert(field.to_owned(), value.clone()),
        None => as_map(to).remove(field),
    };
}

/// Sets a field of a map only where it is absent or null.
pub fn default_field(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    let slot = map.entry(field).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// The value at a JSON pointer, null if there is none.
pub fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    static NULL: Value = Value::Null;
    object.pointer(pointer).unwrap_or(&NULL)
}
