//! Checking a value against a schema; every violation is found, not only the first.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use super::super::error::Cause;
use super::prune::join;

/// All violations, in the order of the document. Paths are as in `spec.instances`, `spec.list[0].name`.
pub fn validate(schema: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(schema, object, "", &mut causes);
    causes
}

fn check(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if !has_type(schema, value) {
        let wanted = schema["type"].as_str().unwrap_or("integer or string");
        let kind = kind_of(value);
        let message = format!("Invalid value: {kind:?}: {path} in body must be of type {wanted}: {kind:?}");
        causes.push(Cause { field: path.to_owned(), reason: "FieldValueTypeInvalid", message });
        return;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let list: Vec<String> = allowed.iter().map(Value::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", list.join(", "));
        causes.push(Cause { field: path.to_owned(), reason: "FieldValueNotSupported", message });
    }
    match value {
        Value::Object(map) => check_map(schema, map, path, causes),
        Value::Array(items) => check_array(schema, items, path, causes),
        Value::String(text) => check_string(schema, value, text, path, causes),
        Value::Number(number) => check_number(schema, value, number.as_f64().unwrap_or(f64::NAN), path, causes),
        _ => {}
    }
    check_combined(schema, value, path, causes);
}

fn has_type(schema: &Value, value: &Value) -> bool {
    if schema["x-kubernetes-int-or-string"] == true {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|f| f.fract() == 0.0),
        _ => true,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn check_map(schema: &Value, map: &Map<String, Value>, path: &str, causes: &mut Vec<Cause>) {
    for required in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(required) {
            causes.push(Cause::required(join(path, required)));
        }
    }
    let count = map.len() as u64;
    if schema["minProperties"].as_u64().is_some_and(|min| count < min) {
        causes.push(limit(path, count, "should have at least", &schema["minProperties"], "properties"));
    }
    if schema["maxProperties"].as_u64().is_some_and(|max| count > max) {
        causes.push(limit(path, count, "must have at most", &schema["maxProperties"], "properties"));
    }
    for (key, child) in map {
        let known = schema.get("properties").and_then(|p| p.get(key));
        let child_schema = known.or_else(|| schema.get("additionalProperties").filter(|a| a.is_object()));
        if let Some(child_schema) = child_schema {
            check(child_schema, child, &join(path, key), causes);
        }
    }
}

fn check_array(schema: &Value, items: &[Value], path: &str, causes: &mut Vec<Cause>) {
    let count = items.len() as u64;
    if schema["minItems"].as_u64().is_some_and(|min| count < min) {
        causes.push(limit(path, count, "should have at least", &schema["minItems"], "items"));
    }
    if schema["maxItems"].as_u64().is_some_and(|max| count > max) {
        causes.push(limit(path, count, "must have at most", &schema["maxItems"], "items"));
    }
    if let Some(item_schema) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            check(item_schema, item, &format!("{path}[{index}]"), causes);
        }
    }
    let list_type = schema["x-kubernetes-list-type"].as_str().unwrap_or_default();
    let map_keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
    let identity = |item: &Value| match (list_type, map_keys) {
        ("map", Some(keys)) => {
            let part = |k: &Value| k.as_str().and_then(|k| item.get(k)).map(Value::to_string).unwrap_or_default();
            keys.iter().map(part).collect::<Vec<_>>().join(",")
        }
        _ => item.to_string(),
    };
    if matches!(list_type, "set" | "map") || schema["uniqueItems"] == true {
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            if !seen.insert(identity(item)) {
                let message = format!("Duplicate value: {item}");
                causes.push(Cause { field: format!("{path}[{index}]"), reason: "FieldValueDuplicate", message });
            }
        }
    }
}

fn check_string(schema: &Value, value: &Value, text: &str, path: &str, causes: &mut Vec<Cause>) {
    let count = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|min| count < min) {
        let why = format!("{path} in body should be at least {} chars long", schema["minLength"]);
        causes.push(Cause::invalid(path, value, why));
    }
    if schema["maxLength"].as_u64().is_some_and(|max| count > max) {
        let why = format!("{path} in body should be at most {} chars long", schema["maxLength"]);
        causes.push(Cause::invalid(path, value, why));
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        // A pattern that this engine cannot read (look-around) is passed over: the real server would refuse the CRD.
        if Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text)) {
            causes.push(Cause::invalid(path, value, format!("{path} in body should match '{pattern}'")));
        }
    }
    if schema["format"] == "date-time" && text.parse::<jiff::Timestamp>().is_err() {
        causes.push(Cause::invalid(path, value, "must be of type date-time"));
    }
}

fn check_number(schema: &Value, value: &Value, number: f64, path: &str, causes: &mut Vec<Cause>) {
    if let Some(min) = schema["minimum"].as_f64() {
        let exclusive = schema["exclusiveMinimum"] == true;
        if number < min || (exclusive && number <= min) {
            let relation = if exclusive { "should be greater than" } else { "should be greater than or equal to" };
            causes.push(Cause::invalid(path, value, format!("{path} in body {relation} {min}")));
        }
    }
    if let Some(max) = schema["maximum"].as_f64() {
        let exclusive = schema["exclusiveMaximum"] == true;
        if number > max || (exclusive && number >= max) {
            let relation = if exclusive { "should be less than" } else { "should be less than or equal to" };
            causes.push(Cause::invalid(path, value, format!("{path} in body {relation} {max}")));
        }
    }
    if schema["multipleOf"].as_f64().is_some_and(|step| step > 0.0 && (number / step).fract() != 0.0) {
        causes.push(Cause::invalid(
            path,
            value,
            format!("{path} in body should be a multiple of {}", schema["multipleOf"]),
        ));
    }
    let outside = match schema["format"].as_str() {
        Some("int32") => value.as_i64().is_none_or(|n| i32::try_from(n).is_err()),
        Some("int64") => value.as_i64().is_none(),
        _ => false,
    };
    if outside {
        causes.push(Cause::invalid(path, value, format!("must fit {}", schema["format"])));
    }
}

fn check_combined(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let branches = |key: &str| schema.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for branch in branches("allOf") {
        check(&branch, value, path, causes);
    }
    let holds = |branch: &Value| {
        let mut found = Vec::new();
        check(branch, value, path, &mut found);
        found.is_empty()
    };
    let any_of = branches("anyOf");
    if !any_of.is_empty() && !any_of.iter().any(holds) {
        causes.push(Cause::invalid(path, value, "must validate at least one schema (anyOf)"));
    }
    let one_of = branches("oneOf");
    if !one_of.is_empty() && one_of.iter().filter(|branch| holds(branch)).count() != 1 {
        causes.push(Cause::invalid(path, value, "must validate one and only one schema (oneOf)"));
    }
    if schema.get("not").is_some_and(holds) {
        causes.push(Cause::invalid(path, value, "must not validate the schema (not)"));
    }
}

fn limit(path: &str, found: u64, relation: &str, bound: &Value, unit: &str) -> Cause {
    Cause::invalid(path, &Value::from(found), format!("{path} in body {relation} {bound} {unit}"))
}
