//! Kubernetes' own types in our schemas, without their documentation: `kubectl explain pod.spec` has it, and a
//! definition with all of it is too large for an annotation of `kubectl apply`.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// The schema of one of Kubernetes' types.
pub fn bare<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("description");
        fields.values_mut().for_each(undocumented);
    }
    schema
}

/// Removes descriptions, and not the fields that have that name.
fn undocumented(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("description").is_some_and(Value::is_string) {
                fields.remove("description");
            }
            fields.values_mut().for_each(undocumented);
        }
        Value::Array(items) => items.iter_mut().for_each(undocumented),
        _ => {}
    }
}
