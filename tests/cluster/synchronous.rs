//! Commits wait for a standby (`any 1`, `required`): whoever is lost, what was acknowledged is on another instance.

use pgherd_localkube::fault::{FaultRequest, Target};
use serde_json::json;

use crate::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn with_synchronous_replication_nothing_acknowledged_is_lost_even_with_the_primary_cut_off() {
    let bed = Bed::start("synchronous", |cluster| {
        cluster["spec"]["postgresql"]["synchronous"] = json!({"method": "any", "number": 1});
    })
    .await;
    let primary = bed.healthy(120).await;
    let shown = bed.ask(&primary, "SHOW synchronous_standby_names").await.unwrap();
    assert!(shown.starts_with("ANY 1 (") && !shown.contains(&primary), "{shown}");
    let load = bed.load().await;

    for target in [Target::Postmaster, Target::Manager, Target::Pod] {
        let primary = bed.primary().await;
        let run = bed.started(&primary).await;
        bed.hurt(&load, &format!("the primary's {target:?} killed"), async || {
            bed.kill(target, &primary).await;
            bed.started_again(&primary, &run, 90).await;
        })
        .await;
        bed.healthy(120).await;
        bed.nothing_lost(&load).await;
    }

    let primary = bed.primary().await;
    bed.hurt(&load, "the primary frozen", async || {
        bed.fault(FaultRequest::Freeze { target: Target::Pod, pod: bed.full(&primary) }).await;
        bed.another_primary(&primary, 90).await;
    })
    .await;
    bed.fault(FaultRequest::Heal).await;
    bed.healthy(180).await;
    bed.nothing_lost(&load).await;

    let standby = bed.standby().await;
    bed.hurt(&load, "a standby's volume deleted with its pod", async || bed.lose_volume(&standby).await).await;
    bed.healthy(180).await;
    bed.settle(load).await;
    bed.down().await;
}
