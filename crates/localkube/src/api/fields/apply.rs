//! Server-side apply: a configuration merged into an object, and what its owner no longer names taken out of it.

use serde_json::Value;

use super::super::error::ApiError;
use super::super::object::{at, meta_mut, text};
use super::super::resource::ResourceInfo;
use super::compare::{compare, named};
use super::conflict::{Conflict, refuse};
use super::managers::{Entry, Managers, Operation, Writer, empty_of, strip};
use super::set::FieldSet;
use super::shape::Shape;

/// Where kubectl keeps what its client-side apply applied last.
const LAST_APPLIED: &str = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";

/// What an apply comes to.
#[derive(Debug)]
pub struct Applied {
    /// The object as wished; defaults and validation come after.
    pub object: Value,
    /// Its owners then.
    pub managers: Managers,
}

/// Applies a configuration, to an object or to nothing.
///
/// # Errors
/// 409 if fields would change that others own, unless by `force`; 400 if the configuration names owners.
pub fn apply(
    info: &ResourceInfo,
    old: Option<&Value>,
    config: &Value,
    by: &Writer,
    force: bool,
) -> Result<Applied, ApiError> {
    if !at(config, "/metadata/managedFields").is_null() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let shape = Shape::of(info);
    let mut all = old.map(Managers::of).unwrap_or_default();
    if let Some(old) = old.filter(|_| all.is_empty()) {
        let mut fields = compare(shape, &empty_of(info), old).taken;
        strip(&mut fields);
        all.0.push(Entry { fields, ..entry("before-first-apply", Operation::Update, info, by) });
    }
    let empty = empty_of(info);
    let live = old.unwrap_or(&empty);
    let is_own = |entry: &Entry| {
        entry.operation == Operation::Apply && entry.manager == by.manager && entry.subresource == by.subresource
    };
    let before = all.0.iter().find(|entry| is_own(entry)).cloned();
    all.0.retain(|entry| !is_own(entry));

    let mut wanted = named(shape, config);
    strip(&mut wanted);
    if info.has_status {
        let status = by.subresource == "status";
        wanted.keep(|edge| (edge == "f:status") == status);
    }
    let mut object = if old.is_some() { live.clone() } else { config.clone() };
    merge(shape, &mut object, config);
    meta_mut(&mut object).remove("managedFields");
    if let Some(before) = &before {
        let kept = all.0.iter().fold(wanted.clone(), |kept, entry| kept.union(&entry.fields));
        prune(shape, &mut object, &before.fields, &kept);
    }
    let mut found = compare(shape, live, &object);
    strip(&mut found.taken);
    let conflicts: Vec<Conflict> = all.0.iter().flat_map(|entry| Conflict::of(entry, &found.taken)).collect();
    if !conflicts.is_empty() && !force {
        // Of kubectl's own apply on the client's side kubectl is the heir.
        let mut left = FieldSet::default();
        conflicts.iter().for_each(|conflict| left.insert(&conflict.path));
        let inherited = if by.manager == "kubectl" { last_applied(shape, live) } else { FieldSet::default() };
        let left = left.minus(&inherited);
        if !left.is_empty() {
            let conflicts: Vec<Conflict> = conflicts.into_iter().filter(|conflict| conflict.is_in(&left)).collect();
            return Err(refuse(&conflicts));
        }
    }
    all.lose(&found);
    let changed = !found.taken.is_empty() || !found.removed.is_empty();
    let time = match before {
        Some(before) if !changed && before.fields == wanted => before.time,
        _ => by.now.to_owned(),
    };
    all.0.push(Entry { fields: wanted, time, ..entry(by.manager, Operation::Apply, info, by) });
    Ok(Applied { object, managers: all })
}

fn entry(manager: &str, operation: Operation, info: &ResourceInfo, by: &Writer) -> Entry {
    Entry {
        manager: manager.to_owned(),
        operation,
        subresource: by.subresource.to_owned(),
        api_version: info.api_version(),
        time: by.now.to_owned(),
        fields: FieldSet::default(),
    }
}

fn last_applied(shape: Shape, live: &Value) -> FieldSet {
    let config: Value = serde_json::from_str(text(live, LAST_APPLIED)).unwrap_or_default();
    named(shape, &config)
}

fn merge(shape: Shape, live: &mut Value, config: &Value) {
    let mergeable = shape.parts(live).is_some() && shape.parts(config).is_some();
    match (live, config) {
        (Value::Object(live), Value::Object(config)) if mergeable => {
            for (field, wanted) in config {
                match live.get_mut(field) {
                    Some(there) => merge(shape.field(field), there, wanted),
                    None => {
                        live.insert(field.clone(), wanted.clone());
                    }
                }
            }
        }
        (Value::Array(live), Value::Array(config)) if mergeable => {
            let edges = shape.edges(live).unwrap_or_default();
            for (edge, wanted) in shape.edges(config).unwrap_or_default().iter().zip(config) {
                match edges.iter().position(|there| there == edge).and_then(|index| live.get_mut(index)) {
                    Some(there) => merge(shape.item(), there, wanted),
                    None => live.push(wanted.clone()),
                }
            }
        }
        (live, config) => *live = config.clone(),
    }
}

/// Takes out what was owned before and is wanted by nobody now.
fn prune(shape: Shape, value: &mut Value, before: &FieldSet, kept: &FieldSet) {
    let edges = match &*value {
        Value::Array(items) => shape.edges(items).unwrap_or_default(),
        _ => Vec::new(),
    };
    let stays = |shape: Shape, edge: &str, inner: &mut Value| {
        let Some(before) = before.below(edge) else { return true };
        let nothing = FieldSet::default();
        let kept = kept.below(edge).unwrap_or(&nothing);
        let had_parts = shape.parts(inner).is_some_and(|parts| !parts.is_empty());
        if had_parts {
            prune(shape, inner, before, kept);
        }
        let emptied = had_parts && shape.parts(inner).is_some_and(|parts| parts.is_empty());
        !kept.is_empty() || !(before.is_member() || emptied)
    };
    match value {
        Value::Object(map) => map.retain(|field, inner| stays(shape.field(field), &format!("f:{field}"), inner)),
        Value::Array(items) => {
            let mut edges = edges.iter();
            items.retain_mut(|item| edges.next().is_none_or(|edge| stays(shape.item(), edge, item)));
        }
        _ => {}
    }
}
