//! A node is drained as `kubectl drain` does it: cordoned, and every pod on it evicted, again and again while a budget
//! refuses. The primary is moved before it is evicted; commits wait for another zone; tools see the quorum.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, EvictParams};
use pgherd_localkube::daemon::{NodeOptions, UpOptions};
use serde_json::{Value, json};

use crate::bed::{Bed, CLUSTER};
use crate::cluster::text;

fn three_zones(options: &mut UpOptions) {
    let node = |number: u8| NodeOptions { name: format!("n{number}"), zone: format!("z{number}") };
    options.nodes = (1..=3).map(node).collect();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_primary_hands_over_before_it_is_evicted_and_nothing_is_lost() {
    let zones = json!({"method": "any", "number": 1, "nodeFailureDomainKeys": ["topology.kubernetes.io/zone"]});
    let edit = |cluster: &mut Value| cluster["spec"]["postgresql"]["synchronous"] = zones;
    let bed = Bed::start_with("drain", edit, three_zones).await;
    let primary = bed.healthy(120).await;
    bed.until("the zone of each instance in the status", 30, async || {
        let status = bed.status().await;
        let places = status.pointer("/topology/instances").and_then(Value::as_object).cloned().unwrap_or_default();
        if places.len() == 3 { Ok(()) } else { Err(status["topology"].to_string()) }
    })
    .await;
    bed.until("commits that wait for another zone only, by the condition", 30, async || {
        let condition = bed.condition("SyncReplicationTopologySatisfied").await?;
        let (status, reason) = (text(&condition, "/status"), text(&condition, "/reason"));
        if status == "True" && reason == "TopologySatisfied" { Ok(()) } else { Err(condition.to_string()) }
    })
    .await;
    bed.until("the quorum of the first primary", 60, async || bed.quorum_is_of(&primary).await).await;

    let load = bed.load().await;
    let node = bed.pods().get(&primary).await.unwrap().spec.and_then(|spec| spec.node_name).unwrap();
    bed.hurt(&load, "the primary's node drained", async || {
        let nodes: Api<Node> = Api::all(bed.client.clone());
        nodes.cordon(&node).await.unwrap();
        bed.another_primary(&primary, 60).await;
        bed.until("the old primary to be evicted", 60, async || {
            let (pods, params) = (bed.pods(), EvictParams::default());
            let evicting = pods.evict(&primary, &params);
            match tokio::time::timeout(Duration::from_secs(2), evicting).await {
                Ok(Ok(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        nodes.uncordon(&node).await.unwrap();
    })
    .await;
    let next = bed.healthy(180).await;
    assert_ne!(next, primary);
    bed.nothing_lost(&load).await;
    bed.until("the quorum of the next primary", 60, async || bed.quorum_is_of(&next).await).await;
    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    async fn status(&self) -> Value {
        let cluster = self.objects("postgresql.cnpg.io", "Cluster").get(CLUSTER).await.unwrap();
        cluster.data["status"].clone()
    }

    /// The FailoverQuorum names this primary and its two standbys.
    async fn quorum_is_of(&self, primary: &str) -> Result<(), String> {
        let object = self.objects("postgresql.cnpg.io", "FailoverQuorum").get(CLUSTER).await;
        let status = object.map_err(|error| error.to_string())?.data["status"].clone();
        let names = status["standbyNames"].as_array().map_or(0, Vec::len);
        let told = status["primary"] == primary && status["standbyNumber"] == 1 && status["method"] == "ANY";
        if told && names == 2 { Ok(()) } else { Err(status.to_string()) }
    }
}
