//! A container's environment and command, with all references resolved.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};
use serde_json::Value;

use super::NodeError;
use super::clocks;
use super::context::NodeContext;
use crate::net::address::{API_PORT, GATEWAY};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole environment of a container.
pub(super) fn environment(
    context: &NodeContext,
    pod: &Pod,
    container: &Container,
    address: &str,
) -> Result<BTreeMap<String, String>, NodeError> {
    let mut env: BTreeMap<String, String> = context.env.clone();
    if context.clocks.is_some() {
        env.extend(clocks::environment());
    }
    let hostname = pod.metadata.name.clone().unwrap_or_default();
    for (name, value) in [
        ("PATH", PATH.to_owned()),
        ("HOSTNAME", hostname),
        ("HOME", "/tmp".to_owned()),
        ("KUBERNETES_SERVICE_HOST", GATEWAY.to_string()),
        ("KUBERNETES_SERVICE_PORT", API_PORT.to_string()),
    ] {
        env.insert(name.to_owned(), value);
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let (resource, name, optional) = match (&from.secret_ref, &from.config_map_ref) {
            (Some(secret), _) => ("secrets", &secret.name, secret.optional),
            (None, Some(map)) => ("configmaps", &map.name, map.optional),
            (None, None) => continue,
        };
        match data(context, resource, namespace, name) {
            Ok(data) => env.extend(
                data.into_iter()
                    .map(|(key, value)| (format!("{prefix}{key}"), String::from_utf8_lossy(&value).into_owned())),
            ),
            Err(_) if optional == Some(true) => {}
            Err(error) => return Err(error),
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value_of(context, pod, container, variable, address)? {
            let value = expand(&value, &env);
            env.insert(variable.name.clone(), value);
        }
    }
    Ok(env)
}

/// The container's command line. There is no image that could supply one.
pub(super) fn command(container: &Container, env: &BTreeMap<String, String>) -> Result<Vec<String>, NodeError> {
    let words = container.command.iter().flatten().chain(container.args.iter().flatten());
    let words: Vec<String> = words.map(|word| expand(word, env)).collect();
    if words.is_empty() { Err(NodeError::Missing("the container's command".to_owned())) } else { Ok(words) }
}

fn value_of(
    context: &NodeContext,
    pod: &Pod,
    container: &Container,
    variable: &EnvVar,
    address: &str,
) -> Result<Option<String>, NodeError> {
    let Some(from) = &variable.value_from else { return Ok(Some(variable.value.clone().unwrap_or_default())) };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(field) = &from.field_ref {
        return field_of(pod, &field.field_path, address).map(Some);
    }
    let (resource, name, key, optional) = match (&from.secret_key_ref, &from.config_map_key_ref) {
        (Some(secret), _) => ("secrets", &secret.name, &secret.key, secret.optional),
        (None, Some(map)) => ("configmaps", &map.name, &map.key, map.optional),
        (None, None) => return resource_of(container, variable).map(Some),
    };
    let found = data(context, resource, namespace, name).and_then(|mut data| {
        data.remove(key).ok_or_else(|| NodeError::Missing(format!("key {key} in {resource} {name}")))
    });
    match found {
        Ok(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
        Err(_) if optional == Some(true) => Ok(None),
        Err(error) => Err(error),
    }
}

fn resource_of(container: &Container, variable: &EnvVar) -> Result<String, NodeError> {
    let unknown = || NodeError::Unsupported(format!("the source of variable {}", variable.name));
    let reference =
        variable.value_from.as_ref().and_then(|from| from.resource_field_ref.as_ref()).ok_or_else(unknown)?;
    let (kind, name) = reference.resource.split_once('.').ok_or_else(unknown)?;
    let resources = container.resources.as_ref().ok_or_else(unknown)?;
    let set = if kind == "limits" { &resources.limits } else { &resources.requests };
    set.as_ref().and_then(|set| set.get(name)).map(|quantity| quantity.0.clone()).ok_or_else(unknown)
}

/// A field of the pod, by the paths that Kubernetes allows.
pub(super) fn field_of(pod: &Pod, path: &str, address: &str) -> Result<String, NodeError> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    Ok(match path {
        "metadata.name" => text(meta.name.as_ref()),
        "metadata.namespace" => text(meta.namespace.as_ref()),
        "metadata.uid" => text(meta.uid.as_ref()),
        "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
        "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
        "status.podIP" | "status.podIPs" => address.to_owned(),
        "status.hostIP" => crate::net::address::NODE.to_string(),
        other => {
            let subscript = |prefix: &str| other.strip_prefix(prefix)?.strip_suffix("']").map(str::to_owned);
            let (map, key) = match (subscript("metadata.labels['"), subscript("metadata.annotations['")) {
                (Some(key), _) => (&meta.labels, key),
                (None, Some(key)) => (&meta.annotations, key),
                (None, None) => return Err(NodeError::Unsupported(format!("field {other}"))),
            };
            text(map.as_ref().and_then(|map| map.get(&key)))
        }
    })
}

/// The contents of a Secret or ConfigMap.
pub(super) fn data(
    context: &NodeContext,
    resource: &str,
    namespace: &str,
    name: &str,
) -> Result<BTreeMap<String, Vec<u8>>, NodeError> {
    let missing = |_| NodeError::Missing(format!("{} {name:?}", resource.trim_end_matches('s')));
    let object = context.store.get(resource, namespace, name).map_err(missing)?;
    Ok(contents(&object))
}

fn contents(object: &Value) -> BTreeMap<String, Vec<u8>> {
    use base64::Engine as _;
    let secret = object.get("kind").and_then(Value::as_str) == Some("Secret");
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    let map = |field: &str| object.get(field).and_then(Value::as_object).into_iter().flatten();
    let plain = map("data").filter_map(|(key, value)| {
        let text = value.as_str()?;
        Some((key.clone(), if secret { decode(text) } else { text.as_bytes().to_vec() }))
    });
    let binary = map("binaryData").filter_map(|(key, value)| Some((key.clone(), decode(value.as_str()?))));
    plain.chain(binary).collect()
}

/// `$(NAME)` is replaced if NAME is known, `$$` is a dollar sign.
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let reference = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = match (after.strip_prefix('$'), reference) {
            (Some(after), _) => {
                out.push('$');
                after
            }
            (None, Some((name, after))) if env.contains_key(name) => {
                out.push_str(env.get(name).map_or("", String::as_str));
                after
            }
            _ => {
                out.push('$');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::expand;

    #[test]
    fn references_are_replaced_only_where_they_are_known() {
        let env = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, expected) in
            [("x$(A)y", "x1y"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("a$", "a$"), ("$(A", "$(A"), ("$(A)$(A)", "11")]
        {
            assert_eq!(expand(text, &env), expected, "{text}");
        }
    }
}
