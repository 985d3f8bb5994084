//! The shape of what a cluster has once: rights, budgets, the monitor, affinity; and whose all of it is.

use super::tests::{cluster, run_for, with_status, with_target};
use super::{objects, pod_spec};
use crate::apply::{Blueprint, Step};
use jiff::Timestamp;
use pgherd_core::cluster::{DriftFact, ObjectKind, SecretKind, ServiceKind};
use pgherd_pki::{Authority, Usage};
use pgherd_proto::cluster::Cluster;
use pgherd_testkit::scenario::Scenario;
use serde_json::{Value, json};

/// The example's Cluster, as stored.
fn example() -> Cluster {
    let mut cluster: Cluster = serde_yaml_ng::from_str(include_str!("../../../docs/examples/cluster.yaml")).unwrap();
    cluster.metadata.uid = Some("cu".into());
    cluster
}

fn of(instances: i32) -> Cluster {
    let mut cluster = cluster();
    cluster.spec.instances = instances;
    cluster
}

#[tokio::test]
async fn a_budget_keeps_the_primary_and_all_standbys_but_one() {
    let spec = |instances: i32, kind: ObjectKind| {
        with_target(&of(instances), |target| json!(objects::budget(target, kind)))["spec"].clone()
    };
    assert_eq!(
        spec(3, ObjectKind::PrimaryBudget),
        json!({ "minAvailable": 1,
            "selector": { "matchLabels": { "cnpg.io/cluster": "c", "cnpg.io/instanceRole": "primary" } } })
    );
    for (instances, available) in [(3, 1), (4, 2), (5, 3)] {
        assert_eq!(
            spec(instances, ObjectKind::ReplicaBudget),
            json!({ "minAvailable": available,
                "selector": { "matchLabels": { "cnpg.io/cluster": "c", "cnpg.io/instanceRole": "replica" } } })
        );
    }
    let name = |kind| with_target(&of(3), |target| objects::budget(target, kind).metadata.name);
    assert_eq!(name(ObjectKind::PrimaryBudget).as_deref(), Some("c-primary"));
    assert_eq!(name(ObjectKind::ReplicaBudget).as_deref(), Some("c"));
}

#[tokio::test]
async fn the_pod_monitor_finds_the_metrics_of_every_instance() {
    let monitor = with_target(&cluster(), |target| json!(objects::pod_monitor(target)));
    assert_eq!((&monitor["apiVersion"], &monitor["kind"]), (&json!("monitoring.coreos.com/v1"), &json!("PodMonitor")));
    assert_eq!(monitor["metadata"]["name"], "c");
    assert_eq!(
        monitor["spec"],
        json!({ "selector": { "matchLabels": { "cnpg.io/cluster": "c", "cnpg.io/podRole": "instance" } },
            "podMetricsEndpoints": [{ "port": "metrics" }] })
    );
    let pod = with_target(&cluster(), |target| json!(super::pods::build(target, 1)));
    let ports = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
    assert!(ports.iter().any(|port| port["name"] == "metrics" && port["containerPort"] == 9187), "{ports:?}");
}

/// Every rule is there on purpose: a change of this table is a change of what a broken-into pod can do.
#[tokio::test]
async fn a_manager_may_do_what_it_needs_in_its_namespace_and_no_more() {
    let role = with_target(&example(), |target| json!(objects::role(target)));
    let name = "phoenix-guardian-db";
    let own = json!([name]);
    let secrets: Vec<String> = ["server", "replication", "instance-tls", "app"].map(|s| format!("{name}-{s}")).into();
    let instances: Vec<String> = (1..=16).map(|serial| format!("{name}-{serial}")).collect();
    let secrets: Vec<String> = secrets.into_iter().chain(["aws-creds".to_owned()]).collect();
    let rule = |group: &str, resource: &str, names: Value, verbs: &[&str]| {
        let mut rule = json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
        if !names.is_null() {
            rule["resourceNames"] = names;
        }
        rule
    };
    let group = "postgresql.cnpg.io";
    assert_eq!(
        role["rules"],
        json!([
            rule(group, "clusters", own.clone(), &["get", "list", "watch"]),
            rule(group, "clusters/status", own.clone(), &["update", "patch"]),
            rule(group, "backups", Value::Null, &["get", "list", "watch", "delete"]),
            rule(group, "backups/status", Value::Null, &["patch"]),
            rule(group, "failoverquorums/status", own.clone(), &["patch"]),
            rule("coordination.k8s.io", "leases", own, &["get", "list", "watch", "update"]),
            rule("coordination.k8s.io", "leases", Value::Null, &["create"]),
            rule("", "pods", Value::Null, &["get", "list", "watch"]),
            rule("", "pods", json!(instances), &["patch"]),
            rule("", "secrets", json!(secrets), &["get"]),
            rule("", "events", Value::Null, &["create"]),
        ])
    );
    let binding = with_target(&example(), |target| json!(objects::binding(target)));
    assert_eq!(binding["roleRef"], json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name }));
    let account = json!([{ "kind": "ServiceAccount", "name": name, "namespace": "phoenix-guardian" }]);
    assert_eq!(binding["subjects"], account);
}

#[tokio::test]
async fn drifted_rights_are_changed_over_the_version_that_was_looked_at_and_a_binding_elsewhere_is_made_anew() {
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/ns";
    let (role, binding) = (format!("{rbac}/roles/c"), format!("{rbac}/rolebindings/c"));
    let version = json!({ "metadata": { "resourceVersion": "9" } });
    let account = json!({ "subjects": [{ "kind": "ServiceAccount", "name": "c", "namespace": "ns" }] });
    let step = |kind, anew| Step::Update(DriftFact { kind, version: "9".into(), anew });
    let scenario = Scenario::new().patch(&role, version).patch(&binding, account);
    let steps = vec![step(ObjectKind::Role, false), step(ObjectKind::RoleBinding, false)];
    Box::pin(run_for(cluster(), with_status(scenario), steps)).await.unwrap();
    let scenario = Scenario::new()
        .delete(&binding, json!({ "preconditions": { "resourceVersion": "9" } }))
        .create(&format!("{rbac}/rolebindings"), json!({ "roleRef": { "kind": "Role", "name": "c" } }));
    Box::pin(run_for(cluster(), with_status(scenario), vec![step(ObjectKind::RoleBinding, true)])).await.unwrap();
}

#[tokio::test]
async fn an_account_is_made_with_what_its_template_says_and_given_it_later_without_touching_anything_else() {
    let accounts = "/api/v1/namespaces/ns/serviceaccounts";
    let mut stored = cluster();
    let (label, role) = (json!({ "team": "shop" }), json!({ "eks.amazonaws.com/role-arn": "a" }));
    let template = json!({ "metadata": { "labels": label, "annotations": role } });
    stored.spec.service_account_template = serde_json::from_value(template).unwrap();
    stored.spec.inherited_metadata = serde_json::from_value(json!({ "labels": { "team": "all", "x": "y" } })).unwrap();
    let made = json!({ "metadata": { "annotations": role,
        "labels": { "team": "shop", "x": "y", "cnpg.io/cluster": "c" } }, "automountServiceAccountToken": false });
    let scenario = Scenario::new().create(accounts, made);
    let create = Step::Create(ObjectKind::ServiceAccount);
    Box::pin(run_for(stored.clone(), with_status(scenario), vec![create])).await.unwrap();

    let given = json!({ "metadata": { "resourceVersion": "9", "labels": label, "annotations": role } });
    let scenario = Scenario::new().patch(&format!("{accounts}/c"), given);
    let drift = DriftFact { kind: ObjectKind::ServiceAccount, version: "9".into(), anew: false };
    Box::pin(run_for(stored, with_status(scenario), vec![Step::Update(drift)])).await.unwrap();
}

#[tokio::test]
async fn instances_are_kept_apart_as_the_affinity_says() {
    let affinity = |affinity: Value| {
        let mut stored = cluster();
        stored.spec.affinity = serde_json::from_value(affinity).unwrap();
        with_target(&stored, |target| {
            let blueprint = Blueprint { spec: target.spec, desired: target.desired, config: target.config };
            json!(pod_spec(blueprint, 1))["affinity"].clone()
        })
    };
    let labels = json!({ "matchLabels": { "cnpg.io/cluster": "c", "cnpg.io/podRole": "instance" } });
    let host = json!({ "labelSelector": labels, "topologyKey": "kubernetes.io/hostname" });
    let zone = json!({ "labelSelector": labels, "topologyKey": "topology.kubernetes.io/zone" });
    let (required, preferred) =
        ("requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution");
    assert_eq!(
        affinity(json!({ "podAntiAffinityType": "required", "topologyKey": "topology.kubernetes.io/zone" })),
        json!({ "podAntiAffinity": { required: [zone] } })
    );
    assert_eq!(
        affinity(json!({ "podAntiAffinityType": "preferred" })),
        json!({ "podAntiAffinity": { preferred: [{ "weight": 100, "podAffinityTerm": host }] } })
    );
    assert_eq!(affinity(json!({ "enablePodAntiAffinity": false })), Value::Null);
}

#[tokio::test]
async fn every_object_of_a_cluster_names_it_as_its_owner_and_goes_with_it() {
    let core = "/api/v1/namespaces/ns/";
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/";
    let policy = "/apis/policy/v1/namespaces/ns/";
    let monitoring = "/apis/monitoring.coreos.com/v1/namespaces/ns/";
    let object = |kind: ObjectKind| Step::Create(kind);
    let secret = |kind: SecretKind| object(ObjectKind::Secret(kind));
    let service = |kind: ServiceKind| object(ObjectKind::Service(kind));
    let mut scenario = Scenario::new();
    let mut steps = Vec::new();
    let stored = StoredCertificates::new();
    for (step, path, name) in [
        (secret(SecretKind::Ca), format!("{core}secrets"), "c-ca"),
        (secret(SecretKind::Server), format!("{core}secrets"), "c-server"),
        (secret(SecretKind::Replication), format!("{core}secrets"), "c-replication"),
        (secret(SecretKind::Instances), format!("{core}secrets"), "c-instance-tls"),
        (secret(SecretKind::App), format!("{core}secrets"), "c-app"),
        (secret(SecretKind::Superuser), format!("{core}secrets"), "c-superuser"),
        (service(ServiceKind::Rw), format!("{core}services"), "c-rw"),
        (service(ServiceKind::Ro), format!("{core}services"), "c-ro"),
        (service(ServiceKind::R), format!("{core}services"), "c-r"),
        (object(ObjectKind::ServiceAccount), format!("{core}serviceaccounts"), "c"),
        (object(ObjectKind::Role), format!("{rbac}roles"), "c"),
        (object(ObjectKind::RoleBinding), format!("{rbac}rolebindings"), "c"),
        (object(ObjectKind::PrimaryBudget), format!("{policy}poddisruptionbudgets"), "c-primary"),
        (object(ObjectKind::ReplicaBudget), format!("{policy}poddisruptionbudgets"), "c"),
        (object(ObjectKind::PodMonitor), format!("{monitoring}podmonitors"), "c"),
        (Step::CreateLease, "/apis/coordination.k8s.io/v1/namespaces/ns/leases".to_owned(), "c"),
        (Step::CreateVolume { serial: 2 }, format!("{core}persistentvolumeclaims"), "c-2"),
        (Step::CreatePod { serial: 2 }, format!("{core}pods"), "c-2"),
    ] {
        if matches!(step, Step::Create(ObjectKind::Secret(SecretKind::Server | SecretKind::Replication))) {
            // They are signed by the authority as it is stored.
            scenario = scenario.get(&format!("{core}secrets/c-ca"), stored.authority());
        }
        if matches!(step, Step::Create(ObjectKind::Secret(SecretKind::Instances))) {
            scenario = scenario
                .get(&format!("{core}secrets/c-ca"), stored.authority())
                .get(&format!("{core}secrets/c-server"), stored.leaf("c-rw", &Usage::Server { names: Vec::new() }))
                .get(&format!("{core}secrets/c-replication"), stored.leaf("streaming_replica", &Usage::Client))
                .get(&format!("{core}secrets/c-ca"), stored.authority());
        }
        let owner = json!([{ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "c", "uid": "cu",
            "controller": true, "blockOwnerDeletion": true }]);
        let metadata = json!({ "name": name, "namespace": "ns", "labels": { "cnpg.io/cluster": "c" },
            "ownerReferences": owner });
        scenario = scenario.create(&path, json!({ "metadata": metadata }));
        steps.push(step);
    }
    Box::pin(run_for(cluster(), with_status(scenario), steps)).await.unwrap();
}

struct StoredCertificates(Authority);

impl StoredCertificates {
    fn new() -> Self {
        Self(Authority::generate("c", Timestamp::now()).unwrap())
    }

    fn authority(&self) -> Value {
        json!({ "metadata": { "name": "c-ca" },
            "data": { "ca.crt": encoded(self.0.certificate_pem()), "ca.key": encoded(&self.0.key_pem()) } })
    }

    fn leaf(&self, name: &str, usage: &Usage) -> Value {
        let leaf = self.0.sign(name, usage, Timestamp::now()).unwrap();
        json!({ "metadata": { "name": name },
            "data": { "tls.crt": encoded(&leaf.certificate_pem), "tls.key": encoded(&leaf.key_pem) } })
    }
}

fn encoded(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
