//! Fields that are accepted and do nothing, and those that are refused because doing nothing would be unsafe.
//! The list is the committed file `proto/unsupported-fields.txt`; it may only shrink.

use crate::definitions::{KINDS, definition};
use crate::finding::{Finding, Kind};
use crate::schema;
use serde_json::Value;
use std::sync::{LazyLock, OnceLock};

/// The committed list, as text.
pub const LIST: &str = include_str!("../unsupported-fields.txt");

/// One line of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnsupportedField {
    /// The kind of the object.
    pub object: &'static str,
    /// The field, as in `spec.backup.retentionPolicy`, or `annotation:NAME`.
    pub path: &'static str,
    /// Doing nothing would be unsafe: the object is refused.
    pub refused: bool,
    /// The value that asks for nothing but what happens anyway.
    pub harmless: Option<&'static str>,
    /// Why, and what to do instead.
    pub reason: &'static str,
}

impl UnsupportedField {
    /// What to say to somebody who uses it.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let (kind, message) = if self.refused {
            (Kind::Refused, "is not supported, and ignoring it would be unsafe")
        } else {
            (Kind::Ignored, "is accepted and does nothing")
        };
        Finding::new(kind, self.path, format!("{message}: {}", self.reason))
    }
}

static FIELDS: LazyLock<Vec<UnsupportedField>> = LazyLock::new(|| LIST.lines().filter_map(parse).collect());
/// One for each of [`KINDS`], made when it is first asked for: they are large.
static SCHEMAS: [OnceLock<Value>; KINDS.len()] = [const { OnceLock::new() }; KINDS.len()];

/// One line: object, path, `ignored` or `refused` (with `!=VALUE`, perhaps), reason. Lines that start with `#` are comments.
fn parse(line: &'static str) -> Option<UnsupportedField> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.splitn(4, char::is_whitespace);
    let (object, path, verdict) = (words.next()?, words.next()?, words.next()?);
    let (verdict, harmless) =
        verdict.split_once("!=").map_or((verdict, None), |(verdict, value)| (verdict, Some(value)));
    let refused = match verdict {
        "refused" => true,
        "ignored" => false,
        _ => return None,
    };
    Some(UnsupportedField { object, path, refused, harmless, reason: words.next()?.trim() })
}

/// The whole list.
#[must_use]
pub fn fields() -> &'static [UnsupportedField] {
    &FIELDS
}

/// The schema of the `spec` of a kind of ours; null for any other.
#[must_use]
pub fn schema_of(kind: &str) -> &'static Value {
    let slot = KINDS.iter().position(|known| *known == kind).and_then(|at| SCHEMAS.get(at));
    let make = || schema::spec_of(&serde_json::to_value(definition(kind)).unwrap_or_default());
    slot.map_or(&Value::Null, |slot| slot.get_or_init(make))
}

/// Whether `path` is `above`, or in it: a field of the object, or of an element of the list.
#[must_use]
pub fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The entry of a field, or of the object that it is in.
#[must_use]
pub fn lookup(kind: &str, path: &str) -> Option<&'static UnsupportedField> {
    let listed = |field: &&UnsupportedField| field.object == kind && field.path != "spec" && is_below(path, field.path);
    FIELDS.iter().filter(listed).max_by_key(|field| field.path.len())
}

/// Every field that an object of `kind` sets and nothing here acts on: known ones, CNPG's, and unknown ones.
/// A field that has its default counts as not set.
#[must_use]
pub fn used(kind: &str, object: &Value) -> Vec<Finding> {
    let schema = schema_of(kind);
    let listed = FIELDS.iter().filter(|field| field.object == kind && sets(schema, object, field));
    let mut findings: Vec<Finding> = listed.map(UnsupportedField::finding).collect();
    findings.extend(schema::strangers(kind, schema, &object["spec"], "spec"));
    findings.sort();
    findings.dedup();
    findings
}

fn sets(schema: &Value, object: &Value, field: &UnsupportedField) -> bool {
    if let Some(annotation) = field.path.strip_prefix("annotation:") {
        let given = object.pointer("/metadata/annotations").and_then(|all| all.get(annotation));
        return given.is_some_and(|value| !is_harmless(field, value));
    }
    let Some(inner) = field.path.strip_prefix("spec.") else { return object.get("spec").is_some() };
    let default = inner.split('.').try_fold(schema, |schema, name| schema["properties"].get(name));
    let default = default.and_then(|schema| schema.get("default"));
    let asked = |value: &&Value| asks(value) && !is_harmless(field, value) && Some(*value) != default;
    values(&object["spec"], inner).iter().any(asked)
}

/// The values at a path; `[]` after a list means each of its items.
fn values<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('.').fold(vec![object], |found, step| {
        let inside = found.into_iter().filter_map(|value| value.get(step.trim_end_matches("[]")));
        if step.ends_with("[]") { inside.filter_map(Value::as_array).flatten().collect() } else { inside.collect() }
    })
}

/// Whether a value asks for anything: CNPG's own defaulting writes zeros and empty lists into manifests.
pub(crate) fn asks(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(|value| *value != Value::Bool(false) && asks(value)),
    }
}

fn is_harmless(field: &UnsupportedField, value: &Value) -> bool {
    field.harmless.is_some_and(|harmless| value.as_str().map_or_else(|| value.to_string(), str::to_owned) == harmless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    /// How many lines the list had when it was last shortened. It may only become less.
    const MOST: usize = 47;

    #[test]
    fn the_list_is_well_formed_sorted_and_only_shrinks() {
        let lines: Vec<&str> = LIST.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
        assert_eq!(lines.len(), fields().len(), "a line cannot be read");
        assert!(fields().len() <= MOST, "{} fields are unsupported, {MOST} were", fields().len());
        let keys: Vec<_> = fields().iter().map(|field| (field.object, field.path)).collect();
        assert!(keys.is_sorted(), "sort the list");
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a field is listed twice");
    }

    #[test]
    fn a_default_is_not_a_use() {
        let quiet = json!({"spec": {"nodeMaintenanceWindow": {"reusePVC": true}, "storage": {"size": "1Gi"}}});
        assert_eq!(used("Cluster", &quiet), []);
        let cnpg = json!({"spec": {"minSyncReplicas": 0, "replica": {"enabled": false}, "primaryUpdateMethod": "restart",
            "bootstrap": {"initdb": {"encoding": "UTF8", "localeCType": "C", "walSegmentSize": 16}}}});
        assert_eq!(used("Cluster", &cnpg), [], "what CNPG's own defaulting wrote");
        let loud = json!({"spec": {"nodeMaintenanceWindow": {"reusePVC": false}}});
        assert_eq!(used("Cluster", &loud)[0].path, "spec.nodeMaintenanceWindow.reusePVC");
    }

    #[test]
    fn what_would_be_unsafe_to_ignore_is_refused() {
        for spec in [
            json!({"bootstrap": {"recovery": {"volumeSnapshots": {"storage": {"name": "s"}}}}}),
            json!({"replicationSlots": {"highAvailability": {"synchronizeLogicalDecoding": true}}}),
            json!({"replica": {"enabled": true}}),
            json!({"bootstrap": {"pg_basebackup": {"source": "other"}}}),
        ] {
            let findings = used("Cluster", &json!({"spec": spec}));
            assert!(findings[0].is_error(), "{findings:?}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_with_what_was_meant() {
        let findings = used("Cluster", &json!({"spec": {"instnces": 3, "backup": {"maxParallel": 2}, "xyzzy": 1}}));
        let text: Vec<_> = findings.iter().map(|f| (f.path.as_str(), f.hint.as_deref().unwrap_or(""))).collect();
        assert_eq!(
            text,
            [
                ("spec.backup.maxParallel", "did you mean spec.backup.barmanObjectStore.wal.maxParallel?"),
                ("spec.instnces", "did you mean spec.instances?"),
                ("spec.xyzzy", "remove it"),
            ]
        );
    }
}
