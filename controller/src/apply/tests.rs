//! Plans against an API server that knows its script.

use super::*;
use crate::observe::facts;
use crate::watched::Watched;
use pgherd_core::cluster::{ElectionFact, Role};
use pgherd_core::lease::{Term, WalPosition};
use pgherd_core::lsn::Lsn;
use pgherd_core::plan::{Report, StatusUpdate};
use pgherd_core::timeline::TimelineId;
use pgherd_proto::cluster::ClusterSpec;
use pgherd_testkit::scenario::{Scenario, refusal};
use serde_json::json;

const CLUSTER: &str = "/apis/postgresql.cnpg.io/v1/namespaces/ns/clusters/c";

pub(super) fn cluster() -> Cluster {
    serde_json::from_value(json!({
        "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
        "metadata": { "name": "c", "namespace": "ns", "uid": "cu", "resourceVersion": "5", "generation": 1 },
        "spec": { "instances": 3, "storage": { "size": "1Gi", "storageClass": "fast" },
                  "env": [{ "name": "POD_NAME", "value": "evil" }, { "name": "TZ", "value": "UTC" }],
                  "resources": { "limits": { "cpu": "4" } } }
    }))
    .unwrap()
}

pub(super) fn caches() -> Caches {
    Caches {
        clusters: Watched::default(),
        pods: Watched::default(),
        drills: Watched::default(),
        claims: Watched::default(),
        services: Watched::default(),
        secrets: Watched::default(),
        schedules: Watched::default(),
        backups: Watched::default(),
        lacked: crate::observe::Lacked::default(),
        nodes: crate::nodes::Nodes::of([]),
        listed: tokio::sync::watch::channel(true).1,
    }
}

/// Applies `steps` against `scenario`.
async fn run(scenario: Scenario, steps: Vec<Step>) -> Result<(), ApplyError> {
    Box::pin(run_for(cluster(), scenario, steps)).await
}

/// The same for a cluster of one's own.
pub(super) async fn run_for(cluster: Cluster, scenario: Scenario, steps: Vec<Step>) -> Result<(), ApplyError> {
    let (client, script) = scenario.client();
    let caches = caches();
    let config = Config { manager_image: "m:1".into(), status_port: 1, ..Config::default() };
    let spec: &ClusterSpec = &cluster.spec;
    let desired = crate::desired::desired(&cluster, spec);
    let observed = Observed { status: facts(&cluster), ..Observed::default() };
    let (client, caches, config, desired, observed) = (&client, &caches, &config, &desired, &observed);
    let target = Target { client, caches, config, cluster: &cluster, ignored: &[], spec, desired, observed };
    let plan = Plan { steps, status: StatusUpdate::default(), report: Report::default(), again: None };
    let result = apply(&target, &plan, &mut Remembered::default(), Instant(0)).await;
    script.finish();
    result
}

/// Lets `look` see a target for `cluster`.
pub(super) fn with_target<T>(cluster: &Cluster, look: impl FnOnce(&Target<'_>) -> T) -> T {
    let (client, _script) = Scenario::new().client();
    let (caches, config) = (caches(), Config { manager_image: "m:1".into(), status_port: 1, ..Config::default() });
    let (desired, observed) = (crate::desired::desired(cluster, &cluster.spec), Observed::default());
    look(&Target {
        client: &client,
        caches: &caches,
        config: &config,
        cluster,
        ignored: &[],
        spec: &cluster.spec,
        desired: &desired,
        observed: &observed,
    })
}

/// The status that every plan ends with.
pub(super) fn with_status(scenario: Scenario) -> Scenario {
    let body = json!({ "status": { "phase": "Setting up primary" } });
    let answer = json!({ "metadata": { "name": "c" }, "spec": {} });
    scenario.call("PATCH", &format!("{CLUSTER}/status"), Some(body), 200, answer)
}

fn election() -> Step {
    Step::WriteElection(Box::new(ElectionFact {
        winner: "c-2".into(),
        winner_pod_uid: "u2".into(),
        lease_version: "77".into(),
        holder_nonce: "n1".into(),
        term: Term(4),
        reason: "because".into(),
        evidence: WalPosition { timeline: TimelineId(1), lsn: Lsn(0x300_0148) },
        tail: None,
        winner_incarnation: None,
        answered: Vec::new(),
        accepted_loss: None,
    }))
}

#[tokio::test]
async fn an_election_is_written_over_the_status_that_was_looked_at_and_an_old_tail_goes() {
    let body = json!({
        "metadata": { "resourceVersion": "5" },
        "status": { "targetPrimary": "c-2", "electionRefusal": null, "election": {
            "winner": "c-2", "winnerPodUID": "u2", "leaseVersion": "77", "holderNonce": "n1", "term": 4,
            "evidence": { "timeline": 1, "lsn": "0/3000148" }, "tail": null } }
    });
    let answer = json!({ "metadata": { "name": "c" }, "spec": {} });
    let scenario = Scenario::new().call("PATCH", &format!("{CLUSTER}/status"), Some(body), 200, answer);
    run(with_status(scenario), vec![election()]).await.unwrap();
}

#[tokio::test]
async fn an_election_that_lost_a_race_is_not_announced() {
    let scenario = Scenario::new().call("PATCH", &format!("{CLUSTER}/status"), None, 409, refusal(409, "Conflict"));
    let role = Step::SetRole { pod: "c-1".into(), uid: "u1".into(), role: Role::Unhealthy };
    let error = run(scenario, vec![election(), role]).await.unwrap_err();
    assert!(error.is_conflict());
}

#[tokio::test]
async fn an_object_that_somebody_else_created_is_as_good() {
    let path = "/api/v1/namespaces/ns/services";
    let body = json!({
        "metadata": { "name": "c-rw", "ownerReferences": [{ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "name": "c", "uid": "cu", "controller": true, "blockOwnerDeletion": true }] },
        "spec": { "selector": { "cnpg.io/cluster": "c", "cnpg.io/instanceRole": "primary" } }
    });
    let scenario = Scenario::new().call("POST", path, Some(body), 409, refusal(409, "AlreadyExists"));
    let step = Step::Create(ObjectKind::Service(pgherd_core::cluster::ServiceKind::Rw));
    run(with_status(scenario), vec![step]).await.unwrap();
}

#[tokio::test]
async fn a_pod_is_deleted_and_labelled_by_uid_and_not_by_name() {
    let path = "/api/v1/namespaces/ns/pods/c-2";
    let label =
        json!({ "metadata": { "uid": "u2", "labels": { "cnpg.io/instanceRole": "replica", "role": "replica" } } });
    let scenario = Scenario::new().patch(path, label).delete(path, json!({ "preconditions": { "uid": "u2" } }));
    let steps = vec![
        Step::SetRole { pod: "c-2".into(), uid: "u2".into(), role: Role::Replica },
        Step::DeletePod { name: "c-2".into(), uid: "u2".into() },
    ];
    run(with_status(scenario), steps).await.unwrap();
}

#[tokio::test]
async fn a_step_that_fails_does_not_keep_the_others_from_being_tried() {
    let scenario = Scenario::new()
        .call("POST", "/api/v1/namespaces/ns/persistentvolumeclaims", None, 500, refusal(500, "InternalError"))
        .create("/api/v1/namespaces/ns/pods", json!({ "metadata": { "name": "c-1" } }))
        .call(
            "PATCH",
            &format!("{CLUSTER}/status"),
            Some(json!({ "status": { "phase": "Unable to create required cluster objects" } })),
            200,
            json!({ "metadata": { "name": "c" }, "spec": {} }),
        );
    let steps = vec![Step::CreateVolume { serial: 1 }, Step::CreatePod { serial: 1 }];
    assert!(run(scenario, steps).await.is_err());
}

#[tokio::test]
async fn a_pod_has_the_shape_that_the_manager_and_cnpgs_tools_expect() {
    let pod = with_target(&cluster(), |target| json!(pods::build(target, 2)));
    let at = |path: &str| pod.pointer(path).cloned().unwrap_or_default();
    assert_eq!(at("/metadata/labels/cnpg.io~1instanceName"), "c-2");
    assert_eq!(at("/metadata/labels/cnpg.io~1podRole"), "instance");
    assert_eq!(at("/spec/containers/0/command"), json!(["/controller/manager", "run", "--status-port-tls"]));
    assert_eq!(at("/spec/initContainers/0/command"), json!(["/manager", "bootstrap", "/controller/manager"]));
    assert_eq!(at("/spec/containers/0/startupProbe/httpGet/path"), "/startupz");
    assert_eq!(at("/spec/containers/0/readinessProbe/httpGet/scheme"), "HTTPS");
    assert_eq!(at("/spec/containers/0/resources/limits/cpu"), "4");
    assert_eq!(at("/spec/securityContext/runAsUser"), 26);
    assert_eq!(at("/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0/weight"), 100);
    assert_eq!(at("/spec/volumes/0/persistentVolumeClaim/claimName"), "c-2");
    let env = at("/spec/containers/0/env");
    let value = |name: &str| env.as_array().unwrap().iter().filter(|v| v["name"] == name).cloned().collect::<Vec<_>>();
    assert_eq!(value("POD_NAME"), [json!({ "name": "POD_NAME", "value": "c-2" })], "ours cannot be overridden");
    assert_eq!(value("POD_UID")[0]["valueFrom"]["fieldRef"]["fieldPath"], "metadata.uid");
    assert_eq!(value("TZ").len(), 1);
}

#[tokio::test]
async fn the_lease_of_a_deleted_cluster_is_let_go_of_over_the_version_that_was_read() {
    let path = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/c";
    let lease =
        json!({ "metadata": { "name": "c", "resourceVersion": "9", "finalizers": ["other/one", "pgherd.io/lease"] } });
    let patch = json!({ "metadata": { "resourceVersion": "9", "finalizers": ["other/one"] } });
    let (client, script) = Scenario::new().get(path, lease).patch(path, patch).client();
    let_go_of_lease(&client, "ns", "c").await.unwrap();
    script.finish();
}

#[tokio::test]
async fn a_damaged_lease_decides_nothing() {
    let path = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/c";
    let lease =
        json!({ "metadata": { "name": "c", "resourceVersion": "9", "annotations": { "pgherd.io/state": "?" } } });
    let (client, script) = Scenario::new().get(path, lease).missing(path).client();
    let key = crate::caches::Key { namespace: "ns".into(), name: "c".into() };
    assert!(crate::observe::read_lease(&client, &key).await.is_err());
    assert_eq!(crate::observe::read_lease(&client, &key).await.unwrap(), None);
    script.finish();
}
