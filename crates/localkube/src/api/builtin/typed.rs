//! Built-in objects pass through their Rust types: wrong types are refused and unknown fields are dropped.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1 as rbac;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::super::object::as_map;
use super::super::resource::GroupResource;

/// The object as its type writes it, and the paths of the fields that were dropped. CustomResourceDefinitions and
/// anything without a type come back unchanged.
///
/// # Errors
/// The decoder's message, if a field has the wrong type.
pub fn normalise(gr: &GroupResource, object: Value) -> Result<(Value, Vec<String>), String> {
    match (gr.group.as_str(), gr.plural.as_str()) {
        ("", "configmaps") => through::<core::ConfigMap>(&object),
        ("", "endpoints") => through::<core::Endpoints>(&object),
        ("", "events") => through::<core::Event>(&object),
        ("", "namespaces") => through::<core::Namespace>(&object),
        ("", "nodes") => through::<core::Node>(&object),
        ("", "persistentvolumeclaims") => through::<core::PersistentVolumeClaim>(&object),
        ("", "persistentvolumes") => through::<core::PersistentVolume>(&object),
        ("", "pods") => through::<core::Pod>(&object),
        ("", "secrets") => through::<core::Secret>(&object),
        ("", "serviceaccounts") => through::<core::ServiceAccount>(&object),
        ("", "services") => through::<core::Service>(&object),
        ("coordination.k8s.io", "leases") => through::<Lease>(&object),
        ("discovery.k8s.io", "endpointslices") => through::<EndpointSlice>(&object),
        ("policy", "poddisruptionbudgets") => through::<PodDisruptionBudget>(&object),
        ("rbac.authorization.k8s.io", "clusterrolebindings") => through::<rbac::ClusterRoleBinding>(&object),
        ("rbac.authorization.k8s.io", "clusterroles") => through::<rbac::ClusterRole>(&object),
        ("rbac.authorization.k8s.io", "rolebindings") => through::<rbac::RoleBinding>(&object),
        ("rbac.authorization.k8s.io", "roles") => through::<rbac::Role>(&object),
        ("storage.k8s.io", "storageclasses") => through::<StorageClass>(&object),
        _ => Ok((object, Vec::new())),
    }
}

/// The metadata of a custom resource, typed in the same way; the rest is left to its schema.
///
/// # Errors
/// As [`normalise`].
pub fn normalise_metadata(object: &mut Value) -> Result<Vec<String>, String> {
    let metadata = object.get("metadata").cloned().unwrap_or_default();
    let (written, dropped) = through::<ObjectMeta>(&metadata)?;
    as_map(object).insert("metadata".into(), written);
    Ok(dropped.into_iter().map(|field| format!("metadata.{field}")).collect())
}

fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Result<(Value, Vec<String>), String> {
    let typed: T = T::deserialize(object).map_err(|error| error.to_string())?;
    let written = serde_json::to_value(typed).map_err(|error| error.to_string())?;
    let mut dropped = Vec::new();
    find_dropped(object, &written, "", &mut dropped);
    Ok((written, dropped))
}

fn find_dropped(before: &Value, after: &Value, path: &str, dropped: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before.iter().filter(|(_, value)| !value.is_null()) {
                let child = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match after.get(key) {
                    Some(kept) => find_dropped(value, kept, &child, dropped),
                    None => dropped.push(child),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (index, (value, kept)) in before.iter().zip(after).enumerate() {
                find_dropped(value, kept, &format!("{path}[{index}]"), dropped);
            }
        }
        _ => {}
    }
}

/// Names of the fields that differ between the two forms of an event: core, events.k8s.io.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// An event of events.k8s.io in the core form, in which events are stored.
pub fn event_as_core(mut event: Value) -> Value {
    let map = as_map(&mut event);
    EVENT_FIELDS.iter().for_each(|(core, new)| rename(map, new, core));
    map.insert("apiVersion".into(), "v1".into());
    event
}

/// A stored event in the form of events.k8s.io.
pub fn event_as_events(mut event: Value) -> Value {
    let map = as_map(&mut event);
    EVENT_FIELDS.iter().for_each(|(core, new)| rename(map, core, new));
    map.insert("apiVersion".into(), "events.k8s.io/v1".into());
    event
}

fn rename(map: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = map.remove(from) {
        map.insert(to.to_owned(), value);
    }
}
