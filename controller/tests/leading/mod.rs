//! Several controllers, of which one works; and one that looks after some namespaces only.

use crate::api::{RELEASE_NS, Rig, until};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::PostParams;
use kube::{Api, Client};
use pgherd_proto::cluster::Cluster;
use serde_json::json;
use std::time::Duration;

async fn order(client: &Client, namespace: &str, name: &str) {
    let object = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": { "name": name },
        "spec": { "instances": 1, "storage": { "size": "1Gi" } } });
    let clusters = Api::<Cluster>::namespaced(client.clone(), namespace);
    clusters.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// The last thing that a new cluster without a pod gets.
async fn is_attended(client: &Client, namespace: &str, name: &str) -> Duration {
    let roles = Api::<Role>::namespaced(client.clone(), namespace);
    until(&format!("the role of {name}"), || async { roles.get_opt(name).await.unwrap() }).await.1
}

/// The pod of the one that leads.
async fn leader(client: &Client) -> Option<String> {
    let lease =
        Api::<Lease>::namespaced(client.clone(), RELEASE_NS).get_opt("pgherd-controller-leader").await.unwrap()?;
    Some(lease.spec?.holder_identity?.split_once('_')?.0.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_controller_works_and_another_takes_over_when_it_ends_and_when_it_is_killed() {
    let mut rig = Rig::start_with(&["--leader-elect"]).await;
    let client = rig.client.clone();
    until("a leader", || async { (leader(&client).await? == "first").then_some(()) }).await;
    let mut second = rig.another("second");
    order(&client, "default", "a").await;
    is_attended(&client, "default", "a").await;

    // One that is told to end gives the lease back: nobody waits for it.
    rig.end_first().await;
    let (_, took) = until("the next leader", || async { (leader(&client).await? == "second").then_some(()) }).await;
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    order(&client, "default", "b").await;
    is_attended(&client, "default", "b").await;

    // One that dies is waited for as long as its lease says.
    let mut third = rig.another("third");
    second.kill().await.unwrap();
    order(&client, "default", "c").await;
    let waited = is_attended(&client, "default", "c").await;
    assert!(waited > Duration::from_secs(3), "nobody takes a lease from one that may live: {waited:?}");
    assert_eq!(leader(&client).await.as_deref(), Some("third"));
    third.kill().await.unwrap();
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_of_two_namespaces_leaves_the_clusters_of_a_third_alone() {
    let rig = Rig::start_with(&["--watch-namespace", "mine,ours"]).await;
    let client = rig.client.clone();
    for name in ["mine", "ours", "theirs"] {
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }
    for namespace in ["theirs", "mine", "ours"] {
        order(&client, namespace, "c").await;
    }
    is_attended(&client, "mine", "c").await;
    is_attended(&client, "ours", "c").await;
    let roles = Api::<Role>::namespaced(client.clone(), "theirs");
    assert!(roles.get_opt("c").await.unwrap().is_none());
    rig.end().await;
}
