//! RBAC, where it is enforced: what the stored roles and bindings allow, and that nobody gives more than he has.
//!
//! As the real server does it: rules only add up, members of `system:masters` may do everything, and a role that is
//! written or bound may hold nothing that its writer does not have in that namespace.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::resource::GroupResource;
use super::store::Store;
use super::token::Identity;

const GROUP: &str = "rbac.authorization.k8s.io";

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// `get`, `list`, `watch`, `create`, ...
    pub verb: &'a str,
    /// The API group.
    pub group: &'a str,
    /// `pods`, `pods/status`.
    pub resource: &'a str,
    /// Empty for all.
    pub name: &'a str,
}

/// Whether `who` may do it in `namespace`, empty for the whole cluster.
pub fn allowed(store: &Store, who: &Identity, namespace: &str, asked: &Asked<'_>) -> bool {
    is_master(who) || rules_of(store, who, namespace).iter().any(|rule| allows(rule, asked))
}

/// What is in a role, or in the role of a binding, that `who` is about to write and does not have. `object` may be a
/// patch: of what it does not change, its writer need not be asked.
pub fn excess(store: &Store, who: &Identity, plural: &str, namespace: &str, object: &Value) -> Vec<String> {
    if is_master(who) {
        return Vec::new();
    }
    let wanted: Vec<PolicyRule> = match plural {
        "roles" | "clusterroles" => part(object, "rules").unwrap_or_default(),
        _ => part(object, "roleRef").map(|role| referred(store, namespace, &role)).unwrap_or_default(),
    };
    let own = rules_of(store, who, namespace);
    let lacks = |asked: &Asked<'_>| !own.iter().any(|rule| allows(rule, asked));
    wanted.iter().flat_map(asked_by).filter(lacks).map(|asked| format!("{asked:?}")).collect()
}

fn is_master(who: &Identity) -> bool {
    who.groups.iter().any(|group| group == "system:masters")
}

fn part<T: DeserializeOwned>(object: &Value, field: &str) -> Option<T> {
    serde_json::from_value(object.get(field)?.clone()).ok()
}

/// Everything that `who` has in a namespace.
fn rules_of(store: &Store, who: &Identity, namespace: &str) -> Vec<PolicyRule> {
    let everywhere = objects::<ClusterRoleBinding>(store, "clusterrolebindings", "").into_iter();
    let mut roles: Vec<RoleRef> = everywhere
        .filter(|binding| is_bound(binding.subjects.as_deref(), who, ""))
        .map(|binding| binding.role_ref)
        .collect();
    if !namespace.is_empty() {
        let here = objects::<RoleBinding>(store, "rolebindings", namespace).into_iter();
        roles.extend(
            here.filter(|binding| is_bound(binding.subjects.as_deref(), who, namespace))
                .map(|binding| binding.role_ref),
        );
    }
    roles.iter().flat_map(|role| referred(store, namespace, role)).collect()
}

fn objects<T: DeserializeOwned>(store: &Store, plural: &str, namespace: &str) -> Vec<T> {
    let scope = (!namespace.is_empty()).then_some(namespace);
    let listed = store.list(GroupResource::new(GROUP, plural), scope, "");
    let items = listed.map(|listed| listed.items).unwrap_or_default();
    items.iter().filter_map(|object| serde_json::from_value((**object).clone()).ok()).collect()
}

fn is_bound(subjects: Option<&[Subject]>, who: &Identity, namespace: &str) -> bool {
    subjects.unwrap_or_default().iter().any(|subject| match subject.kind.as_str() {
        "ServiceAccount" => {
            let of = subject.namespace.as_deref().unwrap_or(namespace);
            who.user == format!("system:serviceaccount:{of}:{}", subject.name)
        }
        "Group" => who.groups.contains(&subject.name),
        _ => who.user == subject.name,
    })
}

fn referred(store: &Store, namespace: &str, role: &RoleRef) -> Vec<PolicyRule> {
    let read = |plural: &str, namespace: &str| store.get(GroupResource::new(GROUP, plural), namespace, &role.name).ok();
    let rules = if role.kind == "Role" {
        read("roles", namespace).and_then(|object| Some(serde_json::from_value::<Role>((*object).clone()).ok()?.rules))
    } else {
        read("clusterroles", "")
            .and_then(|object| Some(serde_json::from_value::<ClusterRole>((*object).clone()).ok()?.rules))
    };
    rules.flatten().unwrap_or_default()
}

fn allows(rule: &PolicyRule, asked: &Asked<'_>) -> bool {
    let has = |list: Option<&Vec<String>>, wanted: &str| {
        list.is_some_and(|list| list.iter().any(|one| one == "*" || one == wanted))
    };
    let any_of = asked.resource.split_once('/').map(|(_, sub)| format!("*/{sub}")).unwrap_or_default();
    has(Some(&rule.verbs), asked.verb)
        && has(rule.api_groups.as_ref(), asked.group)
        && (has(rule.resources.as_ref(), asked.resource) || has(rule.resources.as_ref(), &any_of))
        && rule.resource_names.as_ref().is_none_or(|names| {
            names.is_empty() || (!asked.name.is_empty() && names.iter().any(|name| name == asked.name))
        })
}

/// Every single thing that a rule allows.
fn asked_by(rule: &PolicyRule) -> impl Iterator<Item = Asked<'_>> {
    let names: Vec<&str> = match rule.resource_names.as_deref().filter(|names| !names.is_empty()) {
        Some(names) => names.iter().map(String::as_str).collect(),
        None => vec![""],
    };
    let (groups, resources) = (rule.api_groups.iter().flatten(), rule.resources.iter().flatten());
    let pairs = groups.flat_map(move |group| resources.clone().map(move |resource| (group, resource)));
    pairs.flat_map(move |(group, resource)| {
        let names = names.clone();
        rule.verbs
            .iter()
            .flat_map(move |verb| names.clone().into_iter().map(move |name| Asked { verb, group, resource, name }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(groups: &[&str], resources: &[&str], names: &[&str], verbs: &[&str]) -> PolicyRule {
        serde_json::from_value(
            json!({ "apiGroups": groups, "resources": resources, "resourceNames": names, "verbs": verbs }),
        )
        .unwrap()
    }

    #[test]
    fn a_rule_allows_what_it_names_and_a_name_is_not_all_names() {
        let ask = |verb, resource, name| Asked { verb, group: "", resource, name };
        let one = rule(&[""], &["secrets"], &["a"], &["get", "watch"]);
        assert!(allows(&one, &ask("get", "secrets", "a")));
        for other in [ask("get", "secrets", "b"), ask("list", "secrets", "a"), ask("watch", "secrets", "")] {
            assert!(!allows(&one, &other), "{other:?}");
        }
        let all = rule(&["*"], &["*/status"], &[], &["*"]);
        assert!(allows(&all, &ask("patch", "pods/status", "p")) && !allows(&all, &ask("patch", "pods", "p")));
    }

    #[test]
    fn a_rule_is_taken_apart_into_each_thing_that_it_allows() {
        let two = rule(&[""], &["pods", "events"], &["a", "b"], &["get", "list"]);
        assert_eq!(asked_by(&two).count(), 8);
        let all = rule(&[""], &["pods"], &[], &["get"]);
        assert_eq!(asked_by(&all).collect::<Vec<_>>(), [Asked { verb: "get", group: "", resource: "pods", name: "" }]);
    }
}
