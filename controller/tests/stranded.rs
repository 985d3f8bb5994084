//! The controller against claims that have lost their volumes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod api;

use api::{NAME, NS, Rig, api, opened_by, until};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Namespace, PersistentVolumeClaim, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use pgherd_proto::cluster::Cluster;
use pgherd_proto::labels;
use serde_json::json;

fn name(serial: u32) -> String {
    format!("{NAME}-{serial}")
}

/// Plays kubelet and manager: the pod runs, is ready, and its member says `phase`.
async fn play(client: &Client, serial: u32, phase: &str) -> Pod {
    let (pods, name) = (api::<Pod>(client), name(serial));
    let (pod, _) = until("the pod", || async { pods.get_opt(&name).await.unwrap() }).await;
    let report = json!({ "nonce": format!("n{serial}"), "podUID": pod.uid().unwrap(), "systemID": "7",
        "incarnation": format!("i{serial}"), "phase": phase, "ready": true,
        "position": { "timeline": 1, "lsn": "0/3000000" } });
    let note = json!({ "metadata": { "annotations": { labels::MEMBER: report.to_string() } } });
    pods.patch(&name, &PatchParams::default(), &Patch::Merge(note)).await.unwrap();
    let status = json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap()
}

/// The first instance is the primary: it holds the lease, and has made the database.
async fn open(client: &Client, first: &Pod) {
    let leases = api::<Lease>(client);
    let stored = leases.get(NAME).await.unwrap();
    let lease = pgherd_proto::lease::to_lease(&stored, &opened_by(first), jiff::Timestamp::now());
    leases.replace(NAME, &PostParams::default(), &lease).await.unwrap();
    let status = json!({ "status": { "systemID": "7", "currentPrimary": first.name_any() } });
    api::<Cluster>(client).patch_status(NAME, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

async fn loses_its_volume(client: &Client, serial: u32) {
    let lost = Patch::Merge(json!({ "status": { "phase": "Lost" } }));
    let claims = api::<PersistentVolumeClaim>(client);
    claims.patch_status(&name(serial), &PatchParams::default(), &lost).await.unwrap();
}

async fn told(client: &Client, reason: &str) -> String {
    let found = || async {
        let events = api::<Event>(client).list(&ListParams::default()).await.unwrap();
        events.into_iter().find(|event| event.reason.as_deref() == Some(reason))
    };
    until(reason, found).await.0.message.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_claim_is_lost_is_made_anew_and_of_the_primary_it_is_only_said() {
    let rig = Rig::start(1).await;
    let client = &rig.client;
    let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": NS } })).unwrap();
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    let cluster: Cluster = serde_yaml_ng::from_str(include_str!("../../docs/examples/cluster.yaml")).unwrap();
    api::<Cluster>(client).create(&PostParams::default(), &cluster).await.unwrap();
    open(client, &play(client, 1, "primary").await).await;
    let pod = play(client, 2, "standby").await;
    play(client, 3, "standby").await;
    let claims = api::<PersistentVolumeClaim>(client);
    until("all volumes to be known to have the data", || async {
        let all = claims.list(&ListParams::default()).await.unwrap().items;
        let ready = |claim: &&PersistentVolumeClaim| claim.annotations()[labels::PVC_STATUS] == "ready";
        (all.iter().filter(ready).count() == 3).then_some(())
    })
    .await;

    let claim = claims.get(&name(2)).await.unwrap();
    loses_its_volume(client, 2).await;
    until("another claim and another pod of that name", || async {
        let claim_now = claims.get_opt(&name(2)).await.unwrap()?;
        let pod_now = api::<Pod>(client).get_opt(&name(2)).await.unwrap()?;
        (claim_now.uid() != claim.uid() && pod_now.uid() != pod.uid()).then_some(())
    })
    .await;
    let message = told(client, "RebuildingInstance").await;
    assert_eq!(message, format!("{0}: claim {0} has lost its volume; it is made anew", name(2)));
    play(client, 2, "standby").await;

    let (first, third) = (claims.get(&name(1)).await.unwrap(), claims.get(&name(3)).await.unwrap());
    loses_its_volume(client, 1).await;
    let message = told(client, "InstanceStranded").await;
    assert!(message.contains("it is the primary: promote another instance"), "{message}");
    until("the reason in the status", || async {
        let status = api::<Cluster>(client).get(NAME).await.unwrap().status?;
        status.phase_reason.filter(|reason| reason.contains("promote another instance"))
    })
    .await;
    assert_eq!(claims.get(&name(1)).await.unwrap().uid(), first.uid());
    assert_eq!(claims.get(&name(3)).await.unwrap().uid(), third.uid());
    rig.end().await;
}
