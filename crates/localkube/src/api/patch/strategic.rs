//! Strategic merge patch: maps merge, lists of maps merge by the key that Kubernetes gives the field, and directives
//! (`$patch`, `$deleteFromPrimitiveList`, `$setElementOrder`, `$retainKeys`) are obeyed.

use serde_json::{Map, Value};

use super::super::object::as_map;

/// The merge key of a list field, and whether its parent tells which of several it is. From the `patchMergeKey` tags.
fn merge_key(field: &str, patch: &[Value], current: &[Value]) -> Option<&'static str> {
    match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "resourceClaims"
        | "secrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "hostAliases" => Some("ip"),
        "conditions" | "addresses" => Some("type"),
        "ownerReferences" => Some("uid"),
        "topologySpreadConstraints" => Some("topologyKey"),
        // Container ports are keyed by containerPort, service ports by port.
        "ports" => {
            let container = patch.iter().chain(current).any(|port| port.get("containerPort").is_some());
            Some(if container { "containerPort" } else { "port" })
        }
        _ => None,
    }
}

/// Lists of plain values that merge as sets.
fn merges_as_set(field: &str) -> bool {
    field == "finalizers"
}

/// Merges `patch` into `object`.
pub fn strategic_merge(object: &mut Value, patch: &Value) {
    match patch {
        Value::Object(changes) => merge_map(as_map(object), changes),
        other => *object = other.clone(),
    }
}

fn merge_map(object: &mut Map<String, Value>, patch: &Map<String, Value>) {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("delete") => return object.clear(),
        Some("replace") => {
            *object = patch.iter().filter(|(key, _)| *key != "$patch").map(|(k, v)| (k.clone(), v.clone())).collect();
            return;
        }
        _ => {}
    }
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        object.retain(|key, _| kept.iter().any(|k| k == key));
    }
    for (key, change) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Some(gone)) = (object.get_mut(field), change.as_array()) {
                items.retain(|item| !gone.contains(item));
            }
        } else if key.starts_with('$') {
            // Orders are applied below, when the lists have been merged.
        } else if change.is_null() {
            object.remove(key);
        } else if let Value::Array(items) = change {
            merge_list(object, key, items);
        } else if change.is_object() {
            strategic_merge(object.entry(key.as_str()).or_insert(Value::Null), change);
        } else {
            object.insert(key.clone(), change.clone());
        }
    }
    for (key, order) in patch {
        if let (Some(field), Value::Array(order)) = (key.strip_prefix("$setElementOrder/"), order) {
            set_order(object, field, order);
        }
    }
}

fn merge_list(object: &mut Map<String, Value>, field: &str, patch: &[Value]) {
    let replaces = patch.iter().any(|item| item["$patch"] == "replace");
    let current = object.entry(field).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(items) = current else {
        *current = Value::Array(patch.to_vec());
        return;
    };
    let key = merge_key(field, patch, items).filter(|key| patch.iter().all(|p| p.get(key).is_some() || replaces));
    match key {
        _ if replaces => {
            *items = patch.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
        }
        Some(key) => patch.iter().for_each(|change| merge_item(items, key, change)),
        None if merges_as_set(field) => {
            let added: Vec<Value> = patch.iter().filter(|item| !items.contains(item)).cloned().collect();
            items.extend(added);
        }
        None => *items = patch.to_vec(),
    }
}

fn merge_item(items: &mut Vec<Value>, key: &str, change: &Value) {
    let at = items.iter().position(|item| item.get(key) == change.get(key));
    match (at, change["$patch"].as_str()) {
        (Some(at), Some("delete")) => {
            items.remove(at);
        }
        (None, Some("delete")) => {}
        (Some(at), _) => {
            if let Some(item) = items.get_mut(at) {
                strategic_merge(item, change);
            }
        }
        (None, _) => {
            let mut fresh = Value::Object(Map::new());
            strategic_merge(&mut fresh, change);
            items.push(fresh);
        }
    }
}

fn set_order(object: &mut Map<String, Value>, field: &str, order: &[Value]) {
    let Some(Value::Array(items)) = object.get_mut(field) else { return };
    let key = merge_key(field, order, items);
    let rank = |item: &Value| {
        order.iter().position(|wanted| match key {
            Some(key) => wanted.get(key) == item.get(key),
            None => wanted == item,
        })
    };
    // Items that the order does not name stay behind those it does; the sort is stable.
    items.sort_by_key(|item| rank(item).unwrap_or(usize::MAX));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::strategic_merge;

    fn merged(mut object: Value, patch: &Value) -> Value {
        strategic_merge(&mut object, patch);
        object
    }

    #[test]
    fn lists_merge_by_the_key_of_their_field() {
        let cases = [
            (json!({"a": 1, "b": {"c": 1}}), json!({"b": {"c": null, "d": 2}}), json!({"a": 1, "b": {"d": 2}})),
            (
                json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "image": "y"}]}),
                json!({"containers": [{"name": "a", "image": "y"}, {"name": "b"}]}),
            ),
            (
                json!({"env": [{"name": "a"}, {"name": "b"}]}),
                json!({"env": [{"name": "a", "$patch": "delete"}, {"name": "c"}]}),
                json!({"env": [{"name": "b"}, {"name": "c"}]}),
            ),
            (
                json!({"ports": [{"port": 1, "name": "x"}]}),
                json!({"ports": [{"port": 2}, {"port": 1, "$patch": "delete"}]}),
                json!({"ports": [{"port": 2}]}),
            ),
            (
                json!({"ports": [{"containerPort": 1}]}),
                json!({"ports": [{"containerPort": 1, "name": "n"}]}),
                json!({"ports": [{"containerPort": 1, "name": "n"}]}),
            ),
            (json!({"args": ["a", "b"]}), json!({"args": ["c"]}), json!({"args": ["c"]})),
            (json!({"finalizers": ["a"]}), json!({"finalizers": ["a", "b"]}), json!({"finalizers": ["a", "b"]})),
            (
                json!({"finalizers": ["a", "b"]}),
                json!({"$deleteFromPrimitiveList/finalizers": ["a"]}),
                json!({"finalizers": ["b"]}),
            ),
            (
                json!({"volumes": [{"name": "a"}, {"name": "b"}]}),
                json!({"$setElementOrder/volumes": [{"name": "b"}, {"name": "a"}]}),
                json!({"volumes": [{"name": "b"}, {"name": "a"}]}),
            ),
            (json!({"x": {"a": 1}}), json!({"x": {"$patch": "replace", "b": 2}}), json!({"x": {"b": 2}})),
            (json!({"x": {"a": 1, "b": 2}}), json!({"x": {"$retainKeys": ["b"], "b": 3}}), json!({"x": {"b": 3}})),
        ];
        for (object, patch, expected) in cases {
            assert_eq!(merged(object.clone(), &patch), expected, "{object} + {patch}");
        }
    }
}
