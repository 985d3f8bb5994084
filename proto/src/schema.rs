//! A manifest against the schema of its CRD: what a Kubernetes API server would say, for people, and what it would
//! keep silent about (fields that do not exist).

use crate::finding::{Finding, Kind};
use crate::{suggest, unsupported};
use serde_json::{Map, Value};

/// The schema of `spec`, out of a CRD's JSON.
#[must_use]
pub fn spec_of(crd: &Value) -> Value {
    crd.pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec").cloned().unwrap_or_default()
}

/// Everything in `value` that contradicts `schema`: wrong types, values out of bounds, missing fields.
#[must_use]
pub fn contradictions(schema: &Value, value: &Value, path: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(schema, value, path, &mut |schema, value, path| {
        findings.extend(contradiction(schema, value, path));
    });
    findings
}

/// Every field in `value` that `schema` does not have: those of the committed list ([`crate::unsupported`]) aside.
#[must_use]
pub fn strangers(kind: &str, schema: &Value, value: &Value, path: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    walk(schema, value, path, &mut |here, value, path| {
        let (Some(properties), Some(fields)) = (here["properties"].as_object(), value.as_object()) else { return };
        for (name, value) in fields.iter().filter(|(name, _)| !properties.contains_key(*name)) {
            // Those of the list are named by whoever reads it, which also knows what is harmless.
            if unsupported::lookup(kind, &format!("{path}.{name}")).is_none() && !value.is_null() {
                findings.push(stranger(schema, properties, path, name));
            }
        }
    });
    findings
}

/// A null counts as absent where a field may not be null, as for an API server.
#[must_use]
pub fn without_nulls(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, value)| {
                let inner = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                let dropped = value.is_null() && inner.is_some_and(|inner| inner["nullable"] != true);
                (!dropped).then(|| (name.clone(), without_nulls(inner.unwrap_or(&Value::Null), value)))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => items.iter().map(|item| without_nulls(&schema["items"], item)).collect(),
        _ => value.clone(),
    }
}

/// The schema of the value at a pointer such as `/spec/storage/size`, in the schema of a `spec`.
#[must_use]
pub fn at<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    let steps = pointer.strip_prefix("/spec/")?.split('/');
    steps.map(|step| step.replace("~1", "/").replace("~0", "~")).try_fold(schema, |schema, step| {
        let inner = schema["properties"].get(&step).or_else(|| schema.get("items"));
        inner.or_else(|| schema.get("additionalProperties")).filter(|inner| inner.is_object())
    })
}

/// Calls `visit` with each value that the schema describes, from the outside in.
fn walk(schema: &Value, value: &Value, path: &str, visit: &mut dyn FnMut(&Value, &Value, &str)) {
    visit(schema, value, path);
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let described = schema["properties"]
                    .get(name)
                    .or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()));
                if let Some(described) = described {
                    walk(described, inner, &format!("{path}.{name}"), visit);
                }
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                if let Some(described) = schema.get("items") {
                    walk(described, inner, &format!("{path}[{index}]"), visit);
                }
            }
        }
        _ => {}
    }
}

fn contradiction(schema: &Value, value: &Value, path: &str) -> Vec<Finding> {
    let invalid = |message: String| Finding::new(Kind::Invalid, path, message);
    if value.is_null() {
        return Vec::new();
    }
    if let Some(expected) = wrong_type(schema, value) {
        let finding = invalid(format!("expected {expected}, found {value}"));
        let quoted = expected == "a string" && (value.is_number() || value.is_boolean());
        return vec![if quoted { finding.hint(format!("write it in quotes: \"{value}\"")) } else { finding }];
    }
    let mut findings = Vec::new();
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        let allowed: Vec<_> = allowed.iter().filter(|value| !value.is_null()).map(ToString::to_string).collect();
        findings.push(invalid(format!("{value} is not one of {}", allowed.join(", "))));
    }
    let number = value.as_f64();
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number.is_some_and(|number| number < *least)) {
        findings.push(invalid(format!("{value} is less than {least}")));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number.is_some_and(|number| number > *most)) {
        findings.push(invalid(format!("{value} is more than {most}")));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && let (Some(text), Ok(expression)) = (value.as_str(), regex::Regex::new(pattern))
        && !expression.is_match(text)
    {
        findings.push(invalid(format!("{value} does not match {pattern}")));
    }
    if let Some(items) = value.as_array() {
        let count = items.len();
        if schema["minItems"].as_u64().is_some_and(|least| u64::try_from(count).is_ok_and(|count| count < least)) {
            findings.push(invalid("may not be empty".to_owned()));
        }
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| u64::try_from(count).is_ok_and(|n| n > *most)) {
            findings.push(invalid(format!("has {count} items, more than {most}")));
        }
    }
    if schema["minLength"].as_u64().is_some_and(|least| least > 0) && value.as_str() == Some("") {
        findings.push(invalid("may not be empty".to_owned()));
    }
    if let Some(fields) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        findings.extend(
            required
                .filter(|name| fields.get(*name).is_none_or(Value::is_null))
                .map(|name| Finding::new(Kind::Invalid, format!("{path}.{name}"), "is required and missing")),
        );
    }
    findings
}

fn wrong_type(schema: &Value, value: &Value) -> Option<&'static str> {
    if schema["x-kubernetes-int-or-string"] == true {
        return (!value.is_string() && !value.is_number()).then_some("a string or a number");
    }
    let (expected, fits) = match schema["type"].as_str()? {
        "object" => ("an object", value.is_object()),
        "array" => ("a list", value.is_array()),
        "string" => ("a string", value.is_string()),
        "boolean" => ("true or false", value.is_boolean()),
        "integer" => ("a whole number", value.is_i64() || value.is_u64()),
        "number" => ("a number", value.is_number()),
        _ => return None,
    };
    (!fits).then_some(expected)
}

fn stranger(whole: &Value, siblings: &Map<String, Value>, path: &str, name: &str) -> Finding {
    let full = format!("{path}.{name}");
    let finding = Finding::new(Kind::Unknown, full.as_str(), "there is no such field: it does nothing");
    let elsewhere = || find_named(whole, name, "spec").filter(|found| *found != full);
    if let Some(meant) = suggest::closest(name, siblings.keys().map(String::as_str)) {
        finding.hint(format!("did you mean {path}.{meant}?"))
    } else if let Some(found) = elsewhere() {
        finding.hint(format!("did you mean {found}?"))
    } else {
        finding.hint("remove it")
    }
}

/// Where a field of that name is, if there is one.
fn find_named(schema: &Value, name: &str, path: &str) -> Option<String> {
    let properties = schema["properties"].as_object()?;
    if properties.contains_key(name) {
        return Some(format!("{path}.{name}"));
    }
    properties.iter().find_map(|(inner, schema)| find_named(schema, name, &format!("{path}.{inner}")))
}
