//! The controller is killed, or told nonsense, while primaries die.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use pgherd_localkube::fault::Target;
use rand::Rng;
use serde_json::json;

use crate::bed::{Bed, CLUSTER};
use crate::cluster::text;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_controller_and_an_invalid_edit_stop_no_failover() {
    let bed = Bed::start("controller", |_| {}).await;
    bed.healthy(120).await;
    let load = bed.load().await;

    for _ in 0..3 {
        let primary = bed.primary().await;
        let run = bed.started(&primary).await;
        let after = Duration::from_millis(rand::rng().random_range(0..600));
        let what = format!("the controller killed {} ms after the primary's postmaster", after.as_millis());
        bed.hurt(&load, &what, async || {
            bed.kill(Target::Postmaster, &primary).await;
            tokio::time::sleep(after).await;
            bed.handle.kill_controller().await.unwrap();
            // Without a controller for some seconds, the primary recovers in place.
            bed.started_again(&primary, &run, 90).await;
        })
        .await;
        bed.healthy(90).await;
    }
    bed.nothing_lost(&load).await;

    bed.parameter(json!("cp %p /elsewhere/%f")).await;
    let reason = bed
        .until("the edit refused", 30, async || {
            let cluster = bed.cluster().await?;
            match text(&cluster, "/status/phase").as_str() {
                "Invalid cluster definition" => Ok(text(&cluster, "/status/phaseReason")),
                other => Err(other.to_owned()),
            }
        })
        .await;
    assert!(reason.contains("archive_command"), "{reason}");
    let primary = bed.primary().await;
    bed.hurt(&load, "the primary's postmaster killed under an invalid definition", async || {
        bed.kill(Target::Postmaster, &primary).await;
        bed.another_primary(&primary, 60).await;
    })
    .await;
    bed.parameter(json!(null)).await;
    bed.healthy(90).await;

    bed.settle(load).await;
    bed.down().await;
}

impl Bed {
    /// Sets a parameter that is not the user's to set; null takes it back.
    async fn parameter(&self, value: serde_json::Value) {
        let patch = json!({"spec": {"postgresql": {"parameters": {"archive_command": value}}}});
        self.clusters().patch(CLUSTER, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
}
