//! The primary moves again and again while rows are written.

use pgherd_localkube::fault::Target;

use crate::bed::Bed;

/// Ten are for a long run: `CLUSTER_LONG=1`.
fn rounds() -> u32 {
    if std::env::var("CLUSTER_LONG").is_ok_and(|long| long == "1") { 10 } else { 5 }
}

#[tokio::test(flavor = "multi_thread")]
async fn failovers_back_and_forth_under_load_lose_nothing() {
    let bed = Bed::start("failovers", |_| {}).await;
    bed.healthy(120).await;
    let load = bed.load().await;
    for round in 1..=rounds() {
        let primary = bed.primary().await;
        bed.hurt(&load, &format!("failover {round} from {primary}"), async || {
            bed.kill(Target::Postmaster, &primary).await;
            bed.another_primary(&primary, 60).await;
        })
        .await;
        bed.healthy(90).await;
    }
    bed.settle(load).await;
    bed.down().await;
}
