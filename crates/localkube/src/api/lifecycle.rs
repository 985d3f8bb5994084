//! What happens to an object when it is created, changed or deleted: pure rules on (old, new), without the store.

use serde_json::{Map, Value};

use super::error::{ApiError, Cause};
use super::names;
use super::object::{as_map, namespace, text, uid};
use super::object::{copy_field, has_finalizers, is_terminating, map_mut, meta, meta_mut, name, set_meta, version};
use super::resource::{GroupResource, ResourceInfo};

/// What a rule may know of its surroundings.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Now, RFC 3339 with seconds.
    pub now: String,
    /// A fresh random UID.
    pub uid: String,
    /// Five random letters for generateName.
    pub suffix: String,
}

/// Which part of an object an update is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The object's own endpoint: everything but status.
    Main,
    /// `/status`: nothing but status.
    Status,
}

/// Options of a delete, from query and body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds; absent means the kind's default.
    pub grace: Option<u64>,
    /// Only this UID.
    pub uid: Option<String>,
    /// Only this version.
    pub version: Option<String>,
    /// Dependents are kept, without their owner.
    pub orphan: bool,
    /// Nothing is stored.
    pub dry_run: bool,
}

/// What a delete comes to.
#[derive(Debug, PartialEq)]
pub enum Deletion {
    /// The object goes away now.
    Remove,
    /// It is marked and stays until its finalizers or its grace period are over.
    Mark(Value),
    /// It is marked already.
    Waiting,
}

/// Identity and metadata of a new object.
///
/// # Errors
/// 400 if identity and URL differ or a resourceVersion is set, 422 for a bad name.
pub fn prepare_create(
    info: &ResourceInfo,
    in_namespace: &str,
    mut object: Value,
    about: &Circumstances,
) -> Result<Value, ApiError> {
    set_type(info, &mut object)?;
    if version(&object) != 0 {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    if info.namespaced {
        match namespace(&object) {
            "" => set_meta(&mut object, "namespace", in_namespace),
            found if found == in_namespace => {}
            found => {
                let text = format!("the namespace of the provided object ({found}) does not match the namespace sent");
                return Err(ApiError::bad_request(text));
            }
        }
    } else {
        meta_mut(&mut object).remove("namespace");
    }
    if name(&object).is_empty() {
        let prefix = meta(&object, "generateName").to_owned();
        if prefix.is_empty() {
            let causes = [Cause::required("metadata.name")];
            return Err(ApiError::invalid(&info.kind, &info.gr.group, "", &causes));
        }
        let generated: String = prefix.chars().take(58).chain(about.suffix.chars()).collect();
        set_meta(&mut object, "name", generated);
    }
    check_name(info, name(&object))?;
    let metadata = meta_mut(&mut object);
    for field in ["resourceVersion", "selfLink", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), about.uid.clone().into());
    metadata.insert("creationTimestamp".into(), about.now.clone().into());
    if info.has_generation {
        metadata.insert("generation".into(), 1.into());
    } else {
        metadata.remove("generation");
    }
    if info.custom.is_some() && info.has_status {
        as_map(&mut object).remove("status");
    }
    Ok(object)
}

/// Fills in `apiVersion` and `kind`, or refuses others than the URL's.
fn set_type(info: &ResourceInfo, object: &mut Value) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::bad_request("the object must be a map"));
    }
    for (field, expected) in [("apiVersion", info.api_version()), ("kind", info.kind.clone())] {
        let found = object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        if !found.is_empty() && found != expected {
            let text = format!("{field} in the data ({found}) does not match the expected {field} ({expected})");
            return Err(ApiError::bad_request(text));
        }
        as_map(object).insert(field.to_owned(), expected.into());
    }
    Ok(())
}

fn check_name(info: &ResourceInfo, name: &str) -> Result<(), ApiError> {
    let (good, why) = match info.gr.group.as_str() {
        "rbac.authorization.k8s.io" => (!name.contains(['/', '%']) && name != "." && name != "..", names::SUBDOMAIN),
        _ if matches!(info.gr.plural.as_str(), "namespaces" | "services") => (names::is_label(name), names::LABEL),
        _ => (names::is_subdomain(name), names::SUBDOMAIN),
    };
    if good {
        return Ok(());
    }
    let causes = [Cause::invalid("metadata.name", &name.into(), why)];
    Err(ApiError::invalid(&info.kind, &info.gr.group, name, &causes))
}

/// Identity, metadata and the untouched part of a changed object. The generation is counted by [`count_generation`].
///
/// # Errors
/// 400 if identity and URL differ, 409 if UID or resourceVersion are not the stored ones, 422 where a resourceVersion
/// is needed or a finalizer is added to an object that is being deleted.
pub fn prepare_update(info: &ResourceInfo, old: &Value, mut new: Value, part: Part) -> Result<Value, ApiError> {
    set_type(info, &mut new)?;
    for (field, expected) in [("name", name(old)), ("namespace", namespace(old))] {
        match meta(&new, field) {
            "" if !expected.is_empty() => set_meta(&mut new, field, expected),
            found if found == expected => {}
            found => {
                let text =
                    format!("the {field} of the object ({found}) does not match the {field} on the URL ({expected})");
                return Err(ApiError::bad_request(text));
            }
        }
    }
    if !uid(&new).is_empty() && uid(&new) != uid(old) {
        let why = format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", uid(&new), uid(old));
        return Err(ApiError::conflict(&info.gr, name(old), why));
    }
    match meta(&new, "resourceVersion") {
        "" if info.unconditional_update => {}
        "" => {
            return Err(ApiError::no_version(&info.gr, name(old)));
        }
        found if found == meta(old, "resourceVersion") => {}
        _ => return Err(ApiError::stale(&info.gr, name(old))),
    }
    if part == Part::Status {
        let mut merged = old.clone();
        copy_field(&new, &mut merged, "status");
        copy_field(&new, &mut merged, "apiVersion");
        return Ok(merged);
    }
    if is_terminating(old) {
        let had = super::object::list(old, "/metadata/finalizers");
        if let Some(added) = super::object::list(&new, "/metadata/finalizers").iter().find(|f| !had.contains(f)) {
            let why =
                format!("no new finalizers can be added if the object is being deleted, found new finalizer {added}");
            let causes = [Cause::forbidden("metadata.finalizers", why)];
            return Err(ApiError::invalid(&info.kind, &info.gr.group, name(old), &causes));
        }
    }
    for field in ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        keep_meta(old, &mut new, field);
    }
    for field in ["selfLink", "managedFields"] {
        meta_mut(&mut new).remove(field);
    }
    keep_meta(old, &mut new, "resourceVersion");
    if info.has_status {
        copy_field(old, &mut new, "status");
    }
    Ok(new)
}

fn keep_meta(old: &Value, new: &mut Value, field: &str) {
    match old.get("metadata").and_then(|m| m.get(field)) {
        Some(value) => set_meta(new, field, value.clone()),
        None => {
            meta_mut(new).remove(field);
        }
    }
}

/// Raises `metadata.generation` if anything but metadata and status changed.
pub fn count_generation(info: &ResourceInfo, old: &Value, new: &mut Value) {
    if info.has_generation && wish(info, old) != wish(info, new) {
        raise_generation(new);
    }
}

fn wish(info: &ResourceInfo, object: &Value) -> Map<String, Value> {
    let skip_status = info.has_status;
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(key, _)| match key.as_str() {
            "metadata" | "apiVersion" => false,
            "status" => !skip_status,
            _ => true,
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn raise_generation(object: &mut Value) {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    set_meta(object, "generation", generation.saturating_add(1));
}

/// An object that is being deleted goes away once nothing holds it: no finalizer, no grace period.
pub fn is_released(object: &Value) -> bool {
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(0);
    is_terminating(object) && !has_finalizers(object) && grace == 0 && !holds_namespace(object)
}

fn holds_namespace(object: &Value) -> bool {
    text(object, "/kind") == "Namespace" && !super::object::list(object, "/spec/finalizers").is_empty()
}

/// The real server names the kind where it means the resource.
fn by_kind(info: &ResourceInfo) -> GroupResource {
    GroupResource::new(&info.gr.group, &info.kind)
}

/// Decides a delete.
///
/// # Errors
/// 409 if a precondition does not hold.
pub fn decide_delete(
    info: &ResourceInfo,
    object: &Value,
    options: &DeleteOptions,
    now: jiff::Timestamp,
) -> Result<Deletion, ApiError> {
    if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid(object)) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            uid(object)
        );
        return Err(ApiError::conflict(&by_kind(info), name(object), why));
    }
    let found = meta(object, "resourceVersion");
    if let Some(wanted) = options.version.as_deref().filter(|wanted| *wanted != found) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({found}). \
             The object might have been modified"
        );
        return Err(ApiError::conflict(&by_kind(info), name(object), why));
    }
    let grace = grace_seconds(info, object, options);
    let held = grace > 0 || has_finalizers(object) || holds_namespace(object);
    if !held {
        return Ok(Deletion::Remove);
    }
    let marked = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(0);
    if is_terminating(object) && grace >= marked {
        return Ok(Deletion::Waiting);
    }
    let mut marked = object.clone();
    let at = now.checked_add(jiff::SignedDuration::from_secs(i64::try_from(grace).unwrap_or(i64::MAX))).unwrap_or(now);
    set_meta(&mut marked, "deletionTimestamp", timestamp(at));
    set_meta(&mut marked, "deletionGracePeriodSeconds", grace);
    if info.has_generation && !is_terminating(object) {
        raise_generation(&mut marked);
    }
    if info.kind == "Namespace" {
        map_mut(as_map(&mut marked), "status").insert("phase".into(), "Terminating".into());
    }
    Ok(Deletion::Mark(marked))
}

/// Only pods are deleted gracefully, and only those that a node has and that still run.
fn grace_seconds(info: &ResourceInfo, object: &Value, options: &DeleteOptions) -> u64 {
    let over = matches!(text(object, "/status/phase"), "Succeeded" | "Failed");
    if info.kind != "Pod" || over || text(object, "/spec/nodeName").is_empty() {
        return 0;
    }
    let default = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64).unwrap_or(30);
    options.grace.unwrap_or(default)
}

/// A time as metadata has it: RFC 3339 in whole seconds.
pub fn timestamp(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
