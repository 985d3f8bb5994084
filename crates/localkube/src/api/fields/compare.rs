//! What differs between two states of an object, and which fields a configuration names, as sets of fields.

use std::collections::BTreeMap;

use serde_json::Value;

use super::set::FieldSet;
use super::shape::{Part, Shape};

/// The differences.
#[derive(Debug, Default)]
pub struct Compared {
    /// New or different.
    pub taken: FieldSet,
    /// Gone.
    pub removed: FieldSet,
}

/// Compares two states.
pub fn compare(shape: Shape, old: &Value, new: &Value) -> Compared {
    let mut found = Compared::default();
    walk(shape, Some(old), Some(new), &mut Vec::new(), &mut found);
    found
}

fn walk<'a>(
    shape: Shape<'a>,
    old: Option<&'a Value>,
    new: Option<&'a Value>,
    path: &mut Vec<String>,
    found: &mut Compared,
) {
    let (before, after) = (parts(shape, old, new), parts(shape, new, old));
    let (Some(before), Some(after)) = (before, after) else { return leaf(old, new, path, found) };
    if before.is_empty() && after.is_empty() {
        return leaf(old, new, path, found);
    }
    let mut pairs: BTreeMap<String, (Shape, Option<&Value>, Option<&Value>)> =
        before.into_iter().map(|(edge, shape, value)| (edge, (shape, Some(value), None))).collect();
    for (edge, shape, value) in after {
        pairs.entry(edge).or_insert((shape, None, None)).2 = Some(value);
    }
    for (edge, (shape, old, new)) in pairs {
        path.push(edge);
        walk(shape, old, new, path, found);
        path.pop();
    }
    if old.is_none() || new.is_none() {
        leaf(old, new, path, found);
    }
}

/// The parts of one side; what is absent or null is empty where the other has parts.
fn parts<'a>(shape: Shape<'a>, one: Option<&'a Value>, other: Option<&'a Value>) -> Option<Vec<Part<'a>>> {
    match one.filter(|value| !value.is_null()) {
        Some(value) => shape.parts(value),
        None => other.and_then(|value| shape.parts(value)).map(|_| Vec::new()),
    }
}

fn leaf(old: Option<&Value>, new: Option<&Value>, path: &[String], found: &mut Compared) {
    match (old, new) {
        _ if path.is_empty() => {}
        (Some(_), None) => found.removed.insert(path),
        (old, new) if old != new => found.taken.insert(path),
        _ => {}
    }
}

/// The fields that a configuration names.
pub fn named(shape: Shape, config: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    fill(shape, config, &mut Vec::new(), &mut set);
    set
}

fn fill(shape: Shape, value: &Value, path: &mut Vec<String>, set: &mut FieldSet) {
    let Some(parts) = shape.parts(value) else { return set.insert(path) };
    if parts.is_empty() && value.is_object() && !path.is_empty() {
        set.insert(path);
    }
    for (edge, inner, part) in parts {
        let itself = edge.strip_prefix("f:").is_none_or(|field| !shape.declares(field));
        path.push(edge);
        fill(inner, part, path, set);
        if itself {
            set.insert(path);
        }
        path.pop();
    }
}
