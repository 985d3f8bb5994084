//! Rules that an API server can check by itself (CEL, `x-kubernetes-validations`; Kubernetes 1.25 and later), so that a
//! manifest is refused before it is stored. Each stands beside the function that is the authority: `pgherd validate`
//! and the controller ask the function, a test holds the two together.
//!
//! An API server that does not know the field leaves it out, and everything is said in the status, as before. A rule of
//! one version must never be broken by an object that an earlier version took: its managers could no longer write its
//! status. Therefore only what was refused before is here.

mod cluster;
mod objects;
#[cfg(test)]
mod tests;

use crate::finding::{Finding, Kind};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};
use serde_json::Value;

/// Who says whether a rule is kept.
#[derive(Clone, Copy)]
pub enum Authority {
    /// It is about the value.
    Now(fn(&Value) -> bool),
    /// It is about a change, from the first to the second.
    Change(fn(&Value, &Value) -> bool),
}

/// One rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The kind of the object.
    pub kind: &'static str,
    /// The field that is `self`, as in `spec.bootstrap.initdb`; `[]` after a list means each of its items.
    pub at: &'static str,
    /// The rule as an API server reads it.
    pub cel: &'static str,
    /// What is said when it is broken: CNPG's text, where it has the rule.
    pub message: &'static str,
    /// The authority.
    pub authority: Authority,
    /// Whether [`broken`] and [`changed`] say it; others have their own place in [`crate::validate`].
    pub said_here: bool,
}

const fn rule(
    kind: &'static str,
    at: &'static str,
    cel: &'static str,
    message: &'static str,
    holds: fn(&Value) -> bool,
) -> Rule {
    Rule { kind, at, cel, message, authority: Authority::Now(holds), said_here: true }
}

const fn change(
    kind: &'static str,
    at: &'static str,
    cel: &'static str,
    message: &'static str,
    holds: fn(&Value, &Value) -> bool,
) -> Rule {
    Rule { kind, at, cel, message, authority: Authority::Change(holds), said_here: true }
}

/// The same, where [`crate::validate`] has another place that says it.
const fn said_elsewhere(rule: Rule) -> Rule {
    Rule { said_here: false, ..rule }
}

/// Every rule.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    cluster::RULES.iter().chain(objects::RULES)
}

/// Whether a field is given: CNPG's own defaulting writes empty values into manifests, and CEL's `has` counts them.
fn has(object: &Value, field: &str) -> bool {
    object.get(field).is_some_and(|value| !value.is_null())
}

fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str)
}

fn number(object: &Value, field: &str) -> Option<i64> {
    object.get(field).and_then(Value::as_i64)
}

fn length(object: &Value, field: &str) -> usize {
    object.get(field).and_then(Value::as_array).map_or(0, Vec::len)
}

fn is_true(object: &Value, field: &str) -> bool {
    object.get(field) == Some(&Value::Bool(true))
}

/// Writes the rules of a kind into its schema.
pub fn write(kind: &str, schema: &mut JSONSchemaProps) {
    for rule in rules().filter(|rule| rule.kind == kind) {
        let found = rule.at.split('.').try_fold(&mut *schema, |schema, step| {
            let inner = schema.properties.as_mut()?.get_mut(step.trim_end_matches("[]"))?;
            if !step.ends_with("[]") {
                return Some(inner);
            }
            match inner.items.as_mut()? {
                JSONSchemaPropsOrArray::Schema(item) => Some(&mut **item),
                JSONSchemaPropsOrArray::Schemas(_) => None,
            }
        });
        if let Some(place) = found {
            place.x_kubernetes_validations.get_or_insert_default().push(ValidationRule {
                rule: rule.cel.to_owned(),
                message: Some(rule.message.to_owned()),
                ..ValidationRule::default()
            });
        }
    }
}

/// Every value that a rule is about, with its path.
fn places<'a>(object: &'a Value, at: &str) -> Vec<(String, &'a Value)> {
    let mut found = vec![(String::new(), object)];
    for step in at.split('.') {
        let (name, each) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        let inside = found.into_iter().filter_map(|(path, value)| {
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            Some((path, value.get(name).filter(|value| !value.is_null())?))
        });
        found = if each {
            let items = |(path, value): (String, &'a Value)| {
                let items = value.as_array().into_iter().flatten().enumerate();
                items.map(|(index, item)| (format!("{path}[{index}]"), item)).collect::<Vec<_>>()
            };
            inside.flat_map(items).collect()
        } else {
            inside.collect()
        };
    }
    found
}

/// The rules that an object breaks, whatever it was before.
#[must_use]
pub fn broken(kind: &str, object: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules().filter(|rule| rule.kind == kind && rule.said_here) {
        let Authority::Now(holds) = rule.authority else { continue };
        let wrong = places(object, rule.at).into_iter().filter(|(_, value)| !holds(value));
        findings.extend(wrong.map(|(path, _)| Finding::new(Kind::Invalid, path, rule.message)));
    }
    findings
}

/// The rules that a change breaks.
#[must_use]
pub fn changed(kind: &str, old: &Value, new: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules().filter(|rule| rule.kind == kind && rule.said_here) {
        let Authority::Change(holds) = rule.authority else { continue };
        let (before, after) = (places(old, rule.at), places(new, rule.at));
        // As for an API server: what is there before and after.
        if let (Some((_, old)), Some((path, new))) = (before.first(), after.first())
            && !holds(old, new)
        {
            findings.push(Finding::new(Kind::Invalid, path, rule.message));
        }
    }
    findings
}
