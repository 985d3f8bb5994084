//! What a manager may do: as it is wanted, and how far what is stored differs. Rules change with the version of the
//! controller and with the spec, so that what was made once is not what is needed for good.

use crate::caches::{Caches, Key};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::{Resource, ResourceExt};
use pgherd_core::cluster::{Desired, DriftFact, ObjectKind, SecretKind};
use pgherd_proto::backup::BackupStatus;
use pgherd_proto::cluster::{BarmanObjectStore, Cluster, ClusterSpec, S3Credentials, SecretKeySelector, SqlRefs};
use pgherd_proto::names;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The rights of one cluster's managers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rights {
    /// Of the Role.
    pub rules: Vec<PolicyRule>,
    /// Who has them.
    pub subjects: Vec<Subject>,
    /// What joins the two.
    pub role_ref: RoleRef,
}

/// Serials are allowed for in blocks of this many, and as many ahead: a Role is there before the pod that needs it, and
/// seldom changes.
const SERIALS: u32 = 8;

/// What beside the spec says who needs which rights.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The Backup that the first database is recovered from, as far as it is known.
    pub source: Option<BackupStatus>,
    /// The last serial that was given to an instance, as far as it is known.
    pub latest: u32,
    /// The ServiceAccounts of the instances' pods that there are: one that is not wanted any more keeps its rights until
    /// the last of its pods is gone, or a primary could not renew its lease.
    pub accounts: Vec<String>,
}

/// As it is seen now.
#[must_use]
pub fn around(caches: &Caches, cluster: &Cluster, desired: &Desired, spec: &ClusterSpec) -> Around {
    let key = Key { namespace: desired.namespace.clone(), name: desired.name.clone() };
    let account = |pod: &Arc<Pod>| {
        let owned = pod.owner_references().iter().any(|owner| owner.uid == desired.uid.0);
        pod.spec.as_ref()?.service_account_name.clone().filter(|_| owned)
    };
    let accounts = caches.pods.of(&key).iter().filter_map(account).collect();
    Around { source: source(caches, desired, spec), latest: latest(cluster), accounts }
}

/// What a manager needs, of its own cluster and namespace, and no more.
///
/// A watch of one object by its name is one of that name to the API server too; one by label is of the whole
/// namespace, and so is what has no name yet: a tenant is a namespace.
#[must_use]
pub fn wanted(desired: &Desired, spec: &ClusterSpec, around: &Around) -> Rights {
    let name = desired.name.clone();
    let own = [name.clone()];
    let ahead = desired.instances.max(around.latest).saturating_add(SERIALS).next_multiple_of(SERIALS);
    let instances: Vec<String> = (1..=ahead).map(|serial| desired.instance(serial)).collect();
    let mut rules = vec![
        rule(names::API_GROUP, &["clusters"], &own, &["get", "list", "watch"]),
        rule(names::API_GROUP, &["clusters/status"], &own, &["update", "patch"]),
        // Retention removes those whose data it has deleted.
        rule(names::API_GROUP, &["backups"], &[], &["get", "list", "watch", "delete"]),
        rule(names::API_GROUP, &["backups/status"], &[], &["patch"]),
        rule(names::API_GROUP, &["failoverquorums/status"], &own, &["patch"]),
        rule("coordination.k8s.io", &["leases"], &own, &["get", "list", "watch", "update"]),
        rule("coordination.k8s.io", &["leases"], &[], &["create"]),
        rule("", &["pods"], &[], &["get", "list", "watch"]),
        // Each its own; RBAC cannot tell one instance from the other.
        rule("", &["pods"], &instances, &["patch"]),
        rule("", &["secrets"], &secrets(desired, spec, around.source.as_ref()), &["get"]),
        rule("", &["events"], &[], &["create"]),
    ];
    let (_, mut maps) = sql(spec);
    let queries = spec.monitoring.iter().flat_map(|monitoring| &monitoring.custom_queries_config_map);
    maps.extend(queries.map(|map| map.name.clone()));
    maps.sort();
    maps.dedup();
    if !maps.is_empty() {
        rules.push(rule("", &["configmaps"], &maps, &["get"]));
    }
    let subject = |account: &str| Subject {
        kind: "ServiceAccount".to_owned(),
        name: account.to_owned(),
        namespace: Some(desired.namespace.clone()),
        ..Subject::default()
    };
    let former: BTreeSet<&str> = around.accounts.iter().map(String::as_str).collect();
    let former = former.into_iter().filter(|account| *account != desired.account());
    let subjects = core::iter::once(desired.account()).chain(former).map(subject).collect();
    let role_ref = RoleRef { api_group: "rbac.authorization.k8s.io".to_owned(), kind: "Role".to_owned(), name };
    Rights { rules, subjects, role_ref }
}

fn latest(cluster: &Cluster) -> u32 {
    let known = cluster.status.as_ref().and_then(|status| status.latest_generated_node);
    known.and_then(|serial| u32::try_from(serial).ok()).unwrap_or(0)
}

/// How the stored Role differs from what is wanted, if it is `owner`'s: another's is nobody's to change.
#[must_use]
pub fn role_drift(stored: &Role, wanted: &Rights, owner: &str) -> Option<DriftFact> {
    let differs = stored.rules.as_deref().unwrap_or_default() != wanted.rules;
    drift(ObjectKind::Role, stored, differs, false, owner)
}

/// The same of the RoleBinding, which cannot be made to refer to another Role.
#[must_use]
pub fn binding_drift(stored: &RoleBinding, wanted: &Rights, owner: &str) -> Option<DriftFact> {
    let anew = stored.role_ref != wanted.role_ref;
    let differs = anew || !same_subjects(stored.subjects.as_deref().unwrap_or_default(), &wanted.subjects);
    drift(ObjectKind::RoleBinding, stored, differs, anew, owner)
}

/// That of an object which differs, and is `owner`'s.
pub(crate) fn drift<K: Resource>(
    kind: ObjectKind,
    stored: &K,
    differs: bool,
    anew: bool,
    owner: &str,
) -> Option<DriftFact> {
    let owned = stored.owner_references().iter().any(|reference| reference.uid == owner);
    if differs && !owned {
        tracing::warn!(%kind, name = %stored.name_any(), "it is not the cluster's own, and lacks what its managers need");
    }
    let version = stored.resource_version().unwrap_or_default();
    (differs && owned).then_some(DriftFact { kind, version, anew })
}

/// An API server may say which API group a service account is of, which is the default.
fn same_subjects(stored: &[Subject], wanted: &[Subject]) -> bool {
    let plain = |subject: &Subject| (subject.kind.clone(), subject.name.clone(), subject.namespace.clone());
    stored.iter().map(plain).eq(wanted.iter().map(plain))
}

fn rule(group: &str, resources: &[&str], objects: &[String], verbs: &[&str]) -> PolicyRule {
    let all = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(all(resources)),
        resource_names: (!objects.is_empty()).then(|| objects.to_vec()),
        verbs: all(verbs),
        ..PolicyRule::default()
    }
}

fn source(caches: &Caches, desired: &Desired, spec: &ClusterSpec) -> Option<BackupStatus> {
    let name = &spec.recovery()?.backup.as_ref()?.name;
    caches.backups.get(&desired.namespace, name)?.status.clone()
}

fn secrets(desired: &Desired, spec: &ClusterSpec, source: Option<&BackupStatus>) -> Vec<String> {
    // Not the authority's, which has its key; and what the user brings is in the one that the instances use.
    let own = SecretKind::ALL.iter().filter(|kind| match kind {
        SecretKind::Ca => false,
        SecretKind::Superuser => spec.enable_superuser_access && spec.superuser_secret.is_none(),
        kind => !desired.brought.contains(kind),
    });
    let mut secrets: Vec<String> = own.map(|kind| kind.name(&desired.name)).collect();
    secrets.extend(desired.owner_secret.clone());
    secrets.extend(spec.superuser_secret.iter().map(|secret| secret.name.clone()));
    let roles = spec.managed.iter().flat_map(|managed| &managed.roles);
    let mut of_roles: Vec<String> =
        roles.filter_map(|role| Some(role.password_secret.as_ref()?.name.clone())).collect();
    of_roles.sort();
    of_roles.dedup();
    secrets.extend(of_roles);
    let ldap = spec.postgresql.as_ref().and_then(|postgresql| postgresql.ldap.as_ref());
    let search = ldap.and_then(|ldap| ldap.bind_search_auth.as_ref()?.bind_password.as_ref());
    secrets.extend(search.map(|key| key.name.clone()));
    secrets.extend(store_secrets(spec, source));
    secrets.extend(sql(spec).0);
    let queries = spec.monitoring.iter().flat_map(|monitoring| &monitoring.custom_queries_secret);
    let queries: BTreeSet<String> = queries.map(|key| key.name.clone()).collect();
    secrets.extend(queries);
    secrets
}

/// The Secrets and ConfigMaps that SQL of the bootstrap is in.
fn sql(spec: &ClusterSpec) -> (Vec<String>, Vec<String>) {
    let initdb = spec.initdb();
    let all = [initdb.post_init_sql_refs, initdb.post_init_template_sql_refs, initdb.post_init_application_sql_refs];
    let refs: Vec<SqlRefs> = all.into_iter().flatten().collect();
    let mut secrets: Vec<String> = refs.iter().flat_map(|refs| &refs.secret_refs).map(|key| key.name.clone()).collect();
    let mut maps: Vec<String> =
        refs.iter().flat_map(|refs| &refs.config_map_refs).map(|key| key.name.clone()).collect();
    for names in [&mut secrets, &mut maps] {
        names.sort();
        names.dedup();
    }
    (secrets, maps)
}

/// The secrets that the credentials of object stores are in: its own archive, and those it may be recovered from.
fn store_secrets(spec: &ClusterSpec, source: Option<&BackupStatus>) -> Vec<String> {
    let own = spec.object_store();
    let others = spec.external_clusters.iter().filter_map(|external| external.barman_object_store.as_ref());
    let of_store = |store: &BarmanObjectStore| named_in(store.s3_credentials.as_ref(), store.endpoint_ca.as_ref());
    let mut found: Vec<String> = own.into_iter().chain(others).flat_map(of_store).collect();
    let asked = spec.recovery().and_then(|recovery| recovery.backup.as_ref());
    found.extend(asked.into_iter().flat_map(|backup| named_in(None, backup.endpoint_ca.as_ref())));
    let of_backup = |status: &BackupStatus| named_in(status.s3_credentials.as_ref(), status.endpoint_ca.as_ref());
    found.extend(source.into_iter().flat_map(of_backup));
    found.sort();
    found.dedup();
    found
}

fn named_in(credentials: Option<&S3Credentials>, authority: Option<&SecretKeySelector>) -> Vec<String> {
    let keys = credentials.into_iter().flat_map(|credentials| {
        [&credentials.access_key_id, &credentials.secret_access_key, &credentials.region, &credentials.session_token]
    });
    keys.flatten().chain(authority).map(|key| key.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rights() -> Rights {
        let desired = Desired { name: "c".into(), namespace: "ns".into(), ..Desired::default() };
        wanted(&desired, &ClusterSpec::default(), &Around::default())
    }

    fn metadata(owner: &str) -> Value {
        let owner = json!({ "apiVersion": "v1", "kind": "Cluster", "name": "c", "uid": owner });
        json!({ "name": "c", "resourceVersion": "9", "ownerReferences": [owner] })
    }

    fn role(rules: &[PolicyRule], owner: &str) -> Role {
        serde_json::from_value(json!({ "metadata": metadata(owner), "rules": rules })).unwrap()
    }

    #[test]
    fn a_role_that_lacks_a_rule_or_has_one_more_has_drifted_if_it_is_the_clusters_own() {
        let rights = rights();
        assert_eq!(role_drift(&role(&rights.rules, "cu"), &rights, "cu"), None);
        let drifted = Some(DriftFact { kind: ObjectKind::Role, version: "9".into(), anew: false });
        assert_eq!(role_drift(&role(&rights.rules[1..], "cu"), &rights, "cu"), drifted);
        let more: Vec<PolicyRule> = rights.rules.iter().chain(&rights.rules[..1]).cloned().collect();
        assert_eq!(role_drift(&role(&more, "cu"), &rights, "cu"), drifted);
        assert_eq!(role_drift(&role(&more, "of-another"), &rights, "cu"), None);
    }

    #[test]
    fn a_binding_to_another_account_is_changed_and_one_to_another_role_is_made_anew() {
        let rights = rights();
        let binding = |account: &str, role: &str| -> RoleBinding {
            let role_ref = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role });
            let subject = json!({ "kind": "ServiceAccount", "apiGroup": "", "name": account, "namespace": "ns" });
            let object = json!({ "metadata": metadata("cu"), "roleRef": role_ref, "subjects": [subject] });
            serde_json::from_value(object).unwrap()
        };
        let anew = |account, role| binding_drift(&binding(account, role), &rights, "cu").map(|drift| drift.anew);
        assert_eq!((anew("c", "c"), anew("d", "c"), anew("c", "d")), (None, Some(false), Some(true)));
    }

    #[test]
    fn pods_that_may_be_changed_are_instances_and_there_is_a_name_ahead_of_each_new_one() {
        let desired = Desired { name: "c".into(), instances: 3, ..Desired::default() };
        let names = |latest| {
            let around = Around { latest, ..Around::default() };
            let rules = wanted(&desired, &ClusterSpec::default(), &around).rules;
            let patched =
                rules.into_iter().find(|rule| rule.verbs == ["patch"] && rule.resources == Some(vec!["pods".into()]));
            patched.unwrap().resource_names.unwrap()
        };
        assert_eq!((names(0).len(), names(8).len(), names(9).len()), (16, 16, 24));
        assert!(names(9).iter().all(|name| name.starts_with("c-")) && names(9).contains(&"c-10".to_owned()));
    }

    #[test]
    fn a_secret_that_the_spec_names_is_one_that_a_manager_may_read() {
        let spec: ClusterSpec = serde_json::from_value(json!({ "superuserSecret": { "name": "admin" } })).unwrap();
        let desired = Desired { name: "c".into(), ..Desired::default() };
        assert!(secrets(&desired, &spec, None).contains(&"admin".to_owned()));
        let rules = |spec: &ClusterSpec| wanted(&desired, spec, &Around::default()).rules;
        assert_ne!(rules(&spec), rules(&ClusterSpec::default()));
        let named = json!([{ "name": "queries", "key": "shop" }]);
        let asked = json!({ "monitoring": { "customQueriesConfigMap": named, "customQueriesSecret": named } });
        let spec: ClusterSpec = serde_json::from_value(asked).unwrap();
        assert!(secrets(&desired, &spec, None).contains(&"queries".to_owned()));
        let maps = rules(&spec).into_iter().find(|rule| rule.resources == Some(vec!["configmaps".into()]));
        assert_eq!(maps.unwrap().resource_names, Some(vec!["queries".to_owned()]));
        let search = json!({ "bindPassword": { "name": "of-ldap", "key": "password" } });
        let ldap = json!({ "postgresql": { "ldap": { "server": "l", "bindSearchAuth": search } } });
        let spec: ClusterSpec = serde_json::from_value(ldap).unwrap();
        assert!(secrets(&desired, &spec, None).contains(&"of-ldap".to_owned()));
    }

    #[test]
    fn the_users_account_has_the_rights_and_a_former_one_has_them_while_there_is_a_pod_of_it() {
        let account = Some("shared".to_owned());
        let desired = Desired { name: "c".into(), service_account: account, ..Desired::default() };
        let bound = |pods: &[&str]| -> Vec<String> {
            let accounts = pods.iter().map(|account| (*account).to_owned()).collect();
            let rights = wanted(&desired, &ClusterSpec::default(), &Around { accounts, ..Around::default() });
            rights.subjects.into_iter().map(|subject| subject.name).collect()
        };
        assert_eq!(bound(&["c", "c", "shared"]), ["shared", "c"]);
        assert_eq!((bound(&["shared"]), bound(&[])), (vec!["shared".to_owned()], vec!["shared".to_owned()]));
    }
}
