//! Discovery: which groups, versions and resources there are.

use serde_json::{Value, json};

use super::object::as_map;
use super::registry::Registry;
use super::resource::ResourceInfo;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// `GET /version`. The version is that of the API types that are served.
pub fn version() -> Value {
    json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0+pgherd.local", "gitCommit": "", "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64"})
}

/// `GET /api`.
pub fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `GET /apis`.
pub fn groups(registry: &Registry) -> Value {
    let groups: Vec<Value> =
        registry.groups().into_iter().map(|(name, versions)| group_entry(&name, &versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `GET /apis/GROUP`.
pub fn group(registry: &Registry, name: &str) -> Option<Value> {
    let groups = registry.groups();
    let mut entry = group_entry(name, groups.get(name)?);
    let map = as_map(&mut entry);
    map.insert("kind".into(), "APIGroup".into());
    map.insert("apiVersion".into(), "v1".into());
    Some(entry)
}

fn group_entry(name: &str, versions: &[String]) -> Value {
    let all: Vec<Value> =
        versions.iter().map(|v| json!({"groupVersion": format!("{name}/{v}"), "version": v})).collect();
    json!({"name": name, "versions": all, "preferredVersion": all.first()})
}

/// `GET /api/v1` and `GET /apis/GROUP/VERSION`.
pub fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut all: Vec<Value> = registry
        .all()
        .filter(|info| info.gr.group == group && info.version == version)
        .flat_map(|info| entries(info))
        .collect();
    all.extend(reviews(group, version));
    if all.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": all}))
}

fn entries(info: &ResourceInfo) -> Vec<Value> {
    let plural = &info.gr.plural;
    let mut all = vec![json!({
        "name": plural, "singularName": info.singular, "namespaced": info.namespaced, "kind": info.kind,
        "verbs": VERBS, "shortNames": info.short_names, "categories": info.categories,
    })];
    let mut sub = |name: &str, kind: &str, verbs: &[&str]| {
        let name = format!("{plural}/{name}");
        all.push(
            json!({"name": name, "singularName": "", "namespaced": info.namespaced, "kind": kind, "verbs": verbs}),
        );
    };
    if info.has_status {
        sub("status", &info.kind, &["get", "patch", "update"]);
    }
    for (name, kind) in info.subresources() {
        sub(name, kind, if *name == "log" { &["get"] } else { &["create"] });
    }
    if info.scale.is_some() {
        sub("scale", "Scale", &["get", "patch", "update"]);
        if let Some(scale) = all.last_mut() {
            as_map(scale).insert("group".into(), "autoscaling".into());
            as_map(scale).insert("version".into(), "v1".into());
        }
    }
    all
}

/// Reviews: created, answered and never stored.
fn reviews(group: &str, version: &str) -> Vec<Value> {
    let kinds: &[(&str, &str)] = match (group, version) {
        ("authentication.k8s.io", "v1") => {
            &[("selfsubjectreviews", "SelfSubjectReview"), ("tokenreviews", "TokenReview")]
        }
        ("authorization.k8s.io", "v1") => &[
            ("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            ("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
            ("subjectaccessreviews", "SubjectAccessReview"),
        ],
        _ => &[],
    };
    kinds
        .iter()
        .map(|(name, kind)| {
            let singular = kind.to_lowercase();
            json!({"name": name, "singularName": singular, "namespaced": false, "kind": kind, "verbs": ["create"]})
        })
        .collect()
}
