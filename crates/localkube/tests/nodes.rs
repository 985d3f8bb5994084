//! Several nodes: where pods go, and what becomes of them when a node is cordoned, drained or lost. Needs root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bed;

use std::time::{Duration, Instant};

use bed::{Environment, container, is_ready, start_with, web};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, EvictParams, ListParams, PostParams};
use pgherd_localkube::daemon::NodeOptions;
use pgherd_localkube::fault::{FaultRequest, Target};
use serde_json::{Value, json};

fn with_nodes(options: &mut pgherd_localkube::daemon::UpOptions) {
    let node = |number: u8| NodeOptions { name: format!("n{number}"), zone: format!("z{number}") };
    options.nodes = (1..=3).map(node).collect();
}

/// One of those that keep away from each other's zone.
fn apart(name: &str) -> Value {
    let mut pod = web(name);
    pod["metadata"]["labels"]["app"] = json!("apart");
    pod["spec"]["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "apart"}}}]}});
    pod
}

fn node_of(pod: &Pod) -> String {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default()
}

async fn cordon(environment: &Environment, node: &str, on: bool) {
    let nodes: Api<Node> = Api::all(environment.client.clone());
    if on {
        nodes.cordon(node).await.unwrap()
    } else {
        nodes.uncordon(node).await.unwrap()
    };
}

async fn gone(environment: &Environment, pod: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while environment.pods().get_opt(pod).await.unwrap().is_some() {
        assert!(Instant::now() < deadline, "{pod} is not gone");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_keep_apart_and_a_drained_node_is_left_as_the_budget_allows() {
    let environment = start_with("drain", with_nodes).await;
    let mut taken = Vec::new();
    for name in ["a", "b", "c"] {
        environment.create(apart(name)).await;
        taken.push(node_of(&environment.wait(name, "ready", is_ready).await));
    }
    taken.sort();
    assert_eq!(taken, ["n1", "n2", "n3"], "one in each zone");
    environment.create(apart("d")).await;
    let waits = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
        conditions.iter().any(|c| c.reason.as_deref() == Some("Unschedulable"))
    };
    environment.wait("d", "waiting for a node", waits).await;

    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "two"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "apart"}}}});
    let budgets: Api<PodDisruptionBudget> = Api::namespaced(environment.client.clone(), "default");
    budgets.create(&PostParams::default(), &serde_json::from_value(budget).unwrap()).await.unwrap();
    let b = node_of(&environment.pods().get("b").await.unwrap());
    cordon(&environment, &b, true).await;
    environment.pods().evict("b", &EvictParams::default()).await.unwrap();
    gone(&environment, "b").await;
    // The client asks again for as long as it is told "too many requests", as a drain does.
    let pods = environment.pods();
    let refused = tokio::time::timeout(Duration::from_secs(2), pods.evict("a", &EvictParams::default())).await;
    assert!(!matches!(refused, Ok(Ok(_))), "the budget forbids it");
    assert!(pods.get("a").await.unwrap().metadata.deletion_timestamp.is_none());
    assert_eq!(node_of(&environment.pods().get("d").await.unwrap()), "", "a cordoned node takes nobody");
    cordon(&environment, &b, false).await;
    let d = environment.wait("d", "ready", is_ready).await;
    assert_eq!(node_of(&d), b);
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_node_is_given_up_and_its_pods_are_ready_again_when_it_is_back() {
    let environment = start_with("lost", with_nodes).await;
    environment.create(apart("a")).await;
    let node = node_of(&environment.wait("a", "ready", is_ready).await);
    environment.handle.fault(FaultRequest::NodeLost { node: node.clone() }).await.unwrap();
    environment.wait("a", "not ready", |pod| !is_ready(pod)).await;
    let nodes: Api<Node> = Api::all(environment.client.clone());
    let lost = nodes.get(&node).await.unwrap();
    let taints = lost.spec.unwrap().taints.unwrap_or_default();
    assert!(taints.iter().any(|taint| taint.key == "node.kubernetes.io/unreachable"), "{taints:?}");
    environment.create(apart("b")).await;
    assert_ne!(node_of(&environment.wait("b", "ready", is_ready).await), node);
    environment.handle.fault(FaultRequest::Heal).await.unwrap();
    environment.wait("a", "ready again", is_ready).await;
    let back = nodes.get(&node).await.unwrap().spec.unwrap();
    assert!(back.taints.unwrap_or_default().is_empty());
    environment.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_kubelet_does_to_a_pod_is_told_in_events() {
    let environment = start_with("events", |_| {}).await;
    environment.create(web("web")).await;
    environment.wait("web", "ready", is_ready).await;
    for restarts in 1..=2 {
        let kill = FaultRequest::Kill { target: Target::Manager, pod: "web".to_owned() };
        environment.handle.fault(kill).await.unwrap();
        environment.wait("web", "restarted", |pod| container(pod).restart_count == restarts && is_ready(pod)).await;
    }
    environment.pods().delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    gone(&environment, "web").await;
    let events: Api<Event> = Api::namespaced(environment.client.clone(), "default");
    let told = events.list(&ListParams::default()).await.unwrap().items;
    let count = |reason: &str| told.iter().find(|e| e.reason.as_deref() == Some(reason)).and_then(|event| event.count);
    assert_eq!([count("Pulled"), count("Created"), count("Started")], [Some(3); 3]);
    assert_eq!([count("BackOff"), count("Killing")], [Some(1); 2]);
    environment.down().await;
}
